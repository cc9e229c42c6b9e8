"""The simulated GPU: honest kernels give their results, and what a GPU would not forgive is an error."""

from __future__ import annotations

import math
import re
import time

import numpy as np
import pytest

from minidl.array.gpu import (
    cuda,
    float32,
    float64,
    gpu_function,
    gpu_kernel,
    int32,
    kernel_from_source,
    real,
    uint32,
)
from minidl.errors import DTypeError, KernelError
from minidl.testing import SimulatedDevice

DEVICE = SimulatedDevice()


class Flat:
    """As much of an array as a launch needs."""

    def __init__(self, values, offset=0, device=DEVICE):
        values = np.ascontiguousarray(values)
        self.device, self.dtype, self.shape, self.offset = device, values.dtype, values.shape, offset
        self.buffer = device.allocate(values.nbytes)
        device.copy_from_host(self.buffer, 0, values)

    def host(self):
        values = np.empty(self.shape, self.dtype)
        self.device.copy_to_host(self.buffer, 0, values)
        return values


def zeros(*shape, dtype="float32"):
    return Flat(np.zeros(shape, dtype))


# ------------------------------------------------------------------ honest kernels


@gpu_kernel("real* y, const real* x, int32 n")
def relu(y, x, n):
    i = cuda.grid(1)
    if i < n:
        y[i] = x[i] if x[i] > real(0) else real(0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_kernel_runs_over_buffers(dtype):
    x = Flat(np.linspace(-1, 1, 100, dtype=dtype))
    y = zeros(100, dtype=dtype)
    relu(4, 32, y, x, 100)
    np.testing.assert_array_equal(y.host(), np.maximum(x.host(), 0))
    relu(0, 32, y, x, 100)  # a grid of nothing


BLOCK_SUM = """
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
"""


def block_sum(*changes):
    """The kernel above, with pieces of its text replaced."""
    text = BLOCK_SUM
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    kernel = kernel_from_source(text, "real* out, const real* x, int32 n")
    x = np.arange(100, dtype="float32")
    out = zeros(2)
    kernel(2, 64, out, Flat(x), 100)
    return out.host(), [x[:64].sum(), x[64:].sum()]


def test_threads_of_a_block_meet_at_barriers():
    got, expected = block_sum()
    np.testing.assert_array_equal(got, expected)


@gpu_function
def warp_sum(value):
    step = 16
    while step > 0:
        value += cuda.shfl_down_sync(0xFFFFFFFF, value, step)
        step //= 2
    return value


@gpu_kernel("real* out, int32* votes, const real* x")
def exchanges(out, votes, x):
    i = cuda.grid(1)
    lane = cuda.laneid
    total = warp_sum(x[i])
    first = cuda.shfl_sync(0xFFFFFFFF, total, 0)
    before = cuda.shfl_up_sync(0xFFFFFFFF, x[i], 1)
    other = cuda.shfl_xor_sync(0xFFFFFFFF, x[i], 1)
    if cuda.any_sync(0xFFFFFFFF, x[i] == real(3)) and not cuda.all_sync(0xFFFFFFFF, x[i] > real(3)):
        votes[i] = cuda.ballot_sync(0xFFFFFFFF, lane < 3)
    else:
        votes[i] = cuda.syncthreads_count(lane == 1) if False else -1
    out[3 * i] = first
    out[3 * i + 1] = before
    out[3 * i + 2] = other


def test_lanes_of_a_warp_exchange_values():
    x = np.arange(64, dtype="float32")
    out, votes = zeros(64, 3), zeros(64, dtype="int32")
    exchanges(1, 64, out, votes, Flat(x))
    sums = np.repeat(x.reshape(2, 32).sum(axis=1), 32)
    before = np.where(np.arange(64) % 32 == 0, x, x - 1)
    other = x.reshape(-1, 2)[:, ::-1].ravel()
    np.testing.assert_array_equal(out.host(), np.stack([sums, before, other], axis=1))
    np.testing.assert_array_equal(votes.host(), np.repeat([7, -1], 32))


@gpu_kernel("float64* y, const float64* x")
def numbers(y, x):
    i = cuda.threadIdx.x
    a, b = x[2 * i], x[2 * i + 1]
    quotient = a
    quotient /= b
    y[8 * i] = quotient
    y[8 * i + 1] = a / (b + float64(0))
    y[8 * i + 2] = math.exp(a * float64(1000))
    y[8 * i + 3] = math.log(a)
    y[8 * i + 4] = math.sqrt(a)
    y[8 * i + 5] = max(a, b)
    y[8 * i + 6] = min(b, a)
    y[8 * i + 7] = a**b


def test_numbers_behave_as_on_a_gpu_where_python_raises():
    pairs = np.array([[1, 0], [-1, 0], [0, 0], [2, 0.5], [math.nan, 1], [-2, 0.5], [1, -0.0], [0, -1]])
    y = zeros(len(pairs), 8, dtype="float64")
    numbers(1, len(pairs), y, Flat(pairs))
    a, b = pairs.T
    with np.errstate(all="ignore"):
        expected = [
            a / b,
            a / (b + 0.0),
            np.exp(a * 1000),
            np.log(a),
            np.sqrt(a),
            np.fmax(a, b),
            np.fmin(a, b),
            a**b,
        ]
    np.testing.assert_array_equal(y.host(), np.stack(expected, axis=1))


@gpu_kernel("float32* y, float32 a")
def rounded(y, a):
    y[0] = float32(0.1)
    y[1] = a
    y[2] = float32(1) / float32(3)


def test_constants_arguments_and_stored_results_are_rounded_to_float32():
    y = zeros(3)
    rounded(1, 1, y, 0.1)
    np.testing.assert_array_equal(y.host(), np.array([0.1, 0.1, 1 / 3], "float32"))


@gpu_kernel("real* y, const real* x, int32 step, int32 n")
def reversed_copy(y, x, step, n):
    i = cuda.grid(1)
    if i < n:
        y[i] = x[i * step]


def test_a_view_may_reach_back_before_its_first_element():
    x, y = Flat(np.arange(8, dtype="float32"), offset=7), zeros(8)
    reversed_copy(1, 8, y, x, -1, 8)
    np.testing.assert_array_equal(y.host(), np.arange(8)[::-1])
    with pytest.raises(KernelError, match=re.escape("x[1] is outside its buffer (-7 to 0)")):
        reversed_copy(1, 8, y, x, 1, 8)
    with pytest.raises(KernelError, match=re.escape("x[-8] is outside its buffer (-7 to 0)")):
        reversed_copy(1, 9, zeros(9), x, -1, 9)


@gpu_kernel("int32* y")
def counts(y):
    bins = cuda.shared.array(2, int32)
    own = cuda.local.array((2, 2), int32)
    thread = cuda.threadIdx.x
    if thread < 2:
        bins[thread] = 0
    own[1, 0] = thread % 2
    cuda.syncthreads()
    cuda.atomic.add(bins, own[1, 0], 1)
    cuda.syncthreads()
    if thread < 2:
        y[thread] = bins[thread] * cuda.gridsize(1)


def test_whole_numbers_may_be_added_atomically():
    y = zeros(2, dtype="int32")
    counts(1, 51, y)
    np.testing.assert_array_equal(y.host(), [26 * 51, 25 * 51])


@gpu_kernel("int32* y")
def places(y):
    x, z = cuda.grid(2)[0], cuda.threadIdx.z
    row = cuda.blockIdx.y * cuda.blockDim.z + z
    y[row * cuda.gridDim.x * cuda.blockDim.x + x] = 100 * z + x


def test_grids_and_blocks_have_three_dimensions():
    y = zeros(6, 8, dtype="int32")
    places((2, 3), (4, 1, 2), y)
    np.testing.assert_array_equal(y.host(), np.arange(8) + 100 * (np.arange(6)[:, None] % 2))


# ------------------------------------------------------------------ planted bugs


def test_a_dropped_barrier_is_a_race():
    with pytest.raises(
        KernelError, match=r"block_sum, block \(0, 0, 0\), thread \(\d+, 0, 0\), line \d+: writes"
    ) as e:
        block_sum(("        cuda.syncthreads()\n        step", "        step"))
    assert "a race" in str(e.value)
    with pytest.raises(KernelError, match="never written"):
        block_sum(("    cuda.syncthreads()\n    step", "    step"))


def test_a_barrier_dropped_at_the_end_of_a_loop_is_a_race():
    """Somebody writes the next numbers while others still read the last ones."""
    source = """
def loop(y):
    s = cuda.shared.array(32, real)
    thread = cuda.threadIdx.x
    for k in range(2):
        s[thread] = real(k)
        cuda.syncthreads()
        y[thread] = s[31 - thread]
"""
    with pytest.raises(
        KernelError, match=r"reads s\[15\], but thread number 15 wrote it since the last barrier: a race"
    ):
        kernel_from_source(source, "real* y")(1, 32, zeros(32))
    mended = source + "        cuda.syncthreads()\n"
    kernel_from_source(mended, "real* y")(1, 32, zeros(32))


def test_threads_of_a_warp_that_met_may_share_without_a_barrier_of_the_block():
    source = """
def share(y):
    s = cuda.shared.array(64, real)
    thread = cuda.threadIdx.x
    s[thread] = real(thread)
    cuda.syncwarp()
    y[thread] = s[thread ^ OTHER]
"""
    y = zeros(64)
    kernel_from_source(source.replace("OTHER", "1"), "real* y")(1, 64, y)
    np.testing.assert_array_equal(y.host(), np.arange(64) ^ 1)
    with pytest.raises(KernelError, match=r"never written|a race"):
        kernel_from_source(source.replace("OTHER", "32"), "real* y")(1, 64, y)


MEET = "        cuda.syncthreads()\n"


@pytest.mark.parametrize(
    "change",
    [
        (MEET + "        step", "        if thread < step:\n    " + MEET + "        step"),
        ("    step = 32", "    if thread > 50:\n        return\n    step = 32"),
        ("    cuda.syncthreads()\n    step", f"    if thread < 32:\n{MEET}    else:\n{MEET}    step"),
    ],
    ids=["in a branch", "after a return", "two barriers"],
)  # fmt: skip
def test_a_barrier_that_some_threads_do_not_reach_is_refused(change):
    with pytest.raises(KernelError, match="barrier that not all threads of the block reach"):
        block_sum(change)


@pytest.mark.parametrize("index", ["i + 1", "i - 1", "i * 2 - 64"])
def test_an_index_outside_its_buffer_is_refused(index):
    with pytest.raises(
        KernelError,
        match=r"block_sum, block \(., 0, 0\), thread \(\d+, 0, 0\), line 6: x\[-?\d+\] is outside",
    ):
        block_sum(("x[i] if i < n", f"x[{index}] if i < 200"))


def test_the_error_names_the_pointer_and_the_index():
    with pytest.raises(KernelError, match=re.escape("x[100] is outside its buffer (0 to 99)")):
        block_sum(("if i < n", "if i < n + 1"))
    with pytest.raises(KernelError, match=re.escape("shared[64] is outside its shape (64,)")):
        block_sum(("shared[thread + step]", "shared[thread + step + 1]"))
    with pytest.raises(KernelError, match=re.escape("relu, block (0, 0, 0), thread (9, 0, 0)")):
        relu(1, 32, zeros(9), Flat(np.arange(10, dtype="float32")), 10)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("uint32(n)", "x[4] is outside its buffer (0 to 3)"),
        ("uint32(n + 3)", "x[7] is outside its buffer (0 to 3)"),
        ("uint32(9)", "x[9] is outside its buffer (0 to 3)"),
        ("uint32(n - 5)", "OverflowError: -1 does not fit uint32"),
        ("uint32(-1)", "OverflowError: -1 does not fit uint32"),
        ("int32(n - 5)", "x[-1] is outside its buffer (0 to 3)"),
    ],
)
def test_an_index_that_was_made_a_whole_number_is_refused_too(index, said):
    source = f"def k(y, x, n):\n    y[0] = x[{index}]\n"
    kernel = kernel_from_source(
        source, "real* y, const real* x, int32 n", names={"uint32": uint32, "int32": int32}
    )
    with pytest.raises(KernelError, match=re.escape(f"k, block (0, 0, 0), thread (0, 0, 0), line 2: {said}")):
        kernel(1, 1, zeros(1), zeros(4), 4)


