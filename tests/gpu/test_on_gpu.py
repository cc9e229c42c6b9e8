"""What the simulator and the compile proof say, said by a GPU itself (`pytest -m gpu`).

Every test runs on the simulated device as well, with less to do, so that none of them is first run on a GPU.
"""

from __future__ import annotations

import numpy as np
import pytest
from component_table import SAMPLES
from twins_on_device import TWINS, check_twin, draws

import minidl
from minidl import nn
from minidl.array.device import get_device
from minidl.array.gpu import cuda, gpu_function, gpu_kernel, real
from minidl.bench import networks
from minidl.optim import SGD
from minidl.testing.component import check_device


def on_both(small, all_of_them):
    """Parameters (device, value): `small` on the simulated device, all of them on a GPU."""
    return [
        *(pytest.param("sim", value, id=f"sim-{value}"[:60]) for value in small),
        *(
            pytest.param("cuda", value, id=f"cuda-{value}"[:60], marks=pytest.mark.gpu)
            for value in all_of_them
        ),
    ]


@pytest.fixture(params=["sim", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    return request.param


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
def test_shuffles_shared_memory_and_bools(device, dtype):
    x = np.random.default_rng(0).normal(size=1000).astype(dtype)
    sums, positive = (minidl.to_device(np.zeros(n, t), device) for n, t in ((4, dtype), (1000, "bool")))
    sums_of_blocks(4, 256, sums, positive, minidl.to_device(x, device), 1000)
    expected = np.pad(x, (0, 24)).reshape(4, 256).sum(axis=1, dtype="float64")
    np.testing.assert_allclose(minidl.to_host(sums), expected, rtol=1e-4 if dtype == "float32" else 1e-12)
    np.testing.assert_array_equal(minidl.to_host(positive), x > 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", TWINS)
def test_every_kernel_is_its_reference(name, dtype, device):
    some = {"wanted": 1, "most": 300} if device == "sim" else {"wanted": 20, "most": 10**9}
    for arguments in draws(name, dtype, **some):
        check_twin(name, dtype, arguments, device=device)


@pytest.mark.parametrize(("device", "sample"), on_both(SAMPLES[:2], SAMPLES))
def test_every_component_gives_what_it_gives_on_the_host(device, sample):
    check_device(sample, device)


# ------------------------------------------------------------------ training


def tiny(nn):
    """A network that the simulator has time for: (N, 5) → (N, 10)."""
    return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 10))


NETWORKS = {
    "tiny": (tiny, (6, 5)),
    "mlp": (networks.mlp, (64, 784)),
    "lenet5": (networks.lenet5, (16, 1, 28, 28)),
    "cnn": (networks.cnn, (16, 1, 28, 28)),
    "vgg_small": (networks.vgg_small, (4, 3, 32, 32)),
}
STEPS = {"sim": 8, "cuda": 20}
TOLERANCE = {"float32": {"rtol": 1e-4, "atol": 1e-5}, "float64": {"rtol": 1e-8, "atol": 1e-12}}


def training(name, device, dtype):
    """A step of a network's training on a device; called, it gives the loss."""
    make, shape = NETWORKS[name]
    rng = np.random.default_rng(0)
    minidl.manual_seed(0)
    model = make(nn).to(dtype).to(device)
    x, labels = rng.standard_normal(shape).astype(dtype), rng.integers(0, 10, shape[0])
    if device != "cpu":
        x, labels = minidl.to_device(x, device), minidl.to_device(labels, device)
    criterion, optimizer = nn.CrossEntropyLoss(), SGD(model.parameters(), lr=0.01)

    def step():
        optimizer.zero_grad()
        loss = criterion(model(x), labels)
        model.backward(criterion.backward())
        optimizer.step()
        return loss

    return step


def losses(step, steps):
    return [float(step()) for _ in range(steps)]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("device", "name"), on_both(["tiny"], NETWORKS))
def test_a_network_trains_as_on_the_host_and_takes_no_memory_after_its_first_steps(device, name, dtype):
    step, pool = training(name, device, dtype), get_device(device).pool
    first = losses(step, 3)
    allocations = pool.allocations
    found = [*first, *losses(step, STEPS[device] - 3)]
    assert pool.allocations == allocations
    wanted = losses(training(name, "cpu", dtype), STEPS[device])
    assert wanted[-1] < 0.99 * wanted[0]
    np.testing.assert_allclose(found, wanted, **TOLERANCE[dtype])


@pytest.mark.parametrize(("device", "name"), on_both(["tiny"], NETWORKS))
def test_a_captured_step_trains_as_well(device, name):
    wanted = losses(training(name, "cpu", "float64"), STEPS[device])
    on, step = get_device(device), training(name, device, "float64")
    graph = minidl.cuda.capture(step, device=device)
    launches, allocations = on.launches, on.pool.allocations
    found = [float(graph.result), *losses(graph.replay, STEPS[device] - 4)]
    assert (on.launches, on.pool.allocations) == (launches, allocations)
    np.testing.assert_allclose(found, wanted[3:], **TOLERANCE["float64"])


# ------------------------------------------------------------------ memory, and what there is


def test_memory_is_counted_and_given_back(device):
    on = get_device(device)
    before = on.memory_allocated()
    x = minidl.to_device(np.zeros(1000, "float32"), device)
    assert on.memory_allocated() - before == 4096
    on.synchronize()
    np.testing.assert_array_equal(minidl.to_host(x + 1), np.ones(1000, "float32"))
    del x
    assert on.memory_allocated() == before


@pytest.mark.gpu
def test_what_there_is():
    """`tests/gpu/test_cuda.py` asks the same of a driver that is played by Python."""
    assert minidl.cuda.is_available()
    assert minidl.cuda.device_count() >= 1
    assert minidl.cuda.device_name()
    assert float(minidl.cuda.driver_version()) >= 12
    minidl.cuda.synchronize()
