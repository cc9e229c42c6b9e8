"""Average pooling: a thread adds up a window; back, a thread adds up the shares of its pixel.

The adaptive windows are given by formula too, so that no table of them travels to the GPU.
"""

from __future__ import annotations

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import cuda, gpu_function, gpu_kernel, int32, real, uint32
from minidl.errors import ShapeError
from minidl.kernels import averages
from minidl.kernels.cuda.lanes import each
from minidl.kernels.cuda.pooling import pixel_of, quotient, windows_over
from minidl.kernels.geometry import Pair, output_sizes

__all__ = [
    "GRID",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_input_grad",
    "avg_pool2d",
    "avg_pool2d_input_grad",
    "bounds",
    "windows_around",
]

WINDOW = (
    "int32 H, int32 W, int32 OH, int32 OW, int32 kh, int32 kw, int32 sh, int32 sw, int32 ph, int32 pw, "
    "bool padded, int32 divisor"
)
GRID = "int32 H, int32 W, int32 OH, int32 OW"


@gpu_function
def cells_of(window, cells, stride, padding, size):
    """The window's first cell inside the image, and the one after its last."""
    first = window * stride - padding
    return int32(max(first, 0)), int32(min(first + cells, size))


@gpu_function
def count_along(window, cells, stride, padding, size, padded):
    """How many of a window's cells count along one axis: the padding's only if `padded`."""
    around = padding if padded else 0
    first = window * stride - padding
    return int32(min(first + cells, size + around) - max(first, -around))


@gpu_function
def divisor_of(i, j, H, W, kh, kw, sh, sw, ph, pw, padded, divisor):
    """What the sum of window (i, j) is divided by; `divisor` if that is not 0."""
    count = count_along(i, kh, sh, ph, H, padded) * count_along(j, kw, sw, pw, W, padded)
    return real(divisor if divisor != 0 else count)


@gpu_kernel(f"real* y, const real* x, {WINDOW}, int32 size")
def avg_pool2d_kernel(y, x, H, W, OH, OW, kh, kw, sh, sw, ph, pw, padded, divisor, size):
    """A thread has a window."""
    at = uint32(cuda.grid(1))
    if at < uint32(size):
        plane, i, j = pixel_of(at, OH, OW)
        top, bottom = cells_of(i, kh, sh, ph, H)
        left, right = cells_of(j, kw, sw, pw, W)
        total = real(0)
        for row in range(top, bottom):
            for column in range(left, right):
                total += x[uint32((plane * H + row) * W + column)]
        y[at] = total / divisor_of(i, j, H, W, kh, kw, sh, sw, ph, pw, padded, divisor)


@gpu_kernel(f"real* dx, const real* dy, {WINDOW}, int32 size")
def avg_pool2d_input_grad_kernel(dx, dy, H, W, OH, OW, kh, kw, sh, sw, ph, pw, padded, divisor, size):
    """A thread has a pixel, which gets a share of each window that it is in."""
    at = uint32(cuda.grid(1))
    if at < uint32(size):
        plane, row, column = pixel_of(at, H, W)
        top, bottom = windows_over(row, kh, sh, ph, OH)
        left, right = windows_over(column, kw, sw, pw, OW)
        total = real(0)
        i = top
        while i < bottom:  # a range would count in 64 bits, and the registers would not do
            j = left
            while j < right:
                share = dy[uint32((plane * OH + i) * OW + j)]
                total += share / divisor_of(i, j, H, W, kh, kw, sh, sw, ph, pw, padded, divisor)
                j = int32(j + 1)
            i = int32(i + 1)
        dx[at] = total


@gpu_function
def bounds(window, size, windows):
    """Window i covers the cells from ⌊i·H/OH⌋ to ⌈(i+1)·H/OH⌉."""
    return quotient(window * size, windows), quotient((window + 1) * size + windows - 1, windows)


@gpu_function
def windows_around(cell, size, windows):
    """The first adaptive window that has this cell, and the one after the last.

    Window i has it if i·size < (cell+1)·windows and (i+1)·size > cell·windows.
    """
    return quotient(cell * windows, size), quotient((cell + 1) * windows + size - 1, size)


