"""The commonest pooling window, 2×2 cells with stride 2, for several windows at once in vector registers.

Two rows of the image hold the windows of one row of outputs. Reading both as vectors and taking every
second lane gives four vectors: the windows' cells a b / c d. Three comparisons find the winners of all these
windows, and the gradient's way back is the same in reverse. Numba leaves such a loop scalar, because it
cannot know that no output overlaps the input; so the instructions are written out here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from minidl.array import Array
from minidl.kernels.numba_cpu.jit import jit

__all__ = ["Vectors", "largest_row", "spread_row"]

INDEX, BYTE = ir.IntType(32), ir.IntType(8)


class Vectors:
    """Words for vector instructions on the elements of an intrinsic's array arguments."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any, lanes: int) -> None:
        self.context, self.builder, self.lanes = context, builder, lanes
        self.types, self.args = signature.args, args

    def address(self, array: int, index: Any, lanes: int) -> tuple[Any, int]:
        """The place of `lanes` elements of argument `array`, and what it is aligned to."""
        kind = self.types[array]
        data = self.context.make_array(kind)(self.context, self.builder, self.args[array]).data
        vector = ir.VectorType(data.type.pointee, lanes)
        return self.builder.bitcast(self.builder.gep(data, [index]), vector.as_pointer()), kind.dtype.bitwidth

    def load(self, array: int, index: Any, lanes: int) -> Any:
        """`lanes` elements from the one at `index` on."""
        place, bits = self.address(array, index, lanes)
        value = self.builder.load(place)
        value.align = bits // 8
        return value

    def store(self, value: Any, array: int, index: Any) -> None:
        """Write a vector from there on."""
        place, bits = self.address(array, index, value.type.count)
        self.builder.store(value, place).align = bits // 8

    def shuffle(self, a: Any, b: Any, order: list[int]) -> Any:
        """Lanes of both, by their numbers; b's follow a's."""
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INDEX, len(order)), order))

    def columns(self, array: int, index: Any) -> list[Any]:
        """The windows' left cells and their right cells of one row."""
        row = self.load(array, index, 2 * self.lanes)
        return [self.shuffle(row, row, list(range(k, 2 * self.lanes, 2))) for k in (0, 1)]

    def store_columns(self, left: Any, right: Any, array: int, index: Any) -> None:
        """Write lanes of both in turn."""
        order = [lane + k * self.lanes for lane in range(self.lanes) for k in (0, 1)]
        self.store(self.shuffle(left, right, order), array, index)

    def winner(self, first: Any, second: Any) -> tuple[Any, Any]:
        """Whether the second wins, and the winner: the larger, the first of equals, a NaN, the first NaN."""
        make = self.builder
        wins = make.and_(make.fcmp_unordered(">", second, first), make.fcmp_ordered("ord", first, first))
        return wins, make.select(wins, second, first)

    def tap(self, number: int) -> Any:
        """A constant byte in every lane."""
        return ir.Constant(ir.VectorType(BYTE, self.lanes), [number] * self.lanes)

    def spread(self, value: Any) -> Any:
        """One number in every lane."""
        blank = ir.Constant(ir.VectorType(value.type, self.lanes), ir.Undefined)
        first = self.builder.insert_element(blank, value, ir.Constant(INDEX, 0))
        return self.shuffle(first, blank, [0] * self.lanes)

    def resize(self, numbers: Any, bits: int) -> Any:
        """Unsigned integers, one or a vector of them, with so many bits each."""
        has = numbers.type.element if isinstance(numbers.type, ir.VectorType) else numbers.type
        if has.width == bits:
            return numbers
        kind = ir.IntType(bits)
        wanted = kind if has is numbers.type else ir.VectorType(kind, self.lanes)
        change = self.builder.trunc if has.width > bits else self.builder.zext
        return change(numbers, wanted)


