"""The GPU's matrix product, written by a small generator: C = A · B, a tile of C per block of threads.

A block computes a tile of C, and walks along k in steps: together its threads copy what a step needs of A
and of B into shared memory, wait for each other, and multiply from there. So a number that was fetched once
is used by a whole row or column of threads. Within the tile each thread has a small block of C's values in
registers, for which it reads `height` numbers of A and `width` of B to do `height · width` multiplications.

How A, B and C lie in memory is not the tile's business: a `Matrix` says where a row (or column) begins, how
far k is from there, and how to read. So the same product multiplies matrices of any strides, and the three
convolutions, whose columns are windows of an image that never stand side by side in memory.

The text is generated because registers have names, not numbers: 64 accumulators in an array would go to slow
memory. Every number is made uint32 at once, as the compiler would count in 64 bits, with twice the registers.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, NamedTuple

from minidl.array.gpu import GPU_KERNELS, GpuFunction, GpuKernel, gpu_function, kernel_from_source, uint32

__all__ = ["LARGE", "SMALL", "WIDE", "Matrix", "Tile", "offset", "product_kernel"]


class Tile(NamedTuple):
    """How large a piece of the product one block computes.

    Attributes:
        rows: of C.
        columns: of C.
        depth: k's in one step.
        height: rows of C that one thread has.
        width: columns of C that one thread has.
        real: the dtypes that it is made for: `"real"` for both.
    """

    rows: int
    columns: int
    depth: int
    height: int
    width: int
    real: str = "real"

    @property
    def threads(self) -> int:
        """How many threads a block has."""
        return self.rows // self.height * (self.columns // self.width)


LARGE = Tile(128, 128, 8, 8, 8, "float32")
"""For large products: 64 accumulators a thread. In float64 they would fill all registers."""
WIDE = Tile(64, 128, 8, 8, 8, "float32")
"""For convolutions, which have many columns and seldom 128 filters."""
SMALL = Tile(32, 32, 16, 4, 4)
"""For small products, where large tiles would leave most of the GPU idle, and for float64."""

GAP = 4
"""Unused numbers after each row of a tile in shared memory, so that a warp that writes a column of it meets
different memory banks."""


@dataclass(frozen=True)
class Matrix:
    """How a product reads A or B, or where it writes C.

    The functions take what they need by name: `batch`; `at`, the number of the row, column or k; `pointer`,
    `place` and `step`; and the kernel's sizes, as uint32.

    Attributes:
        locate: where a row of A (a column of B, of C) begins: its `place`, worked out once.
        step: where k is (A and B), worked out once per k.
        read: `read(pointer, place, step, …)`, the number at both.
        along: what neighbouring threads copy, which should be neighbours in memory: `"k"`, `"rows"` (columns,
            in B), or `"either"`, and an argument of the kernel tells.
    """

    locate: GpuFunction
    step: GpuFunction | None = None
    read: GpuFunction | None = None
    along: str = "k"


@gpu_function
def offset(pointer, place, step):
    """The number that is `step` after `place`."""
    return pointer[uint32(place + step)]


def product_kernel(
    name: str, tile: Tile, sizes: str, a: Matrix, b: Matrix, c: Matrix, bias: str = "column"
) -> GpuKernel:
    """Make the kernel that multiplies two matrices by tiles.

    Its grid is (tiles of C, batch, splits); split s adds up k from s·run to (s+1)·run and writes its partial
    product s·whole numbers further on. Its arguments:

    - `c, a, b`: pointers;
    - `bias`: what is added, where `biased`;
    - `m, n, depth, run`: C has m rows and n columns, k goes to `depth`, each split has `run` of them;
    - `c_row, whole`: how far apart C's rows are, and the results of two splits;
    - `a_along_k, b_along_k`: for matrices that are read along either, whether it is k;
    - the `sizes`.

    Args:
        name: of the kernel.
        tile: its size.
        sizes: names of further numbers, all ≥ 0, which the functions of the matrices may ask for.
        a: how A is read.
        b: how B is read.
        c: where C is written.
        bias: which number of the bias belongs to a value at `row`, `column`.
    """
    numbers = [
        "m", "n", "depth", "run", "c_row", "whole", "a_along_k", "b_along_k", "biased", *sizes.split()
    ]  # fmt: skip
    pointers = [f"{tile.real}* c", *(f"const {tile.real}* {name}" for name in ("a", "b", "bias"))]
    signature = ", ".join([*pointers, *(f"int32 {number}" for number in numbers)])
    functions = [f for matrix in (a, b, c) for f in (matrix.locate, matrix.step, matrix.read) if f]
    source = _source(name, tile, numbers, a, b, c, bias)
    made = kernel_from_source(source, signature, registers=128, names={f.name: f for f in functions})
    GPU_KERNELS[f"{__name__}.{name}"] = made
    return made


def _source(name: str, tile: Tile, numbers: list[str], a: Matrix, b: Matrix, c: Matrix, bias: str) -> str:
    rows, columns, depth, height, width, real = tile
    across = columns // width  # threads side by side
    values = [(i, j) for i in range(height) for j in range(width)]
    row_of = [f"uint32(ty + uint32({i // 4 * (rows * 4 // height) + i % 4}))" for i in range(height)]
    column_of = [f"uint32(tx + uint32({j // 4 * (columns * 4 // width) + j % 4}))" for j in range(width)]
    copy_a = _Copy("a", a, rows, "m", tile)
    copy_b = _Copy("b", b, columns, "n", tile)

    text = _Text()
    text(f"def {name}(c, a, b, bias, {', '.join(numbers)}):")
    text(*(f"{number} = uint32({number})" for number in numbers), by=1)
    text(
        f"tile_a = cuda.shared.array(({depth}, {rows + GAP}), {real}, alignment=16)",
        f"tile_b = cuda.shared.array(({depth}, {columns + GAP}), {real}, alignment=16)",
        "thread = uint32(cuda.threadIdx.x)",
        "batch, split = uint32(cuda.blockIdx.y), uint32(cuda.blockIdx.z)",
        f"tiles_across = uint32(n + uint32({columns - 1})) // uint32({columns})",
        f"top = uint32(uint32(cuda.blockIdx.x) // tiles_across * uint32({rows}))",
        f"left = uint32(uint32(cuda.blockIdx.x) % tiles_across * uint32({columns}))",
        f"ty = uint32(thread // uint32({across}) * uint32(4))  # its first row and column",
        f"tx = uint32(thread % uint32({across}) * uint32(4))",
        "first = uint32(split * run)",
        "last = uint32(min(first + run, depth))",
        "busy = uint32(top + ty) < m and uint32(left + tx) < n  # or all that the thread has is beyond C",
        *copy_a.prepare(),
        *copy_b.prepare(),
        *(f"c{i}_{j} = {real}(0)" for i, j in values),
        "k0 = first",
        "while k0 < last:",
        by=1,
    )
    text(*copy_a.copy(), *copy_b.copy(), "cuda.syncthreads()  # the tiles are complete", by=2)
    text(f"steps = uint32(min(last - k0, uint32({depth}))) if busy else uint32(0)", by=2)
    text("k = uint32(0)", "while k < steps:", by=2)
    for u, k in enumerate(("k", "uint32(k + uint32(1))")):
        text(*(f"a{i}_{u} = tile_a[{k}, {row}]" for i, row in enumerate(row_of)), by=3)
        text(*(f"b{j}_{u} = tile_b[{k}, {column}]" for j, column in enumerate(column_of)), by=3)
        text(*(f"c{i}_{j} += a{i}_{u} * b{j}_{u}" for i, j in values), by=3)
    text("k = uint32(k + uint32(2))", by=3)
    text("cuda.syncthreads()  # everybody has read them", f"k0 = uint32(k0 + uint32({depth}))", by=2)
    for i, row in enumerate(row_of):
        text(
            f"row{i} = uint32(top + {row})",
            f"inside{i} = row{i} < m",
            f"at{i} = uint32(row{i} * c_row)",
            by=1,
        )
        if bias == "row":
            text(f"add{i} = {real}(0)", f"if biased and inside{i}:", by=1)
            text(f"add{i} = bias[uint32(batch * m + row{i})]", by=2)
    for j, column in enumerate(column_of):
        text(f"column{j} = uint32(left + {column})", f"if column{j} < n:", by=1)
        text(f"place{j} = uint32(split * whole + {_call(c.locate, at=f'column{j}')})", by=2)
        if bias == "column":
            text(f"add{j} = {real}(0)", "if biased:", f"    add{j} = bias[column{j}]", by=2)
        for i in range(height):
            text(f"if inside{i}:", by=2)
            text(f"c[uint32(place{j} + at{i})] = c{i}_{j} + add{i if bias == 'row' else j}", by=3)
    return str(text)


class _Copy:
    """The text by which a block copies its tile of A or of B from memory, some numbers per thread.

    Attributes:
        size: how many numbers a tile has along its rows (columns, in B).
        count: how many numbers each thread copies in a step.
    """

    def __init__(self, name: str, matrix: Matrix, size: int, end: str, tile: Tile) -> None:
        self.name, self.matrix, self.size, self.end, self.tile = name, matrix, size, end, tile
        self.count = size * tile.depth // tile.threads

    def prepare(self) -> list[str]:
        """Once: which rows and k's the thread copies, and where the rows begin."""
        name, depth, threads = self.name, self.tile.depth, self.tile.threads
        along_k = [
            f"{name}_at, {name}_gap = uint32(thread // uint32({depth})), uint32({threads // depth})",
            f"{name}_first_k, {name}_k_gap = uint32(thread % uint32({depth})), uint32(0)",
        ]
        along_rows = [
            f"{name}_at, {name}_gap = uint32(thread % uint32({self.size})), uint32(0)",
            f"{name}_first_k = uint32(thread // uint32({self.size}))",
            f"{name}_k_gap = uint32({threads // self.size})",
        ]
        begin = {"a": "top", "b": "left"}[name]
        if self.matrix.along == "either":
            lines = [f"if {name}_along_k:", *_indented(along_k), "else:", *_indented(along_rows)]
        else:
            lines = along_k if self.matrix.along == "k" else along_rows
        for i in range(self.count if self.matrix.along != "rows" else 1):
            lines += [
                f"{name}_row{i} = uint32({begin} + {name}_at + uint32({i}) * {name}_gap)",
                f"{name}_inside{i} = {name}_row{i} < {self.end}",
                f"{name}_place{i} = {_call(self.matrix.locate, at=f'{name}_row{i}')}",
            ]
        return lines

    def copy(self) -> list[str]:
        """In each step: read the numbers, 0 where there are none, and put them down."""
        assert self.matrix.step is not None
        assert self.matrix.read is not None
        along, count = self.matrix.along, self.count
        if along == "rows":  # a loop, so that the functions are there once; the compiler unrolls it
            return [f"for i in range(uint32({count})):", *_indented(self._number("i", "", 0, True))]
        lines = []
        for i in range(count):
            lines += self._number(f"uint32({i})", str(i), i, along == "either" or i == 0)
        return lines

    def _number(self, i: str, suffix: str, which: int, own_k: bool) -> list[str]:
        """Copy number `i` of a thread's, in variables with names of their own, which compile faster."""
        name = self.name
        k = f"{name}_k{suffix if own_k else 0}"
        step = f"{name}_step{suffix if own_k else 0}"
        assert self.matrix.step is not None
        assert self.matrix.read is not None
        lines = [
            f"{k} = uint32({name}_first_k + {i} * {name}_k_gap)",
            f"{step} = {_call(self.matrix.step, at=f'uint32(k0 + {k})')}",
        ]
        read = _call(self.matrix.read, pointer=name, place=f"{name}_place{which}", step=step)
        return [
            *(lines if own_k else []),
            f"{name}_value{suffix} = {self.tile.real}(0)",
            f"if {name}_inside{which} and uint32(k0 + {k}) < last:",
            f"    {name}_value{suffix} = {read}",
            f"tile_{name}[{k}, uint32({name}_at + {i} * {name}_gap)] = {name}_value{suffix}",
        ]


class _Text:
    """Lines of a program."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, *lines: str, by: int = 0) -> None:
        self.lines += _indented(lines, by)

    def __str__(self) -> str:
        return "\n".join(self.lines) + "\n"


def _indented(lines: Any, by: int = 1) -> list[str]:
    return ["    " * by + line for line in lines]


def _call(function: GpuFunction, **names: str) -> str:
    """The text that calls a function with what it asks for by name."""
    asked = inspect.signature(function.function).parameters
    return f"{function.name}({', '.join(names.get(name, name) for name in asked)})"
