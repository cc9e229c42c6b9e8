"""Convolution layers: the same small filter looks at every place of an image."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from minidl import kernels
from minidl.array import Array
from minidl.kernels.geometry import Pair, Size2d, check_fits, pair, whole
from minidl.nn import init
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter

__all__ = ["Conv2d"]


class Conv2d(Module):
    """2-D convolution: `y[n,o,i,j] = b[o] + Σ_c,u,v w[o,c,u,v] · x[n, c, i·s+u·d−p, j·s+v·d−p]`.

    s is the stride, d the dilation, p the padding with zeros. With `groups` = G the channels are cut into
    G equal groups, each with its own filters; G = in_channels is a depthwise convolution.
    (LeCun et al. 1998; the filter is not flipped, as everywhere in deep learning.)

    Shape:
        - input: (N, in_channels, H, W)
        - output: (N, out_channels, OH, OW), OH = ⌊(H + 2p − d(kh − 1) − 1) / s⌋ + 1
        - weight: (out_channels, in_channels / G, kh, kw); bias: (out_channels,)

    Weight and bias start uniform in ±1/√(in_channels/G · kh · kw), as in PyTorch.

    Args:
        in_channels: channels of the input.
        out_channels: filters.
        kernel_size: taps of a filter, one number or (kh, kw).
        stride: cells between two windows.
        padding: zeros on each side.
        dilation: cells between two taps.
        groups: G.
        bias: False leaves out b.
        dtype: of the parameters; float32 unless told.
        rng: where the initial values are drawn from; the one generator unless told.

    Raises:
        ValueError: a kernel, stride or dilation below 1, padding or channels below 0, or channels that G
            does not divide.
        ShapeError: an input of other channels or rank, or smaller than the kernel.
    """

    in_channels: int
    out_channels: int
    kernel_size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    weight: Parameter  # (out_channels, in_channels / G, kh, kw)
    bias: Parameter | None  # (out_channels,)
    _sizes: ClassVar = ("in_channels", "out_channels")
    _fitting: tuple[int, ...] = ()  # the last shape that was checked

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size2d,
        stride: Size2d = 1,
        padding: Size2d = 0,
        dilation: Size2d = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.in_channels = whole(in_channels, "Conv2d: in_channels")
        self.out_channels = whole(out_channels, "Conv2d: out_channels")
        self.kernel_size = pair(kernel_size, "Conv2d: kernel_size", 1)
        self.stride = pair(stride, "Conv2d: stride", 1)
        self.padding = pair(padding, "Conv2d: padding")
        self.dilation = pair(dilation, "Conv2d: dilation", 1)
        self.groups = whole(groups, "Conv2d: groups", 1)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{self.label()}: expected groups that divide both numbers of channels, got groups={groups}"
            )
        weight_shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter.empty(weight_shape, dtype)
        self.bias = Parameter.empty((out_channels,), dtype) if bias else None
        init.reset_parameters(self.weight, self.bias, rng)

    def forward(self, x: Array) -> Array:
        self.check_input(x, "N", self.in_channels, "H", "W")
        if x.shape != self._fitting:  # the same few shapes come at every step
            check_fits(self.label(), x.shape, self.kernel_size, self.stride, self.padding, self.dilation)
            self._fitting = x.shape
        weight = self.weight.astype(x.dtype)
        bias = None if self.bias is None else self.bias.astype(x.dtype)
        y = kernels.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)
        self.remember(x, output=y)
        return y

    def backward(self, dy: Array) -> Array | None:
        # dW = Σ_n dy · columnsᵀ    db = Σ dy    dx = fold(Wᵀ · dy)
        dy, x = self.recall(dy)
        how = (self.stride, self.padding, self.dilation, self.groups)
        self.weight.add_grad(kernels.conv2d_weight_grad(dy, x, self.weight.shape, *how), fresh=True)
        if self.bias is not None:
            self.bias.add_grad(kernels.sum_channels(dy), fresh=True)
        if not self._input_grad:
            return None
        return kernels.conv2d_input_grad(dy, self.weight.astype(dy.dtype), x.shape, *how)

    def _data_layer(self) -> Module:
        return self

    def _multiply_adds(self, inputs: tuple[Any, ...], output: Array) -> int:
        return output.size * math.prod(self.weight.shape[1:])

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, groups={self.groups}, "
            f"bias={self.bias is not None}"
        )
