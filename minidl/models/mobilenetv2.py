"""MobileNetV2: a network for phones, whose 3×3 convolutions look at one channel each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from minidl.array import Array
from minidl.models.parts import check_images, init_convolutions, init_linear, layer_name
from minidl.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    Module,
    ReLU6,
    Sequential,
)

__all__ = ["InvertedResidual", "MobileNetV2", "mobilenet_v2"]

Norm = Callable[[int], Module]
Rng = np.random.Generator

SETTING = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
]
"""Table 2: expansion t, output channels c, how many blocks n, stride s of the first."""


def _conv_norm_relu6(
    inputs: int, outputs: int, kernel: int, stride: int, groups: int, norm: Norm, rng: Rng | None
) -> Sequential:
    padding = kernel // 2
    conv = Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False, rng=rng)
    return Sequential(conv, norm(outputs), ReLU6())


class InvertedResidual(Module):
    """More channels, a depthwise 3×3 convolution, fewer channels: `y = conv(x) + x` (figure 3, section 3.3).

    A residual block turned inside out: the shortcut joins the narrow ends. The last convolution has no
    ReLU, which in few channels would lose too much ("linear bottleneck"). Where stride or channels change
    there is no shortcut: `y = conv(x)`.

    Shape:
        - input: (N, inp, H, W)
        - output: (N, oup, ⌈H / stride⌉, ⌈W / stride⌉)

    Args:
        inp: channels of the input.
        oup: channels of the output.
        stride: of the depthwise convolution, 1 or 2.
        expand_ratio: t, how many times more channels it has than the input; 1 leaves out the first part.
        norm_layer: makes the layer after a convolution from its channels; BatchNorm2d unless told.
        rng: where the initial values are drawn from.

    Raises:
        ValueError: another stride.
    """

    _sizes: ClassVar = ("inp", "oup")

    def __init__(
        self,
        inp: int,
        oup: int,
        stride: int,
        expand_ratio: float,
        norm_layer: Norm | None = None,
        *,
        rng: Rng | None = None,
    ) -> None:
        if stride not in (1, 2):
            raise ValueError(f"InvertedResidual: expected a stride of 1 or 2, got {stride}")
        norm = norm_layer or BatchNorm2d
        self.inp = inp
        self.oup = oup
        self.stride = stride
        self.expand_ratio = expand_ratio
        self.norm_layer = norm
        self.use_res_connect = stride == 1 and inp == oup
        hidden = round(inp * expand_ratio)
        self.conv = Sequential()
        if expand_ratio != 1:
            self.conv.append(_conv_norm_relu6(inp, hidden, 1, 1, 1, norm, rng))
        self.conv.append(_conv_norm_relu6(hidden, hidden, 3, stride, hidden, norm, rng))  # depthwise
        self.conv.append(Conv2d(hidden, oup, 1, bias=False, rng=rng))
        self.conv.append(norm(oup))

    def forward(self, x: Array) -> Array:
        y = self.conv(x)  # (N, oup, H/s, W/s)
        if self.use_res_connect:
            y += x  # the last layer's result is nobody else's
        return y

    def backward(self, dy: Any) -> Any:
        # y = conv(x) + x:  dx = convᵀ dy + dy
        dx = self.conv.backward(dy)
        if self.use_res_connect:
            dx += dy
        return dx

    def extra_repr(self) -> str:
        return (
            f"{self.inp}, {self.oup}, stride={self.stride}, expand_ratio={self.expand_ratio}, "
            f"norm_layer={layer_name(self.norm_layer)}"
        )


class MobileNetV2(Module):
    """MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov & Chen 2018, table 2).

    | layer | output for 224×224 |
    |---|---|
    | features.0: conv 3×3, stride 2 | (N, 32, 112, 112) |
    | features.1: a block, t = 1 | (N, 16, 112, 112) |
    | features.2–3: 2 blocks, t = 6, stride 2 | (N, 24, 56, 56) |
    | features.4–6: 3 blocks, t = 6, stride 2 | (N, 32, 28, 28) |
    | features.7–10: 4 blocks, t = 6, stride 2 | (N, 64, 14, 14) |
    | features.11–13: 3 blocks, t = 6 | (N, 96, 14, 14) |
    | features.14–16: 3 blocks, t = 6, stride 2 | (N, 160, 7, 7) |
    | features.17: a block, t = 6 | (N, 320, 7, 7) |
    | features.18: conv 1×1 | (N, 1280, 7, 7) |
    | mean over all pixels | (N, 1280) |
    | classifier: dropout, Linear | (N, num_classes) |

    Each convolution outside and inside the blocks has batch norm and ReLU6, but the last one of a block has
    no ReLU6. Names and shapes of the parameters are torchvision's.

    Shape:
        - input: (N, in_channels, H, W), any size
        - output: (N, num_classes), logits

    Args:
        num_classes: size of the output.
        width_mult: all channels times this; the last ones only if above 1.
        inverted_residual_setting: rows of (t, c, n, s) in place of the paper's.
        round_nearest: channels are multiples of this.
        block: what is built in place of `InvertedResidual`, with the same arguments.
        norm_layer: makes the layer after a convolution from its channels; BatchNorm2d unless told.
        dropout: probability of dropping a number before the last layer.
        in_channels: 3 for colour, 1 for grey images.
        rng: where the initial values and the dropped numbers are drawn from.

    Raises:
        ValueError: a setting that is empty, or whose rows are not four numbers.
        ShapeError: an input of other channels or rank, or without pixels.
    """

    features: Sequential
    classifier: Sequential

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8,
        block: Callable[..., Module] | None = None,
        norm_layer: Norm | None = None,
        dropout: float = 0.2,
        *,
        in_channels: int = 3,
        rng: Rng | None = None,
    ) -> None:
        rows = SETTING if inverted_residual_setting is None else list(inverted_residual_setting)
        if not rows or any(len(row) != 4 for row in rows):
            raise ValueError(f"MobileNetV2: expected rows of four numbers t, c, n, s, got {rows}")
        self.num_classes = num_classes
        self.width_mult = width_mult
        self.inverted_residual_setting = [list(row) for row in rows]
        self.round_nearest = round_nearest
        self.block = block = block or InvertedResidual
        self.norm_layer = norm = norm_layer or BatchNorm2d
        self.dropout = dropout
        self.in_channels = in_channels
        width = _multiple(32 * width_mult, round_nearest)
        self.last_channel = _multiple(1280 * max(1.0, width_mult), round_nearest)
        self.features = Sequential(_conv_norm_relu6(in_channels, width, 3, 2, 1, norm, rng))
        for t, c, n, s in rows:
            outputs = _multiple(c * width_mult, round_nearest)
            for i in range(n):
                self.features.append(block(width, outputs, 1 if i else s, t, norm, rng=rng))
                width = outputs
        self.features.append(_conv_norm_relu6(width, self.last_channel, 1, 1, 1, norm, rng))
        self.avgpool = AdaptiveAvgPool2d(1)
        self.flatten = Flatten()
        self.classifier = Sequential(
            Dropout(dropout, rng=rng), Linear(self.last_channel, num_classes, rng=rng)
        )
        init_convolutions(self, rng)
        init_linear(self, rng)

    def forward(self, x: Array) -> Array:
        check_images(self, x, self.in_channels)
        x = self.avgpool(self.features(x))  # (N, 1280, 1, 1)
        return self.classifier(self.flatten(x))  # (N, num_classes)

    def backward(self, dy: Any) -> Any:
        # forward, line by line, from the last to the first
        dy = self.flatten.backward(self.classifier.backward(dy))  # (N, 1280, 1, 1)
        return self.features.backward(self.avgpool.backward(dy))  # (N, in_channels, H, W)

    def _data_layer(self) -> Module | None:
        return self.features._data_layer()

    def extra_repr(self) -> str:
        return (
            f"num_classes={self.num_classes}, width_mult={self.width_mult}, "
            f"inverted_residual_setting={self.inverted_residual_setting}, "
            f"round_nearest={self.round_nearest}, block={layer_name(self.block)}, "
            f"norm_layer={layer_name(self.norm_layer)}, dropout={self.dropout}, "
            f"in_channels={self.in_channels}"
        )


def _multiple(channels: float, divisor: int) -> int:
    """The multiple of `divisor` nearest to `channels`, but at least nine tenths of them (and one divisor)."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * channels else nearest + divisor


def mobilenet_v2(**options: Any) -> MobileNetV2:
    """MobileNetV2: 3.5 M parameters. Options are those of `MobileNetV2`."""
    return MobileNetV2(**options)
