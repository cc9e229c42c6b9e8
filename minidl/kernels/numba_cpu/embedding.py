"""Rows by index: looked up in pieces that threads share out, and added up by whoever owns the target row.

Equal indices are brought together by a counting sort, which keeps their order. A task then owns a range of
target rows, so that no two threads add to one row, and each adds in the same order at any number of threads.
"""

from __future__ import annotations

import numpy as np

from minidl.array import Array, empty, zeros
from minidl.kernels import embedding
from minidl.kernels.numba_cpu.arguments import where
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.tasks import rows_of_task, tasks

__all__ = ["gather_rows", "move_rows", "scatter_max", "scatter_rows", "scatter_winners"]

PIECE = 16_384  # numbers of one task
STRIP = 16  # columns of one task: a cache line
TASKS = 64  # ranges of target rows, at most


def _known(table: Array, indices: Array) -> bool:
    """Whether every index is a row of the table, so that a compiled loop may trust it."""
    return table.dtype.kind == "f" and (
        not indices.size or (indices.min() >= 0 and indices.max() < len(table))
    )


def _fits(x: Array, indices: Array, rows: int) -> bool:
    return len(x) == len(indices) and (not indices.size or indices.max() < rows)


@embedding.gather_rows.register(np.ndarray)
@where(_known, embedding.gather_rows)
def gather_rows(table: Array, indices: Array) -> Array:
    """As the reference."""
    y = empty((len(indices), table.shape[1]), table.dtype)
    with POOL.team(y.size) as team:
        _gather(np.ascontiguousarray(table), indices.astype(np.int64), y, team)
    return y


@embedding.scatter_rows.register(np.ndarray)
@where(_fits, embedding.scatter_rows)
def scatter_rows(x: Array, indices: Array, rows: int) -> Array:
    """As the reference."""
    y = zeros((rows, x.shape[1]), x.dtype)
    indices = indices.astype(np.int64)
    with POOL.team(x.size) as team:
        _scatter(np.ascontiguousarray(x), *_sorted(indices, rows), y, team)
    return y


def _both_known(x: Array, sources: Array, indices: Array, rows: int) -> bool:
    return (not sources.size or sources.max() < len(x)) and _fits(sources, indices, rows)


@embedding.move_rows.register(np.ndarray)
@where(_both_known, embedding.move_rows)
def move_rows(x: Array, sources: Array, indices: Array, rows: int) -> Array:
    """As the reference."""
    y = empty((rows, x.shape[1]), x.dtype)
    sources, indices = sources.astype(np.int64, copy=False), indices.astype(np.int64, copy=False)
    if sources.size and sources.min() < 0:
        indices = np.where(sources < 0, -1, indices)
    with POOL.team(len(sources) * x.shape[1] + y.size) as team:
        _move(np.ascontiguousarray(x), sources, *_sorted(indices, rows), y, team)
    return y


@embedding.scatter_max.register(np.ndarray)
@where(_fits, embedding.scatter_max)
def scatter_max(x: Array, indices: Array, rows: int) -> tuple[Array, Array]:
    """As the reference."""
    y, winners = zeros((rows, x.shape[1]), x.dtype), np.full((rows, x.shape[1]), -1)
    indices = indices.astype(np.int64)
    with POOL.team(x.size) as team:
        _scatter_max(np.ascontiguousarray(x), *_sorted(indices, rows), y, winners, team)
    return y, winners


def _all_known(dy: Array, winners: Array, indices: Array, rows: int) -> bool:
    if dy.shape != winners.shape or (indices.size and indices.max() >= rows):
        return False
    return not winners.size or winners.max() < len(indices)


@embedding.scatter_winners.register(np.ndarray)
@where(_all_known, embedding.scatter_winners)
def scatter_winners(dy: Array, winners: Array, indices: Array, rows: int) -> Array:
    """As the reference."""
    y = zeros((rows, dy.shape[1]), dy.dtype)
    with POOL.team(8 * dy.size) as team:
        winners = np.ascontiguousarray(winners, np.int64)
        _scatter_winners(np.ascontiguousarray(dy), winners, indices.astype(np.int64), y, team)
    return y


