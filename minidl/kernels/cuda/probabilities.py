"""Softmax, its logarithm, and their gradients: the lanes of a warp for each row, or a thread for each column.

Along the last dimension the numbers of one sum are neighbours, and neighbouring lanes read them together.
Along any other dimension neighbours belong to different sums, so each thread takes a sum of its own.
"""

from __future__ import annotations

import math

from minidl.array.device_array import DeviceArray
from minidl.array.gpu import GpuKernel, cuda, gpu_kernel, real
from minidl.kernels import probabilities
from minidl.kernels.cuda.lanes import each, each_row, lanes_max, lanes_sum, like

__all__ = ["log_softmax", "log_softmax_input_grad", "softmax", "softmax_input_grad"]


@gpu_kernel("real* y, real* kept, const real* x, int32 n, int32 lanes, int32 rows")
def softmax_rows_kernel(y, kept, x, n, lanes, rows):
    """Some lanes per row of n neighbours. Lanes without a row come too: an exchange needs all of a warp."""
    row = cuda.grid(1) // lanes
    start = row * n
    first = start + cuda.threadIdx.x % lanes
    end = start + (n if row < rows else 0)
    largest = real(-math.inf)
    for i in range(first, end, lanes):
        largest = max(largest, x[i])
    largest = lanes_max(largest, lanes)
    total = real(0)
    for i in range(first, end, lanes):
        total += math.exp(x[i] - largest)
    total = lanes_sum(total, lanes)
    for i in range(first, end, lanes):
        value = math.exp(x[i] - largest) / total  # eq. 15.1
        y[i] = value
        kept[i] = value


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


@gpu_kernel("real* dx, const real* dy, const real* y, int32 n, int32 lanes, int32 rows")
def softmax_rows_input_grad_kernel(dx, dy, y, n, lanes, rows):
    row = cuda.grid(1) // lanes
    start = row * n
    first = start + cuda.threadIdx.x % lanes
    end = start + (n if row < rows else 0)
    mean = real(0)  # Σ dy y: the mean of dy under the distribution y
    for i in range(first, end, lanes):
        mean += dy[i] * y[i]
    mean = lanes_sum(mean, lanes)
    for i in range(first, end, lanes):
        dx[i] = y[i] * (dy[i] - mean)


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


@gpu_kernel("real* y, real* kept, const real* x, int32 n, int32 lanes, int32 rows")
def log_softmax_rows_kernel(y, kept, x, n, lanes, rows):
    row = cuda.grid(1) // lanes
    start = row * n
    first = start + cuda.threadIdx.x % lanes
    end = start + (n if row < rows else 0)
    largest = real(-math.inf)
    for i in range(first, end, lanes):
        largest = max(largest, x[i])
    largest = lanes_max(largest, lanes)
    total = real(0)
    for i in range(first, end, lanes):
        total += math.exp(x[i] - largest)
    total = lanes_sum(total, lanes)
    for i in range(first, end, lanes):
        value = (x[i] - largest) - math.log(total)
        y[i] = value
        kept[i] = value


@gpu_kernel("real* y, real* kept, const real* x, int32 n, int32 apart, int32 columns")
def log_softmax_columns_kernel(y, kept, x, n, apart, columns):
    column = cuda.grid(1)
    if column < columns:
        start = column // apart * apart * n + column % apart
        largest = real(-math.inf)
        for j in range(n):
            largest = max(largest, x[start + j * apart])
        total = real(0)
        for j in range(n):
            total += math.exp(x[start + j * apart] - largest)
        total = math.log(total)
        for j in range(n):
            value = (x[start + j * apart] - largest) - total
            y[start + j * apart] = value
            kept[start + j * apart] = value


@probabilities.log_softmax.register(DeviceArray)
def log_softmax(x: DeviceArray, dim: int) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    x = x.contiguous()
    y, kept = like(x), like(x)
    _launch(log_softmax_rows_kernel, log_softmax_columns_kernel, dim, y, kept, x)
    return y, kept


@gpu_kernel("real* dx, const real* dy, const real* y, int32 n, int32 lanes, int32 rows")
def log_softmax_rows_input_grad_kernel(dx, dy, y, n, lanes, rows):
    row = cuda.grid(1) // lanes
    start = row * n
    first = start + cuda.threadIdx.x % lanes
    end = start + (n if row < rows else 0)
    total = real(0)
    for i in range(first, end, lanes):
        total += dy[i]
    total = lanes_sum(total, lanes)
    for i in range(first, end, lanes):
        dx[i] = dy[i] - math.exp(y[i]) * total


@gpu_kernel("real* dx, const real* dy, const real* y, int32 n, int32 apart, int32 columns")
def log_softmax_columns_input_grad_kernel(dx, dy, y, n, apart, columns):
    column = cuda.grid(1)
    if column < columns:
        start = column // apart * apart * n + column % apart
        total = real(0)
        for j in range(n):
            total += dy[start + j * apart]
        for j in range(n):
            i = start + j * apart
            dx[i] = dy[i] - math.exp(y[i]) * total


@probabilities.log_softmax_input_grad.register(DeviceArray)
def log_softmax_input_grad(dy: DeviceArray, y: DeviceArray, dim: int) -> DeviceArray:
    """As the reference."""
    dy, y = dy.contiguous(), y.contiguous()
    dx = like(dy)
    _launch(log_softmax_rows_input_grad_kernel, log_softmax_columns_input_grad_kernel, dim, dx, dy, y)
    return dx


def _launch(rows: GpuKernel, columns: GpuKernel, dim: int, *arrays: DeviceArray) -> None:
    """Run the kernel that fits the dimension to sum along."""
    shape = arrays[0].shape or (1,)
    n = shape[dim]
    apart = math.prod(shape[dim % len(shape) + 1 :])  # from one number of a sum to the next
    sums = arrays[0].size // n if n else 0
    if apart == 1:
        each_row(rows, sums, n, *arrays)
    else:
        each(columns, sums, *arrays, n, apart)
