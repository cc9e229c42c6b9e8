"""Borders around images in one pass: rows are copied whole, and only a border's pixels are looked up."""

from __future__ import annotations

import functools
import math

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import padding as references
from minidl.kernels.numba_cpu.arguments import flat, where
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.tasks import tasks
from minidl.kernels.padding import Border, fits, padded_size, shown

__all__ = ["pad2d", "pad2d_input_grad"]

TASK = 16_384  # pixels that make one task


@functools.lru_cache(maxsize=512)
def _tables(h: int, w: int, border: Border, mode: str) -> tuple[Array, Array]:
    """Which row and which column of the image each of the padded one shows."""
    left, right, top, bottom = border
    return shown(h, top, bottom, mode), shown(w, left, right, mode)


def _fits(x: Array, border: Border, mode: str) -> bool:
    return fits(x.shape, border, mode)


def _fits_dy(dy: Array, input_shape: tuple[int, ...], border: Border, mode: str) -> bool:
    padded = fits(input_shape, border, mode) and (*input_shape[:-2], *padded_size(input_shape, border))
    return dy.shape == padded


@references.pad2d.register(np.ndarray)
@where(_fits, references.pad2d)
def pad2d(x: Array, border: Border, mode: str) -> Array:
    """As the reference."""
    h, w = x.shape[-2:]
    y = empty((*x.shape[:-2], *padded_size(x.shape, border)), x.dtype)
    if y.size:
        rows, columns = _tables(h, w, border, mode)
        with POOL.team(2 * y.size) as team:
            _pad(flat(x), y.reshape(-1), rows, columns, h, w, border[0], team)
    return y


@references.pad2d_input_grad.register(np.ndarray)
@where(_fits_dy, references.pad2d_input_grad)
def pad2d_input_grad(dy: Array, input_shape: tuple[int, ...], border: Border, mode: str) -> Array:
    """As the reference."""
    h, w = input_shape[-2:]
    dx = empty(tuple(input_shape), dy.dtype)
    if dx.size:
        rows, columns = _tables(h, w, border, mode)
        n = math.prod(input_shape[:-2])
        with POOL.team(2 * dy.size) as team:
            _unpad(flat(dy), dx.reshape(-1), rows, columns, n, h, w, border[2], border[0], team)
    return dx


@jit
def _of_task(pixels: int) -> int:
    """How many rows, or images, of so many pixels make one task."""
    return max(1, TASK // max(1, pixels))


@jit
def _show(row: Array, line: Array, columns: Array, first: int, last: int) -> None:
    """The border's pixels of a line, those before `first` and from `last` on."""
    for c in range(first):
        line[c] = row[columns[c]] if columns[c] >= 0 else line.dtype.type(0)
    for c in range(last, len(line)):
        line[c] = row[columns[c]] if columns[c] >= 0 else line.dtype.type(0)


@tasks
def _pad_rows(task, thread, x, y, rows, columns, h, w, left):
    oh, ow = len(rows), len(columns)
    height = _of_task(ow)
    first, last = max(0, left), min(ow, left + w)  # the columns in which the image stands
    for i in range(task * height, min((task + 1) * height, len(y) // ow)):
        image, line = i // oh, y[i * ow : (i + 1) * ow]
        shows = rows[i % oh]
        if shows < 0:
            line[:] = 0
            continue
        row = x[(image * h + shows) * w : (image * h + shows + 1) * w]
        inside, seen = line[first:last], row[first - left : last - left]
        for c in range(len(inside)):
            inside[c] = seen[c]
        _show(row, line, columns, first, last)


@jit
def _pad(x: Array, y: Array, rows: Array, columns: Array, h: int, w: int, left: int, team: int) -> None:
    n = -(-(len(y) // len(columns)) // _of_task(len(columns)))
    _pad_rows(team, n, (x, y, rows, columns, h, w, left))


@jit
def _give_back(line: Array, row: Array, columns: Array, first: int, last: int) -> None:
    """Each of the border's pixels of a line to the pixel that it shows."""
    for c in range(first):
        if columns[c] >= 0:
            row[columns[c]] += line[c]
    for c in range(last, len(line)):
        if columns[c] >= 0:
            row[columns[c]] += line[c]


@tasks
def _unpad_images(task, thread, dy, dx, rows, columns, n, h, w, top, left):
    oh, ow = len(rows), len(columns)
    images = _of_task(h * w)
    first, last = max(0, left), min(ow, left + w)
    for image in range(task * images, min((task + 1) * images, n)):
        for r in range(h):
            row, i = dx[(image * h + r) * w : (image * h + r + 1) * w], r + top
            if i < 0 or i >= oh:  # it was cut off
                row[:] = 0
                continue
            line = dy[(image * oh + i) * ow : (image * oh + i + 1) * ow]
            row[: first - left] = 0
            row[last - left :] = 0
            inside, seen = line[first:last], row[first - left : last - left]
            for c in range(len(inside)):
                seen[c] = inside[c]
            _give_back(line, row, columns, first, last)
        for i in range(oh):
            if rows[i] < 0 or i - top == rows[i]:  # it shows nothing, or itself
                continue
            line = dy[(image * oh + i) * ow : (image * oh + i + 1) * ow]
            row = dx[(image * h + rows[i]) * w : (image * h + rows[i] + 1) * w]
            inside, seen = line[first:last], row[first - left : last - left]
            for c in range(len(inside)):
                seen[c] += inside[c]
            _give_back(line, row, columns, first, last)


@jit
def _unpad(
    dy: Array, dx: Array, rows: Array, columns: Array, n: int, h: int, w: int, top: int, left: int, team: int
) -> None:
    _unpad_images(team, -(-n // _of_task(h * w)), (dy, dx, rows, columns, n, h, w, top, left))
