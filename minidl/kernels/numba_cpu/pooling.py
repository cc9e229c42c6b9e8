"""Max-pooling in one pass: every window is read once, and no array of windows is built.

Images of one channel are shared out among the threads. Windows of 2×2 cells with stride 2 have a loop of
their own (`quads`); all others go through the general ones here.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import pooling
from minidl.kernels.geometry import Pair, output_sizes
from minidl.kernels.numba_cpu.arguments import flat, where
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.quads import largest_row, spread_row
from minidl.kernels.numba_cpu.tasks import tasks

__all__ = ["TASK", "Plan", "make_plan", "max_pool2d", "max_pool2d_input_grad"]

Edges: TypeAlias = tuple[Array, Array, Array, Array]
Shape: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int, int, int]
TASK = 65_536  # cells of the input that make one task


class Plan(NamedTuple):
    """How one shape of input is pooled.

    Attributes:
        output: (OH, OW).
        shape: what the loops need: (H, W, OH, OW, kh, kw, sh, sw, ph, pw, dh, dw).
        edges: the taps that are inside the image, the first and the one after the last: of each row of
            windows (up, down), of each column of them (left, right).
        images: how many images of one channel make one task.
        tasks: how many tasks there are.
        simple: whether the windows are 2×2 with stride 2 inside the image.
    """

    output: Pair
    shape: Shape
    edges: Edges
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
    edges = []
    for size, windows, cells, step, pad, gap in zip(
        (h, w), (oh, ow), kernel_size, stride, padding, dilation, strict=True
    ):
        start = np.arange(windows) * step - pad
        edges += [np.maximum(0, -(start // gap)), np.minimum(cells, -((start - size) // gap))]
    images = max(1, TASK // max(1, h * w))
    usual = (kernel_size, stride, padding, dilation) == ((2, 2), (2, 2), (0, 0), (1, 1))
    return Plan(
        (oh, ow),
        (h, w, oh, ow, *kernel_size, *stride, *padding, *dilation),
        (edges[0], edges[1], edges[2], edges[3]),
        images,
        -(-n * c // images),
        usual and (oh, ow) == (h // 2, w // 2),
    )


def _of_windows(dy: Array, winners: Array, input_shape: tuple[int, ...], *window: Any) -> bool:
    sizes = output_sizes(input_shape, *window)
    return dy.shape == winners.shape == (*input_shape[:2], *sizes)


@pooling.max_pool2d.register(np.ndarray)
def max_pool2d(
    x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[Array, Array]:
    """As the reference."""
    plan = make_plan(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    shape = x.shape[:2] + plan.output
    y = empty(shape, x.dtype)
    winners = empty(shape, np.uint8 if plan.simple else pooling.winner_dtype(kernel_size))
    if y.size:
        with POOL.team(x.size) as team:
            arrays, how = (flat(x), y.reshape(-1), winners.reshape(-1)), (plan.images, plan.tasks, team)
            if plan.simple:
                _max_simple(*arrays, plan.shape, *how)
            else:
                _max_general(*arrays, plan.shape, plan.edges, *how)
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
            run = _spread_simple if plan.simple else _spread_general
            run(flat(dy), flat(winners), dx.reshape(-1), plan.shape, plan.images, plan.tasks, team)
    return dx


@tasks
def _max_simple_task(task, thread, x, y, winners, shape, images):
    h, w, oh, ow = shape[0], shape[1], shape[2], shape[3]
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
    h, w, oh, ow = shape[0], shape[1], shape[2], shape[3]
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


@tasks
def _max_general_task(task, thread, x, y, winners, shape, edges, images):
    h, w, oh, ow, _, kw, sh, sw, ph, pw, dh, dw = shape
    up, down, left, right = edges
    for image in range(task * images, min((task + 1) * images, len(y) // (oh * ow))):
        for i in range(oh):
            top = image * h + i * sh - ph
            for j in range(ow):
                best = x.dtype.type(-math.inf)
                tap = up[i] * kw + left[j]  # where all cells are −∞, the first of them wins
                for u in range(up[i], down[i]):
                    start = (top + u * dh) * w + j * sw - pw
                    for v in range(left[j], right[j]):
                        value = x[start + v * dw]
                        wins = (value > best) | ((value != value) & (best == best))  # the first NaN wins
                        best = value if wins else best
                        tap = u * kw + v if wins else tap
                y[(image * oh + i) * ow + j] = best
                winners[(image * oh + i) * ow + j] = tap


@jit
def _max_general(
    x: Array, y: Array, winners: Array, shape: Shape, edges: Edges, images: int, n: int, team: int
) -> None:
    _max_general_task(team, n, (x, y, winners, shape, edges, images))


@tasks
def _spread_general_task(task, thread, dy, winners, dx, shape, images):
    h, w, oh, ow, _, kw, sh, sw, ph, pw, dh, dw = shape
    first, last = task * images, min((task + 1) * images, len(dx) // (h * w))
    dx[first * h * w : last * h * w] = 0
    for image in range(first, last):
        for i in range(oh):
            for j in range(ow):
                place = (image * oh + i) * ow + j
                tap = int(winners[place])
                u, v = tap // kw, tap % kw
                row, column = i * sh - ph + u * dh, j * sw - pw + v * dw
                if 0 <= row < h and 0 <= column < w:
                    dx[(image * h + row) * w + column] += dy[place]


@jit
def _spread_general(
    dy: Array, winners: Array, dx: Array, shape: Shape, images: int, n: int, team: int
) -> None:
    _spread_general_task(team, n, (dy, winners, dx, shape, images))
