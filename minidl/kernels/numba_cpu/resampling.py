"""Resampling in one pass: a new row's mixture of old ones stays in the cache while its columns are read."""

from __future__ import annotations

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import resampling as references
from minidl.kernels.numba_cpu.arguments import flat, where
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.tasks import rows_of_task, tasks

__all__ = ["resample"]

TASK = 8192  # numbers of one task, about
READING = 4  # operations per number read from its place


def _fits(x: Array, rows: Array, row_weights: Array, columns: Array, column_weights: Array) -> bool:
    if x.ndim < 2:
        return False
    sides = ((x.shape[-2], rows, row_weights), (x.shape[-1], columns, column_weights))
    return all(_in_range(*side) for side in sides)


def _in_range(size: int, places: Array, weights: Array) -> bool:
    """Whether these are places below `size`, with a weight each."""
    if places.ndim != 2 or not places.size or places.shape != weights.shape or places.dtype != np.int64:
        return False
    return bool(places.min() >= 0 and places.max() < size)


@references.resample.register(np.ndarray)
@where(_fits, references.resample)
def resample(x: Array, rows: Array, row_weights: Array, columns: Array, column_weights: Array) -> Array:
    """As the reference, but for the order of sums: rows are mixed before columns."""
    h, w = x.shape[-2:]
    y = empty((*x.shape[:-2], rows.shape[1], columns.shape[1]), x.dtype)
    if y.size:
        old, new = flat(x).reshape(-1, w), y.reshape(-1, y.shape[-1])
        with POOL.team(READING * len(columns) * y.size) as team:
            _resample(old, new, *_packed(rows, row_weights), *_packed(columns, column_weights), h, team)
    return y


def _packed(places: Array, weights: Array) -> tuple[Array, Array]:
    return np.ascontiguousarray(places), np.ascontiguousarray(weights)


@tasks
def _new_rows(task, thread, x, y, rows, row_weights, columns, column_weights, h):
    oh, ow, w = rows.shape[1], y.shape[1], x.shape[1]
    height = rows_of_task(ow, TASK)
    mixture = np.empty(w, x.dtype)
    for i in range(task * height, min((task + 1) * height, len(y))):
        first, o = i // oh * h, i % oh
        for s in range(len(rows)):
            row, weight = first + rows[s, o], row_weights[s, o]
            if s == 0:
                for c in range(w):
                    mixture[c] = weight * x[row, c]
            else:
                for c in range(w):
                    mixture[c] += weight * x[row, c]
        for c in range(ow):
            y[i, c] = column_weights[0, c] * mixture[columns[0, c]]
        for t in range(1, len(columns)):
            for c in range(ow):
                y[i, c] += column_weights[t, c] * mixture[columns[t, c]]


@jit
def _resample(x, y, rows, row_weights, columns, column_weights, h, team):
    _new_rows(
        team,
        -(-len(y) // rows_of_task(y.shape[1], TASK)),
        (x, y, rows, row_weights, columns, column_weights, h),
    )
