"""Transposed convolution: a convolution the other way round, which makes images larger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from minidl import kernels
from minidl.array import Array
from minidl.errors import ShapeError
from minidl.kernels.geometry import Pair, Size2d, pair, whole
from minidl.kernels.padding import Border
from minidl.nn import init
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter

__all__ = ["ConvTranspose2d"]


class ConvTranspose2d(Module):
    """Transposed 2-D convolution: `y[n, o, i·s+u·d−p, j·s+v·d−p] += w[c,o,u,v] · x[n,c,i,j]`, plus b[o].

    Every pixel of the input stamps its filters on the output, s pixels apart; p pixels are cut off at each
    side. Written as matrices, it is the transpose of `Conv2d`: its forward is that one's input gradient, and
    its input gradient that one's forward. (Zeiler et al. 2010; Dumoulin & Visin 2016.)

    Shape:
        - input: (N, in_channels, H, W), or one image (in_channels, H, W)
        - output: (N, out_channels, OH, OW) or (out_channels, OH, OW),
          OH = (H − 1)s − 2p + d(kh − 1) + output_padding + 1
        - weight: (in_channels, out_channels / G, kh, kw); bias: (out_channels,)

    Weight and bias start uniform in ±1/√(out_channels/G · kh · kw), as in PyTorch.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: taps of a filter, one number or (kh, kw).
        stride: pixels of the output between two stamps.
        padding: pixels that are cut off at each side.
        output_padding: rows and columns more at the end: with a stride, `Conv2d` makes one size of several,
            and this says which of them comes out. Below the stride or the dilation.
        groups: G; each group of input channels makes its own out_channels / G.
        bias: False leaves out b.
        dilation: pixels between two taps.
        padding_mode: only `"zeros"`, as in PyTorch.
        dtype: of the parameters; float32 unless told.
        rng: where the initial values are drawn from; the one generator unless told.

    Raises:
        ValueError: a kernel, stride or dilation below 1, padding or channels below 0, channels that G
            does not divide, an output_padding that is too large, another padding_mode, or an `output_size`
            that no output_padding reaches.
        ShapeError: an input of other channels or rank, without pixels, or of which padding leaves nothing.
    """

    in_channels: int
    out_channels: int
    kernel_size: Pair
    stride: Pair
    padding: Pair
    output_padding: Pair
    groups: int
    dilation: Pair
    padding_mode: str
    weight: Parameter  # (in_channels, out_channels / G, kh, kw)
    bias: Parameter | None  # (out_channels,)
    _sizes: ClassVar = ("in_channels", "out_channels")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size2d,
        stride: Size2d = 1,
        padding: Size2d = 0,
        output_padding: Size2d = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size2d = 1,
        padding_mode: str = "zeros",
        *,
        dtype: DTypeLike = np.float32,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.in_channels = whole(in_channels, "ConvTranspose2d: in_channels")
        self.out_channels = whole(out_channels, "ConvTranspose2d: out_channels")
        self.kernel_size = pair(kernel_size, "ConvTranspose2d: kernel_size", 1)
        self.stride = pair(stride, "ConvTranspose2d: stride", 1)
        self.padding = pair(padding, "ConvTranspose2d: padding")
        self.output_padding = pair(output_padding, "ConvTranspose2d: output_padding")
        self.groups = whole(groups, "ConvTranspose2d: groups", 1)
        self.dilation = pair(dilation, "ConvTranspose2d: dilation", 1)
        self.padding_mode = padding_mode
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{self.label()}: expected groups that divide both numbers of channels, got groups={groups}"
            )
        if padding_mode != "zeros":
            raise ValueError(f"{self.label()}: expected padding_mode 'zeros', got {padding_mode!r}")
        for more, step, gap in zip(self.output_padding, self.stride, self.dilation, strict=True):
            if more >= max(step, gap):
                raise ValueError(
                    f"{self.label()}: expected output_padding below the stride or the dilation, got "
                    f"output_padding={output_padding} with stride={stride}, dilation={dilation}"
                )
        weight_shape = (in_channels, out_channels // groups, *self.kernel_size)
        self.weight = Parameter.empty(weight_shape, dtype)
        self.bias = Parameter.empty((out_channels,), dtype) if bias else None
        init.reset_parameters(self.weight, self.bias, rng)

    def forward(self, x: Array, output_size: Sequence[int] | None = None) -> Array:
        """Compute the output.

        Args:
            x: (N, in_channels, H, W), or (in_channels, H, W).
            output_size: (OH, OW), or the output's whole shape, in place of what `output_padding` gives.
        """
        x = self.check_batch(x, "N", self.in_channels, "H", "W")
        sizes, padding, border = self._canvas(x.shape, output_size)
        how = (self.stride, padding, self.dilation, self.groups)
        weight = self.weight.astype(x.dtype)
        y = kernels.conv2d_input_grad(x, weight, (len(x), self.out_channels, *sizes), *how)
        if border is not None:
            y = kernels.pad2d(y, border, "zeros")
        if self.bias is not None:
            y += self.bias.astype(x.dtype).reshape(-1, 1, 1)
        self.remember(x, how, sizes, border, output=y)
        return self.as_given(y)

    def backward(self, dy: Array) -> Array | None:
        # dx = W · columns of dy    dW = Σ_n x · (columns of dy)ᵀ    db = Σ dy
        dy, x, how, sizes, border = self.recall(dy)
        if self.bias is not None:
            self.bias.add_grad(kernels.sum_channels(dy), fresh=True)
        if border is not None:
            dy = kernels.pad2d_input_grad(dy, (*dy.shape[:2], *sizes), border, "zeros")
        self.weight.add_grad(kernels.conv2d_weight_grad(x, dy, self.weight.shape, *how), fresh=True)
        if not self._input_grad:
            return None
        return self.as_given(kernels.conv2d(dy, self.weight.astype(dy.dtype), None, *how))

    def _canvas(
        self, input_shape: tuple[int, ...], output_size: Sequence[int] | None
    ) -> tuple[Pair, Pair, Border | None]:
        """What the filters are stamped on: its size, what the kernel cuts off, and what is cut off later.

        `Conv2d` makes this input of any output that is up to stride − 1 larger than the smallest one. A
        larger one than that (a dilation allows it) is cut out of the canvas that holds every stamp.
        """
        spans = [gap * (taps - 1) + 1 for gap, taps in zip(self.dilation, self.kernel_size, strict=True)]
        whole_canvas = [
            (size - 1) * step + span
            for size, step, span in zip(input_shape[2:], self.stride, spans, strict=True)
        ]
        smallest = [size - 2 * cut for size, cut in zip(whole_canvas, self.padding, strict=True)]
        largest = [least + step - 1 for least, step in zip(smallest, self.stride, strict=True)]
        if output_size is None:
            wanted = [least + more for least, more in zip(smallest, self.output_padding, strict=True)]
        else:
            wanted = list(output_size)[-2:]
            if len(output_size) not in (2, 3 if self._alone else 4) or not all(
                least <= size <= most for least, size, most in zip(smallest, wanted, largest, strict=True)
            ):
                raise ValueError(
                    f"{self.label()}: expected output_size from {tuple(smallest)} to {tuple(largest)} "
                    f"for an input {input_shape}, got {output_size}"
                )
        if min(*input_shape[2:], *wanted) < 1:
            raise ShapeError(
                f"{self.label()}: expected an input (N, {self.in_channels}, H, W) with pixels, larger than "
                f"what padding={self.padding} cuts off, got {input_shape}"
            )
        height, width = wanted
        if all(size <= most for size, most in zip(wanted, largest, strict=True)):
            return (height, width), self.padding, None
        (h, w), (top, left) = whole_canvas, self.padding
        return (h, w), (0, 0), (-left, width + left - w, -top, height + top - h)

    def _data_layer(self) -> Module:
        return self

    def _multiply_adds(self, inputs: tuple[Any, ...], output: Array) -> int:
        return inputs[0].size * math.prod(self.weight.shape[1:])

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, output_padding={self.output_padding}, groups={self.groups}, "
            f"bias={self.bias is not None}, dilation={self.dilation}, padding_mode={self.padding_mode!r}"
        )
