"""Rows by index: what the references give by hand, and indices that point outside."""

from __future__ import annotations

import contextlib
import importlib

import numpy as np
import pytest

from minidl import to_device, to_host
from minidl.kernels.registry import KERNELS

with contextlib.suppress(ImportError):  # without Numba there are references alone
    importlib.import_module("minidl.kernels.numba_cpu")

X = np.array([[1.0, 8], [3, 4], [np.nan, 4], [5, -1]])
INDICES = np.array([2, 0, 2, -1])


def implementations(name):
    """For host arrays, and on the simulated device."""
    kernel = KERNELS[name]
    yield kernel.reference
    if np.ndarray in kernel.twins:
        yield kernel.twins[np.ndarray]

    def on_device(*args):
        results = kernel(*(to_device(a, "sim") if isinstance(a, np.ndarray) else a for a in args))
        return tuple(map(to_host, results)) if isinstance(results, tuple) else to_host(results)

    yield on_device


def test_by_hand():
    for gather in implementations("gather_rows"):
        np.testing.assert_array_equal(gather(X, np.array([3, 1, 3])), [[5, -1], [3, 4], [5, -1]])
    for scatter in implementations("scatter_rows"):
        np.testing.assert_array_equal(scatter(X, INDICES, 3), [[3, 4], [0, 0], [np.nan, 12]])
    for scatter in implementations("scatter_max"):
        y, winners = scatter(X, INDICES, 3)
        np.testing.assert_array_equal(y, [[3, 4], [0, 0], [np.nan, 8]])
        np.testing.assert_array_equal(winners, [[1, 1], [-1, -1], [2, 0]])
    for move in implementations("move_rows"):
        sources, indices = np.array([1, 3, -1, 1]), np.array([2, 0, 2, 2])
        np.testing.assert_array_equal(move(X, sources, indices, 3), [[5, -1], [0, 0], [6, 8]])
    for bags in implementations("bags_of"):
        np.testing.assert_array_equal(bags(np.array([0, 2, 2, 3]), 5), [0, 0, 2, 3, 3])
        np.testing.assert_array_equal(bags(np.array([1]), 2), [-1, 0])


def test_an_index_outside_is_refused_on_the_host():
    on_host = lambda name: list(implementations(name))[:-1]  # noqa: E731
    for gather in on_host("gather_rows"):
        with pytest.raises(IndexError):
            gather(X, np.array([4]))
    for name in ("scatter_rows", "scatter_max"):
        for scatter in on_host(name):
            with pytest.raises(IndexError):
                scatter(X, INDICES, 2)


def test_a_source_outside_is_refused_on_the_host_and_adds_nothing_on_a_device():
    *on_host, on_device = implementations("move_rows")
    sources, indices = np.array([4, 1]), np.array([0, 0])
    for move in on_host:
        with pytest.raises(IndexError):
            move(X, sources, indices, 1)
    np.testing.assert_array_equal(on_device(X, sources, indices, 1), [[3, 4]])


def test_an_index_outside_writes_nowhere_on_a_device():
    for name in ("scatter_rows", "scatter_max"):
        *_, scatter = implementations(name)
        y = scatter(X, INDICES, 2)
        np.testing.assert_array_equal((y if name == "scatter_rows" else y[0]), [[3, 4], [0, 0]])


def test_many_rows_of_one_index_keep_their_digits():
    x = np.random.default_rng(0).standard_normal((3000, 3)).astype(np.float32)
    for scatter in implementations("scatter_rows"):
        y = scatter(x, np.zeros(3000, np.int64), 1)
        np.testing.assert_allclose(y[0], x.sum(axis=0, dtype=np.float64), rtol=2e-5)
