"""Pooling and its gradients: the readable references.

Max-pooling keeps the largest cell of each window, and its gradient goes to that one cell. Average
pooling shares its gradient equally among the window's cells.

Letters: N images, C channels, H×W pixels; windows of kh×kw cells; OH×OW outputs.
"""

from __future__ import annotations

import math

import numpy as np

from minidl.array import Array
from minidl.kernels.conv import fold, unfold
from minidl.kernels.geometry import Pair, output_sizes
from minidl.kernels.registry import kernel

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_input_grad",
    "avg_pool2d",
    "avg_pool2d_input_grad",
    "max_pool2d",
    "max_pool2d_input_grad",
]


@kernel
def max_pool2d(
    x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[Array, Array]:
    """The largest cell of every window, and where it was.

    The padding counts as −∞, so it never wins: with zeros there, a window of negative numbers would give
    a zero that is not in the image. Among equal cells the first one in reading order wins; a NaN wins
    over everything.

    Args:
        x: (N, C, H, W).
        kernel_size: cells of a window, along height and width.
        stride: cells between two windows.
        padding: cells on both sides.
        dilation: cells between two taps of a window.
        ceil_mode: whether a last window may hang over the end.

    Returns:
        The maxima, (N, C, OH, OW), and their positions h·W + w in the image, int64 of the same shape.
    """
    h, w = x.shape[2:]
    place = np.arange(h * w).reshape(1, 1, h, w)
    window = (kernel_size, stride, padding, dilation, ceil_mode)
    cells = _windows(x, *window, outside=-math.inf)  # (N, C, OH, OW, kh·kw)
    where = np.broadcast_to(_windows(place, *window, outside=-1), cells.shape)  # (N, C, OH, OW, kh·kw)
    winner = cells.argmax(axis=-1)[..., None]  # (N, C, OH, OW, 1)
    y = np.take_along_axis(cells, winner, axis=-1)[..., 0]  # (N, C, OH, OW)
    indices = np.take_along_axis(where, winner, axis=-1)[..., 0]  # (N, C, OH, OW)
    # Where every cell is −∞ the padding can come first; the first cell of the image is meant.
    first_inside = (where >= 0).argmax(axis=-1)[..., None]  # (N, C, OH, OW, 1)
    inside = np.take_along_axis(where, first_inside, axis=-1)[..., 0]  # (N, C, OH, OW)
    indices = np.where(indices < 0, inside, indices)
    return y, indices


@kernel
def max_pool2d_input_grad(dy: Array, indices: Array, input_shape: tuple[int, ...]) -> Array:
    """Each window's gradient goes to the cell that won it; cells that won several windows add up.

    Args:
        dy: (N, C, OH, OW).
        indices: positions from `max_pool2d`, of dy's shape.
        input_shape: (N, C, H, W).

    Returns:
        (N, C, H, W).
    """
    n, c, h, w = input_shape
    dx = np.zeros((n * c, h * w), dy.dtype)
    images = np.arange(n * c)[:, None]  # (N·C, 1)
    cells = dy.shape[2] * dy.shape[3]
    np.add.at(dx, (images, indices.reshape(n * c, cells)), dy.reshape(n * c, cells))
    return dx.reshape(input_shape)  # (N, C, H, W)


@kernel
def avg_pool2d(
    x: Array,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """The mean of every window.

    Args:
        x: (N, C, H, W).
        kernel_size: cells of a window, along height and width.
        stride: cells between two windows.
        padding: zeros on both sides.
        ceil_mode: whether a last window may hang over the end.
        count_include_pad: whether the padding's zeros count as cells.
        divisor_override: a fixed divisor in place of the number of cells.

    Returns:
        (N, C, OH, OW).
    """
    cells = _windows(x, kernel_size, stride, padding, (1, 1), ceil_mode, outside=0.0)
    counts = _counts(x.shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return cells.sum(axis=-1) / counts.astype(x.dtype)  # (N, C, OH, OW)


@kernel
def avg_pool2d_input_grad(
    dy: Array,
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """Each window's gradient, divided by what the mean divided by, goes to all of its cells.

    Args:
        dy: (N, C, OH, OW).
        input_shape: (N, C, H, W).
        kernel_size: as in `avg_pool2d`; so are the others.
        stride: cells between two windows.
        padding: zeros on both sides.
        ceil_mode: whether a last window may hang over the end.
        count_include_pad: whether the padding's zeros count as cells.
        divisor_override: a fixed divisor in place of the number of cells.

    Returns:
        (N, C, H, W).
    """
    n, c, h, w = input_shape
    counts = _counts(
        input_shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
    share = (dy / counts.astype(dy.dtype))[:, :, None, None]  # (N, C, 1, 1, OH, OW)
    patches = np.broadcast_to(share, (n, c, *kernel_size, *dy.shape[2:]))  # (N, C, kh, kw, OH, OW)
    (top, bottom), (left, right) = _around(input_shape, kernel_size, stride, padding, (1, 1), ceil_mode)
    padded = fold(patches, (n, c, top + h + bottom, left + w + right), stride, (0, 0), (1, 1))
    return padded[:, :, top : top + h, left : left + w].copy()  # (N, C, H, W)


@kernel
def adaptive_avg_pool2d(x: Array, output_size: Pair) -> Array:
    """Means over a grid of OH×OW windows that cover the image, whatever its size.

    Window i goes from ⌊i·H/OH⌋ to ⌈(i+1)·H/OH⌉, so that neighbours may overlap by one cell.

    Args:
        x: (N, C, H, W).
        output_size: (OH, OW).

    Returns:
        (N, C, OH, OW).
    """
    y = np.empty((*x.shape[:2], *output_size), x.dtype)
    for i, rows in enumerate(_adaptive_windows(x.shape[2], output_size[0])):
        for j, columns in enumerate(_adaptive_windows(x.shape[3], output_size[1])):
            y[:, :, i, j] = x[:, :, rows, columns].mean(axis=(2, 3))
    return y


@kernel
def adaptive_avg_pool2d_input_grad(dy: Array, input_shape: tuple[int, ...]) -> Array:
    """Each window's gradient is shared equally by its cells.

    Args:
        dy: (N, C, OH, OW).
        input_shape: (N, C, H, W).

    Returns:
        (N, C, H, W).
    """
    dx = np.zeros(input_shape, dy.dtype)
    for i, rows in enumerate(_adaptive_windows(input_shape[2], dy.shape[2])):
        for j, columns in enumerate(_adaptive_windows(input_shape[3], dy.shape[3])):
            cells = (rows.stop - rows.start) * (columns.stop - columns.start)
            dx[:, :, rows, columns] += dy[:, :, i : i + 1, j : j + 1] / cells
    return dx


def _adaptive_windows(size: int, windows: int) -> list[slice]:
    return [slice(i * size // windows, -(-(i + 1) * size // windows)) for i in range(windows)]


def _windows(
    x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool, outside: float
) -> Array:
    """Every window's cells in reading order, (N, C, OH, OW, kh·kw); what is not in the image is `outside`."""
    around = _around(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    padded = np.pad(x, ((0, 0), (0, 0), *around), constant_values=outside)
    patches = unfold(padded, kernel_size, stride, (0, 0), dilation)  # (N, C, kh, kw, OH, OW)
    n, c, kh, kw, oh, ow = patches.shape
    return patches.transpose(0, 1, 4, 5, 2, 3).reshape(n, c, oh, ow, kh * kw)


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


def _counts(
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """What each window's sum is divided by, (1, 1, OH, OW).

    A window that hangs over the end (`ceil_mode`) never counts the cells beyond the padding.
    """
    along = []
    sizes = output_sizes(input_shape, kernel_size, stride, padding, (1, 1), ceil_mode)
    for size, windows, cells, step, pad in zip(
        input_shape[2:], sizes, kernel_size, stride, padding, strict=True
    ):
        start = np.arange(windows) * step - pad
        low, high = (-pad, size + pad) if count_include_pad else (0, size)
        along.append(np.minimum(start + cells, high) - np.maximum(start, low))
    counts = np.outer(*along)[None, None]  # (1, 1, OH, OW)
    return counts if divisor_override is None else np.full_like(counts, divisor_override)
