"""Sums over a batch, in one pass: a few numbers are added in the array's dtype, all the rest in float64."""

from __future__ import annotations

import functools

import numpy as np

from minidl.array import Array
from minidl.kernels import sums
from minidl.kernels.numba_cpu.jit import SUMS, jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.tasks import tasks

__all__ = ["add_rows", "add_up", "sum_channels", "sum_rows"]

PIECE = 32_768  # numbers that one task adds up
SHORT = 32  # pixels per channel below which an image is better read as one row
RUN = 512  # numbers that are added in the array's dtype, side by side in vector lanes


@sums.sum_rows.register(np.ndarray)
def sum_rows(x: Array) -> Array:
    """As the reference."""
    rows, columns = x.shape
    y = np.empty(columns, x.dtype)
    if columns == 0:
        return y
    # The pieces depend on the shape alone, so their partial sums are the same at any number of threads.
    pieces = max(1, min(64, rows * columns // PIECE))
    with POOL.team(rows * columns) as team:
        _sum_rows(np.ascontiguousarray(x), np.zeros((pieces, columns)), y, team)
    return y


@sums.sum_channels.register(np.ndarray)
def sum_channels(x: Array) -> Array:
    """As the reference."""
    images, channels = x.shape[:2]
    y = np.empty(channels, x.dtype)
    if x.size == 0:
        y[...] = 0
        return y
    pixels = x.size // (images * channels)
    if pixels < SHORT:
        _sum_short(np.ascontiguousarray(x).reshape(images, channels * pixels), pixels, y)
        return y
    with POOL.team(x.size) as team:
        _sum_channels(np.ascontiguousarray(x).reshape(images, channels, pixels), y, team)
    return y


@jit
def add_rows(x: Array, first: int, last: int, total: Array) -> None:
    """total[j] += x[first, j] + … + x[last − 1, j]; eight rows make one addition in float64."""
    i = first
    while i + 8 <= last:
        a, b, c, d, e, f, g, h = x[i], x[i + 1], x[i + 2], x[i + 3], x[i + 4], x[i + 5], x[i + 6], x[i + 7]
        for j in range(len(total)):
            total[j] += ((a[j] + b[j]) + (c[j] + d[j])) + ((e[j] + f[j]) + (g[j] + h[j]))
        i += 8
    while i < last:
        a = x[i]
        for j in range(len(total)):
            total[j] += a[j]
        i += 1


@tasks
def _sum_piece(task, thread, x, partial):
    rows, pieces = len(x), len(partial)
    add_rows(x, task * rows // pieces, (task + 1) * rows // pieces, partial[task])


@jit
def _sum_rows(x: Array, partial: Array, y: Array, team: int) -> None:
    _sum_piece(team, len(partial), (x, partial))
    for piece in range(1, len(partial)):
        for j in range(len(y)):
            partial[0, j] += partial[piece, j]
    for j in range(len(y)):
        y[j] = partial[0, j]


@jit
def _sum_short(x: Array, pixels: int, y: Array) -> None:
    """Images of few pixels: all images first, so that the lanes are full, then each channel's pixels."""
    total = np.zeros(x.shape[1])
    add_rows(x, 0, len(x), total)
    for channel in range(len(y)):
        value = 0.0
        for pixel in range(channel * pixels, (channel + 1) * pixels):
            value += total[pixel]
        y[channel] = value


@functools.partial(jit, fastmath=SUMS)
def add_up(x: Array) -> float:
    """The sum of a row, some hundred numbers at a time."""
    total = 0.0
    for first in range(0, len(x), RUN):
        part = x[first : first + RUN]
        value = x.dtype.type(0)
        for i in range(len(part)):
            value += part[i]
        total += value
    return total


@tasks
def _sum_channel(task, thread, x, y):
    total = 0.0
    for image in range(len(x)):
        total += add_up(x[image, task])
    y[task] = total


@jit
def _sum_channels(x: Array, y: Array, team: int) -> None:
    _sum_channel(team, len(y), (x, y))
