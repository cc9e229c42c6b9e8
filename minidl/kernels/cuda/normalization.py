"""Batch norm in a few launches: blocks for the channels' sums, then a thread per number.

A channel's sums are those of N·P numbers (N images of P pixels), in the arrays' own dtype. So that float32
loses nothing that shows, a thread adds up short runs and then the runs, and the mean is found as that of the
differences from the first number, which stay small where the numbers are large and alike.

A channel of many numbers is cut into pieces, a block for each, as one block alone would leave the GPU idle.
What the pieces found is put together by a launch of its own, always in the same order, so the bits stay the
same.
"""

from __future__ import annotations

import math

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import cuda, gpu_function, gpu_kernel, int32, real, uint32
from minidl.kernels import normalization
from minidl.kernels.cuda.lanes import (
    block_sum,
    each,
    each_row,
    lanes_sum,
    like,
    threads_for,
    write_back,
)

__all__ = ["batch_norm", "batch_norm_fixed", "batch_norm_input_grad", "move_statistics"]

RUN = 32  # numbers that a thread adds up by themselves
MOST = 512  # threads of a block, at most
PIECE = 2048  # numbers of a piece at least: four for each thread, that it can wait for together
PIECES = 64  # into so many at most
BLOCKS = 396  # of all channels: an H100's or H200's 132 multiprocessors have room for three of MOST threads


@gpu_function
def position(k, c, channels, pixels):
    """Where the k-th number of channel c lies in (N, C, P)."""
    image = uint32(k) // uint32(pixels)
    return uint32((image * channels + c) * pixels + k - image * pixels)


@gpu_function
def channel_of(i, channels, pixels):
    """Which channel the i-th number of (N, C, P) belongs to."""
    return uint32(i) // uint32(pixels) % uint32(channels)


@gpu_kernel("real* mean, real* var, const real* x, int32 channels, int32 pixels, int32 n, int32 piece")
def moments_kernel(mean, var, x, channels, pixels, n, piece):
    """A block per channel and piece: the mean of its numbers, then that of their squared deviations."""
    c = int32(cuda.blockIdx.x)
    threads = int32(cuda.blockDim.x)
    begin = int32(cuda.blockIdx.y * piece)
    end = int32(min(n, begin + piece))
    first = x[position(begin, c, channels, pixels)]
    total = real(0)
    for start in range(int32(begin + cuda.threadIdx.x), end, int32(threads * RUN)):
        run = real(0)
        for k in range(start, int32(min(end, start + threads * RUN)), threads):
            run += x[position(k, c, channels, pixels)] - first
        total += run
    centre = first + block_sum(total) / real(end - begin)
    total = real(0)
    for start in range(int32(begin + cuda.threadIdx.x), end, int32(threads * RUN)):
        run = real(0)
        for k in range(start, int32(min(end, start + threads * RUN)), threads):
            deviation = x[position(k, c, channels, pixels)] - centre
            run += deviation * deviation
        total += run
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        mean[cuda.blockIdx.y * channels + c] = centre
        var[cuda.blockIdx.y * channels + c] = total / real(end - begin)


@gpu_kernel(
    "real* mean, real* var, const real* means, const real* squares, int32 n, int32 piece, "
    "int32 pieces, int32 lanes, int32 channels"
)
def moments_of_pieces_kernel(mean, var, means, squares, n, piece, pieces, lanes, channels):
    """Some lanes per channel: mean = Σ nₚ meanₚ / n and var = Σ nₚ (squareₚ + (meanₚ − mean)²) / n."""
    c = cuda.grid(1) // lanes
    lane = cuda.threadIdx.x % lanes
    here = pieces if c < channels else 0  # lanes without a channel come too: exchanges need all of a warp
    first = means[c] if c < channels else real(0)
    total = real(0)
    for p in range(lane, here, lanes):
        total += real(min(piece, n - p * piece)) * (means[p * channels + c] - first)
    centre = first + lanes_sum(total, lanes) / real(n)
    total = real(0)
    for p in range(lane, here, lanes):
        deviation = means[p * channels + c] - centre
        total += real(min(piece, n - p * piece)) * (squares[p * channels + c] + deviation * deviation)
    total = lanes_sum(total, lanes)
    if lane == 0 and c < channels:
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
    pieces, piece = _pieces(channels, n)
    if x.size:
        means, squares = _of_pieces(pieces, mean, var)
        threads = threads_for(piece, MOST)
        moments_kernel((channels, pieces), threads, means, squares, x, channels, pixels, n, piece)
        if pieces > 1:
            each_row(moments_of_pieces_kernel, channels, pieces, mean, var, means, squares, n, piece)
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
    "real* running_mean, real* running_var, const real* mean, const real* var, real kept, real m, int32 n"
)
def move_statistics_kernel(running_mean, running_var, mean, var, kept, m, n):
    """`kept` is 1 − m."""
    c = cuda.grid(1)
    if c < n:
        running_mean[c] = kept * running_mean[c] + m * mean[c]
        running_var[c] = kept * running_var[c] + m * var[c]


