"""Adaptive pooling: a grid of windows that covers the image, so that every image gives the same size."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from minidl import kernels
from minidl.array import Array
from minidl.errors import ShapeError
from minidl.kernels.geometry import Pair, whole
from minidl.nn.module import Module
from minidl.nn.pooling_1d import Size1d, one_size

__all__ = ["AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d"]

OutputSize: TypeAlias = int | tuple[int | None, ...] | list[int | None] | None


class _AdaptivePool2d(Module):
    """What means and maxima share: how many windows there are along each axis."""

    output_size: OutputSize

    def _set_size(self, output_size: OutputSize) -> None:
        name = type(self).__name__
        sizes = output_size if isinstance(output_size, tuple | list) else [output_size] * 2
        if len(sizes) != 2:
            raise ValueError(f"{name}: expected output_size or a pair of them, got {output_size!r}")
        for size in sizes:
            if size is not None:
                whole(size, f"{name}: output_size", 1)
        self.output_size = output_size

    def _with_sizes(self, x: Array) -> tuple[Array, Pair]:
        """A batch of images, of which one alone may be given, and (OH, OW) for it."""
        x = self.check_batch(x, "N", "C", "H", "W")
        if 0 in x.shape[1:]:
            raise ShapeError(f"{self.label()}: expected an input (N, C, H, W) with pixels, got {x.shape}")
        sizes = self.output_size if isinstance(self.output_size, tuple | list) else [self.output_size] * 2
        height, width = (
            have if want is None else want for want, have in zip(sizes, x.shape[2:], strict=True)
        )
        return x, (height, width)


class AdaptiveAvgPool2d(_AdaptivePool2d):
    """Means over a grid of windows that covers the image, so that every image gives the same size.

    Window i reaches from ⌊i·H/OH⌋ to ⌈(i+1)·H/OH⌉; `AdaptiveAvgPool2d(1)` is global average pooling
    (Lin et al. 2013).

    Shape:
        - input: (N, C, H, W) or (C, H, W)
        - output: (N, C, OH, OW) or (C, OH, OW)

    Args:
        output_size: one number or (OH, OW); None in a pair keeps the input's size there.

    Raises:
        ValueError: sizes below 1.
        ShapeError: an input of another rank, or without pixels.
    """

    def __init__(self, output_size: OutputSize) -> None:
        self._set_size(output_size)

    def forward(self, x: Array) -> Array:
        x, sizes = self._with_sizes(x)
        y = kernels.adaptive_avg_pool2d(x, sizes)
        self.remember(x.shape, output=y)
        return self.as_given(y)

    def backward(self, dy: Array) -> Array:
        # dx = dy / cells, for every cell of the window
        dy, input_shape = self.recall(dy)
        return self.as_given(kernels.adaptive_avg_pool2d_input_grad(dy, input_shape))

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool2d(_AdaptivePool2d):
    """The largest numbers of a grid of windows that covers the image, whatever its size.

    Windows are those of `AdaptiveAvgPool2d`; `AdaptiveMaxPool2d(1)` is global max-pooling. The gradient
    goes to the number that won; among equals the first in reading order.

    Shape:
        - input: (N, C, H, W) or (C, H, W)
        - output: (N, C, OH, OW) or (C, OH, OW)

    Args:
        output_size: one number or (OH, OW); None in a pair keeps the input's size there.
        return_indices: True returns (output, positions of the winners h·W + w) instead of the output.

    Raises:
        ValueError: sizes below 1.
        ShapeError: an input of another rank, or without pixels.
    """

    return_indices: bool

    def __init__(self, output_size: OutputSize, return_indices: bool = False) -> None:
        self._set_size(output_size)
        self.return_indices = return_indices

    def forward(self, x: Array) -> Array | tuple[Array, Array]:
        x, sizes = self._with_sizes(x)
        y, winners = kernels.adaptive_max_pool2d(x, sizes)
        self.remember(winners, x.shape, output=y)
        if not self.return_indices:
            return self.as_given(y)
        return self.as_given(y), self.as_given(winners.astype(np.int64))

    def backward(self, dy: Array) -> Array:
        # dx[where the window's largest number was] += dy
        dy, winners, input_shape = self.recall(dy)
        return self.as_given(kernels.adaptive_max_pool2d_input_grad(dy, winners, input_shape))

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, return_indices={self.return_indices}"


class AdaptiveAvgPool1d(Module):
    """Means over windows that cover a sequence, whatever its length: `AdaptiveAvgPool2d` of one row.

    Shape:
        - input: (N, C, L) or (C, L)
        - output: (N, C, OL) or (C, OL)

    Args:
        output_size: OL, one number or a sequence of one.

    Raises:
        ValueError: a size below 1.
        ShapeError: an input of another rank, or without numbers.
    """

    output_size: int

    def __init__(self, output_size: Size1d) -> None:
        self.output_size = one_size(output_size, "AdaptiveAvgPool1d: output_size", 1)

    def forward(self, x: Array) -> Array:
        x = self.check_batch(x, "N", "C", "L")
        if 0 in x.shape[1:]:
            raise ShapeError(f"{self.label()}: expected an input (N, C, L) with numbers, got {x.shape}")
        image = x[:, :, None]  # (N, C, 1, L)
        y = kernels.adaptive_avg_pool2d(image, (1, self.output_size))[:, :, 0]  # (N, C, OL)
        self.remember(image.shape, output=y)
        return self.as_given(y)

    def backward(self, dy: Array) -> Array:
        # dx = dy / cells, for every cell of the window
        dy, input_shape = self.recall(dy)
        dx = kernels.adaptive_avg_pool2d_input_grad(dy[:, :, None], input_shape)[:, :, 0]  # (N, C, L)
        return self.as_given(dx)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
