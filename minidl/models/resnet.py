"""ResNet: layers learn what to add to their input, and networks of a hundred layers become trainable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.array import Array
from minidl.models.parts import check_images, init_convolutions, layer_name, scaled
from minidl.models.resnet_blocks import BasicBlock, Bottleneck, Norm
from minidl.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
    init,
)

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "ResNet",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
]

Rng = np.random.Generator


class ResNet(Module):
    """A residual network for photographs (He, Zhang, Ren & Sun 2015, table 1).

    | layer | output for 224×224 |
    |---|---|
    | conv1 7×7, stride 2, bn1, ReLU | (N, 64, 112, 112) |
    | max-pool 3×3, stride 2 | (N, 64, 56, 56) |
    | layer1: blocks of 64 planes | (N, 64·e, 56, 56) |
    | layer2: blocks of 128 planes, the first with stride 2 | (N, 128·e, 28, 28) |
    | layer3: blocks of 256 planes, the first with stride 2 | (N, 256·e, 14, 14) |
    | layer4: blocks of 512 planes, the first with stride 2 | (N, 512·e, 7, 7) |
    | mean over all pixels | (N, 512·e) |
    | fc | (N, num_classes) |

    e is 1 for a BasicBlock and 4 for a Bottleneck. Where size or channels change, the shortcut is a 1×1
    convolution with batch norm (option B). Names and shapes of the parameters are torchvision's.

    Shape:
        - input: (N, in_channels, H, W), any size
        - output: (N, num_classes), logits

    Args:
        block: BasicBlock or Bottleneck.
        layers: how many blocks in layer1 to layer4.
        num_classes: size of the output.
        zero_init_residual: True starts each block's last γ at 0, so that every block begins as its shortcut
            (Goyal et al. 2017).
        groups: of the 3×3 convolutions of a Bottleneck.
        width_per_group: 64 gives these convolutions `planes` channels.
        replace_stride_with_dilation: for layer2 to layer4, True keeps the size and dilates instead.
        norm_layer: makes the layer after a convolution from its channels; BatchNorm2d unless told.
        in_channels: 3 for colour, 1 for grey images.
        width_mult: all channels times this, for networks smaller than the paper's.
        rng: where the initial values are drawn from.

    Raises:
        ValueError: `layers` are not four, or `replace_stride_with_dilation` not three.
        ShapeError: an input of other channels or rank, or without pixels.
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Norm | None = None,
        *,
        in_channels: int = 3,
        width_mult: float = 1.0,
        rng: Rng | None = None,
    ) -> None:
        dilate = [False] * 3 if replace_stride_with_dilation is None else list(replace_stride_with_dilation)
        if len(layers) != 4 or len(dilate) != 3:
            raise ValueError(
                "ResNet: expected four layers and three of replace_stride_with_dilation, "
                f"got {layers} and {replace_stride_with_dilation}"
            )
        self.block = block
        self.layers = list(layers)
        self.num_classes = num_classes
        self.zero_init_residual = zero_init_residual
        self.groups = groups
        self.width_per_group = width_per_group
        self.replace_stride_with_dilation = dilate
        self.norm_layer = norm_layer or BatchNorm2d
        self.in_channels = in_channels
        self.width_mult = width_mult
        planes = [scaled(width, width_mult) for width in (64, 128, 256, 512)]
        self.conv1 = Conv2d(in_channels, planes[0], 7, stride=2, padding=3, bias=False, rng=rng)
        self.bn1 = self.norm_layer(planes[0])
        self.relu = ReLU()
        self.maxpool = MaxPool2d(3, stride=2, padding=1)
        self._inplanes, self._dilation = planes[0], 1  # what the next layer meets
        self.layer1 = self._make_layer(planes[0], layers[0], 1, False, rng)
        self.layer2 = self._make_layer(planes[1], layers[1], 2, dilate[0], rng)
        self.layer3 = self._make_layer(planes[2], layers[2], 2, dilate[1], rng)
        self.layer4 = self._make_layer(planes[3], layers[3], 2, dilate[2], rng)
        self.avgpool = AdaptiveAvgPool2d(1)
        self.flatten = Flatten()
        self.fc = Linear(self._inplanes, num_classes, rng=rng)
        init_convolutions(self, rng)
        if zero_init_residual:
            for module in self.modules():
                last = {BasicBlock: "bn2", Bottleneck: "bn3"}.get(type(module))
                if last and (gamma := getattr(getattr(module, last), "weight", None)) is not None:
                    init.zeros_(gamma)

    def _make_layer(self, planes: int, blocks: int, stride: int, dilate: bool, rng: Rng | None) -> Sequential:
        """Blocks of the same width; the first brings size and channels to it."""
        block, norm, inplanes, dilation = self.block, self.norm_layer, self._inplanes, self._dilation
        outputs = planes * block.expansion
        if dilate:
            self._dilation, stride = dilation * stride, 1
        downsample = None
        if stride != 1 or inplanes != outputs:
            downsample = Sequential(
                Conv2d(inplanes, outputs, 1, stride, bias=False, rng=rng),
                norm(outputs),
            )
        how = (self.groups, self.width_per_group)
        first = block(inplanes, planes, stride, downsample, *how, dilation, norm, rng=rng)
        self._inplanes = outputs
        others = (
            block(outputs, planes, 1, None, *how, self._dilation, norm, rng=rng) for _ in range(1, blocks)
        )
        return Sequential(first, *others)

    def forward(self, x: Array) -> Array:
        check_images(self, x, self.in_channels)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (N, 64, H/4, W/4)
        x = self.layer2(self.layer1(x))  # (N, 128·e, H/8, W/8)
        x = self.layer4(self.layer3(x))  # (N, 512·e, H/32, W/32)
        x = self.flatten(self.avgpool(x))  # (N, 512·e)
        return self.fc(x)  # (N, num_classes)

    def backward(self, dy: Any) -> Any:
        # forward, line by line, from the last to the first
        dy = self.fc.backward(dy)  # (N, 512·e)
        dy = self.avgpool.backward(self.flatten.backward(dy))  # (N, 512·e, H/32, W/32)
        dy = self.layer3.backward(self.layer4.backward(dy))  # (N, 128·e, H/8, W/8)
        dy = self.layer1.backward(self.layer2.backward(dy))  # (N, 64, H/4, W/4)
        return self.conv1.backward(self.bn1.backward(self.relu.backward(self.maxpool.backward(dy))))

    def _data_layer(self) -> Module:
        return self.conv1

    def extra_repr(self) -> str:
        return (
            f"block={self.block.__name__}, layers={self.layers}, num_classes={self.num_classes}, "
            f"zero_init_residual={self.zero_init_residual}, groups={self.groups}, "
            f"width_per_group={self.width_per_group}, "
            f"replace_stride_with_dilation={self.replace_stride_with_dilation}, "
            f"norm_layer={layer_name(self.norm_layer)}, "
            f"in_channels={self.in_channels}, width_mult={self.width_mult}"
        )


def resnet18(**options: Any) -> ResNet:
    """ResNet-18: 11.7 M parameters. Options are those of `ResNet`."""
    return ResNet(BasicBlock, [2, 2, 2, 2], **options)


def resnet34(**options: Any) -> ResNet:
    """ResNet-34: 21.8 M parameters. Options are those of `ResNet`."""
    return ResNet(BasicBlock, [3, 4, 6, 3], **options)


def resnet50(**options: Any) -> ResNet:
    """ResNet-50: 25.6 M parameters. Options are those of `ResNet`."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **options)


def resnet101(**options: Any) -> ResNet:
    """ResNet-101: 44.5 M parameters. Options are those of `ResNet`."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **options)


def resnet152(**options: Any) -> ResNet:
    """ResNet-152: 60.2 M parameters. Options are those of `ResNet`."""
    return ResNet(Bottleneck, [3, 8, 36, 3], **options)
