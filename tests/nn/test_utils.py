"""Gradient clipping gives PyTorch's gradients and norms, and touches nothing else."""

import math

import numpy as np
import pytest

from minidl import nn, to_device, to_host
from minidl.errors import NonFiniteError
from minidl.nn import Parameter
from minidl.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm
from minidl.testing.planted import Bug, planted


def parameters(dtype=np.float64, scale=1.0):
    rng = np.random.default_rng(0)
    made = [Parameter(np.ones(shape, dtype)) for shape in ((3, 2), (), (5,), (0, 2), (4,))]
    for parameter in made[:-1]:  # the last has none
        parameter.grad = np.asarray(scale * rng.standard_normal(parameter.shape), dtype)
    return made


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("p", [2.0, 1, 3, 0.5, math.inf])
@pytest.mark.parametrize("max_norm", [0.0, 0.1, 2.0, 1e3])
def test_the_norm_and_the_gradients_are_pytorchs(p, max_norm, dtype):
    torch = pytest.importorskip("torch")
    mine = parameters(dtype)[:3]
    theirs = [torch.nn.Parameter(torch.tensor(m.data)) for m in mine]
    for m, t in zip(mine, theirs, strict=True):
        t.grad = torch.tensor(m.grad)
    total = clip_grad_norm_(mine, max_norm, p)
    expected = float(torch.nn.utils.clip_grad_norm_(theirs, max_norm, p))
    tolerance = 1e-12 if dtype == np.float64 else 2e-6
    assert total == pytest.approx(expected, rel=tolerance)
    for m, t in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(m.grad, t.grad.numpy(), rtol=tolerance, atol=tolerance)
        assert isinstance(m.grad, np.ndarray)
        assert m.grad.dtype == dtype


def by_hand():
    one, two, without = Parameter(np.zeros(1)), Parameter(np.zeros(2)), Parameter(np.zeros(1))
    one.grad, two.grad = np.array([-3.0]), np.array([0.0, 4.0])
    given = two.grad
    assert clip_grad_norm_([one, two, without], 10) == 5.0  # √(9 + 16)
    assert two.grad is given
    assert clip_grad_norm_([one, two, without], 2.5) == 5.0
    np.testing.assert_allclose(one.grad, [-1.5], rtol=1e-6)
    np.testing.assert_allclose(two.grad, [0.0, 2.0], rtol=1e-6)
    np.testing.assert_array_equal(given, [0.0, 4.0])
    assert without.grad is None
    clip_grad_value_([one, two, without], 1)
    np.testing.assert_array_equal(one.grad, [-1.0])
    np.testing.assert_array_equal(two.grad, [0.0, 1.0])


def test_by_hand():
    by_hand()


@pytest.mark.parametrize(
    "bug",
    [
        Bug("norm: no root", nn.utils, "get_total_norm", "** (1 / p)", ""),
        Bug("norm: the largest alone", nn.utils, "get_total_norm", "0 < largest < math.inf", "False"),
        Bug("clip: one factor upward too", nn.utils, "clip_grad_norm_", "if not factor >= 1", "if True"),
        Bug(
            "clip: in place",
            nn.utils,
            "clip_grad_norm_",
            "g.copy()",
            "g",
        ),
        Bug("clip: not at all", nn.utils, "clip_grad_norm_", "numbers *= factor", "pass"),
        Bug("clip: upper bound only", nn.utils, "clip_grad_value_", "-limit)", "-9 * limit)"),
    ],
    ids=lambda bug: bug.name,
)
def test_planted_bugs_are_caught(bug):
    with planted(bug), pytest.raises(AssertionError):
        by_hand()


def test_one_parameter_an_iterator_and_none():
    parameter = parameters()[0]
    total = get_total_norm(parameter.grad)
    assert clip_grad_norm_(parameter, 1e9) == total
    assert clip_grad_norm_(iter([parameter]), 1e9) == total
    assert clip_grad_norm_([], 1.0) == 0.0
    assert clip_grad_norm_([Parameter([1.0])], 1.0) == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite(bad):
    parameter, other = Parameter(np.ones(2)), Parameter(np.ones(2))
    parameter.grad, other.grad = np.array([1.0, bad]), np.ones(2)
    with pytest.raises(NonFiniteError, match="expected a finite norm of order 2, got"):
        clip_grad_norm_([parameter, other], 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(other.grad, 1)
    with np.errstate(invalid="ignore"):
        total = clip_grad_norm_([parameter, other], 1.0)
    assert not math.isfinite(total)
    assert np.isnan(parameter.grad).any()


def test_on_a_device():
    here, there = parameters(np.float32, 9.0)[:3], parameters(np.float32, 9.0)[:3]
    for parameter in there:
        parameter.to("sim")
    assert clip_grad_norm_(there, 1.0) == pytest.approx(clip_grad_norm_(here, 1.0), rel=1e-6)
    clip_grad_value_(here, 0.1)
    clip_grad_value_(there, 0.1)
    for mine, its in zip(here, there, strict=True):
        np.testing.assert_allclose(to_host(its.grad), mine.grad, rtol=1e-6)
    assert type(there[0].grad) is type(to_device(np.ones(1), "sim"))


def test_what_is_refused():
    with pytest.raises(TypeError, match="clip_grad_norm_: expected parameters, got ndarray"):
        clip_grad_norm_([np.ones(2)], 1.0)
    with pytest.raises(ValueError, match="norm_type above 0, got 0"):
        clip_grad_norm_(parameters(), 1.0, 0)
