"""Batch normalisation, a channel at a time: its numbers are in the cache for all passes but the first.

Images (N, C, H, W) are N runs of H·W neighbours per channel. Vectors (N, C), and images of a few pixels,
have no runs worth the name: there a task takes some columns of the matrix (N, C·H·W), and every row of them.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import normalization
from minidl.kernels.numba_cpu.arguments import where
from minidl.kernels.numba_cpu.jit import SUMS, jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.streams import is_far, stream_gradient
from minidl.kernels.numba_cpu.sums import RUN, add_rows, add_up
from minidl.kernels.numba_cpu.tasks import tasks

__all__ = [
    "batch_norm",
    "batch_norm_fixed",
    "batch_norm_input_grad",
    "deviation_products",
    "fold",
    "gradient",
    "normalise",
    "square_deviations",
]

SHORT = 32  # pixels per channel below which an image is better read as a vector
PIECE = 32_768  # numbers of one task


def _per_channel(x: Array, *more: Any) -> bool:
    return all(array.shape == x.shape[1:2] for array in more if isinstance(array, np.ndarray))


def _both_per_channel(dy: Array, x: Array, *more: Any) -> bool:
    return dy.shape == x.shape and _per_channel(x, *more)


@normalization.batch_norm.register(np.ndarray)
@where(_per_channel, normalization.batch_norm)
def batch_norm(x: Array, gamma: Array | None, beta: Array | None, eps: float) -> tuple[Array, Array, Array]:
    """As the reference."""
    channels = x.shape[1]
    mean, var = np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    return _run(x, mean, var, gamma, beta, eps, True), mean, var


@normalization.batch_norm_fixed.register(np.ndarray)
@where(_per_channel, normalization.batch_norm_fixed)
def batch_norm_fixed(
    x: Array, mean: Array, var: Array, gamma: Array | None, beta: Array | None, eps: float
) -> Array:
    """As the reference."""
    return _run(x, np.ascontiguousarray(mean), np.ascontiguousarray(var), gamma, beta, eps, False)


def _run(
    x: Array, mean: Array, var: Array, gamma: Array | None, beta: Array | None, eps: float, measure: bool
) -> Array:
    x, y = np.ascontiguousarray(x), empty(x.shape, x.dtype)
    if x.size == 0:
        return y
    gamma = np.ones(len(mean), x.dtype) if gamma is None else np.ascontiguousarray(gamma)
    beta = np.zeros(len(mean), x.dtype) if beta is None else np.ascontiguousarray(beta)
    with POOL.team(8 * x.size) as team:
        if x.size < len(x) * len(mean) * SHORT:
            shape = (len(x), x.size // len(x))
            _forward_columns(
                x.reshape(shape),
                mean,
                var,
                gamma,
                beta,
                eps,
                measure,
                y.reshape(shape),
                _pieces(*shape),
                team,
            )
        else:
            runs = (len(x), len(mean), x.size // (len(x) * len(mean)))
            _forward(x.reshape(runs), mean, var, gamma, beta, eps, measure, y.reshape(runs), team)
    return y


@normalization.batch_norm_input_grad.register(np.ndarray)
@where(_both_per_channel, normalization.batch_norm_input_grad)
def batch_norm_input_grad(
    dy: Array, x: Array, mean: Array, var: Array, gamma: Array | None, eps: float, of_batch: bool
) -> tuple[Array, Array, Array]:
    """As the reference."""
    channels = len(mean)
    dx = empty(x.shape, x.dtype)
    if x.size == 0:
        return dx, np.zeros(channels, x.dtype), np.zeros(channels, x.dtype)
    dgamma, dbeta = np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    gamma = np.ones(channels, x.dtype) if gamma is None else np.ascontiguousarray(gamma)
    x, dy, mean, var = (np.ascontiguousarray(array) for array in (x, dy, mean, var))
    given = (mean, var, gamma, eps, of_batch)
    with POOL.team(8 * x.size) as team:
        if x.size < len(x) * channels * SHORT:
            rows = (len(x), x.size // len(x))
            _backward_columns(
                dy.reshape(rows),
                x.reshape(rows),
                *given,
                dx.reshape(rows),
                dgamma,
                dbeta,
                _pieces(*rows),
                team,
            )
        else:
            runs = (len(x), channels, x.size // (len(x) * channels))
            far = is_far(dx, runs[2])
            _backward(dy.reshape(runs), x.reshape(runs), *given, dx.reshape(runs), dgamma, dbeta, far, team)
    return dx, dgamma, dbeta


def _pieces(rows: int, columns: int) -> int:
    """How many tasks the rows make. It depends on the shape alone, and with it how the sums are added up."""
    return max(1, min(64, rows, rows * columns // PIECE))


# -------------------------------------------------------------------- images: a task is a channel


@jit
def _forward(
    x: Array,
    mean: Array,
    var: Array,
    gamma: Array,
    beta: Array,
    eps: float,
    measure: bool,
    y: Array,
    team: int,
) -> None:
    _forward_channel(team, x.shape[1], (x, mean, var, gamma, beta, eps, measure, y))


@tasks
def _forward_channel(task, thread, x, mean, var, gamma, beta, eps, measure, y):
    n = x.shape[0] * x.shape[2]
    if measure:
        total = 0.0
        for image in range(len(x)):
            total += add_up(x[image, task])
        mean[task] = total / n
        total = 0.0
        for image in range(len(x)):
            total += square_deviations(x[image, task], mean[task])
        var[task] = total / n
    scale = gamma[task] / x.dtype.type(math.sqrt(var[task] + eps))
    for image in range(len(x)):
        normalise(x[image, task], mean[task], scale, beta[task], y[image, task])


@jit
def _backward(
    dy: Array, x: Array, mean: Array, var: Array, gamma: Array, eps: float, of_batch: bool,
    dx: Array, dgamma: Array, dbeta: Array, far: bool, team: int,
) -> None:  # fmt: skip
    _backward_channel(team, x.shape[1], (dy, x, mean, var, gamma, eps, of_batch, dx, dgamma, dbeta, far))


@tasks
def _backward_channel(task, thread, dy, x, mean, var, gamma, eps, of_batch, dx, dgamma, dbeta, far):
    n = x.shape[0] * x.shape[2]
    total, products = 0.0, 0.0
    for image in range(len(x)):
        total += add_up(dy[image, task])
        products += deviation_products(dy[image, task], x[image, task], mean[task])
    std = math.sqrt(var[task] + eps)
    dgamma[task], dbeta[task] = products / std, total
    scale = gamma[task] / std
    slope, shift = (scale * products / (n * std * std), scale * total / n) if of_batch else (0.0, 0.0)
    kind = x.dtype.type
    numbers = mean[task], kind(scale), kind(slope), kind(shift)
    for image in range(len(x)):
        if far:
            stream_gradient(dy[image, task], x[image, task], *numbers, dx[image, task])
        else:
            gradient(dy[image, task], x[image, task], *numbers, dx[image, task])


@functools.partial(jit, fastmath=SUMS)
def square_deviations(x: Array, mean: float) -> float:
    """Σ (x − mean)², some hundred numbers at a time."""
    total = 0.0
    for first in range(0, len(x), RUN):
        part = x[first : first + RUN]
        value = x.dtype.type(0)
        for i in range(len(part)):
            value += (part[i] - mean) * (part[i] - mean)
        total += value
    return total


@functools.partial(jit, fastmath=SUMS)
def deviation_products(dy: Array, x: Array, mean: float) -> float:
    """Σ dy (x − mean), likewise."""
    total = 0.0
    for first in range(0, len(x), RUN):
        part, other = dy[first : first + RUN], x[first : first + RUN]
        value = x.dtype.type(0)
        for i in range(len(part)):
            value += part[i] * (other[i] - mean)
        total += value
    return total


@jit
def normalise(x: Array, mean: float, scale: float, beta: float, y: Array) -> None:
    """A run of numbers that share one scale."""
    for i in range(len(x)):
        y[i] = (x[i] - mean) * scale + beta


@jit
def gradient(dy: Array, x: Array, mean: float, scale: float, slope: float, shift: float, dx: Array) -> None:
    """The gradient of such a run."""
    for i in range(len(x)):
        dx[i] = dy[i] * scale - ((x[i] - mean) * slope + shift)


# -------------------------------------------------------------------- vectors: a task is some rows


@jit
def _rows_of(task: int, pieces: int, rows: int) -> tuple[int, int]:
    """The first row of a task, and the one after its last."""
    return task * rows // pieces, (task + 1) * rows // pieces


@tasks
def _sum_piece(task, thread, x, partial):
    first, last = _rows_of(task, len(partial), len(x))
    add_rows(x, first, last, partial[task])


@tasks
def _square_piece(task, thread, x, mean, partial):
    """Σ (x − mean)² of every column, two rows at a time."""
    first, last = _rows_of(task, len(partial), len(x))
    total, i = partial[task], first
    while i + 2 <= last:
        a, b = x[i], x[i + 1]
        for j in range(len(total)):
            total[j] += (a[j] - mean[j]) * (a[j] - mean[j]) + (b[j] - mean[j]) * (b[j] - mean[j])
        i += 2
    if i < last:
        a = x[i]
        for j in range(len(total)):
            total[j] += (a[j] - mean[j]) * (a[j] - mean[j])


@tasks
def _product_piece(task, thread, dy, x, mean, partial):
    """Σ dy (x − mean), likewise.

    Two rows, because LLVM runs a loop over several arrays in vector lanes only after it found that they do
    not overlap, and it looks at a few pairs at most.
    """
    first, last = _rows_of(task, len(partial), len(x))
    total, i = partial[task], first
    while i + 2 <= last:
        a, b, p, q = x[i], x[i + 1], dy[i], dy[i + 1]
        for j in range(len(total)):
            total[j] += p[j] * (a[j] - mean[j]) + q[j] * (b[j] - mean[j])
        i += 2
    if i < last:
        a, p = x[i], dy[i]
        for j in range(len(total)):
            total[j] += p[j] * (a[j] - mean[j])


@jit
def fold(partial: Array, share: float, channels: Array) -> None:
    """Add up what the tasks found, and each channel's columns; scale the sum."""
    pixels = partial.shape[1] // len(channels)
    total = partial[0]
    for piece in range(1, len(partial)):
        row = partial[piece]
        for j in range(len(total)):
            total[j] += row[j]
    for c in range(len(channels)):
        value = 0.0
        for j in range(c * pixels, (c + 1) * pixels):
            value += total[j]
        channels[c] = value * share


