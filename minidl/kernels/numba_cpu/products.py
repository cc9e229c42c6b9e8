"""Matrix products from register tiles: read in place where that is quick, packed where it is not.

Three things bound a product's speed: the multiply-adds, the loads that feed them, and the caches that the
loads come from. The tile settles the first two. For the third, B is cut into blocks that stay in the L2
cache while all rows of A pass over them, and copied ("packed") into the order in which the tile reads it
when its own order is bad: when its columns are not neighbours in memory (a transposed matrix), or when it
is so large that its rows lie far apart.

Every c[i,j] is the same chain of multiply-adds over k = 0, 1, 2, …, whatever blocks, tiles and threads
made it: so the bits never depend on the number of threads.
"""

from __future__ import annotations

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import products
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.moves import copy_row, transpose
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.strips import make_rows
from minidl.kernels.numba_cpu.tasks import tasks
from minidl.kernels.numba_cpu.tile import BLANK, BY_COLUMN, GO_ON, ROWS, at, get, lanes_of, offset, put

__all__ = ["linear", "matmul"]

DEEP = 384  # k per block
BROAD = 512  # columns per block: a packed block of B has 384 × 512 float32, ¾ of an L2 cache
IN_PLACE = 1 << 19  # B of at most so many elements is read where it is
LONG = 64  # rows of A that make packing B worth while

rows_of_c = make_rows()


@products.matmul.register(np.ndarray)
def matmul(a: Array, b: Array) -> Array:
    """As the reference, which also answers for what does not fit."""
    if not _fit(a, b, 0):
        return products.matmul.reference(a, b)
    c = empty((len(a), b.shape[1]), a.dtype)
    return _product(a, b, c, c.reshape(-1), BLANK)


@products.linear.register(np.ndarray)
def linear(x: Array, weight: Array, bias: Array | None) -> Array:
    """As the reference, which also answers for what does not fit; the sums begin with the bias."""
    if not _fit(x, weight, 1) or (
        bias is not None and (bias.shape != weight.shape[:1] or bias.dtype != x.dtype)
    ):
        return products.linear.reference(x, weight, bias)
    y = empty((len(x), len(weight)), x.dtype)
    if bias is None:
        return _product(x, weight.T, y, y.reshape(-1), BLANK)
    return _product(x, weight.T, y, np.ascontiguousarray(bias), BY_COLUMN)


def _fit(a: Array, b: Array, axis: int) -> bool:
    """Whether a and b are matrices of one floating dtype, and b as long along `axis` as a has columns."""
    kind = a.dtype
    return a.ndim == b.ndim == 2 and kind == b.dtype and kind.char in "fd" and a.shape[1] == b.shape[axis]


def _product(a: Array, b: Array, c: Array, bias: Array, begin: int) -> Array:
    (m, depth), n = a.shape, b.shape[1]
    if depth == 0 or c.size == 0:
        c[...] = bias if begin == BY_COLUMN else 0
        return c
    a, a_row, a_step = _steps(a)
    b, b_step, b_column = _steps(b)
    with POOL.team(m * n * depth) as team:
        _matmul(a, a_row, a_step, b, b_step, b_column, c, bias, depth, begin, team)
    return c


def _steps(matrix: Array) -> tuple[Array, int, int]:
    """The matrix as a C-ordered array, with the steps between its rows and between its columns."""
    if matrix.flags.c_contiguous:
        return matrix, matrix.shape[1], 1
    if matrix.flags.f_contiguous:
        return matrix.T, 1, matrix.shape[0]
    return np.ascontiguousarray(matrix), matrix.shape[1], 1


@tasks
def _block(
    task,
    thread,
    a,
    a_row,
    a_step,
    b,
    b_step,
    b_column,
    c,
    bias,
    first_k,
    depth,
    begin,
    first_column,
    n,
    down,
    across,
):
    m, all_columns = c.shape
    tasks_across = -(-n // across)
    i = task // tasks_across * down
    j = task % tasks_across * across
    rows_of_c(
        min(down, m - i), min(across, n - j), depth,
        at(a, i * a_row + first_k * a_step), a_row, a_step,
        at(b, j * b_column), b_step, b_column,
        at(c, i * all_columns + first_column + j), all_columns,
        begin, at(bias, first_column + j if begin == BY_COLUMN else 0), 0,
    )  # fmt: skip


@jit
def _pack_panel(panel, b, b_step, b_column, packed, first_k, depth, first_column, n, width):
    """Copy one tile's columns of B so that each k's numbers are neighbours; what follows them is anything."""
    first = panel * width
    columns = min(width, n - first)
    target = at(packed, first * depth)
    source = at(b, first_k * b_step + (first_column + first) * b_column)
    if b_step == 1:
        transpose(source, b_column, target, width, columns, depth)
        return
    if b_column == 1:
        for k in range(depth):
            copy_row(offset(target, k * width), offset(source, k * b_step), 0, columns, width)
        return
    for k in range(depth):
        for j in range(columns):
            put(target, k * width + j, get(source, k * b_step + j * b_column))
        for j in range(columns, width):
            put(target, k * width + j, 0)


@tasks
def _pack(task, thread, b, b_step, b_column, packed, first_k, depth, first_column, n, width):
    _pack_panel(task, b, b_step, b_column, packed, first_k, depth, first_column, n, width)


@tasks
def _panel(task, thread, a, a_row, a_step, b, b_step, b_column, c, bias, packed, depth, begin, width):
    """One tile's columns of C and all rows: whoever packs a panel of B has it in its own cache."""
    m, n = c.shape
    first = task * width
    _pack_panel(task, b, b_step, b_column, packed, 0, depth, 0, n, width)
    rows_of_c(
        m, min(width, n - first), depth, at(a, 0), a_row, a_step, at(packed, first * depth), width, depth,
        at(c, first), n, begin, at(bias, first if begin == BY_COLUMN else 0), 0,
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
    in_place = b_column == 1 and (b.size <= IN_PLACE or m < LONG)
    if in_place:
        down, across = _grid(m, n, width, team)
        how = (a, a_row, a_step, b, b_step, 1, c, bias, 0, depth, begin, 0, n, down, across)
        _block(team, -(-m // down) * -(-n // across), how)
        return
    broad = -(-min(BROAD, n) // width) * width
    deep = depth if depth * broad <= DEEP * BROAD else -(-depth // -(-depth // DEEP))  # all of about one size
    packed = np.empty((deep, broad), c.dtype)
    if m <= 2 * LONG and deep == depth and broad >= n:
        what = (a, a_row, a_step, b, b_step, b_column, c, bias, packed, depth, begin, width)
        _panel(team, -(-n // width), what)
        return
    for first_column in range(0, n, broad):
        columns = min(broad, n - first_column)
        down, across = _grid(m, columns, width, team)
        for first_k in range(0, depth, deep):
            ks = min(deep, depth - first_k)
            what = (b, b_step, b_column, packed, first_k, ks, first_column, columns, width)
            _pack(team, -(-columns // width), what)
            how = (
                a, a_row, a_step, packed, width, ks, c, bias, first_k, ks, begin if first_k == 0 else GO_ON,
                first_column, columns, down, across,
            )  # fmt: skip
            _block(team, -(-m // down) * -(-columns // across), how)
