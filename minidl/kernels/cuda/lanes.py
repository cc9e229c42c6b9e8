"""What threads do together: sums of lanes and blocks, launches of a thread per number or some lanes per row.

Every sum is added up in the same order each time, so results are the same bits on every run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minidl.array.device_array import DeviceArray, empty
from minidl.array.elementwise import launch_size
from minidl.array.gpu import GpuKernel, cuda, gpu_function, real

__all__ = [
    "THREADS",
    "block_sum",
    "each",
    "each_row",
    "lanes_max",
    "lanes_sum",
    "like",
    "threads_for",
    "write_back",
]

THREADS = 256  # threads of a block that has no reason for another number
WARP = 32  # threads that run in step, one lane each
ALL_LANES = 0xFFFFFFFF


@gpu_function
def lanes_sum(value, lanes):
    """The sum over `lanes` neighbouring threads of a warp, 1, 2, 4, … or 32 of them.

    Every lane gets the same bits, since a + b = b + a at each exchange. All of a warp's threads have to come.
    """
    distance = lanes // 2
    while distance > 0:
        value += cuda.shfl_xor_sync(ALL_LANES, value, distance)
        distance //= 2
    return value


@gpu_function
def lanes_max(value, lanes):
    """The largest value of `lanes` neighbouring threads, in each of them."""
    distance = lanes // 2
    while distance > 0:
        value = max(value, cuda.shfl_xor_sync(ALL_LANES, value, distance))
        distance //= 2
    return value


@gpu_function
def block_sum(value):
    """The sum of all threads' values, in every thread: first each warp's, then the warps' in order."""
    of_warps = cuda.shared.array(32, real)
    value = lanes_sum(value, 32)
    if cuda.threadIdx.x % 32 == 0:
        of_warps[cuda.threadIdx.x // 32] = value
    cuda.syncthreads()
    total = real(0)
    for warp in range(cuda.blockDim.x // 32):
        total += of_warps[warp]
    cuda.syncthreads()  # nobody writes the next sum's values before everybody has read these
    return total


def each(kernel: GpuKernel, n: int, *args: Any) -> None:
    """Launch a thread for each of n results; `n` is the kernel's last argument."""
    if n:
        kernel(*launch_size(n), *args, n)


def each_row(kernel: GpuKernel, rows: int, n: int, *args: Any) -> None:
    """Launch some lanes for each row of n numbers; the kernel's last arguments are `n`, `lanes` and `rows`.

    A lane gets at least four numbers, if a row has them, so that short rows share a warp.
    """
    lanes = min(WARP, 1 << max(1, n // 4).bit_length() - 1)
    if rows:
        kernel(-(-rows * lanes // THREADS), THREADS, *args, n, lanes, rows)


def threads_for(n: int, most: int = THREADS) -> int:
    """The threads of a block that works on n numbers together: whole warps."""
    return min(most, WARP * max(1, -(-n // WARP)))


def like(x: DeviceArray, dtype: DTypeLike | None = None) -> DeviceArray:
    """An array of x's shape on its device, still empty; of x's dtype unless told."""
    return empty(x.shape, x.dtype if dtype is None else np.dtype(dtype), x.device)


def write_back(contiguous: list[DeviceArray], given: list[DeviceArray]) -> None:
    """Where a kernel changed a copy, since an array had gaps, bring the changes home."""
    for changed, array in zip(contiguous, given, strict=True):
        if changed is not array:
            array[...] = changed
