"""Sums, extremes and what follows from them, along any axes, against NumPy on the simulated device."""

from __future__ import annotations

import numpy as np
import pytest
from array_on_device import agree, check, drawn

from minidl.array import to_device, to_host

AXES = [None, 0, 1, 2, -1, (0, 1), (0, 2), (1, 2), (0, 1, 2), ()]
REDUCTIONS = ["sum", "mean", "max", "min", "prod", "var", "std", "any", "all"]


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_floats(name, axis):
    for dtype in ("float32", "float64"):
        x = drawn(dtype, 3, 4, 5)
        check(lambda x: getattr(x, name)(axis=axis), x)
        check(lambda x: getattr(np, name)(x, axis=axis, keepdims=True), x)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64"])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_integers(name, dtype):
    if name in ("max", "min") and dtype == "bool":
        check(lambda x: getattr(x, name)(axis=0), drawn(dtype, 3, 4))
        return
    if name in ("sum", "prod") and dtype == "uint8":  # NumPy's uint64, which devices do not have
        check(lambda x: getattr(x, name)(axis=0, dtype="int64"), drawn(dtype, 3, 4))
        assert to_device(drawn(dtype, 3, 4), "sim").sum().dtype == np.int64
        return
    x = drawn(dtype, 3, 4)
    check(lambda x: getattr(x, name)(axis=0), x)
    check(lambda x: getattr(x, name)(), x)


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -2])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_places_of_extremes(name, axis):
    for x in (drawn("float32", 3, 4, 5), drawn("int32", 3, 4, 5), drawn("bool", 3, 4, 5)):  # integers repeat
        check(lambda x: getattr(x, name)(axis=axis), x)
        check(lambda x: getattr(np, name)(x.T, axis=axis, keepdims=True), x)


def test_a_nan_is_what_comes_out():
    x = drawn("float32", 4, 100)
    x[1, 7] = x[1, 90] = x[3, 99] = np.nan
    for name in ("sum", "max", "min", "argmax", "argmin", "mean"):
        check(lambda x, name=name: getattr(x, name)(axis=1), x)


@pytest.mark.parametrize("size", [63, 64, 65, 129, 300, 1027, 4096, 4097])
def test_long_rows(size):
    """More than a run, a block, or what a block takes: odd sizes, so that no thread's share is whole."""
    x = drawn("float32", 2, size)
    check(lambda x: x.max(axis=1), x)
    check(lambda x: x.argmin(axis=1), x)
    np.testing.assert_allclose(to_host(to_device(x, "sim").sum(axis=1)), x.sum(1, np.float64), rtol=1e-5)


def test_long_columns():
    x = drawn("float64", 300, 3)
    check(lambda x: x.sum(axis=0), x)
    check(lambda x: x.argmax(axis=0), x)
    check(lambda x: x.min(axis=0), x)
    check(lambda x: x.sum(), x)


def test_views_are_reduced_as_they_lie():
    x = drawn("float64", 4, 6, 70)
    check(lambda x: x[:, ::2, ::-1].sum(axis=(0, 2)), x)
    check(lambda x: x.T.max(axis=0), x)
    check(lambda x: np.broadcast_to(x[:1], (3, 6, 70)).sum(axis=(0, 1)), x)
    check(lambda x: x[..., 1::2].sum(), x)


def test_float32_sums_are_as_good_as_numpys():
    x = np.full(5000, 0.1, np.float32)
    exact = 5000 * float(np.float32(0.1))
    assert abs(float(to_device(x, "sim").sum()) - exact) <= 2 * abs(float(x.sum()) - exact) + 1e-4


def test_nothing_adds_up_to_zero():
    x = drawn("float32", 0, 3)
    check(lambda x: x.sum(axis=0), x)
    check(lambda x: x.prod(axis=0), x)
    check(lambda x: x.sum(axis=1), x)
    check(lambda x: x.any(), x)
    check(lambda x: x.all(axis=0), x)
    check(lambda x: x.max(axis=0, initial=-1.5), x)
    assert np.isnan(float(to_device(x, "sim").mean()))


def test_dtype_initial_and_out():
    x = drawn("float32", 3, 4)
    check(lambda x: x.sum(axis=0, dtype=np.float64), x)
    check(lambda x: x.mean(dtype=np.float64), x)
    check(lambda x: x.sum(axis=1, initial=2.5), x)
    check(lambda x: x.max(axis=1, initial=0.5), x)
    check(lambda x: x.var(ddof=1), x)

    def into(x):
        made = np.zeros_like(x[0])
        x.sum(axis=0, out=made)
        return made

    check(into, x)


def test_reduce_of_ufuncs():
    x = drawn("float32", 3, 4, 5)
    for ufunc in (np.add, np.multiply, np.maximum, np.minimum, np.logical_and, np.logical_or):
        check(lambda x, ufunc=ufunc: ufunc.reduce(x), x)
        check(lambda x, ufunc=ufunc: ufunc.reduce(x, axis=(0, 2), keepdims=True), x)


def test_what_follows_from_reductions():
    check(lambda x: np.count_nonzero(x > 0, axis=0), drawn("float32", 3, 4))
    check(lambda x: x / x.sum(axis=1, keepdims=True), drawn("float64", 3, 4))
    check(lambda x: x - np.max(x, axis=-1, keepdims=True), drawn("float32", 3, 4))
    x = to_device(drawn("float32", 3, 4), "sim")
    assert np.array_equal(x, x.copy())
    assert not np.array_equal(x, x + 1)


def test_the_same_bits_every_time():
    x = to_device(drawn("float32", 900), "sim")
    agree(x.sum(), to_host(x.sum()))
    assert to_host(x.sum()).tobytes() == to_host(x.copy().sum()).tobytes()
