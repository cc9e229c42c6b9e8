"""Max-pooling by hand on every backend: who wins a tie, a NaN, or where all is −∞ (averages: by_hand.py)."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import nn
from minidl.kernels.registry import use_backend

BACKENDS = ["numpy", "numba"]


@pytest.fixture(params=BACKENDS)
def backend(request):
    if request.param == "numba":
        pytest.importorskip("numba")
    with use_backend(request.param):
        yield request.param


def max_pool(x, kernel, stride=None, padding=0, ceil_mode=False):
    pool = nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil_mode, return_indices=True)
    return pool(np.asarray(x, float)[None, None])


@pytest.mark.usefixtures("backend")
class TestMaxPool:
    def test_where_all_is_minus_infinity_a_cell_of_the_image_wins(self):
        y, indices = max_pool(np.full((2, 2), -np.inf), 2, 1, 1)
        assert (y == -np.inf).all()
        np.testing.assert_array_equal(indices[0, 0], [[0, 0, 1], [0, 0, 1], [2, 2, 3]])

    def test_the_first_of_equals_wins_and_gets_the_whole_gradient(self):
        pool = nn.MaxPool2d(2)
        pool(np.array([[[[5.0, 5.0], [5.0, 1.0]]]]))
        np.testing.assert_array_equal(pool.backward(np.array([[[[7.0]]]]))[0, 0], [[7, 0], [0, 0]])

    def test_overlapping_windows_add_up(self):
        pool = nn.MaxPool2d(2, 1)
        pool(np.array([[[[0.0, 9.0, 1.0]] * 2]]))  # the 9 of row 0 wins both windows
        np.testing.assert_array_equal(pool.backward(np.array([[[[2.0, 3.0]]]]))[0, 0], [[0, 5, 0], [0, 0, 0]])

    def test_a_nan_wins_and_the_first_one_of_two(self):
        y, indices = max_pool([[1.0, np.nan], [np.nan, 2.0]], 2)
        assert np.isnan(y).all()
        assert indices.item() == 1

    def test_ceil_mode_keeps_the_last_window(self):
        y, _ = max_pool([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]], 2, ceil_mode=True)
        np.testing.assert_array_equal(y[0, 0], [[5, 6], [8, 9]])

    def test_indices_point_at_the_maxima(self):
        x = np.random.default_rng(0).standard_normal((2, 3, 6, 7))
        y, indices = nn.MaxPool2d(3, 2, 1, return_indices=True)(x)
        found = np.take_along_axis(x.reshape(2, 3, -1), indices.reshape(2, 3, -1), 2)
        np.testing.assert_array_equal(found.reshape(y.shape), y)
