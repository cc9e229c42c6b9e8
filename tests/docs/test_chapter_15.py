"""The equations of chapter 15, checked where minidl computes them; first the page's own numbers."""

from __future__ import annotations

import math

import numpy as np

from minidl import nn, optim
from minidl.nn import Parameter


def test_by_hand() -> None:
    criterion = nn.CrossEntropyLoss()
    loss = criterion(np.log([[1.0, 2, 5], [3, 1, 1]]), np.array([2, 1]))
    assert math.isclose(loss, math.log(8) / 2, rel_tol=1e-14)
    np.testing.assert_allclose(criterion.backward(), [[0.0625, 0.125, -0.1875], [0.3, -0.4, 0.1]], rtol=1e-13)


def test_softmax() -> None:
    x = np.random.default_rng(0).standard_normal((4, 3))
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(nn.Softmax(dim=1)(x), p, rtol=1e-14)  # eq. 15.1
    # for two classes it is the sigmoid of the difference
    np.testing.assert_allclose(nn.Softmax(dim=1)(x[:, :2])[:, 0], nn.Sigmoid()(x[:, 0] - x[:, 1]), rtol=1e-14)


def test_cross_entropy_and_its_gradient() -> None:
    x, t = np.random.default_rng(0).standard_normal((4, 3)), np.array([2, 0, 0, 1])
    p, q = nn.Softmax(dim=1)(x), np.eye(3)[t]
    criterion = nn.CrossEntropyLoss()
    loss = criterion(x, t)
    np.testing.assert_allclose(loss, -np.log(p[range(4), t]).mean(), rtol=1e-13)  # eq. 15.2
    np.testing.assert_allclose(criterion.backward(), (p - q) / 4, rtol=1e-12)  # eq. 15.3


def test_knowing_nothing_costs_ln_10() -> None:
    assert math.isclose(nn.CrossEntropyLoss()(np.zeros((7, 10)), np.arange(7)), math.log(10), rel_tol=1e-14)


def test_gradient_step() -> None:
    theta = Parameter(np.array([0.5, -2.0]))
    theta.add_grad(np.array([-0.2, 3.0]))
    optim.SGD([theta], lr=0.1).step()
    np.testing.assert_allclose(theta.data, [0.5 + 0.1 * 0.2, -2.0 - 0.1 * 3.0], rtol=1e-15)  # eq. 15.4


def test_label_smoothing_exercise() -> None:
    """The exercise's answer: the gradient is still p − q, because the smoothed q sums to 1."""
    x, t = np.random.default_rng(0).standard_normal((4, 10)), np.array([2, 0, 9, 1])
    q = np.full((4, 10), 0.01)
    q[range(4), t] = 0.91
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    criterion(x, t)
    np.testing.assert_allclose(criterion.backward(), (nn.Softmax(dim=1)(x) - q) / 4, rtol=1e-12)
