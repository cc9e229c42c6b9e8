"""The register tile: the few lines of machine code that products and convolutions spend their time in.

    C[i, j] = begin + Σ_k A[i, k] · B[k, j]        i < rows, j < columns

All of C's tile stays in vector registers while k runs: per k, one row of B is loaded as vectors, each A is
spread over a vector, and one fused multiply-add per accumulator follows. With 8 rows of 2 vectors that are
10 loads for 16 multiply-adds, so the arithmetic units never wait. A plain Numba loop cannot say "keep this
in registers"; so `make_tile` writes the LLVM instructions itself, once per number of rows and vectors.

Products, convolutions and their gradients differ only in where A and B stand. Each is given by a pointer
and a step along k, or by a table of offsets (`gather_a` one per row, `gather_b` one per k), so that an
image can be read in place of the matrix of all its windows.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = [
    "BLANK",
    "BY_COLUMN",
    "BY_ROW",
    "GO_ON",
    "ROWS",
    "VECTOR_BYTES",
    "Words",
    "at",
    "get",
    "lanes_of",
    "make_tile",
    "offset",
    "put",
]

# what the accumulators begin with
BLANK, GO_ON, BY_ROW, BY_COLUMN = 0, 1, 2, 3  # zero, what C holds, a bias per row, a bias per column

_features = binding.get_host_cpu_features()
VECTOR_BYTES = 64 if _features.get("avx512f") else 32 if _features.get("avx2") else 16
ROWS = 6 if VECTOR_BYTES == 32 else 8  # AVX2 has 16 vector registers, AVX-512 and NEON have 32

WORD, INDEX = ir.IntType(64), ir.IntType(32)


@intrinsic
def at(typing: Any, array: Any, index: Any) -> Any:
    """The address of an array's element `index`, counted from its first one."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.gep(data, [args[1]])

    return types.CPointer(array.dtype)(array, types.intp), build


@intrinsic
def offset(typing: Any, pointer: Any, elements: Any) -> Any:
    """The address so many elements further on."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.intp), build


@intrinsic
def get(typing: Any, pointer: Any, index: Any) -> Any:
    """The number that stands `index` elements after the address."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(builder.gep(args[0], [args[1]]))

    return pointer.dtype(pointer, types.intp), build


@intrinsic
def put(typing: Any, pointer: Any, index: Any, value: Any) -> Any:
    """Write a number `index` elements after the address."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(pointer, types.intp, pointer.dtype), build


@intrinsic
def lanes_of(typing: Any, pointer: Any) -> Any:
    """How many numbers of the pointer's type a vector register holds, known when compiling."""
    lanes = VECTOR_BYTES * 8 // pointer.dtype.bitwidth

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, lanes)

    return types.intp(pointer), build


def make_tile(
    rows: int, vectors: int, *, gather_a: bool = False, gather_b: bool = False, masked: bool = False
) -> Any:
    """A function for compiled code that computes one tile, in float32 or float64.

    Its arguments: `a, a_row, a_step, b, b_step, depth, c, c_row, begin, bias, relu, columns`: pointers
    a, b, c and bias; the distances in elements between rows of A and of C, and along k of A and of B
    (`a_row` or `b_step` is a pointer to int64 offsets where it is gathered); depth ≥ 1, how many k; begin,
    one of the four above; relu, 1 to cut negative results to 0; columns, how many are wanted.

    Args:
        rows: of the tile.
        vectors: the tile's width in vector registers.
        gather_a: row i of A begins at `a + a_row[i]`.
        gather_b: row k of B begins at `b + b_step[k]`.
        masked: touch only the first `columns` columns, where the matrix ends within the tile.
    """

    @intrinsic
    def tile(
        typing: Any, a: Any, a_row: Any, a_step: Any, b: Any, b_step: Any, depth: Any, c: Any, c_row: Any,
        begin: Any, bias: Any, relu: Any, columns: Any,
    ) -> Any:  # fmt: skip
        number, whole, table = types.CPointer(a.dtype), types.intp, types.CPointer(types.int64)
        signature = types.void(
            number, table if gather_a else whole, whole,
            number, table if gather_b else whole, whole,
            number, whole, whole, number, whole, whole,
        )  # fmt: skip

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            element = context.get_value_type(signature.args[0].dtype)
            _Tile(builder, element, rows, vectors, gather_a, gather_b, masked).write(*args)
            return context.get_dummy_value()

        return signature, build

    return tile