@jit
def _spread(channels: Array, columns: Array) -> None:
    """Give each channel's number to all of its columns."""
    pixels = len(columns) // len(channels)
    for c in range(len(channels)):
        for j in range(c * pixels, (c + 1) * pixels):
            columns[j] = channels[c]


@jit
def _forward_columns(
    x: Array, mean: Array, var: Array, gamma: Array, beta: Array, eps: float, measure: bool, y: Array,
    pieces: int, team: int,
) -> None:  # fmt: skip
    width, share = x.shape[1], len(mean) / x.size
    middle, scale, shift = np.empty(width, x.dtype), np.empty(width, x.dtype), np.empty(width, x.dtype)
    if measure:
        partial = np.zeros((pieces, width))
        _sum_piece(team, pieces, (x, partial))
        fold(partial, share, mean)
    _spread(mean, middle)
    if measure:
        partial = np.zeros((pieces, width))
        _square_piece(team, pieces, (x, middle, partial))
        fold(partial, share, var)
    _spread(var, scale)
    _spread(gamma, shift)
    for j in range(width):
        scale[j] = shift[j] / x.dtype.type(math.sqrt(scale[j] + eps))
    _spread(beta, shift)
    _normalise_piece(team, pieces, (x, middle, scale, shift, y, pieces))


