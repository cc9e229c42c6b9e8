"""Initialisers: PyTorch's formulas, checked by bounds and moments, and reproducible from a seed."""

from __future__ import annotations

import inspect
import math
from contextlib import nullcontext

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import ShapeError
from minidl.nn import init

SHAPE = (60, 20, 3, 5)  # fan_in 300, fan_out 900
MANY = 60 * 20 * 15


def parameter(shape=SHAPE):
    return nn.Parameter(np.full(shape, np.nan))


def rng():
    return np.random.default_rng(0)


UNIFORM = [
    (lambda p: init.uniform_(p, -2, 3, rng()), -2.0, 3.0),
    (lambda p: init.xavier_uniform_(p, 2.0, rng()), -2 * math.sqrt(6 / 1200), 2 * math.sqrt(6 / 1200)),
    (lambda p: init.kaiming_uniform_(p, rng=rng()), -math.sqrt(6 / 300), math.sqrt(6 / 300)),
    (lambda p: init.kaiming_uniform_(p, math.sqrt(5), rng=rng()), -1 / math.sqrt(300), 1 / math.sqrt(300)),
    (
        lambda p: init.kaiming_uniform_(p, 0, "fan_out", "tanh", rng()),
        -5 / math.sqrt(2700),
        5 / math.sqrt(2700),
    ),
]


@pytest.mark.parametrize(("fill", "low", "high"), UNIFORM)
def test_uniform_bounds_and_moments(fill, low, high):
    p = parameter()
    assert fill(p) is p
    assert low <= p.data.min() < low + 0.01 * (high - low)
    assert high - 0.01 * (high - low) < p.data.max() <= high
    assert abs(p.data.mean() - (low + high) / 2) < 5 * (high - low) / math.sqrt(12 * MANY)
    assert p.data.std() == pytest.approx((high - low) / math.sqrt(12), rel=0.02)


NORMAL = [
    (lambda p: init.normal_(p, 1.0, 0.5, rng()), 1.0, 0.5),
    (lambda p: init.xavier_normal_(p, 3.0, rng()), 0.0, 3 * math.sqrt(2 / 1200)),
    (lambda p: init.kaiming_normal_(p, rng=rng()), 0.0, math.sqrt(2 / 300)),
    (lambda p: init.kaiming_normal_(p, 0.0, "fan_out", "sigmoid", rng()), 0.0, 1 / math.sqrt(900)),
]


@pytest.mark.parametrize(("fill", "mean", "std"), NORMAL)
def test_normal_moments(fill, mean, std):
    p = parameter()
    fill(p)
    assert abs(p.data.mean() - mean) < 5 * std / math.sqrt(MANY)
    assert p.data.std() == pytest.approx(std, rel=0.02)
    assert np.abs(p.data - mean).max() > 3 * std


def test_constants():
    assert (init.zeros_(parameter()).data == 0).all()
    assert (init.ones_(parameter()).data == 1).all()
    assert (init.constant_(parameter(), 0.3).data == 0.3).all()


@pytest.mark.parametrize(
    "name", ["linear", "conv2d", "conv_transpose2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]
)
def test_gains_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name), rel=1e-15)
    assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(math.sqrt(2 / 1.09), rel=1e-15)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"expected one of linear, .*, got 'swish'"):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match="expected mode 'fan_in' or 'fan_out', got 'fan'"):
        init.kaiming_normal_(parameter(), mode="fan")
    with pytest.raises(ShapeError, match=r"at least 2 dimensions, got \(3,\)"):
        init.xavier_uniform_(parameter((3,)))


@pytest.mark.parametrize(
    ("make", "fan_in"),
    [
        (lambda g: nn.Linear(400, 300, rng=g), 400),
        (lambda g: nn.Conv2d(40, 80, (3, 5), groups=4, rng=g), 10 * 15),
    ],
)
def test_layers_start_uniform_within_one_over_the_root_of_fan_in(make, fan_in):
    layer, bound = make(rng()), 1 / math.sqrt(fan_in)
    for p in (layer.weight, layer.bias):
        assert np.abs(p.data).max() <= bound
        assert np.abs(p.data).max() > 0.9 * bound
    assert layer.weight.data.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_batch_norm_starts_as_the_identity_of_a_normal_batch():
    layer = nn.BatchNorm2d(3)
    starts = (layer.weight.data, layer.bias.data, layer.running_mean, layer.running_var)
    assert [list(values) for values in starts] == [[1] * 3, [0] * 3, [0] * 3, [1] * 3]


