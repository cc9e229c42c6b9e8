"""Activations that are curves, value and slope of one number per thread."""

from __future__ import annotations

import math

from minidl.array.device_array import DeviceArray
from minidl.array.gpu import GpuKernel, cuda, gpu_kernel, real
from minidl.kernels import curves as references
from minidl.kernels.cuda.lanes import each, like

__all__ = [
    "elu",
    "gelu",
    "hardswish",
    "hardswish_input_grad",
    "log_sigmoid",
    "mish",
    "silu",
    "slope_input_grad",
    "softplus",
    "softsign",
    "tanhshrink",
]


def _curve(kernel: GpuKernel, x: DeviceArray, *numbers: float) -> tuple[DeviceArray, DeviceArray]:
    y, slope = like(x), like(x)
    each(kernel, x.size, y, slope, x.contiguous(), *numbers)
    return y, slope


@gpu_kernel("real* dx, const real* dy, const real* slope, int32 n")
def slope_input_grad_kernel(dx, dy, slope, n):
    i = cuda.grid(1)
    if i < n:
        dx[i] = dy[i] * slope[i]


@references.slope_input_grad.register(DeviceArray)
def slope_input_grad(dy: DeviceArray, slope: DeviceArray) -> DeviceArray:
    """As the reference."""
    dx = like(dy)
    each(slope_input_grad_kernel, dy.size, dx, dy.contiguous(), slope.contiguous())
    return dx


@gpu_kernel("real* y, real* slope, const real* x, int32 n")
def gelu_kernel(y, slope, x, n):
    i = cuda.grid(1)
    if i < n:
        value = x[i]
        share = real(0.5) * (real(1) + math.erf(value * real(math.sqrt(0.5))))
        density = real(math.sqrt(0.5 / math.pi)) * math.exp(real(-0.5) * value * value)
        y[i] = value * share
        slope[i] = share + value * density


@gpu_kernel("real* y, real* slope, const real* x, int32 n")
def gelu_tanh_kernel(y, slope, x, n):
    i = cuda.grid(1)
    if i < n:
        value = x[i]
        a = real(math.sqrt(2 / math.pi))
        t = math.tanh(a * (value + real(0.044715) * value * value * value))
        share = real(0.5) * (real(1) + t)
        density = real(0.5) * (real(1) - t * t) * (a * (real(1) + real(3 * 0.044715) * value * value))
        y[i] = value * share
        slope[i] = share + value * density


@references.gelu.register(DeviceArray)
def gelu(x: DeviceArray, by_tanh: bool) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    return _curve(gelu_tanh_kernel if by_tanh else gelu_kernel, x)


@gpu_kernel("real* y, real* slope, const real* x, int32 n")
def silu_kernel(y, slope, x, n):
    i = cuda.grid(1)
    if i < n:
        value = x[i]
        e = math.exp(-abs(value))
        numerator = real(1) if value >= real(0) else e
        s = numerator / (real(1) + e)
        y[i] = value * s
        slope[i] = s * (real(1) + value * (real(1) - s))


