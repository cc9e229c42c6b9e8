"""What every streaming metric must do: batches are the whole, states go on, order means nothing."""

from __future__ import annotations

import numpy as np
import pytest

from minidl.train import load_checkpoint, save_checkpoint

__all__ = ["check_streaming", "same"]


def same(one, other, rtol=0.0):
    """Equal numbers, arrays, dicts or tuples of them; NaN is NaN."""
    if isinstance(one, dict):
        assert list(one) == list(other)
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            same(a, b, rtol)
    else:
        np.testing.assert_allclose(one, other, rtol=rtol, atol=0, equal_nan=True)


def check_streaming(make, prediction, target, whole, tmp_path, rtol=0.0):
    """`make()` in batches gives `whole(prediction, target)`, in any order and from any saved state.

    Sums of floats depend on their order by a rounding; `rtol` allows for that. Counts do not.
    """
    expected = whole(prediction, target)
    kept = prediction.copy(), target.copy()
    for cuts in ([], [len(target) // 2], [1, 2, len(target) - 1], [0, 3, 3]):
        metric = make()
        batches = list(zip(np.split(prediction, cuts), np.split(target, cuts), strict=True))
        for batch in batches:
            metric.update(*batch)
        same(metric.compute(), expected, rtol)
        same(metric.compute(), metric.compute())
        backwards = make()
        for batch in batches[::-1]:
            backwards.update(*batch)
        same(backwards.compute(), expected, rtol)

        resumed = make()
        for batch in batches:
            resumed.update(*batch)
            state = resumed.state_dict()
            save_checkpoint(state, tmp_path / "state")
            resumed = make()
            resumed.update(*batches[-1])  # what was there before is replaced
            resumed.load_state_dict(load_checkpoint(tmp_path / "state"))
            same(resumed.state_dict(), state)
        same(resumed.compute(), metric.compute())  # in every bit
        resumed.reset()
        for batch in batches:
            resumed.update(*batch)
        same(resumed.compute(), metric.compute())
    order = np.random.default_rng(0).permutation(len(target))
    shuffled = make()
    shuffled.update(prediction[order], target[order])
    same(shuffled.compute(), expected, rtol)

    fresh = make()
    fresh.load_state_dict(make().state_dict())
    with pytest.raises(
        ValueError, match=f"{type(fresh).__name__}: expected at least one sample before compute"
    ):
        fresh.compute()
    with pytest.raises(ValueError, match="expected the keys"):
        metric.load_state_dict({"something": 1})
    same(metric.compute(), expected, rtol)
    same(prediction, kept[0])
    same(target, kept[1])
    assert isinstance(metric.name, str)
