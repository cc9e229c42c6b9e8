"""Adaptive max-pooling: a thread finds a window's largest cell; back, a thread collects what a pixel won."""

from __future__ import annotations

import math

import numpy as np

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import cuda, gpu_kernel, int32, real, uint32
from minidl.errors import ShapeError
from minidl.kernels import adaptive_maxima
from minidl.kernels.cuda.averages import GRID, bounds, windows_around
from minidl.kernels.cuda.lanes import each, like
from minidl.kernels.cuda.pooling import pixel_of
from minidl.kernels.geometry import Pair

__all__ = ["adaptive_max_pool2d", "adaptive_max_pool2d_input_grad"]


@gpu_kernel(f"real* y, int32* winners, const real* x, {GRID}, int32 size")
def adaptive_max_pool2d_kernel(y, winners, x, H, W, OH, OW, size):
    """A thread has a window: the first among equal cells wins, a NaN before all."""
    at = uint32(cuda.grid(1))
    if at < uint32(size):
        plane, i, j = pixel_of(at, OH, OW)
        top, bottom = bounds(i, H, OH)
        left, right = bounds(j, W, OW)
        best = real(-math.inf)
        winner = int32(-1)
        for row in range(top, bottom):
            for column in range(left, right):
                value = x[uint32((plane * H + row) * W + column)]
                if winner < 0 or value > best or (value != value and best == best):
                    best = value
                    winner = int32(row * W + column)
        y[at] = best
        winners[at] = winner


@gpu_kernel(f"real* dx, const real* dy, const int32* winners, {GRID}, int32 size")
def adaptive_max_pool2d_input_grad_kernel(dx, dy, winners, H, W, OH, OW, size):
    """A thread has a pixel, which gets the gradient of each window that it won."""
    at = uint32(cuda.grid(1))
    if at < uint32(size):
        plane, row, column = pixel_of(at, H, W)
        top, bottom = windows_around(row, H, OH)
        left, right = windows_around(column, W, OW)
        total = real(0)
        for i in range(top, bottom):
            for j in range(left, right):
                window = uint32((plane * OH + i) * OW + j)
                if winners[window] == row * W + column:
                    total += dy[window]
        dx[at] = total


@adaptive_maxima.adaptive_max_pool2d.register(DeviceArray)
def adaptive_max_pool2d(x: DeviceArray, output_size: Pair) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    y = empty((*x.shape[:2], *output_size), x.dtype, x.device)
    winners = like(y, np.int32)
    each(adaptive_max_pool2d_kernel, y.size, y, winners, x.contiguous(), *x.shape[2:], *output_size)
    return y, winners


@adaptive_maxima.adaptive_max_pool2d_input_grad.register(DeviceArray)
def adaptive_max_pool2d_input_grad(
    dy: DeviceArray, winners: DeviceArray, input_shape: tuple[int, ...]
) -> DeviceArray:
    """As the reference, but a winner that is no pixel of its window gets nothing, and no error."""
    if not dy.shape == winners.shape == (*input_shape[:2], *dy.shape[2:]):
        raise ShapeError(
            f"adaptive_max_pool2d_input_grad: expected dy and winners {(*input_shape[:2], *dy.shape[2:])}, "
            f"got {dy.shape} and {winners.shape}"
        )
    dx = empty(tuple(input_shape), dy.dtype, dy.device)
    places = winners.astype(np.int32, copy=False).contiguous()
    each(
        adaptive_max_pool2d_input_grad_kernel, dx.size, dx, dy.contiguous(), places,
        *input_shape[2:], *dy.shape[2:],
    )  # fmt: skip
    return dx
