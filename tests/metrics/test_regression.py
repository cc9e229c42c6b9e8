"""Mean squared and absolute error and R²: scikit-learn's numbers, one or several outputs, in any batches."""

import math

import numpy as np
import pytest
from metrics.streaming import check_streaming

from minidl.errors import DTypeError, ShapeError, StateDictError
from minidl.metrics import (
    MeanAbsoluteError,
    MeanSquaredError,
    R2Score,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
)

FUNCTIONS = [mean_squared_error, mean_absolute_error, r2_score]
METRICS = {
    "mse": (MeanSquaredError, mean_squared_error),
    "rmse": (
        lambda **more: MeanSquaredError(False, **more),
        lambda p, t, **more: mean_squared_error(p, t, False, **more),
    ),
    "mae": (MeanAbsoluteError, mean_absolute_error),
    "r2": (R2Score, r2_score),
}  # fmt: skip


def draw(seed, shape, offset=3.0):
    rng = np.random.default_rng(seed)
    target = rng.normal(size=shape) + offset
    return target + 0.5 * rng.normal(size=shape), target


def test_by_hand():
    assert mean_squared_error([1, 2, 5], [1, 4, 4]) == pytest.approx(5 / 3)
    assert mean_squared_error([1, 2], [4, 6], squared=False) == math.sqrt(12.5)
    assert mean_absolute_error([1, 2, 5], [1, 4, 4]) == 1
    assert r2_score([1, 2, 5], [1, 4, 4]) == 1 - 5 / 6
    assert r2_score([3, 3, 3], [1, 4, 4]) == 0


@pytest.mark.parametrize("shape", [(2,), (50,), (30, 1), (30, 4)])
@pytest.mark.parametrize("multioutput", ["uniform_average", "raw_values", "variance_weighted"])
def test_numbers_are_those_of_scikit_learn(shape, multioutput):
    sklearn = pytest.importorskip("sklearn.metrics")
    prediction, target = draw(0, shape)
    for function in FUNCTIONS:
        if multioutput == "variance_weighted" and function is not r2_score:
            continue
        wanted = getattr(sklearn, function.__name__)(target, prediction, multioutput=multioutput)
        found = function(prediction, target, multioutput=multioutput)
        np.testing.assert_allclose(found, np.reshape(wanted, np.shape(found)), rtol=1e-12)
    if multioutput != "variance_weighted":
        wanted = sklearn.root_mean_squared_error(target, prediction, multioutput=multioutput)
        found = mean_squared_error(prediction, target, squared=False, multioutput=multioutput)
        np.testing.assert_allclose(found, np.reshape(wanted, np.shape(found)), rtol=1e-12)


@pytest.mark.parametrize("multioutput", ["uniform_average", "raw_values", "variance_weighted"])
@pytest.mark.parametrize(
    ("prediction", "target"),
    [
        ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]),  # all equal, and right
        ([0.5, 0.2, 0.5], [0.5, 0.5, 0.5]),  # all equal, and wrong
        ([[0.1, 1], [0.1, 2]], [[0.1, 2], [0.1, 1]]),
        ([[0.3, 1], [0.1, 2]], [[0.1, 2], [0.1, 2]]),
    ],
)
def test_r2_where_targets_do_not_vary(prediction, target, multioutput):
    sklearn = pytest.importorskip("sklearn.metrics")
    wanted = sklearn.r2_score(target, prediction, multioutput=multioutput)
    found = r2_score(prediction, target, multioutput=multioutput)
    np.testing.assert_allclose(found, np.reshape(wanted, np.shape(found)), rtol=1e-12)
    metric = R2Score(multioutput=multioutput)
    for one, other in zip(prediction, target, strict=True):
        metric.update([one], [other])
    np.testing.assert_allclose(metric.compute(), found, rtol=1e-12)


def test_r2_of_equal_targets_whose_mean_is_rounded():
    """The mean of three times 0.1 is another number; scikit-learn divides by the difference: −1.7e31."""
    assert r2_score([0.1, 0.2, 0.1], [0.1, 0.1, 0.1]) == 0
    assert r2_score([0.1, 0.1, 0.1], [0.1, 0.1, 0.1]) == 1