@tasks
def _normalise_piece(task, thread, x, middle, scale, shift, y, pieces):
    first, last = _rows_of(task, pieces, len(x))
    for i in range(first, last):
        row, result = x[i], y[i]
        for j in range(len(row)):
            result[j] = (row[j] - middle[j]) * scale[j] + shift[j]


@jit
def _backward_columns(
    dy: Array, x: Array, mean: Array, var: Array, gamma: Array, eps: float, of_batch: bool,
    dx: Array, dgamma: Array, dbeta: Array, pieces: int, team: int,
) -> None:  # fmt: skip
    width = x.shape[1]
    pixels = width // len(mean)
    middle, scale = np.empty(width, x.dtype), np.empty(width, x.dtype)
    slope, shift = np.empty(width, x.dtype), np.empty(width, x.dtype)
    _spread(mean, middle)
    partial = np.zeros((pieces, width))
    _sum_piece(team, pieces, (dy, partial))
    fold(partial, 1.0, dbeta)
    partial = np.zeros((pieces, width))
    _product_piece(team, pieces, (dy, x, middle, partial))
    fold(partial, 1.0, dgamma)
    for c in range(len(mean)):
        std = math.sqrt(var[c] + eps)
        factor = gamma[c] / std
        share = factor / (len(x) * pixels) if of_batch else 0.0
        for j in range(c * pixels, (c + 1) * pixels):
            scale[j] = factor
            slope[j] = share * dgamma[c] / (std * std)
            shift[j] = share * dbeta[c]
        dgamma[c] /= std
    _gradient_piece(team, pieces, (dy, x, middle, scale, slope, shift, dx, pieces))


@tasks
def _gradient_piece(task, thread, dy, x, middle, scale, slope, shift, dx, pieces):
    first, last = _rows_of(task, pieces, len(x))
    for i in range(first, last):
        upstream, row, result = dy[i], x[i], dx[i]
        for j in range(len(row)):
            result[j] = upstream[j] * scale[j] - ((row[j] - middle[j]) * slope[j] + shift[j])
