"""Group norm: a block per group for its sums, then a thread per number; γ's and β's sums are `sum_channels`.

As in batch norm a thread adds up short runs and then the runs, in the arrays' own dtype, and the mean is
found as that of the differences from the group's first number.
"""

from __future__ import annotations

import math

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import cuda, gpu_function, gpu_kernel, real, uint32
from minidl.errors import ShapeError
from minidl.kernels import groups as references
from minidl.kernels.cuda.lanes import block_sum, each, like, threads_for
from minidl.kernels.cuda.sums import sum_channels

__all__ = ["group_norm", "group_norm_input_grad"]

RUN = 32  # numbers that a thread adds up by themselves
MOST = 512  # threads that add up a group


@gpu_function
def group_of(i, width):
    """Which group the i-th number belongs to, if each has `width` neighbours."""
    return uint32(i) // uint32(width)


@gpu_function
def channel_of(i, channels, pixels):
    """Which channel the i-th number of (N, C, P) belongs to."""
    return uint32(i) // uint32(pixels) % uint32(channels)


@gpu_kernel("real* mean, real* var, const real* x, bool centred, int32 width")
def group_moments_kernel(mean, var, x, centred, width):
    """A block per group: the mean of its numbers (or 0), then that of their squared deviations."""
    start = cuda.blockIdx.x * width
    end = start + width
    step = cuda.blockDim.x
    centre = real(0)
    if centred:
        first = x[start]
        total = real(0)
        for begin in range(start + cuda.threadIdx.x, end, step * RUN):
            run = real(0)
            for i in range(begin, min(end, begin + step * RUN), step):
                run += x[i] - first
            total += run
        centre = first + block_sum(total) / real(width)
    total = real(0)
    for begin in range(start + cuda.threadIdx.x, end, step * RUN):
        run = real(0)
        for i in range(begin, min(end, begin + step * RUN), step):
            deviation = x[i] - centre
            run += deviation * deviation
        total += run
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        mean[cuda.blockIdx.x] = centre
        var[cuda.blockIdx.x] = total / real(width)


@gpu_kernel(
    "real* y, const real* x, const real* mean, const real* var, const real* gamma, const real* beta, "
    "bool scaled, bool shifted, real eps, int32 channels, int32 pixels, int32 width, int32 n"
)
def normalize_groups_kernel(y, x, mean, var, gamma, beta, scaled, shifted, eps, channels, pixels, width, n):
    i = cuda.grid(1)
    if i < n:
        group, c = group_of(i, width), channel_of(i, channels, pixels)
        value = (x[i] - mean[group]) / math.sqrt(var[group] + eps)
        if scaled:
            value *= gamma[c]
        if shifted:
            value += beta[c]
        y[i] = value


@references.group_norm.register(DeviceArray)
def group_norm(
    x: DeviceArray,
    gamma: DeviceArray | None,
    beta: DeviceArray | None,
    groups: int,
    eps: float,
    centred: bool,
) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
    """As the reference."""
    x, y = x.contiguous(), like(x)
    mean, var = (empty((len(x), groups), x.dtype, x.device) for _ in range(2))
    channels, pixels = x.shape[1:]
    width = channels // groups * pixels
    if x.size:
        group_moments_kernel(mean.size, threads_for(width, MOST), mean, var, x, centred, width)
    each(
        normalize_groups_kernel, x.size, y, x, mean, var,
        mean if gamma is None else gamma.contiguous(), mean if beta is None else beta.contiguous(),
        gamma is not None, beta is not None, eps, channels, pixels, width,
    )  # fmt: skip
    return y, mean, var


@gpu_kernel(
    "real* along, real* level, const real* dy, const real* x, const real* mean, const real* var, "
    "const real* gamma, bool scaled, real eps, int32 channels, int32 pixels, int32 width"
)
def group_shares_kernel(along, level, dy, x, mean, var, gamma, scaled, eps, channels, pixels, width):
    """A block per group: mean(dx̂ x̂) and mean(dx̂) of its numbers."""
    group = cuda.blockIdx.x
    start = group * width
    end = start + width
    step = cuda.blockDim.x
    centre = mean[group]
    of_products = real(0)
    of_gradients = real(0)
    for begin in range(start + cuda.threadIdx.x, end, step * RUN):
        products = real(0)
        gradients = real(0)
        for i in range(begin, min(end, begin + step * RUN), step):
            gradient = dy[i]
            if scaled:
                gradient *= gamma[channel_of(i, channels, pixels)]
            products += gradient * (x[i] - centre)
            gradients += gradient
        of_products += products
        of_gradients += gradients
    of_products = block_sum(of_products)
    of_gradients = block_sum(of_gradients)
    if cuda.threadIdx.x == 0:
        along[group] = of_products / math.sqrt(var[group] + eps) / real(width)
        level[group] = of_gradients / real(width)


@gpu_kernel(
    "real* dx, real* products, const real* dy, const real* x, const real* mean, const real* var, "
    "const real* gamma, const real* along, const real* level, bool scaled, bool centred, real eps, "
    "int32 channels, int32 pixels, int32 width, int32 n"
)
def group_norm_input_grad_kernel(
    dx, products, dy, x, mean, var, gamma, along, level, scaled, centred, eps, channels, pixels, width, n
):
    """As the reference's formula, dx = (dx̂ − mean(dx̂) − x̂ mean(dx̂ x̂)) / σ; and dy x̂, of which dγ is a sum."""
    i = cuda.grid(1)
    if i < n:
        group = group_of(i, width)
        inv_std = real(1) / math.sqrt(var[group] + eps)
        xhat = (x[i] - mean[group]) * inv_std
        gradient = dy[i]
        products[i] = gradient * xhat
        if scaled:
            gradient *= gamma[channel_of(i, channels, pixels)]
        gradient -= xhat * along[group]
        if centred:
            gradient -= level[group]
        dx[i] = gradient * inv_std


@references.group_norm_input_grad.register(DeviceArray)
def group_norm_input_grad(
    dy: DeviceArray,
    x: DeviceArray,
    mean: DeviceArray,
    var: DeviceArray,
    gamma: DeviceArray | None,
    eps: float,
    centred: bool,
) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
    """As the reference."""
    if dy.shape != x.shape or mean.shape != var.shape or len(mean) != len(x):
        raise ShapeError(
            f"group_norm_input_grad: expected dy and x of one shape, and mean and var of their images, "
            f"got {dy.shape}, {x.shape}, {mean.shape} and {var.shape}"
        )
    dy, x, mean, var = dy.contiguous(), x.contiguous(), mean.contiguous(), var.contiguous()
    dx, products, along, level = like(x), like(x), like(mean), like(mean)
    channels, pixels = x.shape[1:]
    width = channels // mean.shape[1] * pixels
    given = (dy, x, mean, var, mean if gamma is None else gamma.contiguous())
    sizes = (channels, pixels, width)
    if x.size:
        threads = threads_for(width, MOST)
        group_shares_kernel(mean.size, threads, along, level, *given, gamma is not None, eps, *sizes)
    each(
        group_norm_input_grad_kernel, x.size, dx, products, *given, along, level,
        gamma is not None, centred, eps, *sizes,
    )  # fmt: skip
    return dx, sum_channels(products), sum_channels(dy)
