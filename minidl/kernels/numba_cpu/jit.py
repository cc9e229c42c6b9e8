"""How minidl compiles with Numba: cached on disk where that is possible, without the GIL, IEEE rules kept."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

__all__ = ["OPTIONS", "SUMS", "is_cached", "jit", "part"]

F = TypeVar("F", bound=Callable[..., object])

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
NO_ENTRANCE: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
SUMS = frozenset({"reassoc", "nsz", "contract"})
"""What a loop may be allowed so that its sum runs in vector lanes; NaN and ∞ keep their meaning."""

_folders: set[str] = set()  # where machine code is kept


def part(function: F) -> F:
    """Compile as a part of other compiled functions, such as one that is given addresses.

    It has no entrance from Python, which takes a quarter of the compiler's time: calling it from there
    would crash.
    """
    compiled: F = numba.njit(nogil=True, **NO_ENTRANCE)(function)
    return compiled


def jit(
    function: F, *, fastmath: frozenset[str] = frozenset(), entrance: bool = True, inline: bool = False
) -> F:
    """Compile at the first call with each combination of dtypes.

    The machine code is kept in a cache folder. Where none can be written, the function is compiled anew
    in each process, which only costs time.

    Args:
        function: the loops.
        fastmath: nothing, or `SUMS` where sums may be added up in another order than they are written.
        entrance: False for what only compiled code calls, as `part`.
        inline: whether it becomes part of each caller. A call with arrays counts their references, which
            takes as long as a row of ten numbers does.
    """
    options = {**OPTIONS, **({} if entrance else NO_ENTRANCE), "fastmath": set(fastmath)}
    options["inline"] = "always" if inline else "never"
    try:
        compiled: Any = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # Numba found no folder to write to
        compiled = numba.njit(**options)(function)
    else:
        _make_careful(compiled._cache)
    return compiled


def is_cached(family: str) -> bool | None:
    """Whether machine code of this version is there, of any function of one file.

    Args:
        family: the file, such as `"conv"`; its module has been imported.

    Returns:
        None where no folder can be written, so that every process compiles for itself.
    """
    wanted = f"{family}.*.{_stamp()[:16]}.nbi"
    return any(any(Path(folder).glob(wanted)) for folder in _folders) if _folders else None


def _make_careful(cache: Any) -> None:
    """Mend three things in a function's cache.

    Numba takes cached code for fresh while the function's own file is unchanged, but a kernel is inlined
    from several files: here every file of this folder counts. The digest of them is also part of the
    cached files' names: two versions that run at the same time would otherwise write to one file and
    load each other's code. So would two processes that compile a function for two dtypes at once, which
    Numba numbers alike: the process's number is part of the names, too. And a disk that is full, or became
    read-only, must not stop a computation.
    """
    files = cache._cache_file
    files._source_stamp = _stamp()
    base = f"{cache._impl.filename_base}.{_stamp()[:16]}"
    files._index_name = f"{base}.nbi"
    files._index_path = os.path.join(files._cache_path, files._index_name)
    _folders.add(files._cache_path)
    save = cache.save_overload

    def save_if_possible(signature: Any, data: Any) -> None:
        files._data_name_pattern = f"{base}.{os.getpid()}-{{number:d}}.nbc"
        try:
            save(signature, data)
        except OSError:
            cache.disable()

    cache.save_overload = save_if_possible


@functools.cache
def _stamp() -> str:
    """A digest of everything that machine code depends on here."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
