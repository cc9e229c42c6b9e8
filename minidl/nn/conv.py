"""Convolution layers: the same small filter looks at every place of an image, or of a signal."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from minidl import kernels
from minidl.array import Array
from minidl.kernels.geometry import Pair, Size2d, check_fits, pair, single, whole
from minidl.kernels.padding import MODES, Border, padded_size
from minidl.nn import init
from minidl.nn.module import Module
from minidl.nn.padding import check_border
from minidl.nn.parameter import Parameter

__all__ = ["Conv1d", "Conv2d"]


class _Conv(Module):
    """What convolutions share: a signal (N, C, L) is an image (N, C, 1, L) of height 1."""

    in_channels: int
    out_channels: int
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] | str
    dilation: tuple[int, ...]
    groups: int
    padding_mode: str
    weight: Parameter  # (out_channels, in_channels / G, *kernel_size)
    bias: Parameter | None  # (out_channels,)
    _sizes: ClassVar = ("in_channels", "out_channels")
    _axes: ClassVar[tuple[str, ...]]
    _per_axis: ClassVar[Any]  # makes a tuple of what a user may write
    _zeros: tuple[int, ...]  # on both sides, which the kernel takes as read
    _border: Border | None  # what has to be made before: other than zeros, or more on one side
    _how: tuple[Pair, Pair, Pair, int]  # stride, zeros, dilation, groups, as the kernels take them
    _fitting: tuple[int, ...] = ()  # the last shape that was checked

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size2d,
        stride: Size2d = 1,
        padding: Size2d | str = 0,
        dilation: Size2d = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        dtype: DTypeLike = np.float32,
        rng: np.random.Generator | None = None,
    ) -> None:
        name = type(self).__name__
        self.in_channels = whole(in_channels, f"{name}: in_channels")
        self.out_channels = whole(out_channels, f"{name}: out_channels")
        self.kernel_size = self._per_axis(kernel_size, f"{name}: kernel_size", 1)
        self.stride = self._per_axis(stride, f"{name}: stride", 1)
        self.padding = padding if isinstance(padding, str) else self._per_axis(padding, f"{name}: padding")
        self.dilation = self._per_axis(dilation, f"{name}: dilation", 1)
        self.groups = whole(groups, f"{name}: groups", 1)
        self.padding_mode = padding_mode
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{self.label()}: expected groups that divide both numbers of channels, got groups={groups}"
            )
        if padding_mode not in MODES:
            raise ValueError(
                f"{self.label()}: expected padding_mode {', '.join(MODES)}, got {padding_mode!r}"
            )
        self._share_padding()
        weight_shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter.empty(weight_shape, dtype)
        self.bias = Parameter.empty((out_channels,), dtype) if bias else None
        init.reset_parameters(self.weight, self.bias, rng)

    def _share_padding(self) -> None:
        """Settle what the kernel pads by itself, zeros on both sides alike, and what is made before."""
        around = self._around()
        kernels_own = self.padding_mode == "zeros"
        self._zeros = tuple(before if kernels_own else 0 for before, _ in around)
        made = [(before - own, after - own) for (before, after), own in zip(around, self._zeros, strict=True)]
        (top, bottom), (left, right) = [(0, 0), *made][-2:]
        self._border = (left, right, top, bottom) if any((left, right, top, bottom)) else None
        self._how = (_both(self.stride, 1), _both(self._zeros, 0), _both(self.dilation, 1), self.groups)

    def _around(self) -> list[Pair]:
        """(before, after) along each axis."""
        if not isinstance(self.padding, str):
            return [(width, width) for width in self.padding]
        if self.padding == "valid":
            return [(0, 0)] * len(self.kernel_size)
        if self.padding != "same":
            raise ValueError(
                f"{self.label()}: expected padding 'same', 'valid' or integers, got {self.padding!r}"
            )
        if max(self.stride) > 1:
            raise ValueError(f"{self.label()}: expected stride 1 with padding='same', got {self.stride}")
        spans = [gap * (taps - 1) for gap, taps in zip(self.dilation, self.kernel_size, strict=True)]
        return [(span // 2, span - span // 2) for span in spans]  # of an odd number, one more at the end

    def forward(self, x: Array) -> Array:
        x = self.check_batch(x, "N", self.in_channels, *self._axes)
        if x.shape != self._fitting:  # the same few shapes come at every step
            self._check_fits(x.shape)
        x = _image(x)
        if self._border is not None:
            x = kernels.pad2d(x, self._border, self.padding_mode)
        weight = _image(self.weight.astype(x.dtype))
        bias = None if self.bias is None else self.bias.astype(x.dtype)
        y = kernels.conv2d(x, weight, bias, *self._how)  # (N, out_channels, OH, OW)
        if len(self._axes) == 1:
            y = y[:, :, 0]  # (N, out_channels, OL)
        self.remember(x, output=y)
        return self.as_given(y)

    def backward(self, dy: Array) -> Array | None:
        # dW = Σ_n dy · columnsᵀ    db = Σ dy    dx = fold(Wᵀ · dy)
        dy, x = self.recall(dy)
        dy, weight = _image(dy), _image(self.weight.astype(dy.dtype))
        if self.weight.requires_grad:
            dW = kernels.conv2d_weight_grad(dy, x, weight.shape, *self._how)
            self.weight.add_grad(dW.reshape(self.weight.shape), fresh=True)
        if self.bias is not None:
            self.bias.add_grad(kernels.sum_channels(dy), fresh=True)
        if not self._input_grad:
            return None
        dx = kernels.conv2d_input_grad(dy, weight, x.shape, *self._how)
        if self._border is not None:
            left, right, top, bottom = self._border
            shape = (*x.shape[:2], x.shape[2] - top - bottom, x.shape[3] - left - right)
            dx = kernels.pad2d_input_grad(dx, shape, self._border, self.padding_mode)
        return self.as_given(dx if len(self._axes) == 2 else dx[:, :, 0])

    def _check_fits(self, shape: tuple[int, ...]) -> None:
        padded = shape
        if self._border is not None:
            image = (*shape[:2], 1, *shape[2:])[-4:] if len(shape) == 3 else shape
            check_border(self.label(), image, self._border, self.padding_mode)
            padded = (*shape[:2], *padded_size(image, self._border)[-len(self._axes) :])
        check_fits(self.label(), padded, self.kernel_size, self.stride, self._zeros, self.dilation)
        self._fitting = shape

    def _data_layer(self) -> Module:
        return self

    def _multiply_adds(self, inputs: tuple[Any, ...], output: Array) -> int:
        return output.size * math.prod(self.weight.shape[1:])

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding!r}, dilation={self.dilation}, groups={self.groups}, "
            f"bias={self.bias is not None}, padding_mode={self.padding_mode!r}"
        )


def _image(x: Array) -> Array:
    """An image as it is, and a signal (N, C, L) as one of height 1."""
    return x if x.ndim == 4 else x[:, :, None]  # (N, C, 1, L)


def _both(sizes: tuple[int, ...], height: int) -> Pair:
    """Along height and width; of a signal only the width is given."""
    rows, columns = (height, *sizes)[-2:]
    return rows, columns


class Conv1d(_Conv):
    """1-D convolution: `y[n,o,j] = b[o] + Σ_c,v w[o,c,v] · x[n, c, j·s+v·d−p]`.

    As `Conv2d`, along one axis: of time, of a sentence. (Waibel et al. 1989, time-delay networks.)

    Shape:
        - input: (N, in_channels, L), or one signal (in_channels, L)
        - output: (N, out_channels, OL) or (out_channels, OL), OL = ⌊(L + 2p − d(k − 1) − 1) / s⌋ + 1
        - weight: (out_channels, in_channels / G, k); bias: (out_channels,)

    Weight and bias start uniform in ±1/√(in_channels/G · k), as in PyTorch.

    Args:
        in_channels: channels of the input.
        out_channels: filters.
        kernel_size: taps of a filter.
        stride: cells between two windows.
        padding: cells added on each side; `"valid"` for none, or `"same"` for as many as keep the length.
        dilation: cells between two taps.
        groups: G.
        bias: False leaves out b.
        padding_mode: what the added cells show: `zeros`, `reflect`, `replicate` or `circular`.
        dtype: of the parameters; float32 unless told.
        rng: where the initial values are drawn from; the one generator unless told.

    Raises:
        ValueError: a kernel, stride or dilation below 1, padding or channels below 0, channels that G
            does not divide, an unknown padding or padding_mode, or `"same"` with a stride.
        ShapeError: an input of other channels or rank, or smaller than the kernel or than its padding.
    """

    _axes = ("L",)
    _per_axis = staticmethod(single)


class Conv2d(_Conv):
    """2-D convolution: `y[n,o,i,j] = b[o] + Σ_c,u,v w[o,c,u,v] · x[n, c, i·s+u·d−p, j·s+v·d−p]`.

    s is the stride, d the dilation, p the padding. With `groups` = G the channels are cut into
    G equal groups, each with its own filters; G = in_channels is a depthwise convolution.
    (LeCun et al. 1998; the filter is not flipped, as everywhere in deep learning.)

    Shape:
        - input: (N, in_channels, H, W), or one image (in_channels, H, W)
        - output: (N, out_channels, OH, OW) or (out_channels, OH, OW), OH = ⌊(H + 2p − d(kh − 1) − 1) / s⌋ + 1
        - weight: (out_channels, in_channels / G, kh, kw); bias: (out_channels,)

    Weight and bias start uniform in ±1/√(in_channels/G · kh · kw), as in PyTorch.

    Args:
        in_channels: channels of the input.
        out_channels: filters.
        kernel_size: taps of a filter, one number or (kh, kw).
        stride: cells between two windows.
        padding: pixels added on each side; `"valid"` for none, or `"same"` for as many as keep the size
            (of an odd number, the one more below and to the right).
        dilation: cells between two taps.
        groups: G.
        bias: False leaves out b.
        padding_mode: what the added pixels show: `zeros`, `reflect`, `replicate` or `circular`, as in
            `ZeroPad2d`, `ReflectionPad2d`, `ReplicationPad2d` and `CircularPad2d`.
        dtype: of the parameters; float32 unless told.
        rng: where the initial values are drawn from; the one generator unless told.

    Raises:
        ValueError: a kernel, stride or dilation below 1, padding or channels below 0, channels that G
            does not divide, an unknown padding or padding_mode, or `"same"` with a stride.
        ShapeError: an input of other channels or rank, or smaller than the kernel or than its padding.
    """

    _axes = ("H", "W")
    _per_axis = staticmethod(pair)
