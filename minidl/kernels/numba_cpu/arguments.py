"""What a twin does with its arguments first: rows without gaps, and sizes that a compiled loop may trust."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from minidl.array import Array
from minidl.kernels.registry import Kernel

__all__ = ["BLANK", "alike", "flat", "where"]

F = TypeVar("F", bound=Callable[..., Any])
BLANK = {np.dtype(kind): np.empty(0, kind) for kind in (np.float32, np.float64)}
"""By dtype, what a compiled loop gets in place of an array that is not there."""


def flat(x: Array) -> Array:
    """The numbers as one row, copied only where they are not in C order."""
    return x.reshape(-1) if x.flags.c_contiguous else np.ascontiguousarray(x).reshape(-1)


def alike(a: Array, b: Array, *_: object) -> bool:
    """Whether the first two arguments are of one shape, for `where`."""
    return a.shape == b.shape


def where(fits: Callable[..., bool], kernel: Kernel[Any, Any]) -> Callable[[F], F]:
    """A decorator: the twin runs where `fits(*arguments)`; all else goes to the kernel's reference.

    A loop would read past the end of an array that is too short; the reference broadcasts, or says what is
    wrong.
    """

    def guard(twin: F) -> F:
        @functools.wraps(twin)
        def guarded(*args: Any) -> Any:
            return twin(*args) if fits(*args) else kernel.reference(*args)

        return guarded  # type: ignore[return-value]

    return guard
