"""Sums over a batch: the readable references. The gradient of whatever is added to every row is one."""

from __future__ import annotations

import numpy as np

from minidl.array import Array
from minidl.kernels.registry import kernel

__all__ = ["sum_channels", "sum_rows"]


@kernel
def sum_rows(x: Array) -> Array:
    """All rows added up: the bias gradient of a linear layer, `db[j] = Σ_n dy[n,j]`.

    NumPy adds row to row, one after the other: 200,000 small float32 numbers lose three digits against a
    large sum. So the sum is kept in float64.

    Args:
        x: (N, F).

    Returns:
        (F,), in x's dtype.
    """
    total: Array = x.sum(axis=0, dtype=np.float64)
    return total.astype(x.dtype)


@kernel
def sum_channels(x: Array) -> Array:
    """All images and all their pixels added up: a convolution's bias gradient, `db[c] = Σ_nhw dy[n,c,h,w]`.

    Args:
        x: (N, C, …), any number of dimensions after the channels.

    Returns:
        (C,), in x's dtype; the sum is kept in float64.
    """
    total: Array = x.sum(axis=(0, *range(2, x.ndim)), dtype=np.float64)
    return total.astype(x.dtype)
