"""The gradient check tells a backward that is wrong, and one that returns something else than gradients."""

import numpy as np
import pytest

from minidl import nn
from minidl.errors import DTypeError
from minidl.testing import gradient_check, numerical_gradient


class Add(nn.Module):
    """Two inputs, and a backward that returns what the test wants it to."""

    def __init__(self, give):
        self.give = give

    def forward(self, a, b):
        y = a + b
        self.remember(output=y)
        return y

    def backward(self, dy):
        (dy,) = self.recall(dy)
        return self.give(dy)


A, B = np.arange(6.0).reshape(2, 3), np.ones((2, 3))


def test_one_gradient_for_each_input_passes():
    result = gradient_check(Add(lambda g: (g, g.copy())), A, B)
    assert result.ok
    assert [tensor.name for tensor in result.tensors] == ["x0", "x1"]


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda g: g, "expected 2 gradients, one per array input, got 1"),
        (lambda g: (g,), "expected 2 gradients, one per array input, got 1"),
        (lambda g: (), "expected 2 gradients, one per array input, got 0"),
        (lambda g: (g, g, g), "expected 2 gradients, one per array input, got 3"),
        (lambda g: None, "expected 2 gradients, one per array input, got None"),
        (lambda g: (g, None), "expected dx1 to be an array, got None"),
        (lambda g: (g.tolist(), g), "expected dx0 to be an array, got a list"),
        (lambda g: (g, 1.0), "expected dx1 to be an array, got a float"),
        (lambda g: (g, g + 0j), "expected dx1 of dtype float64, got complex128"),
        (lambda g: (g.astype(np.float32), g), "expected dx0 of dtype float64, got float32"),
        (lambda g: (g, g.sum(axis=0)), r"expected dx1 of shape \(2, 3\), got \(3,\)"),
    ],
)
def test_what_is_no_gradient_is_named(give, message):
    with pytest.raises(AssertionError, match=rf"Add\(\): {message}"):
        gradient_check(Add(give), A, B)


class OneInput(nn.Module):
    def __init__(self, give):
        self.give = give

    def forward(self, x):
        self.remember(output=x)
        return x.copy()

    def backward(self, dy):
        return self.give(self.recall(dy)[0])


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda g: None, "expected dx to be an array, got None"),
        (lambda g: [g], "expected dx to be an array, got a list"),
        (lambda g: (g, g), "expected 1 gradient, one per array input, got 2"),
        (lambda g: (), "expected 1 gradient, one per array input, got 0"),
    ],
)
def test_of_one_input_too(give, message):
    with pytest.raises(AssertionError, match=message):
        gradient_check(OneInput(give), A)


def test_a_loss_gives_the_gradient_of_its_first_input_only():
    result = gradient_check(nn.MSELoss(), A, B)
    assert [tensor.name for tensor in result.tensors] == ["x"]


class WritesWrongGradient(nn.Linear):
    def backward(self, dy):
        dx = super().backward(dy)
        self.weight.grad = self.weight.grad.astype(np.complex128)
        return dx


def test_a_parameters_gradient_is_looked_at_too():
    with pytest.raises(AssertionError, match="expected dweight of dtype float64, got complex128"):
        gradient_check(WritesWrongGradient(3, 2).double(), A)


class HalfRight(nn.Tanh):
    def backward(self, dy):
        return super().backward(dy) / 2


def test_a_wrong_backward_is_shown_in_a_table():
    with pytest.raises(AssertionError, match=r"✗ dx +\(2, 3\)"):
        gradient_check(HalfRight(), B)
    assert not gradient_check(HalfRight(), B, raise_error=False).ok


def test_only_float64_can_be_trusted():
    with pytest.raises(DTypeError, match="expected parameter weight in float64"):
        gradient_check(nn.Linear(3, 2), A)
    with pytest.raises(DTypeError, match="expected x of dtype float64, got float32"):
        numerical_gradient(np.sum, A.astype(np.float32))


def test_the_gradient_of_a_square():
    np.testing.assert_allclose(numerical_gradient(lambda x: (x * x).sum(), A), 2 * A, atol=1e-9)


def test_buffers_and_draws_are_put_back():
    layer = nn.BatchNorm1d(3).double()
    before = layer.state_dict()
    gradient_check(layer, np.random.default_rng(0).standard_normal((4, 3)))
    for name, values in layer.state_dict().items():
        np.testing.assert_array_equal(values, before[name])
