"""Holes in pictures: a network that must do without any one part learns to use them all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl.data.transforms.transform import Fill, Images, Transform, checked_fill, probability

__all__ = ["Cutout", "RandomErasing"]

TRIES = 10  # as torchvision's


class Cutout(Transform):
    """Cover squares at random places of every image (DeVries & Taylor 2017).

    A square's middle may be any pixel, so that near an edge only a part of it covers the image.

    Args:
        size: the square's side in pixels.
        holes: how many squares per image.
        fill: their colour, one number or one per channel.

    Raises:
        ValueError: `size` or `holes` below 1.
    """

    def __init__(self, size: int, holes: int = 1, fill: Fill = 0) -> None:
        for name, value in (("size", size), ("holes", holes)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"Cutout: expected {name} to be an integer of at least 1, got {value!r}")
        self.size = size
        self.holes = holes
        self.fill = fill

    def apply(self, x: Images, rng: np.random.Generator) -> Images:
        """Cover."""
        fill = checked_fill("Cutout", self.fill, x)
        covered = x.copy()
        for _ in range(self.holes):
            tops, lefts = rng.integers([[x.shape[2]], [x.shape[3]]], size=(2, len(x))) - self.size // 2
            hole = _rectangles(x, tops, lefts, self.size, self.size)
            covered = np.where(hole, fill, covered)
        return covered


class RandomErasing(Transform):
    """Cover a rectangle of random size, shape and place in some of the images (Zhong et al. 2017).

    Of ten rectangles that are drawn for an image the first that fits is taken; if none fits, the image
    stays as it is.

    Args:
        p: how likely an image gets one.
        scale: the least and the largest share of the image's area.
        ratio: the least and the largest height divided by width; drawn so that r and 1/r are as likely.
        value: the colour, one number or one per channel, or "random" for noise (standard normal; for uint8
            any byte).

    Raises:
        ValueError: `p` is no probability, or a range is not in order.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        value: Fill | str = 0,
    ) -> None:
        self.p = probability("RandomErasing", p)
        if not 0 <= scale[0] <= scale[1] <= 1:
            raise ValueError(f"RandomErasing: expected scale to be two shares in order, got {scale!r}")
        if not 0 < ratio[0] <= ratio[1] < math.inf:
            raise ValueError(f"RandomErasing: expected ratio to be two numbers in order, got {ratio!r}")
        if isinstance(value, str) and value != "random":
            raise ValueError(f"RandomErasing: expected value to be a colour or 'random', got {value!r}")
        self.scale = scale
        self.ratio = ratio
        self.value = value

    def apply(self, x: Images, rng: np.random.Generator) -> Images:
        """Cover some."""
        height, width = x.shape[2:]
        chosen = rng.random(len(x)) < self.p
        area = height * width * rng.uniform(*self.scale, (TRIES, len(x)))
        flat, tall = (math.log(ratio) for ratio in self.ratio)
        shape = np.exp(rng.uniform(flat, tall, (TRIES, len(x))))
        high = np.rint(np.sqrt(area * shape)).astype(np.intp)  # (TRIES, N)
        wide = np.rint(np.sqrt(area / shape)).astype(np.intp)
        fits = (high < height) & (wide < width)
        first = (fits.argmax(axis=0), np.arange(len(x)))
        high, wide = (np.where(chosen & fits.any(axis=0), sides[first], 0) for sides in (high, wide))
        tops = rng.integers(height - high + 1)
        lefts = rng.integers(width - wide + 1)
        return np.where(_rectangles(x, tops, lefts, high, wide), self._colour(x, rng), x)

    def _colour(self, x: Images, rng: np.random.Generator) -> Images:
        if not isinstance(self.value, str):
            return checked_fill("RandomErasing", self.value, x)
        if x.dtype == np.uint8:
            return rng.integers(256, size=x.shape, dtype=np.uint8)
        return rng.standard_normal(x.shape, x.dtype)


def _rectangles(x: Images, tops: Any, lefts: Any, high: Any, wide: Any) -> NDArray[np.bool_]:
    """Which pixels lie in the rectangle of their image, (N, 1, H, W)."""
    down, right = (
        (at - start[:, np.newaxis])
        for at, start in ((np.arange(x.shape[2]), tops), (np.arange(x.shape[3]), lefts))
    )  # (N, H), (N, W)
    high, wide = np.reshape(high, (-1, 1)), np.reshape(wide, (-1, 1))
    rows, columns = (down >= 0) & (down < high), (right >= 0) & (right < wide)
    return (rows[:, :, np.newaxis] & columns[:, np.newaxis])[:, np.newaxis]  # (N, 1, H, W)
