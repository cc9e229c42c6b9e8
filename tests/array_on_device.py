"""One line of test checks values, shapes and dtypes of an expression; NumPy says what is right."""

from __future__ import annotations

import numpy as np

from minidl.array import DeviceArray, to_device, to_host

TOLERANCE = {"float32": 2e-6, "float64": 1e-13}
"""float32: NumPy rounds each step of a sum or an exponential, the simulator the last one only."""


def drawn(dtype, *shape, seed=3):
    """Random numbers that suit a dtype; integers repeat and have both signs."""
    rng = np.random.default_rng([seed, *shape])
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0 if dtype == "uint8" else -9, 10, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def agree(found, expected):
    """The device's result has NumPy's dtype, shape and values."""
    if isinstance(expected, tuple | list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            agree(one, other)
        return
    if not isinstance(found, DeviceArray):  # a shape, a bool
        assert found == expected
        return
    expected = np.asarray(expected)
    tolerance = TOLERANCE.get(expected.dtype.name, 0)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert (found.ndim, found.size, found.nbytes) == (expected.ndim, expected.size, expected.nbytes)
    np.testing.assert_allclose(to_host(found), expected, rtol=tolerance, atol=tolerance, strict=True)


def check(expression, *arrays):
    """The expression of device arrays gives what that of host arrays gives, and does to them the same."""
    here = [np.array(a) for a in arrays]
    there = [to_device(a, "sim") for a in here]
    with np.errstate(all="ignore"):
        agree(expression(*there), expression(*here))
    for a, b in zip(there, here, strict=True):
        agree(a, b)
