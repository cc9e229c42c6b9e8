"""How minidl compiles with Numba: cached on disk where that is possible, without the GIL, IEEE rules kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

__all__ = ["jit"]

F = TypeVar("F", bound=Callable[..., object])


def jit(function: F) -> F:
    """Compile at the first call with each combination of dtypes.

    The machine code is kept in a cache folder. Where none can be written, Numba refuses at once; then
    the function is compiled anew in each process, which only costs time.
    """
    options = {"nogil": True, "error_model": "numpy"}
    try:
        compiled: F = numba.njit(cache=True, **options)(function)
    except RuntimeError:
        compiled = numba.njit(**options)(function)
    return compiled
