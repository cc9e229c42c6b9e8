"""Numbers into probabilities, and the gradient back: the readable references."""

from __future__ import annotations

import numpy as np

from minidl.array import Array
from minidl.kernels.registry import kernel

__all__ = ["log_softmax", "log_softmax_input_grad", "softmax", "softmax_input_grad"]


@kernel
def softmax(x: Array, dim: int) -> tuple[Array, Array]:
    """`yᵢ = e^xᵢ / Σⱼ e^xⱼ` along one dimension, the largest x subtracted first.

    Args:
        x: of any shape.
        dim: the dimension to sum along.

    Returns:
        y, of x's shape, and a copy of it to keep for the gradient.
    """
    e = np.exp(x - x.max(axis=dim, keepdims=True, initial=-np.inf))
    y = e / e.sum(axis=dim, keepdims=True)  # eq. 15.1
    return y, y.copy()


@kernel
def softmax_input_grad(dy: Array, y: Array, dim: int) -> Array:
    """`dx = y (dy − Σ dy y)`, for ∂yᵢ/∂xⱼ = yᵢ (δᵢⱼ − yⱼ).

    Args:
        dy: of any shape.
        y: the output, of the same shape.
        dim: the dimension to sum along.

    Returns:
        dx, of the same shape.
    """
    return y * (dy - (dy * y).sum(axis=dim, keepdims=True))


@kernel
def log_softmax(x: Array, dim: int) -> tuple[Array, Array]:
    """`yᵢ = xᵢ − log Σⱼ e^xⱼ` along one dimension, the largest x subtracted first.

    Args:
        x: of any shape.
        dim: the dimension to sum along.

    Returns:
        y, of x's shape, and a copy of it to keep for the gradient.
    """
    shifted = x - x.max(axis=dim, keepdims=True, initial=-np.inf)
    y = shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True))
    return y, y.copy()


@kernel
def log_softmax_input_grad(dy: Array, y: Array, dim: int) -> Array:
    """`dx = dy − e^y Σ dy`, for ∂yᵢ/∂xⱼ = δᵢⱼ − e^yⱼ.

    Args:
        dy: of any shape.
        y: the output, of the same shape.
        dim: the dimension to sum along.

    Returns:
        dx, of the same shape.
    """
    return dy - np.exp(y) * dy.sum(axis=dim, keepdims=True)
