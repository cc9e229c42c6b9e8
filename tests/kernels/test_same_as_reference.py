"""Every kernel keeps its promises in every memory layout, and every twin gives what its reference gives.

The arguments are drawn by `tests/kernel_arguments.py`; a kernel without any there fails.
"""

from __future__ import annotations

import contextlib
import importlib
import math

import numpy as np
import pytest
from kernel_arguments import ARGUMENTS, CHANGES, call

from minidl.kernels.registry import KERNELS, use_backend
from minidl.kernels.threads import get_num_threads, set_num_threads

SEEDS = range(12)
DTYPES = [np.float32, np.float64]

with contextlib.suppress(ImportError):  # without Numba there are no twins to compare
    importlib.import_module("minidl.kernels.numba_cpu")
TWINS = [(name, np.ndarray) for name, kernel in KERNELS.items() if np.ndarray in kernel.twins]


def on_the_host(kernel):
    """The implementations for host arrays."""
    return [kernel.reference, *(twin for kind, twin in kernel.twins.items() if kind is np.ndarray)]


def test_every_kernel_has_arguments():
    assert set(ARGUMENTS) == set(KERNELS)


def test_at_least_max_pooling_has_a_numba_twin():
    pytest.importorskip("numba")
    assert {name for name, _ in TWINS} >= {"max_pool2d", "max_pool2d_input_grad"}


def lay_out(value, how):
    """The same numbers in another memory layout."""
    if not isinstance(value, np.ndarray) or not value.ndim or how == "C":
        return value
    if how == "Fortran":
        return np.asfortranarray(value)
    if how == "gaps":
        return np.repeat(value, 2, axis=-1)[..., ::2]
    return np.flip(np.flip(value).copy())


def check_same_as_reference(name, implementation, dtype, layout):
    for seed in SEEDS:
        arguments = ARGUMENTS[name](np.random.default_rng(seed), dtype)
        expected = call(KERNELS[name].reference, name, arguments)
        given = tuple(lay_out(a, layout) for a in arguments)
        before = [a.copy() if isinstance(a, np.ndarray) else a for a in given]
        for result, wanted in zip(call(implementation, name, given, own=True), expected, strict=True):
            result, wanted = np.asarray(result), np.asarray(wanted)  # some results are plain numbers
            assert result.dtype == wanted.dtype
            n = max(1, math.prod(wanted.shape[-2:]) * 64)
            tolerance = 1e-12 if dtype == np.float64 else math.sqrt(n) * 1.2e-7
            # a sum that cancels keeps the rounding of its terms, which are of the size of other sums
            size = np.abs(wanted[np.isfinite(wanted)]).max(initial=1) if wanted.dtype == np.float32 else 1
            np.testing.assert_allclose(result, wanted, rtol=tolerance, atol=tolerance * size, strict=True)
            assert name in CHANGES or not any(
                np.shares_memory(result, a) for a in given if isinstance(a, np.ndarray)
            )
        for i, (a, b) in enumerate(zip(given, before, strict=True)):
            if i not in CHANGES.get(name, ()):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("layout", ["Fortran", "gaps", "reversed"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", list(ARGUMENTS))
def test_a_reference_gives_the_same_in_every_layout(name, dtype, layout):
    check_same_as_reference(name, KERNELS[name].reference, dtype, layout)


@pytest.mark.parametrize("layout", ["C", "Fortran", "gaps", "reversed"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "array_type"), TWINS)
def test_a_twin_equals_its_reference(name, array_type, dtype, layout):
    check_same_as_reference(name, KERNELS[name].twins[array_type], dtype, layout)


@pytest.mark.parametrize("name", [name for name, array_type in TWINS if array_type is np.ndarray])
def test_a_twin_gives_the_same_bits_at_1_2_and_4_threads(name):
    kernel, before = KERNELS[name], get_num_threads()
    for seed in SEEDS:
        arguments = ARGUMENTS[name](np.random.default_rng(seed), np.float32)
        results = []
        for threads in (1, 2, 4):
            set_num_threads(threads)
            with use_backend("numba"):
                results.append(call(kernel, name, arguments))
        set_num_threads(before)
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize(
    "window", [((2, 2), (2, 2), (0, 0), (1, 1), False), ((1, 3), (1, 1), (0, 1), (1, 1), False)]
)
def test_the_gradient_refuses_winners_outside_the_window(window):
    """A wrong winner's gradient would be lost, or written past the end."""
    kernel = KERNELS["max_pool2d_input_grad"]
    cells = window[0][0] * window[0][1]
    for scatter in on_the_host(kernel):
        with pytest.raises(IndexError, match=f"winners from 0 to {cells - 1}, got {cells}"):
            scatter(np.ones((1, 1, 1, 1)), np.full((1, 1, 1, 1), cells, np.uint8), (1, 1, 2, 2), *window)


def test_a_winner_in_the_padding_writes_nowhere():
    kernel = KERNELS["max_pool2d_input_grad"]
    for scatter in on_the_host(kernel):
        dx = scatter(
            np.ones((1, 1, 2, 3)), np.zeros((1, 1, 2, 3), np.uint8), (1, 1, 2, 3),
            (3, 3), (1, 1), (1, 1), (1, 1), False,
        )  # fmt: skip
        np.testing.assert_array_equal(dx[0, 0], [[1, 1, 0], [0, 0, 0]])


def test_winners_of_windows_with_many_cells_take_more_than_a_byte():
    x = np.zeros((1, 1, 20, 20))
    x[..., 19, 18] = 1
    how = ((20, 20), (20, 20), (0, 0), (1, 1), False)
    for pool in on_the_host(KERNELS["max_pool2d"]):
        _, winners = pool(x, *how)
        assert winners.item() == 398
        assert winners.dtype == np.uint16
