"""Kernels as machine code for NVIDIA GPUs: the only file that imports the CUDA compiler.

The compiler is Numba's (the package `numba-cuda`); whoever wants its successor changes this file. It makes
PTX, a GPU's assembly language, and needs no GPU for that.
"""

from __future__ import annotations

import importlib.util
import re
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from minidl.array.gpu import NAMES, GpuFunction, GpuKernel
from minidl.errors import BackendError

__all__ = ["compile_kernel", "compiler_is_installed"]


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
    function = kernel.with_names(_meaning(precision))
    oldest = min(capability, OLDEST)
    try:
        with _functions_for(oldest):
            text, _ = cuda.compile_ptx(function, numba.types.void(*arguments), cc=oldest)
    except Exception as error:
        raise BackendError(f"{kernel!r} with real = {precision} does not compile: {error}") from error
    entry = re.search(r"\.visible \.entry (\w+)\(.*?\)", text, re.DOTALL)
    assert entry
    # The compiler can say how many threads a block has, from which the driver guesses how many registers a
    # thread may have: too few. So the kernel says it itself.
    limited = f"{text[: entry.end()]}\n.maxnreg {kernel.registers}{text[entry.end() :]}"
    return limited.encode(), entry[1]


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


def _meaning(precision: str) -> Callable[[str, Any], Any]:
    """What a name in a kernel's text is for the compiler."""
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
