"""Convolution of small images with many channels: the windows of several images side by side, one product.

A map of 4×4 pixels gives the register tile 16 columns, and each image asks for all filters again, which are
larger than the caches. With the windows of many images beside each other the filters come once, and with
images last (C, H, W, N) a row of windows is one long run of memory:

    forward          y[o, (l, n)]     = Σ_k W[o, k] · columns[k, (l, n)]         k = (channel, u, v)
    input gradient   dcolumns[k, (l, n)] = Σ_o Wᵀ[k, o] · dy[o, (l, n)], added back to where the windows stood
    weight gradient  dW[o, k]         = Σ_(l, n) dy[o, (l, n)] · columnsᵀ[(l, n), k]

This is a full im2col, of so few images at a time that it is no larger than the filters of a deep network. A
1×1 convolution needs none of that: an image is its own matrix of windows.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from minidl.array import Array, empty, zeros
from minidl.kernels.geometry import Pair
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.products import product_into
from minidl.kernels.numba_cpu.tasks import tasks
from minidl.kernels.numba_cpu.tile import BLANK, BY_ROW, GO_ON, at, get, offset, put

__all__ = ["correlate", "input_grad", "pays", "weight_grad"]

ROOM = 1 << 21  # numbers that the columns of some images may take
SMALL = 64  # pixels of an output
DEEP = 256  # channels · taps
Shifts = tuple[int, ...]


def pays(
    channels: int, filters: int, source: tuple[int, int], output: tuple[int, int], stride: Pair, rows: Shifts,
    columns: Shifts,
) -> bool:  # fmt: skip
    """Whether the product is so large, and the image so small, that copying its windows costs little."""
    if _as_it_is(source, output, stride, rows, columns):
        return min(channels, filters) >= 16
    return output[0] * output[1] <= SMALL and filters >= 32 and channels * len(rows) * len(columns) >= DEEP


def _as_it_is(
    source: tuple[int, ...], output: tuple[int, ...], stride: Pair, rows: Shifts, columns: Shifts
) -> bool:
    """Whether the image is its own matrix of windows."""
    return rows == columns == (0,) and stride == (1, 1) and source == output


def correlate(
    x: Array, weight: Array, bias: Array | None, y: Array, stride: Pair, rows: Shifts, columns: Shifts
) -> None:
    """y[n,o,i,j] = b[o] + Σ_c,u,v w[o,c,u,v] · x[n, c, i·s + rows[u], j·s + columns[v]], into y.

    Args:
        x: (N, C, H, W).
        weight: (O, C, kh, kw).
        bias: (O,) or None.
        y: (N, O, OH, OW), all C-ordered.
        stride: s.
        rows: where each tap of the first output stands in x.
        columns: likewise.
    """
    o = len(weight)
    filters = weight.reshape(o, -1)  # (O, k)
    begin = BLANK if bias is None else BY_ROW
    if _as_it_is(x.shape[2:], y.shape[2:], stride, rows, columns):
        for image, result in zip(_matrices(x), _matrices(y), strict=True):
            product_into(filters, image, result, begin, bias)
        return
    for some in _turns(len(x), filters.shape[1] * y.shape[2] * y.shape[3]):
        windows = _windows(x[some], y.shape[2:], stride, rows, columns)
        result = empty((o, windows.shape[1]), x.dtype)
        product_into(filters, windows, result, begin, bias)
        y[some] = result.reshape(o, *y.shape[2:], -1).transpose(3, 0, 1, 2)  # (n, O, OH, OW)


def input_grad(dy: Array, weight: Array, dx: Array, stride: Pair, rows: Shifts, columns: Shifts) -> None:
    """The gradient of the input of `correlate`, into dx.

    Args:
        dy: (N, O, OH, OW).
        weight: (O, C, kh, kw).
        dx: (N, C, H, W), all C-ordered.
        stride: s.
        rows: as in `correlate`.
        columns: likewise.
    """
    o, c = weight.shape[:2]
    turned = weight.reshape(o, -1).T  # (k, O)
    if _as_it_is(dx.shape[2:], dy.shape[2:], stride, rows, columns):
        for gradient, result in zip(_matrices(dy), _matrices(dx), strict=True):
            product_into(turned, gradient, result, BLANK)
        return
    for some in _turns(len(dx), len(turned) * dy.shape[2] * dy.shape[3]):
        shape = (*dx.shape[1:], len(dx[some]), *dy.shape[2:], *stride)
        gradient = _images_last(dy[some]).reshape(o, -1)  # (O, (l, n))
        windows = empty((len(turned), gradient.shape[1]), dy.dtype)
        product_into(turned, gradient, windows, BLANK)
        here = zeros((c, *dx.shape[2:], shape[3]), dy.dtype)
        with POOL.team(windows.size) as team:
            _move(here.reshape(-1), windows, shape, *_tables(rows, columns), True, team)
        dx[some] = here.transpose(3, 0, 1, 2)  # (n, C, H, W)


def weight_grad(
    dy: Array, x: Array, weight_shape: tuple[int, ...], stride: Pair, rows: Shifts, columns: Shifts
) -> Array:
    """The gradient of the filters of `correlate`: some images after the other.

    Args:
        dy: (N, O, OH, OW).
        x: (N, C, H, W), both C-ordered.
        weight_shape: (O, C, kh, kw).
        stride: s.
        rows: as in `correlate`.
        columns: likewise.
    """
    dW = empty(weight_shape, x.dtype)
    filters = dW.reshape(len(dW), -1)  # (O, k)
    begin = BLANK
    if _as_it_is(x.shape[2:], dy.shape[2:], stride, rows, columns):
        for gradient, image in zip(_matrices(dy), _matrices(x), strict=True):
            product_into(gradient, image.T, filters, begin)
            begin = GO_ON
        return dW
    for some in _turns(len(x), filters.shape[1] * dy.shape[2] * dy.shape[3]):
        windows = _windows(x[some], dy.shape[2:], stride, rows, columns)
        gradient = _images_last(dy[some]).reshape(len(dW), -1)  # (O, (l, n))
        product_into(gradient, windows.T, filters, begin)
        begin = GO_ON
    return dW


def _matrices(x: Array) -> Array:
    """Every image as a matrix (C, H·W)."""
    return x.reshape(*x.shape[:2], x.shape[2] * x.shape[3])


def _turns(n: int, size: int) -> list[slice]:
    """Which images have their turn together; each gives `size` numbers, all turns about as many."""
    images = -(-n // -(-n * size // ROOM))
    return [slice(first, first + images) for first in range(0, n, images)]


def _images_last(x: Array) -> Array:
    return np.ascontiguousarray(x.transpose(1, 2, 3, 0))  # (C, H, W, N)


@functools.lru_cache(maxsize=256)
def _tables(rows: Shifts, columns: Shifts) -> tuple[Array, Array]:
    return np.array(rows, np.int64), np.array(columns, np.int64)


def _windows(x: Array, output: tuple[int, ...], stride: Pair, rows: Shifts, columns: Shifts) -> Array:
    """The matrix of all windows (k, (l, n)) of some images."""
    n, c = x.shape[:2]
    windows = empty((c * len(rows) * len(columns), output[0] * output[1] * n), x.dtype)
    shape = (*x.shape[1:], n, *output, *stride)
    with POOL.team(windows.size) as team:
        _move(_images_last(x).reshape(-1), windows, shape, *_tables(rows, columns), False, team)
    return windows


@tasks
def _move_channel(task, thread, x, windows, shape, rows, columns, back):
    """Copy one channel's numbers to its windows; or back, adding them up."""
    _, height, width, n, out_height, out_width, row_stride, column_stride = shape
    for u in range(len(rows)):
        for v in range(len(columns)):
            k = (task * len(rows) + u) * len(columns) + v
            shift = columns[v]
            # the outputs from `begin` to `end` − 1 see a column of the image
            begin = min(out_width, max(0, -(shift // column_stride)))
            end = max(begin, min(out_width, (width - 1 - shift) // column_stride + 1))
            for i in range(out_height):
                row = i * row_stride + rows[u]
                here = at(windows, (k * out_height + i) * out_width * n)
                if row < 0 or row >= height:
                    if not back:
                        _clear(here, out_width * n)
                    continue
                line = at(x, (task * height + row) * width * n)
                if not back:
                    _clear(here, begin * n)
                    _clear(offset(here, end * n), (out_width - end) * n)
                run = (end - begin) * n if column_stride == 1 else n
                for j in range(begin, begin + 1 if column_stride == 1 and end > begin else end):
                    window, source = offset(here, j * n), offset(line, (j * column_stride + shift) * n)
                    if back:
                        for t in range(run):
                            put(source, t, get(source, t) + get(window, t))
                    else:
                        for t in range(run):
                            put(window, t, get(source, t))


@jit
def _clear(target: Any, n: int) -> None:
    for t in range(n):
        put(target, t, 0)


@jit
def _move(x, windows, shape, rows, columns, back, team):
    _move_channel(team, shape[0], (x, windows, shape, rows, columns, back))
