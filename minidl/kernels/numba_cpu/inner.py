"""Rows times rows, Y = X Wᵀ + b, where packing would cost more than it saves: every sum runs along both rows.

    Y[i, j] = Σ_k X[i, k] · W[j, k] + b[j]

A Linear layer's weights stand as rows, and the register tile of `tile` wants columns: to turn W round for a
batch of 64 takes a third of the product's time. But x and W are read along k here, so neither has to be
turned round: the lanes of a vector are 8 neighbouring k, a tile of 3 × 4 vectors of partial sums stays in
registers, and per k-vector 7 loads feed 12 multiply-adds. At the end each vector's lanes are added up.
(`dots` does the same for sums that go on from image to image.)

The partial sums of a tile depend on K alone, so the bits are the same at any number of threads.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minidl.array import Array
from minidl.kernels.numba_cpu.jit import jit, part
from minidl.kernels.numba_cpu.tasks import tasks
from minidl.kernels.numba_cpu.tile import VECTOR_BYTES, Words, at, offset

__all__ = ["FEW", "rows_by_rows"]

FEW = 128  # rows of X up to which this is faster than packing W
HIGH, WIDE = 6 if VECTOR_BYTES == 64 else 3, 4  # a tile, with a row of X and a W: all vector registers


def _make_tile(rows: int, columns: int) -> Any:
    """For compiled code: `tile(x, w, depth, y, y_row, bias)`, rows × columns sums of depth ≥ 1 products.

    The rows of X and W are `depth` apart, those of Y `y_row`; bias is the address of the first column's.
    """

    @intrinsic
    def tile(typing: Any, x: Any, w: Any, depth: Any, y: Any, y_row: Any, bias: Any) -> Any:
        number, whole = types.CPointer(x.dtype), types.intp

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _Tile(builder, context.get_value_type(signature.args[0].dtype), rows, columns).write(*args)
            return context.get_dummy_value()

        return types.void(number, number, whole, number, whole, number), build

    return tile


class _Tile(Words):
    """The program of one tile, in `write`."""

    def __init__(self, builder: Any, element: Any, rows: int, columns: int) -> None:
        super().__init__(builder, element)
        self.places = [(i, j) for j in range(columns) for i in range(rows)]
        self.rows, self.columns = range(rows), range(columns)

    def write(self, x: Any, w: Any, depth: Any, y: Any, y_row: Any, bias: Any) -> None:
        make, word = self.builder, self.word
        self.x = [make.gep(x, [make.mul(depth, word(i))]) for i in self.rows]
        self.w = [make.gep(w, [make.mul(depth, word(j))]) for j in self.columns]
        begin = make.block
        names = ("loop", "after", "rest", "done")
        loop, after, rest, done = (make.append_basic_block(name) for name in names)
        whole = make.and_(depth, word(-self.lanes))  # what fills vectors
        make.cbranch(make.icmp_signed(">", whole, word(0)), loop, after)

        make.position_at_end(loop)
        k = make.phi(ir.IntType(64))
        sums = self._sums()
        more = self._step(k, sums)
        next_k = make.add(k, word(self.lanes))
        self._join(k, {begin: word(0), loop: next_k})
        for place in self.places:
            self._join(sums[place], {begin: self.zero, loop: more[place]})
        make.cbranch(make.icmp_signed("<", next_k, whole), loop, after)

        make.position_at_end(after)
        sums = self._sums()
        for place in self.places:
            self._join(sums[place], {begin: self.zero, loop: more[place]})
        make.cbranch(make.icmp_signed("<", whole, depth), rest, done)

        make.position_at_end(rest)
        self.masks = [self.first_lanes(make.sub(depth, whole))]
        last = self._step(whole, sums)
        self.masks = None
        make.branch(done)

        make.position_at_end(done)
        total = self._sums()
        for place in self.places:
            self._join(total[place], {after: sums[place], rest: last[place]})
        for j in self.columns:
            b = make.load(make.gep(bias, [word(j)]))
            for i in self.rows:
                sum_here = make.fadd(self._add_lanes(total[i, j]), b)
                make.store(sum_here, make.gep(y, [make.add(make.mul(y_row, word(i)), word(j))]))

    def _sums(self) -> dict[tuple[int, int], Any]:
        return {place: self.builder.phi(self.vector) for place in self.places}

    @staticmethod
    def _join(value: Any, ways: dict[Any, Any]) -> None:
        """What a value is on each way that leads here."""
        for block, incoming in ways.items():
            value.add_incoming(incoming, block)

    def _step(self, k: Any, sums: dict[tuple[int, int], Any]) -> dict[tuple[int, int], Any]:
        """The sums after the products of one vector of k."""
        x = [self.load(self.builder.gep(row, [k]), 0) for row in self.x]
        more = {}
        for j in self.columns:
            w = self.load(self.builder.gep(self.w[j], [k]), 0)
            for i in self.rows:
                more[i, j] = self.multiply_add(x[i], w, sums[i, j])
        return more

    def _add_lanes(self, vector: Any) -> Any:
        """The sum of a vector's lanes."""
        kind = ir.FunctionType(self.element, [self.element, self.vector])
        name = f"llvm.vector.reduce.fadd.{self.suffix}"
        add = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(add, [ir.Constant(self.element, -0.0), vector], fastmath=("reassoc",))


