"""What GoogLeNet is made of: convolutions with batch norm, four branches side by side, extra heads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.array import Array
from minidl.models.parts import layer_name, scaled
from minidl.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)

__all__ = ["Convolutions", "Inception", "InceptionAux", "Norm"]

Norm = Callable[[int], Module]
Rng = np.random.Generator


def _batch_norm(channels: int) -> BatchNorm2d:
    return BatchNorm2d(channels, eps=0.001)


class Convolutions:
    """Makes convolutions with what comes after them; parameters are `conv.weight`, `bn.weight`, `bn.bias`."""

    def __init__(self, norm_layer: Norm | None, rng: Rng | None) -> None:
        self.norm = norm_layer or _batch_norm
        self.rng = rng

    def __call__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0
    ) -> Sequential:
        conv = Conv2d(inputs, outputs, kernel, stride, padding, bias=False, rng=self.rng)
        return Sequential({"conv": conv, "bn": self.norm(outputs), "relu": ReLU()})


class Inception(Module):
    """Four branches on one input, their channels side by side: `y = [b₁(x), b₂(x), b₃(x), b₄(x)]`.

    | branch | channels |
    |---|---|
    | branch1: 1×1 | ch1x1 |
    | branch2: 1×1 to ch3x3red channels, 3×3 | ch3x3 |
    | branch3: 1×1 to ch5x5red channels, 3×3 | ch5x5 |
    | branch4: max-pool 3×3, 1×1 | pool_proj |

    (Szegedy et al. 2014, figure 2b.) The 1×1 convolutions before the larger ones make these cheap. The
    paper's third branch has 5×5; torchvision's has 3×3 under the same names, and this one follows it.

    Shape:
        - input: (N, in_channels, H, W)
        - output: (N, ch1x1 + ch3x3 + ch5x5 + pool_proj, H, W)

    Args:
        in_channels: of the input.
        ch1x1: channels of the first branch.
        ch3x3red: to how many channels the second reduces the input.
        ch3x3: channels of the second branch.
        ch5x5red: to how many channels the third reduces the input.
        ch5x5: channels of the third branch.
        pool_proj: channels of the fourth branch.
        norm_layer: makes the layer after a convolution from its channels; BatchNorm2d with eps 0.001 unless
            told.
        rng: where the initial values are drawn from.
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
        *,
        norm_layer: Norm | None = None,
        rng: Rng | None = None,
    ) -> None:
        conv = Convolutions(norm_layer, rng)
        widths = (in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj)
        self._arguments = (*widths, layer_name(norm_layer))
        self._ends = (ch1x1, ch1x1 + ch3x3, ch1x1 + ch3x3 + ch5x5)  # where a branch's channels end
        self.out_channels = ch1x1 + ch3x3 + ch5x5 + pool_proj
        self.branch1 = conv(in_channels, ch1x1, 1)
        self.branch2 = Sequential(conv(in_channels, ch3x3red, 1), conv(ch3x3red, ch3x3, 3, padding=1))
        self.branch3 = Sequential(conv(in_channels, ch5x5red, 1), conv(ch5x5red, ch5x5, 3, padding=1))
        self.branch4 = Sequential(
            MaxPool2d(3, stride=1, padding=1, ceil_mode=True), conv(in_channels, pool_proj, 1)
        )

    def forward(self, x: Array) -> Array:
        branches = (self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x))
        y = np.concatenate(branches, axis=1)  # (N, out_channels, H, W)
        self.remember(output=y)
        return y

    def backward(self, dy: Any) -> Any:
        # dx = b₁ᵀ dy₁ + b₂ᵀ dy₂ + b₃ᵀ dy₃ + b₄ᵀ dy₄, with dy = [dy₁, dy₂, dy₃, dy₄]
        (dy,) = self.recall(dy)
        dy1, dy2, dy3, dy4 = np.split(dy, self._ends, axis=1)
        dx = self.branch1.backward(dy1)
        dx += self.branch2.backward(dy2)
        dx += self.branch3.backward(dy3)
        dx += self.branch4.backward(dy4)
        return dx

    def extra_repr(self) -> str:
        names = ("in_channels", "ch1x1", "ch3x3red", "ch3x3", "ch5x5red", "ch5x5", "pool_proj", "norm_layer")
        return ", ".join(f"{name}={value}" for name, value in zip(names, self._arguments, strict=True))


class InceptionAux(Module):
    """An auxiliary head: it classifies from the middle of the network, so that gradients arrive there too.

    Means over a grid of 4×4, a 1×1 convolution, Linear, ReLU, dropout, Linear (section 5 of the paper).

    Shape:
        - input: (N, in_channels, H, W)
        - output: (N, num_classes), logits

    Args:
        in_channels: of the input.
        num_classes: size of the output.
        dropout: probability of dropping a number before the last layer.
        width_mult: its channels and hidden size times this.
        norm_layer: makes the layer after the convolution from its channels; BatchNorm2d with eps 0.001
            unless told.
        rng: where the initial values and the dropped numbers are drawn from.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        dropout: float = 0.7,
        *,
        width_mult: float = 1.0,
        norm_layer: Norm | None = None,
        rng: Rng | None = None,
    ) -> None:
        self.num_classes = num_classes
        self._arguments = (in_channels, dropout, width_mult, layer_name(norm_layer))
        width, hidden = scaled(128, width_mult), scaled(1024, width_mult)
        self.pool = AdaptiveAvgPool2d(4)
        self.conv = Convolutions(norm_layer, rng)(in_channels, width, 1)
        self.flatten = Flatten()
        self.fc1 = Linear(width * 4 * 4, hidden, rng=rng)
        self.relu = ReLU()
        self.drop = Dropout(dropout, rng=rng)
        self.fc2 = Linear(hidden, num_classes, rng=rng)

    def forward(self, x: Array) -> Array:
        x = self.flatten(self.conv(self.pool(x)))  # (N, 2048)
        return self.fc2(self.drop(self.relu(self.fc1(x))))  # (N, num_classes)

    def backward(self, dy: Any) -> Any:
        dy = self.fc2.backward(dy)  # (N, 1024)
        dy = self.relu.backward(self.drop.backward(dy))
        dy = self.fc1.backward(dy)  # (N, 2048)
        dy = self.flatten.backward(dy)  # (N, 128, 4, 4)
        return self.pool.backward(self.conv.backward(dy))  # (N, in_channels, H, W)

    def extra_repr(self) -> str:
        in_channels, dropout, width_mult, norm_layer = self._arguments
        return (
            f"in_channels={in_channels}, num_classes={self.num_classes}, dropout={dropout}, "
            f"width_mult={width_mult}, norm_layer={norm_layer}"
        )
