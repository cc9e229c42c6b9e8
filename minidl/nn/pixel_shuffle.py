"""Pixel shuffle: channels become pixels, so that a convolution at low resolution draws at a high one."""

from __future__ import annotations

import numpy as np

from minidl.array import Array
from minidl.errors import ShapeError
from minidl.kernels.geometry import whole
from minidl.nn.module import Module

__all__ = ["PixelShuffle", "PixelUnshuffle"]


def _to_pixels(x: Array, r: int) -> Array:
    """Channel c·r² + i·r + j gives row i, column j of the r×r block that a pixel of channel c becomes."""
    *batch, channels, height, width = x.shape
    n = len(batch)
    x = x.reshape(*batch, channels // (r * r), r, r, height, width)  # (*, C, r, r, H, W)
    blocks = np.empty_like(x, shape=(*x.shape[: n + 1], height, r, width, r))
    for j in range(r):  # each as long rows: twice as fast as one transposed copy
        blocks[..., j] = x[..., j, :, :].swapaxes(-3, -2)  # (*, C, H, r, W)
    return blocks.reshape(*batch, channels // (r * r), height * r, width * r)  # (*, C, H·r, W·r)


def _to_channels(x: Array, r: int) -> Array:
    """The way back: nothing but places change, so it is the transpose too."""
    *batch, channels, height, width = x.shape
    n = len(batch)
    x = x.reshape(*batch, channels, height // r, r, width // r, r)  # (*, C, H/r, r, W/r, r)
    order = (*range(n + 1), n + 2, n + 4, n + 1, n + 3)
    blocks = x.transpose(order).copy()  # (*, C, r, r, H/r, W/r)
    return blocks.reshape(*batch, channels * r * r, height // r, width // r)  # (*, C·r², H/r, W/r)


class PixelShuffle(Module):
    """Channels become pixels: `y[c, h·r + i, w·r + j] = x[c·r² + i·r + j, h, w]` (Shi et al. 2016).

    Shape:
        - input: (*, C·r², H, W)
        - output: (*, C, H·r, W·r)

    Args:
        upscale_factor: r.

    Raises:
        ValueError: r below 1.
        ShapeError: an input of fewer dimensions, or channels that r² does not divide.
    """

    upscale_factor: int

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = whole(upscale_factor, "PixelShuffle: upscale_factor", 1)

    def forward(self, x: Array) -> Array:
        self.check_input(x, "*", "C", "H", "W")
        r = self.upscale_factor
        if x.shape[-3] % (r * r):
            raise ShapeError(
                f"{self.label()}: expected channels that upscale_factor² = {r * r} divides, got {x.shape}"
            )
        y = _to_pixels(x, r)
        self.remember(r, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # The numbers only changed their places, so the gradients change back.
        dy, r = self.recall(dy)
        return _to_channels(dy, r)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Pixels become channels, PixelShuffle's way back: `y[c·r² + i·r + j, h, w] = x[c, h·r + i, w·r + j]`.

    Shape:
        - input: (*, C, H·r, W·r)
        - output: (*, C·r², H, W)

    Args:
        downscale_factor: r.

    Raises:
        ValueError: r below 1.
        ShapeError: an input of fewer dimensions, or a height or width that r does not divide.
    """

    downscale_factor: int

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = whole(downscale_factor, "PixelUnshuffle: downscale_factor", 1)

    def forward(self, x: Array) -> Array:
        self.check_input(x, "*", "C", "H", "W")
        r = self.downscale_factor
        if x.shape[-2] % r or x.shape[-1] % r:
            raise ShapeError(
                f"{self.label()}: expected a height and width that downscale_factor = {r} divides, "
                f"got {x.shape}"
            )
        y = _to_channels(x, r)
        self.remember(r, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # The numbers only changed their places, so the gradients change back.
        dy, r = self.recall(dy)
        return _to_pixels(dy, r)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"
