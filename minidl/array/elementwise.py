"""Elementwise operations on a device: one small generator writes a kernel for each that is met.

A kernel is written for an operation, its dtypes, and how each array is walked through: one element after the
other, the same element again and again, or by strides. What was planned once, down to the numbers that the
kernel is given, is found again by what comes in, since a training step does the same things every time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minidl.array import layout as views
from minidl.array.device_array import DTYPES, MOST, DeviceArray
from minidl.array.formulas import formula
from minidl.array.gpu import GpuKernel, kernel_from_source
from minidl.errors import BackendError, DTypeError

__all__ = ["COPY", "WHERE", "Operation", "compute", "copy_into", "index_text", "launch_size", "of_ufunc"]

DTypes = tuple[np.dtype[Any], ...]
BLOCK = 256
LETTERS = "abc"
OPERANDS = (DeviceArray, bool, int, float, np.generic)
"""What an operation takes."""


class Operation(NamedTuple):
    """What is computed for each element.

    Attributes:
        name: of the ufunc whose formula it is.
        resolve: (dtypes or Python types of the inputs, the wanted dtype, that of `out`) → what each input is
            computed in, and the dtype of the result.
    """

    name: str
    resolve: Callable[[tuple[Any, ...], Any, Any], DTypes]


class Plan(NamedTuple):
    """All that a launch needs besides the arrays."""

    start: Callable[[tuple[Any, ...]], None] | None  # None where there is nothing to compute
    casts: tuple[Callable[[Any], Any] | None, ...]  # of the inputs that are numbers, if there are any
    numbers: tuple[int, ...]
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]
    nbytes: int


_plans: dict[Any, Plan] = {}


@functools.cache
def of_ufunc(ufunc: np.ufunc) -> Operation:
    """A ufunc as an operation: NumPy itself says which dtypes it computes in."""

    def resolve(given: tuple[Any, ...], dtype: Any, out: Any) -> DTypes:
        given = tuple(np.dtype(np.bool) if kind is bool else kind for kind in given)
        wanted: Any = {} if dtype is None else {"signature": (*(None,) * ufunc.nin, np.dtype(dtype))}
        resolved: DTypes = ufunc.resolve_dtypes((*given, out), casting="same_kind", **wanted)
        return resolved

    return Operation(ufunc.__name__, resolve)


def _resolve_copy(given: tuple[Any, ...], dtype: Any, out: Any) -> DTypes:
    return (out, out)


def _resolve_where(given: tuple[Any, ...], dtype: Any, out: Any) -> DTypes:
    chosen = [np.dtype(np.bool) if kind is bool else kind for kind in given[1:]]
    # a Python number has no dtype of its own: NumPy asks for a value of it
    common = np.result_type(*(kind(0) if isinstance(kind, type) else kind for kind in chosen))
    return (np.dtype(np.bool), common, common, common)


COPY = Operation("copy", _resolve_copy)
"""Elements as they are, in the dtype of `out`."""
WHERE = Operation("where", _resolve_where)
"""`b if a else c`."""


def compute(
    operation: Operation, inputs: Sequence[Any], out: DeviceArray | None = None, dtype: Any = None
) -> DeviceArray:
    """Compute an operation of broadcast arrays and numbers.

    Args:
        operation: what to compute.
        inputs: device arrays, of which there is at least one unless `out` is given, and numbers.
        out: where the result goes; a new array unless told.
        dtype: what to compute in, as a ufunc's `dtype=`.

    Returns:
        `out`, or the new array.
    """
    key: list[Any] = [operation.name, dtype]
    device = None
    if out is not None:
        inputs = [_apart(x, out) if type(x) is DeviceArray else x for x in inputs]
        device = out.device
        key += (device, out.dtype, out.shape, out.strides)
    for x in inputs:
        if type(x) is DeviceArray:
            device = x.device
            key += (device, x.dtype, x.shape, x.strides)
        else:
            key.append(_number_type(x))
    assert device is not None
    where = tuple(key)
    plan = _plans.get(where)
    if plan is None:
        if len(_plans) >= 4096:
            _plans.clear()
        plan = _plans[where] = _make_plan(operation, inputs, out, dtype)
    if out is None:
        out = DeviceArray(device.allocate(plan.nbytes), plan.shape, plan.strides, 0, plan.dtype)
    if plan.start is not None:
        device.launches += 1
        if plan.casts:
            inputs = [x if cast is None else cast(x) for x, cast in zip(inputs, plan.casts, strict=True)]
        plan.start((out, *inputs, *plan.numbers))
    return out


def copy_into(target: DeviceArray, values: Any) -> None:
    """Set every element of an array from another device array, which may broadcast, or from one number.

    Raises:
        BackendError: a host array.
    """
    if not isinstance(values, OPERANDS):
        raise BackendError(
            f"DeviceArray: expected values on {target.device.name!r} or a number, got {_described(values)}; "
            "use minidl.to_device(x)"
        )
    compute(COPY, [values], target)


def _described(x: Any) -> str:
    return f"a host array {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__


def _number_type(x: Any) -> Any:
    """What is known of a number: a NumPy scalar has a dtype, a Python number only a kind."""
    return x.dtype if isinstance(x, np.generic) else type(x)


def _apart(x: DeviceArray, out: DeviceArray) -> DeviceArray:
    """The input, copied where writing `out` would change elements that are yet to be read."""
    if x is out or x.buffer is not out.buffer or x.layout == out.layout:
        return x
    (low, high), (first, last) = views.span(x.layout), views.span(out.layout)
    return x.copy() if low < last and first < high else x


# -------------------------------------------------------------------- planning


def _make_plan(operation: Operation, inputs: Sequence[Any], out: DeviceArray | None, dtype: Any) -> Plan:
    kinds = tuple(x.dtype if isinstance(x, DeviceArray) else _number_type(x) for x in inputs)
    *loops, result = operation.resolve(kinds, dtype, None if out is None else out.dtype)
    for wanted in (*loops, result):
        if wanted not in DTYPES:
            raise DTypeError(f"{operation.name}: a device computes in {_NAMES}, not in {wanted}")
    arrays = [x for x in inputs if isinstance(x, DeviceArray)]
    device, *others = dict.fromkeys(x.device for x in (arrays if out is None else [out, *arrays]))
    if others:
        raise BackendError(
            f"{operation.name}: expected arrays on one device, got {device.name!r} and {others[0].name!r}"
        )
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    if out is not None and np.broadcast_shapes(shape, out.shape) != out.shape:
        raise ValueError(f"{operation.name}: expected an out of shape {shape}, got {out.shape}")
    shape = shape if out is None else out.shape
    written = views.dense(shape) if out is None else out.strides
    out_dtype = result if out is None else out.dtype
    casts = tuple(
        None if isinstance(x, DeviceArray) else float if loop.kind == "f" else loop.type
        for x, loop in zip(inputs, loops, strict=True)
    )

    strides = [written, *(views.broadcast(x.layout, shape).strides for x in arrays)]
    sizes, steps = views.collapse(shape, strides)
    count = int(np.prod(sizes))
    if count > MOST:
        raise ValueError(f"{operation.name}: expected at most {MOST} elements, got {shape}")
    if count == 0:
        return Plan(None, (), (), shape, written, out_dtype, 0)
    forms = tuple(_form(sizes, s) for s in steps)
    walked = [s for s, form in zip(steps, forms, strict=True) if form == "strided"]
    stored = iter(x.dtype for x in arrays)
    operands = tuple((loop, None if cast else next(stored)) for loop, cast in zip(loops, casts, strict=True))
    kernel = _kernel(operation.name, operands, result, out_dtype, forms, len(sizes) if walked else 1)
    numbers = (count, *(sizes[1:] if walked else ()), *(step for s in walked for step in s))
    start = device.ready(kernel, *launch_size(count), ())  # it has no `real`: its dtypes are its own
    nbytes = count * out_dtype.itemsize
    return Plan(start, casts if any(casts) else (), numbers, shape, written, out_dtype, nbytes)


_NAMES = ", ".join(dtype.name for dtype in DTYPES)


def launch_size(threads: int) -> tuple[int, int]:
    """How many blocks of how many threads: whole warps, of which few arrays need only one."""
    block = min(BLOCK, -(-threads // 32) * 32)
    return -(-threads // block), block


def _form(sizes: tuple[int, ...], steps: tuple[int, ...]) -> str:
    """How an array is walked through, of which the first two need no arithmetic."""
    if not any(steps):
        return "one"
    return "next" if len(sizes) == 1 and steps == (1,) else "strided"


# -------------------------------------------------------------------- writing kernels


def index_text(element: str, sizes: Sequence[str], name: str) -> list[str]:
    """Lines that turn the number of an element into its place in each dimension: name0, name1 and so on."""
    lines, rest = [], element
    for k in reversed(range(1, len(sizes))):
        lines += [
            f"{name}{k - 1}_ = {rest} // {sizes[k]}",
            f"{name}{k} = {rest} - {name}{k - 1}_ * {sizes[k]}",
        ]
        rest = f"{name}{k - 1}_"
    return [*lines, f"{name}0 = {rest}"]


@functools.cache
def _kernel(
    name: str,
    operands: tuple[tuple[np.dtype[Any], np.dtype[Any] | None], ...],
    result: np.dtype[Any],
    out_dtype: np.dtype[Any],
    forms: tuple[str, ...],
    rank: int,
) -> GpuKernel:
    """The kernel of an operation.

    Args:
        name: of the operation.
        operands: for each input, the dtype it is computed in, and in memory; None there is a number.
        result: the dtype of the formula's value.
        out_dtype: the dtype that it is stored in.
        forms: how `out`, then each input array, is walked through.
        rank: how many dimensions strided arrays have.
    """
    loop = operands[-1][0]
    text = formula(name, loop)
    if text is None:
        raise BackendError(f"np.{name}: there is no kernel for {loop} on a device")
    *before, value = text.replace("T(", f"{_typed(loop)}(").split(";")

    arrays = iter(forms)
    places = {"one": "0", "next": "i"}
    dims = range(rank)

    def place(letter: str) -> str:
        form = next(arrays)
        if form != "strided":
            return places[form]
        strided.append(letter)
        return " + ".join(f"i{k} * {letter}{k}" for k in dims)

    strided: list[str] = []
    stored = f"y[{place('y')}] = {_typed(out_dtype)}({value.strip()})"
    signature, loads = [f"{out_dtype}* y"], []
    for letter, (kind, memory) in zip(LETTERS, operands, strict=False):
        if memory is None:
            signature.append(f"{kind} {letter}")
        else:
            signature.append(f"const {memory}* {letter}_")
            loads.append(f"{letter} = {_typed(kind)}({letter}_[{place(letter)}])")
    sizes = [f"n{k}" for k in dims]
    counts = ["n", *(sizes[1:] if strided else ()), *(f"{x}{k}" for x in strided for k in dims)]
    signature += [f"int32 {count}" for count in counts]
    if strided:
        loads = index_text("i", sizes, "i") + loads
    names = [part.split()[-1] for part in signature]
    lines = [*loads, *(line.strip() for line in before), stored]
    source = "\n".join(
        [
            f"def {name}({', '.join(names)}):",
            "    i = cuda.grid(1)",
            "    if i < n:",
            *(f"        {x}" for x in lines),
        ]
    )
    return kernel_from_source(source + "\n", ", ".join(signature))


def _typed(dtype: np.dtype[Any]) -> str:
    return "bool_" if dtype == np.bool else dtype.name
