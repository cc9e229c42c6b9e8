"""Average pooling: sums over windows that are given by where their rows and columns begin and end.

Fixed windows, cut off at the image's edge, and adaptive ones differ only in these numbers and in what the
sums are divided by; so they share their loops. Images of one channel are shared out among the threads.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import averages
from minidl.kernels.geometry import Pair, output_sizes
from minidl.kernels.numba_cpu.arguments import where
from minidl.kernels.numba_cpu.jit import SUMS, jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.tasks import rows_of_task, tasks

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_input_grad",
    "avg_pool2d",
    "avg_pool2d_input_grad",
]

TASK = 32_768  # cells of the input that make one task


class Windows(NamedTuple):
    """Where one shape of input has its windows.

    Attributes:
        rows: (2, OH), the first row of each window and the one after its last.
        columns: (2, OW), likewise.
        counts: (OH·OW,), what each window's sum is divided by.
    """

    rows: Array
    columns: Array
    counts: Array


@functools.lru_cache(maxsize=512)
def _fixed(
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
    dtype: str,
) -> Windows:
    counts = averages.window_counts(
        input_shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
    sizes = output_sizes(input_shape, kernel_size, stride, padding, (1, 1), ceil_mode)
    ends = []
    for size, windows, cells, step, pad in zip(
        input_shape[2:], sizes, kernel_size, stride, padding, strict=True
    ):
        start = np.arange(windows) * step - pad
        ends.append(np.stack([np.clip(start, 0, size), np.clip(start + cells, 0, size)]))
    return Windows(ends[0], ends[1], counts.astype(dtype).reshape(-1))


@functools.lru_cache(maxsize=512)
def _adaptive(size: Pair, output_size: Pair, dtype: str) -> Windows:
    rows, columns = (
        np.array([(window.start, window.stop) for window in averages.adaptive_windows(*along)]).T.copy()
        for along in zip(size, output_size, strict=True)
    )
    counts = np.outer(rows[1] - rows[0], columns[1] - columns[0])
    return Windows(rows, columns, counts.astype(dtype).reshape(-1))


def _of_windows(
    dy: Array,
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    *_: Any,
) -> bool:
    sizes = output_sizes(input_shape, kernel_size, stride, padding, (1, 1), ceil_mode)
    return dy.shape == (*input_shape[:2], *sizes)


def _of_images(dy: Array, input_shape: tuple[int, ...]) -> bool:
    return dy.ndim == 4 and dy.shape[:2] == tuple(input_shape[:2])


@averages.avg_pool2d.register(np.ndarray)
def avg_pool2d(
    x: Array,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """As the reference."""
    how = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return _forward(x, _fixed(x.shape, *how, x.dtype.char))


@averages.avg_pool2d_input_grad.register(np.ndarray)
@where(_of_windows, averages.avg_pool2d_input_grad)
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
    """As the reference."""
    how = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return _backward(dy, input_shape, _fixed(input_shape, *how, dy.dtype.char))


@averages.adaptive_avg_pool2d.register(np.ndarray)
def adaptive_avg_pool2d(x: Array, output_size: Pair) -> Array:
    """As the reference."""
    return _forward(x, _adaptive(x.shape[2:], output_size, x.dtype.char))


@averages.adaptive_avg_pool2d_input_grad.register(np.ndarray)
@where(_of_images, averages.adaptive_avg_pool2d_input_grad)
def adaptive_avg_pool2d_input_grad(dy: Array, input_shape: tuple[int, ...]) -> Array:
    """As the reference."""
    return _backward(dy, input_shape, _adaptive(input_shape[2:], dy.shape[2:], dy.dtype.char))


def _forward(x: Array, windows: Windows) -> Array:
    n, c, h, w = x.shape
    y = empty((n, c, windows.rows.shape[1], windows.columns.shape[1]), x.dtype)
    if y.size:
        with POOL.team(max(x.size, y.size)) as team:
            _average(np.ascontiguousarray(x).reshape(-1), y.reshape(-1), *windows, h, w, team)
    return y


def _backward(dy: Array, input_shape: tuple[int, ...], windows: Windows) -> Array:
    dx = empty(input_shape, dy.dtype)
    if dx.size:
        with POOL.team(max(dx.size, dy.size)) as team:
            _share(
                np.ascontiguousarray(dy).reshape(-1),
                dx.reshape(-1),
                *windows,
                input_shape[2],
                input_shape[3],
                team,
            )
    return dx


@jit
def _add_row(row: Array, line: Array) -> None:
    for c in range(len(line)):
        line[c] += row[c]


@functools.partial(jit, fastmath=SUMS)
def _add_up(x: Array) -> float:
    total = x.dtype.type(0)
    for c in range(len(x)):
        total += x[c]
    return total


@jit
def _add_to_all(x: Array, share: float) -> None:
    for c in range(len(x)):
        x[c] += share


@jit
def _add_windows(line: Array, columns: Array, y: Array) -> None:
    """Into y[j] the sum of the numbers from columns[0, j] to columns[1, j]."""
    for j in range(len(y)):
        total = line.dtype.type(0)
        for c in range(columns[0, j], columns[1, j]):
            total += line[c]
        y[j] = total


@tasks
def _average_task(task, thread, x, y, rows, columns, counts, h, w):
    oh, ow = rows.shape[1], columns.shape[1]
    images = rows_of_task(h * w, TASK)
    line = np.empty(w, x.dtype)  # the rows of one row of windows, added up
    whole = ow == 1 and columns[1, 0] - columns[0, 0] == w  # then a window is one run of numbers
    for image in range(task * images, min((task + 1) * images, len(x) // (h * w))):
        for i in range(oh):
            if whole:
                total = _add_up(x[(image * h + rows[0, i]) * w : (image * h + rows[1, i]) * w])
                y[image * oh + i] = total / counts[i]
                continue
            line[:] = 0
            for r in range(image * h + rows[0, i], image * h + rows[1, i]):
                _add_row(x[r * w : (r + 1) * w], line)
            means = y[(image * oh + i) * ow : (image * oh + i + 1) * ow]
            _add_windows(line, columns, means)
            for j in range(ow):
                means[j] /= counts[i * ow + j]


@jit
def _average(
    x: Array, y: Array, rows: Array, columns: Array, counts: Array, h: int, w: int, team: int
) -> None:
    n = -(-(len(x) // (h * w)) // rows_of_task(h * w, TASK))
    _average_task(team, n, (x, y, rows, columns, counts, h, w))


@tasks
def _share_task(task, thread, dy, dx, rows, columns, counts, h, w):
    oh, ow = rows.shape[1], columns.shape[1]
    images = rows_of_task(h * w, TASK)
    first, last = task * images, min((task + 1) * images, len(dx) // (h * w))
    line = np.empty(w, dx.dtype)  # what every row of one row of windows gets
    whole = ow == 1 and columns[1, 0] - columns[0, 0] == w
    dx[first * h * w : last * h * w] = 0
    for image in range(first, last):
        for i in range(oh):
            if whole:
                share = dy[image * oh + i] / counts[i]
                _add_to_all(dx[(image * h + rows[0, i]) * w : (image * h + rows[1, i]) * w], share)
                continue
            line[:] = 0
            for j in range(ow):
                share = dy[(image * oh + i) * ow + j] / counts[i * ow + j]
                for c in range(columns[0, j], columns[1, j]):
                    line[c] += share
            for r in range(image * h + rows[0, i], image * h + rows[1, i]):
                _add_row(line, dx[r * w : (r + 1) * w])


@jit
def _share(
    dy: Array, dx: Array, rows: Array, columns: Array, counts: Array, h: int, w: int, team: int
) -> None:
    n = -(-(len(dx) // (h * w)) // rows_of_task(h * w, TASK))
    _share_task(team, n, (dy, dx, rows, columns, counts, h, w))
