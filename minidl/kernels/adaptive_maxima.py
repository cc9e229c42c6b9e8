"""Adaptive max-pooling and its gradient: the readable references.

The largest cell of each of a grid of windows that cover the image, whatever its size.

Letters: N images, C channels, H×W pixels; OH×OW windows.
"""

from __future__ import annotations

import numpy as np

from minidl.array import Array
from minidl.kernels.averages import adaptive_windows
from minidl.kernels.geometry import Pair
from minidl.kernels.registry import kernel

__all__ = ["adaptive_max_pool2d", "adaptive_max_pool2d_input_grad", "check_pixels"]


@kernel
def adaptive_max_pool2d(x: Array, output_size: Pair) -> tuple[Array, Array]:
    """The largest cell of every window, and where in the image it is.

    Window i goes from ⌊i·H/OH⌋ to ⌈(i+1)·H/OH⌉, as in `adaptive_avg_pool2d`. Among equal cells the first one
    in reading order wins; a NaN wins over everything.

    Args:
        x: (N, C, H, W), with at least one pixel.
        output_size: (OH, OW).

    Returns:
        The maxima, (N, C, OH, OW), and the winners h·W + w, int32 of the same shape.
    """
    n, c, h, w = x.shape
    y = np.empty((n, c, *output_size), x.dtype)
    winners = np.empty(y.shape, np.int32)
    positions = np.arange(h * w).reshape(h, w)
    for i, rows in enumerate(adaptive_windows(h, output_size[0])):
        for j, columns in enumerate(adaptive_windows(w, output_size[1])):
            here = positions[rows, columns].reshape(-1)  # (cells,)
            cells = x[:, :, rows, columns].reshape(n, c, len(here))
            best = cells.argmax(axis=2)  # (N, C)
            y[:, :, i, j] = np.take_along_axis(cells, best[:, :, None], axis=2)[:, :, 0]
            winners[:, :, i, j] = here[best]
    return y, winners


@kernel
def adaptive_max_pool2d_input_grad(dy: Array, winners: Array, input_shape: tuple[int, ...]) -> Array:
    """Each window's gradient goes to the pixel that won it; pixels that won several windows add up.

    Args:
        dy: (N, C, OH, OW).
        winners: from `adaptive_max_pool2d`, of dy's shape.
        input_shape: (N, C, H, W).

    Returns:
        (N, C, H, W).

    Raises:
        IndexError: a winner that is no pixel of the image.
    """
    n, c, h, w = input_shape
    check_pixels(winners, h * w)
    dx = np.zeros((n * c, h * w), dy.dtype)
    windows = (n * c, dy.shape[2] * dy.shape[3])
    np.add.at(dx, (np.arange(n * c)[:, None], winners.reshape(windows)), dy.reshape(windows))
    return dx.reshape(input_shape)


def check_pixels(winners: Array, pixels: int) -> None:
    """Refuse winners that are no pixel of the image.

    Raises:
        IndexError: it names the largest one, or the smallest.
    """
    if winners.size and not 0 <= winners.min() <= winners.max() < pixels:
        worst = winners.max() if winners.max() >= pixels else winners.min()
        raise IndexError(
            f"adaptive_max_pool2d_input_grad: expected winners from 0 to {pixels - 1}, got {worst}"
        )
