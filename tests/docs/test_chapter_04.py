"""The equations of chapter 4, checked where minidl computes them; first the page's own numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidl import nn
from minidl.testing import numerical_gradient

LN3 = math.log(3)


def neuron(a: float, b: float) -> nn.Sequential:
    """σ(a x + b) as a network of one input and one output."""
    network = nn.Sequential(nn.Linear(1, 1), nn.Sigmoid()).double()
    network[0].weight.data[...] = a
    network[0].bias.data[...] = b
    return network


def test_by_hand() -> None:
    x = np.array([[0, LN3 / 2, LN3], [LN3, LN3 / 2, 1.5 * LN3]])
    dy = np.array([[16.0, 4, 16], [0, -4, 100]])
    network = neuron(2, -LN3)
    y = network(x.reshape(-1, 1)).reshape(2, 3)
    np.testing.assert_allclose(y, [[1 / 4, 1 / 2, 3 / 4], [3 / 4, 1 / 2, 9 / 10]], rtol=1e-14)
    dx = network.backward(dy.reshape(-1, 1)).reshape(2, 3)
    np.testing.assert_allclose(dx, [[6, 2, 6], [0, -2, 18]], rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(network[0].weight.grad, [[16.5 * LN3]], rtol=1e-13)
    np.testing.assert_allclose(network[0].bias.grad, [15], rtol=1e-13)


def test_sigmoid() -> None:
    x = np.linspace(-20, 20, 81)
    np.testing.assert_allclose(nn.Sigmoid()(x), 1 / (1 + np.exp(-x)), rtol=1e-14)  # eq. 4.1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_stable_sigmoid(dtype: type) -> None:
    big = np.array([-1e4, -1000, -100, 100, 1000, 1e4], dtype)
    with np.errstate(over="raise", invalid="raise"):
        y = nn.Sigmoid()(big)  # eq. 4.2
    tail = math.exp(-100) if dtype is np.float64 else float(np.exp(np.float32(-100)))
    np.testing.assert_allclose(y, [0, 0, tail, 1, 1, 1], rtol=1e-6, atol=0)
    np.testing.assert_allclose(nn.Sigmoid()(-big), 1 - y, atol=1e-7)


def test_sigmoid_derivative() -> None:
    x, dy = np.linspace(-6, 6, 25), np.random.default_rng(0).standard_normal(25)
    layer = nn.Sigmoid()
    y = layer(x)
    dx = layer.backward(dy)
    np.testing.assert_allclose(dx, dy * y * (1 - y), rtol=1e-14)  # eq. 4.3
    # and the closed form of the derivative, which does not use y
    np.testing.assert_allclose(dx, dy * np.exp(-x) / (1 + np.exp(-x)) ** 2, rtol=1e-12)


def test_composition() -> None:
    x = np.linspace(-3, 3, 7)[:, None]
    y = neuron(1.6, -0.5)(x)
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-(1.6 * x - 0.5))), rtol=1e-14)  # eq. 4.4


def test_chain_rule() -> None:
    rng = np.random.default_rng(0)
    x, dy, a, b = rng.standard_normal((5, 1)), rng.standard_normal((5, 1)), 1.6, -0.5
    network = neuron(a, b)
    y = network(x)
    dx = network.backward(dy)
    dz = dy * y * (1 - y)
    np.testing.assert_allclose(dx, dz * a, rtol=1e-13)  # eq. 4.5, and the next two lines
    np.testing.assert_allclose(network[0].weight.grad, [[(dz * x).sum()]], rtol=1e-13)
    np.testing.assert_allclose(network[0].bias.grad, [dz.sum()], rtol=1e-13)


def test_central_difference() -> None:
    x = np.array([-1.5, 0.5, 2.0])
    np.testing.assert_allclose(numerical_gradient(lambda x: (x**3).sum(), x), 3 * x**2, rtol=1e-9)  # eq. 4.6
    # a central difference of a parabola has no error but rounding, at any step; a one-sided one has h
    np.testing.assert_allclose(numerical_gradient(lambda x: (x**2).sum(), x, h=0.5), 2 * x, rtol=1e-13)
    # and of a cubic the error h² · f''' / 6 = h², with the step h · max(1, |x|)
    error = numerical_gradient(lambda x: (x**3).sum(), x, h=0.1) - 3 * x**2
    np.testing.assert_allclose(error, (0.1 * np.maximum(1, abs(x))) ** 2, rtol=1e-10)


def test_where_the_slope_is_steepest() -> None:
    """The exercise's answer: σ'' is extreme at σ = 1/2 ± 1/√12."""
    x = np.linspace(-3, 3, 60001)
    s = 1 / (1 + np.exp(-x))
    second = s * (1 - s) * (1 - 2 * s)
    assert abs(s[second.argmax()] - (0.5 - 1 / math.sqrt(12))) < 1e-4
    np.testing.assert_allclose(np.tanh(x), 2 / (1 + np.exp(-2 * x)) - 1, atol=1e-12)
