"""The simulated GPU: honest kernels give their results, and what a GPU would not forgive is an error."""

from __future__ import annotations

import numpy as np
import pytest

from minidl.array.device import get_device
from minidl.array.gpu import (
    cuda,
    gpu_kernel,
    real,
)


class Flat:
    """As much of an array as a launch needs."""

    def __init__(self, values, offset=0, device=None):
        values = np.ascontiguousarray(values)
        self.device = device or get_device("sim")
        self.dtype, self.offset, self.shape = values.dtype, offset, values.shape
        self.buffer = self.device.allocate(values.nbytes)
        self.device.copy_from_host(self.buffer, 0, values)

    def host(self):
        values = np.empty(self.shape, self.dtype)
        self.device.copy_to_host(self.buffer, 0, values)
        return values


@gpu_kernel("real* y, const real* x, int32 n")
def relu(y, x, n):
    i = cuda.grid(1)
    if i < n:
        y[i] = x[i] if x[i] > real(0) else real(0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_kernel_runs_over_buffers(dtype):
    x = Flat(np.linspace(-1, 1, 100, dtype=dtype))
    y = Flat(np.empty(100, dtype))
    relu(4, 32, y, x, 100)
    np.testing.assert_array_equal(y.host(), np.maximum(x.host(), 0))


@gpu_kernel("real* out, const real* x, int32 n")
def block_sum(out, x, n):
    shared = cuda.shared.array(64, real, alignment=16)
    thread = cuda.threadIdx.x
    i = cuda.grid(1)
    shared[thread] = x[i] if i < n else real(0)
    cuda.syncthreads()
    step = 32
    while step > 0:
        if thread < step:
            shared[thread] += shared[thread + step]
        cuda.syncthreads()
        step //= 2
    if thread == 0:
        out[cuda.blockIdx.x] = shared[0]


def test_threads_of_a_block_meet_at_barriers():
    x = np.arange(100, dtype="float32")
    out = Flat(np.empty(2, "float32"))
    block_sum(2, 64, out, Flat(x), 100)
    np.testing.assert_array_equal(out.host(), [x[:64].sum(), x[64:].sum()])
