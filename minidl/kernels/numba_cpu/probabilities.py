"""Softmax and its logarithm in one visit: numbers stay in the cache from their maximum to the quotients.

The numbers of one sum stand side by side in memory when they are the last dimension; then a row is summed
at a time. Otherwise many sums stand side by side, and all of them advance together, a row of them at a time.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import probabilities
from minidl.kernels.numba_cpu.arguments import alike, where
from minidl.kernels.numba_cpu.exponential import exp
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.rows import add_up, dot, exponentials, shift, shifted_exponentials
from minidl.kernels.numba_cpu.tasks import rows_of_task, tasks

__all__ = ["log_softmax", "log_softmax_input_grad", "softmax", "softmax_input_grad"]

PIECE = 8_192  # numbers of one task, about
WIDTH = 256  # sums that advance together
SHORT = 64  # numbers of a row below which a loop over it alone takes longer to begin than to run
COST = 12  # operations per number, an exponential among them


@probabilities.softmax.register(np.ndarray)
def softmax(x: Array, dim: int) -> tuple[Array, Array]:
    """As the reference."""
    y, kept = empty(x.shape, x.dtype), empty(x.shape, x.dtype)
    _along(_rows, _columns, dim, COST, x, y, kept)
    return y, kept


@probabilities.softmax_input_grad.register(np.ndarray)
@where(alike, probabilities.softmax_input_grad)
def softmax_input_grad(dy: Array, y: Array, dim: int) -> Array:
    """As the reference."""
    dx = empty(dy.shape, dy.dtype)
    _along(_rows_grad, _columns_grad, dim, 4, dy, y, dx)
    return dx


@probabilities.log_softmax.register(np.ndarray)
def log_softmax(x: Array, dim: int) -> tuple[Array, Array]:
    """As the reference."""
    y, kept = empty(x.shape, x.dtype), empty(x.shape, x.dtype)
    _along(_log_rows, _log_columns, dim, COST, x, y, kept)
    return y, kept


@probabilities.log_softmax_input_grad.register(np.ndarray)
@where(alike, probabilities.log_softmax_input_grad)
def log_softmax_input_grad(dy: Array, y: Array, dim: int) -> Array:
    """As the reference."""
    dx = empty(dy.shape, dy.dtype)
    _along(_log_rows_grad, _log_columns_grad, dim, COST, dy, y, dx)
    return dx


def _along(rows: Any, columns: Any, dim: int, cost: int, *arrays: Array) -> None:
    """Run the loop that fits the dimension: over rows of it, or over blocks (before, along, after)."""
    shape = arrays[0].shape
    if not arrays[0].size:
        return
    dim = dim % len(shape) if shape else 0
    n, inner = (shape[dim], math.prod(shape[dim + 1 :])) if shape else (1, 1)
    blocks = (-1, n) if inner == 1 else (math.prod(shape[:dim]), n, inner)
    with POOL.team(cost * arrays[0].size) as team:
        loop = rows if inner == 1 else columns
        loop(*(np.ascontiguousarray(array).reshape(blocks) for array in arrays), team)


# ------------------------------------------------------------ sums along rows


@tasks
def _some_rows(task, thread, x, y, kept):
    height, one = rows_of_task(x.shape[1], PIECE), x.dtype.type(1)
    first, last = task * height, min((task + 1) * height, len(x))
    if x.shape[1] < SHORT:
        for i in range(first, last):
            shift(x[i], y[i])
        exponentials(y[first:last].reshape(-1))  # of all rows at once
    else:
        for i in range(first, last):
            shifted_exponentials(x[i], y[i])
    for i in range(first, last):
        result, again = y[i], kept[i]
        factor = one / add_up(result)
        for j in range(len(result)):
            value = result[j] * factor
            result[j] = value
            again[j] = value


@jit
def _rows(x: Array, y: Array, kept: Array, team: int) -> None:
    _some_rows(team, -(-len(x) // rows_of_task(x.shape[1], PIECE)), (x, y, kept))


@tasks
def _some_log_rows(task, thread, x, y, kept):
    height = rows_of_task(x.shape[1], PIECE)
    for i in range(task * height, min((task + 1) * height, len(x))):
        result, again = y[i], kept[i]
        shift(x[i], result)
        for j in range(len(result)):
            again[j] = exp(result[j])
        total = x.dtype.type(np.log(add_up(again)))
        for j in range(len(result)):
            value = result[j] - total
            result[j] = value
            again[j] = value


@jit
def _log_rows(x: Array, y: Array, kept: Array, team: int) -> None:
    _some_log_rows(team, -(-len(x) // rows_of_task(x.shape[1], PIECE)), (x, y, kept))


@tasks
def _some_log_rows_grad(task, thread, dy, y, dx):
    height = rows_of_task(y.shape[1], PIECE)
    for i in range(task * height, min((task + 1) * height, len(y))):
        dys, ys, dxs = dy[i], y[i], dx[i]
        total = add_up(dys)
        for j in range(len(ys)):
            dxs[j] = dys[j] - exp(ys[j]) * total


@jit
def _log_rows_grad(dy: Array, y: Array, dx: Array, team: int) -> None:
    _some_log_rows_grad(team, -(-len(y) // rows_of_task(y.shape[1], PIECE)), (dy, y, dx))


@tasks
def _some_rows_grad(task, thread, dy, y, dx):
    height = rows_of_task(y.shape[1], PIECE)
    for i in range(task * height, min((task + 1) * height, len(y))):
        dys, ys, dxs = dy[i], y[i], dx[i]
        total = dot(dys, ys)
        for j in range(len(ys)):
            dxs[j] = ys[j] * (dys[j] - total)


@jit
def _rows_grad(dy: Array, y: Array, dx: Array, team: int) -> None:
    _some_rows_grad(team, -(-len(y) // rows_of_task(y.shape[1], PIECE)), (dy, y, dx))


# ------------------------------------------------------------ sums across rows


@jit
def block_of(task: int, inner: int) -> tuple[int, int, int]:
    """Which image a task looks at, and the first of its sums and the one after the last."""
    blocks = -(-inner // WIDTH)
    first = task % blocks * WIDTH
    return task // blocks, first, min(first + WIDTH, inner)


@jit
def largest_across(x: Array, image: int, first: int, last: int) -> Array:
    """The maximum for each of a block's sums; where there is a NaN, it may be any number.

    It slices row by row: rows without gaps are read in vector lanes.
    """
    largest = x[image, 0, first:last].copy()
    for k in range(1, x.shape[1]):
        given = x[image, k, first:last]
        for j in range(len(given)):
            largest[j] = given[j] if given[j] > largest[j] else largest[j]
    return largest


@tasks
def _some_columns(task, thread, x, y, kept):
    _, n, inner = x.shape
    image, first, last = block_of(task, inner)
    largest, total = largest_across(x, image, first, last), np.zeros(last - first, x.dtype)
    for k in range(n):
        given, result = x[image, k, first:last], y[image, k, first:last]
        for j in range(len(given)):
            result[j] = exp(given[j] - largest[j])
        for j in range(len(result)):
            total[j] += result[j]
    for k in range(n):
        result, again = y[image, k, first:last], kept[image, k, first:last]
        for j in range(len(result)):
            value = result[j] / total[j]
            result[j] = value
            again[j] = value


@jit
def _columns(x: Array, y: Array, kept: Array, team: int) -> None:
    _some_columns(team, len(x) * -(-x.shape[2] // WIDTH), (x, y, kept))


@tasks
def _some_columns_grad(task, thread, dy, y, dx):
    _, n, inner = y.shape
    image, first, last = block_of(task, inner)
    total = np.zeros(last - first, y.dtype)
    for k in range(n):
        dys, ys = dy[image, k, first:last], y[image, k, first:last]
        for j in range(len(total)):
            total[j] += dys[j] * ys[j]
    for k in range(n):
        dys, ys, dxs = dy[image, k, first:last], y[image, k, first:last], dx[image, k, first:last]
        for j in range(len(total)):
            dxs[j] = ys[j] * (dys[j] - total[j])


@jit
def _columns_grad(dy: Array, y: Array, dx: Array, team: int) -> None:
    _some_columns_grad(team, len(y) * -(-y.shape[2] // WIDTH), (dy, y, dx))


@tasks
def _some_log_columns(task, thread, x, y, kept):
    _, n, inner = x.shape
    image, first, last = block_of(task, inner)
    largest, total = largest_across(x, image, first, last), np.zeros(last - first, x.dtype)
    for k in range(n):
        given = x[image, k, first:last]
        for j in range(len(given)):
            total[j] += exp(given[j] - largest[j])
    for j in range(len(total)):
        total[j] = np.log(total[j])
    for k in range(n):
        given, result, again = x[image, k, first:last], y[image, k, first:last], kept[image, k, first:last]
        for j in range(len(given)):
            value = (given[j] - largest[j]) - total[j]
            result[j] = value
            again[j] = value


@jit
def _log_columns(x: Array, y: Array, kept: Array, team: int) -> None:
    _some_log_columns(team, len(x) * -(-x.shape[2] // WIDTH), (x, y, kept))


@tasks
def _some_log_columns_grad(task, thread, dy, y, dx):
    _, n, inner = y.shape
    image, first, last = block_of(task, inner)
    total = np.zeros(last - first, y.dtype)
    for k in range(n):
        dys = dy[image, k, first:last]
        for j in range(len(total)):
            total[j] += dys[j]
    for k in range(n):
        dys, ys, dxs = dy[image, k, first:last], y[image, k, first:last], dx[image, k, first:last]
        for j in range(len(total)):
            dxs[j] = dys[j] - exp(ys[j]) * total[j]


@jit
def _log_columns_grad(dy: Array, y: Array, dx: Array, team: int) -> None:
    _some_log_columns_grad(team, len(y) * -(-y.shape[2] // WIDTH), (dy, y, dx))
