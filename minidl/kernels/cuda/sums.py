"""Sums over a batch by trees of threads: accurate without float64, and the same bits every time.

A thread adds up some numbers and keeps what each addition lost (*compensated summation*, Kahan 1965); the
threads of a block then add in pairs. A large array has several blocks per result, whose sums a second launch
of the same kernel adds up.
"""

from __future__ import annotations

import math

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import cuda, gpu_kernel, real, uint32
from minidl.kernels import sums
from minidl.kernels.cuda.lanes import block_sum

__all__ = ["sum_channels", "sum_rows"]

ACROSS, DOWN = 32, 8  # threads of a block, along a row and down the rows: a warp reads neighbours
PIECE = 512  # rows (or images) that one block adds up, if there are enough
MOST = 64  # blocks that share a result
THREADS = 256  # of a block that adds up a channel
SHORT = 32  # pixels per channel below which an image is better read as one row


@gpu_kernel("real* y, const real* x, int32 rows, int32 columns, int32 run")
def sum_rows_kernel(y, x, rows, columns, run):
    """y[piece, j] = Σ x[i, j] over the piece's rows; a block has 32 columns and `run` rows."""
    tile = cuda.shared.array((DOWN, ACROSS), real)
    tx, ty = uint32(cuda.threadIdx.x), uint32(cuda.threadIdx.y)
    piece = uint32(cuda.blockIdx.y)
    column = uint32(cuda.blockIdx.x * ACROSS + tx)
    total = real(0)
    lost = real(0)
    if column < uint32(columns):
        row = uint32(piece * run + ty)
        last = uint32(min(uint32((piece + 1) * run), uint32(rows)))
        while row < last:
            value = x[uint32(row * columns + column)] - lost
            grown = total + value
            lost = (grown - total) - value
            total = grown
            row = uint32(row + DOWN)
    tile[ty, tx] = total - lost
    half = DOWN // 2
    while half > 0:  # a tree: pairs, pairs of pairs, …
        cuda.syncthreads()
        if ty < half:
            tile[ty, tx] += tile[ty + half, tx]
        half //= 2
    if ty == 0 and column < uint32(columns):
        y[uint32(piece * columns + column)] = tile[0, tx]


@gpu_kernel("real* y, const real* x, int32 images, int32 channels, int32 pixels, int32 run")
def sum_channels_kernel(y, x, images, channels, pixels, run):
    """y[piece, c] = Σ x[n, c, p] over all pixels of the piece's `run` images; a block has a channel."""
    thread, channel = uint32(cuda.threadIdx.x), uint32(cuda.blockIdx.x)
    piece = uint32(cuda.blockIdx.y)
    last = uint32(min(uint32((piece + 1) * run), uint32(images)))
    image = uint32(piece * run)
    total = real(0)
    lost = real(0)
    while image < last:
        pixel = thread
        while pixel < uint32(pixels):
            value = x[uint32((image * channels + channel) * pixels + pixel)] - lost
            grown = total + value
            lost = (grown - total) - value
            total = grown
            pixel = uint32(pixel + THREADS)
        image = uint32(image + 1)
    total = block_sum(total - lost)
    if thread == 0:
        y[uint32(piece * channels + channel)] = total


@sums.sum_rows.register(DeviceArray)
def sum_rows(x: DeviceArray) -> DeviceArray:
    """As the reference; each sum is as accurate as one in float64 that is rounded."""
    rows, columns = x.shape
    pieces, run = _pieces(rows, PIECE)
    y: DeviceArray = empty((pieces, columns), x.dtype, x.device)
    if columns:
        grid = (-(-columns // ACROSS), pieces)
        sum_rows_kernel(grid, (ACROSS, DOWN), y, x.contiguous(), rows, columns, run)
    return y[0] if pieces == 1 else sum_rows(y)


@sums.sum_channels.register(DeviceArray)
def sum_channels(x: DeviceArray) -> DeviceArray:
    """As the reference."""
    images, channels = x.shape[:2]
    pixels = math.prod(x.shape[2:])
    if pixels == 1:
        return sum_rows(x.reshape(images, channels))
    if pixels < SHORT and images > 1:  # all images first, so that a warp reads neighbours
        x, images = sum_rows(x.reshape(images, channels * pixels)), 1
    pieces, run = _pieces(images, max(1, PIECE * 8 // max(1, pixels)))
    y: DeviceArray = empty((pieces, channels), x.dtype, x.device)
    if channels:
        sum_channels_kernel((channels, pieces), THREADS, y, x.contiguous(), images, channels, pixels, run)
    return y[0] if pieces == 1 else sum_rows(y)


def _pieces(rows: int, piece: int) -> tuple[int, int]:
    """Into how many pieces the rows are cut, and how many rows each has; it depends on shapes alone."""
    run = max(piece, -(-rows // MOST))
    return max(1, -(-rows // run)), run