def test_r2_of_one_sample_is_nan():
    for multioutput in ("uniform_average", "variance_weighted"):
        assert math.isnan(r2_score([1.0], [1.0], multioutput=multioutput))


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("multioutput", ["uniform_average", "raw_values"])
@pytest.mark.parametrize("shape", [(40,), (40, 3), (12, 2, 3)])
def test_batches_are_the_whole(name, multioutput, shape, tmp_path):
    make, whole = METRICS[name]
    prediction, target = draw(1, shape)
    check_streaming(
        lambda: make(multioutput=multioutput),
        prediction, target,
        lambda p, t: whole(p, t, multioutput=multioutput),
        tmp_path,
        rtol=1e-12,  # sums of floats are rounded in their order
    )  # fmt: skip
    assert make().name == name


def test_r2_does_not_suffer_where_the_mean_is_large():
    prediction, target = draw(2, (400,), offset=1e8)
    metric = R2Score()
    for batch in range(0, 400, 7):
        metric.update(prediction[batch : batch + 7], target[batch : batch + 7])
    centred = 1 - np.sum((prediction - target) ** 2) / np.sum((target - target.mean()) ** 2)
    assert metric.compute() == pytest.approx(centred, rel=1e-7)  # of numbers with 8 digits behind the point


def test_float32_is_summed_in_float64():
    target = np.full(100_000, 4096.0, np.float32)
    assert mean_squared_error(target + np.float32(1), target) == 1
    assert mean_absolute_error(target + np.float32(1), target) == 1
    assert r2_score(np.array([1, 2, 3], np.uint8), np.array([2, 1, 3], np.uint8)) == 0  # no wrapping round


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("prediction", "target", "error", "message"),
    [
        ([1.0], [1.0, 2.0], ShapeError, r"got \(1,\) and \(2,\)"),
        ([[1.0], [2.0]], [1.0, 2.0], ShapeError, r"got \(2, 1\) and \(2,\)"),  # it would broadcast
        (1.0, 1.0, ShapeError, r"got \(\) and \(\)"),
        ([np.nan], [1.0], ValueError, "a prediction of finite numbers, got 1 others"),
        ([1.0], [np.inf], ValueError, "a target of finite numbers"),
        (["a"], [1.0], DTypeError, "a prediction of real numbers"),
        ([], [], ValueError, "expected at least one sample before compute, got none"),
    ],
)
def test_what_does_not_fit_is_refused(function, prediction, target, error, message):
    with pytest.raises(error, match=message):
        function(prediction, target)


def test_an_unknown_way_to_put_outputs_together():
    with pytest.raises(ValueError, match="one of uniform_average, raw_values, got 'variance_weighted'"):
        MeanSquaredError(multioutput="variance_weighted")
    with pytest.raises(ValueError, match="R2Score: expected multioutput"):
        R2Score(multioutput="mean")


@pytest.mark.parametrize(
    "state",
    [
        {"seen": 2},
        {"seen": "2", "sums": {}},
        {"seen": 2, "sums": {}},
        {"seen": -1, "sums": {}},
        {"seen": 2, "sums": {"errors": [1.0]}},
        {"seen": 2, "sums": {"errors": [1.0], "mean": [1.0], "squares": [1.0, 2.0]}},
        {"seen": 2, "sums": {"errors": "x", "mean": 1.0, "squares": 1.0}},
        {"seen": 2, "sums": None},
    ],
    ids=str,
)
def test_a_state_of_something_else_is_refused(state):
    metric = R2Score()
    metric.update([1.0, 2.0], [1.0, 3.0])
    before = metric.compute()
    with pytest.raises(StateDictError, match="R2Score: expected"):
        metric.load_state_dict(state)
    assert metric.compute() == before
    with pytest.raises(ShapeError, match="as in the batches before"):
        metric.update(np.ones((2, 2)), np.ones((2, 2)))
    assert metric.compute() == before
