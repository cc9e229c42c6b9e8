"""Tables made fit for a network: columns of mean 0 and spread 1, words as numbers, rows of 0 and 1."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from minidl.errors import DataError, DTypeError, ShapeError

__all__ = ["Categories", "Standardize", "one_hot"]


class Standardize:
    """Columns with mean 0 and standard deviation 1: `z = (x − mean) / std`, measured on the training data.

    Test data are shifted and scaled by the training data's figures, or the two would not mean the same. A
    constant column is shifted only.

    ```python
    scale = Standardize().fit(x_train)
    z_train, z_test = scale(x_train), scale(x_test)
    ```

    Shape:
        - input: (N, …), such as (N, F); the mean is taken over N
        - output: the same

    Attributes:
        mean: of each column, float64 (F,).
        std: of each column (divided by N), with 1 in place of 0.

    Raises:
        ShapeError: an input of other columns than those that were measured, or without rows to measure.
        DTypeError: an input that holds no numbers.
        ValueError: nothing was measured yet, or a number is not finite.
    """

    mean: NDArray[np.float64] | None
    std: NDArray[np.float64] | None

    def __init__(self) -> None:
        self.mean = self.std = None

    def fit(self, x: ArrayLike) -> Standardize:
        """Measure the columns, and return itself."""
        values = self._numbers(x).astype(np.float64)
        if values.ndim == 0 or len(values) == 0:
            raise ShapeError(f"Standardize: expected at least one row (N, …), got shape {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError("Standardize: expected finite numbers to measure, got NaN or infinity")
        self.mean = values.mean(axis=0)
        std = values.std(axis=0)
        # what rounding leaves of a constant column is no spread
        constant = std <= 1e-14 * np.abs(self.mean)
        self.std = np.where(constant, 1.0, std)
        return self

    def __call__(self, x: ArrayLike) -> NDArray[Any]:
        """The standardised rows; float32 stays float32, anything else becomes float64."""
        values, mean, std = self._fitting(x)
        return ((values - mean) / std).astype(values.dtype, copy=False)

    def inverse(self, z: ArrayLike) -> NDArray[Any]:
        """The rows that standardising turned into these."""
        values, mean, std = self._fitting(z)
        return (values * std + mean).astype(values.dtype, copy=False)

    def _fitting(self, x: ArrayLike) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]:
        if self.mean is None or self.std is None:
            raise ValueError(
                "Standardize: expected fit(x) with the training data first, got a call before it"
            )
        values = self._numbers(x)
        if values.shape[1:] != self.mean.shape or values.ndim == 0:
            expected = ", ".join(map(str, ("N", *self.mean.shape)))
            raise ShapeError(f"Standardize: expected shape ({expected}), got {values.shape}")
        return values.astype(values.dtype if values.dtype == np.float32 else np.float64), self.mean, self.std

    @staticmethod
    def _numbers(x: ArrayLike) -> NDArray[Any]:
        values = np.asarray(x)
        if values.dtype.kind not in "iufb":
            raise DTypeError(f"Standardize: expected numbers, got {values.dtype}")
        return values

    def __repr__(self) -> str:
        return "Standardize()" if self.mean is None else f"Standardize() of {self.mean.shape}"


class Categories:
    """Words as numbers: each category gets a code, from 0 in the order of their names.

    ```python
    colours = Categories(["red", "blue", "red"])
    colours(["blue", "red"])  # array([0, 1])
    ```

    Args:
        values: the words to be known, one or many times each; those of the training data.

    Attributes:
        names: the categories; `names[code]` is the word.

    Raises:
        DataError: a word that is not known.
        ValueError: no values.
    """

    names: tuple[Any, ...]

    def __init__(self, values: ArrayLike | Iterable[Any]) -> None:
        given = np.asarray(values if isinstance(values, np.ndarray) else list(values))  # type: ignore[arg-type]
        if given.size == 0:
            raise ValueError("Categories: expected at least one value, got none")
        self._sorted = np.unique(given)
        self.names = tuple(self._sorted.tolist())

    def __len__(self) -> int:
        return len(self.names)

    def __call__(self, values: ArrayLike) -> NDArray[np.int64]:
        """The codes, int64, in the values' shape."""
        given = np.asarray(values)
        codes = np.minimum(np.searchsorted(self._sorted, given), len(self) - 1)
        unknown = self._sorted[codes] != given
        if unknown.any():
            word = given[unknown].reshape(-1)[0]
            known = ", ".join(map(str, self.names[:10])) + (", …" if len(self) > 10 else "")
            raise DataError(f"Categories: expected one of {known}, got {str(word)!r}")
        return codes.astype(np.int64)

    def __repr__(self) -> str:
        return f"Categories({list(self.names)})"


def one_hot(labels: ArrayLike, num_classes: int = -1, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """A row per label with a 1 in the label's column and 0 elsewhere.

    Args:
        labels: integers from 0, of any shape.
        num_classes: how many columns; −1 is one more than the largest label.
        dtype: of the result.

    Returns:
        (…, num_classes), zeros and ones.

    Raises:
        DTypeError: labels that are no integers.
        ValueError: a label below 0, or too large for `num_classes`.
    """
    codes = np.asarray(labels)
    if codes.dtype.kind not in "iu":
        if codes.size:
            raise DTypeError(f"one_hot: expected integer labels, got {codes.dtype}")
        codes = codes.astype(np.int64)
    if num_classes == -1:
        if codes.size == 0:
            raise ValueError("one_hot: expected num_classes where there are no labels, got -1")
        num_classes = int(codes.max()) + 1
    if codes.size and not 0 <= codes.min() <= codes.max() < num_classes:
        wrong = codes.min() if codes.min() < 0 else codes.max()
        raise ValueError(f"one_hot: expected labels from 0 to {num_classes - 1}, got {wrong}")
    rows = np.zeros((*codes.shape, num_classes), dtype)
    np.put_along_axis(rows, codes[..., np.newaxis].astype(np.intp), 1, axis=-1)
    return rows
