"""What a data set is: something with a length whose samples can be had by number, one or many at a time."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minidl.array.random import default_generator
from minidl.errors import DTypeError, ShapeError

__all__ = ["ArrayDataset", "BatchDataset", "ConcatDataset", "Dataset", "Subset", "fetch", "random_split"]

Arrays: TypeAlias = tuple[NDArray[Any], ...]


class Dataset(Protocol):
    """Anything with a length and samples by number; no base class is needed.

    A sample is an array or a number, or a tuple of them such as `(image, label)`.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@runtime_checkable
class BatchDataset(Dataset, Protocol):
    """A data set that gives many samples in one go, which is far faster than one by one.

    `fetch(indices)` takes an integer array (N,) and returns one fresh array of N rows per column, such
    as `(images, labels)`; the arrays share no memory with what the data set holds.
    """

    def fetch(self, indices: NDArray[np.intp]) -> Arrays:
        """The samples of these numbers, in this order."""


def fetch(dataset: Dataset, indices: NDArray[np.intp]) -> Arrays:
    """The samples of these numbers, column by column: in one go where the data set can, else stacked.

    Raises:
        ShapeError: samples that are to be stacked differ in shape or in their number of parts.
        DTypeError: a sample holds something that is neither a number nor an array of numbers.
    """
    if isinstance(dataset, BatchDataset):
        return dataset.fetch(indices)
    samples = [dataset[int(index)] for index in indices]
    rows = [tuple(sample) if isinstance(sample, tuple | list) else (sample,) for sample in samples]
    for index, row in zip(indices, rows, strict=True):
        if len(row) != len(rows[0]):
            raise ShapeError(
                f"{type(dataset).__name__}: expected every sample to have {len(rows[0])} parts "
                f"like sample {indices[0]}, got {len(row)} in sample {index}"
            )
    return tuple(_stack(dataset, indices, column) for column in zip(*rows, strict=True))


def _stack(dataset: Dataset, indices: NDArray[np.intp], column: Sequence[Any]) -> NDArray[Any]:
    """One column of a batch: N samples' parts become an array of N rows."""
    parts = [np.asarray(part) for part in column]
    for index, part in zip(indices, parts, strict=True):
        if part.dtype.kind == "O":
            raise DTypeError(
                f"{type(dataset).__name__}: expected every sample to be numbers or arrays of numbers, "
                f"got {part} in sample {index}"
            )
        if part.shape != parts[0].shape:
            raise ShapeError(
                f"{type(dataset).__name__}: expected every sample to have shape {parts[0].shape} "
                f"like sample {indices[0]}, got {part.shape} in sample {index}"
            )
    return np.stack(parts)


class ArrayDataset:
    """Arrays whose rows belong together: row i of each is sample i.

    `dataset[i]` is one sample, `dataset[2:5]` and `dataset[[3, 1]]` are batches; always a tuple with one
    entry per array, and always copies, so that changing a sample leaves the data set as it was.

    Args:
        *arrays: arrays of N rows each, such as images (N, C, H, W) and labels (N,).

    Raises:
        ShapeError: the arrays differ in their number of rows, or one has no rows (rank 0).
        DTypeError: an array holds objects, not numbers.
        ValueError: no array is given.
    """

    arrays: Arrays

    def __init__(self, *arrays: ArrayLike) -> None:
        if not arrays:
            raise ValueError("ArrayDataset: expected at least one array, got none")
        self.arrays = tuple(np.asarray(array) for array in arrays)
        shapes = [array.shape for array in self.arrays]
        if any(not shape or shape[0] != shapes[0][0] for shape in shapes):
            given = ", ".join(str(shape) for shape in shapes)
            raise ShapeError(f"ArrayDataset: expected arrays with the same number of rows, got {given}")
        if any(array.dtype.kind == "O" for array in self.arrays):
            given = ", ".join(str(array.dtype) for array in self.arrays)
            raise DTypeError(f"ArrayDataset: expected arrays of numbers, got {given}")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Any, /) -> Arrays:
        return tuple(array[index].copy() for array in self.arrays)

    def fetch(self, indices: NDArray[np.intp]) -> Arrays:
        """The rows of these numbers, in this order, as fresh arrays."""
        return tuple(array[indices] for array in self.arrays)

    def __repr__(self) -> str:
        return f"ArrayDataset({', '.join(f'{array.shape} {array.dtype}' for array in self.arrays)})"


