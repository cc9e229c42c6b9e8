"""Crops and other sizes: which part of the picture is seen, and on how many pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl.data.transforms.transform import Fill, Images, Transform, checked_fill, pad, pair, windows
from minidl.errors import ShapeError

__all__ = ["CenterCrop", "RandomCrop", "Resize"]

MODES = ("constant", "edge", "reflect", "symmetric")


class RandomCrop(Transform):
    """Cut a window at a random place out of every image, as from a padded image of CIFAR.

    Args:
        size: (height, width) of the window, or one number for both.
        padding: pixels to add around the images first: one number for all sides, two for left/right and
            top/bottom, or four for left, top, right, bottom.
        pad_if_needed: pad further where an image is smaller than the window.
        fill: what a "constant" padding consists of, one number or one per channel.
        padding_mode: "constant", "edge" (the outermost pixels go on), "reflect" (mirrored without
            repeating the outermost pixel) or "symmetric" (mirrored with it).

    Shape:
        - input: (N, C, H, W)
        - output: (N, C, *size)

    Raises:
        ShapeError: an image is smaller than the window.
        ValueError: a size or padding that is none, or no such mode.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: Fill = 0,
        padding_mode: str = "constant",
    ) -> None:
        self.size = pair("RandomCrop", "size", size)
        self.padding = _sides(padding)
        self.pad_if_needed = bool(pad_if_needed)
        self.fill = fill
        if padding_mode not in MODES:
            raise ValueError(
                f"RandomCrop: expected padding_mode to be one of {', '.join(MODES)}, got {padding_mode!r}"
            )
        self.padding_mode = padding_mode

    def apply(self, x: Images, rng: np.random.Generator) -> Images:
        """Pad all, then cut one window out of each."""
        height, width = self.size
        left, top, right, bottom = self.padding
        if self.pad_if_needed:
            down = max(0, height - (x.shape[2] + top + bottom))
            across = max(0, width - (x.shape[3] + left + right))
            left, top, right, bottom = left + across, top + down, right + across, bottom + down
        framed = self._padded(x, left, top, right, bottom)
        rows, columns = framed.shape[2] - height, framed.shape[3] - width
        if rows < 0 or columns < 0:
            raise ShapeError(
                f"RandomCrop: expected images of at least {height}×{width} with their padding, "
                f"got {framed.shape[2]}×{framed.shape[3]}"
            )
        tops, lefts = rng.integers([[rows + 1], [columns + 1]], size=(2, len(x)))
        return windows(framed, tops, lefts, height, width)

    def _padded(self, x: Images, left: int, top: int, right: int, bottom: int) -> Images:
        if self.padding_mode == "constant":
            return pad(x, top, bottom, left, right, checked_fill("RandomCrop", self.fill, x))
        around: Any = [(0, 0), (0, 0), (top, bottom), (left, right)]
        return np.pad(x, around, mode=self.padding_mode)  # type: ignore[call-overload]


class CenterCrop(Transform):
    """Cut the middle out of every image; one that is smaller gets a black frame.

    Args:
        size: (height, width) of the window, or one number for both.

    Shape:
        - input: (N, C, H, W)
        - output: (N, C, *size)

    Raises:
        ValueError: a size that is none.
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = pair("CenterCrop", "size", size)

    def apply(self, x: Images, rng: np.random.Generator) -> Images:
        """Cut."""
        height, width = self.size
        down, across = (max(0, side - there) for side, there in zip(self.size, x.shape[2:], strict=True))
        if down or across:
            none = checked_fill("CenterCrop", 0, x)
            x = pad(x, down // 2, -(-down // 2), across // 2, -(-across // 2), none)
        top, left = round((x.shape[2] - height) / 2), round((x.shape[3] - width) / 2)
        return x[:, :, top : top + height, left : left + width].copy()


class Resize(Transform):
    """Show the whole image on another number of pixels, as 28×28 on the 32×32 that many networks want.

    Rows and columns are each a product with a matrix of weights: a triangle around the point that a new
    pixel's middle comes from, as wide as an old pixel or, when the image shrinks, as a new one, so that no
    stroke is skipped (`antialias`).

    Args:
        size: (height, width), or one number for the shorter side; the other then keeps the proportions.
        interpolation: "bilinear" or "nearest".
        antialias: whether a shrinking image is averaged; False looks at four pixels only.

    Shape:
        - input: (N, C, H, W)
        - output: (N, C, *size)

    Raises:
        ValueError: a size that is none, or no such interpolation.
    """

    def __init__(
        self, size: int | Sequence[int], interpolation: str = "bilinear", antialias: bool = True
    ) -> None:
        sides = pair("Resize", "size", size)
        self.size: int | tuple[int, int] = sides if isinstance(size, Sequence) else sides[0]
        if interpolation not in ("nearest", "bilinear"):
            raise ValueError(f"Resize: expected interpolation 'nearest' or 'bilinear', got {interpolation!r}")
        self.interpolation = interpolation
        self.antialias = bool(antialias)

    def apply(self, x: Images, rng: np.random.Generator) -> Images:
        """Two products."""
        here = x.shape[2:]
        if isinstance(self.size, int):
            short = min(here)
            height, width = (self.size if side == short else int(self.size * side / short) for side in here)
        else:
            height, width = self.size
        if self.interpolation == "nearest":
            rows, columns = (
                np.minimum((np.arange(new) * (old / new)).astype(np.intp), old - 1)
                for new, old in zip((height, width), here, strict=True)
            )
            return x[:, :, rows[:, np.newaxis], columns]
        floats = x.astype(np.float32) if x.dtype == np.uint8 else x
        down = _weights(here[0], height, self.antialias).astype(floats.dtype)  # (height, H)
        across = _weights(here[1], width, self.antialias).astype(floats.dtype)  # (width, W)
        resized = down @ (floats @ across.T)  # (N, C, height, width)
        return np.rint(resized).astype(x.dtype) if x.dtype == np.uint8 else resized


def _weights(old: int, new: int, antialias: bool) -> NDArray[np.float64]:
    """How much of each old pixel goes into each new one: (new, old), rows that add up to 1."""
    step = old / new
    middle = (np.arange(new).reshape(-1, 1) + 0.5) * step - 0.5  # (new, 1), in old pixels
    wide = max(1.0, step) if antialias else 1.0
    if not antialias:
        middle = np.clip(middle, 0, old - 1)
    triangle = np.maximum(0, 1 - np.abs(np.arange(old) - middle) / wide)
    return triangle / triangle.sum(axis=1, keepdims=True)


def _sides(padding: int | Sequence[int] | None) -> tuple[int, int, int, int]:
    """Left, top, right, bottom."""
    given = tuple(padding) if isinstance(padding, Sequence) else (padding or 0,)
    if len(given) not in (1, 2, 4) or not all(isinstance(side, int) and side >= 0 for side in given):
        raise ValueError(f"RandomCrop: expected a padding of 1, 2 or 4 integers ≥ 0, got {padding!r}")
    left, top, right, bottom = given * (4 // len(given))
    return left, top, right, bottom
