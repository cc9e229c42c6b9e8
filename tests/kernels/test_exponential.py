"""The exponentials of compiled loops, in float32 against float64: right to the last digits, at every size."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import kernels, nn
from minidl.kernels.registry import use_backend

pytest.importorskip("numba")


def numbers() -> np.ndarray:
    """From the smallest to the largest that matter, both signs, many between."""
    tiny = np.logspace(-40, 2, 100_000)
    return np.concatenate([np.linspace(-110, 110, 500_001), tiny, -tiny]).astype(np.float32)


def error(found: np.ndarray, truth: np.ndarray) -> float:
    """The largest distance from the truth, in units of the truth's last float32 digit."""
    digit = np.spacing(np.abs(truth).astype(np.float32)).astype(np.float64)
    return float((np.abs(found - truth) / digit).max())


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_activations_are_right_to_the_last_digits(name):
    x = numbers()
    kernel = getattr(kernels, name)
    with use_backend("numba"):
        found, _ = kernel(x)
    truth, _ = kernel.reference(x.astype(np.float64))
    assert error(found, truth) <= 3


def test_softmax_is_right_to_the_last_digits():
    x = numbers()[:600_000].reshape(-1, 3)
    with use_backend("numba"):
        found, _ = kernels.softmax(x, 1)
    truth, _ = kernels.softmax.reference(x.astype(np.float64), 1)
    assert error(found, truth) <= 4


def test_logarithms_are_right_to_the_last_digits():
    """In x log x, as the divergence from 1 has it: of numbers of all sizes, and many near 1."""
    x = np.concatenate([np.logspace(-30, 36, 300_000), np.linspace(0.7, 1.5, 300_000)]).astype(np.float32)
    with use_backend("numba"):
        found, _, _ = kernels.kl_divergence(np.zeros_like(x), x, False, False)
    assert error(found, x.astype(np.float64) * np.log(x.astype(np.float64))) <= 3


def test_logarithms_at_their_limits():
    x = np.array([0, 1e-45, np.inf, np.nan], np.float32)
    with use_backend("numba"):
        losses, _, _ = kernels.poisson_nll(x, np.ones_like(x), False, False, 0.0, False)  # x − log x
    np.testing.assert_allclose(losses, [np.inf, np.log(2.0**149), np.nan, np.nan], rtol=1e-6)


@pytest.mark.parametrize(("layer", "limits"), [(nn.Sigmoid(), [0, 1]), (nn.Tanh(), [-1, 1])])
def test_limits(layer, limits):
    with use_backend("numba"):
        y = layer(np.array([-np.inf, np.inf, np.nan, -0.0, 0.0], np.float32))
    np.testing.assert_array_equal(y[:2], limits)
    assert np.isnan(y[2])
    assert y[3] == y[4]
