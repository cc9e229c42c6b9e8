"""Kernels as machine code for NVIDIA GPUs: the only file that imports the CUDA compiler.

The compiler is Numba's (the package `numba-cuda`); whoever wants its successor changes this file. It makes
PTX, a GPU's assembly language, and needs no GPU for that.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minidl.array.gpu import NAMES, GpuFunction, GpuKernel
from minidl.errors import BackendError

__all__ = ["compile_kernel", "compiler_is_installed", "kept_kernel"]


def compiler_is_installed() -> bool:
    """Whether the package is there; nothing is imported to find out."""
    try:
        return importlib.util.find_spec("numba_cuda") is not None
    except (ImportError, ValueError):  # somebody put None in sys.modules
        return False


OLDEST = (8, 0)
"""PTX is made for an A100 (8.0), or an older GPU that is at hand. A driver makes any later GPU's
machine code from it, so that what the compile proof looks at is what every GPU runs."""


def compile_kernel(
    kernel: GpuKernel, precision: str, capability: tuple[int, int] = OLDEST
) -> tuple[bytes, str]:
    """A kernel as PTX.

    Args:
        kernel: which.
        precision: what `real` is: `"float32"` or `"float64"`.
        capability: of the GPU that runs it: (8, 0) is an A100, (9, 0) an H100.

    Returns:
        The PTX, and the name that the kernel has in it.

    Raises:
        BackendError: the compiler is not installed, or refuses the kernel.
    """
    if not compiler_is_installed():
        raise BackendError('there is no CUDA compiler here: pip install "minidl[cuda13]"')
    import numba
    from numba import cuda

    arguments = []
    for argument in kernel.arguments:
        name = argument.dtype(precision).name
        if argument.pointer:  # a bool in memory is a byte; the compiler stores none through a pointer
            arguments.append(numba.types.CPointer(getattr(numba.types, "uint8" if name == "bool" else name)))
        else:
            arguments.append(numba.types.boolean if name == "bool" else getattr(numba.types, name))
    oldest = min(capability, OLDEST)
    function = kernel.with_names(_meaning(precision, oldest))
    try:
        with _functions_for(oldest):
            text, _ = cuda.compile_ptx(function, numba.types.void(*arguments), cc=oldest)
    except Exception as error:
        raise BackendError(f"{kernel!r} with real = {precision} does not compile: {error}") from error
    entry = _entry(text)
    # The compiler can say how many threads a block has, from which the driver guesses how many registers a
    # thread may have: too few. So the kernel says it itself.
    limited = f"{text[: entry.end()]}\n.maxnreg {kernel.registers}{text[entry.end() :]}"
    return limited.encode(), entry[1]


def kept_kernel(kernel: GpuKernel, precision: str, capability: tuple[int, int]) -> tuple[bytes, str]:
    """As `compile_kernel`, but what was compiled once is kept in a folder: a large kernel takes seconds.

    Its file is named by a digest of all that the PTX depends on. A folder that cannot be written costs time.
    """
    said = [_text_of(kernel), kernel.signature(), kernel.registers, precision, min(capability, OLDEST)]
    said.append(importlib.metadata.version("numba-cuda"))
    name = hashlib.sha256(repr(said).encode()).hexdigest()[:32]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = cache / "minidl" / "kernels" / f"{kernel.name}-{name}.ptx"
    try:
        text = path.read_bytes()
    except OSError:
        text, entry = compile_kernel(kernel, precision, capability)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}")  # so that nobody reads half a file
            part.write_bytes(text)
            part.replace(path)
        return text, entry
    return text, _entry(text.decode())[1]


def _text_of(function: GpuFunction) -> list[Any]:
    """A function's text and what its names stand for, the functions that it calls included."""
    names = sorted(function.used())
    values = [_text_of(value) if isinstance(value, GpuFunction) else repr(value) for _, value in names]
    return [ast.dump(function.tree()), [name for name, _ in names], values]


def _entry(text: str) -> re.Match[str]:
    found = re.search(r"\.visible \.entry (\w+)\(.*?\)", text, re.DOTALL)
    assert found
    return found


@contextmanager
def _functions_for(capability: tuple[int, int]) -> Iterator[None]:
    """The compiler asks the driver which GPU a function of a kernel is for: here it need not."""
    from numba.cuda import dispatcher

    asked = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: types.SimpleNamespace(compute_capability=capability)
    try:
        yield
    finally:
        dispatcher.get_current_device = asked


@functools.cache
def _meaning(precision: str, capability: tuple[int, int]) -> Callable[[str, Any], Any]:
    """What a name in a kernel's text is for the compiler; functions are compiled once for all kernels."""
    import numba
    from numba import cuda

    language = {name: getattr(numba, name) for name in NAMES if name not in ("cuda", "real", "bool_")}
    language |= {"cuda": cuda, "real": getattr(numba, precision), "bool_": numba.boolean}
    functions: dict[GpuFunction, Any] = {}

    def meaning(name: str, value: Any) -> Any:
        if isinstance(value, GpuFunction):
            if value not in functions:
                functions[value] = cuda.jit(device=True)(value.with_names(meaning))
            return functions[value]
        if isinstance(value, types.FunctionType | types.ModuleType) and value.__name__ != "math":
            raise BackendError(f"{name} is no GPU function: mark it with @gpu_function")
        return language.get(name, value)

    return meaning
