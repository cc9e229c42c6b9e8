"""The equations of chapter 12, checked where minidl computes them; first the page's own numbers."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import nn


def linear(weight: np.ndarray, bias: np.ndarray) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0]).double()
    layer.weight.data[...] = weight
    layer.bias.data[...] = bias
    return layer


def test_by_hand() -> None:
    layer = linear(np.array([[1.0, 0, -1], [2, 1, 0]]), np.array([1.0, -1]))
    y = layer(np.array([[1.0, 2, 3], [0, -1, 2]]))
    np.testing.assert_array_equal(y, [[-1, 3], [-1, -2]])
    dx = layer.backward(np.array([[1.0, 2], [-1, 3]]))
    np.testing.assert_array_equal(dx, [[5, 2, -1], [5, 3, 1]])
    np.testing.assert_array_equal(layer.weight.grad, [[1, 3, 1], [2, 1, 12]])
    np.testing.assert_array_equal(layer.bias.grad, [0, 5])


@pytest.fixture
def case() -> dict[str, np.ndarray]:
    """Random arrays of which no two dimensions are equal."""
    rng = np.random.default_rng(0)
    shapes = {"x": (5, 3), "W": (2, 3), "b": (2,), "dy": (5, 2)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def test_forward_is_its_sum(case: dict[str, np.ndarray]) -> None:
    x, W, b = case["x"], case["W"], case["b"]
    y = np.einsum("ni,ji->nj", x, W) + b
    np.testing.assert_allclose(linear(W, b)(x), y, rtol=1e-13)  # eq. 12.1


def test_backward_is_its_sums(case: dict[str, np.ndarray]) -> None:
    x, W, b, dy = (case[name] for name in ("x", "W", "b", "dy"))
    layer = linear(W, b)
    layer(x)
    dx = layer.backward(dy)
    np.testing.assert_allclose(layer.weight.grad, np.einsum("nj,ni->ji", dy, x), rtol=1e-13)  # eq. 12.2
    np.testing.assert_allclose(layer.bias.grad, np.einsum("nj->j", dy), rtol=1e-13)  # eq. 12.3
    np.testing.assert_allclose(dx, np.einsum("nj,ji->ni", dy, W), rtol=1e-13)  # eq. 12.4


def test_two_matrices(case: dict[str, np.ndarray]) -> None:
    """The exercise's answer for y = x A B, against two linear layers (which store their matrices turned)."""
    x, dy = case["x"], np.random.default_rng(1).standard_normal((5, 2))
    A, B = (np.random.default_rng(seed).standard_normal(shape) for seed, shape in [(2, (3, 4)), (3, (4, 2))])
    network = nn.Sequential(linear(A.T, np.zeros(4)), linear(B.T, np.zeros(2)))
    network(x)
    dx = network.backward(dy)
    np.testing.assert_allclose(network[1].weight.grad.T, A.T @ x.T @ dy, rtol=1e-12)
    np.testing.assert_allclose(network[0].weight.grad.T, x.T @ dy @ B.T, rtol=1e-12)
    np.testing.assert_allclose(dx, dy @ B.T @ A.T, rtol=1e-12)
