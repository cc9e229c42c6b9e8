"""What a transform is: a function of a batch of images and a generator that loops over no image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from minidl.array.random import default_generator
from minidl.errors import DTypeError, ShapeError

__all__ = ["Compose", "Fill", "Transform", "checked_fill", "pad", "pair", "probability", "windows"]

Images: TypeAlias = NDArray[Any]
Fill: TypeAlias = float | Sequence[float]
DTYPES = ("float32", "float64", "uint8")


class Transform:
    """The base: subclasses write `apply`, which gets a batch and returns a fresh array.

    `transform(images)` takes a batch or a single image, and draws for every image anew: from `rng`, or from
    minidl's one generator. The same generator state gives the same result.

    Shape:
        - input: (N, C, H, W), or (C, H, W) for one image; float32, float64, or uint8 from 0 to 255
        - output: as many images of the same dtype, unless a class says otherwise

    Raises:
        ShapeError: an input of another rank, or whose channels do not fit.
        DTypeError: an input of another dtype.
    """

    def __call__(self, images: Any, rng: np.random.Generator | None = None) -> Images:
        """Transform a batch or one image."""
        name = type(self).__name__
        x = np.asarray(images)
        if x.ndim not in (3, 4):
            raise ShapeError(f"{name}: expected images (N, C, H, W) or one (C, H, W), got {x.shape}")
        if x.dtype.name not in DTYPES:
            raise DTypeError(f"{name}: expected images of {', '.join(DTYPES)}, got {x.dtype}")
        if x.ndim == 3:
            return self.apply(x[np.newaxis], rng or default_generator())[0]
        return self.apply(x, rng or default_generator())

    def apply(self, x: Images, rng: np.random.Generator) -> Images:
        """The transformed batch (N, C, H, W), which shares no memory with `x`."""
        raise NotImplementedError

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({given})"


class Compose:
    """Several transforms, one after the other, that draw from the same generator.

    Args:
        transforms: called as `transform(images, rng=rng)`; functions of your own will do.

    Raises:
        TypeError: one is no function.
    """

    transforms: list[Callable[..., Any]]

    def __init__(self, transforms: Iterable[Callable[..., Any]]) -> None:
        self.transforms = list(transforms)
        for transform in self.transforms:
            if not callable(transform):
                raise TypeError(f"Compose: expected transforms that can be called, got {transform!r}")

    def __call__(self, images: Any, rng: np.random.Generator | None = None) -> Images:
        """Transform a batch or one image."""
        x = np.array(images) if not self.transforms else images
        for transform in self.transforms:
            x = transform(x, rng=rng or default_generator())
        return x

    def __repr__(self) -> str:
        return f"Compose([{', '.join(map(repr, self.transforms))}])"


# ---------------------------------------------------------------- what several transforms share


def probability(name: str, p: float) -> float:
    """Check that p is one."""
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: expected p from 0 to 1, got {p}")
    return p


def pair(name: str, what: str, size: Any) -> tuple[int, int]:
    """A height and width, or one number for both, of at least 1."""
    sizes = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(sizes) != 2 or not all(isinstance(side, int | np.integer) and side >= 1 for side in sizes):
        raise ValueError(f"{name}: expected {what} to be one or two integers of at least 1, got {size!r}")
    return int(sizes[0]), int(sizes[1])


def checked_fill(name: str, fill: Fill, x: Images) -> Images:
    """A value for every channel, (C, 1, 1) or (1, 1, 1), in the images' dtype."""
    values = np.asarray(fill, np.float64).reshape(-1, 1, 1)
    if len(values) not in (1, x.shape[1]):
        raise ShapeError(f"{name}: expected one fill or {x.shape[1]}, one per channel, got {fill!r}")
    if x.dtype == np.uint8 and not np.array_equal(values, np.clip(np.rint(values), 0, 255)):
        raise ValueError(f"{name}: expected a fill of integers from 0 to 255 for uint8 images, got {fill!r}")
    return values.astype(x.dtype)


def pad(x: Images, top: int, bottom: int, left: int, right: int, fill: Images) -> Images:
    """Put a frame of constant colour around every image."""
    batch, channels, height, width = x.shape
    framed = np.empty((batch, channels, top + height + bottom, left + width + right), x.dtype)
    framed[...] = fill
    framed[:, :, top : top + height, left : left + width] = x
    return framed


def windows(x: Images, tops: NDArray[Any], lefts: NDArray[Any], height: int, width: int) -> Images:
    """Of image n the window whose corner is (tops[n], lefts[n]): (N, C, height, width)."""
    every = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(2, 3))
    return every[np.arange(len(x)), :, tops, lefts]