class Subset:
    """Some samples of a data set, by their numbers there.

    Args:
        dataset: the data set that holds the samples.
        indices: their numbers (M,) in the order wanted; a number may come twice, and −1 is the last.

    Raises:
        IndexError: a number that the data set does not have.
        DTypeError: `indices` are no integers.
        ShapeError: `indices` has not one dimension.
    """

    dataset: Dataset
    indices: NDArray[np.intp]

    def __init__(self, dataset: Dataset, indices: ArrayLike) -> None:
        given = np.asarray(indices)
        if given.size and given.dtype.kind not in "iu":
            raise DTypeError(f"Subset: expected integer indices, got {given.dtype}")
        if given.ndim != 1:
            raise ShapeError(f"Subset: expected indices of shape (M,), got {given.shape}")
        length = len(dataset)
        wrong = given[(given < -length) | (given >= length)]
        if wrong.size:
            raise IndexError(f"Subset: expected indices from {-length} to {length - 1}, got {wrong[0]}")
        self.dataset = dataset
        self.indices = given.astype(np.intp)
        self.indices[self.indices < 0] += length

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any, /) -> Any:
        chosen = self.indices[index]
        return self.dataset[int(chosen)] if chosen.ndim == 0 else fetch(self.dataset, chosen)

    def fetch(self, indices: NDArray[np.intp]) -> Arrays:
        """The samples of these numbers in this subset, as fresh arrays."""
        return fetch(self.dataset, self.indices[indices])

    def __repr__(self) -> str:
        return f"Subset({self.dataset!r}, {len(self)} of {len(self.dataset)})"


class ConcatDataset:
    """Data sets one after the other, as one.

    Args:
        datasets: at least one; their samples have the same parts and shapes.

    Raises:
        ValueError: no data set is given.
        TypeError: one has no length or no samples by number.
        ShapeError: samples of different sets that come in one batch do not fit together.
    """

    datasets: list[Dataset]
    cumulative_sizes: list[int]

    def __init__(self, datasets: Iterable[Dataset]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: expected at least one data set, got none")
        for dataset in self.datasets:
            if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
                kind = type(dataset).__name__
                raise TypeError(f"ConcatDataset: expected data sets with __len__ and __getitem__, got {kind}")
        self.cumulative_sizes = np.cumsum([len(dataset) for dataset in self.datasets]).tolist()

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: Any, /) -> Any:
        chosen = np.arange(len(self))[index]
        if chosen.ndim:
            return self.fetch(chosen)
        part, first = self._place(int(chosen))
        return self.datasets[part][int(chosen) - first]

    def _place(self, index: int) -> tuple[int, int]:
        """Which data set holds a sample, and the number of that set's first one."""
        part = bisect.bisect_right(self.cumulative_sizes, index)
        return part, self.cumulative_sizes[part - 1] if part else 0

    def fetch(self, indices: NDArray[np.intp]) -> Arrays:
        """The samples of these numbers, in this order, as fresh arrays; each set is asked once."""
        parts = np.searchsorted(self.cumulative_sizes, indices, side="right")  # (B,)
        pieces, places = [], []
        for part in np.unique(parts):
            place = np.flatnonzero(parts == part)
            first = self.cumulative_sizes[part - 1] if part else 0
            pieces.append(fetch(self.datasets[part], indices[place] - first))
            places.append(place)
        if len(pieces) <= 1:
            return pieces[0] if pieces else fetch(self.datasets[0], indices)
        shapes = [[column.shape[1:] for column in piece] for piece in pieces]
        if any(shape != shapes[0] for shape in shapes):
            raise ShapeError(
                f"ConcatDataset: expected samples of one shape in all data sets, got {shapes[0]} in one "
                f"and {next(shape for shape in shapes if shape != shapes[0])} in another"
            )
        back = np.argsort(np.concatenate(places))  # where in the pieces each sample of the batch is
        return tuple(np.concatenate(columns)[back] for columns in zip(*pieces, strict=True))

    def __repr__(self) -> str:
        return f"ConcatDataset([{', '.join(map(repr, self.datasets))}])"


def random_split(
    dataset: Dataset, lengths: Sequence[float], rng: np.random.Generator | None = None
) -> list[Subset]:
    """Deal a data set's samples at random into parts that do not overlap.

    Args:
        dataset: what to split.
        lengths: how many samples each part gets, or fractions that add up to 1; what rounding down
            leaves over goes to the parts one by one, from the first.
        rng: where the shuffle comes from; minidl's one generator by default.

    Returns:
        One `Subset` per length.

    Raises:
        ValueError: a negative length, or lengths that add up to neither 1 nor the data set's length.
    """
    counts = _counts(len(dataset), lengths)
    order = (rng or default_generator()).permutation(len(dataset))
    ends = np.cumsum(counts)
    return [Subset(dataset, order[end - count : end]) for count, end in zip(counts, ends, strict=True)]


def _counts(total: int, lengths: Sequence[float]) -> list[int]:
    """The lengths of `random_split` as numbers of samples."""
    if not all(math.isfinite(length) and length >= 0 for length in lengths):
        raise ValueError(f"random_split: expected lengths of at least 0, got {list(lengths)}")
    if math.isclose(sum(lengths), 1):
        counts = [math.floor(total * fraction) for fraction in lengths]
        for position in range(total - sum(counts)):
            counts[position % len(counts)] += 1
        return counts
    if any(length != int(length) for length in lengths) or sum(lengths) != total:
        raise ValueError(
            f"random_split: expected lengths that add up to {total}, the data set's length, "
            f"or fractions that add up to 1; got {list(lengths)}, which add up to {sum(lengths)}"
        )
    return [int(length) for length in lengths]
