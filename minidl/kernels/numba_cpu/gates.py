"""Gated linear units in one pass over both halves of the input.

Halved along any dimension, a C-ordered input is rows of which the first half is a and the second b.
"""

from __future__ import annotations

import math

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import gates as references
from minidl.kernels.numba_cpu.activation import COSTLY, PIECE, rows_in_tasks
from minidl.kernels.numba_cpu.arguments import where
from minidl.kernels.numba_cpu.exponential import exp
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.tasks import tasks

__all__ = ["glu", "glu_input_grad"]


def _even(x: Array, dim: int) -> bool:
    return -x.ndim <= dim < x.ndim and x.shape[dim] % 2 == 0


def _even_and_half(dy: Array, x: Array, dim: int) -> bool:
    return _even(x, dim) and dy.shape == _half(x, dim)


def _half(x: Array, dim: int) -> tuple[int, ...]:
    dim %= x.ndim
    return (*x.shape[:dim], x.shape[dim] // 2, *x.shape[dim + 1 :])


def _rows(x: Array, dim: int) -> Array:
    """As rows, one for each place before the dimension."""
    rows = math.prod(x.shape[: dim % x.ndim])
    return np.ascontiguousarray(x).reshape(rows, x.size // max(1, rows))


@references.glu.register(np.ndarray)
@where(_even, references.glu)
def glu(x: Array, dim: int) -> Array:
    """As the reference."""
    y = empty(_half(x, dim), x.dtype)
    with POOL.team(COSTLY * y.size) as team:
        _glu(_rows(x, dim), _rows(y, dim), team)
    return y


@references.glu_input_grad.register(np.ndarray)
@where(_even_and_half, references.glu_input_grad)
def glu_input_grad(dy: Array, x: Array, dim: int) -> Array:
    """As the reference."""
    dx = empty(x.shape, x.dtype)
    with POOL.team(COSTLY * dy.size) as team:
        _glu_grad(_rows(dy, dim), _rows(x, dim), _rows(dx, dim), team)
    return dx


@tasks
def _glu_rows(task, thread, x, y):
    run = y.shape[1]
    height, parts = rows_in_tasks(run)
    first, begin = task // parts * height, task % parts * PIECE
    end = min(begin + PIECE, run)
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for row in range(first, min(first + height, len(y))):
        a, b, result = x[row, begin:end], x[row, run + begin : run + end], y[row, begin:end]
        for i in range(len(result)):
            e = exp(-abs(b[i]))
            s = (one if b[i] >= zero else e) / (one + e)
            result[i] = a[i] * s


@jit
def _glu(x, y, team):
    height, parts = rows_in_tasks(y.shape[1])
    _glu_rows(team, -(-len(y) // height) * parts, (x, y))


@tasks
def _glu_grad_rows(task, thread, dy, x, dx):
    run = dy.shape[1]
    height, parts = rows_in_tasks(run)
    first, begin = task // parts * height, task % parts * PIECE
    end = min(begin + PIECE, run)
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for row in range(first, min(first + height, len(dy))):
        dys, a, b = dy[row, begin:end], x[row, begin:end], x[row, run + begin : run + end]
        da, db = dx[row, begin:end], dx[row, run + begin : run + end]
        for i in range(len(dys)):
            e = exp(-abs(b[i]))
            share = one / (one + e)
            right = b[i] >= zero
            passed = dys[i] * ((one if right else e) * share)
            da[i] = passed
            db[i] = passed * a[i] * ((e if right else one) * share)


@jit
def _glu_grad(dy, x, dx, team):
    height, parts = rows_in_tasks(dy.shape[1])
    _glu_grad_rows(team, -(-len(dy) // height) * parts, (dy, x, dx))
