"""Activations and dropout in one pass over the numbers, large arrays in pieces that threads share out."""

from __future__ import annotations

import math

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import activation
from minidl.kernels.numba_cpu.arguments import alike, flat, where
from minidl.kernels.numba_cpu.exponential import exp
from minidl.kernels.numba_cpu.exponential import tanh as tanh_of_one
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.streams import is_far, stream_relu
from minidl.kernels.numba_cpu.tasks import tasks

__all__ = [
    "dropout",
    "dropout_input_grad",
    "erf",
    "relu",
    "relu_input_grad",
    "sigmoid",
    "sigmoid_input_grad",
    "tanh",
    "tanh_input_grad",
]

PIECE = 16_384  # numbers of one task: some microseconds, and they stay in the L2 cache
COSTLY = 8  # an exponential, in operations


@activation.relu.register(np.ndarray)
def relu(x: Array) -> tuple[Array, Array]:
    """As the reference."""
    y, positive = empty(x.shape, x.dtype), empty(x.shape, np.bool_)
    with POOL.team(x.size) as team:
        _relu(flat(x), y.reshape(-1), positive.reshape(-1), is_far(y), team)
    return y, positive


@activation.relu_input_grad.register(np.ndarray)
@where(alike, activation.relu_input_grad)
def relu_input_grad(dy: Array, positive: Array) -> Array:
    """As the reference."""
    return _masked(dy, positive, 1.0)


@activation.dropout_input_grad.register(np.ndarray)
@where(alike, activation.dropout_input_grad)
def dropout_input_grad(dy: Array, kept: Array, p: float) -> Array:
    """As the reference."""
    return _masked(dy, kept, activation.dropout_scale(p))


def _masked(dy: Array, kept: Array, scale: float) -> Array:
    dx = empty(dy.shape, dy.dtype)
    with POOL.team(dy.size) as team:
        _scale_where(flat(dy), flat(kept), scale, dx.reshape(-1), team)
    return dx


@activation.dropout.register(np.ndarray)
@where(alike, activation.dropout)
def dropout(x: Array, draws: Array, p: float) -> tuple[Array, Array]:
    """As the reference."""
    y, kept = empty(x.shape, x.dtype), empty(x.shape, np.bool_)
    with POOL.team(x.size) as team:
        _dropout(flat(x), flat(draws), p, activation.dropout_scale(p), y.reshape(-1), kept.reshape(-1), team)
    return y, kept


@activation.sigmoid.register(np.ndarray)
def sigmoid(x: Array) -> tuple[Array, Array]:
    """As the reference."""
    y, kept = empty(x.shape, x.dtype), empty(x.shape, x.dtype)
    with POOL.team(COSTLY * x.size) as team:
        _sigmoid(flat(x), y.reshape(-1), kept.reshape(-1), team)
    return y, kept


@activation.sigmoid_input_grad.register(np.ndarray)
@where(alike, activation.sigmoid_input_grad)
def sigmoid_input_grad(dy: Array, y: Array) -> Array:
    """As the reference."""
    dx = empty(dy.shape, dy.dtype)
    with POOL.team(dy.size) as team:
        _sigmoid_grad(flat(dy), flat(y), dx.reshape(-1), team)
    return dx


@activation.tanh.register(np.ndarray)
def tanh(x: Array) -> tuple[Array, Array]:
    """As the reference."""
    y, kept = empty(x.shape, x.dtype), empty(x.shape, x.dtype)
    with POOL.team(COSTLY * x.size) as team:
        _tanh(flat(x), y.reshape(-1), kept.reshape(-1), team)
    return y, kept


@activation.tanh_input_grad.register(np.ndarray)
@where(alike, activation.tanh_input_grad)
def tanh_input_grad(dy: Array, y: Array) -> Array:
    """As the reference."""
    dx = empty(dy.shape, dy.dtype)
    with POOL.team(dy.size) as team:
        _tanh_grad(flat(dy), flat(y), dx.reshape(-1), team)
    return dx


@activation.erf.register(np.ndarray)
def erf(x: Array) -> Array:
    """As the reference."""
    y = empty(x.shape, x.dtype)
    with POOL.team(COSTLY * x.size) as team:
        _erf(flat(x), y.reshape(-1), team)
    return y


