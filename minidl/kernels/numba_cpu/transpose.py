"""Turning rows into columns with vector registers, a square of numbers at a time."""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minidl.kernels.numba_cpu.tile import VECTOR_BYTES, get, lanes_of, offset, put

__all__ = ["transpose"]

WORD, INDEX = ir.IntType(64), ir.IntType(32)


@intrinsic  # type: ignore[misc, unused-ignore]
def _square(typing: Any, source: Any, source_row: Any, target: Any, target_row: Any) -> Any:
    """Transpose one square, as wide as a vector.

    Interleaving the first half of the rows with the second half, log₂ n times, is a transposition: each
    round moves one bit of a number's column into its row.
    """
    lanes = VECTOR_BYTES * 8 // source.dtype.bitwidth

    def build(context: Any, make: Any, signature: Any, args: Any) -> Any:
        source, source_row, target, target_row = args
        vector = ir.VectorType(context.get_value_type(signature.args[0].dtype), lanes)
        size = VECTOR_BYTES // lanes

        def row(start: Any, step: Any, i: int) -> Any:
            place = make.gep(start, [make.mul(step, ir.Constant(WORD, i))])
            return make.bitcast(place, vector.as_pointer())

        def shuffle(a: Any, b: Any, order: list[int]) -> Any:
            return make.shuffle_vector(a, b, ir.Constant(ir.VectorType(INDEX, lanes), order))

        rows = []
        for i in range(lanes):
            rows.append(make.load(row(source, source_row, i)))
            rows[-1].align = size
        half = lanes // 2
        low = [i // 2 + (i % 2) * lanes for i in range(lanes)]  # a₀ b₀ a₁ b₁ …
        high = [i + half for i in low]
        for _ in range(lanes.bit_length() - 1):
            pairs = zip(rows[:half], rows[half:], strict=True)
            rows = [shuffle(a, b, order) for a, b in pairs for order in (low, high)]
        for i, value in enumerate(rows):
            make.store(value, row(target, target_row, i)).align = size
        return context.get_dummy_value()

    return types.void(source, types.intp, source, types.intp), build


@numba.njit(nogil=True)
def transpose(source, source_row, target, target_row, rows, columns):  # type: ignore[no-untyped-def]
    """target[j, i] = source[i, j] for i < rows, j < columns; both by their addresses and row distances."""
    lanes = lanes_of(source)
    whole_rows, whole_columns = rows // lanes * lanes, columns // lanes * lanes
    for i in range(0, whole_rows, lanes):
        for j in range(0, whole_columns, lanes):
            _square(
                offset(source, i * source_row + j), source_row, offset(target, j * target_row + i), target_row
            )
    for i in range(rows):
        for j in range(0 if i >= whole_rows else whole_columns, columns):
            put(target, j * target_row + i, get(source, i * source_row + j))
