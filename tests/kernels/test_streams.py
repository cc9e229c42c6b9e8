"""Large results are streamed past the caches: with every size taken for large, the kernels give the same."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_arguments import ARGUMENTS, call

from minidl.array import empty
from minidl.kernels.registry import KERNELS

streams = pytest.importorskip("minidl.kernels.numba_cpu.streams")


@pytest.fixture
def all_far(monkeypatch):
    """Results of every size are large; they begin at a cache line, as only large ones do else."""
    monkeypatch.setattr(streams, "FAR", 0)
    monkeypatch.setattr("minidl.array.memory.LARGE", 0)


@pytest.mark.usefixtures("all_far")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["relu", "three_lines", "batch_norm_input_grad"])
def test_a_streamed_result_is_the_same(name, dtype):
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    kernel, streamed = KERNELS[name], 0
    for seed in range(40):
        arguments = ARGUMENTS[name](np.random.default_rng(seed), dtype)
        found, wanted = (call(how, name, arguments) for how in (kernel.twins[np.ndarray], kernel.reference))
        streamed += streams.is_far(found[0]) and found[0].size > 100
        for a, b in zip(found, wanted, strict=True):
            size = np.abs(b[np.isfinite(b)]).max(initial=1)  # of the sums that may cancel
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * size)
    assert streamed


def test_what_is_streamed_and_what_is_not():
    large = empty((streams.FAR,), np.uint8)
    assert streams.is_far(large)
    assert not streams.is_far(large[:-1])
    assert not streams.is_far(large, run=streams.VECTOR_BYTES - 1)
