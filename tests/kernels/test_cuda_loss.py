"""Losses on a device: wrong targets raise as on the host, and in a recorded step they show as NaN."""

from __future__ import annotations

import numpy as np
import pytest

import minidl
from minidl import kernels, nn
from minidl.array import to_device, to_host

RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((6, 5)).astype(np.float32)


def sim(x):
    return to_device(np.asarray(x), "sim")


def both(function, *arrays):
    """What a call raises, on the host and on the device."""
    messages = []
    for put in (np.asarray, sim):
        with pytest.raises(ValueError, match="expected") as raised:
            function(*map(put, arrays))
        messages.append(str(raised.value))
    return messages


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
@pytest.mark.parametrize("wrong", [5, -1, 1000])
def test_a_label_that_is_no_class_raises_as_on_the_host(wrong, dtype):
    labels = np.array([0, 1, 4, wrong, 2, wrong], dtype)
    host, device = both(lambda x, t: kernels.cross_entropy(x, t, None, -100, 0.0), LOGITS, labels)
    assert host == device
    assert f"got {wrong} at position 3" in device


@pytest.mark.parametrize("wrong", [1.5, -0.25])
def test_a_target_that_is_no_probability_raises_as_on_the_host(wrong):
    target = np.full(LOGITS.shape, 0.5, np.float32)
    target[3, 2] = wrong
    host, device = both(lambda x, t: kernels.cross_entropy_with_logits(x, t, None, None), LOGITS, target)
    assert host == device


def test_where_all_labels_are_ignored_the_mean_is_nan_and_no_gradient_flows():
    criterion = nn.CrossEntropyLoss()
    loss = criterion(sim(LOGITS), sim(np.full(6, -100)))
    assert np.isnan(loss.item())
    np.testing.assert_array_equal(to_host(criterion.backward()), np.zeros_like(LOGITS))


def recorded(labels, weight=None):
    """A recorded loss and its gradient, the labels that it reads, and how to run it again."""
    x, t = sim(LOGITS), sim(labels)
    criterion = nn.CrossEntropyLoss(weight).to("sim")

    def step():
        loss = criterion(x, t)
        return loss, criterion.backward()

    return t, minidl.cuda.capture(step, device="sim")


@pytest.mark.parametrize("weight", [None, np.array([1, 2, 3, 0.5, 0], np.float32)])
def test_a_recorded_loss_divides_by_the_labels_of_its_own_replay(weight):
    t, graph = recorded(np.array([0, 1, 2, 3, 4, 0]), weight)
    host = nn.CrossEntropyLoss(weight)
    for labels in ([4, 3, 2, 1, 0, 0], [1, -100, 1, -100, -100, 3], [-100] * 6):
        t[...] = sim(np.array(labels))
        loss, dx = graph.replay()
        expected = host(LOGITS, np.array(labels))
        np.testing.assert_allclose(loss.item(), expected, rtol=1e-6)
        np.testing.assert_allclose(to_host(dx), host.backward(), rtol=1e-5, atol=1e-7)


def test_a_wrong_label_in_a_recorded_step_is_nan_and_touches_nothing_else():
    t, graph = recorded(np.array([0, 1, 2, 3, 4, 0]))
    t[...] = sim(np.array([0, 1, 7, 3, 4, 0]))
    loss, dx = graph.replay()
    assert np.isnan(loss.item())
    np.testing.assert_array_equal(np.isnan(to_host(dx)).any(axis=1), [0, 0, 1, 0, 0, 0])
