"""The language that GPU kernels are written in: one Python function, run by a GPU, a compiler or a simulator.

A kernel says what one thread does. It takes raw pointers and numbers, nothing that knows a shape:

```python
from minidl.array.gpu import cuda, gpu_kernel, real

@gpu_kernel("real* y, const real* x, int32 n")
def relu_kernel(y, x, n):
    i = cuda.grid(1)
    if i < n:
        y[i] = x[i] if x[i] > real(0) else real(0)

relu_kernel(blocks, 256, y, x, n)      # on the device that y and x are on
```

`real` stands for float32 or float64, whichever the arrays have. `cuda`, `real`, `int32`, … are only names
here: a GPU's compiler and the simulator each put their own meaning in their place, and this file imports
neither.
"""

from __future__ import annotations

import ast
import builtins
import dis
import inspect
import linecache
import math
import re
import textwrap
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from minidl.errors import DTypeError

__all__ = [
    "GPU_KERNELS",
    "Argument",
    "GpuFunction",
    "GpuKernel",
    "Size",
    "bool_",
    "cuda",
    "float32",
    "float64",
    "gpu_function",
    "gpu_kernel",
    "int32",
    "int64",
    "kernel_from_source",
    "real",
    "uint8",
    "uint32",
]

Size: TypeAlias = int | tuple[int, ...]
"""How many blocks, or threads in a block: a number, or up to three of them (x, y, z)."""


