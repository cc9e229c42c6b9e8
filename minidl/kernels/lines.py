"""Activations made of straight lines, and their gradients: the readable references.

Each needs its input again on the way back, to see on which line a number lay. Nothing else is kept.
"""

from __future__ import annotations

import numpy as np

from minidl.array import Array
from minidl.kernels.registry import kernel

__all__ = ["Lines", "prelu", "prelu_input_grad", "scale_channels", "three_lines", "three_lines_input_grad"]

Lines = tuple[float, float, float]
"""One number for each of the three lines."""


@kernel
def three_lines(x: Array, low: float, high: float, slopes: Lines, heights: Lines) -> Array:
    """`y = s₀ x + h₀` where x ≤ low, `y = s₂ x + h₂` where x ≥ high, and `y = s₁ x + h₁` between.

    Args:
        x: of any shape.
        low: where the first line ends.
        high: where the third line begins, above `low`.
        slopes: s₀, s₁ and s₂.
        heights: h₀, h₁ and h₂, the lines' values at x = 0.

    Returns:
        y, of x's shape; a NaN stays one.
    """
    first, second, third = zip(slopes, heights, strict=True)
    s, h = second
    with np.errstate(invalid="ignore"):  # 0 · ∞, but ∞ lies on another line
        middle = s * x + h
    return np.where(x <= low, _outer(x, *first), np.where(x >= high, _outer(x, *third), middle))


def _outer(x: Array, slope: float, height: float) -> Array | float:
    """A line that may reach to infinity, where 0 · ∞ would be no number."""
    return slope * x + height if slope else height


@kernel
def three_lines_input_grad(dy: Array, x: Array, low: float, high: float, slopes: Lines) -> Array:
    """`dx = s dy`, with the slope of the line that x lies on.

    Args:
        dy: of any shape.
        x: the input, of the same shape.
        low: as in `three_lines`.
        high: as in `three_lines`.
        slopes: as in `three_lines`.

    Returns:
        dx, of dy's shape.
    """
    first, second, third = slopes
    return np.where(x <= low, first * dy, np.where(x >= high, third * dy, second * dy))


@kernel
def prelu(x: Array, weight: Array) -> Array:
    """`y = x` where x > 0, else `y = w x`.

    Args:
        x: (N, C, *), or with one slope any shape.
        weight: (C,) or (1,), in x's dtype.

    Returns:
        y, of x's shape.
    """
    return np.where(x > 0, x, _along(weight, x) * x)


@kernel
def prelu_input_grad(dy: Array, x: Array, weight: Array) -> tuple[Array, Array]:
    """`dx = dy` where x > 0, else `dx = w dy`; and the terms whose sum is dw, `x dy` where x ≤ 0.

    Args:
        dy: of any shape.
        x: the input, of the same shape.
        weight: as in `prelu`.

    Returns:
        dx, and the terms of dw: both of dy's shape.
    """
    positive = x > 0
    return np.where(positive, dy, _along(weight, x) * dy), np.where(positive, 0, x * dy)


@kernel
def scale_channels(x: Array, scale: Array) -> Array:
    """`y = s x` with one s for each channel of each image; the same gives dx of dy.

    Args:
        x: (N, C, *).
        scale: (N, C), in x's dtype.

    Returns:
        y, of x's shape.
    """
    return x * scale.reshape(*scale.shape, *(1,) * (x.ndim - 2))


def _along(weight: Array, x: Array) -> Array:
    """One slope per channel, in a shape that broadcasts over x."""
    return weight.reshape(-1, *(1,) * (x.ndim - 2)) if x.ndim > 1 else weight.reshape((1,) * x.ndim)