@tasks
def _gather_piece(task, thread, table, indices, y, run):
    for j in range(task * run, min(len(y), (task + 1) * run)):
        source, target = table[indices[j]], y[j]
        for d in range(len(target)):
            target[d] = source[d]


@jit
def _gather(table: Array, indices: Array, y: Array, team: int) -> None:
    run = rows_of_task(y.shape[1], PIECE)
    _gather_piece(team, -(-len(y) // run), (table, indices, y, run))


@jit
def _sorted(indices: Array, rows: int) -> tuple[Array, Array]:
    """Positions in order of their target row, and where each row's begin (one more for the end)."""
    begin = np.zeros(rows + 1, np.int64)
    for j in range(len(indices)):
        if indices[j] >= 0:
            begin[indices[j] + 1] += 1
    for row in range(rows):
        begin[row + 1] += begin[row]
    order, free = np.empty(begin[rows], np.int64), begin.copy()
    for j in range(len(indices)):
        if indices[j] >= 0:
            order[free[indices[j]]] = j
            free[indices[j]] += 1
    return order, begin


@jit
def _first_row(begin: Array, task: int) -> int:
    """Where a task's rows begin: the tasks have about as many given rows each."""
    rows, pieces = len(begin) - 1, TASKS
    if task == 0 or task == pieces:
        return rows if task == pieces else 0
    return min(rows, int(np.searchsorted(begin, begin[rows] * task // pieces)))


@tasks
def _scatter_piece(task, thread, x, order, begin, y):
    for row in range(_first_row(begin, task), _first_row(begin, task + 1)):
        target = y[row]
        for place in range(begin[row], begin[row + 1]):
            source = x[order[place]]
            for d in range(len(target)):
                target[d] += source[d]


@jit
def _scatter(x: Array, order: Array, begin: Array, y: Array, team: int) -> None:
    _scatter_piece(team, TASKS, (x, order, begin, y))


@tasks
def _move_piece(task, thread, x, sources, order, begin, y):
    zero = y.dtype.type(0)
    for row in range(_first_row(begin, task), _first_row(begin, task + 1)):
        target = y[row]
        for d in range(len(target)):
            target[d] = zero
        place, last = begin[row], begin[row + 1]
        while place + 4 <= last:  # four rows that are fetched at a time, added one after the other
            a, b = x[sources[order[place]]], x[sources[order[place + 1]]]
            c, e = x[sources[order[place + 2]]], x[sources[order[place + 3]]]
            for d in range(len(target)):
                target[d] = target[d] + a[d] + b[d] + c[d] + e[d]
            place += 4
        while place < last:
            source = x[sources[order[place]]]
            for d in range(len(target)):
                target[d] += source[d]
            place += 1


@jit
def _move(x: Array, sources: Array, order: Array, begin: Array, y: Array, team: int) -> None:
    _move_piece(team, TASKS, (x, sources, order, begin, y))


@tasks
def _scatter_max_piece(task, thread, x, order, begin, y, winners):
    for row in range(_first_row(begin, task), _first_row(begin, task + 1)):
        target, winner = y[row], winners[row]
        for place in range(begin[row], begin[row + 1]):
            j = order[place]
            source, first = x[j], place == begin[row]
            for d in range(len(target)):
                value, best = source[d], target[d]
                larger = (
                    first | (value > best) | ((value != value) & (best == best))
                )  # no branch: in vector lanes
                target[d] = value if larger else best
                winner[d] = j if larger else winner[d]


@jit
def _scatter_max(x: Array, order: Array, begin: Array, y: Array, winners: Array, team: int) -> None:
    _scatter_max_piece(team, TASKS, (x, order, begin, y, winners))


@tasks
def _scatter_winners_strip(task, thread, dy, winners, indices, y):
    """Some columns of all bags, so that no two threads add to one number."""
    first, last = task * STRIP, min((task + 1) * STRIP, dy.shape[1])
    for b in range(len(dy)):
        for d in range(first, last):
            if winners[b, d] >= 0:
                row = indices[winners[b, d]]
                if row >= 0:
                    y[row, d] += dy[b, d]


@jit
def _scatter_winners(dy: Array, winners: Array, indices: Array, y: Array, team: int) -> None:
    _scatter_winners_strip(team, -(-dy.shape[1] // STRIP), (dy, winners, indices, y))