def test_conversions_truncate_and_make_numbers_of_truths():
    source = "def k(y, x, n):\n    y[0] = int32(x[0])\n    y[1] = uint32(n > 3)\n    y[uint32(x[1])] = n\n"
    kernel = kernel_from_source(
        source, "int32* y, const real* x, int32 n", names={"uint32": uint32, "int32": int32}
    )
    y = zeros(3, dtype="int32")
    kernel(1, 1, y, Flat(np.array([-2.7, 2.5], np.float32)), 4)
    np.testing.assert_array_equal(y.host(), [-2, 1, 4])


def test_shared_memory_is_read_only_after_it_was_written():
    with pytest.raises(KernelError, match=re.escape("shared[50] is read, but was never written")):
        block_sum(("    shared[thread] = x[i]", "    if thread < 50:\n        shared[thread] = x[i]"))
    source = "def own(y):\n    a = cuda.local.array(3, real)\n    a[0] = real(1)\n    y[0] = a[1]\n"
    with pytest.raises(KernelError, match=re.escape("a[1] is read, but was never written")):
        kernel_from_source(source, "real* y")(1, 1, zeros(1))


def test_new_memory_holds_nothing_that_one_could_rely_on():
    buffer = DEVICE.allocate(16)
    values = np.empty(4, "float32")
    DEVICE.copy_to_host(buffer, 0, values)
    assert np.isnan(values).all()


