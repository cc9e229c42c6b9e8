"""Gathering, joining, padding, and arrays made like others, against NumPy on the simulated device."""

from __future__ import annotations

import numpy as np
import pytest
from array_on_device import check, drawn

from minidl.array import to_device, to_host

INDICES = np.array([[2, 0, -1], [1, 1, -3]])


@pytest.mark.parametrize("axis", [0, 1, 2, -1, None])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_take(dtype, axis):
    x = drawn(dtype, 3, 4, 5)
    check(lambda x, i: np.take(x, i, axis=axis), x, INDICES)
    check(lambda x, i: x.T.take(i.astype("int32"), axis=axis), x, INDICES)


def test_take_of_one():
    check(lambda x: np.take(x, 1, axis=1), drawn("float32", 3, 4, 5))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_take_along_axis(axis):
    x = drawn("float32", 3, 4, 5)
    check(lambda x: np.take_along_axis(x, np.argmax(x, axis=axis, keepdims=True), axis=axis), x)
    check(lambda x, i: np.take_along_axis(x, i, axis=axis), x, drawn("uint8", 3, 4, 5).astype("int64") % 3)


def test_an_index_outside_gives_no_number():
    x, i = to_device(drawn("float32", 3, 4), "sim"), to_device(np.array([0, 3, -4]), "sim")
    assert np.isnan(to_host(np.take(x, i, axis=0))).tolist() == [[False] * 4, [True] * 4, [True] * 4]
    assert to_host(np.take(x.astype("int32"), i, axis=0))[1:].tolist() == [[0] * 4] * 2


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_joining(axis):
    x, y = drawn("float32", 3, 4, 5), drawn("float32", 3, 4, 5, seed=4)
    check(lambda x, y: np.concatenate([x, y[:, :, ::-1], x], axis=axis), x, y)
    check(lambda x, y: np.stack([x, y], axis=axis), x, y)
    check(lambda x, y: np.concatenate(np.split(x, [1, 2], axis=axis)[::-1], axis=axis), x, y)


def test_joining_dtypes_and_different_sizes():
    x, y = drawn("float32", 3, 4), drawn("float64", 2, 4)
    check(lambda x, y: np.concatenate((x, y)), x, y)
    check(lambda x, y: np.concatenate((x, y), axis=None), x, y)
    check(lambda x, y: np.concatenate((x[:0], y)), x, y)


@pytest.mark.parametrize("widths", [1, (1, 2), ((1, 2), (0, 3), (2, 0))])
def test_padding(widths):
    check(lambda x: np.pad(x, widths), drawn("float32", 3, 4, 5))
    check(lambda x: np.pad(x.T, widths, constant_values=2.5), drawn("float32", 3, 4, 5))


MADE = {
    "zeros_like": lambda x: np.zeros_like(x),
    "zeros_like of a view": lambda x: np.zeros_like(x[1:, ::2]),
    "zeros_like in another dtype": lambda x: np.zeros_like(x, dtype=np.int64),
    "zeros_like in another shape": lambda x: np.zeros_like(x, shape=(2, 7)),
    "ones_like": lambda x: np.ones_like(x),
    "full_like": lambda x: np.full_like(x, 2.5),
    "empty_like, filled": lambda x: filled(np.empty_like(x), -1),
    "arange": lambda x: np.arange(5, like=x),
    "zeros": lambda x: np.zeros((2, 3), np.float32, like=x),
    "full": lambda x: np.full(3, 2.0, like=x),
    "asarray": lambda x: np.asarray([1.0, 2.0], like=x),
    "outer": lambda x: np.outer(x[0, 0], x[1, 0]),
    "shape": lambda x: np.shape(x),
    "ndim": lambda x: np.ndim(x),
    "size": lambda x: np.size(x),
    "result_type": lambda x: np.result_type(x, np.float64),
    "isneginf": lambda x: np.isneginf(np.where(x > 0, -np.inf, np.inf)),
}


def filled(x, value):
    x.fill(value)
    return x


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_making(make):
    check(make, drawn("float32", 3, 4, 5))
