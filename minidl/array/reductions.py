"""Sums, maxima and the like on a device: always in the same order, and in short runs that are then joined.

One thread adds up a run of at most `RUN` elements, one after the other, so a million elements become some
ten thousand partial results, these a few hundred, and those one: as in NumPy's pairwise sums, rounding errors
grow with the number of rounds and not with the number of elements. Where the elements of one result are
neighbours in memory, the threads of a block walk through them side by side and then join what they have.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minidl.array import layout as views
from minidl.array.device_array import DeviceArray, empty
from minidl.array.elementwise import launch_size
from minidl.array.gpu import GpuKernel
from minidl.array.layout import Layout
from minidl.array.reduction_kernels import RUN, THREADS, reduction_kernel, winner_kernel

__all__ = ["arg_extreme", "mean", "reduce", "var"]

Axis = int | Sequence[int] | None


def reduce(
    name: str,
    x: DeviceArray,
    axis: Axis = None,
    dtype: Any = None,
    out: DeviceArray | None = None,
    keepdims: bool = False,
    initial: Any = None,
) -> DeviceArray:
    """Join elements along axes by the ufunc `name`: add, multiply, maximum, minimum, logical_and, logical_or.

    Args:
        name: of the ufunc.
        x: what to reduce.
        axis: the dimensions to reduce; all unless told.
        dtype: of the result and of what is computed; NumPy's choice unless told.
        out: where the result goes.
        keepdims: whether reduced dimensions stay, with size 1.
        initial: joined with every result.

    Raises:
        ValueError: the largest or smallest of nothing.
    """
    plan = _plan(
        name, x.dtype, x.layout, axis if axis is None or isinstance(axis, int) else tuple(axis), dtype
    )
    if plan.joined == 0 and name in ("maximum", "minimum") and initial is None:
        raise ValueError(f"{name}: expected elements to reduce, got {x.shape} along {axis}")
    if plan.rounds:
        result = x
        for kernel, grid, block, numbers, shape in plan.rounds:
            made = empty(shape, plan.dtype, x.device)
            kernel(grid, block, made, result, *numbers)
            result = made
        result = DeviceArray(result.buffer, plan.kept, views.dense(plan.kept), 0, plan.dtype)
    else:
        result = empty(plan.kept, plan.dtype, x.device)
        result.fill(plan.identity if initial is None else initial)
    if initial is not None and plan.joined:
        result = getattr(np, name)(result, plan.dtype.type(initial))
    if not keepdims:
        result = DeviceArray(result.buffer, plan.shape, views.dense(plan.shape), 0, plan.dtype)
    if out is None:
        return result
    out[...] = result
    return out


def mean(x: DeviceArray, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> DeviceArray:
    """The sum over the number of elements, in float64 for integers."""
    kind = dtype or (x.dtype if x.dtype.kind == "f" else np.float64)
    count = math.prod(x.shape[i] for i in views.axes_of(axis, x.ndim))
    total = reduce("add", x, axis, kind, keepdims=keepdims)
    return total / count if count else total * math.nan


def var(
    x: DeviceArray, axis: Axis = None, dtype: Any = None, ddof: float = 0, keepdims: bool = False
) -> DeviceArray:
    """The mean square distance from the mean, in two passes as in NumPy."""
    distance = x - mean(x, axis, dtype, keepdims=True)
    count = math.prod(x.shape[i] for i in views.axes_of(axis, x.ndim))
    total = reduce("add", distance * distance, axis, keepdims=keepdims)
    return total / (count - ddof) if count > ddof else total * math.nan


def arg_extreme(name: str, x: DeviceArray, axis: int | None = None, keepdims: bool = False) -> DeviceArray:
    """Where the largest (`name` is "maximum") or smallest is: the first one, a NaN before all, int64.

    Raises:
        ValueError: there is no element along the axis.
    """
    source, along = (x.ravel(), 0) if axis is None else (x, axis)
    rounds = _winner_plan(name, source.dtype, source.layout, along)
    found: DeviceArray | None = None
    for kernel, grid, block, numbers, shape in rounds:
        made = empty(shape, np.int64, x.device)
        kernel(grid, block, made, *(() if found is None else (found,)), source, *numbers)
        found = made
    (gone,) = views.axes_of(along, source.ndim)
    left = () if axis is None else tuple(n for i, n in enumerate(x.shape) if i != gone)
    if keepdims:
        left = tuple(1 if axis is None or i == gone else n for i, n in enumerate(x.shape))
    return empty(left, np.int64, x.device) if found is None else found.reshape(left)


@functools.lru_cache(maxsize=4096)
def _winner_plan(name: str, dtype: np.dtype[Any], layout: Layout, axis: int) -> tuple[Round, ...]:
    """The rounds of argmax or argmin: each finds the winners among those of the one before."""
    axes = views.axes_of(axis, len(layout.shape))
    count = layout.shape[axes[0]]
    if count == 0:
        raise ValueError(f"arg{name[:3]}: expected elements to choose from, got {layout.shape} along {axis}")
    (sizes, strides), (length, step) = _split(layout, axes)
    outputs = math.prod(layout.shape) // count
    rounds: list[Round] = []
    while outputs and (count > 1 or not rounds):
        runs = -(-count // RUN)
        kernel = winner_kernel(name, dtype, len(sizes), len(length), bool(rounds))
        numbers = (outputs * runs, outputs, runs, count, *sizes, *strides, *length, *step)
        rounds.append(Round(kernel, *launch_size(outputs * runs), numbers, (outputs, runs)))
        count = runs
    return tuple(rounds)


Dims = tuple[tuple[int, ...], tuple[int, ...]]


def _split(layout: Layout, axes: tuple[int, ...]) -> tuple[Dims, Dims]:
    """Sizes and strides of the dimensions that stay, and of those that are reduced, each joined."""

    def dims(which: list[int]) -> Dims:
        sizes, (strides,) = views.collapse(
            tuple(layout.shape[i] for i in which), [tuple(layout.strides[i] for i in which)]
        )
        return sizes, strides

    return dims([i for i in range(len(layout.shape)) if i not in axes]), dims(list(axes))


def _result_dtype(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """NumPy's: booleans and small integers add up in int64, and logic gives booleans."""
    if name in ("logical_and", "logical_or"):
        return np.dtype(np.bool)
    if name in ("add", "multiply") and dtype.kind in "bui":
        return np.dtype(np.int64)
    return dtype


