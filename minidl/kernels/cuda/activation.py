"""Activations and dropout, one thread per number: memory sets the pace, so each number is read once."""

from __future__ import annotations

import math

import numpy as np

from minidl.array.device_array import DeviceArray
from minidl.array.gpu import GpuKernel, cuda, gpu_kernel, real
from minidl.kernels import activation
from minidl.kernels.cuda.lanes import each, like

__all__ = [
    "dropout",
    "dropout_input_grad",
    "erf",
    "relu",
    "relu_input_grad",
    "sigmoid",
    "sigmoid_input_grad",
    "tanh",
    "tanh_input_grad",
]


@gpu_kernel("real* y, bool* positive, const real* x, int32 n")
def relu_kernel(y, positive, x, n):
    """The reference's `maximum` keeps a NaN, which no comparison does."""
    i = cuda.grid(1)
    if i < n:
        value = x[i]
        above = value > real(0)
        positive[i] = above
        y[i] = value if above or value != value else real(0)


@activation.relu.register(DeviceArray)
def relu(x: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    x = x.contiguous()
    y, positive = like(x), like(x, np.bool)
    each(relu_kernel, x.size, y, positive, x)
    return y, positive


@gpu_kernel("real* dx, const real* dy, const bool* positive, int32 n")
def relu_input_grad_kernel(dx, dy, positive, n):
    i = cuda.grid(1)
    if i < n:
        dx[i] = dy[i] if positive[i] else real(0)


@activation.relu_input_grad.register(DeviceArray)
def relu_input_grad(dy: DeviceArray, positive: DeviceArray) -> DeviceArray:
    """As the reference."""
    return _gradient(relu_input_grad_kernel, dy, positive)


@gpu_kernel("real* y, real* kept, const real* x, int32 n")
def sigmoid_kernel(y, kept, x, n):
    i = cuda.grid(1)
    if i < n:
        value = x[i]
        e = math.exp(-abs(value))  # never above 1, so eq. 4.1 does not overflow
        numerator = real(1) if value >= real(0) else e
        value = numerator / (real(1) + e)  # eq. 4.2
        y[i] = value
        kept[i] = value


@activation.sigmoid.register(DeviceArray)
def sigmoid(x: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    return _value(sigmoid_kernel, x)


@gpu_kernel("real* dx, const real* dy, const real* y, int32 n")
def sigmoid_input_grad_kernel(dx, dy, y, n):
    i = cuda.grid(1)
    if i < n:
        dx[i] = dy[i] * y[i] * (real(1) - y[i])  # eq. 4.3


@activation.sigmoid_input_grad.register(DeviceArray)
def sigmoid_input_grad(dy: DeviceArray, y: DeviceArray) -> DeviceArray:
    """As the reference."""
    return _gradient(sigmoid_input_grad_kernel, dy, y)


@gpu_kernel("real* y, real* kept, const real* x, int32 n")
def tanh_kernel(y, kept, x, n):
    i = cuda.grid(1)
    if i < n:
        value = math.tanh(x[i])
        y[i] = value
        kept[i] = value


@activation.tanh.register(DeviceArray)
def tanh(x: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    return _value(tanh_kernel, x)


@gpu_kernel("real* dx, const real* dy, const real* y, int32 n")
def tanh_input_grad_kernel(dx, dy, y, n):
    i = cuda.grid(1)
    if i < n:
        dx[i] = dy[i] * (real(1) - y[i] * y[i])


@activation.tanh_input_grad.register(DeviceArray)
def tanh_input_grad(dy: DeviceArray, y: DeviceArray) -> DeviceArray:
    """As the reference."""
    return _gradient(tanh_input_grad_kernel, dy, y)


@gpu_kernel("real* y, const real* x, int32 n")
def erf_kernel(y, x, n):
    i = cuda.grid(1)
    if i < n:
        y[i] = math.erf(x[i])


@activation.erf.register(DeviceArray)
def erf(x: DeviceArray) -> DeviceArray:
    """As the reference."""
    x = x.contiguous()
    y = like(x)
    each(erf_kernel, x.size, y, x)
    return y


@gpu_kernel("real* y, bool* kept, const real* x, const float32* draws, float32 p, real scale, int32 n")
def dropout_kernel(y, kept, x, draws, p, scale, n):
    i = cuda.grid(1)
    if i < n:
        stays = draws[i] >= p
        kept[i] = stays
        y[i] = x[i] * (scale if stays else real(0))


@activation.dropout.register(DeviceArray)
def dropout(x: DeviceArray, draws: DeviceArray, p: float) -> tuple[DeviceArray, DeviceArray]:
    """As the reference; the draws are the host's, so that both devices drop the same numbers."""
    x, draws = x.contiguous(), draws.contiguous()
    y, kept = like(x), like(x, np.bool)
    each(dropout_kernel, x.size, y, kept, x, draws, p, activation.dropout_scale(p))
    return y, kept


@gpu_kernel("real* dx, const real* dy, const bool* kept, real scale, int32 n")
def dropout_input_grad_kernel(dx, dy, kept, scale, n):
    i = cuda.grid(1)
    if i < n:
        dx[i] = dy[i] * scale if kept[i] else real(0)


@activation.dropout_input_grad.register(DeviceArray)
def dropout_input_grad(dy: DeviceArray, kept: DeviceArray, p: float) -> DeviceArray:
    """As the reference."""
    return _gradient(dropout_input_grad_kernel, dy, kept, activation.dropout_scale(p))


def _value(kernel: GpuKernel, x: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    """y, and once more to be kept."""
    y, kept = like(x), like(x)
    each(kernel, x.size, y, kept, x.contiguous())
    return y, kept


def _gradient(kernel: GpuKernel, dy: DeviceArray, kept: DeviceArray, *numbers: float) -> DeviceArray:
    """Dx from dy and what the forward kept, number by number."""
    dx = like(dy)
    each(kernel, dy.size, dx, dy.contiguous(), kept.contiguous(), *numbers)
    return dx
