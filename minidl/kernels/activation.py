"""Activations, dropout and their gradients, element by element: the readable references.

Each forward but `erf` gives what its gradient needs. That is never the input: a ReLU's gradient needs one bit
per element, and the others' slopes follow from the output.
"""

from __future__ import annotations

import math

import numpy as np

from minidl.array import Array
from minidl.kernels.registry import kernel

__all__ = [
    "dropout",
    "dropout_input_grad",
    "dropout_scale",
    "erf",
    "relu",
    "relu_input_grad",
    "sigmoid",
    "sigmoid_input_grad",
    "tanh",
    "tanh_input_grad",
]


@kernel
def relu(x: Array) -> tuple[Array, Array]:
    """`y = max(x, 0)`; a NaN stays one.

    Args:
        x: of any shape.

    Returns:
        y, and where x > 0, booleans: both of x's shape.
    """
    return np.maximum(x, 0), x > 0


@kernel
def relu_input_grad(dy: Array, positive: Array) -> Array:
    """`dx = dy where x > 0, else 0`.

    Args:
        dy: of any shape.
        positive: from `relu`.

    Returns:
        dx, of dy's shape.
    """
    return np.where(positive, dy, 0)


@kernel
def sigmoid(x: Array) -> tuple[Array, Array]:
    """`y = 1 / (1 + e⁻ˣ)`, computed from e^(−|x|), which never overflows.

    Args:
        x: of any shape.

    Returns:
        y, of x's shape, and a copy of it to keep for the gradient.
    """
    e = np.exp(-np.abs(x))  # never above 1, so eq. 4.1 does not overflow
    y = np.where(x >= 0, 1, e) / (1 + e)  # eq. 4.2
    return y, y.copy()


@kernel
def sigmoid_input_grad(dy: Array, y: Array) -> Array:
    """`dx = dy · y (1 − y)`: the slope follows from the output.

    Args:
        dy: of any shape.
        y: the output, of the same shape.

    Returns:
        dx, of the same shape.
    """
    return dy * y * (1 - y)  # eq. 4.3


@kernel
def tanh(x: Array) -> tuple[Array, Array]:
    """`y = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)`.

    Args:
        x: of any shape.

    Returns:
        y, of x's shape, and a copy of it to keep for the gradient.
    """
    y = np.tanh(x)
    return y, y.copy()


@kernel
def tanh_input_grad(dy: Array, y: Array) -> Array:
    """`dx = dy (1 − y²)`.

    Args:
        dy: of any shape.
        y: the output, of the same shape.

    Returns:
        dx, of the same shape.
    """
    return dy * (1 - y * y)


@kernel
def erf(x: Array) -> Array:
    """The error function, `2/√π ∫₀ˣ e^(−t²) dt`, for which NumPy has nothing: Python's own, number by number.

    Args:
        x: of any shape.

    Returns:
        erf(x), of x's shape.
    """
    return np.array([math.erf(number) for number in x.reshape(-1).tolist()], x.dtype).reshape(x.shape)


@kernel
def dropout(x: Array, draws: Array, p: float) -> tuple[Array, Array]:
    """`y = x · m / (1 − p)`, where m is 0 for draws below p, else 1.

    Args:
        x: of any shape.
        draws: random numbers from 0 to 1, float32, of x's shape.
        p: the probability of being dropped, from 0 to 1.

    Returns:
        y, and m as booleans: both of x's shape.
    """
    kept = draws >= p
    return x * (kept * dropout_scale(p)).astype(x.dtype), kept


@kernel
def dropout_input_grad(dy: Array, kept: Array, p: float) -> Array:
    """`dx = dy / (1 − p)` where the number was kept, else 0.

    Args:
        dy: of any shape.
        kept: from `dropout`.
        p: as in `dropout`.

    Returns:
        dx, of dy's shape.
    """
    return np.where(kept, dy * dropout_scale(p), 0)


def dropout_scale(p: float) -> float:
    """What dropout multiplies by, so that the expected value stays."""
    return 0.0 if p == 1 else 1 / (1 - p)
