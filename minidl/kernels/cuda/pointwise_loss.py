"""Losses of each prediction and its own target, value and slope of one number per thread.

Whoever meets a wrong target says so in `wrong`, and makes a NaN: a step that is recorded shows no more.
"""

from __future__ import annotations

import math

import numpy as np

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import GpuKernel, cuda, gpu_function, gpu_kernel, real
from minidl.kernels import pointwise_loss as references
from minidl.kernels.cuda.lanes import each, like
from minidl.kernels.pointwise_loss import LEAST_LOG, LEAST_PRODUCT

__all__ = [
    "absolute_error",
    "binary_cross_entropy",
    "clipped_error",
    "kl_divergence",
    "poisson_nll",
    "soft_margin",
]


def _loss(
    kernel: GpuKernel, prediction: DeviceArray, target: DeviceArray, summed: bool, *numbers: float
) -> tuple[DeviceArray, DeviceArray, bool]:
    losses, slope = like(prediction), like(prediction)
    wrong = empty((1,), np.dtype(np.int32), prediction.device)
    wrong.fill(0)
    each(
        kernel, prediction.size,
        losses, slope, wrong, prediction.contiguous(), target.contiguous(), *numbers,
    )  # fmt: skip
    bad = not prediction.device.recording and wrong.item() != 0
    return losses.sum() if summed else losses, slope, bad


@gpu_kernel("real* losses, real* slope, const real* x, const real* target, int32 n")
def absolute_kernel(losses, slope, x, target, n):
    i = cuda.grid(1)
    if i < n:
        error = x[i] - target[i]
        losses[i] = abs(error)
        sign = error  # 0, or NaN
        if error > real(0):
            sign = real(1)
        if error < real(0):
            sign = real(-1)
        slope[i] = sign


@references.absolute_error.register(DeviceArray)
def absolute_error(
    prediction: DeviceArray, target: DeviceArray, summed: bool
) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    losses, slope = like(prediction), like(prediction)
    each(absolute_kernel, prediction.size, losses, slope, prediction.contiguous(), target.contiguous())
    return losses.sum() if summed else losses, slope


@gpu_kernel("real* losses, real* slope, const real* x, const real* target, real limit, real unit, int32 n")
def clipped_kernel(losses, slope, x, target, limit, unit, n):
    i = cuda.grid(1)
    if i < n:
        error = x[i] - target[i]
        c = error
        if error > limit:
            c = limit
        if error < -limit:
            c = -limit
        losses[i] = c / unit * (error - real(0.5) * c)
        slope[i] = c / unit


@references.clipped_error.register(DeviceArray)
def clipped_error(
    prediction: DeviceArray, target: DeviceArray, limit: float, unit: float, summed: bool
) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    losses, slope = like(prediction), like(prediction)
    prediction, target = prediction.contiguous(), target.contiguous()
    each(clipped_kernel, prediction.size, losses, slope, prediction, target, limit, unit)
    return losses.sum() if summed else losses, slope


@gpu_kernel("real* losses, real* slope, int32* wrong, const real* x, const real* target, int32 n")
def soft_margin_kernel(losses, slope, wrong, x, target, n):
    i = cuda.grid(1)
    if i < n:
        t = target[i]
        if t != real(1) and t != real(-1):
            wrong[0] = 1
            t = real(math.nan)
        z = t * x[i]
        e = math.exp(-abs(z))
        losses[i] = max(-z, real(0)) + math.log1p(e)
        slope[i] = -t * ((e if z >= real(0) else real(1)) / (real(1) + e))


@references.soft_margin.register(DeviceArray)
def soft_margin(
    prediction: DeviceArray, target: DeviceArray, summed: bool
) -> tuple[DeviceArray, DeviceArray, bool]:
    """As the reference."""
    return _loss(soft_margin_kernel, prediction, target, summed)


@gpu_kernel(
    "real* losses, real* slope, int32* wrong, const real* x, const real* target, bool log_input, bool full, "
    "real eps, int32 n"
)
def poisson_kernel(losses, slope, wrong, x, target, log_input, full, eps, n):
    i = cuda.grid(1)
    if i < n:
        t = target[i]
        if t < real(0):
            wrong[0] = 1
            t = real(math.nan)
        stirling = real(0)
        if full and t > real(1):
            stirling = t * math.log(t) - t + real(0.5) * math.log(real(2 * math.pi) * t)
        if log_input:
            e = math.exp(x[i])
            losses[i] = e - t * x[i] + stirling
            slope[i] = e - t
        else:
            losses[i] = x[i] - t * math.log(x[i] + eps) + stirling
            slope[i] = real(1) - t / (x[i] + eps)


@references.poisson_nll.register(DeviceArray)
def poisson_nll(
    prediction: DeviceArray, target: DeviceArray, log_input: bool, full: bool, eps: float, summed: bool
) -> tuple[DeviceArray, DeviceArray, bool]:
    """As the reference."""
    return _loss(poisson_kernel, prediction, target, summed, log_input, full, eps)


@gpu_kernel(
    "real* losses, real* slope, int32* wrong, const real* x, const real* target, bool log_target, int32 n"
)
def kl_kernel(losses, slope, wrong, x, target, log_target, n):
    i = cuda.grid(1)
    if i < n:
        t = target[i]
        if log_target:
            q = math.exp(t)
            losses[i] = q * (t - x[i])
            slope[i] = -q
        else:
            if t < real(0):
                wrong[0] = 1
                t = real(math.nan)
            log_t = real(0)  # 0 log 0 = 0
            if t != real(0):
                log_t = math.log(t)
            losses[i] = t * log_t - t * x[i]
            slope[i] = -t


@references.kl_divergence.register(DeviceArray)
def kl_divergence(
    prediction: DeviceArray, target: DeviceArray, log_target: bool, summed: bool
) -> tuple[DeviceArray, DeviceArray, bool]:
    """As the reference."""
    return _loss(kl_kernel, prediction, target, summed, log_target)


@gpu_function
def careful_log(p):
    """Log p, at least −100; a NaN stays."""
    least = real(LEAST_LOG)
    value = least
    if p != real(0):
        value = math.log(p)
        if value < least:
            value = least
    return value


@gpu_kernel("real* losses, real* slope, int32* wrong, const real* x, const real* target, int32 n")
def probabilities_kernel(losses, slope, wrong, x, target, n):
    i = cuda.grid(1)
    if i < n:
        p = x[i]
        t = target[i]
        if p < real(0) or p > real(1) or t < real(0) or t > real(1):
            wrong[0] = 1
            p = real(math.nan)
        divisor = p * (real(1) - p)
        if divisor < real(LEAST_PRODUCT):
            divisor = real(LEAST_PRODUCT)
        losses[i] = -(t * careful_log(p) + (real(1) - t) * careful_log(real(1) - p))
        slope[i] = (p - t) / divisor


@references.binary_cross_entropy.register(DeviceArray)
def binary_cross_entropy(
    prediction: DeviceArray, target: DeviceArray, weight: DeviceArray | None, summed: bool
) -> tuple[DeviceArray, DeviceArray, bool]:
    """As the reference."""
    losses, slope, wrong = _loss(probabilities_kernel, prediction, target, summed and weight is None)
    if weight is not None:
        losses, slope = losses * weight, slope * weight
        losses = losses.sum() if summed else losses
    return losses, slope, wrong
