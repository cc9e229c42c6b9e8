"""What threads do together: the sum of a warp and of a block, and launches of a thread per number or a warp per row.

Every sum is added up in the same order each time, so results are the same bits on every run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import GpuKernel, cuda, gpu_function, real

__all__ = ["THREADS", "WARP", "block_sum", "each", "each_row", "like", "warp_max", "warp_sum", "write_back"]

THREADS = 256  # threads of a block that has no reason for another number
WARP = 32  # threads that run in step, one lane each
ALL_LANES = 0xFFFFFFFF


@gpu_function
def warp_sum(value):  # type: ignore[no-untyped-def]
    """The sum of all lanes' values, the same bits in every lane: a + b = b + a at each of five exchanges."""
    distance = 16
    while distance > 0:
        value += cuda.shfl_xor_sync(ALL_LANES, value, distance)
        distance //= 2
    return value


@gpu_function
def warp_max(value):  # type: ignore[no-untyped-def]
    """The largest of all lanes' values, in every lane."""
    distance = 16
    while distance > 0:
        other = cuda.shfl_xor_sync(ALL_LANES, value, distance)
        value = other if other > value else value
        distance //= 2
    return value


@gpu_function
def block_sum(value):  # type: ignore[no-untyped-def]
    """The sum of all threads' values, in every thread: first each warp's, then the warps' in order."""
    of_warps = cuda.shared.array(32, real)
    value = warp_sum(value)
    if cuda.threadIdx.x % 32 == 0:
        of_warps[cuda.threadIdx.x // 32] = value
    cuda.syncthreads()
    total = real(0)
    for warp in range(cuda.blockDim.x // 32):
        total += of_warps[warp]
    cuda.syncthreads()  # nobody writes the next sum's values before everybody has read these
    return total


def each(kernel: GpuKernel, n: int, *args: Any) -> None:
    """Launch a thread for each of n numbers; `n` is the kernel's last argument."""
    if n:
        kernel(-(-n // THREADS), THREADS, *args, n)


def each_row(kernel: GpuKernel, rows: int, *args: Any) -> None:
    """Launch a warp for each row; `rows` is the kernel's last argument."""
    if rows:
        kernel(-(-rows * WARP // THREADS), THREADS, *args, rows)


def like(x: DeviceArray, dtype: DTypeLike = None) -> DeviceArray:
    """An array of x's shape on its device, still empty; of x's dtype unless told."""
    return empty(x.shape, x.dtype if dtype is None else np.dtype(dtype), x.device)


def write_back(contiguous: list[DeviceArray], given: list[DeviceArray]) -> None:
    """Where a kernel changed a copy, since an array had gaps, bring the changes home."""
    for changed, array in zip(contiguous, given, strict=True):
        if changed is not array:
            array[...] = changed
