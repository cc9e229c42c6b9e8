"""On a real GPU (`pytest -m gpu`): what the simulator and the compile proof say, said by the GPU itself."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_arguments import ARGUMENTS, call

import minidl
from minidl.array.device import get_device
from minidl.array.device_array import DeviceArray
from minidl.array.gpu import cuda, gpu_function, gpu_kernel, real
from minidl.kernels.registry import KERNELS
from minidl.nn import CrossEntropyLoss
from minidl.optim import SGD

pytestmark = pytest.mark.gpu


def on_gpu(value):
    return minidl.to_device(value, "cuda") if isinstance(value, np.ndarray) else value


def on_host(value):
    return minidl.to_host(value) if isinstance(value, DeviceArray) else value


@gpu_function
def warp_sum(value):
    step = 16
    while step > 0:
        value += cuda.shfl_down_sync(0xFFFFFFFF, value, step)
        step //= 2
    return value


@gpu_kernel("real* sums, bool* positive, const real* x, int32 n")
def sums_of_blocks(sums, positive, x, n):
    shared = cuda.shared.array(8, real, alignment=16)
    i = cuda.grid(1)
    value = x[i] if i < n else real(0)
    if i < n:
        positive[i] = value > real(0)
    value = warp_sum(value)
    if cuda.laneid == 0:
        shared[cuda.threadIdx.x // 32] = value
    cuda.syncthreads()
    if cuda.threadIdx.x == 0:
        total = real(0)
        for warp in range(8):
            total += shared[warp]
        sums[cuda.blockIdx.x] = total


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("device", ["cuda", "sim"])
def test_shuffles_shared_memory_and_bools(device, dtype):
    x = np.random.default_rng(0).normal(size=1000).astype(dtype)
    sums, positive = (minidl.to_device(np.zeros(n, t), device) for n, t in ((4, dtype), (1000, "bool")))
    sums_of_blocks(4, 256, sums, positive, minidl.to_device(x, device), 1000)
    expected = np.pad(x, (0, 24)).reshape(4, 256).sum(axis=1, dtype="float64")
    np.testing.assert_allclose(minidl.to_host(sums), expected, rtol=1e-4 if dtype == "float32" else 1e-12)
    np.testing.assert_array_equal(minidl.to_host(positive), x > 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(KERNELS))
def test_every_kernel_is_its_reference(name, dtype):
    for seed in range(20):
        arguments = ARGUMENTS[name](np.random.default_rng(seed), dtype)
        changed = [on_gpu(a) for a in arguments]
        wanted = call(
            KERNELS[name].reference, [np.copy(a) if isinstance(a, np.ndarray) else a for a in arguments]
        )
        got = call(KERNELS[name], changed)
        wanted, got = (v if isinstance(v, tuple) else (v,) for v in (wanted, got))
        for w, g in zip(wanted, got, strict=True):
            if isinstance(w, np.ndarray | float):
                w = np.asarray(w)
                size = np.abs(w[np.isfinite(w)]).max(initial=1)
                tolerance = 1e-10 if dtype == np.float64 else 1e-4
                np.testing.assert_allclose(np.asarray(on_host(g)), w, rtol=tolerance, atol=tolerance * size)


def small_step(device, seed=0):
    """A network on a device, and one step of its training."""
    rng = np.random.default_rng(seed)
    model = minidl.models.MLP(20, [30], 10, rng=rng)
    x = rng.normal(size=(16, 20)).astype("float32")
    labels = rng.integers(0, 10, 16)
    if device != "cpu":
        model.to(device)
        x, labels = minidl.to_device(x, device), minidl.to_device(labels, device)
    loss, optimizer = CrossEntropyLoss(), SGD(model.parameters(), lr=0.1)

    def step():
        value = loss(model(x), labels)
        model.zero_grad()
        model.backward(loss.backward())
        optimizer.step()
        return value

    return step


def test_a_network_trains_as_on_the_host_and_takes_no_memory_after_its_first_steps():
    on_device, host = small_step("cuda"), small_step("cpu")
    losses = [(float(on_device()), float(host())) for _ in range(5)]
    before = get_device("cuda").pool.allocations
    losses += [(float(on_device()), float(host())) for _ in range(15)]
    assert get_device("cuda").pool.allocations == before
    np.testing.assert_allclose(*np.transpose(losses), rtol=1e-4)


def test_a_captured_step_trains_as_well():
    host = small_step("cpu")
    wanted = [float(host()) for _ in range(20)]
    graph = minidl.cuda.capture(small_step("cuda"))
    np.testing.assert_allclose(float(graph.result), wanted[3], rtol=1e-4)
    np.testing.assert_allclose([float(graph.replay()) for _ in range(16)], wanted[4:], rtol=1e-4)


def test_the_face_of_cuda():
    assert minidl.cuda.is_available()
    assert minidl.cuda.device_count() >= 1
    assert minidl.cuda.device_name()
    minidl.cuda.synchronize()
    before = minidl.cuda.memory_allocated()
    x = minidl.to_device(np.zeros(1000, "float32"), "cuda")
    assert minidl.cuda.memory_allocated() - before == 4096
    del x
    assert minidl.cuda.memory_allocated() == before
