"""Activations made of straight lines, one thread per number."""

from __future__ import annotations

import math

from minidl.array.device_array import DeviceArray
from minidl.array.gpu import cuda, gpu_kernel, real, uint32
from minidl.errors import ShapeError
from minidl.kernels import lines as references
from minidl.kernels.cuda.lanes import each, like
from minidl.kernels.lines import Lines

__all__ = ["prelu", "prelu_input_grad", "scale_channels", "three_lines", "three_lines_input_grad"]


@gpu_kernel(
    "real* y, const real* x, real low, real high, real s0, real s1, real s2, "
    "real h0, real h1, real h2, int32 n"
)
def three_lines_kernel(y, x, low, high, s0, s1, s2, h0, h1, h2, n):
    """A line without slope is its height: 0 · ∞ would be no number."""
    i = cuda.grid(1)
    if i < n:
        value = x[i]
        line = s1 * value + h1
        if value <= low:
            line = h0
            if s0 != real(0):
                line += s0 * value
        elif value >= high:
            line = h2
            if s2 != real(0):
                line += s2 * value
        y[i] = line


@references.three_lines.register(DeviceArray)
def three_lines(x: DeviceArray, low: float, high: float, slopes: Lines, heights: Lines) -> DeviceArray:
    """As the reference."""
    y = like(x)
    each(three_lines_kernel, x.size, y, x.contiguous(), low, high, *slopes, *heights)
    return y


@gpu_kernel(
    "real* dx, const real* dy, const real* x, real low, real high, real s0, real s1, real s2, int32 n"
)
def three_lines_input_grad_kernel(dx, dy, x, low, high, s0, s1, s2, n):
    i = cuda.grid(1)
    if i < n:
        slope = s1
        if x[i] <= low:
            slope = s0
        elif x[i] >= high:
            slope = s2
        dx[i] = slope * dy[i]


@references.three_lines_input_grad.register(DeviceArray)
def three_lines_input_grad(
    dy: DeviceArray, x: DeviceArray, low: float, high: float, slopes: Lines
) -> DeviceArray:
    """As the reference."""
    dx = like(dy)
    each(three_lines_input_grad_kernel, dy.size, dx, dy.contiguous(), x.contiguous(), low, high, *slopes)
    return dx


@gpu_kernel("real* y, const real* x, const real* weight, uint32 pixels, uint32 slopes, int32 n")
def prelu_kernel(y, x, weight, pixels, slopes, n):
    i = cuda.grid(1)
    if i < n:
        value = x[i]
        w = weight[uint32(i) // pixels % slopes]
        y[i] = value if value > real(0) else w * value


@references.prelu.register(DeviceArray)
def prelu(x: DeviceArray, weight: DeviceArray) -> DeviceArray:
    """As the reference."""
    y = like(x)
    each(prelu_kernel, x.size, y, x.contiguous(), weight.contiguous(), _pixels(x), weight.size)
    return y


@gpu_kernel(
    "real* dx, real* terms, const real* dy, const real* x, const real* weight, "
    "uint32 pixels, uint32 slopes, int32 n"
)
def prelu_input_grad_kernel(dx, terms, dy, x, weight, pixels, slopes, n):
    i = cuda.grid(1)
    if i < n:
        positive = x[i] > real(0)
        w = weight[uint32(i) // pixels % slopes]
        dx[i] = dy[i] if positive else w * dy[i]
        terms[i] = real(0) if positive else x[i] * dy[i]


@references.prelu_input_grad.register(DeviceArray)
def prelu_input_grad(dy: DeviceArray, x: DeviceArray, weight: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    dx, terms = like(dy), like(dy)
    arrays = (dx, terms, dy.contiguous(), x.contiguous(), weight.contiguous())
    each(prelu_input_grad_kernel, dy.size, *arrays, _pixels(x), weight.size)
    return dx, terms


@gpu_kernel("real* y, const real* x, const real* scale, uint32 pixels, int32 n")
def scale_channels_kernel(y, x, scale, pixels, n):
    i = cuda.grid(1)
    if i < n:
        y[i] = x[i] * scale[uint32(i) // pixels]


@references.scale_channels.register(DeviceArray)
def scale_channels(x: DeviceArray, scale: DeviceArray) -> DeviceArray:
    """As the reference."""
    if x.shape[:2] != scale.shape:
        raise ShapeError(f"scale_channels: expected scale {x.shape[:2]}, got {scale.shape}")
    y = like(x)
    each(scale_channels_kernel, x.size, y, x.contiguous(), scale.contiguous(), _pixels(x))
    return y


def _pixels(x: DeviceArray) -> int:
    """How many numbers of one channel stand side by side."""
    return math.prod(x.shape[2:])