def _make_largest(lanes: int) -> Callable[..., None]:
    def largest(x: Array, top: int, bottom: int, y: Array, winners: Array, out: int) -> None:
        """`lanes` windows: their cells begin at x[top] and x[bottom], their outputs at `out`."""
        rows = x[top : top + 2 * lanes], x[bottom : bottom + 2 * lanes]
        cells = np.stack([rows[0][::2], rows[0][1::2], rows[1][::2], rows[1][1::2]])
        winners[out : out + lanes] = cells.argmax(axis=0)
        y[out : out + lanes] = cells.max(axis=0)

    @intrinsic
    def instructions(typing: Any, x: Any, top: Any, bottom: Any, y: Any, winners: Any, out: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            vectors, select = Vectors(context, builder, signature, args, lanes), builder.select
            _, top, bottom, _, _, out = args
            a_or_b, above = vectors.winner(*vectors.columns(0, top))
            c_or_d, below = vectors.winner(*vectors.columns(0, bottom))
            lower, value = vectors.winner(above, below)
            tap_above = select(a_or_b, vectors.tap(1), vectors.tap(0))
            tap_below = select(c_or_d, vectors.tap(3), vectors.tap(2))
            vectors.store(value, 3, out)
            vectors.store(select(lower, tap_below, tap_above), 4, out)
            return context.get_dummy_value()

        return types.void(x, types.intp, types.intp, y, winners, types.intp), build

    @overload(largest)
    def compiled(x, top, bottom, y, winners, out):
        return lambda x, top, bottom, y, winners, out: instructions(x, top, bottom, y, winners, out)

    return largest


def _make_spread(lanes: int) -> Callable[..., None]:
    def spread(dy: Array, winners: Array, out: int, dx: Array, top: int, bottom: int) -> None:
        """The gradients of `lanes` windows into all cells of theirs: dy for the winner, 0 for the others."""
        dys, taps = dy[out : out + lanes], winners[out : out + lanes]
        for tap, first in enumerate((top, top + 1, bottom, bottom + 1)):
            dx[first : first + 2 * lanes - 1 : 2] = np.where(taps == tap, dys, 0)

    @intrinsic
    def instructions(typing: Any, dy: Any, winners: Any, out: Any, dx: Any, top: Any, bottom: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            vectors = Vectors(context, builder, signature, args, lanes)
            _, _, out, _, top, bottom = args
            dys, taps = vectors.load(0, out, lanes), vectors.load(1, out, lanes)
            nothing = ir.Constant(dys.type, None)
            a, b, c, d = (
                builder.select(builder.icmp_unsigned("==", taps, vectors.tap(number)), dys, nothing)
                for number in range(4)
            )
            vectors.store_columns(a, b, 3, top)
            vectors.store_columns(c, d, 3, bottom)
            return context.get_dummy_value()

        return types.void(dy, winners, types.intp, dx, types.intp, types.intp), build

    @overload(spread)
    def compiled(dy, winners, out, dx, top, bottom):
        return lambda dy, winners, out, dx, top, bottom: instructions(dy, winners, out, dx, top, bottom)

    return spread


_largest_1, _largest_4, _largest_8, _largest_16 = (_make_largest(lanes) for lanes in (1, 4, 8, 16))
_spread_1, _spread_4, _spread_8, _spread_16 = (_make_spread(lanes) for lanes in (1, 4, 8, 16))


@jit
def largest_row(x: Array, top: int, bottom: int, y: Array, winners: Array, out: int, n: int) -> None:
    """Windows side by side; where n is no multiple of the lanes, the last vector overlaps the one before.

    Args:
        x: the image's cells, in one row.
        top: where the upper cells of the windows begin, 2n of them.
        bottom: where the lower ones begin.
        y: takes the maxima, from `out` on.
        winners: takes which cell won, 0 to 3, uint8.
        out: the first output's place.
        n: how many windows, at least 1.
    """
    if n >= 16:
        for i in range(0, n, 16):
            j = min(i, n - 16)
            _largest_16(x, top + 2 * j, bottom + 2 * j, y, winners, out + j)
    elif n >= 8:
        for i in range(0, n, 8):
            j = min(i, n - 8)
            _largest_8(x, top + 2 * j, bottom + 2 * j, y, winners, out + j)
    elif n >= 4:
        for i in range(0, n, 4):
            j = min(i, n - 4)
            _largest_4(x, top + 2 * j, bottom + 2 * j, y, winners, out + j)
    else:
        for j in range(n):
            _largest_1(x, top + 2 * j, bottom + 2 * j, y, winners, out + j)


@jit
def spread_row(dy: Array, winners: Array, out: int, dx: Array, top: int, bottom: int, n: int) -> None:
    """The way back of `largest_row`: writes all 4n cells of the windows."""
    if n >= 16:
        for i in range(0, n, 16):
            j = min(i, n - 16)
            _spread_16(dy, winners, out + j, dx, top + 2 * j, bottom + 2 * j)
    elif n >= 8:
        for i in range(0, n, 8):
            j = min(i, n - 8)
            _spread_8(dy, winners, out + j, dx, top + 2 * j, bottom + 2 * j)
    elif n >= 4:
        for i in range(0, n, 4):
            j = min(i, n - 4)
            _spread_4(dy, winners, out + j, dx, top + 2 * j, bottom + 2 * j)
    else:
        for j in range(n):
            _spread_1(dy, winners, out + j, dx, top + 2 * j, bottom + 2 * j)
