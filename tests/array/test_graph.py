"""A recorded step on the simulator: replays give what running gives, and its memory is nobody else's."""

from __future__ import annotations

import numpy as np
import pytest

from minidl.array.device_memory import MemoryPool
from minidl.array.gpu import cuda, gpu_kernel, real
from minidl.array.graph import capture
from minidl.errors import BackendError
from minidl.testing import SimulatedDevice


@gpu_kernel("real* y, const real* x, real a, int32 n")
def add_scaled(y, x, a, n):
    i = cuda.grid(1)
    if i < n:
        y[i] = y[i] + a * x[i]


@gpu_kernel("real* y, int32 n")
def clear(y, n):
    i = cuda.grid(1)
    if i < n:
        y[i] = real(0)


class Vector:
    def __init__(self, device, size=4):
        self.device, self.dtype, self.offset, self.size = device, np.dtype("float32"), 0, size
        self.buffer = device.allocate(4 * size)

    def put(self, values):
        self.device.copy_from_host(self.buffer, 0, np.asarray(values, "float32"))
        return self

    def host(self):
        values = np.empty(self.size, "float32")
        self.device.copy_to_host(self.buffer, 0, values)
        return values


@pytest.fixture
def device():
    return SimulatedDevice()


def test_a_replay_does_what_the_step_does(device):
    weight, x = Vector(device).put([0, 0, 0, 0]), Vector(device).put([1, 2, 3, 4])

    def step():
        between = Vector(device)
        clear(1, 4, between, 4)
        add_scaled(1, 4, between, x, 2.0, 4)
        add_scaled(1, 4, weight, between, 1.0, 4)
        return between

    graph = capture(step, device=device, warmup=2)
    np.testing.assert_array_equal(weight.host(), [6, 12, 18, 24])  # two runs and a replay
    x.put([1, 1, 1, 1])
    np.testing.assert_array_equal(graph.replay().host(), [2, 2, 2, 2])
    np.testing.assert_array_equal(weight.host(), [8, 14, 20, 26])


def test_the_memory_of_a_recording_is_not_given_to_others(device):
    x = Vector(device).put([1, 1, 1, 1])

    def step():
        first, second = Vector(device), Vector(device)
        clear(1, 4, first, 4)
        add_scaled(1, 4, first, x, 1.0, 4)
        clear(1, 4, second, 4)
        add_scaled(1, 4, second, first, 1.0, 4)
        return second  # `first` dies, but replays write to it

    graph = capture(step, device=device)
    before = device.pool.allocations
    others = [Vector(device).put([7, 7, 7, 7]) for _ in range(5)]
    np.testing.assert_array_equal(graph.replay().host(), [1, 1, 1, 1])
    assert all((other.host() == 7).all() for other in others)
    assert device.pool.allocations > before  # the others needed memory of their own

    result, kept = graph.result, device.pool.kept
    del graph, others
    assert device.pool.kept == kept
    idle = sum(map(len, device.pool._idle.values()))
    del result  # an array that outlived its recording gives its block to the pool
    assert sum(map(len, device.pool._idle.values())) == idle + 1


def test_a_recording_asks_the_device_for_no_memory(device):
    kept = []
    with pytest.raises(BackendError, match="run it a few times first"):
        capture(lambda: kept.append(Vector(device)), device=device)  # a step that needs more each time
    assert not device.recording
    del kept[:]
    capture(lambda: Vector(device), device=device)


def test_a_recording_within_a_recording_is_refused(device):
    def step():
        if device.recording:
            capture(lambda: None, device=device, warmup=0)

    with pytest.raises(BackendError, match="one at a time"):
        capture(step, device=device)


def test_blocks_have_few_sizes():
    sizes = {}
    for nbytes in range(1, 1 << 16):
        pool = MemoryPool(lambda size: size, lambda memory: None)
        _buffer = pool.take(nbytes)
        sizes[nbytes] = pool.in_use
    assert len(set(sizes.values())) < 8 * 8
    assert all(nbytes <= size <= max(512, 1.125 * nbytes + 1) for nbytes, size in sizes.items())


def test_the_pool_keeps_count():
    freed = []
    pool = MemoryPool(lambda size: bytearray(size), freed.append)
    buffers = [pool.take(1000) for _ in range(3)]
    assert (pool.in_use, pool.kept, pool.allocations) == (3072, 3072, 3)
    del buffers[:2]
    assert (pool.in_use, pool.kept) == (1024, 3072)
    pool.release()
    assert (len(freed), pool.kept) == (2, 1024)