@jit
def pieces(x: Array) -> int:
    """How many tasks a row of numbers makes; it depends on its length alone."""
    return -(-len(x) // PIECE)


@jit
def piece(x: Array, number: int) -> Array:
    """The numbers of one task."""
    return x[number * PIECE : (number + 1) * PIECE]


@jit
def rows_in_tasks(run: int) -> tuple[int, int]:
    """How many rows of so many numbers make one task; and how many tasks share a row, if it is long."""
    return max(1, PIECE // max(1, run)), max(1, -(-run // PIECE))


@tasks
def _relu_piece(task, thread, x, y, positive, far):
    x, y, positive = piece(x, task), piece(y, task), piece(positive, task)
    if far:
        stream_relu(x, y, positive)
        return
    zero = x.dtype.type(0)
    for i in range(len(x)):
        value = x[i]
        positive[i] = value > zero
        y[i] = zero if value <= zero else value  # a NaN stays


@jit
def _relu(x: Array, y: Array, positive: Array, far: bool, team: int) -> None:
    _relu_piece(team, pieces(x), (x, y, positive, far))


@tasks
def _scale_where_piece(task, thread, dy, kept, scale, dx):
    dy, kept, dx = piece(dy, task), piece(kept, task), piece(dx, task)
    zero, factor = dy.dtype.type(0), dy.dtype.type(scale)
    for i in range(len(dy)):
        value = dy[i] * factor  # of all: a load under a condition takes longer
        dx[i] = value if kept[i] else zero


@jit
def _scale_where(dy: Array, kept: Array, scale: float, dx: Array, team: int) -> None:
    _scale_where_piece(team, pieces(dy), (dy, kept, scale, dx))


@tasks
def _dropout_piece(task, thread, x, draws, p, scale, y, kept):
    x, draws, y, kept = piece(x, task), piece(draws, task), piece(y, task), piece(kept, task)
    zero, factor, least = x.dtype.type(0), x.dtype.type(scale), draws.dtype.type(p)
    for i in range(len(x)):
        keep = draws[i] >= least
        kept[i] = keep
        y[i] = x[i] * (factor if keep else zero)


@jit
def _dropout(x: Array, draws: Array, p: float, scale: float, y: Array, kept: Array, team: int) -> None:
    _dropout_piece(team, pieces(x), (x, draws, p, scale, y, kept))


@tasks
def _sigmoid_piece(task, thread, x, y, kept):
    x, y, kept = piece(x, task), piece(y, task), piece(kept, task)
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(len(x)):
        e = exp(-abs(x[i]))
        value = (one if x[i] >= zero else e) / (one + e)
        y[i] = value
        kept[i] = value


@jit
def _sigmoid(x: Array, y: Array, kept: Array, team: int) -> None:
    _sigmoid_piece(team, pieces(x), (x, y, kept))


@tasks
def _sigmoid_grad_piece(task, thread, dy, y, dx):
    dy, y, dx = piece(dy, task), piece(y, task), piece(dx, task)
    one = y.dtype.type(1)
    for i in range(len(dy)):
        dx[i] = dy[i] * y[i] * (one - y[i])


@jit
def _sigmoid_grad(dy: Array, y: Array, dx: Array, team: int) -> None:
    _sigmoid_grad_piece(team, pieces(y), (dy, y, dx))


@tasks
def _tanh_piece(task, thread, x, y, kept):
    x, y, kept = piece(x, task), piece(y, task), piece(kept, task)
    for i in range(len(x)):
        value = tanh_of_one(x[i])
        y[i] = value
        kept[i] = value


@jit
def _tanh(x: Array, y: Array, kept: Array, team: int) -> None:
    _tanh_piece(team, pieces(x), (x, y, kept))


@tasks
def _tanh_grad_piece(task, thread, dy, y, dx):
    dy, y, dx = piece(dy, task), piece(y, task), piece(dx, task)
    one = y.dtype.type(1)
    for i in range(len(dy)):
        dx[i] = dy[i] * (one - y[i] * y[i])


@jit
def _tanh_grad(dy: Array, y: Array, dx: Array, team: int) -> None:
    _tanh_grad_piece(team, pieces(y), (dy, y, dx))


@tasks
def _erf_piece(task, thread, x, y):
    x, y = piece(x, task), piece(y, task)
    for i in range(len(x)):
        y[i] = math.erf(x[i])


@jit
def _erf(x: Array, y: Array, team: int) -> None:
    _erf_piece(team, pieces(x), (x, y))
