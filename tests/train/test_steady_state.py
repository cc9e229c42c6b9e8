"""After the first few steps a training step makes no new large array, and keeps nothing."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

from minidl import models, nn, optim, use_backend
from minidl.array import memory

NETWORKS = {
    "mlp": (lambda: models.MLP(dropout=0.2), (64, 1, 28, 28)),
    "lenet5": (models.LeNet5, (64, 1, 28, 28)),
    "batch norm": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 20, 3, padding=1), nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 24, 3),
            nn.AvgPool2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(24 * 49, 10),
        ),
        (32, 3, 16, 16),
    ),
}  # fmt: skip


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_hundred_steps_leave_memory_as_it_was(name, backend, monkeypatch):
    if backend == "numba":
        pytest.importorskip("numba")
    make, shape = NETWORKS[name]
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(shape, np.float32), rng.integers(0, 10, shape[0])
    model, loss = make(), nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step():
        optimizer.zero_grad()
        loss(model(x), y)
        model.backward(loss.backward())
        optimizer.step()

    with use_backend(backend):
        for _ in range(5):
            step()
        new, honest = [], np.empty

        def watched(shape, *more, **named):
            if np.prod(shape, dtype=np.int64) >= memory.LARGE:
                new.append(shape)
            return honest(shape, *more, **named)

        monkeypatch.setattr(memory.np, "empty", watched)
        kept = memory.kept_bytes()
        tracemalloc.start()
        for _ in range(5):  # what was made before is not traced: let it be replaced
            step()
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(100 if backend == "numba" else 10):
            step()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert after - before < 20_000
    assert memory.kept_bytes() <= kept
    if backend == "numba":
        assert not new, "a large array was made anew"
