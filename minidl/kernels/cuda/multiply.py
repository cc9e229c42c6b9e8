"""The host's part of a product: which tile, and among how many blocks a long sum is shared."""

from __future__ import annotations

from typing import TypeAlias

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import PRECISIONS, GpuKernel, cuda, gpu_kernel, uint32
from minidl.kernels.cuda.lanes import each
from minidl.kernels.cuda.tiles import Matrix, Tile, product_kernel

__all__ = ["Kernels", "add_parts", "multiply", "product_kernels"]

Kernels: TypeAlias = dict[Tile, GpuKernel]
"""The same product with tiles of several sizes, the largest first."""

ENOUGH = 132 * 256
"""Threads that keep a GPU busy: an H100 or H200 has 132 multiprocessors, and each needs some 8 warps, as a
warp waits for its numbers most of the time."""
FEW = 24  # blocks of large tiles that are better than more of small ones
SHARE = 64  # k's below which a sum is not cut any further
WORTH = 4  # a sum of fewer such shares is not cut at all: adding up the parts is a launch of its own
PARTS = 64  # into so many at most
LONG = 512  # k's of which a block may well have few: a longer sum is cut, so that large tiles are enough


def product_kernels(
    name: str, tiles: tuple[Tile, ...], sizes: str, a: Matrix, b: Matrix, c: Matrix, bias: str = "column"
) -> Kernels:
    """One kernel for each tile; the arguments are those of `product_kernel`."""
    return {
        tile: product_kernel(f"{name}_{tile.rows}x{tile.columns}", tile, sizes, a, b, c, bias)
        for tile in tiles
    }


def multiply(
    kernels: Kernels,
    c: DeviceArray,
    a: DeviceArray,
    b: DeviceArray,
    shape: tuple[int, int, int],
    batch: int,
    *,
    sizes: tuple[int, ...],
    c_row: int,
    bias: DeviceArray | None = None,
    bias_every: int = 1,
    along_k: tuple[bool, bool] = (True, True),
    tile: Tile | None = None,
) -> None:
    """Fill c with products, or leave a sum of several partial ones to `add_parts`.

    The choice of tile and parts depends on shapes and dtype alone, so the bits are the same on every device.

    Args:
        kernels: to choose from.
        c: contiguous.
        a: as the kernel's A reads it; so for b.
        b: likewise.
        shape: (m, n, depth) of each product.
        batch: how many products.
        sizes: what the kernel asks for further.
        c_row: how far apart C's rows are.
        bias: contiguous, or None.
        bias_every: how many neighbours in c have the same number of the bias.
        along_k: for A and for B, whether their k's lie side by side.
        tile: to use this one.
    """
    m, n, depth = shape
    if not c.size:
        return
    tile = tile or choose_tile(tuple(kernels), m, n, depth, batch, PRECISIONS[c.dtype])
    blocks = -(-m // tile.rows) * -(-n // tile.columns)
    run, parts = split_sum(depth, blocks * batch, tile)
    partial = c if parts == 1 else empty((parts, c.size), c.dtype, c.device)
    given = bias if bias is not None and parts == 1 else c
    kernels[tile](
        (blocks, batch, parts), tile.threads, partial, a, b, given,
        m, n, depth, run, c_row, c.size,
        *along_k, bias is not None and parts == 1, *sizes,
    )  # fmt: skip
    if parts > 1:
        add_parts(c, partial, parts, bias, bias_every)


def choose_tile(tiles: tuple[Tile, ...], m: int, n: int, depth: int, batch: int, dtype: str) -> Tile:
    """The first tile of which there are enough to keep the GPU busy, and which C fills for the most part."""
    for tile in tiles[:-1]:
        down, across = -(-m // tile.rows), -(-n // tile.columns)
        wide = down * tile.rows * across * tile.columns
        blocks = down * across * batch * max(1, depth // LONG)
        if tile.real in ("real", dtype) and blocks >= FEW and 2 * m * n >= wide:
            return tile
    return tiles[-1]


def split_sum(depth: int, blocks: int, tile: Tile) -> tuple[int, int]:
    """How many k's one block adds up, and how many blocks share a sum, when the rest gives so few blocks."""
    shares = depth // SHARE
    parts = max(1, min(PARTS, ENOUGH // (blocks * tile.threads), shares if shares >= WORTH else 1))
    run = max(1, -(-depth // (parts * tile.depth))) * tile.depth
    return run, max(1, -(-depth // run))


@gpu_kernel(
    "real* c, const real* parts, const real* bias, int32 count, int32 biased, int32 bias_every, "
    "int32 bias_size, int32 size"
)
def add_parts_kernel(c, parts, bias, count, biased, bias_every, bias_size, size):
    """c[i] = parts[0, i] + parts[1, i] + … + bias; each thread has one of them, and adds in this order."""
    at = uint32(cuda.grid(1))
    if at < uint32(size):
        value = parts[at]
        for part in range(1, count):
            value += parts[uint32(part * size + at)]
        if biased:
            value += bias[uint32(at // uint32(bias_every)) % uint32(bias_size)]
        c[at] = value


def add_parts(
    c: DeviceArray, parts: DeviceArray, count: int, bias: DeviceArray | None = None, bias_every: int = 1
) -> None:
    """Add up partial products, (count, numbers of c), into c."""
    given = c if bias is None else bias
    each(add_parts_kernel, c.size, c, parts, given, count, bias is not None, bias_every, given.size)
