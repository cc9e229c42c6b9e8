"""Rectifiers: activations that let positive numbers through and hold back negative ones, each its own way."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from minidl import kernels
from minidl.array import Array
from minidl.errors import ShapeError
from minidl.kernels.geometry import whole
from minidl.nn import init
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter

__all__ = ["LeakyReLU", "PReLU", "ReLU6", "Threshold"]


class ReLU6(Module):
    """A ReLU that ends at 6: `y = min(max(x, 0), 6)` (Krizhevsky 2010).

    Few bits suffice for numbers from 0 to 6, which is why small networks for phones have it. At the two
    kinks the slope is 0, as in PyTorch.

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
        y = kernels.three_lines(x, 0, 6, (0, 1, 0), (0, 0, 6))
        self.remember(x, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy where 0 < x < 6, else 0
        dy, x = self.recall(dy)
        return kernels.three_lines_input_grad(dy, x, 0, 6, (0, 1, 0))

    def extra_repr(self) -> str:
        return f"inplace={self.inplace}"


class LeakyReLU(Module):
    """A ReLU that leaks: `y = x` where x > 0, else `y = a x` (Maas et al. 2013).

    No unit dies: where a ReLU has slope 0, this one has a. At 0 the slope is a, as in PyTorch.

    Shape:
        - input: any; output: the same

    Args:
        negative_slope: a.
        inplace: taken for PyTorch's signature; minidl never changes its input, so it has no effect.
    """

    negative_slope: float
    inplace: bool

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = float(negative_slope)
        self.inplace = inplace

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y = kernels.three_lines(x, 0, math.inf, (self.negative_slope, 1, 1), (0, 0, 0))
        self.remember(x, self.negative_slope, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy where x > 0, else a dy
        dy, x, a = self.recall(dy)
        return kernels.three_lines_input_grad(dy, x, 0, math.inf, (a, 1, 1))

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}, inplace={self.inplace}"


class PReLU(Module):
    """A leaky ReLU that learns its slope: `y = x` where x > 0, else `y = w x` (He et al. 2015).

    Shape:
        - input: (N, C, *) or, with one slope, any; output: the same
        - weight: (num_parameters,)

    Args:
        num_parameters: 1, or C for a slope of its own for each channel.
        init: where the slopes start.
        dtype: of the slopes; float32 unless told.

    Raises:
        ValueError: fewer than one parameter.
        ShapeError: the input does not have `num_parameters` channels.
    """

    num_parameters: int
    init: float
    weight: Parameter  # (num_parameters,)

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: DTypeLike = np.float32) -> None:
        self.num_parameters = whole(num_parameters, "PReLU: num_parameters", 1)
        self.init = float(init)
        self.weight = Parameter.empty((num_parameters,), dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Put every slope back to where it starts."""
        init.constant_(self.weight, self.init)

    def label(self) -> str:
        """The class and its sizes, as messages name it: `PReLU(3)`."""
        return f"PReLU({self.num_parameters})"

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        if self.num_parameters != 1 and (x.ndim < 2 or x.shape[1] != self.num_parameters):
            raise ShapeError(f"{self.label()}: expected input (N, {self.num_parameters}, *), got {x.shape}")
        y = kernels.prelu(x, self.weight.astype(x.dtype))
        self.remember(x, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy where x > 0, else w dy    dw = Σ x dy where x ≤ 0
        dy, x = self.recall(dy)
        dx, terms = kernels.prelu_input_grad(dy, x, self.weight.astype(x.dtype))
        dw = kernels.sum_channels(terms) if self.num_parameters > 1 else terms.sum()
        self.weight.add_grad(dw.reshape(self.num_parameters))
        return dx

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}, init={self.init}"


class Threshold(Module):
    """Numbers up to a threshold become another one: `y = x` where x > t, else `y = v`.

    Shape:
        - input: any; output: the same

    Args:
        threshold: t. At it the slope is 0, as in PyTorch.
        value: v.
        inplace: taken for PyTorch's signature; minidl never changes its input, so it has no effect.
    """

    threshold: float
    value: float
    inplace: bool

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self.threshold = float(threshold)
        self.value = float(value)
        self.inplace = inplace

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y = kernels.three_lines(x, self.threshold, math.inf, (0, 1, 1), (self.value, 0, 0))
        self.remember(x, self.threshold, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy where x > t, else 0
        dy, x, threshold = self.recall(dy)
        return kernels.three_lines_input_grad(dy, x, threshold, math.inf, (0, 1, 1))

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}, inplace={self.inplace}"