def test_the_seed_decides_every_start():
    def build(seed):
        minidl.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 4), nn.Conv2d(1, 2, 3)).state_dict()

    one, same, other = build(1), build(1), build(2)
    assert all(one[name].tobytes() == same[name].tobytes() for name in one)
    assert all(one[name].tobytes() != other[name].tobytes() for name in one)


def test_layers_without_inputs_can_be_made():
    assert nn.Linear(0, 3).weight.shape == (3, 0)


def of_shape(*shape, dtype=np.float64):
    return nn.Parameter(np.full(shape, 9, dtype))


def test_trunc_normal_stays_between_its_bounds_and_is_normal_there():
    values = init.trunc_normal_(of_shape(200, 300), 1.0, 2.0, -1.0, 3.0, np.random.default_rng(0)).data
    assert values.min() >= -1
    assert values.max() <= 3
    # of a normal distribution cut at ±1: variance 1 − 2 φ(1) / (2 Φ(1) − 1) = 0.2911
    np.testing.assert_allclose([values.mean(), values.var()], [1, 4 * 0.29112509], atol=0.02)
    with pytest.raises(ValueError, match="trunc_normal_: expected a to b"):
        init.trunc_normal_(of_shape(3), a=7, b=8)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 2, 2, 3), (1, 4)])
def test_orthogonal_rows_or_columns(shape):
    q = init.orthogonal_(of_shape(*shape), 2.0, np.random.default_rng(0)).data.reshape(shape[0], -1)
    product = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(product, 4 * np.eye(min(q.shape)), atol=1e-12)


def test_sparse_columns():
    values = init.sparse_(of_shape(100, 30), 0.25, 3.0, np.random.default_rng(0)).data
    np.testing.assert_array_equal((values == 0).sum(axis=0), 25)
    assert len(np.unique((values == 0).argmax(axis=0))) > 1
    np.testing.assert_allclose(values[values != 0].std(), 3, rtol=0.05)


@pytest.mark.parametrize(("shape", "groups"), [((4, 2, 3), 2), ((3, 5, 3, 4), 1), ((6, 2, 1, 2, 3), 3)])
def test_eye_and_dirac_as_in_pytorch(shape, groups):
    torch = pytest.importorskip("torch")
    expected = torch.nn.init.dirac_(torch.empty(shape), groups)
    np.testing.assert_array_equal(init.dirac_(of_shape(*shape), groups).data, expected.numpy())
    np.testing.assert_array_equal(init.eye_(of_shape(2, 3)).data, [[1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize("fill", [init.eye_, init.dirac_, init.orthogonal_, lambda p: init.sparse_(p, 0.5)])
def test_a_vector_is_no_matrix(fill):
    with pytest.raises(ShapeError, match=r"expected a parameter of .* got \(3,\)"):
        fill(of_shape(3))


def test_the_new_initialisers_keep_the_dtype():
    for fill in (init.trunc_normal_, init.eye_, init.orthogonal_, lambda p: init.sparse_(p, 0.5)):
        assert fill(of_shape(3, 4, dtype=np.float32)).data.dtype == np.float32


@pytest.mark.parametrize("name", [*(n for n in init.__all__ if n.endswith("_")), "skipped draws"])
def test_the_array_of_a_parameter_is_filled_like_the_parameter(name):
    how = {"constant_": {"val": 3.0}, "sparse_": {"sparsity": 0.4}}.get(name, {})
    fill = init.normal_ if name == "skipped draws" else getattr(init, name)
    shape = (4, 3, 3) if name == "dirac_" else (4, 3)
    random = "rng" in inspect.signature(fill).parameters
    whole, inner = (nn.Parameter(np.full(shape, np.nan)) for _ in range(2))
    with init.no_draws() if name == "skipped draws" else nullcontext():
        for target in (whole, inner.data):
            assert fill(target, **how, **({"rng": np.random.default_rng(0)} if random else {})) is target
    np.testing.assert_array_equal(inner.data, whole.data)
