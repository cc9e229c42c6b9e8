"""VGG: deep networks of nothing but 3×3 convolutions, and what it showed is that depth counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from minidl.array import Array
from minidl.models.parts import check_images, init_convolutions, init_linear
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

__all__ = [
    "LAYERS",
    "VGG",
    "make_layers",
    "vgg11",
    "vgg11_bn",
    "vgg11_cifar",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg16_cifar",
    "vgg19",
    "vgg19_bn",
]

Rng = np.random.Generator
Channels = Sequence[int | Literal["M"]]

LAYERS: dict[int, Channels] = {
    11: [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    13: [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    16: [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3, "M"],
    19: [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"],
}
"""Table 1's columns A, B, D and E: the channels of each 3×3 convolution; M is a max-pool 2×2."""


def make_layers(
    channels: Channels, batch_norm: bool = False, *, in_channels: int = 3, rng: Rng | None = None
) -> Sequential:
    """The convolutions of a VGG: each with padding 1 and a ReLU.

    Args:
        channels: of each convolution in turn, and "M" for a max-pool 2×2, as in `LAYERS`.
        batch_norm: True puts a BatchNorm2d before each ReLU.
        in_channels: of the images.
        rng: where the initial values are drawn from.
    """
    layers: list[Module] = []
    for width in channels:
        if width == "M":
            layers.append(MaxPool2d(2))
            continue
        layers.append(Conv2d(in_channels, width, 3, padding=1, rng=rng))
        layers += [BatchNorm2d(width)] * batch_norm  # one at most
        layers.append(ReLU())
        in_channels = width
    return Sequential(*layers)


class VGG(Module):
    """A network of 3×3 convolutions (Simonyan & Zisserman 2014, table 1).

    | layer | output for 224×224 |
    |---|---|
    | features: 1 to 4 convolutions of 64 channels, max-pool | (N, 64, 112, 112) |
    | … of 128, max-pool | (N, 128, 56, 56) |
    | … of 256, max-pool | (N, 256, 28, 28) |
    | … of 512, max-pool | (N, 512, 14, 14) |
    | … of 512, max-pool | (N, 512, 7, 7) |
    | means over a grid of 7×7 | (N, 512, 7, 7) |
    | classifier: Linear, ReLU, dropout, twice | (N, 4096) |
    | classifier: Linear | (N, num_classes) |

    Two 3×3 convolutions see as far as one of 5×5, with fewer weights and a ReLU more. The grid of means is
    torchvision's, for images of other sizes; with 224×224 it changes nothing. Names and shapes of the
    parameters are torchvision's too.

    Shape:
        - input: (N, in_channels, H, W), at least 32×32 with five max-pools
        - output: (N, num_classes), logits

    Args:
        features: the convolutions, as `make_layers` builds them.
        num_classes: size of the output.
        init_weights: False leaves the layers' own initial values; True draws the convolutions' with variance
            2/fan_out, the linear layers' with standard deviation 0.01, and sets biases to 0.
        dropout: probability of dropping a number after each hidden layer.
        hidden: sizes of the hidden layers; none of them, and one linear layer remains.
        grid: how many means in a row and a column.
        rng: where the initial values and the dropped numbers are drawn from.

    Raises:
        ValueError: features without a convolution.
        ShapeError: an input of other channels or rank, or too small for the max-pools.
    """

    features: Sequential
    classifier: Sequential

    def __init__(
        self,
        features: Sequential,
        num_classes: int = 1000,
        init_weights: bool = True,
        dropout: float = 0.5,
        *,
        hidden: Sequence[int] = (4096, 4096),
        grid: int = 7,
        rng: Rng | None = None,
    ) -> None:
        convolutions = [layer for layer in features.modules() if isinstance(layer, Conv2d)]
        if not convolutions:
            raise ValueError("VGG: expected features with convolutions, got none")
        self.num_classes = num_classes
        self.init_weights = init_weights
        self.dropout = dropout
        self.hidden = tuple(hidden)
        self.grid = grid
        self._in_channels = convolutions[0].in_channels
        self._least = 2 ** sum(isinstance(layer, MaxPool2d) for layer in features.modules())
        self.features = features
        self.avgpool = AdaptiveAvgPool2d(grid)
        self.flatten = Flatten()
        self.classifier = Sequential()
        width = convolutions[-1].out_channels * grid * grid
        for size in self.hidden:
            self.classifier.extend([Linear(width, size, rng=rng), ReLU(), Dropout(dropout, rng=rng)])
            width = size
        self.classifier.append(Linear(width, num_classes, rng=rng))
        if init_weights:
            init_convolutions(self, rng)
            init_linear(self, rng)

    def forward(self, x: Array) -> Array:
        check_images(self, x, self._in_channels, self._least)
        x = self.avgpool(self.features(x))  # (N, 512, 7, 7)
        x = self.flatten(x)  # (N, 25088)
        return self.classifier(x)  # (N, num_classes)

    def backward(self, dy: Any) -> Any:
        # forward, line by line, from the last to the first
        dy = self.flatten.backward(self.classifier.backward(dy))  # (N, 512, 7, 7)
        return self.features.backward(self.avgpool.backward(dy))  # (N, in_channels, H, W)

    def _data_layer(self) -> Module | None:
        return self.features._data_layer()

    def extra_repr(self) -> str:
        return (
            f"num_classes={self.num_classes}, init_weights={self.init_weights}, dropout={self.dropout}, "
            f"hidden={self.hidden}, grid={self.grid}"
        )


