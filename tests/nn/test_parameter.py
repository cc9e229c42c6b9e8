"""Whose memory a gradient is: shared with nobody, and copied no more than it must be."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import nn


def parameter(dtype=np.float32):
    return nn.Parameter(np.zeros((3, 2), dtype))


def random(dtype=np.float32):
    return np.random.default_rng(0).standard_normal((3, 2)).astype(dtype)


def test_anybodys_gradient_is_copied():
    p, g = parameter(), random()
    p.add_grad(g)
    assert not np.shares_memory(p.grad, g)
    np.testing.assert_array_equal(p.grad, g)


def test_a_fresh_gradient_becomes_the_parameters_own():
    p, g = parameter(), random()
    p.add_grad(g, fresh=True)
    assert p.grad is g


def test_a_fresh_gradient_of_another_dtype_is_converted():
    p = parameter()
    p.add_grad(random(np.float64), fresh=True)
    assert p.grad.dtype == np.float32


@pytest.mark.parametrize("fresh", [False, True])
def test_a_sum_is_a_new_array_of_the_parameters_dtype(fresh):
    p, g = parameter(), random()
    p.add_grad(g.copy(), fresh=True)
    first = p.grad
    p.add_grad(g.astype(np.float64), fresh=fresh)
    assert p.grad.dtype == np.float32
    np.testing.assert_allclose(p.grad, 2 * g, rtol=1e-6)
    np.testing.assert_array_equal(first, g)


def test_a_gradient_that_was_set_from_outside_is_not_changed():
    p, theirs, g = parameter(), np.ones((3, 2), np.float32), random()
    p.grad = theirs
    p.add_grad(g)
    np.testing.assert_array_equal(theirs, 1)
    np.testing.assert_array_equal(p.grad, 1 + g)


def test_after_zero_grad_the_old_gradient_is_left_alone():
    p, g = parameter(), random()
    p.add_grad(g)
    kept = p.grad
    p.zero_grad()
    p.add_grad(2 * g, fresh=True)
    np.testing.assert_array_equal(kept, g)


def test_two_parameters_of_one_layer_and_its_input_share_no_gradient():
    layer, dy = nn.Linear(3, 3), np.random.default_rng(1).standard_normal((1, 3)).astype(np.float32)
    layer(np.ones((1, 3), np.float32))
    dx = layer.backward(dy)
    arrays = [layer.weight.grad, layer.bias.grad, dx, dy]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


def test_a_parameter_counts_its_numbers_and_dimensions():
    parameter = nn.Parameter(np.zeros((2, 3, 4)))
    assert (parameter.numel(), parameter.size, parameter.ndim) == (24, 24, 3)


def test_requires_grad_returns_the_parameter():
    parameter = nn.Parameter(np.zeros(2))
    assert parameter.requires_grad_(False) is parameter
    assert not parameter.requires_grad
    assert parameter.requires_grad_().requires_grad
