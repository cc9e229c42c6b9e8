"""Group norm: a block has a group, whose numbers stay near it; γ's and β's sums are `sum_channels`.

As in batch norm a thread adds up short runs and then the runs, in the arrays' own dtype, and the mean is
found as that of the differences from the group's first number.
"""

from __future__ import annotations

import math

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import cuda, gpu_function, gpu_kernel, real, uint32
from minidl.errors import ShapeError
from minidl.kernels import groups as references
from minidl.kernels.cuda.lanes import block_sum, like, threads_for
from minidl.kernels.cuda.sums import sum_channels

__all__ = ["group_norm", "group_norm_input_grad"]

RUN = 32  # numbers that a thread adds up by themselves
MOST = 512  # threads that add up a group


@gpu_function
def channel_of(i, channels, pixels):
    """Which channel the i-th number of (N, C, P) belongs to."""
    return uint32(i) // uint32(pixels) % uint32(channels)


@gpu_kernel(
    "real* y, real* mean, real* var, const real* x, const real* gamma, const real* beta, bool scaled, "
    "bool shifted, bool centred, real eps, int32 channels, int32 pixels, int32 width"
)
def group_norm_kernel(y, mean, var, x, gamma, beta, scaled, shifted, centred, eps, channels, pixels, width):
    """The mean of a group's numbers (or 0), then that of their squared deviations, then what comes of it."""
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
    square = block_sum(total) / real(width)
    if cuda.threadIdx.x == 0:
        mean[cuda.blockIdx.x] = centre
        var[cuda.blockIdx.x] = square
    inv_std = real(1) / math.sqrt(square + eps)
    for i in range(start + cuda.threadIdx.x, end, step):
        c = channel_of(i, channels, pixels)
        value = (x[i] - centre) * inv_std
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
        group_norm_kernel(
            mean.size, threads_for(width, MOST), y, mean, var, x,
            mean if gamma is None else gamma.contiguous(), mean if beta is None else beta.contiguous(),
            gamma is not None, beta is not None, centred, eps, channels, pixels, width,
        )  # fmt: skip
    return y, mean, var


@gpu_kernel(
    "real* dx, real* products, const real* dy, const real* x, const real* mean, const real* var, "
    "const real* gamma, bool scaled, bool centred, real eps, int32 channels, int32 pixels, int32 width"
)
def group_norm_input_grad_kernel(
    dx, products, dy, x, mean, var, gamma, scaled, centred, eps, channels, pixels, width
):
    """As the reference's formula, dx = (dx̂ − mean(dx̂) − x̂ mean(dx̂ x̂)) / σ; and dy x̂, of which dγ is a sum."""
    start = cuda.blockIdx.x * width
    end = start + width
    step = cuda.blockDim.x
    centre = mean[cuda.blockIdx.x]
    inv_std = real(1) / math.sqrt(var[cuda.blockIdx.x] + eps)
    along = real(0)
    level = real(0)
    for begin in range(start + cuda.threadIdx.x, end, step * RUN):
        of_products = real(0)
        of_gradients = real(0)
        for i in range(begin, min(end, begin + step * RUN), step):
            gradient = dy[i]
            if scaled:
                gradient *= gamma[channel_of(i, channels, pixels)]
            of_products += gradient * (x[i] - centre)
            of_gradients += gradient
        along += of_products
        level += of_gradients
    along = block_sum(along) * inv_std / real(width)
    level = block_sum(level) / real(width)
    for i in range(start + cuda.threadIdx.x, end, step):
        xhat = (x[i] - centre) * inv_std
        gradient = dy[i]
        products[i] = gradient * xhat
        if scaled:
            gradient *= gamma[channel_of(i, channels, pixels)]
        gradient -= xhat * along
        if centred:
            gradient -= level
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
    dx, products = like(x), like(x)
    channels, pixels = x.shape[1:]
    width = channels // mean.shape[1] * pixels
    if x.size:
        group_norm_input_grad_kernel(
            mean.size, threads_for(width, MOST), dx, products, dy, x, mean, var,
            mean if gamma is None else gamma.contiguous(), gamma is not None, centred, eps,
            channels, pixels, width,
        )  # fmt: skip
    return dx, sum_channels(products), sum_channels(dy)
