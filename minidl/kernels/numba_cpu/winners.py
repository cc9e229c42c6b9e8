"""Max-pooling's way back for windows of every size: each window's gradient is added to the cell that won it.

That is one number after the other, but few instructions for each, if nothing has to be asked: a table says
how far from the window's corner each tap is. Only a window that hangs over an edge is asked whether the tap
that won it is in the image. (What `max_pool2d` gave is; who makes winners up may name a cell of the padding.)
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from minidl.array import Array
from minidl.kernels.geometry import Pair
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.tasks import tasks
from minidl.kernels.numba_cpu.tile import at, get, offset, put

__all__ = ["Corners", "corners", "give_back"]


class Corners(NamedTuple):
    """Where the windows' corners and the taps are.

    Attributes:
        image: (H, W).
        output: (OH, OW).
        stride: of the windows.
        padding: above and on the left.
        inner: rows and columns of windows that are inside the image: from, to, from, to.
        rows: how far below the corner the tap u·kw + v is.
        columns: how far to the right of it.
        taps: both, in an image: rows · W + columns.
    """

    image: Pair
    output: Pair
    stride: Pair
    padding: Pair
    inner: tuple[int, int, int, int]
    rows: Array
    columns: Array
    taps: Array


@functools.lru_cache(maxsize=512)
def corners(
    image: Pair, output: Pair, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Corners:
    """The corners for images of this size; they depend on sizes alone."""
    inner = []
    for size, windows, cells, step, pad, gap in zip(
        image, output, kernel_size, stride, padding, dilation, strict=True
    ):
        first = min(windows, -(-pad // step))
        end = (size - 1 + pad - (cells - 1) * gap) // step + 1  # what begins later hangs over the end
        inner += [first, max(first, min(windows, end))]
    u, v = np.divmod(np.arange(kernel_size[0] * kernel_size[1]), kernel_size[1])
    rows, columns = u * dilation[0], v * dilation[1]
    return Corners(
        image,
        output,
        stride,
        padding,
        (inner[0], inner[1], inner[2], inner[3]),
        rows,
        columns,
        rows * image[1] + columns,
    )


@jit
def _add_row(dy: Any, winners: Any, corner: Any, beside: int, taps: Any, n: int) -> None:
    """The gradients of n windows inside the image, side by side; all by their addresses."""
    for j in range(n):
        cell = get(taps, get(winners, j))
        put(corner, cell, get(corner, cell) + get(dy, j))
        corner = offset(corner, beside)


@jit
def _add_edge(
    dy: Any, winners: Any, image: Any, h: int, w: int, top: int, left: int, beside: int, rows: Any,
    columns: Any, n: int,
) -> None:  # fmt: skip
    """The same for windows that hang over an edge, of which the first has its corner at (top, left)."""
    for j in range(n):
        tap = get(winners, j)
        row, column = top + get(rows, tap), left + get(columns, tap)
        if 0 <= row < h and 0 <= column < w:
            cell = row * w + column
            put(image, cell, get(image, cell) + get(dy, j))
        left += beside


@tasks
def _give_back_task(task, thread, dy, winners, dx, corners, images):
    (h, w), (oh, ow), (sh, sw), (ph, pw), (top, bottom, first, last), rows, columns, taps = corners
    for image in range(task * images, min((task + 1) * images, len(dx) // (h * w))):
        dx[image * h * w : (image + 1) * h * w] = 0
        cells = at(dx, image * h * w)
        for i in range(oh):
            dys, won = at(dy, (image * oh + i) * ow), at(winners, (image * oh + i) * ow)
            row = i * sh - ph
            begin, end = (first, last) if top <= i < bottom else (0, 0)
            _add_edge(dys, won, cells, h, w, row, -pw, sw, at(rows, 0), at(columns, 0), begin)
            corner = offset(cells, row * w + begin * sw - pw)
            _add_row(offset(dys, begin), offset(won, begin), corner, sw, at(taps, 0), end - begin)
            _add_edge(
                offset(dys, end), offset(won, end), cells, h, w, row, end * sw - pw, sw,
                at(rows, 0), at(columns, 0), ow - end,
            )  # fmt: skip


@jit
def _give_back(dy: Array, winners: Array, dx: Array, corners: Any, images: int, n: int, team: int) -> None:
    _give_back_task(team, n, (dy, winners, dx, corners, images))


def give_back(
    dy: Array, winners: Array, dx: Array, sizes: tuple[Pair, Pair], window: tuple[Pair, ...], images: int,
    n: int, team: int,
) -> None:  # fmt: skip
    """The gradients of all images; no winner is beyond the window's taps.

    Args:
        dy: the gradients of all windows in a row.
        winners: which tap won.
        dx: takes the gradients.
        sizes: of an image and of an output.
        window: kernel_size, stride, padding and dilation.
        images: so many make a task.
        n: how many tasks there are.
        team: of the pool.
    """
    _give_back(dy, winners, dx, corners(*sizes, *window), images, n, team)
