"""Strips of tiles: a few rows of C and all its columns, cut into register tiles of the sizes that fit."""

from __future__ import annotations

from typing import Any

import numba

from minidl.kernels.numba_cpu.jit import part
from minidl.kernels.numba_cpu.tile import BY_COLUMN, BY_ROW, ROWS, lanes_of, make_tile, offset

__all__ = ["make_rows"]


def make_rows(*, gather_a: bool = False, gather_b: bool = False) -> Any:
    """A compiled function that computes any number of rows and columns of C with register tiles.

    Its arguments: `m, n, depth, a, a_row, a_step, b, b_step, b_column, c, c_row, begin, bias, relu`, as in
    `make_tile`; b_column is the distance between two columns of B's tiles (1 where rows are stored whole,
    the number of rows where B was packed tile by tile).
    """
    strips = {rows: _make_strip(rows, gather_a, gather_b) for rows in (8, 6, 4, 2, 1) if rows <= ROWS}
    widest_strip, strip6, strip4, strip2, strip1 = (strips[rows] for rows in (ROWS, 6, 4, 2, 1))
    widest = ROWS

    @numba.njit(nogil=True, inline="always")
    def rows_of_c(m, n, depth, a, a_row, a_step, b, b_step, b_column, c, c_row, begin, bias, relu):
        i = 0
        while i < m:
            left = m - i
            a_here = a if gather_a else offset(a, i * a_row)
            row_here = offset(a_row, i) if gather_a else a_row
            c_here = offset(c, i * c_row)
            bias_here = offset(bias, i) if begin == BY_ROW else bias
            how = (n, depth, a_here, row_here, a_step, b, b_step, b_column, c_here, c_row, begin, bias_here)
            if left >= widest:
                widest_strip(*how, relu)
                i += widest
            elif left >= 6:
                strip6(*how, relu)
                i += 6
            elif left >= 4:
                strip4(*how, relu)
                i += 4
            elif left >= 2:
                strip2(*how, relu)
                i += 2
            else:
                strip1(*how, relu)
                i += 1

    return rows_of_c


def _make_strip(rows: int, gather_a: bool, gather_b: bool) -> Any:
    kind = {"gather_a": gather_a, "gather_b": gather_b}
    vectors = {1: 8, 2: 4}.get(rows, 2)  # at least eight sums at a time, or each waits for the one before
    wide = make_tile(rows, 2, masked=True, **kind)
    # a mask over a whole tile costs little: where rows are rare, that is one tile less to compile
    whole = make_tile(rows, vectors, **kind) if rows in (1, 2, ROWS) else wide
    narrow = make_tile(rows, 1, masked=True, **kind)

    def strip(n, depth, a, a_row, a_step, b, b_step, b_column, c, c_row, begin, bias, relu):
        lanes = lanes_of(c)
        j = 0
        while j < n:
            left = n - j
            b_here = offset(b, j * b_column)
            c_here = offset(c, j)
            bias_here = offset(bias, j) if begin == BY_COLUMN else bias
            if (left >= vectors * lanes and b_column == 1) or (left >= 2 * lanes and vectors == 2):
                whole(a, a_row, a_step, b_here, b_step, depth, c_here, c_row, begin, bias_here, relu, left)
                j += vectors * lanes
                continue
            j += 2 * lanes
            if left > lanes:
                wide(a, a_row, a_step, b_here, b_step, depth, c_here, c_row, begin, bias_here, relu, left)
            else:
                narrow(a, a_row, a_step, b_here, b_step, depth, c_here, c_row, begin, bias_here, relu, left)

    # Cached machine code calls its parts by name: two strips of one name would be taken for each other.
    strip.__qualname__ = f"strip_of_{rows}{'_gather_a' * gather_a}{'_gather_b' * gather_b}"
    return part(strip)
