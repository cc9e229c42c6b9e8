"""What NumPy asks of a DeviceArray: its ufuncs (NEP 13) and its functions (NEP 18), each by name.

What is not here raises, naming the function: nothing falls back to the host.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.array import layout as views
from minidl.array import movement, reductions
from minidl.array.device import Device
from minidl.array.device_array import DeviceArray, empty
from minidl.array.elementwise import OPERANDS, WHERE, compute, of_ufunc
from minidl.array.transfer import to_device
from minidl.errors import BackendError

__all__ = ["MATMUL", "run_function", "run_ufunc"]

MATMUL: list[Callable[[DeviceArray, DeviceArray], DeviceArray]] = []
"""What multiplies matrices (…, M, K) and (…, K, N): `minidl.kernels.cuda` puts it here."""

SPECIAL = {"matmul", "divmod", "clip"}
"""Ufuncs that are no elementwise kernel."""
REDUCING = {"add", "multiply", "maximum", "minimum", "logical_and", "logical_or"}
"""Ufuncs whose `reduce` there is."""


def run_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], how: dict[str, Any]) -> Any:
    """Answer `ufunc(*inputs, **how)` or one of its methods.

    Raises:
        BackendError: host arrays among the inputs, or what has no kernel.
    """
    name = ufunc.__name__
    for x in inputs:
        if type(x) is not DeviceArray:
            _check_operand(name, x)
    if not how and method == "__call__" and name not in SPECIAL:  # the usual case, made short
        return compute(of_ufunc(ufunc), inputs)
    (out,) = how.pop("out", None) or (None,)
    if out is not None and not isinstance(out, DeviceArray):
        raise BackendError(f"np.{name}: expected an out on the device, got {_described(out)}")
    if method == "reduce" and name in REDUCING:
        return reductions.reduce(name, inputs[0], **{"axis": 0, **how, "out": out})
    dtype = how.pop("dtype", None)
    how.pop("casting", None)
    if method != "__call__" or how:
        what = f"{name}.{method}" if method != "__call__" else f"{name} with {', '.join(how)}"
        raise BackendError(
            f"np.{what} is not there for a DeviceArray; minidl.to_host(x) brings it to the host"
        )
    if name == "matmul":
        return _matmul(out, *inputs)
    if name == "divmod":
        return np.floor_divide(*inputs), np.remainder(*inputs)
    if name == "clip":
        x, low, high = inputs
        return np.minimum(np.maximum(x, low), high)
    return compute(of_ufunc(ufunc), inputs, out, dtype)


def _check_operand(name: str, x: Any) -> None:
    if isinstance(x, OPERANDS):
        return
    raise BackendError(
        f"np.{name}: expected arrays on one device or numbers, got a DeviceArray and {_described(x)}; "
        "use minidl.to_device(x) or minidl.to_host(x)"
    )


def _described(x: Any) -> str:
    return f"a host array {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__


def _matmul(out: DeviceArray | None, a: Any, b: Any) -> DeviceArray:
    """`a @ b` by the kernel in `MATMUL`; vectors become matrices, and results lose that again."""
    if not MATMUL:
        import importlib

        importlib.import_module("minidl.kernels.cuda")  # by name: it is what this room may not depend on
    kind = np.result_type(a.dtype, b.dtype)
    left, right = a.ndim == 1, b.ndim == 1
    if not a.ndim or not b.ndim:
        raise ValueError(f"matmul: expected arrays with dimensions, got {a.shape} and {b.shape}")
    a = (a[None] if left else a).astype(kind, copy=False)
    b = (b[:, None] if right else b).astype(kind, copy=False)
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul: expected (…, M, K) and (…, K, N), got {a.shape} and {b.shape}")
    y = MATMUL[0](a, b)
    y = y[..., 0, :] if left else y
    y = y[..., 0] if right else y
    if out is None:
        return y
    out[...] = y
    return out


# -------------------------------------------------------------------- functions

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""What runs in place of each of NumPy's functions."""

MAKERS = {np.arange, np.array, np.asarray, np.empty, np.eye, np.full, np.ones, np.zeros}
"""Functions that make an array `like` one on a device: made on the host, and put there."""

METHODS = (
    *("all", "any", "argmax", "argmin", "astype", "copy", "max", "mean", "min", "prod", "ravel", "reshape"),
    *("squeeze", "std", "sum", "swapaxes", "take", "transpose", "var"),
)
"""Functions that are methods too."""


def run_function(function: Any, args: Any, kwargs: Any, device: Device) -> Any:
    """Answer one of NumPy's functions; `device` is where what `np.arange(3, like=x)` makes belongs.

    Raises:
        BackendError: it has none here.
    """
    here = FUNCTIONS.get(function)
    if function in MAKERS:
        return to_device(function(*args, **kwargs), device)
    if here is None:
        raise BackendError(
            f"np.{function.__name__} is not there for a DeviceArray; minidl.to_host(x) brings it to the host"
        )
    return here(*args, **kwargs)


