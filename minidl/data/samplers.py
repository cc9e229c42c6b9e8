"""In which order the samples of a data set are taken: the whole order of an epoch is drawn in one go.

A sampler's `order(rng)` depends on the generator alone, so a loader that seeds one per epoch can go back to
any epoch without replaying those before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minidl.array.random import default_generator
from minidl.errors import ShapeError

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]


class Sampler:
    """The base: subclasses say in `order` which samples come, and in `__len__` how many.

    A loop over a sampler draws from its `rng`, or from minidl's one generator. A `DataLoader` hands `order`
    a generator of its own, which the loader's seed and the epoch fix; a sampler with an `rng` is refused
    there, since a position in its order could not be saved.

    Args:
        rng: where the order comes from when it is not a loader that asks.
    """

    rng: np.random.Generator | None

    def __init__(self, rng: np.random.Generator | None = None) -> None:
        given: Any = rng
        if given is not None and not isinstance(given, np.random.Generator):
            name = type(self).__name__
            raise TypeError(f"{name}: expected rng to be a numpy.random.Generator, got {given!r}")
        self.rng = rng

    def __len__(self) -> int:
        raise NotImplementedError

    def order(self, rng: np.random.Generator) -> NDArray[np.intp]:
        """The numbers of the samples (M,) of one epoch."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[int]:
        return iter(self.order(self.rng or default_generator()).tolist())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} samples)"


class SequentialSampler(Sampler):
    """All samples in their order.

    Args:
        data_source: the data set.
    """

    data_source: Sized

    def __init__(self, data_source: Sized) -> None:
        super().__init__()
        self.data_source = data_source

    def __len__(self) -> int:
        return len(self.data_source)

    def order(self, rng: np.random.Generator) -> NDArray[np.intp]:
        """The numbers from 0 on."""
        return np.arange(len(self))


class RandomSampler(Sampler):
    """Samples in a random order, each once; or with replacement, where one may come twice and another never.

    Args:
        data_source: the data set.
        replacement: draw every sample from all of them.
        num_samples: how many to draw, by default as many as there are; without replacement, more than
            there are means that all come once before any comes twice.
        rng: see `Sampler`.

    Raises:
        ValueError: `num_samples` below 1, or no samples to draw from.
        TypeError: `num_samples` is no integer.
    """

    data_source: Sized
    replacement: bool

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__(rng)
        self.data_source = data_source
        self.replacement = bool(replacement)
        self._num_samples = num_samples
        if num_samples is not None:
            _count("RandomSampler", "num_samples", num_samples)
            if len(data_source) == 0:
                raise ValueError("RandomSampler: expected samples to draw from, got an empty data set")

    @property
    def num_samples(self) -> int:
        """How many samples an epoch draws."""
        return len(self.data_source) if self._num_samples is None else int(self._num_samples)

    def __len__(self) -> int:
        return self.num_samples

    def order(self, rng: np.random.Generator) -> NDArray[np.intp]:
        """A permutation, or as many draws."""
        total, wanted = len(self.data_source), self.num_samples
        if self.replacement:
            return rng.integers(total, size=wanted) if wanted else np.arange(0)
        rounds = [rng.permutation(total) for _ in range(max(1, math.ceil(wanted / max(1, total))))]
        return np.concatenate(rounds)[:wanted]


class SubsetRandomSampler(Sampler):
    """The samples of these numbers, each once, in a random order.

    Args:
        indices: numbers of samples (M,).
        rng: see `Sampler`.

    Raises:
        ShapeError: `indices` has not one dimension.
        TypeError: they are no integers.
    """

    indices: NDArray[np.intp]

    def __init__(self, indices: ArrayLike, rng: np.random.Generator | None = None) -> None:
        super().__init__(rng)
        given = np.asarray(indices)
        if given.ndim != 1:
            raise ShapeError(f"SubsetRandomSampler: expected indices of shape (M,), got {given.shape}")
        if given.size and given.dtype.kind not in "iu":
            raise TypeError(f"SubsetRandomSampler: expected integer indices, got {given.dtype}")
        self.indices = given.astype(np.intp)

    def __len__(self) -> int:
        return len(self.indices)

    def order(self, rng: np.random.Generator) -> NDArray[np.intp]:
        """A permutation of the indices."""
        return self.indices[rng.permutation(len(self))]