def test_writes_through_const_pointers_are_refused():
    with pytest.raises(KernelError, match="writes through the const pointer x"):
        kernel_from_source("def k(x):\n    x[0] = 1.0\n", "const real* x")(1, 1, zeros(1))
    source = "def k(y, x):\n    z = x\n    z[0] = 1.0\n"
    with pytest.raises(KernelError, match="line 3: writes through a const pointer"):
        kernel_from_source(source, "real* y, const real* x")(1, 1, zeros(1), zeros(1))


def test_blocks_have_limits():
    y = zeros(1)
    with pytest.raises(KernelError, match="expected a block of 1 to 1024 threads"):
        relu(1, 1025, y, y, 1)
    with pytest.raises(KernelError, match="expected a block of 1 to 512 threads"):
        kernel_from_source("def k(y):\n    y[0] = 1.0\n", "real* y", registers=128)(1, 513, y)
    with pytest.raises(KernelError, match="at most 65535 blocks"):
        relu((1, 65536), 1, y, y, 1)
    source = "def k(y):\n    s = cuda.shared.array((SIZE, 128), float32)\n    s[0, 0] = y[0]\n"
    kernel_from_source(source.replace("SIZE", "96"), "float32* y")(1, 1, y)
    with pytest.raises(KernelError, match="49664 bytes of shared memory, a block has at most 49152"):
        kernel_from_source(source.replace("SIZE", "97"), "float32* y")(1, 1, y)


