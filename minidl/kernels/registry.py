"""Which implementation of a kernel runs: the one place that decides.

A kernel is a hot pure function. Its reference, in plain NumPy, is the truth that one reads; a *twin* is a
faster function with the same arguments and the same results, registered for a type of array. The types of
the arrays in a call choose:

- a host array (`numpy.ndarray`): the Numba twin if the backend is `"numba"` and there is one, else the
  reference;
- any other array type: its twin, or an error that names what is missing.

Numba itself is imported at the first kernel call that wants it, never by `import minidl`; the twins for
arrays on a device at the first call with one.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar, overload

import numpy as np

from minidl.errors import BackendError

__all__ = ["KERNELS", "Kernel", "get_backend", "kernel", "use_backend"]

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

BACKENDS = ("numpy", "numba")
PLAIN = {np.ndarray, bool, float, int, str, tuple, type(None)}
"""Types of arguments that leave no choice: host arrays, and what says nothing about arrays."""
_on_device: dict[tuple[type, ...], type] = {}
"""The type of array on a device among types of arguments that a call had."""
KERNELS: dict[str, Kernel[..., Any]] = {}
"""Every kernel by name: what the tests of "same as the reference" go through."""


class Kernel(Generic[P, R]):
    """A hot function: calling it runs the implementation that fits its arrays.

    Attributes:
        reference: the plain NumPy function.
        twins: the faster functions by array type.
    """

    reference: Callable[P, R]
    twins: dict[type, Callable[P, R]]

    def __init__(self, reference: Callable[P, R]) -> None:
        functools.update_wrapper(self, reference)
        self.reference = reference
        self.twins = {}

    @overload
    def register(self, array_type: type[np.ndarray]) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
    @overload
    def register(self, array_type: type) -> Callable[[F], F]: ...
    def register(self, array_type: type) -> Callable[[F], F]:
        """A decorator: this function runs in the reference's place for arrays of `array_type`."""

        def add(twin: F) -> F:
            self.twins[array_type] = twin
            return twin

        return add

    def implementation(self, *args: Any) -> Callable[P, R]:
        """The function that a call with these arguments runs.

        Raises:
            BackendError: the arrays are of different types, or of one that this kernel has no twin for.
        """
        types = {type(arg) for arg in args if hasattr(type(arg), "__array_function__")}
        if all(issubclass(array_type, np.ndarray) for array_type in types):
            if get_backend() == "numba":
                _load_numba_twins()
                _set_backend("numba", loaded=True)
                return self.twins.get(np.ndarray, self.reference)
            return self.reference
        names = " and ".join(sorted(array_type.__name__ for array_type in types))
        if len(types) > 1:
            raise BackendError(f"{self!r}: expected arrays of one type, got {names}")
        _load_device_twins()
        array_type = types.pop()
        twin = self.twins.get(array_type)
        if twin is None:
            raise BackendError(f"{self!r}: there is no implementation for {names}")
        _on_device[tuple(map(type, args))] = array_type
        return twin

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the implementation that fits the arrays."""
        if _compiled and not kwargs and PLAIN.issuperset(map(type, args)):  # the usual case, made short
            return self.twins.get(np.ndarray, self.reference)(*args, **kwargs)
        if not kwargs:  # arrays on a device, with what came beside them before
            twin = self.twins.get(_on_device.get(tuple(map(type, args)), object))
            if twin is not None:
                return twin(*args, **kwargs)
        return self.implementation(*args, *kwargs.values())(*args, **kwargs)

    def __repr__(self) -> str:
        return f"kernel {self.reference.__module__.removeprefix('minidl.')}.{self.reference.__name__}"


def kernel(reference: Callable[P, R]) -> Kernel[P, R]:
    """A decorator: makes a plain NumPy function the reference of a `Kernel`."""
    made = Kernel(reference)
    KERNELS[reference.__name__] = made
    return made


# -------------------------------------------------------------------- the host's backend

_backend: str | None = None  # None until it is first needed or chosen
_compiled = False  # whether host arrays run on twins that are loaded


def _set_backend(name: str | None, loaded: bool = False) -> None:
    global _backend, _compiled
    _backend, _compiled = name, loaded and name == "numba"


def get_backend() -> str:
    """What runs kernels on host arrays: `"numba"` or `"numpy"`.

    Unless `use_backend` chose, the environment variable MINIDL_BACKEND does; without it, Numba wherever it
    is installed.

    Raises:
        BackendError: MINIDL_BACKEND names no backend, or one that is not installed.
    """
    if _backend is None:
        wanted = os.environ.get("MINIDL_BACKEND", "")
        _set_backend(_checked(wanted, "MINIDL_BACKEND") if wanted else _default_backend())
    assert _backend is not None
    return _backend


def use_backend(name: str) -> _Restore:
    """Choose what runs kernels on host arrays, from here on or for one block.

    ```python
    minidl.use_backend("numpy")           # from here on
    with minidl.use_backend("numba"):     # for this block
        ...
    ```

    Args:
        name: `"numpy"` for the plain references, `"numba"` for compiled twins.

    Raises:
        BackendError: there is no such backend, or Numba is not installed.
    """
    before = _backend
    _set_backend(_checked(name, "use_backend"))
    return _Restore(before)


class _Restore:
    """Puts the backend before `use_backend` back at the end of a `with` block."""

    def __init__(self, before: str | None) -> None:
        self.before = before

    def __enter__(self) -> None:
        """The choice was made already, by `use_backend` itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _set_backend(self.before)


def _numba_is_installed() -> bool:
    try:
        return importlib.util.find_spec("numba") is not None
    except (ImportError, ValueError):  # somebody put None or a half-made module in sys.modules
        return False


def _default_backend() -> str:
    return "numba" if _numba_is_installed() else "numpy"


def _checked(name: str, who: str) -> str:
    if name not in BACKENDS:
        raise BackendError(f"{who}: expected 'numpy' or 'numba', got {name!r}")
    if name == "numba" and not _numba_is_installed():
        raise BackendError(f"{who}: 'numba' was asked for, but Numba is not installed (pip install numba)")
    return name


@functools.cache
def _load_numba_twins() -> None:
    """Import the twins, once; a Numba that is installed but broken costs speed, not the run."""
    try:
        importlib.import_module("minidl.kernels.numba_cpu")
    except ImportError as error:
        warnings.warn(f"minidl: Numba cannot be imported, NumPy runs instead: {error}", stacklevel=4)


@functools.cache
def _load_device_twins() -> None:
    """Import the twins for arrays on a device, once."""
    importlib.import_module("minidl.kernels.cuda")
