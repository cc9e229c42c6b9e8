"""Matrix products from register tiles: read in place where that is quick, packed where it is not.

Three things bound a product's speed: the multiply-adds, the loads that feed them, and the caches that the
loads come from. The tile settles the first two. For the third, B is cut into blocks that stay in the L2
cache while all rows of A pass over them, and copied ("packed") into the order in which the tile reads it
when its own order is bad: when its columns are not neighbours in memory (a transposed matrix), or when it
is so large that its rows lie far apart.

Every c[i,j] is the same chain of multiply-adds over k = 0, 1, 2, …, whatever blocks, tiles and threads
made it: so the bits never depend on the number of threads. (A small batch's `linear` goes to `inner`, which
turns nothing round.)
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import products
from minidl.kernels.numba_cpu import inner
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.moves import copy_row, copy_vector, transpose
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.strips import make_rows
from minidl.kernels.numba_cpu.tasks import tasks
from minidl.kernels.numba_cpu.tile import (
    BLANK,
    BY_COLUMN,
    BY_ROW,
    GO_ON,
    ROWS,
    VECTOR_BYTES,
    at,
    get,
    lanes_of,
    offset,
    put,
)

__all__ = ["linear", "matmul", "product_into"]

DEEP = 384  # k per block
BROAD = 512  # columns per block: a packed block of B has 384 × 512 float32
IN_PLACE = 1 << 19 if VECTOR_BYTES == 64 else 3 << 14  # B of at most so many numbers is read where it is
PANELS = 4  # tiles' columns of B that one task packs
LONG = 64  # rows of A that make packing B worth while
NO_BIAS = {np.dtype(kind): np.empty(1, kind) for kind in (np.float32, np.float64)}

rows_of_c = make_rows()


@products.matmul.register(np.ndarray)
def matmul(a: Array, b: Array) -> Array:
    """As the reference, which also answers for what does not fit."""
    if not _fit(a, b, 0):
        return products.matmul.reference(a, b)
    return _product(a, b, empty((len(a), b.shape[1]), a.dtype))


@products.linear.register(np.ndarray)
def linear(x: Array, weight: Array, bias: Array | None) -> Array:
    """As the reference, which also answers for what does not fit; the sums begin with the bias."""
    if not _fit(x, weight, 1) or (
        bias is not None and (bias.shape != weight.shape[:1] or bias.dtype != x.dtype)
    ):
        return products.linear.reference(x, weight, bias)
    y = empty((len(x), len(weight)), x.dtype)
    if 0 < len(x) <= inner.FEW and x.flags.c_contiguous and weight.flags.c_contiguous and weight.size:
        b = _no_bias(len(weight), x.dtype) if bias is None else np.ascontiguousarray(bias)
        with POOL.team(y.size * x.shape[1]) as team:
            inner.rows_by_rows(x, weight, b, y, team)
        return y
    if bias is None:
        return _product(x, weight.T, y)
    return _product(x, weight.T, y, BY_COLUMN, np.ascontiguousarray(bias))


@functools.cache
def _no_bias(n: int, dtype: np.dtype[Any]) -> Array:
    return np.zeros(n, dtype)


def _fit(a: Array, b: Array, axis: int) -> bool:
    """Whether a and b are matrices of one floating dtype, and b as long along `axis` as a has columns."""
    kind = a.dtype
    return a.ndim == b.ndim == 2 and kind == b.dtype and kind.char in "fd" and a.shape[1] == b.shape[axis]


def _product(a: Array, b: Array, c: Array, begin: int = BLANK, bias: Array | None = None) -> Array:
    if len(b) == 0 or c.size == 0:
        c[...] = 0 if bias is None else bias
        return c
    product_into(a, b, c, begin, bias)
    return c


def product_into(a: Array, b: Array, c: Array, begin: int, bias: Array | None = None) -> None:
    """The product of two matrices, into a third one.

    Args:
        a: (M, K), in any memory layout.
        b: (K, N), likewise; K ≥ 1.
        c: (M, N), in C order.
        begin: what the sums begin with: BLANK, GO_ON, BY_ROW or BY_COLUMN, as for the tile.
        bias: what they begin with in the last two cases.
    """
    bias = NO_BIAS[c.dtype] if bias is None else bias
    (m, depth), n = a.shape, b.shape[1]
    a, a_row, a_step = _steps(a)
    b, b_step, b_column = _steps(b)
    with POOL.team(m * n * depth) as team:
        _matmul(a, a_row, a_step, b, b_step, b_column, c, bias, depth, begin, team)


def _steps(matrix: Array) -> tuple[Array, int, int]:
    """The matrix as a C-ordered array, with the steps between its rows and between its columns."""
    if matrix.flags.c_contiguous:
        return matrix, matrix.shape[1], 1
    if matrix.flags.f_contiguous:
        return matrix.T, 1, matrix.shape[0]
    return np.ascontiguousarray(matrix), matrix.shape[1], 1


@tasks
def _block(task, thread, a, a_row, a_step, b, b_step, c, bias, depth, begin, down, across):
    """Some rows and columns of C, with B read where it is."""
    m, n = c.shape
    tasks_across = -(-n // across)
    i = task // tasks_across * down
    j = task % tasks_across * across
    rows_of_c(
        min(down, m - i), min(across, n - j), depth, at(a, i * a_row), a_row, a_step, at(b, j), b_step, 1,
        at(c, i * n + j), n, begin, at(bias, j if begin == BY_COLUMN else i if begin == BY_ROW else 0), 0,
    )  # fmt: skip


@jit
def _pack_panels(first, end, b, b_step, b_column, packed, first_k, depth, first_column, width):
    """Copy columns of B, a tile's width at a time, so that each k's numbers are neighbours.

    What follows the last column is anything.
    """
    source = at(b, first_k * b_step + (first_column + first) * b_column)
    target = at(packed, first * depth)
    whole = (end - first) // width if b_column == 1 else 0
    for k in range(depth if whole > 0 else 0):  # along the rows of B, where cache lines are neighbours
        for panel in range(whole):
            row = offset(source, k * b_step + panel * width)
            here = offset(target, (panel * depth + k) * width)
            copy_vector(here, row)
            copy_vector(offset(here, width // 2), offset(row, width // 2))
    for j in range(whole * width, end - first, width):
        columns = min(width, end - first - j)
        from_here, to_here = offset(source, j * b_column), offset(target, j * depth)
        if b_step == 1:
            transpose(from_here, b_column, to_here, width, columns, depth)
        elif b_column == 1:
            for k in range(depth):
                copy_row(offset(to_here, k * width), offset(from_here, k * b_step), 0, columns, width)
        else:
            for k in range(depth):
                for i in range(columns):
                    put(to_here, k * width + i, get(from_here, k * b_step + i * b_column))
                for i in range(columns, width):
                    put(to_here, k * width + i, 0)


@tasks
def _pack(task, thread, b, b_step, b_column, packed, first_k, depth, first_column, n, width, panels):
    first = task * panels * width
    end = min(n, first + panels * width)
    _pack_panels(first, end, b, b_step, b_column, packed, first_k, depth, first_column, width)


@jit
def _copy_strip(source, a_step, target, rows, depth):
    """Copy a strip of a transposed A, so that each k's numbers are neighbours."""
    done = 0
    if rows == ROWS:
        done = depth - 1  # whole vectors, which reach into the next k's numbers
        for k in range(done):
            copy_row(offset(target, k * ROWS), offset(source, k * a_step), 0, ROWS + lanes_of(source), ROWS)
    for k in range(done, depth):
        for i in range(rows):
            put(target, k * ROWS + i, get(source, k * a_step + i))


