"""Rows by index on a GPU: positions of one target row form a chain, which one thread per column walks along.

Nothing is sorted and nobody adds to another thread's numbers, so the bits are the same every time, and the
host need not know the indices.
"""

from __future__ import annotations

import numpy as np

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import cuda, gpu_kernel, real
from minidl.kernels import embedding
from minidl.kernels.cuda.lanes import each

__all__ = ["bags_of", "gather_rows", "move_rows", "scatter_max", "scatter_rows", "scatter_winners"]


@embedding.gather_rows.register(DeviceArray)
def gather_rows(table: DeviceArray, indices: DeviceArray) -> DeviceArray:
    """As the reference, but that an index outside gives NaN, or 0 in integers."""
    return table.take(indices, axis=0)


@gpu_kernel("int32* earlier, int32* later, const int64* indices, int32 n")
def chain_kernel(earlier, later, indices, n):
    """For every position the last one before it with the same index, or −1; and for that one, this one."""
    j = cuda.grid(1)
    if j < n:
        wanted = indices[j]
        k = j - 1
        while k >= 0 and indices[k] != wanted:
            k -= 1
        earlier[j] = k
        if k >= 0:
            later[k] = j


@gpu_kernel(
    "real* y, const real* x, const int64* indices, const int32* earlier, const int32* later, int32 columns, "
    "int32 rows, int32 n"
)
def scatter_kernel(y, x, indices, earlier, later, columns, rows, n):
    """A thread per given number: that of a chain's first position adds up the chain."""
    i = cuda.grid(1)
    if i < n:
        j, column = i // columns, i % columns
        row = indices[j]
        if earlier[j] < 0 and row >= 0 and row < rows:
            total = real(0)
            while j >= 0:
                total += x[j * columns + column]
                j = later[j]
            y[row * columns + column] = total


@gpu_kernel(
    "real* y, const real* x, const int64* sources, const int64* indices, const int32* earlier, "
    "const int32* later, int32 given, int32 columns, int32 rows, int32 n"
)
def move_kernel(y, x, sources, indices, earlier, later, given, columns, rows, n):
    """As `scatter_kernel`, which finds each position's row of x by its number."""
    i = cuda.grid(1)
    if i < n:
        j, column = i // columns, i % columns
        row = indices[j]
        if earlier[j] < 0 and row >= 0 and row < rows:
            total = real(0)
            while j >= 0:
                source = sources[j]
                if source >= 0 and source < given:
                    total += x[source * columns + column]
                j = later[j]
            y[row * columns + column] = total


@gpu_kernel(
    "real* y, int64* winners, const real* x, const int64* indices, const int32* earlier, const int32* later, "
    "int32 columns, int32 rows, int32 n"
)
def scatter_max_kernel(y, winners, x, indices, earlier, later, columns, rows, n):
    """As `scatter_kernel`, with the largest in place of the sum; nothing is larger than NaN."""
    i = cuda.grid(1)
    if i < n:
        j, column = i // columns, i % columns
        row = indices[j]
        if earlier[j] < 0 and row >= 0 and row < rows:
            winner = j
            best = x[j * columns + column]
            j = later[j]
            while j >= 0:
                value = x[j * columns + column]
                if value > best or (value != value and best == best):
                    best = value
                    winner = j
                j = later[j]
            y[row * columns + column] = best
            winners[row * columns + column] = winner


@embedding.scatter_rows.register(DeviceArray)
def scatter_rows(x: DeviceArray, indices: DeviceArray, rows: int) -> DeviceArray:
    """As the reference."""
    y = _filled((rows, x.shape[1]), x.dtype, x, 0)
    each(scatter_kernel, x.size, y, x.contiguous(), *_chains(indices), x.shape[1], rows)
    return y


@embedding.move_rows.register(DeviceArray)
def move_rows(x: DeviceArray, sources: DeviceArray, indices: DeviceArray, rows: int) -> DeviceArray:
    """As the reference."""
    given, columns = x.shape
    y = _filled((rows, columns), x.dtype, x, 0)
    sources = sources.astype(np.int64, copy=False).contiguous()
    x, n = x.contiguous(), sources.size * columns
    each(move_kernel, n, y, x, sources, *_chains(indices), given, columns, rows)
    return y


@embedding.scatter_max.register(DeviceArray)
def scatter_max(x: DeviceArray, indices: DeviceArray, rows: int) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    y = _filled((rows, x.shape[1]), x.dtype, x, 0)
    winners = _filled(y.shape, np.dtype(np.int64), x, -1)
    each(scatter_max_kernel, x.size, y, winners, x.contiguous(), *_chains(indices), x.shape[1], rows)
    return y, winners


@gpu_kernel("real* dx, const real* dy, const int64* winners, int32 columns, int32 given, int32 n")
def winners_kernel(dx, dy, winners, columns, given, n):
    """A thread per number of dy, which alone writes where its winner stood."""
    i = cuda.grid(1)
    if i < n:
        winner = winners[i]
        if winner >= 0 and winner < given:
            dx[winner * columns + i % columns] = dy[i]


@embedding.scatter_winners.register(DeviceArray)
def scatter_winners(dy: DeviceArray, winners: DeviceArray, indices: DeviceArray, rows: int) -> DeviceArray:
    """As the reference."""
    given, columns = indices.size, dy.shape[1]
    dx = _filled((given, columns), dy.dtype, dy, 0)
    winners = winners.astype(np.int64, copy=False).contiguous()
    each(winners_kernel, dy.size, dx, dy.contiguous(), winners, columns, given)
    return scatter_rows(dx, indices, rows)


def _chains(indices: DeviceArray) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
    indices = indices.astype(np.int64, copy=False).contiguous()
    earlier, later = (_filled(indices.shape, np.dtype(np.int32), indices, -1) for _ in range(2))
    each(chain_kernel, indices.size, earlier, later, indices)
    return indices, earlier, later


def _filled(shape: tuple[int, ...], dtype: np.dtype, near: DeviceArray, value: int) -> DeviceArray:
    made = empty(shape, dtype, near.device)
    made.fill(value)
    return made


@gpu_kernel("int64* bags, const int64* offsets, int32 count, int32 n")
def bags_kernel(bags, offsets, count, n):
    """A thread per position halves the bags among which its own is."""
    j = cuda.grid(1)
    if j < n:
        low = 0
        high = count
        while low < high:
            middle = (low + high) // 2
            if offsets[middle] <= j:
                low = middle + 1
            else:
                high = middle
        bags[j] = low - 1


@embedding.bags_of.register(DeviceArray)
def bags_of(offsets: DeviceArray, n: int) -> DeviceArray:
    """As the reference."""
    offsets = offsets.astype(np.int64, copy=False).contiguous()
    bags = empty((n,), np.dtype(np.int64), offsets.device)
    each(bags_kernel, n, bags, offsets, offsets.size)
    return bags
