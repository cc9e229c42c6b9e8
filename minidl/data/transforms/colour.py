"""What happens to the pixels' values: floats from bytes, mean 0 and spread 1, and other light."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl.data.transforms.transform import Images, Transform
from minidl.errors import DTypeError, ShapeError

__all__ = ["ColorJitter", "Normalize", "ToFloat", "hsv_to_rgb", "rgb_to_hsv"]

GREY = (0.2989, 0.587, 0.114)  # how bright red, green and blue look: torchvision's weights of ITU-R BT.601


class ToFloat(Transform):
    """Bytes from 0 to 255 become float32 from 0 to 1; what is float already stays as it is.

    Shape:
        - input: (N, C, H, W) of uint8, float32 or float64
        - output: the same, float32 or float64
    """

    def apply(self, x: Images, rng: np.random.Generator) -> Images:
        """Divide bytes by 255."""
        return _floats(x) if x.dtype == np.uint8 else x.copy()


class Normalize(Transform):
    """Subtract a mean and divide by a standard deviation, channel by channel: `(x − mean) / std`.

    Args:
        mean: one number, or one per channel.
        std: one number above 0, or one per channel.

    Raises:
        ValueError: a standard deviation that is not above 0.
        ShapeError: another number of means or deviations than channels.
        DTypeError: images of bytes; `ToFloat` comes first.
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean = mean
        self.std = std
        if not (np.asarray(std) > 0).all() or not np.isfinite(mean).all():
            raise ValueError(f"Normalize: expected std above 0 and a finite mean, got {std!r} and {mean!r}")

    def apply(self, x: Images, rng: np.random.Generator) -> Images:
        """Shift and scale."""
        if x.dtype == np.uint8:
            raise DTypeError("Normalize: expected floats, got uint8; ToFloat() before it makes some")
        mean, std = (self._column(x, name) for name in ("mean", "std"))
        normalized = x - mean
        normalized /= std
        return normalized

    def _column(self, x: Images, name: str) -> Images:
        values = np.asarray(getattr(self, name), x.dtype).reshape(-1, 1, 1)  # (C, 1, 1)
        if len(values) not in (1, x.shape[1]):
            raise ShapeError(
                f"Normalize: expected one {name} or {x.shape[1]}, one per channel, got {len(values)}"
            )
        return values


class ColorJitter(Transform):
    """Change brightness, contrast, saturation and hue at random, in an order that is random too.

    With a factor f of its own for every image: brightness is f x; contrast f x + (1 − f) m, m the mean grey
    of the image; saturation f x + (1 − f) g, g the grey of the pixel; hue turns the colour circle by f.
    Results are cut to the range of colours, 0 to 1 (or 255).

    Args:
        brightness: b draws f from max(0, 1 − b) to 1 + b; a pair is the range itself.
        contrast: likewise.
        saturation: likewise.
        hue: h draws f from −h to h, of a whole turn; a pair is the range itself, within −0.5 to 0.5.

    Shape:
        - input: (N, C, H, W), C = 3 (red, green, blue), or 1, where saturation and hue do nothing
        - output: the same

    Raises:
        ValueError: a range that is not in order, or that goes too far.
        ShapeError: images of another number of channels.
    """

    def __init__(
        self,
        brightness: float | tuple[float, float] = 0,
        contrast: float | tuple[float, float] = 0,
        saturation: float | tuple[float, float] = 0,
        hue: float | tuple[float, float] = 0,
    ) -> None:
        self.brightness = _range("brightness", brightness)
        self.contrast = _range("contrast", contrast)
        self.saturation = _range("saturation", saturation)
        self.hue = _range("hue", hue, middle=0, least=-0.5, most=0.5)

    def apply(self, x: Images, rng: np.random.Generator) -> Images:
        """Four changes, each of the images whose turn it is."""
        if x.shape[1] not in (1, 3):
            raise ShapeError(f"ColorJitter: expected images of 1 or 3 channels, got {x.shape}")
        colours = _floats(x) if x.dtype == np.uint8 else x.copy()
        ranges = (self.brightness, self.contrast, self.saturation, self.hue)
        factors = np.stack([rng.uniform(*both, len(x)) for both in ranges]).astype(colours.dtype)  # (4, N)
        turns = rng.permuted(np.tile(np.arange(4), (len(x), 1)), axis=1)  # (N, 4)
        for turn in turns.T:
            for which, (change, neutral) in enumerate(CHANGES):
                if ranges[which] == (neutral, neutral):
                    continue
                chosen = np.flatnonzero(turn == which)
                if len(chosen):
                    colours[chosen] = change(colours[chosen], factors[which, chosen].reshape(-1, 1, 1, 1))
        return np.rint(colours * 255).astype(np.uint8) if x.dtype == np.uint8 else colours


