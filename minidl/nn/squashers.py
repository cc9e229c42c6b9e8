"""Squashers: activations that press all numbers into a range, or one side of them."""

from __future__ import annotations

from minidl import kernels
from minidl.array import Array
from minidl.nn.module import Module

__all__ = ["Hardsigmoid", "Hardtanh", "LogSigmoid", "Softsign"]


class Hardtanh(Module):
    """A tanh of three straight lines: `y = min(max(x, a), b)` (Collobert 2004).

    At the kinks a and b the slope is 0, as in PyTorch.

    Shape:
        - input: any; output: the same

    Args:
        min_val: a.
        max_val: b.
        inplace: taken for PyTorch's signature; minidl never changes its input, so it has no effect.

    Raises:
        ValueError: b is not above a.
    """

    min_val: float
    max_val: float
    inplace: bool

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        if not max_val > min_val:
            raise ValueError(f"Hardtanh: expected max_val above min_val, got {max_val} and {min_val}")
        self.min_val = float(min_val)
        self.max_val = float(max_val)
        self.inplace = inplace

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        a, b = self.min_val, self.max_val
        y = kernels.three_lines(x, a, b, (0, 1, 0), (a, 0, b))
        self.remember(x, a, b, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy where a < x < b, else 0
        dy, x, a, b = self.recall(dy)
        return kernels.three_lines_input_grad(dy, x, a, b, (0, 1, 0))

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}, inplace={self.inplace}"


class Hardsigmoid(Module):
    """A sigmoid of three straight lines: `y = min(max(x + 3, 0), 6) / 6` (Courbariaux et al. 2015).

    At the kinks −3 and 3 the slope is 0, as in PyTorch.

    Shape:
        - input: any; output: the same

    Args:
        inplace: taken for PyTorch's signature; minidl never changes its input, so it has no effect.
    """

    inplace: bool

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y = kernels.three_lines(x, -3, 3, (0, 1 / 6, 0), (0, 0.5, 1))
        self.remember(x, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy / 6 where −3 < x < 3, else 0
        dy, x = self.recall(dy)
        return kernels.three_lines_input_grad(dy, x, -3, 3, (0, 1 / 6, 0))

    def extra_repr(self) -> str:
        return f"inplace={self.inplace}"


class Softsign(Module):
    """A tanh that comes to its ends slowly: `y = x / (1 + |x|)` (Bergstra et al. 2009).

    Shape:
        - input: any; output: the same
    """

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y, slope = kernels.softsign(x)
        self.remember(slope, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy / (1 + |x|)²
        dy, slope = self.recall(dy)
        return kernels.slope_input_grad(dy, slope)


class LogSigmoid(Module):
    """The logarithm of a sigmoid: `y = log σ(x) = min(x, 0) − log(1 + e^(−|x|))`.

    More exact than the logarithm of the sigmoid, which rounds to 0 far to the left.

    Shape:
        - input: any; output: the same
    """

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y, slope = kernels.log_sigmoid(x)
        self.remember(slope, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy (1 − σ(x)) = dy σ(−x)
        dy, slope = self.recall(dy)
        return kernels.slope_input_grad(dy, slope)
