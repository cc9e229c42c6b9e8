"""Activations at their kinks and at what is no number, beside PyTorch's; arguments that make no sense."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidl import nn

KINKED = [
    ("ReLU6", ()),
    ("LeakyReLU", (0.1,)),
    ("PReLU", ()),
    ("ELU", (0.5,)),
    ("SELU", ()),
    ("CELU", (0.5,)),
    ("Softplus", (2.0, 1.0)),
    ("Hardtanh", (-3.0, 3.0)),
    ("Hardsigmoid", ()),
    ("Hardswish", ()),
    ("Threshold", (0.5, 7.0)),
    ("Softshrink", ()),
    ("Hardshrink", ()),
    ("Hardshrink", (-1.0,)),
]
AT = [-6.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize(("name", "args"), KINKED, ids=str)
def test_kinks_and_infinities_as_in_pytorch(name, args):
    torch = pytest.importorskip("torch")
    x, dy = np.array(AT), np.linspace(1, 2, len(AT))
    layer, theirs = getattr(nn, name)(*args).double(), getattr(torch.nn, name)(*args).double()
    tensor = torch.tensor(x, requires_grad=True)
    expected = theirs(tensor)
    expected.backward(torch.tensor(dy))
    with np.errstate(invalid="ignore"):  # PyTorch's hard sigmoid has a sixth in float32, whatever the input
        np.testing.assert_allclose(layer(x), expected.detach().numpy(), rtol=1e-14)
        np.testing.assert_allclose(layer.backward(dy)[:-1], tensor.grad.numpy()[:-1], rtol=1e-7)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: nn.CELU(0), "CELU: expected alpha above 0, got 0"),
        (lambda: nn.Softplus(0), "Softplus: expected beta other than 0, got 0"),
        (lambda: nn.Hardtanh(1, 1), "Hardtanh: expected max_val above min_val, got 1 and 1"),
        (lambda: nn.Softshrink(-0.1), "Softshrink: expected lambd of 0 or above, got -0.1"),
        (lambda: nn.GELU("fast"), "GELU: expected approximate 'none' or 'tanh', got 'fast'"),
        (lambda: nn.PReLU(0), "PReLU: num_parameters: expected an integer of at least 1, got 0"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_numpys_own_numbers_as_arguments_leave_float32_alone():
    half = np.float64(0.5)
    x = np.ones(3, np.float32)
    for layer in (
        nn.LeakyReLU(half),
        nn.ELU(half),
        nn.CELU(half),
        nn.Softplus(half),
        nn.Threshold(half, half),
    ):
        assert layer(x).dtype == layer.backward(x).dtype == np.float32


@pytest.mark.parametrize("make", [nn.LogSoftmax, nn.Softmin])
@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 4, 2)])
@pytest.mark.filterwarnings("ignore:Implicit dimension")
def test_without_a_dim_the_old_rule_holds(make, shape):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal(shape)
    expected = getattr(torch.nn, make.__name__)()(torch.tensor(x))
    np.testing.assert_allclose(make()(x), expected.numpy(), rtol=1e-12)
