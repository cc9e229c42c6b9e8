"""Max-pooling with windows of every size, several windows at once in vector registers.

With stride s, the same tap of neighbouring windows is every s-th number of a row. So an image is copied with
columns 0, s, 2s, … of each row first, then 1, s + 1, …, and so on: its *phases*. In the copy the same tap of
neighbouring windows stands in one run, whatever the stride, and around the image stands −∞, which never wins,
so that no window hangs over an edge. Then each lane of a vector is a window: its best cell so far and that
cell's number stay in registers while the taps pass by in reading order.

Numba leaves such loops scalar, as in `quads`; and a scalar choice between two numbers is a jump, which the
processor guesses wrong for every third cell of random images. So the instructions are written out here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from minidl.array import Array
from minidl.kernels.geometry import Pair
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.moves import copy_run
from minidl.kernels.numba_cpu.quads import Vectors
from minidl.kernels.numba_cpu.tasks import tasks
from minidl.kernels.numba_cpu.tile import at
from minidl.kernels.pooling import winner_dtype

__all__ = ["Layout", "largest", "layout"]


class Layout(NamedTuple):
    """Where an image stands in its copy, and where the windows' taps do.

    Attributes:
        image: (H, W).
        shape: of the copy: rows, phases per row, columns per phase.
        corner: the padding above and on the left.
        taps: for the taps u·kw + v of window (0, 0), where in the copy they are.
        row: from a row of windows to the next, in the copy.
        first: (OH, OW), the first tap of each window that is in the image.
    """

    image: Pair
    shape: tuple[int, int, int]
    corner: Pair
    taps: Array
    row: int
    first: Array


@functools.lru_cache(maxsize=512)
def layout(
    image: Pair, output: Pair, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Layout:
    """The layout for images of this size; it depends on sizes alone."""
    spans = [(cells - 1) * gap for cells, gap in zip(kernel_size, dilation, strict=True)]
    rows = max(padding[0] + image[0], (output[0] - 1) * stride[0] + spans[0] + 1)
    columns = max(-(-(padding[1] + image[1]) // stride[1]), output[1] + spans[1] // stride[1])
    u, v = np.divmod(np.arange(kernel_size[0] * kernel_size[1]), kernel_size[1])
    row, column = u * dilation[0], v * dilation[1]
    taps = (row * stride[1] + column % stride[1]) * columns + column // stride[1]
    before = [  # taps of each window that are above the image, or on its left
        np.maximum(0, -((np.arange(windows) * step - pad) // gap))
        for windows, step, pad, gap in zip(output, stride, padding, dilation, strict=True)
    ]
    first = before[0][:, None] * kernel_size[1] + before[1]
    return Layout(
        image,
        (rows, stride[1], columns),
        padding,
        taps,
        stride[0] * stride[1] * columns,
        first.astype(winner_dtype(kernel_size)),
    )


def _make_split(lanes: int) -> Callable[..., None]:
    def split(x: Array, start: int, room: Array, even: int, odd: int) -> None:
        """Of 2·`lanes` numbers every second goes to `even` and the places after it, the others to `odd`."""
        room[even : even + lanes] = x[start : start + 2 * lanes : 2]
        room[odd : odd + lanes] = x[start + 1 : start + 2 * lanes : 2]

    @intrinsic
    def instructions(typing: Any, x: Any, start: Any, room: Any, even: Any, odd: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            vectors = Vectors(context, builder, signature, args, lanes)
            for values, place in zip(vectors.columns(0, args[1]), args[3:], strict=True):
                vectors.store(values, 2, place)
            return context.get_dummy_value()

        return types.void(x, types.intp, room, types.intp, types.intp), build

    @overload(split)
    def compiled(x, start, room, even, odd):
        return lambda x, start, room, even, odd: instructions(x, start, room, even, odd)

    return split


def _make_best(lanes: int) -> Callable[..., None]:
    def best(
        room: Array, start: int, taps: Array, first: Array, begin: int, y: Array, winners: Array, out: int
    ) -> None:
        """The largest cells of `lanes` windows side by side, and which taps they are.

        Args:
            room: the image's copy.
            start: how far the windows are from window (0, 0).
            taps: where that one's taps are.
            first: which taps win where all cells are −∞, from `begin` on.
            begin: the first window's place in it.
            y: takes the maxima, from `out` on.
            winners: takes the taps' numbers.
            out: the first window's place in the outputs.
        """
        here = slice(out, out + lanes)
        value, winner = np.full(lanes, -np.inf, room.dtype), first[begin : begin + lanes]
        for tap in range(len(taps)):
            cells = room[start + taps[tap] :][:lanes]
            wins = (cells > value) | (np.isnan(cells) & ~np.isnan(value))
            value, winner = np.where(wins, cells, value), np.where(wins, tap, winner)
        y[here], winners[here] = value, winner

    @intrinsic
    def instructions(
        typing: Any, room: Any, start: Any, taps: Any, first: Any, begin: Any, y: Any, winners: Any, out: Any
    ) -> Any:
        bits = room.dtype.bitwidth  # of a tap's number in a register too, so that choices fit both

        def build(context: Any, make: Any, signature: Any, args: Any) -> Any:
            vectors = Vectors(context, make, signature, args, lanes)
            _, start, taps, _, begin, _, _, out = args
            table = context.make_array(signature.args[2])(context, make, taps)
            numbers = ir.VectorType(context.get_value_type(signature.args[0].dtype), lanes)
            value = cgutils.alloca_once_value(make, ir.Constant(numbers, [-math.inf] * lanes))
            winner = cgutils.alloca_once_value(make, vectors.resize(vectors.load(3, begin, lanes), bits))
            with cgutils.for_range(make, table.nitems) as loop:
                place = make.add(start, make.load(make.gep(table.data, [loop.index])))
                wins, larger = vectors.winner(make.load(value), vectors.load(0, place, lanes))
                tap = vectors.spread(vectors.resize(loop.index, bits))
                make.store(larger, value)
                make.store(make.select(wins, tap, make.load(winner)), winner)
            vectors.store(make.load(value), 5, out)
            vectors.store(vectors.resize(make.load(winner), signature.args[6].dtype.bitwidth), 6, out)
            return context.get_dummy_value()

        return types.void(room, types.intp, taps, first, types.intp, y, winners, types.intp), build

    @overload(best)
    def compiled(room, start, taps, first, begin, y, winners, out):
        return lambda room, start, taps, first, begin, y, winners, out: instructions(
            room, start, taps, first, begin, y, winners, out
        )

    return best


_split_8 = _make_split(8)
_best_1, _best_4, _best_8, _best_16 = (_make_best(lanes) for lanes in (1, 4, 8, 16))


@jit
def _lay_out(x: Array, begin: int, room: Array, layout: Any) -> None:
    """Copy an image, which begins at x[begin], into the room; what is around it there stays."""
    (h, w), (_, phases, width), (top, left) = layout[0], layout[1], layout[2]
    for first in range(min(phases, w)):  # a column of the image, which in the copy is `left` further right
        target = (top * phases + (left + first) % phases) * width + (left + first) // phases
        other = (top * phases + (left + first + 1) % phases) * width + (left + first + 1) // phases
        for r in range(h):
            row, shift = begin + r * w, r * phases * width
            if phases == 1:
                copy_run(at(room, target + shift), at(x, row), w)
            elif phases == 2 and w >= 16:  # both phases at once
                if first == 0:
                    for i in range(0, w // 2, 8):
                        j = min(i, w // 2 - 8)  # the last vector may overlap the one before
                        _split_8(x, row + 2 * j, room, target + shift + j, other + shift + j)
                    if w % 2:
                        room[target + shift + w // 2] = x[row + w - 1]
            else:
                for j in range((w - first + phases - 1) // phases):
                    room[target + shift + j] = x[row + first + j * phases]


@jit
def _best_row(
    room: Array, start: int, taps: Array, first: Array, begin: int, y: Array, winners: Array, out: int, n: int
) -> None:
    """Windows side by side; where n is no multiple of the lanes, the last vector overlaps the one before."""
    if n >= 16:
        for i in range(0, n, 16):
            j = min(i, n - 16)
            _best_16(room, start + j, taps, first, begin + j, y, winners, out + j)
    elif n >= 8:
        for i in range(0, n, 8):
            j = min(i, n - 8)
            _best_8(room, start + j, taps, first, begin + j, y, winners, out + j)
    elif n >= 4:
        for i in range(0, n, 4):
            j = min(i, n - 4)
            _best_4(room, start + j, taps, first, begin + j, y, winners, out + j)
    else:
        for j in range(n):
            _best_1(room, start + j, taps, first, begin + j, y, winners, out + j)


@tasks
def _largest_task(task, thread, x, y, winners, layout, images):
    (h, w), (rows, phases, width), _, taps, step, first = layout
    oh, ow = first.shape
    room = np.full(rows * phases * width, x.dtype.type(-math.inf))
    for image in range(task * images, min((task + 1) * images, len(y) // (oh * ow))):
        _lay_out(x, image * h * w, room, layout)
        for i in range(oh):
            _best_row(room, i * step, taps, first.reshape(-1), i * ow, y, winners, (image * oh + i) * ow, ow)


@jit
def _largest(x: Array, y: Array, winners: Array, layout: Any, images: int, n: int, team: int) -> None:
    _largest_task(team, n, (x, y, winners, layout, images))


def largest(
    x: Array, y: Array, winners: Array, sizes: tuple[Pair, Pair], window: tuple[Pair, ...], images: int,
    n: int, team: int,
) -> None:  # fmt: skip
    """The maxima and the winners of every window.

    Args:
        x: the images of one channel, one after the other in a row.
        y: takes the maxima.
        winners: takes the winners.
        sizes: of an image and of an output.
        window: kernel_size, stride, padding and dilation.
        images: so many make a task.
        n: how many tasks there are.
        team: of the pool.
    """
    _largest(x, y, winners, layout(*sizes, *window), images, n, team)
