"""Moving numbers with vector registers: transposing, and copying rows: with zeros around them, or taken apart
and put together again, number by number in turn, as a convolution's stride does.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minidl.kernels.numba_cpu.jit import part
from minidl.kernels.numba_cpu.tile import VECTOR_BYTES, Words, get, lanes_of, offset, put

__all__ = [
    "copy_row",
    "copy_rows",
    "copy_run",
    "copy_vector",
    "interleave",
    "lanes_to_planes",
    "planes_to_lanes",
    "transpose",
    "transpose_padded",
]

WORD, INDEX = ir.IntType(64), ir.IntType(32)


def _make_square(scattered: bool) -> Any:
    """Transpose one square, as wide as a vector; rows after `last` are taken to be like it.

    Interleaving the first half of the rows with the second half, log₂ n times, is a transposition: each
    round moves one bit of a number's column into its row. Row j of the target begins j · target_row after
    the first; or target_row[j], where they are scattered.
    """

    @intrinsic
    def square(typing: Any, source: Any, source_row: Any, target: Any, target_row: Any, last: Any) -> Any:
        lanes = VECTOR_BYTES * 8 // source.dtype.bitwidth

        def build(context: Any, make: Any, signature: Any, args: Any) -> Any:
            source, source_row, target, target_row, last = args
            vector = ir.VectorType(context.get_value_type(signature.args[0].dtype), lanes)
            size = VECTOR_BYTES // lanes

            def row(start: Any, distance: Any) -> Any:
                return make.bitcast(make.gep(start, [distance]), vector.as_pointer())

            def shuffle(a: Any, b: Any, order: list[int]) -> Any:
                return make.shuffle_vector(a, b, ir.Constant(ir.VectorType(INDEX, lanes), order))

            rows = []
            for i in range(lanes):
                number = ir.Constant(WORD, i)
                number = make.select(make.icmp_signed("<", number, last), number, last)
                rows.append(make.load(row(source, make.mul(source_row, number))))
                rows[-1].align = size
            half = lanes // 2
            low = [i // 2 + (i % 2) * lanes for i in range(lanes)]  # a₀ b₀ a₁ b₁ …
            high = [i + half for i in low]
            for _ in range(lanes.bit_length() - 1):
                pairs = zip(rows[:half], rows[half:], strict=True)
                rows = [shuffle(a, b, order) for a, b in pairs for order in (low, high)]
            for i, value in enumerate(rows):
                number = ir.Constant(WORD, i)
                if scattered:
                    place = make.load(make.gep(target_row, [number]))
                else:
                    place = make.mul(target_row, number)
                make.store(value, row(target, place)).align = size
            return context.get_dummy_value()

        table = types.CPointer(types.int64) if scattered else types.intp
        return types.void(source, types.intp, source, table, types.intp), build

    return square


_square, _square_scattered = _make_square(False), _make_square(True)


@part
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


@part
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


@part
def planes_to_lanes(source, source_row, planes, pixels, target, places):
    """target[places[j] + i] = source[i, j]: one vector for every pixel, with a lane for every plane.

    Where it has more lanes than there are planes, the others hold any of their numbers.
    """
    lanes = lanes_of(source)
    if pixels >= lanes:
        for start in range(0, pixels, lanes):
            j = min(start, pixels - lanes)  # the last square may overlap the one before
            _square_scattered(offset(source, j), source_row, target, offset(places, j), planes - 1)
    else:
        for j in range(pixels):
            for i in range(lanes):
                put(target, get(places, j) + i, get(source, min(i, planes - 1) * source_row + j))


@part
def lanes_to_planes(source, source_row, planes, pixels, target, target_row):
    """target[i, j] = source[j · source_row + i] for i < planes, j < pixels, and nothing written beyond."""
    lanes = lanes_of(source)
    if planes == lanes and pixels >= lanes:
        for start in range(0, pixels, lanes):
            j = min(start, pixels - lanes)
            _square(offset(source, j * source_row), source_row, offset(target, j), target_row, lanes - 1)
    else:
        for i in range(planes):
            for j in range(pixels):
                put(target, i * target_row + j, get(source, j * source_row + i))


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


@intrinsic
def _clear_vector(typing: Any, target: Any) -> Any:
    """Write one vector of zeros."""

    def build(context: Any, make: Any, signature: Any, args: Any) -> Any:
        words = Words(make, context.get_value_type(signature.args[0].dtype))
        words.store(words.zero, args[0], 0)
        return context.get_dummy_value()

    return types.void(target), build


@part
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


@part
def copy_run(target, source, n):
    """target[j] = source[j] for j < n, and nothing written beyond."""
    lanes = lanes_of(source)
    whole = n // lanes * lanes
    copy_row(target, source, 0, whole, whole)
    for j in range(whole, n):
        put(target, j, get(source, j))


@intrinsic
def _copy_every_second(typing: Any, target: Any, source: Any) -> Any:
    """Write one vector of source[0], source[2], source[4], …; not even read what comes after the last."""

    def build(context: Any, make: Any, signature: Any, args: Any) -> Any:
        target, source = args
        words = Words(make, context.get_value_type(signature.args[0].dtype))
        lanes = words.lanes
        second = words.load(make.gep(source, [words.word(lanes - 1)]), 0)
        even, odd = list(range(0, lanes, 2)), list(range(lanes + 1, 2 * lanes, 2))
        order = ir.Constant(ir.VectorType(INDEX, lanes), even + odd)
        words.store(make.shuffle_vector(words.load(source, 0), second, order), target, 0)
        return context.get_dummy_value()

    return types.void(source, source), build


@intrinsic
def _copy_even_lanes(typing: Any, target: Any, source: Any, n: Any) -> Any:
    """As `_copy_every_second`, of n numbers, and zeros."""

    def build(context: Any, make: Any, signature: Any, args: Any) -> Any:
        target, source, n = args
        words = Words(make, context.get_value_type(signature.args[0].dtype))
        lanes = words.lanes
        end = make.sub(make.mul(n, words.word(2)), words.word(1))
        words.masks = [words.first_lanes(make.sub(end, words.word(v * lanes))) for v in range(2)]
        order = ir.Constant(ir.VectorType(INDEX, lanes), list(range(0, 2 * lanes, 2)))
        value = make.shuffle_vector(words.load(source, 0), words.load(source, 1), order)
        words.masks = None
        words.store(value, target, 0)
        return context.get_dummy_value()

    return types.void(source, source, types.intp), build


@part
def _clear(target, n):
    """Write zeros up to target[n − 1], in whole vectors."""
    lanes = lanes_of(target)
    if n > 0:  # one vector is nearly always enough, and a loop would become a call of memset
        _clear_vector(target)
    for j in range(lanes, n, lanes):
        _clear_vector(offset(target, j))


@part
def copy_rows(target, target_row, rows, source, source_row, shift, width, stride, n):
    """target[i · target_row + j] = source[i · source_row + j · stride + shift] for i < rows, j < n.

    Outside 0 … width − 1 of the source's row all counts as 0. Whole vectors are written, as by `copy_row`.
    """
    lanes = lanes_of(source)
    first = min(n, max(0, -(shift // stride)))  # from here on to `end`, what is read is inside
    end = max(first, min(n, -((shift - width) // stride)))
    whole = stride <= 2 and end - first >= lanes
    for i in range(rows):
        line, here = offset(source, i * source_row + shift), offset(target, i * target_row)
        _clear(here, first)
        if whole:
            for start in range(first, end, lanes):
                j = min(start, end - lanes)  # the last vector overlaps the one before
                if stride == 1:
                    copy_vector(offset(here, j), offset(line, j))
                else:
                    _copy_every_second(offset(here, j), offset(line, 2 * j))
        elif stride == 1:
            _copy_lanes(offset(here, first), offset(line, first), 0, end - first)
        elif stride == 2:
            _copy_even_lanes(offset(here, first), offset(line, 2 * first), end - first)
        else:
            for j in range(first, end):
                put(here, j, get(line, j * stride))
        _clear(offset(here, end), n - end)


@intrinsic
def _interleave_lanes(typing: Any, target: Any, left: Any, right: Any) -> Any:
    """Two vectors a, b into a₀ b₀ a₁ b₁ …, which are two vectors again."""

    def build(context: Any, make: Any, signature: Any, args: Any) -> Any:
        target, left, right = args
        words = Words(make, context.get_value_type(signature.args[0].dtype))
        a, b, lanes = words.load(left, 0), words.load(right, 0), words.lanes
        for v in range(2):
            order = [(v * lanes + i) // 2 + i % 2 * lanes for i in range(lanes)]
            turn = ir.Constant(ir.VectorType(INDEX, lanes), order)
            words.store(make.shuffle_vector(a, b, turn), target, v)
        return context.get_dummy_value()

    return types.void(target, target, target), build


@part
def interleave(target, source, distance, rows, n):
    """target[j · rows + i] = source[i · distance + j], up to target[n − 1]: one row of several.

    Whole vectors may be written, up to two beyond n.
    """
    lanes = lanes_of(source)
    if rows == 1:
        copy_row(target, source, 0, n, n)
    elif rows == 2:
        for j in range(0, n, 2 * lanes):
            left = offset(source, j // 2)
            _interleave_lanes(offset(target, j), left, offset(left, distance))
    else:
        for i in range(rows):
            for j in range(-(-(n - i) // rows)):
                put(target, j * rows + i, get(source, i * distance + j))
