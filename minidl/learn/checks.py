"""The words in which an exercise's tests are written: each says what is right, or raises a Mistake.

Like the doctor behind them they look at the shape first, then for numbers that are not finite, and last at
the values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.array import Array
from minidl.learn.answer import Answer, Mistake, NotWritten
from minidl.testing.doctor import diagnose

__all__ = [
    "Answer",
    "Mistake",
    "NotWritten",
    "check_array",
    "check_float64",
    "check_that",
    "check_tuple",
    "check_unchanged",
]


def check_array(name: str, got: Any, expected: Any, **circumstances: Any) -> None:
    """An array is right: its shape, then that it is finite, then its values.

    Args:
        name: what the array is called.
        got: the reader's.
        expected: the right one.
        **circumstances: what helps the gradient doctor (`batch=`, `equation=`, `terms=`, …).

    Raises:
        Mistake: it is not; the doctor's likeliest explanation.
    """
    if (explanation := diagnose(name, got, expected, **circumstances)) is not None:
        raise Mistake(explanation)


def check_tuple(name: str, got: Any, *parts: str) -> tuple[Any, ...]:
    """A function gave as many results as it has names for, which are then checked one by one.

    Raises:
        Mistake: it gave something else.
    """
    wanted = f"{name}: expected {len(parts)} results ({', '.join(parts)})"
    if got is None:
        raise Mistake(f"{wanted}, got None; a function without `return` gives None")
    if not isinstance(got, tuple | list):
        raise Mistake(f"{wanted}, got one {type(got).__name__}")
    if len(got) != len(parts):
        raise Mistake(f"{wanted}, got {len(got)}")
    return tuple(got)


def check_float64(name: str, got: Any, like: str) -> None:
    """A float64 input gives a float64 result: narrower numbers lose digits without a word.

    Args:
        name: what the result is called.
        got: the reader's result; anything that is no array of floats is left to `check_array`.
        like: the input that has this dtype.

    Raises:
        Mistake: it has another dtype of floats.
    """
    dtype = getattr(got, "dtype", None)
    if dtype is not None and dtype.kind == "f" and dtype != np.float64:
        raise Mistake(f"{name}: dtype {dtype}, expected float64 as {like} has; drop the astype")


def check_unchanged(name: str, array: Array, before: Array) -> None:
    """An argument still holds, bit for bit, what it held before the call.

    Raises:
        Mistake: it does not.
    """
    changed = array != before
    if changed.any():
        worst = np.abs(array[changed] - before[changed]).max()
        raise Mistake(
            f"{name}: was changed by the call, in {int(changed.sum())} of {changed.size} places, by up to "
            f"{worst:.1e}; a caller's array must hold the same bits afterwards"
        )


def check_that(right: object, message: str) -> None:
    """Anything else that must hold.

    Raises:
        Mistake: it does not; `message` says what was expected and what was found.
    """
    if not right:
        raise Mistake(message)
