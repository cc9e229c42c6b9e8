"""Dot products of long rows, a tile of them at a time: the weight gradient where filters are few.

    C[i, t] += Σ_l A[i, l] · B[t, l]

The register tile of `tile` spreads filters over the lanes of a vector; with 6 filters most lanes would be
idle. Here the lanes are pixels: every sum is kept as a whole vector of partial sums, in registers while l
runs and in memory between images, and only at the very end are its lanes added up.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minidl.kernels.numba_cpu.jit import part
from minidl.kernels.numba_cpu.tile import VECTOR_BYTES, Words, lanes_of, offset

__all__ = ["add_dots"]

TAPS = 4  # rows of B that a tile takes
PARTS = 1 if VECTOR_BYTES == 64 else 2  # in which a tile of six rows takes them: its sums are registers


def _make_dots(rows: int, taps: int) -> Any:
    """For compiled code: `dots(a, a_row, b, b_rows, n, c, c_row)`, as in `add_dots`, for one tile."""

    @intrinsic
    def dots(typing: Any, a: Any, a_row: Any, b: Any, b_rows: Any, n: Any, c: Any, c_row: Any) -> Any:
        number = types.CPointer(a.dtype)
        table = types.CPointer(types.int64)
        signature = types.void(number, types.intp, number, table, types.intp, number, types.intp)

        def build(context: Any, make: Any, signature: Any, args: Any) -> Any:
            a, a_row, b, b_rows, n, c, c_row = args
            words = Words(make, context.get_value_type(signature.args[0].dtype))
            word, lanes = words.word, words.lanes
            a_at = [make.gep(a, [make.mul(a_row, word(i))]) for i in range(rows)]
            b_at = [make.gep(b, [make.load(make.gep(b_rows, [word(t)]))]) for t in range(taps)]
            c_at = [make.gep(c, [make.mul(c_row, word(i))]) for i in range(rows)]
            begin = make.block
            first = [[words.load(row, t) for t in range(taps)] for row in c_at]

            loop, done = (make.append_basic_block(name) for name in ("loop", "done"))
            make.branch(loop)
            make.position_at_end(loop)
            place = make.phi(ir.IntType(64))
            sums = [[make.phi(words.vector) for _ in range(taps)] for _ in range(rows)]
            words.masks = [words.first_lanes(make.sub(n, place))]
            a_vectors = [words.load(make.gep(row, [place]), 0) for row in a_at]
            b_vectors = [words.load(make.gep(row, [place]), 0) for row in b_at]
            new = [
                [words.multiply_add(a_vectors[i], b_vectors[t], sums[i][t]) for t in range(taps)]
                for i in range(rows)
            ]
            following = make.add(place, word(lanes))
            place.add_incoming(word(0), begin)
            place.add_incoming(following, loop)
            for i in range(rows):
                for t in range(taps):
                    sums[i][t].add_incoming(first[i][t], begin)
                    sums[i][t].add_incoming(new[i][t], loop)
            make.cbranch(make.icmp_signed("<", following, n), loop, done)
            make.position_at_end(done)
            words.masks = None
            for i in range(rows):
                for t in range(taps):
                    words.store(new[i][t], c_at[i], t)
            return context.get_dummy_value()

        return signature, build

    return dots


_dots6, _dots2, _dots1 = _make_dots(6, TAPS // PARTS), _make_dots(2, TAPS), _make_dots(1, TAPS)
_dots6_1, _dots2_1, _dots1_1 = (_make_dots(rows, 1) for rows in (6, 2, 1))


@part
def add_dots(m, taps, n, a, a_row, b, b_rows, c, c_row):
    """Add the products of m rows of A with `taps` rows of B, n numbers long each, to C.

    Args:
        m: rows of A, `a_row` apart.
        taps: rows of B; row t begins at b + b_rows[t].
        n: ≥ 1.
        a: address; so are b, b_rows (int64) and c.
        a_row: distance between rows of A.
        b: address.
        b_rows: address of the offsets.
        c: address of (m, taps, lanes): a vector of partial sums for every product.
        c_row: distance between the vectors of two rows of A.
    """
    lanes = lanes_of(c)
    i = 0
    while i < m:
        a_here, c_here, left = offset(a, i * a_row), offset(c, i * c_row), m - i
        rows = 6 if left >= 6 else 2 if left >= 2 else 1
        t = 0
        while t < taps:
            c_tap, b_tap = offset(c_here, t * lanes), offset(b_rows, t)
            if taps - t >= TAPS:
                if rows == 6:
                    _dots6(a_here, a_row, b, b_tap, n, c_tap, c_row)
                    if PARTS == 2:
                        more, there = offset(b_tap, TAPS // 2), offset(c_tap, TAPS // 2 * lanes)
                        _dots6(a_here, a_row, b, more, n, there, c_row)
                elif rows == 2:
                    _dots2(a_here, a_row, b, b_tap, n, c_tap, c_row)
                else:
                    _dots1(a_here, a_row, b, b_tap, n, c_tap, c_row)
                t += TAPS
            else:
                if rows == 6:
                    _dots6_1(a_here, a_row, b, b_tap, n, c_tap, c_row)
                elif rows == 2:
                    _dots2_1(a_here, a_row, b, b_tap, n, c_tap, c_row)
                else:
                    _dots1_1(a_here, a_row, b, b_tap, n, c_tap, c_row)
                t += 1
        i += rows
