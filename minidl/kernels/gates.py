"""Gates between the two halves of an input: the readable references.

A gated linear unit needs its input again on the way back; nothing else is kept.
"""

from __future__ import annotations

import numpy as np

from minidl.array import Array
from minidl.kernels.activation import sigmoid
from minidl.kernels.registry import kernel

__all__ = ["glu", "glu_input_grad"]


@kernel
def glu(x: Array, dim: int) -> Array:
    """`y = a σ(b)`, where a and b are the two halves of x.

    Args:
        x: of any shape, of even size along `dim`.
        dim: the dimension that is halved.

    Returns:
        y, of half that size.
    """
    a, b = np.split(x, 2, axis=dim)
    s, _ = sigmoid.reference(b)
    return a * s


@kernel
def glu_input_grad(dy: Array, x: Array, dim: int) -> Array:
    """`da = dy σ(b)` and `db = dy a σ(b) (1 − σ(b))`, one after the other.

    Args:
        dy: like y of `glu`.
        x: the input, of twice the size along `dim`.
        dim: the dimension that was halved.

    Returns:
        dx, of x's shape.
    """
    a, b = np.split(x, 2, axis=dim)
    s, _ = sigmoid.reference(b)
    rest, _ = sigmoid.reference(-b)  # 1 − s, and exact where that is small
    da = dy * s
    return np.concatenate([da, da * a * rest], axis=dim)