class WeightedRandomSampler(Sampler):
    """Samples drawn with probabilities in proportion to weights, which evens out rare and frequent classes.

    Args:
        weights: one per sample (N,), at least 0; they need not add up to 1.
        num_samples: how many to draw.
        replacement: whether a sample may come twice.
        rng: see `Sampler`.

    Raises:
        ValueError: weights that are negative, not finite or all 0, `num_samples` below 1, or without
            replacement more than there are weights above 0.
        ShapeError: `weights` has not one dimension.
        TypeError: `num_samples` is no integer.
    """

    weights: NDArray[np.float64]
    num_samples: int
    replacement: bool

    def __init__(
        self,
        weights: ArrayLike,
        num_samples: int,
        replacement: bool = True,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__(rng)
        name = "WeightedRandomSampler"
        self.weights = np.array(weights, np.float64)
        if self.weights.ndim != 1:
            raise ShapeError(f"{name}: expected weights of shape (N,), got {self.weights.shape}")
        if not np.isfinite(self.weights).all() or (self.weights < 0).any():
            raise ValueError(f"{name}: expected finite weights of at least 0, got {self.weights}")
        drawable = np.count_nonzero(self.weights)
        if drawable == 0:
            raise ValueError(f"{name}: expected a weight above 0, got none")
        self.num_samples = _count(name, "num_samples", num_samples)
        self.replacement = bool(replacement)
        if not replacement and num_samples > drawable:
            raise ValueError(
                f"{name}: expected num_samples of at most {drawable}, the weights above 0, "
                f"without replacement; got {num_samples}"
            )

    def __len__(self) -> int:
        return self.num_samples

    def order(self, rng: np.random.Generator) -> NDArray[np.intp]:
        """The drawn samples."""
        if self.replacement:
            ends = np.cumsum(self.weights)
            # side="right" never lands on a weight of 0; a draw below 1 stays below the last end
            drawn = np.searchsorted(ends, rng.random(self.num_samples) * ends[-1], side="right")
            return np.minimum(drawn, np.flatnonzero(self.weights)[-1])
        # The exponential race: sample i arrives after Exp(1) / weight; who comes first was drawn first.
        with np.errstate(divide="ignore", over="ignore"):
            arrival = rng.exponential(size=len(self.weights)) / self.weights
        return np.argsort(arrival, kind="stable")[: self.num_samples]


class BatchSampler:
    """The order of another sampler, cut into batches.

    Args:
        sampler: where the order comes from; anything with a length that gives numbers of samples.
        batch_size: samples per batch.
        drop_last: leave out a last batch that is not full.

    Raises:
        ValueError: `batch_size` below 1.
        TypeError: `batch_size` is no integer, or `sampler` has no length or order.
    """

    sampler: Any
    batch_size: int
    drop_last: bool

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool) -> None:
        if not hasattr(sampler, "__len__") or not hasattr(sampler, "__iter__"):
            kind = type(sampler).__name__
            raise TypeError(f"BatchSampler: expected a sampler with __len__ and __iter__, got {kind}")
        self.sampler = sampler
        self.batch_size = _count("BatchSampler", "batch_size", batch_size)
        self.drop_last = bool(drop_last)

    def __len__(self) -> int:
        full, rest = divmod(len(self.sampler), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def batches(self, rng: np.random.Generator) -> list[NDArray[np.intp]]:
        """The batches of one epoch, each (B,)."""
        if isinstance(self.sampler, Sampler):
            order = self.sampler.order(rng)
        else:
            order = np.array(list(self.sampler), np.intp)
        return [order[k * self.batch_size : (k + 1) * self.batch_size] for k in range(len(self))]

    def __iter__(self) -> Iterator[list[int]]:
        rng = getattr(self.sampler, "rng", None) or default_generator()
        return iter([batch.tolist() for batch in self.batches(rng)])

    def __repr__(self) -> str:
        return f"BatchSampler({self.sampler!r}, batch_size={self.batch_size}, drop_last={self.drop_last})"


def _count(where: str, name: str, value: Any) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise TypeError(f"{where}: expected {name} to be an integer, got {value!r}")
    if value < 1:
        raise ValueError(f"{where}: expected {name} of at least 1, got {value}")
    return int(value)