_tile, _tile_of_1_row = _make_tile(HIGH, WIDE), _make_tile(1, WIDE)
_column, _column_of_1_row = _make_tile(HIGH, 1), _make_tile(1, 1)


@part
def _block(m, n, depth, x, w, y, y_row, bias):
    """All m × n sums; four rows of W stay in the L1 cache while all rows of X pass by."""
    high = m // HIGH * HIGH
    wide = n // WIDE * WIDE
    for j in range(0, wide, WIDE):
        w_here, y_here, bias_here = offset(w, j * depth), offset(y, j), offset(bias, j)
        for i in range(0, high, HIGH):
            _tile(offset(x, i * depth), w_here, depth, offset(y_here, i * y_row), y_row, bias_here)
        for i in range(high, m):
            _tile_of_1_row(offset(x, i * depth), w_here, depth, offset(y_here, i * y_row), y_row, bias_here)
    for j in range(wide, n):
        w_here, y_here, bias_here = offset(w, j * depth), offset(y, j), offset(bias, j)
        for i in range(0, high, HIGH):
            _column(offset(x, i * depth), w_here, depth, offset(y_here, i * y_row), y_row, bias_here)
        for i in range(high, m):
            _column_of_1_row(offset(x, i * depth), w_here, depth, offset(y_here, i * y_row), y_row, bias_here)


@tasks
def _some_sums(task, thread, x, w, bias, y, down, across):
    m, n = y.shape
    depth = x.shape[1]
    tasks_across = -(-n // across)
    i, j = task // tasks_across * down, task % tasks_across * across
    _block(
        min(down, m - i), min(across, n - j), depth, at(x, i * depth), at(w, j * depth), at(y, i * n + j), n,
        at(bias, j),
    )  # fmt: skip


@jit
def rows_by_rows(x: Array, w: Array, bias: Array, y: Array, team: int) -> None:
    """Y = X Wᵀ + b.

    Args:
        x: (M, K), in C order; K ≥ 1.
        w: (N, K), likewise.
        bias: (N,).
        y: (M, N), in C order: the result.
        team: of threads.
    """
    m, n = y.shape
    down, across = m, max(WIDE, -(-n // (8 * WIDE)) * WIDE)  # at most 8 tasks from left to right
    if n < 4 * WIDE:  # too few columns to share out
        down, across = max(HIGH, -(-m // (8 * HIGH)) * HIGH), n
    _some_sums(team, -(-m // down) * -(-n // across), (x, w, bias, y, down, across))
