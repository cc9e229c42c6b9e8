"""Batch norm in two launches: a block per channel for its sums, then a thread per number.

A channel's sums are those of N·P numbers (N images of P pixels), in the arrays' own dtype. So that float32
loses nothing that shows, a thread adds up short runs and then the runs, and the mean is found as that of the
differences from the channel's first number, which stay small where the numbers are large and alike.
"""

from __future__ import annotations

import math

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import cuda, gpu_function, gpu_kernel, real, uint32
from minidl.kernels import normalization
from minidl.kernels.cuda.lanes import block_sum, each, like, threads_for

__all__ = ["batch_norm", "batch_norm_fixed", "batch_norm_input_grad"]

RUN = 32  # numbers that a thread adds up by themselves
MOST = 512  # threads that add up a channel


@gpu_function
def position(k, c, channels, pixels):
    """Where the k-th number of channel c lies in (N, C, P)."""
    image = uint32(k) // uint32(pixels)
    return (image * channels + c) * pixels + k - image * pixels


@gpu_function
def channel_of(i, channels, pixels):
    """Which channel the i-th number of (N, C, P) belongs to."""
    return uint32(i) // uint32(pixels) % uint32(channels)


@gpu_kernel("real* mean, real* var, const real* x, int32 channels, int32 pixels, int32 n")
def moments_kernel(mean, var, x, channels, pixels, n):
    """A block per channel: the mean of its n numbers, then that of their squared deviations."""
    c = cuda.blockIdx.x
    threads = cuda.blockDim.x
    first = x[c * pixels]
    total = real(0)
    for start in range(cuda.threadIdx.x, n, threads * RUN):
        run = real(0)
        for k in range(start, min(n, start + threads * RUN), threads):
            run += x[position(k, c, channels, pixels)] - first
        total += run
    centre = first + block_sum(total) / real(n)
    total = real(0)
    for start in range(cuda.threadIdx.x, n, threads * RUN):
        run = real(0)
        for k in range(start, min(n, start + threads * RUN), threads):
            deviation = x[position(k, c, channels, pixels)] - centre
            run += deviation * deviation
        total += run
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        mean[c] = centre
        var[c] = total / real(n)


@gpu_kernel(
    "real* y, const real* x, const real* mean, const real* var, const real* gamma, const real* beta, "
    "bool scaled, bool shifted, real eps, int32 channels, int32 pixels, int32 n"
)
def normalize_kernel(y, x, mean, var, gamma, beta, scaled, shifted, eps, channels, pixels, n):
    i = cuda.grid(1)
    if i < n:
        c = channel_of(i, channels, pixels)
        value = (x[i] - mean[c]) / math.sqrt(var[c] + eps)
        if scaled:
            value *= gamma[c]
        if shifted:
            value += beta[c]
        y[i] = value


@normalization.batch_norm.register(DeviceArray)
def batch_norm(
    x: DeviceArray, gamma: DeviceArray | None, beta: DeviceArray | None, eps: float
) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
    """As the reference."""
    x = x.contiguous()
    channels, pixels, n = _sizes(x)
    mean, var = empty((channels,), x.dtype, x.device), empty((channels,), x.dtype, x.device)
    if x.size:
        moments_kernel(channels, threads_for(n, MOST), mean, var, x, channels, pixels, n)
    return batch_norm_fixed(x, mean, var, gamma, beta, eps), mean, var


@normalization.batch_norm_fixed.register(DeviceArray)
def batch_norm_fixed(
    x: DeviceArray,
    mean: DeviceArray,
    var: DeviceArray,
    gamma: DeviceArray | None,
    beta: DeviceArray | None,
    eps: float,
) -> DeviceArray:
    """As the reference."""
    x, mean, var = x.contiguous(), mean.contiguous(), var.contiguous()
    channels, pixels, _ = _sizes(x)
    y = like(x)
    each(
        normalize_kernel, x.size, y, x, mean, var,
        mean if gamma is None else gamma.contiguous(), mean if beta is None else beta.contiguous(),
        gamma is not None, beta is not None, eps, channels, pixels,
    )  # fmt: skip
    return y


@gpu_kernel(
    "real* dgamma, real* dbeta, const real* dy, const real* x, const real* mean, const real* var, real eps, "
    "int32 channels, int32 pixels, int32 n"
)
def affine_grad_kernel(dgamma, dbeta, dy, x, mean, var, eps, channels, pixels, n):
    """A block per channel: dγ = Σ dy x̂ and dβ = Σ dy over its n numbers."""
    c = cuda.blockIdx.x
    threads = cuda.blockDim.x
    centre = mean[c]
    of_products = real(0)
    of_gradients = real(0)
    for start in range(cuda.threadIdx.x, n, threads * RUN):
        products = real(0)
        gradients = real(0)
        for k in range(start, min(n, start + threads * RUN), threads):
            i = position(k, c, channels, pixels)
            products += dy[i] * (x[i] - centre)
            gradients += dy[i]
        of_products += products
        of_gradients += gradients
    of_products = block_sum(of_products)
    of_gradients = block_sum(of_gradients)
    if cuda.threadIdx.x == 0:
        dgamma[c] = of_products / math.sqrt(var[c] + eps)
        dbeta[c] = of_gradients


@gpu_kernel(
    "real* dx, const real* dy, const real* x, const real* mean, const real* var, const real* gamma, "
    "const real* dgamma, const real* dbeta, bool scaled, bool of_batch, real eps, real count, "
    "int32 channels, int32 pixels, int32 n"
)
def normalize_input_grad_kernel(
    dx, dy, x, mean, var, gamma, dgamma, dbeta, scaled, of_batch, eps, count, channels, pixels, n
):
    """As the reference's formula, dx = γ/σ (dy − (dβ + x̂ dγ) / count); fixed statistics leave dx = γ/σ dy."""
    i = cuda.grid(1)
    if i < n:
        c = channel_of(i, channels, pixels)
        inv_std = real(1) / math.sqrt(var[c] + eps)
        scale = inv_std * gamma[c] if scaled else inv_std
        value = dy[i]
        if of_batch:
            xhat = (x[i] - mean[c]) * inv_std
            value -= (dbeta[c] + xhat * dgamma[c]) / count
        dx[i] = scale * value


@normalization.batch_norm_input_grad.register(DeviceArray)
def batch_norm_input_grad(
    dy: DeviceArray,
    x: DeviceArray,
    mean: DeviceArray,
    var: DeviceArray,
    gamma: DeviceArray | None,
    eps: float,
    of_batch: bool,
) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
    """As the reference."""
    dy, x, mean, var = dy.contiguous(), x.contiguous(), mean.contiguous(), var.contiguous()
    channels, pixels, n = _sizes(x)
    dx, dgamma, dbeta = like(x), like(mean), like(mean)
    if channels:
        threads = threads_for(n, MOST)
        affine_grad_kernel(channels, threads, dgamma, dbeta, dy, x, mean, var, eps, channels, pixels, n)
    each(
        normalize_input_grad_kernel, x.size, dx, dy, x, mean, var,
        mean if gamma is None else gamma.contiguous(), dgamma, dbeta,
        gamma is not None, of_batch, eps, n, channels, pixels,
    )  # fmt: skip
    return dx, dgamma, dbeta


def _sizes(x: DeviceArray) -> tuple[int, int, int]:
    """The channels, the pixels of one image, and how many numbers a channel has in all images."""
    channels = x.shape[1]
    pixels = math.prod(x.shape[2:])
    return channels, pixels, len(x) * pixels