@normalization.move_statistics.register(DeviceArray)
def move_statistics(
    running_mean: DeviceArray, running_var: DeviceArray, mean: DeviceArray, var: DeviceArray, m: float
) -> None:
    """As the reference, in one launch, where plain NumPy's ufuncs would be eight."""
    given = [running_mean, running_var]
    moved = [array.contiguous() for array in given]
    batch = [x.astype(running_mean.dtype, copy=False).contiguous() for x in (mean, var)]
    each(move_statistics_kernel, mean.size, *moved, *batch, 1 - m, m)
    write_back(moved, given)


@gpu_kernel(
    "real* dgamma, real* dbeta, const real* dy, const real* x, const real* mean, const real* var, real eps, "
    "int32 channels, int32 pixels, int32 n, int32 piece"
)
def affine_grad_kernel(dgamma, dbeta, dy, x, mean, var, eps, channels, pixels, n, piece):
    """A block per channel and piece: dγ = Σ dy x̂ and dβ = Σ dy over the piece's numbers."""
    c = int32(cuda.blockIdx.x)
    threads = int32(cuda.blockDim.x)
    begin = int32(cuda.blockIdx.y * piece)
    end = int32(min(n, begin + piece))
    centre = mean[c]
    of_products = real(0)
    of_gradients = real(0)
    for start in range(int32(begin + cuda.threadIdx.x), end, int32(threads * RUN)):
        products = real(0)
        gradients = real(0)
        for k in range(start, int32(min(end, start + threads * RUN)), threads):
            i = position(k, c, channels, pixels)
            products += dy[i] * (x[i] - centre)
            gradients += dy[i]
        of_products += products
        of_gradients += gradients
    of_products = block_sum(of_products)
    of_gradients = block_sum(of_gradients)
    if cuda.threadIdx.x == 0:
        dgamma[cuda.blockIdx.y * channels + c] = of_products / math.sqrt(var[c] + eps)
        dbeta[cuda.blockIdx.y * channels + c] = of_gradients


@gpu_kernel(
    "real* dgamma, real* dbeta, const real* dgammas, const real* dbetas, int32 pieces, int32 lanes, "
    "int32 channels"
)
def affine_grad_of_pieces_kernel(dgamma, dbeta, dgammas, dbetas, pieces, lanes, channels):
    """Some lanes per channel add up what its pieces found."""
    c = cuda.grid(1) // lanes
    lane = cuda.threadIdx.x % lanes
    of_products = real(0)
    of_gradients = real(0)
    for p in range(lane, pieces if c < channels else 0, lanes):
        of_products += dgammas[p * channels + c]
        of_gradients += dbetas[p * channels + c]
    of_products = lanes_sum(of_products, lanes)
    of_gradients = lanes_sum(of_gradients, lanes)
    if lane == 0 and c < channels:
        dgamma[c] = of_products
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
        pieces, piece = _pieces(channels, n)
        dgammas, dbetas = _of_pieces(pieces, dgamma, dbeta)
        affine_grad_kernel(
            (channels, pieces), threads_for(piece, MOST), dgammas, dbetas, dy, x, mean, var, eps,
            channels, pixels, n, piece,
        )  # fmt: skip
        if pieces > 1:
            each_row(affine_grad_of_pieces_kernel, channels, pieces, dgamma, dbeta, dgammas, dbetas)
    each(
        normalize_input_grad_kernel, x.size, dx, dy, x, mean, var,
        mean if gamma is None else gamma.contiguous(), dgamma, dbeta,
        gamma is not None, of_batch, eps, n, channels, pixels,
    )  # fmt: skip
    return dx, dgamma, dbeta


def _pieces(channels: int, n: int) -> tuple[int, int]:
    """Into how many pieces a channel's n numbers are cut, and how many numbers each has but the last."""
    pieces = max(1, min(PIECES, n // PIECE, BLOCKS // max(1, channels)))
    piece = max(1, -(-n // pieces))
    return max(1, -(-n // piece)), piece


def _of_pieces(pieces: int, *results: DeviceArray) -> tuple[DeviceArray, ...]:
    """Arrays for what the pieces find: the results themselves if there is but one piece."""
    if pieces == 1:
        return results
    return tuple(empty((pieces, *x.shape), x.dtype, x.device) for x in results)


def _sizes(x: DeviceArray) -> tuple[int, int, int]:
    """The channels, the pixels of one image, and how many numbers a channel has in all images."""
    channels = x.shape[1]
    pixels = math.prod(x.shape[2:])
    return channels, pixels, len(x) * pixels
