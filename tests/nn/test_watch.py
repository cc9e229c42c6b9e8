"""Watching gradients: every module's, with what went in and out, and no trace when it is over."""

import itertools

import numpy as np
import pytest

from minidl import nn
from minidl.nn import watch
from minidl.testing import Bug, planted


def network():
    return nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Linear(3, 3)), nn.Tanh())


def watched(model, x):
    seen = []
    with nn.watch_backward(model, lambda module, dy, dx: seen.append((module, dy, dx))):
        y = model(x)
        dx = model.backward(np.ones_like(y))
    return seen, dx


def test_every_module_is_seen_in_the_order_of_backward():
    model, x = network(), np.random.default_rng(0).normal(size=(4, 2))
    seen, dx = watched(model.double(), x)
    inner = model[1]
    assert [id(module) for module, *_ in seen] == [
        id(m) for m in (model[2], inner[1], inner[0], inner, model[0], model)
    ]
    for (_, _, one), (module, other, _) in itertools.pairwise(seen):
        if module not in (inner, model):
            np.testing.assert_array_equal(one, other)  # each hands its gradient on
    np.testing.assert_array_equal(seen[0][1], np.ones((4, 3)))
    assert seen[-1][2] is dx


def test_no_bit_changes_and_nothing_is_left():
    model, x = network(), np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    before = [set(vars(m)) for m in model.modules()]
    seen, dx = watched(model, x)
    gradients = [p.grad.copy() for p in model.parameters()]
    assert [set(vars(m)) - {"_memory"} for m in model.modules()] == before
    model.zero_grad()
    np.testing.assert_array_equal(model.backward(np.ones_like(model(x))), dx)
    for one, parameter in zip(gradients, model.parameters(), strict=True):
        np.testing.assert_array_equal(one, parameter.grad)
    assert len(seen) == 6


def test_watchers_end_in_any_order_and_after_an_error():
    model, x, log = network(), np.ones((1, 2), np.float32), []
    first = nn.watch_backward(model, lambda *_: log.append("first"))
    second = nn.watch_backward(model[1], lambda *_: log.append("second"))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    model.backward(np.ones_like(model(x)))
    assert log == ["second"] * 3
    second.__exit__(None, None, None)
    with pytest.raises(ZeroDivisionError), nn.watch_backward(model, lambda *_: 1 / 0):
        model.backward(np.ones_like(model(x)))
    assert not any("backward" in vars(m) for m in model.modules())


def test_who_looks_alone_hides_the_forward_from_others():
    model, x, log = network(), np.ones((1, 2), np.float32), []
    with nn.watch_forward(lambda *_: log.append("first")):
        with nn.watch_forward(lambda *_: log.append("alone"), alone=True):
            model(x)
        assert log == ["alone"] * 6
        with nn.watch_forward(lambda *_: log.append("second")):
            model(x)
        assert log[6:] == ["first", "second"] * 6
    model(x)
    assert len(log) == 18


BUGS = [
    Bug("watchers stay", watch, "watch_backward", "if not own", "if own"),
    Bug("the gradient is swallowed", watch, "_watched_backward", "return dx", "return 0 * dx"),
    Bug(
        "the watcher is called before",
        watch,
        "_watched_backward",
        "watcher(self, dy, dx)",
        "watcher(self, dx, dy)",
    ),
]


def check_all():
    test_every_module_is_seen_in_the_order_of_backward()
    test_no_bit_changes_and_nothing_is_left()
    test_watchers_end_in_any_order_and_after_an_error()
    test_who_looks_alone_hides_the_forward_from_others()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug):
    with planted(bug), pytest.raises((AssertionError, KeyError, AttributeError)):
        check_all()
