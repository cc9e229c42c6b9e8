"""Shrinkers: activations that take small numbers to 0, as in sparse coding."""

from __future__ import annotations

import math

import numpy as np

from minidl import kernels
from minidl.array import Array
from minidl.nn.module import Module

__all__ = ["Hardshrink", "Softshrink", "Tanhshrink"]


class Hardshrink(Module):
    """Small numbers become 0: `y = 0` where |x| ≤ λ, else `y = x` (Donoho & Johnstone 1994).

    At ±λ, where y jumps, the slope is 0, as in PyTorch.

    Shape:
        - input: any; output: the same

    Args:
        lambd: λ.
    """

    lambd: float

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = float(lambd)

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        low, high = beyond(self.lambd, x)
        y = kernels.three_lines(x, low, high, (1, 0, 1), (0, 0, 0))
        self.remember(x, low, high, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = 0 where |x| ≤ λ, else dy
        dy, x, low, high = self.recall(dy)
        return kernels.three_lines_input_grad(dy, x, low, high, (1, 0, 1))

    def extra_repr(self) -> str:
        return f"lambd={self.lambd}"


class Softshrink(Module):
    """All numbers come nearer to 0 by λ, small ones reach it: `y = x − min(max(x, −λ), λ)`.

    It is the step of the lasso (Daubechies et al. 2004). At the kinks ±λ the slope is 0, as in PyTorch.

    Shape:
        - input: any; output: the same

    Args:
        lambd: λ ≥ 0.

    Raises:
        ValueError: λ is below 0.
    """

    lambd: float

    def __init__(self, lambd: float = 0.5) -> None:
        if not lambd >= 0:
            raise ValueError(f"Softshrink: expected lambd of 0 or above, got {lambd}")
        self.lambd = float(lambd)

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        low, high = beyond(self.lambd, x)
        y = kernels.three_lines(x, low, high, (1, 0, 1), (self.lambd, 0, -self.lambd))
        self.remember(x, low, high, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = 0 where |x| ≤ λ, else dy
        dy, x, low, high = self.recall(dy)
        return kernels.three_lines_input_grad(dy, x, low, high, (1, 0, 1))

    def extra_repr(self) -> str:
        return f"lambd={self.lambd}"


class Tanhshrink(Module):
    """What a tanh takes away: `y = x − tanh x`; small numbers come very near to 0.

    Shape:
        - input: any; output: the same
    """

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y, slope = kernels.tanhshrink(x)
        self.remember(slope, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy tanh² x
        dy, slope = self.recall(dy)
        return kernels.slope_input_grad(dy, slope)


def beyond(end: float, x: Array) -> tuple[float, float]:
    """The first numbers beyond −end and end in x's dtype, which themselves become 0."""
    limit = x.dtype.type(end)
    high = float(np.nextafter(limit, math.inf))
    return -high, high
