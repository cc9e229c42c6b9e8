"""Winograd's convolution, F(2×2, 3×3): a 3×3 convolution with 16 multiplications where it needs 36.

    y = Aᵀ [ (G w Gᵀ) ⊙ (Bᵀ d B) ] A         for one 4×4 tile d of the input and its 2×2 outputs

Bᵀ, G and Aᵀ hold only 0, ±1 and ±½, so they are additions. Over all channels ⊙ becomes 16 matrix products,
one for each place ξ of the transformed tile: the register tile's work again, 2.25 times less of it.
(Lavin & Gray 2015, "Fast Algorithms for Convolutional Neural Networks", section 4.1.) Larger tiles save
more and lose digits: F(4×4, 3×3) was wrong by 7·10⁻⁶ in float32, ten times as much as this one.

The weight gradient is the same bilinear form read the other way: dw = Gᵀ [ Σ (Bᵀ d B) ⊙ (A dy Aᵀ) ] G.

Letters: C channels, O filters; a block of T tiles is transformed and multiplied at a time, in the L2 cache.
V[ξ, c, t] = Bᵀ d B;  U[ξ, o, c] = G w Gᵀ;  M[ξ, o, t] = U · V.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minidl.array import Array, empty
from minidl.kernels.numba_cpu.jit import jit, part
from minidl.kernels.numba_cpu.moves import copy_row, transpose_padded
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.strips import make_rows
from minidl.kernels.numba_cpu.tasks import tasks
from minidl.kernels.numba_cpu.tile import BLANK, GO_ON, VECTOR_BYTES, at, get, lanes_of, offset, put

__all__ = ["correlate", "pays", "weight_grad"]

BLOCK_BYTES = 768 * 1024  # V and M of one block of tiles
LEAST = 16  # channels and filters from which the transformations are worth their time
MANY = 256  # tiles of a batch from which the transformation of the filters is
PIECES = 8  # of the batch, whose weight gradients are added up in order

rows_of_c = make_rows()


def pays(batch: int, channels: int, filters: int, height: int, width: int) -> bool:
    """Whether a 3×3 convolution with outputs of this size is faster this way than directly.

    The filters are transformed once per call: that takes many tiles to earn.
    """
    tiles = batch * -(-height // 2) * -(-width // 2)
    enough = min(channels, filters) >= LEAST and channels * filters >= 2 * LEAST**2
    return enough and min(height, width) >= 4 and tiles >= MANY


class Blocks(NamedTuple):
    """How the tiles of a batch are cut into blocks: some rows of tiles of some images.

    Attributes:
        images: of one block.
        rows: of tiles, of one block.
        bands: blocks that an image is cut into.
        across: tiles in a row.
        room: numbers of V that one channel needs, vectors written past the end included.
    """

    images: int
    rows: int
    bands: int
    across: int
    room: int


@functools.lru_cache(maxsize=256)
def _blocks(batch: int, channels: int, height: int, width: int, itemsize: int) -> Blocks:
    """Blocks for `channels` rows of V and M together."""
    lanes = VECTOR_BYTES // itemsize
    down, across = -(-height // 2), -(-width // 2)
    wanted = max(2 * lanes, BLOCK_BYTES // (16 * channels * itemsize) - lanes)
    rows = max(1, min(down, wanted // across))
    bands = -(-down // rows)
    rows = -(-down // bands)
    images = max(1, min(wanted // (rows * across), -(-batch // PIECES))) if bands == 1 else 1
    return Blocks(images, rows, bands, across, images * rows * across + lanes)


def correlate(x: Array, weight: Array, bias: Array | None, y: Array, row: int, column: int) -> None:
    """y[n,o,i,j] = b[o] + Σ_c,u,v w[o,c,u,v] · x[n, c, i + u + row, j + v + column], into y.

    Args:
        x: (N, C, H, W).
        weight: (O, C, 3, 3).
        bias: (O,) or None.
        y: (N, O, OH, OW), all C-ordered.
        row: where the first tap of the first output stands in x.
        column: likewise.
    """
    n, c = x.shape[:2]
    o = len(weight)
    cut = _blocks(n, c + o, *y.shape[2:], x.itemsize)
    u = empty((16, o, c), x.dtype)
    line = 2 * cut.across + 2 + 2 * VECTOR_BYTES // x.itemsize
    place = (row, column, cut.images, cut.rows, cut.bands, cut.across, cut.room, line)
    size = 16 * (c + o) * cut.room + (2 * cut.rows + 2) * line
    with POOL as team:
        scratch = POOL.scratch(size, x.dtype)
        _correlate(
            x, weight, y.reshape(-1) if bias is None else bias, bias is not None, y, u, place, scratch, team
        )


def weight_grad(dy: Array, x: Array, row: int, column: int) -> Array:
    """dw[o,c,u,v] = Σ_n,i,j dy[n,o,i,j] · x[n, c, i + u + row, j + v + column]: (O, C, 3, 3)."""
    n, o = dy.shape[:2]
    c = x.shape[1]
    cut = _blocks(n, c + 2 * o, *dy.shape[2:], x.itemsize)
    lanes = VECTOR_BYTES // x.itemsize
    line = 2 * cut.across + 2 + 2 * lanes
    place = (row, column, cut.images, cut.rows, cut.bands, cut.across, cut.room, line)
    wide = -(-o // lanes) * lanes
    pieces = max(1, min(PIECES, -(-n // cut.images), max(2, (1 << 22) // (16 * c * o))))
    sums = empty((pieces, 16, c, o), x.dtype)
    dw = empty((o, c, 3, 3), x.dtype)
    size = 16 * (c + o) * cut.room + 16 * wide * cut.room + (2 * cut.rows + 2) * line
    with POOL as team:
        _weight_grad(x, dy, sums, dw, place, POOL.scratch(size, x.dtype), team)
    return dw


# -------------------------------------------------------------------- the three transformations


def _vector_program(write: Any) -> Any:
    """An intrinsic (source, source_step, target, target_step) from a program on vectors.

    `write(load, store, shuffle, make)` loads from and stores to rows 0, 1, 2, … that many steps away.
    """

    @intrinsic
    def program(typing: Any, source: Any, source_step: Any, target: Any, target_step: Any) -> Any:
        lanes = VECTOR_BYTES * 8 // source.dtype.bitwidth

        def build(context: Any, make: Any, signature: Any, args: Any) -> Any:
            source, source_step, target, target_step = args
            vector = ir.VectorType(context.get_value_type(signature.args[0].dtype), lanes)

            def place(start: Any, step: Any, row: int, column: int) -> Any:
                far = make.mul(step, ir.Constant(ir.IntType(64), row))
                near = make.add(far, ir.Constant(ir.IntType(64), column))
                return make.bitcast(make.gep(start, [near]), vector.as_pointer())

            def load(row: int, column: int = 0) -> Any:
                value = make.load(place(source, source_step, row, column))
                value.align = VECTOR_BYTES // lanes
                return value

            def store(value: Any, row: int, column: int = 0) -> None:
                make.store(value, place(target, target_step, row, column)).align = VECTOR_BYTES // lanes

            def shuffle(a: Any, b: Any, order: list[int]) -> Any:
                return make.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), lanes), order))

            write(make, load, store, shuffle, lanes)
            return context.get_dummy_value()

        return types.void(source, types.intp, source, types.intp), build

    return program


def _b(make: Any, d: list[Any]) -> list[Any]:
    """Bᵀ d."""
    return [make.fsub(d[0], d[2]), make.fadd(d[1], d[2]), make.fsub(d[2], d[1]), make.fsub(d[1], d[3])]


def _at(make: Any, m: list[Any]) -> list[Any]:
    """Aᵀ m."""
    return [
        make.fadd(make.fadd(m[0], m[1]), m[2]),
        make.fsub(make.fsub(m[1], m[2]), m[3]),
    ]


def _a(make: Any, y: list[Any]) -> list[Any]:
    """A y, the transpose of Aᵀ m."""
    return [y[0], make.fadd(y[0], y[1]), make.fsub(y[0], y[1]), make.fneg(y[1])]


@_vector_program
def _transform_input(make: Any, load: Any, store: Any, shuffle: Any, lanes: int) -> None:
    """Four rows of pixels → V's 16 numbers of as many tiles as a vector has lanes."""
    even, odd = list(range(0, 2 * lanes, 2)), list(range(1, 2 * lanes, 2))
    columns: list[list[Any]] = [[], [], [], []]  # columns[v][row]: column 2t + v of every tile t
    for row in range(4):
        for shift in (0, 2):
            a, b = load(row, shift), load(row, shift + lanes)
            columns[shift].append(shuffle(a, b, even))
            columns[shift + 1].append(shuffle(a, b, odd))
    vertical = [_b(make, column) for column in columns]
    for i in range(4):
        for j, value in enumerate(_b(make, [column[i] for column in vertical])):
            store(value, 4 * i + j)


