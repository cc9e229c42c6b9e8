"""Tables of numbers and words: from a CSV file to the arrays that a network learns from."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from minidl.errors import DataError, DTypeError, ShapeError

__all__ = ["Categories", "Standardize", "one_hot", "read_csv"]

MISSING = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf", re.ASCII)  # float() also takes 1_000
WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)


def read_csv(
    path: str | os.PathLike[str],
    *,
    header: bool = True,
    delimiter: str = ",",
    columns: Sequence[str] | None = None,
    dtype: DTypeLike | Mapping[str, DTypeLike] | None = None,
    fill: float | None = None,
    missing: Collection[str] = MISSING,
    encoding: str = "utf-8-sig",
) -> dict[str, NDArray[Any]]:
    """The columns of a CSV file, by name.

    A column of whole numbers becomes int64, one of numbers float64, any other text, unless `dtype` says
    otherwise. `np.stack([table[name] for name in names], axis=1)` is the matrix of some columns.

    Args:
        path: the file; fields in double quotes may hold delimiters, line ends, and quotes written twice.
        header: whether the first line holds the columns' names; without it they are "0", "1", …
        delimiter: what stands between fields.
        columns: which columns are wanted, in this order; all by default.
        dtype: the dtype of all columns, or of some by name; a field that does not fit it is an error.
        fill: what a missing number becomes, such as `math.nan`; by default it is an error. In a column of
            text the empty text stays.
        missing: the fields that count as missing, spaces around them ignored.
        encoding: of the file.

    Raises:
        DataError: the file is missing or is no such table; the message names the line and the column.
        ValueError: no such column, or a delimiter that is not one character.
    """
    called = str(Path(path))
    if len(delimiter) != 1:
        raise ValueError(f"read_csv: expected a delimiter of one character, got {delimiter!r}")
    rows = _rows(_text(path, called, encoding), called, delimiter)
    first = next(rows, None)
    if first is None:
        raise DataError(f"{called}: expected a table, got an empty file")
    names = [name.strip() for name in first[1]] if header else [str(n) for n in range(len(first[1]))]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(
            f"{called}, line {first[0]}: expected columns of different names, got {twice[0]!r} twice"
        )
    lines = [] if header else [first]
    for line, fields in rows:
        if len(fields) != len(names):
            raise DataError(f"{called}, line {line}: expected {len(names)} fields, got {len(fields)}")
        lines.append((line, fields))
    wanted = names if columns is None else list(columns)
    types: Mapping[str, Any] = dtype if isinstance(dtype, Mapping) else dict.fromkeys(wanted, dtype)
    for name in (*wanted, *types):
        if name not in names:
            raise ValueError(f"read_csv: expected one of the columns {', '.join(names)}, got {name!r}")
    table = {}
    for name in wanted:
        place = names.index(name)
        fields = [row[place] for _, row in lines]
        try:
            table[name] = _column(fields, types.get(name), fill, missing)
        except _FieldError as error:
            line = lines[error.args[0]][0]
            raise DataError(f"{called}, line {line}, column {name!r}: {error.args[1]}") from None
    return table


def _text(path: str | os.PathLike[str], called: str, encoding: str) -> str:
    try:
        with open(path, encoding=encoding, newline="") as file:
            return file.read()
    except FileNotFoundError as error:
        raise DataError(f"{called}: expected a CSV file, got no file of that name") from error
    except OSError as error:
        raise DataError(f"{called}: expected a CSV file, got {error.strerror or error}") from error
    except UnicodeError as error:
        raise DataError(f"{called}: expected text in {encoding}, got something else ({error})") from error


def _rows(text: str, called: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{called}, line {line}: expected fields of a CSV file, got {error}") from error
        if fields is None:
            return
        if (fields and any(field.strip() for field in fields)) or len(fields) > 1:
            yield line, fields


class _FieldError(Exception):
    """Which row of a column is wrong, and how."""


def _column(
    fields: list[str], dtype: DTypeLike | None, fill: float | None, missing: Collection[str]
) -> NDArray[Any]:
    """One column."""
    stripped = [field.strip() for field in fields]
    absent = [field in missing for field in stripped]
    if dtype is None:
        there = [field for field, gone in zip(stripped, absent, strict=True) if not gone]
        if not there or not all(NUMBER.fullmatch(field) for field in there):
            return np.array(["" if gone else field for field, gone in zip(fields, absent, strict=True)], str)
        whole = all(WHOLE.fullmatch(field) for field in there)
        kept = not any(absent) or (fill is not None and float(fill).is_integer())
        dtype = np.int64 if whole and kept else np.float64
    kind = np.dtype(dtype)
    if kind.kind in "US":
        return np.array(fields, kind)
    if kind.kind not in "iuf":
        raise DTypeError(f"read_csv: expected a dtype of numbers or text, got {kind}")
    form, read = (NUMBER, float) if kind.kind == "f" else (WHOLE, int)
    values = []
    for row, (field, gone) in enumerate(zip(stripped, absent, strict=True)):
        if gone and fill is None:
            raise _FieldError(row, f"expected a number, got {field!r}; fill= says what a missing one becomes")
        if not gone and not form.fullmatch(field):
            raise _FieldError(row, f"expected a number ({kind}), got {field!r}")
        value: Any = fill if gone else read(field)
        if kind.kind in "iu" and not _holds(kind, value):
            raise _FieldError(row, f"expected a number ({kind}), got {value}")
        values.append(value)
    return np.array(values, kind)


def _holds(kind: np.dtype[Any], value: Any) -> bool:
    limits = np.iinfo(kind)
    return math.isfinite(value) and value == int(value) and limits.min <= value <= limits.max


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
