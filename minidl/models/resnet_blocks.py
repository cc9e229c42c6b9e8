"""What residual networks are made of: two or three convolutions beside a shortcut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from minidl.array import Array
from minidl.models.parts import layer_name
from minidl.nn import BatchNorm2d, Conv2d, Module, ReLU

__all__ = ["BasicBlock", "Bottleneck", "Norm"]

Norm = Callable[[int], Module]
Rng = np.random.Generator


def _shown(downsample: Module | None) -> str:
    """It stands among the children, unless there is none."""
    return "downsample=None, " if downsample is None else ""


class BasicBlock(Module):
    """Two 3×3 convolutions beside a shortcut: `y = relu(F(x) + S(x))` (He et al. 2015, figure 5, left).

    F is conv1, bn1, ReLU, conv2, bn2; S is the input itself, or `downsample` of it.

    Shape:
        - input: (N, inplanes, H, W)
        - output: (N, planes, ⌈H / stride⌉, ⌈W / stride⌉)

    Args:
        inplanes: channels of the input.
        planes: channels of both convolutions.
        stride: of the first one.
        downsample: S, where stride or channels change.
        groups: 1.
        base_width: 64.
        dilation: 1.
        norm_layer: makes the layer after a convolution from its channels; BatchNorm2d unless told.
        rng: where the initial values are drawn from.

    Raises:
        ValueError: other groups, base_width or dilation, which only a Bottleneck has.
    """

    expansion: ClassVar[int] = 1
    downsample: Module | None
    _sizes: ClassVar = ("inplanes", "planes")

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
        *,
        rng: Rng | None = None,
    ) -> None:
        if (groups, base_width, dilation) != (1, 64, 1):
            raise ValueError(
                "BasicBlock: expected groups=1, base_width=64 and dilation=1, "
                f"got groups={groups}, base_width={base_width}, dilation={dilation}"
            )
        norm = norm_layer or BatchNorm2d
        self.inplanes = inplanes
        self.planes = planes
        self.stride = stride
        self.norm_layer = norm
        self.conv1 = Conv2d(inplanes, planes, 3, stride, padding=1, bias=False, rng=rng)
        self.bn1 = norm(planes)
        self.relu1 = ReLU()
        self.conv2 = Conv2d(planes, planes, 3, padding=1, bias=False, rng=rng)
        self.bn2 = norm(planes)
        self.relu2 = ReLU()
        self.downsample = downsample

    def forward(self, x: Array) -> Array:
        y = self.relu1(self.bn1(self.conv1(x)))  # (N, planes, H/s, W/s)
        y = self.bn2(self.conv2(y))
        y += x if self.downsample is None else self.downsample(x)  # bn2's result is nobody else's
        return self.relu2(y)

    def backward(self, dy: Any) -> Any:
        # y = relu(F(x) + S(x)):  d = relu'(dy)    dx = Fᵀ d + Sᵀ d
        d = self.relu2.backward(dy)
        dx: Any = self.conv2.backward(self.bn2.backward(d))
        dx = self.conv1.backward(self.bn1.backward(self.relu1.backward(dx)))  # (N, inplanes, H, W)
        dx += d if self.downsample is None else self.downsample.backward(d)
        return dx

    def extra_repr(self) -> str:
        return (
            f"{self.inplanes}, {self.planes}, stride={self.stride}, {_shown(self.downsample)}"
            f"groups=1, base_width=64, dilation=1, norm_layer={layer_name(self.norm_layer)}"
        )


class Bottleneck(Module):
    """A 3×3 convolution between two of 1×1 that make its channels fewer and more: `y = relu(F(x) + S(x))`.

    F is conv1 1×1, bn1, ReLU, conv2 3×3, bn2, ReLU, conv3 1×1, bn3 (He et al. 2015, figure 5, right). The
    stride is at conv2, as in torchvision; the paper has it at conv1, where three pixels of four are lost.

    Shape:
        - input: (N, inplanes, H, W)
        - output: (N, 4·planes, ⌈H / stride⌉, ⌈W / stride⌉)

    Args:
        inplanes: channels of the input.
        planes: a quarter of the output's channels.
        stride: of the 3×3 convolution.
        downsample: S, where stride or channels change.
        groups: of the 3×3 convolution (Xie et al. 2016).
        base_width: its channels are planes · base_width/64 · groups.
        dilation: of the 3×3 convolution.
        norm_layer: makes the layer after a convolution from its channels; BatchNorm2d unless told.
        rng: where the initial values are drawn from.
    """

    expansion: ClassVar[int] = 4
    downsample: Module | None
    _sizes: ClassVar = ("inplanes", "planes")

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
        *,
        rng: Rng | None = None,
    ) -> None:
        norm = norm_layer or BatchNorm2d
        width = int(planes * (base_width / 64.0)) * groups
        self.inplanes = inplanes
        self.planes = planes
        self.stride = stride
        self.groups = groups
        self.base_width = base_width
        self.dilation = dilation
        self.norm_layer = norm
        self.conv1 = Conv2d(inplanes, width, 1, bias=False, rng=rng)
        self.bn1 = norm(width)
        self.relu1 = ReLU()
        self.conv2 = Conv2d(width, width, 3, stride, dilation, dilation, groups, bias=False, rng=rng)
        self.bn2 = norm(width)
        self.relu2 = ReLU()
        self.conv3 = Conv2d(width, planes * self.expansion, 1, bias=False, rng=rng)
        self.bn3 = norm(planes * self.expansion)
        self.relu3 = ReLU()
        self.downsample = downsample

    def forward(self, x: Array) -> Array:
        y = self.relu1(self.bn1(self.conv1(x)))  # (N, width, H, W)
        y = self.relu2(self.bn2(self.conv2(y)))  # (N, width, H/s, W/s)
        y = self.bn3(self.conv3(y))  # (N, 4·planes, H/s, W/s)
        y += x if self.downsample is None else self.downsample(x)  # bn3's result is nobody else's
        return self.relu3(y)

    def backward(self, dy: Any) -> Any:
        # y = relu(F(x) + S(x)):  d = relu'(dy)    dx = Fᵀ d + Sᵀ d
        d = self.relu3.backward(dy)
        dx: Any = self.conv3.backward(self.bn3.backward(d))  # (N, width, H/s, W/s)
        dx = self.conv2.backward(self.bn2.backward(self.relu2.backward(dx)))  # (N, width, H, W)
        dx = self.conv1.backward(self.bn1.backward(self.relu1.backward(dx)))  # (N, inplanes, H, W)
        dx += d if self.downsample is None else self.downsample.backward(d)
        return dx

    def extra_repr(self) -> str:
        return (
            f"{self.inplanes}, {self.planes}, stride={self.stride}, {_shown(self.downsample)}"
            f"groups={self.groups}, base_width={self.base_width}, dilation={self.dilation}, "
            f"norm_layer={layer_name(self.norm_layer)}"
        )