@pytest.mark.parametrize(
    "lines",
    [
        "y[0] = x * x",
        "y[0] = int32(x * x)",
        "z = uint32(0 - x)",
        "s = cuda.shared.array(1, int32)\n    s[0] = x * x",
    ],
)
def test_whole_numbers_that_overflow_are_refused(lines):
    kernel = kernel_from_source(f"def k(y, x):\n    {lines}\n", "int32* y, int32 x", names={"uint32": uint32})
    with pytest.raises(KernelError, match=r"OverflowError|ValueError"):
        kernel(1, 1, zeros(1, dtype="int32"), 50_000)
    with pytest.raises(DTypeError, match="argument 'x': expected a number that fits int32, got 2147483648"):
        kernel(1, 1, zeros(1, dtype="int32"), 2**31)


def test_lanes_that_a_mask_names_have_to_come():
    source = "def k(y):\n    if cuda.laneid < 16:\n        y[0] = cuda.shfl_sync(MASK, 1.0, 0)\n"
    kernel_from_source(source.replace("MASK", "0xFFFF"), "float64* y")(1, 32, zeros(1, dtype="float64"))
    with pytest.raises(KernelError, match=r"shfl_sync.*names threads that do not come"):
        kernel_from_source(source.replace("MASK", "0xFFFFFFFF"), "float64* y")(
            1, 32, zeros(1, dtype="float64")
        )


