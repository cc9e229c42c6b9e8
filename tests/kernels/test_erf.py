"""The error function against its series, summed in exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from minidl import kernels


def series(x: float) -> float:
    """2/√π Σ (−1)ⁿ x²ⁿ⁺¹ / (n! (2n + 1)); what is left out is smaller than the last term."""
    exact, total, n = Fraction(x), Fraction(0), 0
    power = exact
    while n == 0 or abs(power) > Fraction(1, 10**20):
        total += power / (2 * n + 1)
        n += 1
        power *= -exact * exact / n
    return 2 / math.sqrt(math.pi) * float(total)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_erf_is_its_series(dtype):
    x = np.array([0.0, 1e-9, -0.125, 0.5, -0.75, 1.0, 1.5, -2.25, 3.0, 4.5], dtype)
    expected = [series(float(number)) for number in x]
    for erf in (kernels.erf.reference, kernels.erf):
        found = erf(x)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=4e-16 if dtype == np.float64 else 2e-7)
