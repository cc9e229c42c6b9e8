"""Activations made of straight lines in one pass over the numbers, in pieces that threads share out."""

from __future__ import annotations

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import lines as references
from minidl.kernels.lines import Lines
from minidl.kernels.numba_cpu.activation import PIECE, piece, pieces, rows_in_tasks
from minidl.kernels.numba_cpu.arguments import alike, flat, where
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.streams import is_far, stream_lines
from minidl.kernels.numba_cpu.tasks import tasks

__all__ = ["prelu", "prelu_input_grad", "scale_channels", "three_lines", "three_lines_input_grad"]


@references.three_lines.register(np.ndarray)
def three_lines(x: Array, low: float, high: float, slopes: Lines, heights: Lines) -> Array:
    """As the reference."""
    y = empty(x.shape, x.dtype)
    numbers = tuple(map(float, (low, high, *slopes, *heights)))
    with POOL.team(2 * x.size) as team:
        _lines(flat(x), numbers, y.reshape(-1), is_far(y), team)
    return y


@references.three_lines_input_grad.register(np.ndarray)
@where(alike, references.three_lines_input_grad)
def three_lines_input_grad(dy: Array, x: Array, low: float, high: float, slopes: Lines) -> Array:
    """As the reference."""
    dx = empty(dy.shape, dy.dtype)
    numbers = tuple(map(float, (low, high, *slopes)))
    with POOL.team(2 * x.size) as team:
        _lines_grad(flat(dy), flat(x), numbers, dx.reshape(-1), team)
    return dx


def _a_slope_each(x: Array, weight: Array) -> bool:
    return weight.shape == (1,) or (x.ndim > 1 and weight.shape == x.shape[1:2])


def _a_slope_each_and_alike(dy: Array, x: Array, weight: Array) -> bool:
    return dy.shape == x.shape and _a_slope_each(x, weight)


@references.prelu.register(np.ndarray)
@where(_a_slope_each, references.prelu)
def prelu(x: Array, weight: Array) -> Array:
    """As the reference."""
    y = empty(x.shape, x.dtype)
    with POOL.team(2 * x.size) as team:
        _prelu(flat(x), flat(weight), _run(x, weight), y.reshape(-1), team)
    return y


@references.prelu_input_grad.register(np.ndarray)
@where(_a_slope_each_and_alike, references.prelu_input_grad)
def prelu_input_grad(dy: Array, x: Array, weight: Array) -> tuple[Array, Array]:
    """As the reference."""
    dx, terms = empty(dy.shape, dy.dtype), empty(dy.shape, dy.dtype)
    with POOL.team(2 * x.size) as team:
        _prelu_grad(flat(dy), flat(x), flat(weight), _run(x, weight), dx.reshape(-1), terms.reshape(-1), team)
    return dx, terms


def _a_factor_each(x: Array, scale: Array) -> bool:
    return x.ndim >= 2 and scale.shape == x.shape[:2]


@references.scale_channels.register(np.ndarray)
@where(_a_factor_each, references.scale_channels)
def scale_channels(x: Array, scale: Array) -> Array:
    """As the reference."""
    y = empty(x.shape, x.dtype)
    with POOL.team(2 * x.size) as team:
        _scale(flat(x), flat(scale), int(np.prod(x.shape[2:])), y.reshape(-1), team)
    return y


def _run(x: Array, weight: Array) -> int:
    """How many numbers in a row share a slope: the pixels of a channel, or all."""
    return int(np.prod(x.shape[2:])) if len(weight) > 1 else max(1, x.size)


@tasks
def _lines_piece(task, thread, x, numbers, y, far):
    x, y = piece(x, task), piece(y, task)
    kind = x.dtype.type  # in which the loop computes
    low, high = kind(numbers[0]), kind(numbers[1])
    s0, s1, s2 = kind(numbers[2]), kind(numbers[3]), kind(numbers[4])
    h0, h1, h2 = kind(numbers[5]), kind(numbers[6]), kind(numbers[7])
    if far:
        done = stream_lines(x, (low, high, s0, s1, s2, h0, h1, h2), y)
        x, y = x[done:], y[done:]
    zero = kind(0)
    first_is_flat, third_is_flat = s0 == zero, s2 == zero  # 0 · ∞ would be no number
    for i in range(len(x)):
        value = x[i]
        first = h0 if first_is_flat else s0 * value + h0
        third = h2 if third_is_flat else s2 * value + h2
        second = s1 * value + h1
        y[i] = first if value <= low else third if value >= high else second


@jit
def _lines(x, numbers, y, far, team):
    _lines_piece(team, pieces(x), (x, numbers, y, far))


@tasks
def _lines_grad_piece(task, thread, dy, x, numbers, dx):
    dy, x, dx = piece(dy, task), piece(x, task), piece(dx, task)
    kind = x.dtype.type
    low, high = kind(numbers[0]), kind(numbers[1])
    s0, s1, s2 = kind(numbers[2]), kind(numbers[3]), kind(numbers[4])
    for i in range(len(x)):
        value = x[i]
        slope = s0 if value <= low else s2 if value >= high else s1
        dx[i] = slope * dy[i]


@jit
def _lines_grad(dy, x, numbers, dx, team):
    _lines_grad_piece(team, pieces(x), (dy, x, numbers, dx))


@tasks
def _prelu_rows(task, thread, x, weight, run, y):
    height, parts = rows_in_tasks(run)
    first, zero = task // parts * height, x.dtype.type(0)
    for row in range(first, min(first + height, len(x) // run)):
        w = weight[row % len(weight)]
        begin = row * run + task % parts * PIECE
        end = min(begin + PIECE, (row + 1) * run)
        given, result = x[begin:end], y[begin:end]
        for i in range(len(given)):
            value = given[i]
            result[i] = value if value > zero else w * value


@jit
def _prelu(x, weight, run, y, team):
    if len(x) > 0:
        height, parts = rows_in_tasks(run)
        _prelu_rows(team, -(-(len(x) // run) // height) * parts, (x, weight, run, y))


@tasks
def _prelu_grad_rows(task, thread, dy, x, weight, run, dx, terms):
    height, parts = rows_in_tasks(run)
    first, zero = task // parts * height, x.dtype.type(0)
    for row in range(first, min(first + height, len(x) // run)):
        w = weight[row % len(weight)]
        begin = row * run + task % parts * PIECE
        end = min(begin + PIECE, (row + 1) * run)
        dys, given, dxs, products = dy[begin:end], x[begin:end], dx[begin:end], terms[begin:end]
        for i in range(len(given)):
            slope = dys[i]
            positive = given[i] > zero
            dxs[i] = slope if positive else w * slope
            products[i] = zero if positive else given[i] * slope


@jit
def _prelu_grad(dy, x, weight, run, dx, terms, team):
    if len(x) > 0:
        height, parts = rows_in_tasks(run)
        _prelu_grad_rows(team, -(-(len(x) // run) // height) * parts, (dy, x, weight, run, dx, terms))


@tasks
def _scale_rows(task, thread, x, scale, run, y):
    height, parts = rows_in_tasks(run)
    first = task // parts * height
    for row in range(first, min(first + height, len(scale))):
        factor = scale[row]
        begin = row * run + task % parts * PIECE
        end = min(begin + PIECE, (row + 1) * run)
        given, result = x[begin:end], y[begin:end]
        for i in range(len(given)):
            result[i] = factor * given[i]


@jit
def _scale(x, scale, run, y, team):
    height, parts = rows_in_tasks(run)
    _scale_rows(team, -(-len(scale) // height) * parts, (x, scale, run, y))
