"""The streaming mean weighs each batch by its size, and goes on from a saved state with the same bits."""

import math

import numpy as np
import pytest

from minidl.errors import StateDictError
from minidl.metrics import Mean


def test_batches_of_different_sizes_give_the_mean_of_all_samples():
    losses = np.random.default_rng(0).exponential(size=103)
    mean = Mean()
    for start in range(0, 103, 10):
        batch = losses[start : start + 10]
        mean.update(batch.mean(), len(batch))
    assert mean.compute() == pytest.approx(losses.mean(), rel=1e-14)
    mean.reset()
    mean.update(np.float32(2.0))
    mean.update(4.0, weight=3)
    assert mean.compute() == 3.5
    assert isinstance(mean.compute(), float)


def test_a_saved_state_goes_on_with_the_same_bits():
    values = np.random.default_rng(1).normal(size=20)
    whole, half, rest = Mean(), Mean(), Mean()
    for value in values:
        whole.update(value, 7)
    for value in values[:9]:
        half.update(value, 7)
    rest.load_state_dict(half.state_dict())
    for value in values[9:]:
        rest.update(value, 7)
    assert rest.compute() == whole.compute()


def test_nan_stays_and_weight_zero_counts_nothing():
    mean = Mean()
    mean.update(math.inf, 0)
    mean.update(1.0)
    assert mean.compute() == 1.0
    mean.update(math.nan)
    mean.update(1.0)
    assert math.isnan(mean.compute())


def test_what_makes_no_sense_is_refused():
    mean = Mean("loss")
    assert mean.name == "loss"
    assert repr(Mean("mse")) == "Mean('mse')"
    with pytest.raises(ValueError, match="weight above 0 before compute, got none"):
        mean.compute()
    for weight in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match="finite weight of at least 0"):
            mean.update(1.0, weight)
    mean.update(2.0)
    for state in ({}, {"sum": 1.0}, {"sum": 1.0, "weight": -1.0}, {"sum": "x", "weight": 1}):
        with pytest.raises(StateDictError, match="Mean: expected"):
            mean.load_state_dict(state)
    assert mean.compute() == 2.0
