"""Max-pooling: a thread finds the largest cell of a window; back, a thread collects what its pixel won.

The gradient is gathered: a pixel looks at the windows that it is in. If windows gave it out, as the formula
says, several would add to one pixel at once, in an order that nobody knows.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import cuda, gpu_function, gpu_kernel, int32, real, uint32
from minidl.errors import DTypeError, ShapeError
from minidl.kernels import pooling
from minidl.kernels.cuda.lanes import each
from minidl.kernels.geometry import Pair, output_sizes

__all__ = ["max_pool2d", "max_pool2d_input_grad", "pixel_of", "quotient", "windows_over"]

WINDOW = (
    "int32 H, int32 W, int32 OH, int32 OW, int32 kh, int32 kw, int32 sh, int32 sw, int32 ph, int32 pw, "
    "int32 dh, int32 dw"
)


@gpu_function
def pixel_of(at, height, width):
    """Which plane, row and column the number `at` of arrays (planes, height, width) is in."""
    row = uint32(at // uint32(width))
    plane = uint32(row // uint32(height))
    return plane, int32(row - plane * height), int32(at - row * width)


@gpu_function
def quotient(number, divisor):
    """How often the divisor fits, for numbers ≥ 0: a division of signed numbers takes three times as long."""
    return int32(uint32(number) // uint32(divisor))


@gpu_function
def windows_over(cell, reach, stride, padding, windows):
    """The first window that a cell is in, and the one after the last, if windows reach so many cells."""
    at = int32(cell + padding)
    first = int32(0)
    if at >= reach:
        first = int32(quotient(at - reach, stride) + 1)
    return first, int32(min(windows, quotient(at, stride) + 1))


@gpu_function
def largest(x, at, H, W, OH, OW, kh, kw, sh, sw, ph, pw, dh, dw):
    """The largest cell of window `at`, and which one it is: the first among equal ones, a NaN before all."""
    plane, i, j = pixel_of(at, OH, OW)
    best = real(-math.inf)
    winner = int32(-1)
    for u in range(kh):
        row = int32(i * sh - ph + u * dh)
        for v in range(kw):
            column = int32(j * sw - pw + v * dw)
            if row >= 0 and row < H and column >= 0 and column < W:
                value = x[uint32((plane * H + row) * W + column)]
                if winner < 0 or value > best or (value != value and best == best):
                    best = value
                    winner = int32(u * kw + v)
    return best, winner


@gpu_function
def collected(dy, winners, at, H, W, OH, OW, kh, kw, sh, sw, ph, pw, dh, dw):
    """The gradients of all windows that pixel `at` won."""
    plane, row, column = pixel_of(at, H, W)
    top, bottom = windows_over(row, (kh - 1) * dh + 1, sh, ph, OH)
    left, right = windows_over(column, (kw - 1) * dw + 1, sw, pw, OW)
    total = real(0)
    for i in range(top, bottom):
        down = int32(row + ph - i * sh)
        u = quotient(down, dh)
        for j in range(left, right):
            over = int32(column + pw - j * sw)
            v = quotient(over, dw)
            window = uint32((plane * OH + i) * OW + j)
            if u * dh == down and v * dw == over and winners[window] == u * kw + v:
                total += dy[window]
    return total


@gpu_kernel(f"real* y, uint8* winners, const real* x, {WINDOW}, int32 size")
def max_pool2d_kernel(y, winners, x, H, W, OH, OW, kh, kw, sh, sw, ph, pw, dh, dw, size):
    """A thread has a window."""
    at = uint32(cuda.grid(1))
    if at < uint32(size):
        best, winner = largest(x, at, H, W, OH, OW, kh, kw, sh, sw, ph, pw, dh, dw)
        y[at] = best
        winners[at] = winner


@gpu_kernel(f"real* y, int32* winners, const real* x, {WINDOW}, int32 size")
def max_pool2d_wide_kernel(y, winners, x, H, W, OH, OW, kh, kw, sh, sw, ph, pw, dh, dw, size):
    """The same for windows whose cells a byte cannot number."""
    at = uint32(cuda.grid(1))
    if at < uint32(size):
        best, winner = largest(x, at, H, W, OH, OW, kh, kw, sh, sw, ph, pw, dh, dw)
        y[at] = best
        winners[at] = winner


@gpu_kernel(f"real* dx, const real* dy, const uint8* winners, {WINDOW}, int32 size")
def max_pool2d_input_grad_kernel(dx, dy, winners, H, W, OH, OW, kh, kw, sh, sw, ph, pw, dh, dw, size):
    """A thread has a pixel."""
    at = uint32(cuda.grid(1))
    if at < uint32(size):
        dx[at] = collected(dy, winners, at, H, W, OH, OW, kh, kw, sh, sw, ph, pw, dh, dw)


@gpu_kernel(f"real* dx, const real* dy, const int32* winners, {WINDOW}, int32 size")
def max_pool2d_input_grad_wide_kernel(dx, dy, winners, H, W, OH, OW, kh, kw, sh, sw, ph, pw, dh, dw, size):
    """The same for windows whose cells a byte cannot number."""
    at = uint32(cuda.grid(1))
    if at < uint32(size):
        dx[at] = collected(dy, winners, at, H, W, OH, OW, kh, kw, sh, sw, ph, pw, dh, dw)


@pooling.max_pool2d.register(DeviceArray)
def max_pool2d(
    x: DeviceArray, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[DeviceArray, DeviceArray]:
    """As the reference, but the winners of more than 256 cells are int32, as no device array is uint16."""
    sizes, numbers = _numbers(x.shape, (kernel_size, stride, padding, dilation), ceil_mode)
    shape = (*x.shape[:2], *sizes)
    bytes_do = pooling.winner_dtype(kernel_size) == np.uint8
    run = max_pool2d_kernel if bytes_do else max_pool2d_wide_kernel
    y = empty(shape, x.dtype, x.device)
    winners = empty(shape, np.uint8 if bytes_do else np.int32, x.device)
    each(run, y.size, y, winners, x.contiguous(), *numbers)
    return y, winners


@pooling.max_pool2d_input_grad.register(DeviceArray)
def max_pool2d_input_grad(
    dy: DeviceArray,
    winners: DeviceArray,
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> DeviceArray:
    """As the reference, but a winner that is no cell of its window gets nothing, and no error."""
    sizes, numbers = _numbers(tuple(input_shape), (kernel_size, stride, padding, dilation), ceil_mode)
    if not dy.shape == winners.shape == (*input_shape[:2], *sizes):
        raise ShapeError(
            f"max_pool2d_input_grad: expected dy and winners {(*input_shape[:2], *sizes)}, "
            f"got {dy.shape} and {winners.shape}"
        )
    if winners.dtype.kind not in "iu":
        raise DTypeError(f"max_pool2d_input_grad: expected winners of integers, got {winners.dtype}")
    dx = empty(tuple(input_shape), dy.dtype, dy.device)
    run = max_pool2d_input_grad_kernel if winners.dtype == np.uint8 else max_pool2d_input_grad_wide_kernel
    given = winners if winners.dtype == np.uint8 else winners.astype(np.int32, copy=False)
    each(run, dx.size, dx, dy.contiguous(), given.contiguous(), *numbers)
    return dx


@functools.lru_cache(maxsize=4096)  # a training step pools the same shapes every time
def _numbers(
    input_shape: tuple[int, ...], how: tuple[Pair, Pair, Pair, Pair], ceil_mode: bool
) -> tuple[Pair, tuple[int, ...]]:
    """How many windows there are along the height and width, and what `WINDOW` names."""
    sizes = output_sizes(input_shape, *how, ceil_mode)
    return sizes, (*input_shape[2:], *sizes, *(number for pair in how for number in pair))
