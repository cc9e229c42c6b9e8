"""Max-pooling and its gradient: the readable references.

Max-pooling keeps the largest cell of each window, and its gradient goes to that one cell.

Letters: N images, C channels, H×W pixels; windows of kh×kw cells; OH×OW outputs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.array import Array
from minidl.kernels.conv import fold, unfold
from minidl.kernels.geometry import Pair, output_sizes
from minidl.kernels.registry import kernel

__all__ = [
    "check_winners",
    "fold_windows",
    "max_pool2d",
    "max_pool2d_input_grad",
    "windows_of",
    "winner_dtype",
    "winner_positions",
]


@kernel
def max_pool2d(
    x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[Array, Array]:
    """The largest cell of every window, and which of the window's cells it was.

    The padding is outside the image and never wins: with zeros there, a window of negative numbers would
    give a zero that is not in the image. Among equal cells the first one in reading order wins; a NaN wins
    over everything.

    Args:
        x: (N, C, H, W).
        kernel_size: cells of a window, along height and width.
        stride: cells between two windows.
        padding: cells on both sides.
        dilation: cells between two taps of a window.
        ceil_mode: whether a last window may hang over the end.

    Returns:
        The maxima, (N, C, OH, OW), and the winners: u·kw + v for the cell at row u, column v of its window,
        of the same shape and in the smallest unsigned integers that can hold them. (A byte per window: the
        layer keeps them until the gradient comes. `winner_positions` says where in the image they are.)
    """
    h, w = x.shape[2:]
    window = (kernel_size, stride, padding, dilation, ceil_mode)
    cells = windows_of(x, *window, outside=-math.inf)  # (N, C, kh, kw, OH, OW)
    inside = windows_of(np.ones((1, 1, h, w)), *window, outside=0) > 0  # (1, 1, kh, kw, OH, OW)
    shape = (*x.shape[:2], *cells.shape[4:])
    y, winners = np.full(shape, -math.inf, x.dtype), np.full(shape, -1)
    for u in range(kernel_size[0]):
        for v in range(kernel_size[1]):
            cell = cells[:, :, u, v]  # (N, C, OH, OW)
            wins = (cell > y) | (np.isnan(cell) & ~np.isnan(y)) | (winners < 0)
            wins &= inside[:, :, u, v]
            y = np.where(wins, cell, y)
            winners = np.where(wins, u * kernel_size[1] + v, winners)
    return y, winners.astype(winner_dtype(kernel_size))


@kernel
def max_pool2d_input_grad(
    dy: Array,
    winners: Array,
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> Array:
    """Each window's gradient goes to the cell that won it; cells that won several windows add up.

    Args:
        dy: (N, C, OH, OW).
        winners: from `max_pool2d`, of dy's shape.
        input_shape: (N, C, H, W).
        kernel_size: as in `max_pool2d`; so are the others.
        stride: cells between two windows.
        padding: cells on both sides.
        dilation: cells between two taps of a window.
        ceil_mode: whether a last window may hang over the end.

    Returns:
        (N, C, H, W).

    Raises:
        IndexError: a winner that is no cell of a window.
    """
    check_winners(winners, kernel_size)
    taps = np.arange(kernel_size[0] * kernel_size[1]).reshape(*kernel_size, 1, 1)  # (kh, kw, 1, 1)
    patches = np.where(winners[:, :, None, None] == taps, dy[:, :, None, None], 0)  # (N, C, kh, kw, OH, OW)
    return fold_windows(patches, input_shape, kernel_size, stride, padding, dilation, ceil_mode)


def winner_dtype(kernel_size: Pair) -> np.dtype[Any]:
    """The smallest unsigned integers that number a window's cells."""
    return np.min_scalar_type(kernel_size[0] * kernel_size[1] - 1)


def check_winners(winners: Array, kernel_size: Pair) -> None:
    """Refuse winners that are no cell of a window.

    Raises:
        IndexError: it names the largest one, or the smallest.
    """
    cells = kernel_size[0] * kernel_size[1]
    if winners.size == 0:
        return
    worst = winners.max()
    if worst < cells and winners.dtype.kind != "u":
        worst = winners.min()
    if not 0 <= worst < cells:
        raise IndexError(f"max_pool2d_input_grad: expected winners from 0 to {cells - 1}, got {worst}")


def winner_positions(
    winners: Array, width: int, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """Where in the image the winners of `max_pool2d` are: h·W + w, int64, as PyTorch's indices.

    Args:
        winners: (N, C, OH, OW).
        width: W of the image.
        kernel_size: as in `max_pool2d`; so are the others.
        stride: cells between two windows.
        padding: cells on both sides.
        dilation: cells between two taps of a window.

    Returns:
        (N, C, OH, OW).
    """
    u, v = np.divmod(winners.astype(np.int64), kernel_size[1])
    i, j = (np.arange(size, like=winners) for size in winners.shape[2:])
    row = u * dilation[0] + (i * stride[0] - padding[0])[:, None]
    column = v * dilation[1] + j * stride[1] - padding[1]
    return row * width + column


def windows_of(
    x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool, outside: float
) -> Array:
    """Every window's cells, (N, C, kh, kw, OH, OW); what is not in the image is `outside`."""
    around = _around(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    padded = np.pad(x, ((0, 0), (0, 0), *around), constant_values=outside)
    return unfold(padded, kernel_size, stride, (0, 0), dilation)


def fold_windows(
    patches: Array,
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> Array:
    """Add every window's cells back to the image, (N, C, H, W); what falls into the padding is lost."""
    n, c, h, w = input_shape
    (top, bottom), (left, right) = _around(input_shape, kernel_size, stride, padding, dilation, ceil_mode)
    padded = fold(patches, (n, c, top + h + bottom, left + w + right), stride, (0, 0), dilation)
    return padded[:, :, top : top + h, left : left + w].copy()  # (N, C, H, W)


def _around(
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> tuple[Pair, Pair]:
    """Cells to add (before, after) the image, along height and width, so that the last window fits."""
    sizes = output_sizes(input_shape, kernel_size, stride, padding, dilation, ceil_mode)
    rows, columns = (
        (pad, max(0, (windows - 1) * step + gap * (cells - 1) + 1 - size - pad))
        for size, windows, cells, step, pad, gap in zip(
            input_shape[2:], sizes, kernel_size, stride, padding, dilation, strict=True
        )
    )
    return rows, columns
