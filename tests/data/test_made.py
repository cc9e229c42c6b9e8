"""Made data sets: where the points lie, scikit-learn's where it has them, and that a seed repeats them."""

import numpy as np
import pytest

from minidl.array import manual_seed
from minidl.data import make_blobs, make_line, make_moons, make_spirals
from minidl.errors import ShapeError

ALL = [make_blobs, make_line, make_moons, make_spirals]


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("make", ALL)
def test_a_seed_repeats_it(make):
    first, again, other = (make(40, rng=rng(seed)) for seed in (1, 1, 2))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
        assert not np.array_equal(a, c)
        assert len(a) == 40
    assert first[0].dtype == np.float32
    manual_seed(3)
    drawn = make(40)[0]
    manual_seed(3)
    np.testing.assert_array_equal(make(40)[0], drawn)


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("count", [0, -1, 1.5])
def test_a_number_of_points_that_is_none(make, count):
    with pytest.raises(
        ValueError, match=f"{make.__name__}: expected n_samples to be an integer of at least 1"
    ):
        make(count)


def ordered(x, y):
    order = np.lexsort([*x.round(4).T, y])
    return x[order], y[order]


@pytest.mark.parametrize("count", [100, 31])
def test_moons_are_scikit_learns(count):
    datasets = pytest.importorskip("sklearn.datasets")
    theirs = ordered(*datasets.make_moons(count, random_state=0))
    ours = ordered(*make_moons(count))
    np.testing.assert_array_equal(ours[1], theirs[1])
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-6)


def test_moons_by_hand():
    x, y = ordered(*make_moons(6))
    assert y.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(sorted(x[y == 0].tolist()), [[-1, 0], [0, 1], [1, 0]], atol=1e-6)
    np.testing.assert_allclose(sorted(x[y == 1].tolist()), [[0, 0.5], [1, -0.5], [2, 0.5]], atol=1e-6)


def test_noise_is_the_deviation_that_was_asked_for():
    plain, labels = make_moons(4000, rng=rng())
    noisy, same = make_moons(4000, noise=0.2, rng=rng())
    radius = np.hypot(*(noisy[same == 0]).T)
    assert radius.std() == pytest.approx(0.2, rel=0.1)
    assert len(plain) == len(labels)
    with pytest.raises(ValueError, match="make_moons: expected noise of at least 0, got -1"):
        make_moons(noise=-1)


def test_blobs_lie_around_their_middles():
    middles = np.array([[0.0, 0, 9], [50, 0, 0], [0, -50, 0]])
    x, y = make_blobs(3001, centers=middles, cluster_std=(1, 2, 0), rng=rng())
    assert np.bincount(y).tolist() == [1001, 1000, 1000]
    for k, (middle, spread) in enumerate(zip(middles, (1, 2, 0), strict=True)):
        np.testing.assert_allclose(x[y == k].mean(axis=0), middle, atol=0.25)
        np.testing.assert_allclose(x[y == k].std(axis=0), spread, rtol=0.1, atol=1e-6)
    assert y[:20].tolist() != sorted(y[:20].tolist())
    x, y = make_blobs(500, 4, 5, center_box=(3, 4), cluster_std=0, rng=rng())
    assert x.shape == (500, 4)
    assert set(y) == set(range(5))
    assert x.min() >= 3
    assert x.max() <= 4


def test_blobs_that_make_no_sense():
    with pytest.raises(ShapeError, match=r"make_blobs: expected centers of shape \(K, F\), got \(2,\)"):
        make_blobs(centers=[1, 2])
    with pytest.raises(ShapeError, match=r"one cluster_std or 3, got shape \(2,\)"):
        make_blobs(cluster_std=[1, 2])
    with pytest.raises(ValueError, match="centers of at least 1, got 0"):
        make_blobs(centers=0)
    with pytest.raises(ValueError, match="cluster_std of at least 0, got -1"):
        make_blobs(cluster_std=-1)


def test_spirals_by_hand():
    x, y = make_spirals(10, 2, turns=1, noise=0)
    assert np.bincount(y).tolist() == [5, 5]
    radius = np.hypot(*x.T)
    np.testing.assert_allclose(np.sort(radius[y == 0]), [0, 0.25, 0.5, 0.75, 1], atol=1e-6)
    expected = [[0, 0], [0, 0.25], [-0.5, 0], [0, -0.75], [1, 0]]  # a quarter turn for each step outwards
    np.testing.assert_allclose(x[y == 0][np.argsort(radius[y == 0])], expected, atol=1e-6)
    np.testing.assert_allclose(x[y == 1][np.argsort(radius[y == 1])], -np.array(expected), atol=1e-6)
    assert set(make_spirals(100, 5)[1]) == set(range(5))
    with pytest.raises(ValueError, match="make_spirals: expected classes to be an integer of at least 1"):
        make_spirals(classes=0)


def test_a_line_is_found_again_by_least_squares():
    x, y = make_line(5000, weight=(3, -2), bias=0.5, noise=0.1, rng=rng())
    assert (x.shape, y.shape, y.dtype) == ((5000, 2), (5000, 1), np.float32)
    found, *_ = np.linalg.lstsq(np.hstack([x, np.ones((5000, 1))]), y[:, 0], rcond=None)
    np.testing.assert_allclose(found, [3, -2, 0.5], atol=0.01)
    rest = y[:, 0] - x @ [3, -2] - 0.5
    assert rest.std() == pytest.approx(0.1, rel=0.05)
    assert -1 <= x.min() < -0.99
    x, y = make_line(10, noise=0)
    np.testing.assert_allclose(y, 2 * x - 1, atol=1e-6)
