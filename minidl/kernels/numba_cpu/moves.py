"""Moving numbers with vector registers: transposing, and copying rows that have zeros around them."""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minidl.kernels.numba_cpu.tile import VECTOR_BYTES, Words, get, lanes_of, offset, put

__all__ = ["copy_row", "copy_run", "copy_vector", "transpose", "transpose_padded"]

WORD, INDEX = ir.IntType(64), ir.IntType(32)


@intrinsic
def _square(typing: Any, source: Any, source_row: Any, target: Any, target_row: Any, last: Any) -> Any:
    """Transpose one square, as wide as a vector; rows after `last` are taken to be like it.

    Interleaving the first half of the rows with the second half, log₂ n times, is a transposition: each
    round moves one bit of a number's column into its row.
    """
    lanes = VECTOR_BYTES * 8 // source.dtype.bitwidth

    def build(context: Any, make: Any, signature: Any, args: Any) -> Any:
        source, source_row, target, target_row, last = args
        vector = ir.VectorType(context.get_value_type(signature.args[0].dtype), lanes)
        size = VECTOR_BYTES // lanes

        def row(start: Any, step: Any, i: Any) -> Any:
            place = make.gep(start, [make.mul(step, i)])
            return make.bitcast(place, vector.as_pointer())

        def shuffle(a: Any, b: Any, order: list[int]) -> Any:
            return make.shuffle_vector(a, b, ir.Constant(ir.VectorType(INDEX, lanes), order))

        rows = []
        for i in range(lanes):
            number = ir.Constant(WORD, i)
            number = make.select(make.icmp_signed("<", number, last), number, last)
            rows.append(make.load(row(source, source_row, number)))
            rows[-1].align = size
        half = lanes // 2
        low = [i // 2 + (i % 2) * lanes for i in range(lanes)]  # a₀ b₀ a₁ b₁ …
        high = [i + half for i in low]
        for _ in range(lanes.bit_length() - 1):
            pairs = zip(rows[:half], rows[half:], strict=True)
            rows = [shuffle(a, b, order) for a, b in pairs for order in (low, high)]
        for i, value in enumerate(rows):
            make.store(value, row(target, target_row, ir.Constant(WORD, i))).align = size
        return context.get_dummy_value()

    return types.void(source, types.intp, source, types.intp, types.intp), build


@numba.njit(nogil=True)
def transpose_padded(source, source_row, target, rows, columns):
    """As `transpose`, into rows as long as whole vectors, and for any number of columns.

    Returns:
        The distance between the target's rows.
    """
    lanes = lanes_of(source)
    target_row = -(-rows // lanes) * lanes
    if columns < lanes:
        for i in range(rows):
            for j in range(columns):
                put(target, j * target_row + i, get(source, i * source_row + j))
        return target_row
    for i in range(0, rows, lanes):
        for start in range(0, columns, lanes):
            j = min(start, columns - lanes)  # the last square may overlap the one before
            here = offset(source, i * source_row + j)
            _square(here, source_row, offset(target, j * target_row + i), target_row, rows - 1 - i)
    return target_row


@numba.njit(nogil=True)
def transpose(source, source_row, target, target_row, rows, columns):
    """target[j, i] = source[i, j] for i < rows, j < columns; both by their addresses and row distances.

    The target's rows have room for whole vectors; what stands after the last number is anything.
    """
    lanes = lanes_of(source)
    whole = columns // lanes * lanes
    for i in range(0, rows, lanes):
        for j in range(0, whole, lanes):
            here = offset(source, i * source_row + j)
            _square(here, source_row, offset(target, j * target_row + i), target_row, rows - 1 - i)
    for i in range(rows):
        for j in range(whole, columns):
            put(target, j * target_row + i, get(source, i * source_row + j))


@intrinsic
def copy_vector(typing: Any, target: Any, source: Any) -> Any:
    """Copy one whole vector between two addresses."""

    def build(context: Any, make: Any, signature: Any, args: Any) -> Any:
        words = Words(make, context.get_value_type(signature.args[0].dtype))
        words.store(words.load(args[1], 0), args[0], 0)
        return context.get_dummy_value()

    return types.void(target, target), build


@intrinsic
def _copy_lanes(typing: Any, target: Any, source: Any, first: Any, end: Any) -> Any:
    """Write one vector: lanes `first` … `end − 1` come from the source, the others are 0."""

    def build(context: Any, make: Any, signature: Any, args: Any) -> Any:
        target, source, first, end = args
        words = Words(make, context.get_value_type(signature.args[0].dtype))
        words.masks = [words.lanes_between(first, end)]
        value = words.load(source, 0)
        words.masks = None
        words.store(value, target, 0)
        return context.get_dummy_value()

    return types.void(source, source, types.intp, types.intp), build


@numba.njit(nogil=True)
def copy_row(target, source, shift, width, n):
    """target[j] = source[j + shift] for j < n; what lies outside 0 … width − 1 of the source counts as 0.

    Whole vectors are written: up to a vector's width beyond n, to be overwritten by what comes there next.
    (A store under a mask costs as much as ten others.)
    """
    lanes = lanes_of(source)
    for j in range(0, n, lanes):
        here = j + shift
        if 0 <= here <= width - lanes:
            copy_vector(offset(target, j), offset(source, here))
        else:
            _copy_lanes(offset(target, j), offset(source, here), -here, width - here)


@numba.njit(nogil=True)
def copy_run(target, source, n):
    """target[j] = source[j] for j < n, and nothing written beyond."""
    lanes = lanes_of(source)
    whole = n // lanes * lanes
    copy_row(target, source, 0, whole, whole)
    for j in range(whole, n):
        put(target, j, get(source, j))
