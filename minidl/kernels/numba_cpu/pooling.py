"""Max-pooling without an array of windows: a running maximum along each row of outputs, tap by tap.

Images of one channel are shared out among the threads. Windows of 2×2 cells with stride 2 have a loop of
their own (`quads`); all others go through the general ones here.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple, TypeAlias

import numpy as np

from minidl.array import Array
from minidl.kernels import pooling
from minidl.kernels.geometry import Pair, output_sizes
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.quads import largest_row, spread_row
from minidl.kernels.numba_cpu.tasks import tasks

__all__ = ["TASK", "Plan", "make_plan", "max_pool2d", "max_pool2d_input_grad"]

Shape: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int, int, int]
TASK = 65_536  # cells of the input that make one task


class Plan(NamedTuple):
    """How one shape of input is pooled.

    Attributes:
        output: (OH, OW).
        shape: what the loops need: (H, W, OH, OW, kh, kw, sh, sw, ph, pw, dh, dw).
        images: how many images of one channel make one task.
        tasks: how many tasks there are.
        simple: whether the windows are 2×2 with stride 2 inside the image.
    """

    output: Pair
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
    images = max(1, TASK // max(1, h * w))
    usual = (kernel_size, stride, padding, dilation) == ((2, 2), (2, 2), (0, 0), (1, 1))
    return Plan(
        (oh, ow),
        (h, w, oh, ow, *kernel_size, *stride, *padding, *dilation),
        images,
        -(-n * c // images),
        usual and (oh, ow) == (h // 2, w // 2),
    )


@pooling.max_pool2d.register(np.ndarray)
def max_pool2d(
    x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[Array, Array]:
    """As the reference."""
    plan = make_plan(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    shape = x.shape[:2] + plan.output
    y = np.empty(shape, x.dtype)
    winners = np.empty(shape, np.uint8 if plan.simple else pooling.winner_dtype(kernel_size))
    if y.size:
        with POOL.team(x.size) as team:
            run = _max_simple if plan.simple else _max_general
            run(_flat(x), y.reshape(-1), winners.reshape(-1), plan.shape, plan.images, plan.tasks, team)
    return y, winners


@pooling.max_pool2d_input_grad.register(np.ndarray)
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
    dx = np.empty(input_shape, dy.dtype)
    if dx.size:
        with POOL.team(dx.size) as team:
            run = _spread_simple if plan.simple else _spread_general
            run(_flat(dy), _flat(winners), dx.reshape(-1), plan.shape, plan.images, plan.tasks, team)
    return dx


def _flat(x: Array) -> Array:
    return x.reshape(-1) if x.flags.c_contiguous else np.ascontiguousarray(x).reshape(-1)


@tasks
def _max_simple_task(task, thread, x, y, winners, shape, images):  # type: ignore[no-untyped-def]
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
def _spread_simple_task(task, thread, dy, winners, dx, shape, images):  # type: ignore[no-untyped-def]
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


@jit
def _running_maximum(row: Array, step: int, tap: int, best: Array, winners: Array) -> None:
    """One tap of a row of windows: row[0], row[step], … may beat what was best so far."""
    number = winners.dtype.type(tap)
    for j in range(len(best)):
        value, before = row[j * step], best[j]
        wins = (value > before) | ((value != value) & (before == before))  # a NaN wins, the first one
        best[j] = value if wins else before
        winners[j] = number if wins else winners[j]


@tasks
def _max_general_task(task, thread, x, y, winners, shape, images):  # type: ignore[no-untyped-def]
    h, w, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw = shape
    for line in range(task * images * oh, min((task + 1) * images * oh, len(y) // ow)):
        image, i = line // oh, line % oh
        top = i * sh - ph
        # The taps that are inside the image: the padding can never win.
        u_first = 0 if top >= 0 else (-top + dh - 1) // dh
        u_last = min(kh, (h - top + dh - 1) // dh)
        best, taps = y[line * ow : (line + 1) * ow], winners[line * ow : (line + 1) * ow]
        for j in range(ow):  # where all cells are −∞, the first of them wins
            left = j * sw - pw
            v_first = 0 if left >= 0 else (-left + dw - 1) // dw
            best[j] = -math.inf
            taps[j] = u_first * kw + v_first
        for u in range(u_first, u_last):
            row = x[(image * h + top + u * dh) * w : (image * h + top + u * dh + 1) * w]
            for v in range(kw):
                shift = v * dw - pw
                first = 0 if shift >= 0 else (-shift + sw - 1) // sw
                last = min(ow, (w - shift + sw - 1) // sw)
                if first < last:
                    _running_maximum(
                        row[first * sw + shift :], sw, u * kw + v, best[first:last], taps[first:last]
                    )


@jit
def _max_general(x: Array, y: Array, winners: Array, shape: Shape, images: int, n: int, team: int) -> None:
    _max_general_task(team, n, (x, y, winners, shape, images))


@tasks
def _spread_general_task(task, thread, dy, winners, dx, shape, images):  # type: ignore[no-untyped-def]
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
