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
from minidl.kernels.numba_cpu.tasks import rows_of_task, tasks
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


def _as_rows(x: Array) -> Array:
    """The rows of all images, one under the other."""
    return flat(x).reshape(-1, max(1, x.shape[-1]))


@references.pad2d.register(np.ndarray)
@where(_fits, references.pad2d)
def pad2d(x: Array, border: Border, mode: str) -> Array:
    """As the reference."""
    h, w = x.shape[-2:]
    y = empty((*x.shape[:-2], *padded_size(x.shape, border)), x.dtype)
    if y.size:
        rows, columns = _tables(h, w, border, mode)
        with POOL.team(2 * y.size) as team:
            _pad(_as_rows(x), _as_rows(y), rows, columns, h, w, border[0], team)
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
            _unpad(_as_rows(dy), _as_rows(dx), rows, columns, n, h, w, border[2], border[0], team)
    return dx


@tasks
def _pad_rows(task, thread, x, y, rows, columns, h, w, left):
    """No slices here: each would count references, and threads that count the same ones wait in turn."""
    oh, ow, zero = len(rows), len(columns), x.dtype.type(0)
    height = rows_of_task(ow, TASK)
    first, last = max(0, left), min(ow, left + w)  # the columns in which the image stands
    skipped = max(0, -left)
    for i in range(task * height, min((task + 1) * height, len(y))):
        shows = rows[i % oh]
        if shows < 0:
            for c in range(ow):
                y[i, c] = zero
            continue
        row = i // oh * h + shows
        for c in range(last - first):
            y[i, first + c] = x[row, skipped + c]
        for c in range(first):
            y[i, c] = x[row, columns[c]] if columns[c] >= 0 else zero
        for c in range(last, ow):
            y[i, c] = x[row, columns[c]] if columns[c] >= 0 else zero


@jit
def _pad(x: Array, y: Array, rows: Array, columns: Array, h: int, w: int, left: int, team: int) -> None:
    _pad_rows(team, -(-len(y) // rows_of_task(len(columns), TASK)), (x, y, rows, columns, h, w, left))


@tasks
def _unpad_images(task, thread, dy, dx, rows, columns, n, h, w, top, left):
    oh, ow, zero = len(rows), len(columns), dx.dtype.type(0)
    images = rows_of_task(h * w, TASK)
    first, last = max(0, left), min(ow, left + w)
    skipped = max(0, -left)
    for image in range(task * images, min((task + 1) * images, n)):
        for r in range(h):
            row, line = image * h + r, image * oh + r + top
            if first > left or last < left + w or r + top < 0 or r + top >= oh:  # something was cut off
                for c in range(w):
                    dx[row, c] = zero
            if 0 <= r + top < oh:
                for c in range(last - first):
                    dx[row, skipped + c] = dy[line, first + c]
        for i in range(oh):
            if rows[i] < 0:
                continue
            row, line = image * h + rows[i], image * oh + i
            if i - top != rows[i]:  # a line of the border
                for c in range(last - first):
                    dx[row, skipped + c] += dy[line, first + c]
            for c in range(first):
                if columns[c] >= 0:
                    dx[row, columns[c]] += dy[line, c]
            for c in range(last, ow):
                if columns[c] >= 0:
                    dx[row, columns[c]] += dy[line, c]


@jit
def _unpad(
    dy: Array, dx: Array, rows: Array, columns: Array, n: int, h: int, w: int, top: int, left: int, team: int
) -> None:
    _unpad_images(team, -(-n // rows_of_task(h * w, TASK)), (dy, dx, rows, columns, n, h, w, top, left))
