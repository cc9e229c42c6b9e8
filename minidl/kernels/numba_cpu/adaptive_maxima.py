"""Adaptive max-pooling: the images of single channels are shared out among the threads."""

from __future__ import annotations

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import adaptive_maxima
from minidl.kernels.adaptive_maxima import check_pixels
from minidl.kernels.averages import adaptive_windows
from minidl.kernels.geometry import Pair
from minidl.kernels.numba_cpu.arguments import where
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.tasks import rows_of_task, tasks

__all__ = ["adaptive_max_pool2d", "adaptive_max_pool2d_input_grad"]

TASK = 16_384  # pixels that make one task, about


@adaptive_maxima.adaptive_max_pool2d.register(np.ndarray)
def adaptive_max_pool2d(x: Array, output_size: Pair) -> tuple[Array, Array]:
    """As the reference."""
    n, c, h, w = x.shape
    y = np.empty((n, c, *output_size), x.dtype)
    winners = np.empty(y.shape, np.int32)
    if y.size:
        shape = (n * c, *output_size)
        given = np.ascontiguousarray(x).reshape(n * c, h * w)
        rows, columns = _edges(h, output_size[0]), _edges(w, output_size[1])
        with POOL.team(3 * x.size) as team:
            _find(given, w, rows, columns, y.reshape(shape), winners.reshape(shape), team)
    return y, winners


def _belongs(dy: Array, winners: Array, input_shape: tuple[int, ...]) -> bool:
    return dy.shape == winners.shape == (*input_shape[:2], *dy.shape[2:]) and dy.ndim == 4


@adaptive_maxima.adaptive_max_pool2d_input_grad.register(np.ndarray)
@where(_belongs, adaptive_maxima.adaptive_max_pool2d_input_grad)
def adaptive_max_pool2d_input_grad(dy: Array, winners: Array, input_shape: tuple[int, ...]) -> Array:
    """As the reference."""
    n, c, h, w = input_shape
    check_pixels(winners, h * w)
    dx = empty(tuple(input_shape), dy.dtype)
    if dx.size:
        windows = (n * c, dy.shape[2] * dy.shape[3])
        dys, places = (np.ascontiguousarray(a).reshape(windows) for a in (dy, winners))
        with POOL.team(dx.size) as team:
            _give_back(dys, places, dx.reshape(n * c, h * w), team)
    return dx


def _edges(size: int, windows: int) -> Array:
    """(2, windows): where each window begins, and where it ends."""
    return np.array([(s.start, s.stop) for s in adaptive_windows(size, windows)]).T.copy()


@tasks
def _find_task(task, thread, x, w, rows, columns, y, winners):
    some = rows_of_task(x.shape[1], TASK)
    for plane in range(task * some, min((task + 1) * some, len(x))):
        image = x[plane]
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                left, right = columns[0, j], columns[1, j]
                winner = rows[0, i] * w + left
                best = image[winner]
                for row in range(rows[0, i], rows[1, i]):
                    for at in range(row * w + left, row * w + right):
                        if not image[at] <= best and best == best:  # larger, or the first NaN
                            best, winner = image[at], at
                y[plane, i, j] = best
                winners[plane, i, j] = winner


@jit
def _find(x: Array, w: int, rows: Array, columns: Array, y: Array, winners: Array, team: int) -> None:
    _find_task(team, -(-len(x) // rows_of_task(x.shape[1], TASK)), (x, w, rows, columns, y, winners))


@tasks
def _give_back_task(task, thread, dy, winners, dx):
    some = rows_of_task(dx.shape[1], TASK)
    for plane in range(task * some, min((task + 1) * some, len(dx))):
        image = dx[plane]
        image[:] = 0
        for window in range(dy.shape[1]):
            image[winners[plane, window]] += dy[plane, window]


@jit
def _give_back(dy: Array, winners: Array, dx: Array, team: int) -> None:
    _give_back_task(team, -(-len(dx) // rows_of_task(dx.shape[1], TASK)), (dy, winners, dx))