def _vgg(depth: int, batch_norm: bool, in_channels: int = 3, rng: Rng | None = None, **options: Any) -> VGG:
    features = make_layers(LAYERS[depth], batch_norm, in_channels=in_channels, rng=rng)
    return VGG(features, rng=rng, **options)


def vgg11(**options: Any) -> VGG:
    """VGG with 8 convolutions: 133 M parameters. Options are those of `VGG`, and `in_channels`."""
    return _vgg(11, False, **options)


def vgg11_bn(**options: Any) -> VGG:
    """VGG with 8 convolutions and batch norm. Options are those of `VGG`, and `in_channels`."""
    return _vgg(11, True, **options)


def vgg13(**options: Any) -> VGG:
    """VGG with 10 convolutions: 133 M parameters. Options are those of `VGG`, and `in_channels`."""
    return _vgg(13, False, **options)


def vgg13_bn(**options: Any) -> VGG:
    """VGG with 10 convolutions and batch norm. Options are those of `VGG`, and `in_channels`."""
    return _vgg(13, True, **options)


def vgg16(**options: Any) -> VGG:
    """VGG with 13 convolutions: 138 M parameters. Options are those of `VGG`, and `in_channels`."""
    return _vgg(16, False, **options)


def vgg16_bn(**options: Any) -> VGG:
    """VGG with 13 convolutions and batch norm. Options are those of `VGG`, and `in_channels`."""
    return _vgg(16, True, **options)


def vgg19(**options: Any) -> VGG:
    """VGG with 16 convolutions: 144 M parameters. Options are those of `VGG`, and `in_channels`."""
    return _vgg(19, False, **options)


def vgg19_bn(**options: Any) -> VGG:
    """VGG with 16 convolutions and batch norm. Options are those of `VGG`, and `in_channels`."""
    return _vgg(19, True, **options)


def vgg11_cifar(num_classes: int = 10, **options: Any) -> VGG:
    """VGG-11 with batch norm and one linear layer of 512 numbers, for images of 32×32: 9.2 M parameters."""
    return _vgg(11, True, num_classes=num_classes, hidden=(), grid=1, **options)


def vgg16_cifar(num_classes: int = 10, **options: Any) -> VGG:
    """VGG-16 with batch norm and one linear layer of 512 numbers, for images of 32×32: 14.7 M parameters."""
    return _vgg(16, True, num_classes=num_classes, hidden=(), grid=1, **options)
