"""Flips, shifts and rotations: the picture stays the same, and lies elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl.data.transforms.transform import (
    Fill,
    Images,
    Transform,
    checked_fill,
    pad,
    probability,
    windows,
)

__all__ = ["RandomHorizontalFlip", "RandomRotation", "RandomShift", "RandomVerticalFlip"]


class RandomHorizontalFlip(Transform):
    """Mirror left and right, each image with probability `p`.

    Args:
        p: how likely.

    Raises:
        ValueError: `p` is no probability.
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability("RandomHorizontalFlip", p)

    def apply(self, x: Images, rng: np.random.Generator) -> Images:
        """Mirror some."""
        flipped = x.copy()
        chosen = rng.random(len(x)) < self.p
        flipped[chosen] = x[chosen, :, :, ::-1]
        return flipped


class RandomVerticalFlip(Transform):
    """Mirror top and bottom, each image with probability `p`.

    Args:
        p: how likely.

    Raises:
        ValueError: `p` is no probability.
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability("RandomVerticalFlip", p)

    def apply(self, x: Images, rng: np.random.Generator) -> Images:
        """Mirror some."""
        flipped = x.copy()
        chosen = rng.random(len(x)) < self.p
        flipped[chosen] = x[chosen, :, ::-1]
        return flipped


class RandomShift(Transform):
    """Move every image by whole pixels, as far as `translate` allows; what comes in is `fill`.

    It is the translation of torchvision's `RandomAffine(0, translate)`.

    Args:
        translate: the furthest, as fractions of width and height, or one number for both: 0.1 moves an image
            28 pixels wide by −3 to 3.
        fill: the colour around the image, one number or one per channel.

    Raises:
        ValueError: a fraction that is not from 0 to 1.
    """

    def __init__(self, translate: float | Sequence[float], fill: Fill = 0) -> None:
        given = tuple(translate) if isinstance(translate, Sequence) else (translate, translate)
        if len(given) != 2 or not all(0 <= part <= 1 for part in given):
            raise ValueError(f"RandomShift: expected one or two fractions from 0 to 1, got {translate!r}")
        self.translate = given
        self.fill = fill

    def apply(self, x: Images, rng: np.random.Generator) -> Images:
        """Cut windows of the images' own size out of the padded images."""
        fill = checked_fill("RandomShift", self.fill, x)
        height, width = x.shape[2:]
        furthest = np.array([[width * self.translate[0]], [height * self.translate[1]]])  # (2, 1)
        right, down = np.rint(rng.uniform(-furthest, furthest, (2, len(x)))).astype(np.intp)  # (N,) each
        columns, rows = (math.ceil(most) for most in furthest[:, 0])
        framed = pad(x, rows, rows, columns, columns, fill)
        return windows(framed, rows - down, columns - right, height, width)


class RandomRotation(Transform):
    """Turn every image around its middle by an angle of its own; what comes in is `fill`.

    Args:
        degrees: the least and the largest angle, counter-clockwise, or one number d for −d to d.
        interpolation: "nearest" takes the nearest pixel, "bilinear" mixes the four around the point.
        center: (x, y) of the point around which to turn, in pixels from the upper left corner; the middle
            by default.
        fill: the colour around the image, one number or one per channel.

    Raises:
        ValueError: no such interpolation, a negative number of degrees, or angles in the wrong order.
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: str = "nearest",
        center: tuple[float, float] | None = None,
        fill: Fill = 0,
    ) -> None:
        given = tuple(degrees) if isinstance(degrees, Sequence) else (-degrees, degrees)
        if len(given) != 2 or not -math.inf < given[0] <= given[1] < math.inf:
            raise ValueError(
                f"RandomRotation: expected degrees of at least 0, or (least, largest), got {degrees!r}"
            )
        if interpolation not in ("nearest", "bilinear"):
            raise ValueError(
                f"RandomRotation: expected interpolation 'nearest' or 'bilinear', got {interpolation!r}"
            )
        self.degrees = given
        self.interpolation = interpolation
        self.center = center
        self.fill = fill

    def apply(self, x: Images, rng: np.random.Generator) -> Images:
        """Look up where each pixel of the turned image comes from."""
        fill = checked_fill("RandomRotation", self.fill, x)
        height, width = x.shape[2:]
        dtype: Any = np.float64 if x.dtype == np.float64 else np.float32
        angles = np.deg2rad(rng.uniform(*self.degrees, len(x))).reshape(-1, 1, 1)  # (N, 1, 1)
        # A pixel's middle lies half a pixel inside: the middle of the image is ((W − 1) / 2, (H − 1) / 2).
        middle = (width / 2, height / 2) if self.center is None else self.center
        cx, cy = middle[0] - 0.5, middle[1] - 0.5
        right = np.arange(width, dtype=dtype) - dtype(cx)  # (W,)
        down = np.arange(height, dtype=dtype).reshape(-1, 1) - dtype(cy)  # (H, 1)
        cos, sin = np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)
        # Turned back by the angle; rows are counted downwards, so the signs are those of a clockwise turn.
        columns = cos * right - sin * down + dtype(cx)  # (N, H, W)
        rows = sin * right + cos * down + dtype(cy)
        return (_nearest if self.interpolation == "nearest" else _bilinear)(x, rows, columns, fill)


def _nearest(x: Images, rows: NDArray[Any], columns: NDArray[Any], fill: Images) -> Images:
    """The pixels of image n nearest to the points (rows[n], columns[n]), each (N, H, W)."""
    height, width = x.shape[2:]
    framed = pad(x, 1, 1, 1, 1, fill)
    down = np.clip(np.rint(rows), -1, height).astype(np.intp) + 1
    right = np.clip(np.rint(columns), -1, width).astype(np.intp) + 1
    return framed.reshape(-1).take(_planes(framed) + (down * framed.shape[3] + right)[:, np.newaxis])


def _bilinear(x: Images, rows: NDArray[Any], columns: NDArray[Any], fill: Images) -> Images:
    """The same, mixed from the four pixels around each point by how near they are."""
    height, width = x.shape[2:]
    framed = pad(x, 1, 2, 1, 2, fill)  # one more, since a point on the frame has a neighbour too
    if x.dtype == np.uint8:
        framed = framed.astype(np.float32)
    rows, columns = np.clip(rows, -1, height), np.clip(columns, -1, width)
    top, left = np.floor(rows), np.floor(columns)
    down = (rows - top)[:, np.newaxis].astype(framed.dtype, copy=False)  # (N, 1, H, W)
    right = (columns - left)[:, np.newaxis].astype(framed.dtype, copy=False)
    pixels, stride = framed.reshape(-1), framed.shape[3]
    corner = _planes(framed) + ((top.astype(np.intp) + 1) * stride + left.astype(np.intp) + 1)[:, np.newaxis]
    above = pixels.take(corner)
    above += right * (pixels.take(corner + 1) - above)
    corner += stride
    below = pixels.take(corner)
    below += right * (pixels.take(corner + 1) - below)
    above += down * (below - above)  # (N, C, H, W)
    return np.rint(above).astype(x.dtype) if x.dtype == np.uint8 else above


def _planes(x: Images) -> NDArray[np.intp]:
    """Where each channel of each image begins, (N, C, 1, 1)."""
    batch, channels, height, width = x.shape
    return np.arange(batch * channels).reshape(batch, channels, 1, 1) * (height * width)
