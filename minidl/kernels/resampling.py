"""Images whose pixels are weighted sums of a few of another's rows and columns: the readable reference."""

from __future__ import annotations

import numpy as np

from minidl.array import Array
from minidl.kernels.registry import kernel

__all__ = ["resample"]


@kernel
def resample(x: Array, rows: Array, row_weights: Array, columns: Array, column_weights: Array) -> Array:
    """New pixels from old ones: `y[i,j] = Σ_s Σ_t a[s,i] b[t,j] x[r[s,i], c[t,j]]`.

    Args:
        x: (…, H, W).
        rows: r, which S rows each new one is made of; (S, OH) of int64, 0 … H−1.
        row_weights: a (S, OH), in x's dtype.
        columns: c, which T columns each new one is made of; (T, OW) of int64, 0 … W−1.
        column_weights: b (T, OW), in x's dtype.

    Returns:
        y, (…, OH, OW).
    """
    wide = _mix(x, columns, column_weights, -1)  # (…, H, OW)
    return _mix(wide, rows, row_weights[:, :, None], -2)


def _mix(x: Array, places: Array, weights: Array, axis: int) -> Array:
    """`y = Σ weights · x[places]` along one axis."""
    y = np.take(x, places[0], axis=axis) * weights[0]
    for place, weight in zip(places[1:], weights[1:], strict=True):
        y += np.take(x, place, axis=axis) * weight
    return y
