"""The reference convolution against the definition: seven nested loops, one multiplication at a time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minidl.kernels import conv


def by_definition(x, weight, bias, stride, padding, dilation, groups):
    n, _, h, w = x.shape
    o, cg, kh, kw = weight.shape
    oh = (h + 2 * padding[0] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    ow = (w + 2 * padding[1] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((n, o, oh, ow))
    for image, filter_, i, j in itertools.product(range(n), range(o), range(oh), range(ow)):
        first = filter_ // (o // groups) * cg  # the first channel of this filter's group
        for channel, u, v in itertools.product(range(cg), range(kh), range(kw)):
            row = i * stride[0] + u * dilation[0] - padding[0]
            column = j * stride[1] + v * dilation[1] - padding[1]
            if 0 <= row < h and 0 <= column < w:
                y[image, filter_, i, j] += (
                    weight[filter_, channel, u, v] * x[image, first + channel, row, column]
                )
        y[image, filter_, i, j] += bias[filter_]
    return y


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"),
    [
        ((1, 1), (0, 0), (1, 1), 1),
        ((2, 3), (1, 2), (1, 1), 1),
        ((1, 2), (3, 0), (2, 3), 2),
        ((2, 1), (2, 2), (3, 1), 4),
    ],
)
def test_conv2d_is_the_definition(stride, padding, dilation, groups):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4, 8, 9))
    weight, bias = rng.standard_normal((8, 4 // groups, 2, 3)), rng.standard_normal(8)
    how = (stride, padding, dilation, groups)
    np.testing.assert_allclose(
        conv.conv2d.reference(x, weight, bias, *how),
        by_definition(x, weight, bias, *how),
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.mark.parametrize("groups", [1, 2])
def test_gradients_are_the_transposes_of_the_convolution(groups):
    """Convolution is linear in x and in W, so ⟨dy, conv(x, W)⟩ = ⟨dx, x⟩ = ⟨dW, W⟩."""
    rng = np.random.default_rng(1)
    x, weight = rng.standard_normal((2, 4, 8, 9)), rng.standard_normal((6, 4 // groups, 3, 2))
    how = ((2, 1), (1, 2), (1, 3), groups)
    y = conv.conv2d.reference(x, weight, None, *how)
    dy = rng.standard_normal(y.shape)
    dx = conv.conv2d_input_grad.reference(dy, weight, x.shape, *how)
    dweight = conv.conv2d_weight_grad.reference(dy, x, weight.shape, *how)
    np.testing.assert_allclose([(dx * x).sum(), (dweight * weight).sum()], (dy * y).sum(), rtol=1e-12)


def test_fold_is_the_transpose_of_unfold():
    rng = np.random.default_rng(2)
    x, how = rng.standard_normal((2, 3, 7, 8)), ((2, 1), (1, 2), (2, 1))
    patches = conv.unfold(x, (2, 3), *how)
    other = rng.standard_normal(patches.shape)
    np.testing.assert_allclose(
        (patches * other).sum(), (x * conv.fold(other, x.shape, *how)).sum(), rtol=1e-12
    )


def test_a_two_by_two_filter_by_hand():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    weight = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    plain = ((1, 1), (0, 0), (1, 1), 1)
    # top left: 0·1 + 1·2 + 3·3 + 4·4 = 27; each step right adds 1+2+3+4 = 10, each step down 30
    np.testing.assert_array_equal(
        conv.conv2d.reference(x, weight, np.array([0.5]), *plain)[0, 0], [[27.5, 37.5], [57.5, 67.5]]
    )
    dy = np.array([[[[1.0, 0.0], [0.0, 10.0]]]])
    np.testing.assert_array_equal(
        conv.conv2d_weight_grad.reference(dy, x, weight.shape, *plain)[0, 0], [[40, 51], [73, 84]]
    )
    np.testing.assert_array_equal(
        conv.conv2d_input_grad.reference(dy, weight, x.shape, *plain)[0, 0],
        [[1, 2, 0], [3, 14, 20], [0, 30, 40]],
    )
