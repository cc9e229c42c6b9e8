"""Reading CSV files into arrays, with errors that name the line and the column."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from minidl.errors import DataError, DTypeError

__all__ = ["read_csv"]

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
