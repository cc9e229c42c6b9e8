"""Sizes at the edge of what a linear layer or a convolution can be, and dtypes that they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import nn
from minidl.errors import DTypeError


@pytest.mark.parametrize("layer", [nn.Linear(0, 3), nn.Conv2d(0, 3, 1)], ids=repr)
def test_the_bias_of_a_layer_without_inputs_is_0(layer):
    layer.bias.data[...] = 7  # what memory happened to hold
    nn.init.reset_parameters(layer.weight, layer.bias, None)
    np.testing.assert_array_equal(layer.bias.data, np.zeros(3))


@pytest.mark.parametrize(("inputs", "outputs"), [(0, 3), (3, 0), (0, 0)])
def test_a_layer_without_inputs_or_outputs_runs_back(inputs, outputs):
    layer = nn.Linear(inputs, outputs).double()
    x = np.ones((5, 2, inputs))
    y = layer(x)
    assert y.shape == (5, 2, outputs)
    dx = layer.backward(np.ones(y.shape))
    np.testing.assert_array_equal(dx, np.zeros_like(x) if not outputs else dx)
    assert dx.shape == x.shape
    assert layer.weight.grad.shape == (outputs, inputs)
    np.testing.assert_array_equal(layer.bias.grad, np.full(outputs, 10.0))


@pytest.mark.parametrize("dtype", [np.float16, np.int32, np.complex64])
def test_parameters_are_float32_or_float64(dtype):
    name = np.dtype(dtype).name
    with pytest.raises(DTypeError, match=f"expected float32 or float64, got {name}"):
        nn.Linear(2, 3, dtype=dtype)
    with pytest.raises(DTypeError, match=f"expected float32 or float64, got {name}"):
        nn.Conv2d(2, 3, 1, dtype=dtype)


@pytest.mark.parametrize("wrong", [-1, 2.0, "3", True, None])
def test_sizes_are_whole_numbers(wrong):
    with pytest.raises(ValueError, match="Linear: in_features: expected an integer of at least 0"):
        nn.Linear(wrong, 3)
    with pytest.raises(ValueError, match="Linear: out_features: expected an integer of at least 0"):
        nn.Linear(3, wrong)
