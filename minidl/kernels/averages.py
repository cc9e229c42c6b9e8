"""Average pooling and its gradient: the readable references.

The mean of each window, which shares its gradient equally among the window's cells.

Letters: N images, C channels, H×W pixels; windows of kh×kw cells; OH×OW outputs.
"""

from __future__ import annotations

import numpy as np

from minidl.array import Array
from minidl.kernels.geometry import Pair, output_sizes
from minidl.kernels.pooling import fold_windows, windows_of
from minidl.kernels.registry import kernel

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_input_grad",
    "adaptive_windows",
    "avg_pool2d",
    "avg_pool2d_input_grad",
    "window_counts",
]


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
    cells = windows_of(x, kernel_size, stride, padding, (1, 1), ceil_mode, outside=0.0)
    counts = window_counts(
        x.shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
    return cells.sum(axis=(2, 3)) / counts.astype(x.dtype)  # (N, C, OH, OW)


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
    n, c = input_shape[:2]
    counts = window_counts(
        input_shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
    share = (dy / counts.astype(dy.dtype))[:, :, None, None]  # (N, C, 1, 1, OH, OW)
    patches = np.broadcast_to(share, (n, c, *kernel_size, *dy.shape[2:]))  # (N, C, kh, kw, OH, OW)
    return fold_windows(patches, input_shape, kernel_size, stride, padding, (1, 1), ceil_mode)


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
    for i, rows in enumerate(adaptive_windows(x.shape[2], output_size[0])):
        for j, columns in enumerate(adaptive_windows(x.shape[3], output_size[1])):
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
    for i, rows in enumerate(adaptive_windows(input_shape[2], dy.shape[2])):
        for j, columns in enumerate(adaptive_windows(input_shape[3], dy.shape[3])):
            cells = (rows.stop - rows.start) * (columns.stop - columns.start)
            dx[:, :, rows, columns] += dy[:, :, i : i + 1, j : j + 1] / cells
    return dx


def adaptive_windows(size: int, windows: int) -> list[slice]:
    """Windows along one axis that cover it, neighbours overlapping by at most one cell."""
    return [slice(i * size // windows, -(-(i + 1) * size // windows)) for i in range(windows)]


def window_counts(
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