def _floats(x: Images) -> NDArray[np.float32]:
    floats = x.astype(np.float32)
    floats /= 255
    return floats


def _range(
    name: str, given: Any, middle: float = 1, least: float = 0, most: float = math.inf
) -> tuple[float, float]:
    if isinstance(given, Sequence):
        low, high = given
    elif given < 0:
        raise ValueError(f"ColorJitter: expected {name} of at least 0, got {given}")
    else:
        low, high = max(least, middle - given) if middle else -given, middle + given
    if not least <= low <= high <= most or not high < math.inf:
        raise ValueError(f"ColorJitter: expected {name} from {least} to {most}, in order, got {given!r}")
    return low, high


def _grey(x: Images) -> Images:
    """(N, 1, H, W)."""
    if x.shape[1] == 1:
        return x
    return np.tensordot(x, np.array(GREY, x.dtype), ([1], [0]))[:, np.newaxis]


def _blend(x: Images, other: Images, factor: Images) -> Images:
    return np.clip(factor * x + (1 - factor) * other, 0, 1)


def _brightness(x: Images, factor: Images) -> Images:
    return np.clip(factor * x, 0, 1)


def _contrast(x: Images, factor: Images) -> Images:
    return _blend(x, _grey(x).mean(axis=(1, 2, 3), keepdims=True), factor)


def _saturation(x: Images, factor: Images) -> Images:
    return x if x.shape[1] == 1 else _blend(x, _grey(x), factor)


def _hue(x: Images, factor: Images) -> Images:
    if x.shape[1] == 1:
        return x
    hsv = rgb_to_hsv(x)
    hsv[:, :1] = (hsv[:, :1] + factor) % 1
    return hsv_to_rgb(hsv)


CHANGES = ((_brightness, 1), (_contrast, 1), (_saturation, 1), (_hue, 0))
"""Each change, and the factor with which it does nothing."""


def rgb_to_hsv(x: Images) -> Images:
    """Red, green and blue (N, 3, H, W) from 0 to 1 as hue, saturation and value, each from 0 to 1."""
    red, green, blue = x[:, 0], x[:, 1], x[:, 2]
    value = x.max(axis=1)
    spread = value - x.min(axis=1)
    some = np.where(spread > 0, spread, 1)
    hue = np.where(
        value == red,
        (green - blue) / some,
        np.where(value == green, 2 + (blue - red) / some, 4 + (red - green) / some),
    )
    saturation = spread / np.where(value > 0, value, 1)
    return np.stack([hue / 6 % 1, saturation, value], axis=1)


def hsv_to_rgb(x: Images) -> Images:
    """Hue, saturation and value (N, 3, H, W) as red, green and blue."""
    hue, saturation, value = x[:, 0], x[:, 1], x[:, 2]
    colours = []
    for start in (5, 3, 1):  # around the circle each colour is full for 2/6, and rises and falls for 1/6
        sixth = (start + 6 * hue) % 6
        colours.append(value - value * saturation * np.clip(np.minimum(sixth, 4 - sixth), 0, 1))
    return np.stack(colours, axis=1)
