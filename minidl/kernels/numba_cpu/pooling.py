"""Max-pooling in one pass: every window is read once, and no array of windows is built.

Images of one channel are shared out among the threads. Windows of 2×2 cells with stride 2 have a loop of
their own (`quads`); all others go through the general ones, forth in `maxima` and back in `winners`.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import pooling
from minidl.kernels.geometry import Pair, output_sizes
from minidl.kernels.numba_cpu.arguments import flat, where
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.maxima import largest
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.quads import largest_row, spread_row
from minidl.kernels.numba_cpu.tasks import rows_of_task, tasks
from minidl.kernels.numba_cpu.winners import give_back

__all__ = ["TASK", "Plan", "make_plan", "max_pool2d", "max_pool2d_input_grad"]

Shape: TypeAlias = tuple[int, int, int, int]
TASK = 65_536  # cells of the input that make one task


class Plan(NamedTuple):
    """How one shape of input is pooled.

    Attributes:
        shape: (H, W, OH, OW).
        images: how many images of one channel make one task.
        tasks: how many tasks there are.
        simple: whether the windows are 2×2 with stride 2 inside the image.
    """

    shape: Shape
    images: int
    tasks: int
    simple: bool


@functools.lru_cache(maxsize=512)
def make_plan(
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> Plan:
    """The plan for an input of this shape; it depends on shapes alone."""
    n, c, h, w = input_shape
    oh, ow = output_sizes(input_shape, kernel_size, stride, padding, dilation, ceil_mode)
    images = rows_of_task(h * w, TASK)
    usual = (kernel_size, stride, padding, dilation) == ((2, 2), (2, 2), (0, 0), (1, 1))
    return Plan((h, w, oh, ow), images, -(-n * c // images), usual and (oh, ow) == (h // 2, w // 2))


def _of_windows(dy: Array, winners: Array, input_shape: tuple[int, ...], *window: Any) -> bool:
    plan = make_plan(tuple(input_shape), *window)
    shape = (*input_shape[:2], *plan.shape[2:])
    return winners.dtype.kind in "iu" and dy.shape == winners.shape == shape


@pooling.max_pool2d.register(np.ndarray)
def max_pool2d(
    x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[Array, Array]:
    """As the reference."""
    plan = make_plan(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    shape = x.shape[:2] + plan.shape[2:]
    y = empty(shape, x.dtype)
    winners = empty(shape, np.uint8 if plan.simple else pooling.winner_dtype(kernel_size))
    if y.size:
        with POOL.team(x.size) as team:
            arrays, how = (flat(x), y.reshape(-1), winners.reshape(-1)), (plan.images, plan.tasks, team)
            if plan.simple:
                _max_simple(*arrays, plan.shape, *how)
            else:
                window = (kernel_size, stride, padding, dilation)
                largest(*arrays, (x.shape[2:], plan.shape[2:]), window, *how)
    return y, winners


@pooling.max_pool2d_input_grad.register(np.ndarray)
@where(_of_windows, pooling.max_pool2d_input_grad)
def max_pool2d_input_grad(
    dy: Array,
    winners: Array,
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> Array:
    """As the reference."""
    pooling.check_winners(winners, kernel_size)
    plan = make_plan(input_shape, kernel_size, stride, padding, dilation, ceil_mode)
    dx = empty(input_shape, dy.dtype)
    if dx.size:
        with POOL.team(dx.size) as team:
            arrays, how = (flat(dy), flat(winners), dx.reshape(-1)), (plan.images, plan.tasks, team)
            if plan.simple:
                _spread_simple(*arrays, plan.shape, *how)
            else:
                window = (kernel_size, stride, padding, dilation)
                give_back(*arrays, (dx.shape[2:], plan.shape[2:]), window, *how)
    return dx


@tasks
def _max_simple_task(task, thread, x, y, winners, shape, images):
    h, w, oh, ow = shape
    last = min((task + 1) * images, len(y) // (oh * ow))
    for image in range(task * images, last):
        for i in range(oh):
            top = (image * h + 2 * i) * w
            largest_row(x, top, top + w, y, winners, (image * oh + i) * ow, ow)


@jit
def _max_simple(x: Array, y: Array, winners: Array, shape: Shape, images: int, n: int, team: int) -> None:
    _max_simple_task(team, n, (x, y, winners, shape, images))


@tasks
def _spread_simple_task(task, thread, dy, winners, dx, shape, images):
    h, w, oh, ow = shape
    last = min((task + 1) * images, len(dx) // (h * w))
    for image in range(task * images, last):
        for i in range(oh):
            top = (image * h + 2 * i) * w
            spread_row(dy, winners, (image * oh + i) * ow, dx, top, top + w, ow)
            if w % 2:  # the last column is in no window
                dx[top + w - 1] = 0
                dx[top + w + w - 1] = 0
        if h % 2:
            dx[((image + 1) * h - 1) * w : (image + 1) * h * w] = 0


@jit
def _spread_simple(
    dy: Array, winners: Array, dx: Array, shape: Shape, images: int, n: int, team: int
) -> None:
    _spread_simple_task(team, n, (dy, winners, dx, shape, images))
