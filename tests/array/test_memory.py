"""Recycled memory: never two arrays in one place, and never more of it kept than is used."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from minidl.array import empty, memory, zeros

MANY = 100_000  # float64 numbers: large enough to be kept


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(memory, "_blocks", {})
    monkeypatch.setattr(memory, "_count", 0)


def test_it_is_an_array_like_any_other():
    for shape, dtype in [((3, 0, 2), np.float32), ((5,), np.int64), ((MANY, 2), "float64"), ((), np.bool_)]:
        made = empty(shape, dtype)
        assert (made.shape, made.dtype, type(made)) == (shape, np.dtype(dtype), np.ndarray)
        assert made.flags.c_contiguous
        assert made.flags.writeable
    assert not zeros((MANY,), np.float32).any()
    assert empty((MANY,), np.float32).ctypes.data % 64 == 0


def test_memory_that_nobody_uses_is_used_again():
    first = empty((MANY,), np.float64)
    place = first.ctypes.data
    del first
    assert empty((MANY,), np.float64).ctypes.data == place
    assert empty((2 * MANY,), np.float32).ctypes.data == place, "another dtype, of the same size"


@pytest.mark.parametrize(
    "holder",
    [
        lambda made: made,
        lambda made: made[10:20],
        lambda made: made.reshape(10, -1).T[3],
        lambda made: made.view(np.int64)[::7],
        lambda made: memoryview(made),
        lambda made: np.lib.stride_tricks.sliding_window_view(made, 5),
        lambda made: np.frombuffer(made.data, np.float64)[5:],
        lambda made: lambda: made,
    ],
)
def test_memory_that_somebody_can_still_see_is_not(holder):
    made = empty((MANY,), np.float64)
    place = made.ctypes.data
    held = holder(made)
    del made
    others = [empty((MANY,), np.float64) for _ in range(5)]
    assert place not in {other.ctypes.data for other in others}
    del held, others


def test_living_arrays_never_overlap():
    rng = np.random.default_rng(0)
    living = []
    for number in range(3000):
        shape = (int(rng.integers(20_000, 60_000)),)
        made = empty(shape, np.float64)
        made.fill(number)
        living.append((number, made if rng.random() < 0.5 else made[5:]))
        while len(living) > rng.integers(1, 12):
            number, kept = living.pop(int(rng.integers(len(living))))
            assert (kept == number).all()


def test_eight_threads_never_share():
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for number in range(400):
            made = empty((int(rng.integers(20_000, 24_000)),), np.float64)
            made.fill(1000 * seed + number)
            other = empty(made.shape, np.float64)
            other.fill(-1)
            if not (made == 1000 * seed + number).all():
                wrong.append(seed)

    crowd = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert not wrong


def test_what_is_kept_does_not_grow():
    for _ in range(20):
        step = [empty((MANY + 10 * i,), np.float64) for i in range(10)]
        del step
    first = memory.kept_bytes()
    for _ in range(100):
        step = [empty((MANY + 10 * i,), np.float64) for i in range(10)]
        del step
    assert memory.kept_bytes() == first


def test_memory_that_stays_idle_is_given_back():
    held = empty((20 * MANY,), np.float64)
    big = empty((50 * MANY,), np.float64)
    del big
    before = memory.kept_bytes()
    for _ in range(3 * memory.STALE):
        empty((MANY,), np.float64)
    assert before - memory.kept_bytes() > 40 * MANY * 8
    assert memory.kept_bytes() > held.nbytes


def test_small_arrays_are_left_to_numpy():
    for _ in range(10):
        empty((100,), np.float64)
    assert memory.kept_bytes() == 0


def test_at_most_an_eighth_is_lost():
    for size in range(memory.LARGE, 40 * memory.LARGE, 4097):
        assert size <= memory.rounded(size) <= size * 1.126
