"""Gated linear units, one thread per number of a half: it finds the number's partner so many further on."""

from __future__ import annotations

import math

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import cuda, gpu_kernel, real, uint32
from minidl.kernels import gates as references
from minidl.kernels.cuda.lanes import each, like

__all__ = ["glu", "glu_input_grad"]


@gpu_kernel("real* y, const real* x, uint32 run, int32 n")
def glu_kernel(y, x, run, n):
    """In x, `run` numbers of a and as many of b take turns."""
    i = cuda.grid(1)
    if i < n:
        place = uint32(i) + uint32(i) // run * run
        gate = x[place + run]
        e = math.exp(-abs(gate))
        numerator = real(1) if gate >= real(0) else e
        y[i] = x[place] * (numerator / (real(1) + e))


@references.glu.register(DeviceArray)
def glu(x: DeviceArray, dim: int) -> DeviceArray:
    """As the reference."""
    shape, run = _half(x, dim)
    y = empty(shape, x.dtype, x.device)
    each(glu_kernel, y.size, y, x.contiguous(), run)
    return y


@gpu_kernel("real* dx, const real* dy, const real* x, uint32 run, int32 n")
def glu_input_grad_kernel(dx, dy, x, run, n):
    i = cuda.grid(1)
    if i < n:
        place = uint32(i) + uint32(i) // run * run
        gate = x[place + run]
        e = math.exp(-abs(gate))
        share = real(1) / (real(1) + e)
        s = share
        rest = e * share
        if gate < real(0):
            s = e * share
            rest = share
        passed = dy[i] * s
        dx[place] = passed
        dx[place + run] = passed * x[place] * rest


@references.glu_input_grad.register(DeviceArray)
def glu_input_grad(dy: DeviceArray, x: DeviceArray, dim: int) -> DeviceArray:
    """As the reference."""
    dx = like(x)
    each(glu_input_grad_kernel, dy.size, dx, dy.contiguous(), x.contiguous(), _half(x, dim)[1])
    return dx


def _half(x: DeviceArray, dim: int) -> tuple[tuple[int, ...], int]:
    """The shape of a half, and how many numbers of one stand side by side."""
    dim %= x.ndim
    shape = (*x.shape[:dim], x.shape[dim] // 2, *x.shape[dim + 1 :])
    return shape, math.prod(shape[dim:])