def test_sums_of_floats_are_not_atomic():
    source = "def k(y):\n    s = cuda.shared.array(1, real)\n    cuda.atomic.add(s, 0, y[0])\n"
    with pytest.raises(KernelError, match="atomic sum of floats"):
        kernel_from_source(source, "real* y")(1, 2, zeros(1))


def test_what_the_simulator_does_not_know_is_an_error():
    with pytest.raises(KernelError, match=r"the simulator knows no cuda\.nanosleep"):
        kernel_from_source("def k(y):\n    cuda.nanosleep(1)\n", "real* y")(1, 1, zeros(1))
    with pytest.raises(KernelError, match="NameError"):
        kernel_from_source("def k(y):\n    y[0] = nothing\n", "real* y")(1, 1, zeros(1))


# ------------------------------------------------------------------ launches


def test_arguments_have_to_fit_the_signature():
    single, double = zeros(4), zeros(4, dtype="float64")
    with pytest.raises(
        DTypeError, match="relu: argument 'x': expected a device array of float32, got Flat of float64"
    ):
        relu(1, 4, single, double, 4)
    with pytest.raises(DTypeError, match="argument 'y': expected a device array of float32 or float64"):
        relu(1, 4, zeros(4, dtype="int64"), single, 4)
    with pytest.raises(DTypeError, match="argument 'n': expected a number that fits int32, got Flat"):
        relu(1, 4, single, single, single)
    with pytest.raises(DTypeError, match=r"argument 'n': expected a number that fits int32, got 2\.5"):
        relu(1, 4, single, single, 2.5)
    with pytest.raises(DTypeError, match="argument 'y': expected a device array"):
        relu(1, 4, np.zeros(4, "float32"), single, 4)
    with pytest.raises(DTypeError, match="got 2 arguments"):
        relu(1, 4, single, single)
    elsewhere = Flat(np.zeros(4, "float32"), device=SimulatedDevice())
    with pytest.raises(DTypeError, match="argument 'x'"):
        relu(1, 4, single, elsewhere, 4)


def test_names_of_the_kernel_language_mean_nothing_on_the_host():
    with pytest.raises(RuntimeError, match=r"cuda\.grid has a meaning in GPU kernels only"):
        cuda.grid(1)
    with pytest.raises(RuntimeError, match=r"warp_sum\(\) has a meaning in GPU kernels only"):
        warp_sum(1.0)


def test_signatures_are_checked_when_a_kernel_is_made():
    with pytest.raises(ValueError, match="expected an argument such as"):
        kernel_from_source("def k(y):\n    pass\n", "flaot* y")
    with pytest.raises(ValueError, match="the function takes"):
        kernel_from_source("def k(y, x):\n    pass\n", "real* y")
    with pytest.raises(ValueError, match="expected a pointer"):
        kernel_from_source("def k(n):\n    pass\n", "int32 n")
    with pytest.raises(ValueError, match="one to real"):
        kernel_from_source("def k(y, a):\n    pass\n", "int32* y, real a")


def test_idle_threads_cost_little():
    """The promise is about a microsecond; ten allow for a busy machine."""
    y = zeros(1)
    relu(1, 32, y, y, 0)
    began = time.perf_counter()
    relu(100, 256, y, y, 0)
    assert (time.perf_counter() - began) / 25600 < 10e-6
