"""Max-pooling in one pass: every window is read once, and no array of windows is built."""

from __future__ import annotations

import math

import numpy as np

from minidl.array import Array
from minidl.kernels import pooling
from minidl.kernels.geometry import Pair, output_sizes
from minidl.kernels.numba_cpu.jit import jit

__all__ = ["max_pool2d", "max_pool2d_input_grad"]


@pooling.max_pool2d.register(np.ndarray)
def max_pool2d(
    x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[Array, Array]:
    """As the reference; the loops below see images of one channel, (N·C, H, W)."""
    n, c, h, w = x.shape
    oh, ow = output_sizes(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    y = np.empty((n * c, oh, ow), x.dtype)
    indices = np.empty((n * c, oh, ow), np.int64)
    images = np.ascontiguousarray(x).reshape(n * c, h, w)
    _max_pool(images, y, indices, *kernel_size, *stride, *padding, *dilation)
    return y.reshape(n, c, oh, ow), indices.reshape(n, c, oh, ow)


@pooling.max_pool2d_input_grad.register(np.ndarray)
def max_pool2d_input_grad(dy: Array, indices: Array, input_shape: tuple[int, ...]) -> Array:
    """As the reference."""
    n, c, h, w = input_shape
    dx = np.zeros((n * c, h * w), dy.dtype)
    cells = dy.shape[2] * dy.shape[3]
    _scatter_add(
        dx,
        np.ascontiguousarray(indices).reshape(n * c, cells),
        np.ascontiguousarray(dy).reshape(n * c, cells),
    )
    return dx.reshape(input_shape)


@jit
def _max_pool(
    x: Array, y: Array, indices: Array,
    kh: int, kw: int, sh: int, sw: int, ph: int, pw: int, dh: int, dw: int,
) -> None:  # fmt: skip
    images, h, w = x.shape
    _, oh, ow = y.shape
    for image in range(images):
        for i in range(oh):
            top = i * sh - ph
            # The taps of this window that are inside the image: the padding, −∞, can never win.
            u_first = 0 if top >= 0 else (-top + dh - 1) // dh
            u_last = min(kh, (h - top + dh - 1) // dh)
            for j in range(ow):
                left = j * sw - pw
                v_first = 0 if left >= 0 else (-left + dw - 1) // dw
                v_last = min(kw, (w - left + dw - 1) // dw)
                best = -math.inf
                where = (top + u_first * dh) * w + left + v_first * dw
                for u in range(u_first, u_last):
                    row = top + u * dh
                    for v in range(v_first, v_last):
                        column = left + v * dw
                        value = x[image, row, column]
                        if value > best or (value != value and best == best):  # a NaN wins, the first one
                            best = value
                            where = row * w + column
                y[image, i, j] = best
                indices[image, i, j] = where


@jit
def _scatter_add(dx: Array, indices: Array, dy: Array) -> None:
    images, cells = dy.shape
    for image in range(images):
        for cell in range(cells):
            where = indices[image, cell]
            if where < 0 or where >= dx.shape[1]:
                raise IndexError("max_pool2d_input_grad: expected indices inside the image")
            dx[image, where] += dy[image, cell]