class Words:
    """The instructions that programs on vectors are made of, for one type of number.

    Attributes:
        masks: where not None, loads and stores of vector v touch only the lanes of masks[v].
    """

    masks: list[Any] | None

    def __init__(self, builder: Any, element: Any) -> None:
        self.builder, self.element = builder, element
        self.size = 4 if isinstance(element, ir.FloatType) else 8
        self.lanes = VECTOR_BYTES // self.size
        self.vector = ir.VectorType(element, self.lanes)
        self.suffix = f"v{self.lanes}f{8 * self.size}"
        self.zero = ir.Constant(self.vector, None)
        self.masks = None

    @staticmethod
    def word(value: int) -> Any:
        """A constant."""
        return ir.Constant(WORD, value)

    def call(self, name: str, result: Any, *values: Any) -> Any:
        """Call one of LLVM's own functions."""
        kind = ir.FunctionType(result, [value.type for value in values])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), values)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """a·b + c with one rounding."""
        return self.call(f"llvm.fma.{self.suffix}", self.vector, a, b, c)

    def spread(self, value: Any, kind: Any = None) -> Any:
        """One number in every lane."""
        vector = ir.VectorType(kind or self.element, self.lanes)
        empty = ir.Constant(vector, ir.Undefined)
        first = self.builder.insert_element(empty, value, ir.Constant(INDEX, 0))
        lanes = ir.Constant(ir.VectorType(INDEX, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, empty, lanes)

    def first_lanes(self, count: Any) -> Any:
        """A mask of the lanes below `count`, a word within ±2³¹."""
        numbers = ir.Constant(ir.VectorType(INDEX, self.lanes), list(range(self.lanes)))
        return self.builder.icmp_signed("<", numbers, self.spread(self.builder.trunc(count, INDEX), INDEX))

    def lanes_between(self, first: Any, end: Any) -> Any:
        """A mask of the lanes from `first` to `end` − 1; either may lie outside the vector."""
        return self.builder.and_(self.first_lanes(end), self.builder.not_(self.first_lanes(first)))

    def address(self, row: Any, v: int) -> Any:
        """Where vector v of a row begins."""
        place = self.builder.gep(row, [self.word(v * self.lanes)])
        return self.builder.bitcast(place, self.vector.as_pointer())

    def load(self, row: Any, v: int) -> Any:
        """Vector v of a row; lanes outside the mask are 0."""
        if self.masks is not None:
            name = f"llvm.masked.load.{self.suffix}.p0{self.suffix}"
            align = ir.Constant(INDEX, self.size)
            return self.call(name, self.vector, self.address(row, v), align, self.masks[v], self.zero)
        value = self.builder.load(self.address(row, v))
        value.align = self.size
        return value

    def store(self, value: Any, row: Any, v: int) -> None:
        """Write vector v of a row, within the mask."""
        if self.masks is not None:
            name = f"llvm.masked.store.{self.suffix}.p0{self.suffix}"
            align = ir.Constant(INDEX, self.size)
            self.call(name, ir.VoidType(), value, self.address(row, v), align, self.masks[v])
        else:
            self.builder.store(value, self.address(row, v)).align = self.size


class _Tile(Words):
    """The program of one tile, in `write`."""

    def __init__(
        self,
        builder: Any,
        element: Any,
        rows: int,
        vectors: int,
        gather_a: bool,
        gather_b: bool,
        masked: bool,
    ) -> None:
        super().__init__(builder, element)
        self.rows, self.vectors = range(rows), range(vectors)
        self.gather_a, self.gather_b, self.masked = gather_a, gather_b, masked

    def write(
        self, a: Any, a_row: Any, a_step: Any, b: Any, b_step: Any, depth: Any, c: Any, c_row: Any,
        begin: Any, bias: Any, relu: Any, columns: Any,
    ) -> None:  # fmt: skip
        make = self.builder
        if self.masked:
            self.masks = [
                self.first_lanes(make.sub(columns, self.word(v * self.lanes))) for v in self.vectors
            ]
        c_rows = [make.gep(c, [make.mul(c_row, self.word(i))]) for i in self.rows]
        if self.gather_a:
            a_at = [make.load(make.gep(a_row, [self.word(i)])) for i in self.rows]
        else:
            a_at = [make.mul(a_row, self.word(i)) for i in self.rows]

        # where to begin: one block per way, all of which lead to the loop
        loop, done = (make.append_basic_block(name) for name in ("loop", "done"))
        starts = {way: make.append_basic_block("begin") for way in (BLANK, GO_ON, BY_ROW, BY_COLUMN)}
        switch = make.switch(begin, starts[BLANK])
        first = {}
        for way, block in starts.items():
            switch.add_case(self.word(way), block)
            make.position_at_end(block)
            first[block] = self.begin_with(way, c_rows, bias)
            make.branch(loop)

        # the loop over k
        make.position_at_end(loop)
        k, a_now = make.phi(WORD), make.phi(a.type)
        b_now = None if self.gather_b else make.phi(b.type)
        sums = [[make.phi(self.vector) for _ in self.vectors] for _ in self.rows]
        b_row = make.gep(b, [make.load(make.gep(b_step, [k]))]) if self.gather_b else b_now
        b_vectors = [self.load(b_row, v) for v in self.vectors]
        new_sums = []
        for i in self.rows:
            spread = self.spread(make.load(make.gep(a_now, [a_at[i]])))
            new_sums.append([self.multiply_add(spread, b_vectors[v], sums[i][v]) for v in self.vectors])
        next_k = make.add(k, self.word(1))
        for block, values in {**first, loop: new_sums}.items():
            again = block is loop
            k.add_incoming(next_k if again else self.word(0), block)
            a_now.add_incoming(make.gep(a_now, [a_step]) if again else a, block)
            if b_now is not None:
                b_now.add_incoming(make.gep(b_now, [b_step]) if again else b, block)
            for i in self.rows:
                for v in self.vectors:
                    sums[i][v].add_incoming(values[i][v], block)
        make.cbranch(make.icmp_signed("<", next_k, depth), loop, done)

        # out of the registers
        make.position_at_end(done)
        with make.if_else(make.icmp_signed("!=", relu, self.word(0))) as (cut, plain):
            with cut:
                for i in self.rows:
                    for v in self.vectors:
                        positive = make.fcmp_unordered(">", new_sums[i][v], self.zero)  # NaN is kept
                        self.store(make.select(positive, new_sums[i][v], self.zero), c_rows[i], v)
            with plain:
                for i in self.rows:
                    for v in self.vectors:
                        self.store(new_sums[i][v], c_rows[i], v)

    def begin_with(self, way: int, c_rows: list[Any], bias: Any) -> list[list[Any]]:
        make = self.builder
        if way == GO_ON:
            return [[self.load(row, v) for v in self.vectors] for row in c_rows]
        if way == BY_ROW:
            return [
                [self.spread(make.load(make.gep(bias, [self.word(i)])))] * len(self.vectors)
                for i in self.rows
            ]
        row = [self.load(bias, v) if way == BY_COLUMN else self.zero for v in self.vectors]
        return [row for _ in self.rows]