@gpu_kernel(f"real* y, const real* x, {GRID}, int32 size")
def adaptive_avg_pool2d_kernel(y, x, H, W, OH, OW, size):
    """A thread has a window."""
    at = uint32(cuda.grid(1))
    if at < uint32(size):
        plane, i, j = pixel_of(at, OH, OW)
        top, bottom = bounds(i, H, OH)
        left, right = bounds(j, W, OW)
        total = real(0)
        for row in range(top, bottom):
            for column in range(left, right):
                total += x[uint32((plane * H + row) * W + column)]
        y[at] = total / real((bottom - top) * (right - left))


@gpu_kernel(f"real* dx, const real* dy, {GRID}, int32 size")
def adaptive_avg_pool2d_input_grad_kernel(dx, dy, H, W, OH, OW, size):
    """A thread has a pixel, which gets a share of each window that it is in."""
    at = uint32(cuda.grid(1))
    if at < uint32(size):
        plane, row, column = pixel_of(at, H, W)
        top, bottom = windows_around(row, H, OH)
        left, right = windows_around(column, W, OW)
        total = real(0)
        for i in range(top, bottom):
            first_row, end_row = bounds(i, H, OH)
            for j in range(left, right):
                first_column, end_column = bounds(j, W, OW)
                cells = real((end_row - first_row) * (end_column - first_column))
                total += dy[uint32((plane * OH + i) * OW + j)] / cells
        dx[at] = total


@averages.avg_pool2d.register(DeviceArray)
def avg_pool2d(
    x: DeviceArray,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> DeviceArray:
    """As the reference."""
    sizes = output_sizes(x.shape, kernel_size, stride, padding, (1, 1), ceil_mode)
    y = empty((*x.shape[:2], *sizes), x.dtype, x.device)
    each(
        avg_pool2d_kernel, y.size, y, x.contiguous(), *x.shape[2:], *sizes,
        *kernel_size, *stride, *padding, count_include_pad, divisor_override or 0,
    )  # fmt: skip
    return y


@averages.avg_pool2d_input_grad.register(DeviceArray)
def avg_pool2d_input_grad(
    dy: DeviceArray,
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> DeviceArray:
    """As the reference."""
    sizes = output_sizes(input_shape, kernel_size, stride, padding, (1, 1), ceil_mode)
    _check_gradient("avg_pool2d_input_grad", dy, (*input_shape[:2], *sizes))
    dx = empty(tuple(input_shape), dy.dtype, dy.device)
    each(
        avg_pool2d_input_grad_kernel, dx.size, dx, dy.contiguous(), *input_shape[2:], *sizes,
        *kernel_size, *stride, *padding, count_include_pad, divisor_override or 0,
    )  # fmt: skip
    return dx


@averages.adaptive_avg_pool2d.register(DeviceArray)
def adaptive_avg_pool2d(x: DeviceArray, output_size: Pair) -> DeviceArray:
    """As the reference."""
    y = empty((*x.shape[:2], *output_size), x.dtype, x.device)
    each(adaptive_avg_pool2d_kernel, y.size, y, x.contiguous(), *x.shape[2:], *output_size)
    return y


@averages.adaptive_avg_pool2d_input_grad.register(DeviceArray)
def adaptive_avg_pool2d_input_grad(dy: DeviceArray, input_shape: tuple[int, ...]) -> DeviceArray:
    """As the reference."""
    _check_gradient("adaptive_avg_pool2d_input_grad", dy, (*input_shape[:2], *dy.shape[2:]))
    dx = empty(tuple(input_shape), dy.dtype, dy.device)
    sizes = (*input_shape[2:], *dy.shape[2:])
    each(adaptive_avg_pool2d_input_grad_kernel, dx.size, dx, dy.contiguous(), *sizes)
    return dx


def _check_gradient(who: str, dy: DeviceArray, shape: tuple[int, ...]) -> None:
    """Refuse what would make threads read past the end of an array."""
    if dy.shape != shape:
        raise ShapeError(f"{who}: expected dy {shape}, got {dy.shape}")