def _identity(name: str, dtype: np.dtype[Any]) -> Any:
    """What joined with any element gives that element."""
    if name in ("add", "logical_or"):
        return 0
    if name in ("multiply", "logical_and"):
        return 1
    if dtype.kind == "f":
        return -math.inf if name == "maximum" else math.inf
    if dtype.kind == "b":
        return name == "minimum"
    return np.iinfo(dtype).min if name == "maximum" else np.iinfo(dtype).max


class Round(NamedTuple):
    """One launch of a reduction.

    Attributes:
        kernel: what runs.
        grid: how many blocks.
        block: of how many threads.
        numbers: its arguments after the two arrays.
        shape: (outputs, runs), of what it writes.
    """

    kernel: GpuKernel
    grid: int
    block: int
    numbers: tuple[Any, ...]
    shape: tuple[int, int]


class Plan(NamedTuple):
    """All of a reduction but the arrays.

    Attributes:
        rounds: what is launched, each on what the one before it wrote; none where there is nothing to join.
        joined: how many elements make each result.
        kept: the result's shape with the reduced dimensions, of size 1.
        shape: the result's shape without them.
        dtype: of the result.
        identity: the result of no elements.
    """

    rounds: tuple[Round, ...]
    joined: int
    kept: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    identity: Any


@functools.lru_cache(maxsize=4096)
def _plan(name: str, dtype: np.dtype[Any], layout: Layout, axis: Any, wanted: Any) -> Plan:
    """A reduction's rounds: as many as there are runs of runs to join."""
    axes = views.axes_of(axis, len(layout.shape))
    result = _result_dtype(name, dtype) if wanted is None else np.dtype(wanted)
    kept = tuple(1 if i in axes else n for i, n in enumerate(layout.shape))
    shape = tuple(n for i, n in enumerate(layout.shape) if i not in axes)
    count, outputs = math.prod(layout.shape[i] for i in axes), math.prod(kept)
    identity = _identity(name, result)
    rounds: list[Round] = []
    left, before = count if outputs else 0, dtype
    while left and (left > 1 or not rounds):
        inner, outer = _split(layout, axes)
        neighbours = outer[1] == (1,) and left > RUN
        run = THREADS * RUN // 4 if neighbours else RUN
        runs = -(-left // run)
        kernel = reduction_kernel(name, before, result, neighbours, len(inner[0]), len(outer[0]))
        numbers = (outputs * runs, outputs, runs, run, left, *inner[0], *inner[1], *outer[0], *outer[1])
        size = (outputs * runs, _threads(left)) if neighbours else launch_size(outputs * runs)
        rounds.append(Round(kernel, *size, (identity, *numbers) if neighbours else numbers, (outputs, runs)))
        layout, axes = Layout((outputs, runs), (runs, 1), 0), (1,)
        left, before = runs, result
    return Plan(tuple(rounds), count, kept, shape, result, identity)


def _threads(count: int) -> int:
    """Threads of a block for so many neighbours: each should find a few, and halving must end at 1."""
    return min(THREADS, max(32, 1 << ((count - 1).bit_length() - 2)))
