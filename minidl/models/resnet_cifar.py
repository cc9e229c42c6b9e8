"""The residual networks for CIFAR, and the plain ones beside them that get worse as they get deeper."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from minidl.array import Array
from minidl.models.parts import check_images, init_convolutions, scaled
from minidl.models.resnet import BasicBlock
from minidl.nn import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Flatten, Linear, Module, ReLU, Sequential

__all__ = [
    "CifarResNet",
    "PaddedShortcut",
    "PlainBlock",
    "plain20",
    "plain32",
    "plain56",
    "resnet20",
    "resnet32",
    "resnet56",
]


class PaddedShortcut(Module):
    """A shortcut without parameters: every second pixel, and channels of 0 for those that are missing.

    He et al. 2015, section 3.3, option A.

    Shape:
        - input: (N, inplanes, H, W)
        - output: (N, planes, ⌈H / stride⌉, ⌈W / stride⌉)

    Args:
        inplanes: channels of the input.
        planes: channels of the output, as many or more.
        stride: which pixels stay: the first and every `stride`-th after it.

    Raises:
        ValueError: fewer channels of the output than of the input.
        ShapeError: an input of other channels or rank.
    """

    _sizes: ClassVar = ("inplanes", "planes")

    def __init__(self, inplanes: int, planes: int, stride: int = 2) -> None:
        if planes < inplanes:
            raise ValueError(
                f"PaddedShortcut: expected at least as many planes as inplanes, got {planes} for {inplanes}"
            )
        self.inplanes = inplanes
        self.planes = planes
        self.stride = stride

    def forward(self, x: Array) -> Array:
        self.check_input(x, "N", self.inplanes, "H", "W")
        kept = x[:, :, :: self.stride, :: self.stride]
        y = np.zeros_like(x, shape=(len(x), self.planes, *kept.shape[2:]))
        y[:, : self.inplanes] = kept
        self.remember(x.shape, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy at the pixels and channels that were kept, else 0
        dy, input_shape = self.recall(dy)
        dx = np.zeros_like(dy, shape=input_shape)
        dx[:, :, :: self.stride, :: self.stride] = dy[:, : self.inplanes]
        return dx

    def extra_repr(self) -> str:
        return f"{self.inplanes}, {self.planes}, stride={self.stride}"


class PlainBlock(BasicBlock):
    """A `BasicBlock` without its shortcut: `y = relu(F(x))`. Compare the two: one line differs each way."""

    def forward(self, x: Array) -> Array:
        y = self.relu1(self.bn1(self.conv1(x)))  # (N, planes, H/s, W/s)
        return self.relu2(self.bn2(self.conv2(y)))

    def backward(self, dy: Any) -> Any:
        # y = relu(F(x)):  dx = Fᵀ relu'(dy)
        dx: Any = self.conv2.backward(self.bn2.backward(self.relu2.backward(dy)))
        return self.conv1.backward(self.bn1.backward(self.relu1.backward(dx)))  # (N, inplanes, H, W)


class CifarResNet(Module):
    """A residual network for small images (He, Zhang, Ren & Sun 2015, section 4.2).

    | layer | output for 32×32 |
    |---|---|
    | conv1 3×3, bn1, ReLU | (N, 16, 32, 32) |
    | layer1: n blocks of 16 planes | (N, 16, 32, 32) |
    | layer2: n blocks of 32 planes, the first with stride 2 | (N, 32, 16, 16) |
    | layer3: n blocks of 64 planes, the first with stride 2 | (N, 64, 8, 8) |
    | mean over all pixels | (N, 64) |
    | fc | (N, num_classes) |

    n = (depth − 2) / 6. Where size and channels change, the shortcut drops pixels and pads channels with 0
    (option A), so that the network has exactly the parameters of the plain one. Plain networks of 56 layers
    do worse than those of 20, on the training images too; residual ones do better (figure 6).

    Shape:
        - input: (N, in_channels, H, W), any size
        - output: (N, num_classes), logits

    Args:
        depth: 6n + 2 layers with weights.
        num_classes: size of the output.
        shortcuts: False makes it the plain network.
        in_channels: 3 for colour, 1 for grey images.
        width_mult: all channels times this.
        rng: where the initial values are drawn from.

    Raises:
        ValueError: a depth that is not 6n + 2.
        ShapeError: an input of other channels or rank, or without pixels.
    """

    def __init__(
        self,
        depth: int = 20,
        num_classes: int = 10,
        shortcuts: bool = True,
        *,
        in_channels: int = 3,
        width_mult: float = 1.0,
        rng: np.random.Generator | None = None,
    ) -> None:
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"CifarResNet: expected a depth of 6n + 2, such as 20, 32 or 56, got {depth}")
        self.depth = depth
        self.num_classes = num_classes
        self.shortcuts = shortcuts
        self.in_channels = in_channels
        self.width_mult = width_mult
        widths = [scaled(planes, width_mult) for planes in (16, 32, 64)]
        self.conv1 = Conv2d(in_channels, widths[0], 3, padding=1, bias=False, rng=rng)
        self.bn1 = BatchNorm2d(widths[0])
        self.relu = ReLU()
        self.layer1 = self._make_layer(widths[0], widths[0], 1, rng)
        self.layer2 = self._make_layer(widths[0], widths[1], 2, rng)
        self.layer3 = self._make_layer(widths[1], widths[2], 2, rng)
        self.avgpool = AdaptiveAvgPool2d(1)
        self.flatten = Flatten()
        self.fc = Linear(widths[2], num_classes, rng=rng)
        init_convolutions(self, rng)

    def _make_layer(
        self, inplanes: int, planes: int, stride: int, rng: np.random.Generator | None
    ) -> Sequential:
        """Blocks of the same width; the first brings size and channels to it."""
        changes = self.shortcuts and (stride, inplanes) != (1, planes)
        shortcut = PaddedShortcut(inplanes, planes, stride) if changes else None
        block = BasicBlock if self.shortcuts else PlainBlock
        first = block(inplanes, planes, stride, shortcut, rng=rng)
        others = (block(planes, planes, rng=rng) for _ in range((self.depth - 2) // 6 - 1))
        return Sequential(first, *others)

    def forward(self, x: Array) -> Array:
        check_images(self, x, self.in_channels)
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 16, H, W)
        x = self.layer3(self.layer2(self.layer1(x)))  # (N, 64, H/4, W/4)
        return self.fc(self.flatten(self.avgpool(x)))  # (N, num_classes)

    def backward(self, dy: Any) -> Any:
        # forward, line by line, from the last to the first
        dy = self.fc.backward(dy)  # (N, 64)
        dy = self.avgpool.backward(self.flatten.backward(dy))  # (N, 64, H/4, W/4)
        dy = self.layer1.backward(self.layer2.backward(self.layer3.backward(dy)))  # (N, 16, H, W)
        return self.conv1.backward(self.bn1.backward(self.relu.backward(dy)))  # (N, in_channels, H, W)

    def _data_layer(self) -> Module:
        return self.conv1

    def extra_repr(self) -> str:
        return (
            f"depth={self.depth}, num_classes={self.num_classes}, shortcuts={self.shortcuts}, "
            f"in_channels={self.in_channels}, width_mult={self.width_mult}"
        )


def resnet20(**options: Any) -> CifarResNet:
    """ResNet-20 for CIFAR: 0.27 M parameters. Options are those of `CifarResNet`."""
    return CifarResNet(20, **options)


def resnet32(**options: Any) -> CifarResNet:
    """ResNet-32 for CIFAR: 0.46 M parameters. Options are those of `CifarResNet`."""
    return CifarResNet(32, **options)


def resnet56(**options: Any) -> CifarResNet:
    """ResNet-56 for CIFAR: 0.85 M parameters. Options are those of `CifarResNet`."""
    return CifarResNet(56, **options)


def plain20(**options: Any) -> CifarResNet:
    """ResNet-20 without its shortcuts. Options are those of `CifarResNet`."""
    return CifarResNet(20, shortcuts=False, **options)


def plain32(**options: Any) -> CifarResNet:
    """ResNet-32 without its shortcuts. Options are those of `CifarResNet`."""
    return CifarResNet(32, shortcuts=False, **options)


def plain56(**options: Any) -> CifarResNet:
    """ResNet-56 without its shortcuts. Options are those of `CifarResNet`."""
    return CifarResNet(56, shortcuts=False, **options)
