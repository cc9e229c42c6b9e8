"""Softmax and its gradient: a warp for each row, or a thread for each column.

Along the last dimension the numbers of one sum are neighbours, and the 32 lanes of a warp read 32 of them at
once. Along any other dimension neighbours belong to different sums, so each thread takes a sum of its own.
"""

from __future__ import annotations

import math

from minidl.array.device_array import DeviceArray
from minidl.array.gpu import GpuKernel, cuda, gpu_kernel, real
from minidl.kernels import probabilities
from minidl.kernels.cuda.lanes import each, each_row, like, warp_max, warp_sum

__all__ = ["softmax", "softmax_input_grad"]


@gpu_kernel("real* y, real* kept, const real* x, int32 n, int32 rows")
def softmax_rows_kernel(y, kept, x, n, rows):
    """A warp per row of n neighbours."""
    row = cuda.grid(1) // 32
    lane = cuda.threadIdx.x % 32
    if row < rows:  # the same for all lanes of a warp
        start = row * n
        largest = real(-math.inf)
        for j in range(lane, n, 32):
            largest = max(largest, x[start + j])
        largest = warp_max(largest)
        total = real(0)
        for j in range(lane, n, 32):
            total += math.exp(x[start + j] - largest)
        total = warp_sum(total)
        for j in range(lane, n, 32):
            value = math.exp(x[start + j] - largest) / total  # eq. 15.1
            y[start + j] = value
            kept[start + j] = value


@gpu_kernel("real* y, real* kept, const real* x, int32 n, int32 apart, int32 columns")
def softmax_columns_kernel(y, kept, x, n, apart, columns):
    """A thread per column of n numbers that lie `apart` from each other."""
    column = cuda.grid(1)
    if column < columns:
        start = column // apart * apart * n + column % apart
        largest = real(-math.inf)
        for j in range(n):
            largest = max(largest, x[start + j * apart])
        total = real(0)
        for j in range(n):
            total += math.exp(x[start + j * apart] - largest)
        for j in range(n):
            value = math.exp(x[start + j * apart] - largest) / total  # eq. 15.1
            y[start + j * apart] = value
            kept[start + j * apart] = value


@probabilities.softmax.register(DeviceArray)
def softmax(x: DeviceArray, dim: int) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    x = x.contiguous()
    y, kept = like(x), like(x)
    _launch(softmax_rows_kernel, softmax_columns_kernel, dim, y, kept, x)
    return y, kept


@gpu_kernel("real* dx, const real* dy, const real* y, int32 n, int32 rows")
def softmax_rows_input_grad_kernel(dx, dy, y, n, rows):
    row = cuda.grid(1) // 32
    lane = cuda.threadIdx.x % 32
    if row < rows:
        start = row * n
        mean = real(0)  # Σ dy y, the mean of dy under the distribution y
        for j in range(lane, n, 32):
            mean += dy[start + j] * y[start + j]
        mean = warp_sum(mean)
        for j in range(lane, n, 32):
            dx[start + j] = y[start + j] * (dy[start + j] - mean)


@gpu_kernel("real* dx, const real* dy, const real* y, int32 n, int32 apart, int32 columns")
def softmax_columns_input_grad_kernel(dx, dy, y, n, apart, columns):
    column = cuda.grid(1)
    if column < columns:
        start = column // apart * apart * n + column % apart
        mean = real(0)
        for j in range(n):
            mean += dy[start + j * apart] * y[start + j * apart]
        for j in range(n):
            i = start + j * apart
            dx[i] = y[i] * (dy[i] - mean)


@probabilities.softmax_input_grad.register(DeviceArray)
def softmax_input_grad(dy: DeviceArray, y: DeviceArray, dim: int) -> DeviceArray:
    """As the reference."""
    dy, y = dy.contiguous(), y.contiguous()
    dx = like(dy)
    _launch(softmax_rows_input_grad_kernel, softmax_columns_input_grad_kernel, dim, dx, dy, y)
    return dx


def _launch(rows: GpuKernel, columns: GpuKernel, dim: int, *arrays: DeviceArray) -> None:
    """Run the kernel that fits the dimension to sum along."""
    shape = arrays[0].shape or (1,)
    n = shape[dim]
    apart = math.prod(shape[dim % len(shape) + 1 :])  # from one number of a sum to the next
    sums = arrays[0].size // n if n else 0
    if apart == 1:
        each_row(rows, sums, *arrays, n)
    else:
        each(columns, sums, *arrays, n, apart)
