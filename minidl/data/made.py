"""Small data sets that are made, not measured: what a network learns of them can be drawn in the plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minidl.array.random import default_generator
from minidl.errors import ShapeError

__all__ = ["make_blobs", "make_line", "make_moons", "make_spirals"]

Points = tuple[NDArray[np.float32], NDArray[np.int64]]


def make_spirals(
    n_samples: int = 300,
    classes: int = 3,
    *,
    turns: float = 0.75,
    noise: float = 0.05,
    rng: np.random.Generator | None = None,
) -> Points:
    """Spirals that wind around each other from the middle outwards; no straight line parts them.

    Point i of n on spiral k has radius r = i / (n − 1) and angle 2π (k / classes + turns r).

    Args:
        n_samples: how many points in all.
        classes: how many spirals.
        turns: how often each goes around.
        noise: the standard deviation of what is added to each coordinate.
        rng: where noise and order come from; minidl's one generator by default.

    Returns:
        Points (N, 2), float32, in random order, and the number of the spiral of each, int64 (N,).

    Raises:
        ValueError: a number that is too small.
    """
    draw = _generator("make_spirals", rng, noise=noise, n_samples=n_samples, classes=classes)
    points, labels = [], []
    for k, count in enumerate(_shares(n_samples, classes)):
        radius = np.linspace(0, 1, count)
        angle = 2 * math.pi * (k / classes + turns * radius)
        points.append(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1))  # (n, 2)
        labels.append(np.full(count, k))
    return _finished(np.concatenate(points), np.concatenate(labels), noise, draw)


def make_moons(
    n_samples: int = 100, *, noise: float | None = None, rng: np.random.Generator | None = None
) -> Points:
    """Two half circles, each around an end of the other (scikit-learn's `make_moons`).

    Args:
        n_samples: how many points in all.
        noise: the standard deviation of what is added to each coordinate; None adds nothing.
        rng: where noise and order come from; minidl's one generator by default.

    Returns:
        Points (N, 2), float32, in random order; 0 for the upper moon and 1 for the lower, int64 (N,).

    Raises:
        ValueError: a number that is too small.
    """
    draw = _generator("make_moons", rng, noise=noise or 0, n_samples=n_samples)
    upper, lower = (np.linspace(0, math.pi, count) for count in (n_samples // 2, n_samples - n_samples // 2))
    points = np.concatenate(
        [
            np.stack([np.cos(upper), np.sin(upper)], axis=1),
            np.stack([1 - np.cos(lower), 0.5 - np.sin(lower)], axis=1),
        ]
    )  # (N, 2)
    labels = np.repeat([0, 1], [len(upper), len(lower)])
    return _finished(points, labels, noise or 0, draw)


def make_blobs(
    n_samples: int = 100,
    n_features: int = 2,
    centers: int | ArrayLike = 3,
    *,
    cluster_std: float | Sequence[float] = 1.0,
    center_box: tuple[float, float] = (-10.0, 10.0),
    rng: np.random.Generator | None = None,
) -> Points:
    """Round clouds of points (scikit-learn's `make_blobs`).

    Args:
        n_samples: how many points in all, the same for each cloud as far as that goes.
        n_features: how many coordinates a point has, where `centers` is a number.
        centers: how many clouds, or their middles (K, F).
        cluster_std: the standard deviation of each coordinate, one number or one per cloud.
        center_box: from where to where the middles are drawn.
        rng: where everything comes from; minidl's one generator by default.

    Returns:
        Points (N, F), float32, in random order, and the number of the cloud of each, int64 (N,).

    Raises:
        ValueError: a number that is too small.
        ShapeError: `centers` or `cluster_std` of another shape.
    """
    draw = _generator("make_blobs", rng, n_samples=n_samples, n_features=n_features)
    if isinstance(centers, int | np.integer):
        if centers < 1:
            raise ValueError(f"make_blobs: expected centers of at least 1, got {centers}")
        middles = draw.uniform(*center_box, (int(centers), n_features))
    else:
        middles = np.asarray(centers, np.float64)
        if middles.ndim != 2 or not middles.size:
            raise ShapeError(f"make_blobs: expected centers of shape (K, F), got {middles.shape}")
    spreads = np.asarray(cluster_std, np.float64)
    if spreads.shape not in ((), (len(middles),)):
        raise ShapeError(f"make_blobs: expected one cluster_std or {len(middles)}, got shape {spreads.shape}")
    if (spreads < 0).any():
        raise ValueError(f"make_blobs: expected cluster_std of at least 0, got {cluster_std}")
    labels = np.repeat(np.arange(len(middles)), _shares(n_samples, len(middles)))
    spread = np.broadcast_to(spreads, len(middles))[labels, np.newaxis]
    points = middles[labels] + spread * draw.standard_normal((n_samples, middles.shape[1]))
    return _finished(points, labels, 0, draw)


def make_line(
    n_samples: int = 100,
    *,
    weight: float | Sequence[float] = 2.0,
    bias: float = -1.0,
    noise: float = 0.1,
    rng: np.random.Generator | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points near a line, y = w · x + b + noise, x uniform from −1 to 1: what a linear layer should find.

    Args:
        n_samples: how many points.
        weight: the slope, or one per input.
        bias: y where x is 0.
        noise: the standard deviation of what is added to y.
        rng: where x and noise come from; minidl's one generator by default.

    Returns:
        x (N, F) and y (N, 1), float32.

    Raises:
        ValueError: a number that is too small.
    """
    draw = _generator("make_line", rng, noise=noise, n_samples=n_samples)
    w = np.atleast_1d(np.asarray(weight, np.float64))  # (F,)
    x = draw.uniform(-1, 1, (n_samples, len(w)))
    y = x @ w + bias + noise * draw.standard_normal(n_samples)
    return x.astype(np.float32), y.astype(np.float32)[:, np.newaxis]  # (N, F), (N, 1)


def _generator(
    name: str, rng: np.random.Generator | None, noise: float = 0, **counts: Any
) -> np.random.Generator:
    for what, count in counts.items():
        if not isinstance(count, int | np.integer) or count < 1:
            raise ValueError(f"{name}: expected {what} to be an integer of at least 1, got {count!r}")
    if not 0 <= noise < math.inf:
        raise ValueError(f"{name}: expected noise of at least 0, got {noise}")
    return rng or default_generator()


def _shares(total: int, parts: int) -> list[int]:
    """A number dealt out as evenly as it goes."""
    return [total // parts + (part < total % parts) for part in range(parts)]


def _finished(
    points: NDArray[np.float64], labels: NDArray[Any], noise: float, draw: np.random.Generator
) -> Points:
    """With noise, in random order."""
    if noise:
        points = points + noise * draw.standard_normal(points.shape)
    order = draw.permutation(len(points))
    return points[order].astype(np.float32), labels[order].astype(np.int64)