class _Name:
    """A name that gets its meaning in a running kernel; on the host it has none."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):  # Python's own questions, by copy or inspect
            raise AttributeError(attribute)
        raise RuntimeError(f"{self._name}.{attribute} has a meaning in GPU kernels only")

    def __call__(self, *args: Any) -> Any:
        raise RuntimeError(f"{self._name}() has a meaning in GPU kernels only")

    def __repr__(self) -> str:
        return f"<{self._name}, in GPU kernels>"


cuda: Any = _Name("cuda")
"""`cuda.grid(1)`, `cuda.threadIdx.x`, `cuda.syncthreads()`, `cuda.shared.array(64, real, alignment=16)`, …"""
real: Any = _Name("real")
"""float32 or float64: `real(0.5)` is a constant in the precision that the kernel is compiled for."""
bool_: Any = _Name("bool_")
int32: Any = _Name("int32")
int64: Any = _Name("int64")
uint8: Any = _Name("uint8")
uint32: Any = _Name("uint32")
float32: Any = _Name("float32")
float64: Any = _Name("float64")

NAMES = ("cuda", "real", "bool_", "int32", "int64", "uint8", "uint32", "float32", "float64")
"""What a runner of kernels gives a meaning to."""
TYPES = {name: np.dtype(name) for name in ("bool", "uint8", "int32", "uint32", "int64", "float32", "float64")}

PRECISIONS: dict[Any, str] = {TYPES[name]: name for name in ("float32", "float64")}
"""What `real` is for an array of a dtype."""


@dataclass(frozen=True)
class Argument:
    """One argument of a kernel.

    Attributes:
        name: in the kernel's text.
        type: `"real"`, or the name of a NumPy dtype.
        pointer: whether it points to values, or is one.
        const: whether what it points to is only read.
    """

    name: str
    type: str
    pointer: bool = False
    const: bool = False

    def dtype(self, precision: str) -> np.dtype[Any]:
        """The dtype of the values, in a kernel whose `real` is `precision`."""
        return TYPES[precision if self.type == "real" else self.type]

    def __str__(self) -> str:
        return f"{'const ' * self.const}{self.type}{'*' * self.pointer} {self.name}"


def _parsed(signature: str, who: str) -> tuple[Argument, ...]:
    """`"real* y, const real* x, int32 n"` as arguments."""
    arguments = []
    for text in signature.split(","):
        found = re.fullmatch(r"\s*(const\s+)?(\w+)\s*(\*?)\s*(\w+)\s*", text)
        if not found or found[2] not in ("real", *TYPES):
            raise ValueError(
                f"{who}: expected an argument such as 'const real* x' or 'int32 n', got {text!r}"
            )
        arguments.append(Argument(found[4], found[2], bool(found[3]), bool(found[1])))
    return tuple(arguments)


class GpuFunction:
    """A function that kernels call: it becomes part of them.

    Attributes:
        name: of the function.
        function: the Python text, which only a device gives a meaning.
    """

    def __init__(self, function: types.FunctionType, source: str | None = None) -> None:
        self.name = function.__name__
        self.function = function
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__module__ = function.__module__
        self._source = source

    def __call__(self, *args: Any) -> Any:
        """Kernels call it; the host does not."""
        raise RuntimeError(f"{self.name}() has a meaning in GPU kernels only")

    def __repr__(self) -> str:
        return f"GPU function {self.name}"

    def tree(self) -> ast.FunctionDef:
        """The function's syntax tree, with the line numbers of its file."""
        if self._source is not None:
            return next(n for n in ast.parse(self._source).body if isinstance(n, ast.FunctionDef))
        lines, first = inspect.getsourcelines(self.function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
        ast.increment_lineno(tree, first - 1)
        return next(n for n in tree.body if isinstance(n, ast.FunctionDef))

    def names(self) -> dict[str, Any]:
        """What the function's text sees: the globals of its module, and variables around it."""
        around = inspect.getclosurevars(self.function).nonlocals
        return {**self.function.__globals__, **around}

    def with_names(self, meaning: Callable[[str, Any], Any]) -> types.FunctionType:
        """A copy of the function for which every name that it uses means what `meaning(name, value)` says."""
        used = _names_in(self.function.__code__)
        replaced = {name: meaning(name, value) for name, value in self.names().items() if name in used}
        code = self.function.__code__
        closure = tuple(types.CellType(replaced[name]) for name in code.co_freevars)
        return types.FunctionType(code, {"__builtins__": builtins, **replaced}, self.name, None, closure)


def _names_in(code: types.CodeType) -> set[str]:
    """The names outside a function that its text looks up."""
    found = {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    return {*found, *code.co_freevars}


REGISTERS = 65536  # of a GPU's multiprocessor, which at least one block has to fit


class GpuKernel(GpuFunction):
    """A kernel: calling it starts one thread for each element of a grid of blocks.

    Attributes:
        arguments: the parsed signature.
        registers: how many of the GPU's registers a thread may use; the compile proof refuses more.
        threads: how many threads a block may have, so that there are registers for all.
        precisions: what `real` may be: float32 and float64, or only the first name in a kernel without it.
        first_pointer: the position of the argument that says which device runs.
        first_real: the position of the argument whose dtype says what `real` is, if there is one.
    """

    arguments: tuple[Argument, ...]
    registers: int
    threads: int
    precisions: tuple[str, ...]
    first_pointer: int
    first_real: int | None

    def __init__(
        self, function: types.FunctionType, signature: str, registers: int = 64, source: str | None = None
    ) -> None:
        super().__init__(function, source)
        self.arguments = _parsed(signature, self.name)
        self.registers = registers
        self.threads = min(1024, REGISTERS // registers)
        names = tuple(inspect.signature(function).parameters)
        if names != tuple(argument.name for argument in self.arguments):
            raise ValueError(f"{self.name}: its signature says {signature!r}, the function takes {names}")
        pointers = [i for i, argument in enumerate(self.arguments) if argument.pointer]
        reals = [i for i, argument in enumerate(self.arguments) if argument.type == "real"]
        if not pointers or (reals and reals[0] not in pointers and not set(reals) & set(pointers)):
            raise ValueError(
                f"{self.name}: expected a pointer, and one to real if there is a real, got {signature!r}"
            )
        self.first_pointer = pointers[0]
        self.first_real = next((i for i in reals if i in pointers), None)
        self.precisions = ("float32", "float64") if reals else ("float32",)

    def __call__(self, grid: Size, block: Size, *args: Any) -> None:
        """Run `grid` blocks of `block` threads on the device of the arrays; the host does not wait.

        Args:
            grid: how many blocks; with a 0 in it nothing happens.
            block: how many threads in each.
            args: device arrays where the signature has a pointer (it points to the array's first element),
                numbers elsewhere.

        Raises:
            DTypeError: an argument does not fit the signature.
        """
        if len(args) != len(self.arguments):
            raise DTypeError(f"{self.name}: expected {self.signature()}, got {len(args)} arguments")
        try:
            launch = args[self.first_pointer].device.launch
        except AttributeError:
            raise self.misfit(self.first_pointer, args[self.first_pointer], "float32") from None
        launch(self, grid, block, args)

    def precision(self, args: tuple[Any, ...]) -> str:
        """What `real` is in a call with these arguments."""
        if self.first_real is None:
            return "float32"
        array = args[self.first_real]
        found = PRECISIONS.get(getattr(array, "dtype", None))
        if found is None:
            raise self.misfit(self.first_real, array, "float32 or float64")
        return found

    def misfit(self, position: int, got: Any, precision: str) -> DTypeError:
        """The error for an argument that does not fit."""
        argument = self.arguments[position]
        kind = precision if argument.type == "real" else argument.type
        wanted = f"a device array of {kind}" if argument.pointer else f"a number that fits {kind}"
        dtype = getattr(got, "dtype", None)
        given = f"{type(got).__name__} of {dtype}" if dtype is not None else repr(got)
        return DTypeError(f"{self.name}: argument {argument.name!r}: expected {wanted}, got {given}")

    def signature(self) -> str:
        """The signature as text."""
        return ", ".join(map(str, self.arguments))

    def __repr__(self) -> str:
        return f"GPU kernel {self.name}({self.signature()})"


GPU_KERNELS: dict[str, GpuKernel] = {}
"""Every kernel by `module.name`: what the compile proof goes through."""


def gpu_kernel(signature: str, *, registers: int = 64) -> Callable[[Callable[..., None]], GpuKernel]:
    """A decorator: makes a Python function a kernel.

    Args:
        signature: the arguments with their types, as in C: `"real* y, const real* x, int32 n"`. A type is
            real, bool, uint8, int32, uint32, int64, float32 or float64.
        registers: how many registers a thread may use.
    """

    def make(function: Callable[..., None]) -> GpuKernel:
        assert isinstance(function, types.FunctionType)
        made = GpuKernel(function, signature, registers)
        GPU_KERNELS[f"{function.__module__}.{made.name}"] = made
        return made

    return make


def gpu_function(function: Callable[..., Any]) -> GpuFunction:
    """A decorator: makes a Python function one that kernels call."""
    assert isinstance(function, types.FunctionType)
    return GpuFunction(function)


def kernel_from_source(
    source: str, signature: str, *, registers: int = 64, names: Mapping[str, Any] | None = None
) -> GpuKernel:
    """A kernel from generated text; it is not listed in `GPU_KERNELS`.

    Args:
        source: the text of one function.
        signature: as in `gpu_kernel`.
        registers: likewise.
        names: what the text uses beside the language itself and `math`.
    """
    names_of_language = {name: globals()[name] for name in NAMES}
    scope: dict[str, Any] = {"__name__": __name__, "math": math, **names_of_language, **(names or {})}
    file = f"<generated kernel {abs(hash(source)):x}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), scope)
    function = next(
        value
        for value in scope.values()
        if isinstance(value, types.FunctionType) and value.__code__.co_filename == file
    )
    return GpuKernel(function, signature, registers, source)
