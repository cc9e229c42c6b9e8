"""Borders around images: a thread has a pixel of the result and finds what it shows, or what shows it."""

from __future__ import annotations

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import cuda, gpu_function, gpu_kernel, int32, real, uint32
from minidl.errors import ShapeError
from minidl.kernels import padding as references
from minidl.kernels.cuda.lanes import each
from minidl.kernels.cuda.pooling import pixel_of
from minidl.kernels.padding import MODES, Border, fits, padded_size

__all__ = ["pad2d", "pad2d_input_grad"]

GRID = "int32 H, int32 W, int32 OH, int32 OW, int32 top, int32 left, int32 mode"


@gpu_function
def shown_by(line, before, size, mode):
    """Which row (or column) of an image one of the padded image shows; −1 if none. The mode is its number."""
    place = int32(line - before)
    last = int32(size - 1)
    if place < 0:
        if mode == 0:
            place = int32(-1)
        elif mode == 1:
            place = int32(-place)
        elif mode == 2:
            place = int32(0)
        else:
            place = int32(place + size)
    elif place > last:
        if mode == 0:
            place = int32(-1)
        elif mode == 1:
            place = int32(2 * last - place)
        elif mode == 2:
            place = last
        else:
            place = int32(place - size)
    return place


@gpu_function
def line_of(k, place, before, size):
    """The padded image's lines that may show a place: its own for k = −1, then all of the border's."""
    if k < 0:
        return int32(place + before)
    return int32(k) if k < before else int32(k + size)


@gpu_function
def shows(line, place, before, size, padded, mode):
    """Whether this line is there and shows that place."""
    return line >= 0 and line < padded and shown_by(line, before, size, mode) == place


@gpu_kernel(f"real* y, const real* x, {GRID}, int32 size")
def pad2d_kernel(y, x, H, W, OH, OW, top, left, mode, size):
    at = uint32(cuda.grid(1))
    if at < uint32(size):
        plane, i, j = pixel_of(at, OH, OW)
        row = shown_by(i, top, H, mode)
        column = shown_by(j, left, W, mode)
        value = real(0)
        if row >= 0 and column >= 0:
            value = x[uint32((plane * H + row) * W + column)]
        y[at] = value


@gpu_kernel(f"real* dx, const real* dy, {GRID}, int32 size")
def pad2d_input_grad_kernel(dx, dy, H, W, OH, OW, top, left, mode, size):
    """A thread adds up what shows its pixel, in the order of the lines, so that a sum is always the same."""
    at = uint32(cuda.grid(1))
    if at < uint32(size):
        plane, row, column = pixel_of(at, H, W)
        high = int32(OH - H) if mode != 0 else int32(0)  # the border's rows; zeros show nothing
        wide = int32(OW - W) if mode != 0 else int32(0)
        total = real(0)
        k = int32(-1)
        while k < high:
            i = line_of(k, row, top, H)
            if shows(i, row, top, H, OH, mode):
                m = int32(-1)
                while m < wide:
                    j = line_of(m, column, left, W)
                    if shows(j, column, left, W, OW, mode):
                        total += dy[uint32((plane * OH + i) * OW + j)]
                    m = int32(m + 1)
            k = int32(k + 1)
        dx[at] = total


@references.pad2d.register(DeviceArray)
def pad2d(x: DeviceArray, border: Border, mode: str) -> DeviceArray:
    """As the reference."""
    _check("pad2d", x.shape, border, mode)
    sizes = padded_size(x.shape, border)
    y = empty((*x.shape[:-2], *sizes), x.dtype, x.device)
    how = (*x.shape[-2:], *sizes, border[2], border[0], MODES.index(mode))
    each(pad2d_kernel, y.size, y, x.contiguous(), *how)
    return y


@references.pad2d_input_grad.register(DeviceArray)
def pad2d_input_grad(dy: DeviceArray, input_shape: tuple[int, ...], border: Border, mode: str) -> DeviceArray:
    """As the reference."""
    _check("pad2d_input_grad", input_shape, border, mode)
    sizes = padded_size(input_shape, border)
    if dy.shape != (*input_shape[:-2], *sizes):
        raise ShapeError(f"pad2d_input_grad: expected dy {(*input_shape[:-2], *sizes)}, got {dy.shape}")
    dx = empty(tuple(input_shape), dy.dtype, dy.device)
    how = (*input_shape[-2:], *sizes, border[2], border[0], MODES.index(mode))
    each(pad2d_input_grad_kernel, dx.size, dx, dy.contiguous(), *how)
    return dx


def _check(who: str, shape: tuple[int, ...], border: Border, mode: str) -> None:
    if not fits(shape, border, mode):
        raise ShapeError(f"{who}: expected images that fit padding {border} of {mode!r}, got {shape}")