@_vector_program
def _transform_output(make: Any, load: Any, store: Any, shuffle: Any, lanes: int) -> None:
    """M's 16 numbers of many tiles → two rows of pixels."""
    m = [[load(4 * i + j) for j in range(4)] for i in range(4)]
    vertical = [_at(make, [m[i][j] for i in range(4)]) for j in range(4)]
    half = lanes // 2
    low = [i // 2 + (i % 2) * lanes for i in range(lanes)]
    for i in range(2):
        left, right = _at(make, [column[i] for column in vertical])
        store(shuffle(left, right, low), i)
        store(shuffle(left, right, [place + half for place in low]), i, lanes)


@_vector_program
def _transform_gradient(make: Any, load: Any, store: Any, shuffle: Any, lanes: int) -> None:
    """Two rows of dy's pixels → A dy Aᵀ, 16 numbers of many tiles."""
    even, odd = list(range(0, 2 * lanes, 2)), list(range(1, 2 * lanes, 2))
    rows = [[shuffle(load(i), load(i, lanes), order) for order in (even, odd)] for i in range(2)]
    vertical = [_a(make, [rows[0][j], rows[1][j]]) for j in range(2)]
    for i in range(4):
        for j, value in enumerate(_a(make, [column[i] for column in vertical])):
            store(value, 4 * i + j)


@tasks
def _transform_weight(task, thread, weight, u):
    """U = G w Gᵀ of one filter."""
    half = weight.dtype.type(0.5)
    for c in range(weight.shape[1]):
        w = weight[task, c]
        for v in range(4):
            # a column of w Gᵀ
            if v == 0:
                a, b, d = w[0, 0], w[1, 0], w[2, 0]
            elif v == 3:
                a, b, d = w[0, 2], w[1, 2], w[2, 2]
            else:
                sign = half if v == 1 else -half
                a = half * (w[0, 0] + w[0, 2]) + sign * w[0, 1]
                b = half * (w[1, 0] + w[1, 2]) + sign * w[1, 1]
                d = half * (w[2, 0] + w[2, 2]) + sign * w[2, 1]
            u[v, task, c] = a
            u[4 + v, task, c] = half * (a + b + d)
            u[8 + v, task, c] = half * (a - b + d)
            u[12 + v, task, c] = d


@tasks
def _weight_from(task, thread, sums, dw):
    """Dw = Gᵀ s G for one channel and all filters, s the sum of all pieces."""
    half = dw.dtype.type(0.5)
    s = np.empty((16, len(dw)), dw.dtype)
    for place in range(16):
        for o in range(len(dw)):
            s[place, o] = sums[0, place, task, o]
        for piece in range(1, len(sums)):
            for o in range(len(dw)):
                s[place, o] += sums[piece, place, task, o]
    for o in range(len(dw)):
        for u in range(3):
            if u == 0:
                a, b, c, d = (
                    s[0, o] + half * (s[4, o] + s[8, o]), s[1, o] + half * (s[5, o] + s[9, o]),
                    s[2, o] + half * (s[6, o] + s[10, o]), s[3, o] + half * (s[7, o] + s[11, o]),
                )  # fmt: skip
            elif u == 1:
                a, b = half * (s[4, o] - s[8, o]), half * (s[5, o] - s[9, o])
                c, d = half * (s[6, o] - s[10, o]), half * (s[7, o] - s[11, o])
            else:
                a, b, c, d = (
                    half * (s[4, o] + s[8, o]) + s[12, o], half * (s[5, o] + s[9, o]) + s[13, o],
                    half * (s[6, o] + s[10, o]) + s[14, o], half * (s[7, o] + s[11, o]) + s[15, o],
                )  # fmt: skip
            dw[o, task, u, 0] = a + half * (b + c)
            dw[o, task, u, 1] = half * (b - c)
            dw[o, task, u, 2] = half * (b + c) + d


# -------------------------------------------------------------------- the loops around them


@part
def _input_block(x, image, images, first, place, lines, v):
    """V of a block: rows of tiles from `first` on, of `images` images from `image` on."""
    row, column, _, rows, _, across, room, line = place
    channels, height, width = x.shape[1], x.shape[2], x.shape[3]
    lanes = lanes_of(v)
    for c in range(channels):
        t = 0
        for number in range(image, image + images):
            source = at(x, (number * channels + c) * height * width)
            for r in range(2 * rows + 2):
                here = 2 * first + r + row
                inside = 0 <= here < height
                from_row = offset(source, here * width if inside else 0)
                copy_row(offset(lines, r * line), from_row, column, width if inside else 0, line - lanes)
            for r in range(rows):
                for j in range(0, across, lanes):
                    target = offset(v, c * room + t + j)
                    _transform_input(offset(lines, 2 * r * line + 2 * j), line, target, channels * room)
                t += across


@tasks
def _correlate_block(task, thread, x, bias, biased, y, u, place, scratch):
    _, _, images, rows, bands, across, room, line = place
    channels, filters, height, width = x.shape[1], y.shape[1], y.shape[2], y.shape[3]
    image = task // bands * images
    images = min(images, len(x) - image)
    first = task % bands * rows
    v = at(scratch, thread * scratch.shape[1])
    m = offset(v, 16 * channels * room)
    lines = offset(m, 16 * filters * room)
    lanes = lanes_of(v)
    _input_block(x, image, images, first, place, lines, v)
    tiles = images * rows * across
    for xi in range(16):
        rows_of_c(
            filters, tiles, channels, at(u, xi * filters * channels), channels, 1,
            offset(v, xi * channels * room), room, 1, offset(m, xi * filters * room), room,
            BLANK, v, 0,
        )  # fmt: skip
    zero = y.dtype.type(0)
    for o in range(filters):
        t = 0
        add = bias[o] if biased else zero
        for number in range(image, image + images):
            for r in range(rows):
                for j in range(0, across, lanes):
                    _transform_output(offset(m, o * room + t + j), filters * room, offset(lines, 2 * j), line)
                t += across
                for i in range(2):
                    here = 2 * (first + r) + i
                    if here < height:
                        target = at(y, ((number * filters + o) * height + here) * width)
                        for j in range(width):
                            put(target, j, get(lines, i * line + j) + add)


@jit
def _correlate(x, weight, bias, biased, y, u, place, scratch, team):
    _transform_weight(team, len(weight), (weight, u))
    blocks = -(-len(x) // place[2]) * place[4]
    _correlate_block(team, blocks, (x, bias, biased, y, u, place, scratch))


@tasks
def _weight_grad_piece(task, thread, x, dy, sums, place, scratch):
    _, _, images, rows, bands, across, room, line = place
    channels, filters, height, width = x.shape[1], dy.shape[1], dy.shape[2], dy.shape[3]
    v = at(scratch, thread * scratch.shape[1])
    lanes = lanes_of(v)
    wide = -(-filters // lanes) * lanes
    m = offset(v, 16 * channels * room)
    turned = offset(m, 16 * filters * room)
    lines = offset(turned, 16 * wide * room)
    groups = -(-len(x) // images)
    begin = BLANK
    for group in range(task * groups // len(sums), (task + 1) * groups // len(sums)):
        image = group * images
        count = min(images, len(x) - image)
        for band in range(bands):
            first = band * rows
            _input_block(x, image, count, first, place, lines, v)
            for o in range(filters):
                t = 0
                for number in range(image, image + count):
                    for r in range(rows):
                        for i in range(2):
                            here = 2 * (first + r) + i
                            inside = here < height
                            source = at(
                                dy, ((number * filters + o) * height + (here if inside else 0)) * width
                            )
                            copy_row(offset(lines, i * line), source, 0, width if inside else 0, line - lanes)
                        for j in range(0, across, lanes):
                            target = offset(m, o * room + t + j)
                            _transform_gradient(offset(lines, 2 * j), line, target, filters * room)
                        t += across
            for xi in range(16):
                mine = offset(turned, xi * wide * room)
                step = transpose_padded(offset(m, xi * filters * room), room, mine, filters, t)
                result = at(sums, (task * 16 + xi) * channels * filters)
                rows_of_c(
                    channels, filters, t, offset(v, xi * channels * room), room, 1,
                    mine, step, 1, result, filters, begin, result, 0,
                )  # fmt: skip
            begin = GO_ON


@jit
def _weight_grad(x, dy, sums, dw, place, scratch, team):
    _weight_grad_piece(team, len(sums), (x, dy, sums, place, scratch))
    _weight_from(team, dw.shape[1], (sums, dw))
