"""What losses of class indices read and write, row by row, without a matrix of where the classes are."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import class_loss as references
from minidl.kernels.numba_cpu.arguments import BLANK, where
from minidl.kernels.numba_cpu.jit import SUMS, jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.rows import add_up
from minidl.kernels.numba_cpu.tasks import rows_of_task, tasks

__all__ = ["as_labels", "multi_margin", "nll", "nll_input_grad"]

PIECE = 8192  # numbers that one task takes, about


def as_labels(labels: Array) -> Array:
    """As int64, without gaps; numbers that int64 does not have are no classes, and stay none."""
    if labels.dtype != np.int64:
        far = labels.dtype == np.uint64
        labels = (np.minimum(labels, np.uint64(2**62)) if far else labels).astype(np.int64)
    return np.ascontiguousarray(labels)


def _labelled(x: Array, labels: Array, weight: Array | None = None, *_: Any) -> bool:
    fits = x.ndim == 2 and labels.shape == x.shape[:1]
    return fits and (weight is None or weight.shape == x.shape[1:])


def _alike(dy: Array, labels: Array, *_: Any) -> bool:
    return dy.ndim == 1 and dy.shape == labels.shape


@references.nll.register(np.ndarray)
@where(_labelled, references.nll)
def nll(x: Array, labels: Array, weight: Array | None, ignore_index: int) -> tuple[Array, Array, bool]:
    """As the reference."""
    losses, w = np.empty(len(x), x.dtype), np.empty(len(x), x.dtype)
    weight = BLANK[x.dtype] if weight is None else np.ascontiguousarray(weight)
    wrong = _nll(np.ascontiguousarray(x), as_labels(labels), weight, ignore_index, losses, w)
    return losses, w, wrong > 0


@jit
def _nll(x: Array, labels: Array, weight: Array, ignore_index: int, losses: Array, w: Array) -> int:
    zero, one, nan = x.dtype.type(0), x.dtype.type(1), x.dtype.type(math.nan)
    wrong = 0
    for row in range(len(x)):
        label = labels[row]
        if label == ignore_index:
            factor, value = zero, zero
        elif 0 <= label < x.shape[1]:
            factor, value = weight[label] if len(weight) else one, x[row, label]
        else:
            factor, value = nan, nan
            wrong += 1
        losses[row], w[row] = -factor * value, factor
    return wrong


@references.nll_input_grad.register(np.ndarray)
@where(_alike, references.nll_input_grad)
def nll_input_grad(dy: Array, labels: Array, classes: int) -> Array:
    """As the reference."""
    dx = empty((len(dy), classes), dy.dtype)
    with POOL.team(dx.size) as team:
        _put(np.ascontiguousarray(dy), as_labels(labels), dx, team)
    return dx


@jit
def _put(dy: Array, labels: Array, dx: Array, team: int) -> None:
    _put_rows(team, -(-len(dx) // rows_of_task(dx.shape[1], PIECE)), (dy, labels, dx))


@tasks
def _put_rows(task, thread, dy, labels, dx):
    height = rows_of_task(dx.shape[1], PIECE)
    first, last = task * height, min(len(dx), (task + 1) * height)
    dx[first:last] = 0
    for row in range(first, last):
        if 0 <= labels[row] < dx.shape[1]:
            dx[row, labels[row]] = dy[row]


@references.multi_margin.register(np.ndarray)
@where(_labelled, references.multi_margin)
def multi_margin(
    x: Array, labels: Array, weight: Array | None, power: int, margin: float
) -> tuple[Array, Array]:
    """As the reference."""
    losses, dx = np.empty(len(x), x.dtype), empty(x.shape, x.dtype)
    with POOL.team(4 * x.size) as team:
        _margins(
            np.ascontiguousarray(x), as_labels(labels),
            BLANK[x.dtype] if weight is None else np.ascontiguousarray(weight), power == 2,
            x.dtype.type(margin), losses, dx, team,
        )  # fmt: skip
    return losses, dx


@jit
def _margins(x, labels, weight, squared, margin, losses, dx, team):
    how = (x, labels, weight, squared, margin, losses, dx)
    _some_margins(team, -(-len(x) // rows_of_task(x.shape[1], PIECE)), how)


@tasks
def _some_margins(task, thread, x, labels, weight, squared, margin, losses, dx):
    height, zero, one = rows_of_task(x.shape[1], PIECE), x.dtype.type(0), x.dtype.type(1)
    count = x.dtype.type(x.shape[1])
    for row in range(task * height, min(len(x), (task + 1) * height)):
        numbers, slope, label = x[row], dx[row], labels[row]
        inside = 0 <= label < x.shape[1]
        lead = margin - (numbers[label] if inside else zero)
        factor = one
        if len(weight):
            factor = weight[label] if inside else zero
        for i in range(len(numbers)):
            z = lead + numbers[i]
            slope[i] = zero if z <= zero else z  # a NaN stays
        if inside:
            slope[label] = zero
        losses[row] = factor * (_squares(slope) if squared else add_up(slope)) / count
        _slopes(slope, squared, factor / count)
        if inside:
            slope[label] = -add_up(slope)


@functools.partial(jit, fastmath=SUMS)
def _squares(z: Array) -> float:
    total = z.dtype.type(0)
    for i in range(len(z)):
        total += z[i] * z[i]
    return total


@jit
def _slopes(z: Array, squared: bool, factor: float) -> None:
    """From each z to its loss's slope."""
    zero = z.dtype.type(0)
    if squared:
        for i in range(len(z)):
            z[i] = (z[i] + z[i]) * factor
    else:
        for i in range(len(z)):
            z[i] = factor if z[i] > zero else zero