@tasks
def _pack_strip(task, thread, a, a_step, strips, strip, m, depth):
    first = task * ROWS
    _copy_strip(at(a, first), a_step, at(strips, task * strip), min(ROWS, m - first), depth)


@tasks
def _packed_block(
    task, thread, a, first_a, strip, a_row, a_step, turned, b, b_step, b_column, packed, is_packed, c, bias,
    first_k, depth, begin, first_column, n, width, down, across,
):  # fmt: skip
    """Some rows and columns of C, with what is not packed yet packed here."""
    m, all_columns = c.shape
    tasks_across = -(-n // across)
    top = task // tasks_across * down
    left = task % tasks_across * across
    bottom = min(m, top + down)
    right = min(n, left + across)
    if not is_packed:
        _pack_panels(left, right, b, b_step, b_column, packed, first_k, depth, first_column, width)
    column = first_column + left
    room = np.empty(ROWS * depth + width if turned else 1, c.dtype)
    for i in range(top, bottom, ROWS):
        rows = min(ROWS, bottom - i)
        strip_here, row, step = at(a, first_a + i // ROWS * strip), a_row, a_step
        if turned:
            _copy_strip(strip_here, a_step, at(room, 0), rows, depth)
            strip_here, row, step = at(room, 0), 1, ROWS
        rows_of_c(
            rows, right - left, depth, strip_here, row, step, at(packed, left * depth), width, depth,
            at(c, i * all_columns + column), all_columns,
            begin, at(bias, column if begin == BY_COLUMN else i if begin == BY_ROW else 0), 0,
        )  # fmt: skip


@jit
def _grid(m, n, width, team):
    """How many rows and columns of C make one task."""
    if team == 0:
        return m, n
    down = max(ROWS, -(-m // (8 * ROWS)) * ROWS)  # at most 8 tasks from top to bottom
    strips = -(-m // down)
    if strips >= 4:
        return down, n
    return down, max(width, -(-n // (8 * width)) * width)


@jit
def _matmul(a, a_row, a_step, b, b_step, b_column, c, bias, depth, begin, team):
    m, n = c.shape
    width = 2 * lanes_of(at(c, 0))
    a = a.ravel()
    if b_column == 1 and (b.size <= IN_PLACE or m < LONG):
        down, across = _grid(m, n, width, team)
        how = (a, a_row, a_step, b, b_step, c, bias, depth, begin, down, across)
        _block(team, -(-m // down) * -(-n // across), how)
        return
    # (a B that fits into one block is one block, whatever its shape)
    broad = -(-(n if depth * n <= DEEP * BROAD else min(BROAD, n)) // width) * width
    deep = depth if depth * broad <= DEEP * BROAD else -(-depth // -(-depth // DEEP))  # all of about one size
    packed = np.empty(deep * broad, c.dtype)
    # With few rows of A, who multiplies a panel packs it: it never travels between two cores' caches.
    at_once = m <= 2 * LONG and deep == depth and broad >= n
    turned = a_step != 1 and n > 2 * width  # a transposed A that is worth packing
    strip = ROWS * a_row
    if turned and at_once:  # every panel needs all of it
        strip = ROWS * depth + width
        strips = np.empty(-(-m // ROWS) * strip, c.dtype)
        _pack_strip(team, -(-m // ROWS), (a, a_step, strips, strip, m, depth))
        a, a_row, a_step, turned = strips, 1, ROWS, False
    for first_k in range(0, depth, deep):
        ks = min(deep, depth - first_k)
        for first_column in range(0, n, broad):
            columns = min(broad, n - first_column)
            if at_once:
                down, across = m, width
            else:
                down, across = _grid(m, columns, width, team)
                what = (b, b_step, b_column, packed, first_k, ks, first_column, columns, width, PANELS)
                _pack(team, -(-columns // (PANELS * width)), what)
            how = (
                a, first_k * a_step, strip, a_row, a_step, turned, b, b_step, b_column, packed, not at_once,
                c, bias, first_k, ks, begin if first_k == 0 else GO_ON, first_column, columns, width, down,
                across,
            )  # fmt: skip
            _packed_block(team, -(-m // down) * -(-columns // across), how)