@references.silu.register(DeviceArray)
def silu(x: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    return _curve(silu_kernel, x)


@gpu_kernel("real* y, real* slope, const real* x, int32 n")
def mish_kernel(y, slope, x, n):
    i = cuda.grid(1)
    if i < n:
        value = x[i]
        e = math.exp(-abs(value))
        above = real(0)
        numerator = e
        if value >= real(0):
            above = value
            numerator = real(1)
        t = math.tanh(above + math.log1p(e))
        s = numerator / (real(1) + e)
        y[i] = value * t
        slope[i] = t + value * (real(1) - t * t) * s


@references.mish.register(DeviceArray)
def mish(x: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    return _curve(mish_kernel, x)


@gpu_kernel("real* y, real* slope, const real* x, real alpha, real scale, real rate, int32 n")
def elu_kernel(y, slope, x, alpha, scale, rate, n):
    i = cuda.grid(1)
    if i < n:
        value = x[i]
        if value > real(0):
            y[i] = scale * value
            slope[i] = scale
        else:
            left = rate * value
            y[i] = scale * alpha * math.expm1(left)
            slope[i] = scale * alpha * rate * math.exp(left)


@references.elu.register(DeviceArray)
def elu(x: DeviceArray, alpha: float, scale: float, rate: float) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    return _curve(elu_kernel, x, alpha, scale, rate)


@gpu_kernel("real* y, real* slope, const real* x, real beta, real threshold, int32 n")
def softplus_kernel(y, slope, x, beta, threshold, n):
    i = cuda.grid(1)
    if i < n:
        value = x[i]
        z = beta * value
        e = math.exp(-abs(z))
        above = real(0)
        numerator = e
        if z >= real(0):
            above = z
            numerator = real(1)
        if z > threshold:
            y[i] = value
            slope[i] = real(1)
        else:
            y[i] = (above + math.log1p(e)) / beta
            slope[i] = numerator / (real(1) + e)


@references.softplus.register(DeviceArray)
def softplus(x: DeviceArray, beta: float, threshold: float) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    return _curve(softplus_kernel, x, beta, threshold)


@gpu_kernel("real* y, real* slope, const real* x, int32 n")
def log_sigmoid_kernel(y, slope, x, n):
    i = cuda.grid(1)
    if i < n:
        value = x[i]
        e = math.exp(-abs(value))
        below = value
        numerator = real(1)
        if value >= real(0):
            below = real(0)
            numerator = e
        y[i] = below - math.log1p(e)
        slope[i] = numerator / (real(1) + e)


@references.log_sigmoid.register(DeviceArray)
def log_sigmoid(x: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    return _curve(log_sigmoid_kernel, x)


@gpu_kernel("real* y, real* slope, const real* x, int32 n")
def softsign_kernel(y, slope, x, n):
    i = cuda.grid(1)
    if i < n:
        value = x[i]
        share = real(1) / (real(1) + abs(value))
        y[i] = value / (real(1) + abs(value))
        slope[i] = share * share


@references.softsign.register(DeviceArray)
def softsign(x: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    return _curve(softsign_kernel, x)


@gpu_kernel("real* y, real* slope, const real* x, int32 n")
def tanhshrink_kernel(y, slope, x, n):
    i = cuda.grid(1)
    if i < n:
        value = x[i]
        t = math.tanh(value)
        y[i] = value - t
        slope[i] = t * t


@references.tanhshrink.register(DeviceArray)
def tanhshrink(x: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    return _curve(tanhshrink_kernel, x)


@gpu_kernel("real* y, const real* x, int32 n")
def hardswish_kernel(y, x, n):
    i = cuda.grid(1)
    if i < n:
        value = x[i]
        gate = value + real(3)
        if gate <= real(0):
            gate = real(0)
        elif gate >= real(6):
            gate = real(6)
        y[i] = value * gate / real(6)


@references.hardswish.register(DeviceArray)
def hardswish(x: DeviceArray) -> DeviceArray:
    """As the reference."""
    y = like(x)
    each(hardswish_kernel, x.size, y, x.contiguous())
    return y


@gpu_kernel("real* dx, const real* dy, const real* x, int32 n")
def hardswish_input_grad_kernel(dx, dy, x, n):
    i = cuda.grid(1)
    if i < n:
        value = x[i]
        slope = (real(2) * value + real(3)) / real(6)
        if value <= real(-3):
            slope = real(0)
        elif value >= real(3):
            slope = real(1)
        dx[i] = dy[i] * slope


@references.hardswish_input_grad.register(DeviceArray)
def hardswish_input_grad(dy: DeviceArray, x: DeviceArray) -> DeviceArray:
    """As the reference."""
    dx = like(dy)
    each(hardswish_input_grad_kernel, dy.size, dx, dy.contiguous(), x.contiguous())
    return dx