def _implements(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(here: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS.update(dict.fromkeys(functions, here))
        return here

    return add


def _call_method(name: str, x: Any, *args: Any, **kwargs: Any) -> Any:
    if not isinstance(x, DeviceArray):
        raise BackendError(f"np.{name}: expected a DeviceArray first, got {type(x).__name__}")
    return getattr(x, name)(*args, **kwargs)


for _name in METHODS:
    FUNCTIONS[getattr(np, _name)] = functools.partial(_call_method, _name)
FUNCTIONS |= {
    np.concatenate: movement.concatenate,
    np.stack: movement.stack,
    np.split: movement.split,
    np.array_split: functools.partial(movement.split, even=False),
    np.flip: movement.flip,
    np.moveaxis: movement.moveaxis,
    np.pad: movement.pad,
    np.take_along_axis: movement.take_along_axis,
    np.ndim: lambda x: x.ndim,
    np.shape: lambda x: x.shape,
    np.size: lambda x: x.size,
    np.result_type: lambda *given: np.result_type(
        *(x.dtype if isinstance(x, DeviceArray) else x for x in given)
    ),
}


@_implements(np.where)
def _where(condition: Any, x: Any, y: Any) -> DeviceArray:
    for given in (condition, x, y):
        _check_operand("where", given)
    return compute(WHERE, (condition, x, y))


@_implements(np.empty_like)
def _empty_like(x: DeviceArray, dtype: Any = None, order: str = "C", shape: Any = None) -> DeviceArray:
    wanted = x.shape if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
    return empty(wanted, np.dtype(dtype or x.dtype), x.device)


@_implements(np.full_like)
def _full_like(
    x: DeviceArray, fill_value: Any, dtype: Any = None, order: str = "C", shape: Any = None
) -> DeviceArray:
    made = _empty_like(x, dtype, order, shape)
    made.fill(fill_value)
    return made


@_implements(np.zeros_like)
def _zeros_like(x: DeviceArray, dtype: Any = None, order: str = "C", shape: Any = None) -> DeviceArray:
    return _full_like(x, 0, dtype, order, shape)


@_implements(np.ones_like)
def _ones_like(x: DeviceArray, dtype: Any = None, order: str = "C", shape: Any = None) -> DeviceArray:
    return _full_like(x, 1, dtype, order, shape)


@_implements(np.broadcast_to)
def _broadcast_to(x: DeviceArray, shape: Any) -> DeviceArray:
    return x.view_of(views.broadcast(x.layout, (shape,) if isinstance(shape, int) else tuple(shape)))


@_implements(np.broadcast_arrays)
def _broadcast_arrays(*arrays: DeviceArray) -> tuple[DeviceArray, ...]:
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    return tuple(_broadcast_to(x, shape) for x in arrays)


@_implements(np.expand_dims)
def _expand_dims(x: DeviceArray, axis: Any) -> DeviceArray:
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    places = views.axes_of(axes, x.ndim + len(axes))
    return x[tuple(None if i in places else slice(None) for i in range(x.ndim + len(axes)))]


@_implements(np.clip)
def _clip(x: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


@_implements(np.outer)
def _outer(a: DeviceArray, b: DeviceArray) -> DeviceArray:
    return a.reshape(-1, 1) * b.reshape(1, -1)


@_implements(np.dot)
def _dot(a: Any, b: Any) -> DeviceArray:
    if getattr(b, "ndim", 0) > 2:
        raise BackendError("np.dot: expected at most two dimensions on a device, got more; use np.matmul")
    return a @ b if getattr(a, "ndim", 0) and getattr(b, "ndim", 0) else a * b


@_implements(np.count_nonzero)
def _count_nonzero(x: DeviceArray, axis: Any = None, *, keepdims: bool = False) -> DeviceArray:
    return (x != 0).sum(axis=axis, keepdims=keepdims)


@_implements(np.isneginf)
def _isneginf(x: Any) -> Any:
    return np.equal(x, -np.inf)


@_implements(np.isposinf)
def _isposinf(x: Any) -> Any:
    return np.equal(x, np.inf)


@_implements(np.array_equal)
def _array_equal(a: Any, b: Any) -> bool:
    """One of the places that wait: the answer is a Python bool, as NumPy's is."""
    return a.shape == b.shape and bool(np.equal(a, b).all())


@_implements(np.shares_memory, np.may_share_memory)
def _shares_memory(a: Any, b: Any) -> bool:
    """Whether two arrays reach into the same part of the same buffer."""
    if not isinstance(a, DeviceArray) or not isinstance(b, DeviceArray) or a.buffer is not b.buffer:
        return False
    (low, high), (first, last) = (tuple(place * x.itemsize for place in views.span(x.layout)) for x in (a, b))
    return low < last and first < high
