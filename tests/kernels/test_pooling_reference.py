"""Pooling by hand: who wins a tie, what the padding counts as, and which cells a mean divides by."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import kernels, nn
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
    def test_padding_is_minus_infinity_and_never_wins(self):
        y, _ = max_pool([[-3.0, -1.0], [-2.0, -4.0]], 2, 1, 1)
        np.testing.assert_array_equal(y[0, 0], [[-3, -1, -1], [-2, -1, -1], [-2, -2, -4]])

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


def test_avg_pool_counts_the_padding_or_not():
    x = np.full((1, 1, 2, 2), 4.0)
    how = ((2, 2), (2, 2), (1, 1), False)
    np.testing.assert_array_equal(kernels.avg_pool2d(x, *how, True, None)[0, 0], [[1, 1], [1, 1]])
    np.testing.assert_array_equal(kernels.avg_pool2d(x, *how, False, None)[0, 0], [[4, 4], [4, 4]])
    np.testing.assert_array_equal(kernels.avg_pool2d(x, *how, True, 8)[0, 0], [[0.5, 0.5], [0.5, 0.5]])


def test_adaptive_windows_cover_uneven_sizes():
    x = np.arange(5.0).reshape(1, 1, 1, 5)
    # windows 0…2, 1…4, 3…5 of 0 1 2 3 4
    np.testing.assert_allclose(nn.AdaptiveAvgPool2d((1, 3))(x)[0, 0, 0], [0.5, 2.0, 3.5])


@pytest.mark.parametrize("wrong", [0, -1, (2, 2, 2), "2", 1.5, (1, None)])
def test_wrong_kernel_sizes_are_named(wrong):
    with pytest.raises((ValueError, TypeError), match="kernel_size"):
        nn.MaxPool2d(wrong)


def test_padding_beyond_half_the_kernel_is_refused():
    with pytest.raises(ValueError, match="at most half the kernel, got padding=2 for kernel_size=3"):
        nn.AvgPool2d(3, padding=2)
