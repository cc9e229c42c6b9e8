"""Numbers worked out on paper: no gradient check sees a forward that is wrong together with its backward."""

from __future__ import annotations

import math

import numpy as np

from minidl import nn


def linear():
    layer = nn.Linear(2, 2).double()
    layer.load_state_dict({"weight": np.array([[1.0, 2.0], [3.0, 4.0]]), "bias": np.array([0.5, -0.5])})
    np.testing.assert_array_equal(layer(np.array([[1.0, 10.0]])), [[21.5, 42.5]])
    np.testing.assert_array_equal(layer.backward(np.array([[1.0, 2.0]])), [[7, 10]])
    np.testing.assert_array_equal(layer.weight.grad, [[1, 10], [2, 20]])


def convolution():
    layer = nn.Conv2d(1, 1, 2, bias=False).double()
    layer.load_state_dict({"weight": np.array([[[[1.0, 2.0], [3.0, 4.0]]]])})
    np.testing.assert_array_equal(layer(np.arange(9.0).reshape(1, 1, 3, 3))[0, 0], [[27, 37], [57, 67]])


def dilated_convolution():
    layer = nn.Conv2d(1, 1, 2, dilation=2, bias=False).double()
    layer.load_state_dict({"weight": np.array([[[[1.0, 10.0], [100.0, 1000.0]]]])})
    np.testing.assert_array_equal(layer(np.arange(9.0).reshape(1, 1, 3, 3)), [[[[8620]]]])  # 0, 2, 6, 8


def grouped_convolution():
    layer = nn.Conv2d(2, 2, 1, groups=2, bias=False).double()
    layer.load_state_dict({"weight": np.array([2.0, 5.0]).reshape(2, 1, 1, 1)})
    np.testing.assert_array_equal(layer(np.array([1.0, 10.0]).reshape(1, 2, 1, 1)).ravel(), [2, 50])


def convolution_of_a_signal():
    layer = nn.Conv1d(1, 1, 2, 2, 1, bias=False).double()
    layer.load_state_dict({"weight": np.array([[[1.0, 10.0]]])})
    np.testing.assert_array_equal(layer(np.array([[[1.0, 2.0, 3.0]]])), [[[10, 32]]])  # 0 1, 2 3
    np.testing.assert_array_equal(layer.backward(np.array([[[5.0, 7.0]]])), [[[50, 7, 70]]])
    np.testing.assert_array_equal(layer.weight.grad, [[[14, 26]]])


def convolution_that_keeps_the_size():
    # two taps need one more pixel, and it stands at the end
    layer = nn.Conv2d(1, 1, (1, 2), padding="same", bias=False).double()
    layer.load_state_dict({"weight": np.array([[[[1.0, 10.0]]]])})
    np.testing.assert_array_equal(layer(np.array([[[[1.0, 2.0, 3.0]]]])), [[[[21, 32, 3]]]])
    np.testing.assert_array_equal(layer.backward(np.array([[[[1.0, 2.0, 3.0]]]])), [[[[1, 12, 23]]]])


def convolution_of_borders():
    x = np.array([[[1.0, 2.0, 4.0]]])  # with two more on each side, dx counts how often each is shown
    for mode, y, dx in (
        ("zeros", [0, 0, 1, 2, 4, 0, 0], [1, 1, 1]),
        ("reflect", [4, 2, 1, 2, 4, 2, 1], [2, 3, 2]),
        ("replicate", [1, 1, 1, 2, 4, 4, 4], [3, 1, 3]),
        ("circular", [2, 4, 1, 2, 4, 1, 2], [2, 3, 2]),
    ):
        layer = nn.Conv1d(1, 1, 1, padding=2, bias=False, padding_mode=mode).double()
        layer.load_state_dict({"weight": np.array([[[3.0]]])})
        np.testing.assert_array_equal(layer(x), [[3 * np.array(y)]])
        np.testing.assert_array_equal(layer.backward(np.ones((1, 1, 7))), [[3 * np.array(dx)]])
        np.testing.assert_array_equal(layer.weight.grad, [[[sum(y)]]])


def stamps():
    # the stamp 1 2 3 at every second place, one pixel cut off on each side: 1 2 3+10 20 30 without its ends
    layer = nn.ConvTranspose2d(1, 1, (1, 3), (1, 2), (0, 1)).double()
    layer.load_state_dict({"weight": np.array([[[[1.0, 2.0, 3.0]]]]), "bias": np.array([0.5])})
    x = np.array([[[[1.0, 10.0]]]])
    np.testing.assert_array_equal(layer(x), [[[[2.5, 13.5, 20.5]]]])
    np.testing.assert_array_equal(layer.backward(np.array([[[[1.0, 10.0, 100.0]]]])), [[[[32, 210]]]])
    np.testing.assert_array_equal(layer.weight.grad, [[[[100, 1001, 10]]]])
    np.testing.assert_array_equal(layer.bias.grad, [111])
    np.testing.assert_array_equal(layer(x, output_size=(1, 4)), [[[[2.5, 13.5, 20.5, 30.5]]]])
    layer.output_padding = (0, 1)
    np.testing.assert_array_equal(layer(x), [[[[2.5, 13.5, 20.5, 30.5]]]])


def stamps_that_reach_into_the_padding():
    # 1 and 10 with gaps are 1 10 2 20; without its ends 10 2; output_padding asks for one more, 20
    layer = nn.ConvTranspose2d(1, 1, (1, 2), 1, (0, 1), (0, 1), dilation=(1, 2), bias=False).double()
    layer.load_state_dict({"weight": np.array([[[[1.0, 2.0]]]])})
    np.testing.assert_array_equal(layer(np.array([[[[1.0, 10.0]]]])), [[[[10, 2, 20]]]])
    np.testing.assert_array_equal(layer.backward(np.array([[[[1.0, 10.0, 100.0]]]])), [[[[20, 201]]]])
    np.testing.assert_array_equal(layer.weight.grad, [[[[10, 1010]]]])


def stamps_of_groups():
    layer = nn.ConvTranspose2d(2, 4, 1, groups=2, bias=False).double()  # (C_in, C_out / G, 1, 1)
    layer.load_state_dict({"weight": np.array([1.0, 2.0, 3.0, 4.0]).reshape(2, 2, 1, 1)})
    y = layer(np.array([1.0, 10.0]).reshape(1, 2, 1, 1))
    np.testing.assert_array_equal(y.ravel(), [1, 2, 30, 40])


IMAGE = [[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]


def border_of_zeros():
    both_ways(
        nn.ZeroPad2d((1, 0, 0, 1)), IMAGE, [[[[0, 1, 2, 3], [0, 4, 5, 6], [0] * 4]]], np.ones((1, 1, 2, 3))
    )
    both_ways(nn.ZeroPad2d((-1, 1, 0, -1)), IMAGE, [[[[2, 3, 0]]]], [[[[0, 1, 1], [0, 0, 0]]]])


def border_of_mirrors():
    y = [[[[6, 5, 4, 5, 6], [3, 2, 1, 2, 3], [6, 5, 4, 5, 6]]]]
    both_ways(nn.ReflectionPad2d((2, 0, 1, 0)), IMAGE, y, [[[[1, 2, 2], [2, 4, 4]]]])
    y = [[[[1, 2, 3, 2, 1], [4, 5, 6, 5, 4], [1, 2, 3, 2, 1]]]]
    both_ways(nn.ReflectionPad2d((0, 2, 0, 1)), IMAGE, y, [[[[4, 4, 2], [2, 2, 1]]]])


def border_of_edges():
    y = [[[[1, 1, 2, 3], [4, 4, 5, 6], [4, 4, 5, 6], [4, 4, 5, 6]]]]
    both_ways(nn.ReplicationPad2d((1, 0, 0, 2)), IMAGE, y, [[[[2, 1, 1], [6, 3, 3]]]])
    both_ways(nn.ReplicationPad2d((0, 1, 0, 0)), IMAGE, [[[[1, 2, 3, 3], [4, 5, 6, 6]]]], [[[[1, 1, 2]] * 2]])


def border_of_tiles():
    y = [[[[5, 6, 4, 5, 6], [2, 3, 1, 2, 3], [5, 6, 4, 5, 6]]]]
    both_ways(nn.CircularPad2d((2, 0, 1, 0)), IMAGE, y, [[[[1, 2, 2], [2, 4, 4]]]])
    y = [[[[1, 2, 3, 1], [4, 5, 6, 4], [1, 2, 3, 1]]]]
    both_ways(nn.CircularPad2d((0, 1, 0, 1)), IMAGE, y, [[[[4, 2, 2], [2, 1, 1]]]])


def channels_become_pixels():
    layer = nn.PixelShuffle(2)
    x = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]]).reshape(1, 4, 1, 2)
    y = np.array([[1, 2, 10, 20], [3, 4, 30, 40]]).reshape(1, 1, 2, 4)
    np.testing.assert_array_equal(layer(x), y)
    np.testing.assert_array_equal(layer.backward(y * 1.0), x)


def pixels_become_channels():
    layer = nn.PixelUnshuffle(2)
    x = np.array([[1.0, 2.0, 10.0, 20.0], [3.0, 4.0, 30.0, 40.0]]).reshape(1, 1, 2, 4)
    y = np.array([[1, 10], [2, 20], [3, 30], [4, 40]]).reshape(1, 4, 1, 2)
    np.testing.assert_array_equal(layer(x), y)
    np.testing.assert_array_equal(layer.backward(y * 1.0), x)


def nearest_pixels():
    both_ways(nn.Upsample(size=(1, 5)), [[[[1.0, 2.0, 4.0]]]], [[[[1, 1, 2, 2, 4]]]], [[[[2, 2, 1]]]])
    exact = nn.Upsample(size=(1, 5), mode="nearest-exact")  # the middles are at 0.3, 0.9, 1.5, 2.1, 2.7
    both_ways(exact, [[[[1.0, 2.0, 4.0]]]], [[[[1, 1, 2, 4, 4]]]], [[[[2, 1, 2]]]])
    # with the factor 1.7 the places are i / 1.7 = 0, 0.59, 1.18, 1.76, 2.35; with 5/3, i · 0.6
    both_ways(
        nn.Upsample(scale_factor=(1, 1.7)), [[[[1.0, 2.0, 4.0]]]], [[[[1, 1, 2, 2, 4]]]], [[[[2, 2, 1]]]]
    )
    both_ways(
        nn.Upsample(scale_factor=(1, 0.4)), [[[[1.0, 2, 4, 8, 16]]]], [[[[1, 4]]]], [[[[1, 0, 1, 0, 0]]]]
    )


def mixed_pixels():
    # at −¼ (the edge's), ¼, ¾ and 1¼ (the edge's)
    double = nn.Upsample(scale_factor=2, mode="bilinear")
    rows = [[0, 2, 6, 8], [2, 4, 8, 10], [6, 8, 12, 14], [8, 10, 14, 16]]
    both_ways(double, [[[[0.0, 8.0], [8.0, 16.0]]]], [[rows]], [[[[4, 4], [4, 4]]]])
    corners = nn.Upsample(size=(1, 5), mode="bilinear", align_corners=True)  # at 0, ½, 1, 1½, 2
    both_ways(corners, [[[[0.0, 8.0, 2.0]]]], [[[[0, 4, 8, 5, 2]]]], [[[[1.5, 2, 1.5]]]])
    # at (i + ½) / 2.5 − ½ = −0.3, 0.1, 0.5, 0.9, 1.3; recomputed, from 2 to 5, it is the same
    factor = nn.Upsample(scale_factor=(1, 2.5), mode="bilinear")
    both_ways(factor, [[[[0.0, 10.0]]]], [[[[0, 1, 5, 9, 10]]]], [[[[2.5, 2.5]]]])
    # from 3 to ⌊3 · 1.5⌋ = 4: at (i + ½) / 1.5 − ½ = −⅙, ½, 1⅙, 1⅚; recomputed at −⅛, ⅝, 1⅜, 2⅛
    factor = nn.Upsample(scale_factor=(1, 1.5), mode="bilinear")
    both_ways(factor, [[[[0.0, 24.0, 0.0]]]], [[[[0, 12, 20, 4]]]], [[[[1.5, 1.5, 1]]]])
    factor = nn.Upsample(scale_factor=(1, 1.5), mode="bilinear", recompute_scale_factor=True)
    both_ways(factor, [[[[0.0, 24.0, 0.0]]]], [[[[0, 15, 15, 0]]]], [[[[1.375, 1.25, 1.375]]]])


def max_pool_of_negative_numbers():
    y = nn.MaxPool2d(2, 1, 1)(np.array([[[[-3.0, -1.0], [-2.0, -4.0]]]]))
    np.testing.assert_array_equal(y[0, 0], [[-3, -1, -1], [-2, -1, -1], [-2, -2, -4]])


def average_with_and_without_padding():
    x = np.full((1, 1, 2, 2), 4.0)
    np.testing.assert_array_equal(nn.AvgPool2d(2, 2, 1)(x)[0, 0], [[1, 1], [1, 1]])
    np.testing.assert_array_equal(nn.AvgPool2d(2, 2, 1, count_include_pad=False)(x)[0, 0], [[4, 4], [4, 4]])
    np.testing.assert_array_equal(
        nn.AvgPool2d(2, 2, 1, divisor_override=8)(x)[0, 0], [[0.5, 0.5], [0.5, 0.5]]
    )


def average_over_the_end():
    x = np.full((1, 1, 3, 3), 4.0)  # the windows at the end hold 2 and 1 cells, all of them 4
    np.testing.assert_array_equal(nn.AvgPool2d(2, ceil_mode=True)(x)[0, 0], [[4, 4], [4, 4]])


def adaptive_windows():
    x = np.arange(5.0).reshape(1, 1, 1, 5)  # the windows are 0 1, 1 2 3, 3 4
    np.testing.assert_array_equal(nn.AdaptiveAvgPool2d((1, 3))(x)[0, 0, 0], [0.5, 2.0, 3.5])


def max_pool_of_a_sequence():
    layer = nn.MaxPool1d(2, 1, 1, return_indices=True)
    y, indices = layer(np.array([[[-3.0, -1.0, -2.0]]]))
    np.testing.assert_array_equal(y[0, 0], [-3, -1, -1, -2])
    np.testing.assert_array_equal(indices[0, 0], [0, 1, 1, 2])
    np.testing.assert_array_equal(
        layer.backward(np.array([[[1.0, 10.0, 100.0, 1000.0]]]))[0, 0], [1, 110, 1000]
    )
    wide = nn.MaxPool1d(2, 3, dilation=3, ceil_mode=True)  # the windows are 0 3, 3 6
    np.testing.assert_array_equal(wide(np.array([[[5.0, 9, 9, 7, 9, 9]]])), [[[7, 7]]])


def average_of_a_sequence():
    x = np.array([[[2.0, 4.0, 6.0]]])
    np.testing.assert_array_equal(nn.AvgPool1d(2, 2, 1)(x), [[[1, 5]]])  # 0 2 | 4 6
    np.testing.assert_array_equal(nn.AvgPool1d(2, 2, 1, count_include_pad=False)(x), [[[2, 5]]])
    both_ways(nn.AvgPool1d(2, ceil_mode=True), x, [[[3, 6]]], [[[0.5, 0.5, 1]]])


def adaptive_windows_of_a_sequence():
    x = np.arange(5.0).reshape(1, 1, 5)  # the windows are 0 1, 1 2 3, 3 4
    both_ways(nn.AdaptiveAvgPool1d(3), x, [[[0.5, 2, 3.5]]], [[[0.5, 0.5 + 1 / 3, 1 / 3, 1 / 3 + 0.5, 0.5]]])


def adaptive_maxima():
    x = np.array([[[[-1.0, 7.0, -2.0, 7.0, -5.0]]]])  # the windows are 0 1, 1 2 3, 3 4
    layer = nn.AdaptiveMaxPool2d((1, 3), return_indices=True)
    y, indices = layer(x)
    np.testing.assert_array_equal(y[0, 0, 0], [7, 7, 7])
    np.testing.assert_array_equal(indices[0, 0, 0], [1, 1, 3])  # the first of equals
    np.testing.assert_array_equal(layer.backward(np.array([[[[1.0, 10, 100]]]]))[0, 0, 0], [0, 11, 0, 100, 0])


def global_maxima():
    x = np.array([[[[-4.0, -3.0], [-1.0, -2.0]], [[5.0, 0.0], [0.0, np.nan]]]])
    y, indices = nn.AdaptiveMaxPool2d(1, return_indices=True)(x)
    np.testing.assert_array_equal(y.ravel(), [-1, np.nan])
    np.testing.assert_array_equal(indices.ravel(), [2, 3])


def global_averages():
    x = np.array([[[[1.0, 2.0], [3.0, 6.0]]]])
    both_ways(nn.AdaptiveAvgPool2d(1), x, [[[[3]]]], [[[[0.25, 0.25], [0.25, 0.25]]]])


def relu_at_its_kink():
    layer = nn.ReLU()
    np.testing.assert_array_equal(layer(np.array([-2.0, 0.0, 3.0])), [0, 0, 3])
    np.testing.assert_array_equal(layer.backward(np.array([5.0, 5.0, 5.0])), [0, 0, 5])


def sigmoid():
    y = nn.Sigmoid()(np.array([0.0, math.log(3.0), -math.log(3.0), 800.0, -800.0]))
    np.testing.assert_allclose(y, [0.5, 0.75, 0.25, 1.0, 0.0], rtol=1e-15)


def tanh():
    np.testing.assert_allclose(nn.Tanh()(np.array([0.0, math.log(2.0)])), [0, 0.6], rtol=1e-15)


def softmax():
    y = nn.Softmax(1)(np.array([[0.0, math.log(2.0), math.log(5.0)], [7.0, 7.0, 7.0]]))
    np.testing.assert_allclose(y, [[1 / 8, 2 / 8, 5 / 8], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-14)


def both_ways(layer, x, y, dx, dy=1.0):
    """The layer turns x into y, and an upstream gradient, everywhere dy, into dx."""
    found = layer(np.array(x))
    np.testing.assert_allclose(found, y, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(layer.backward(np.full(found.shape, dy)), dx, rtol=1e-14, atol=1e-15)


def nothing():
    both_ways(nn.Identity(3, bias=False), [-2.0, 3.0], [-2, 3], [5, 5], dy=5.0)


def relu6_at_its_kinks():
    both_ways(nn.ReLU6(), [-1.0, 0.0, 3.0, 6.0, 8.0], [0, 0, 3, 6, 6], [0, 0, 5, 0, 0], dy=5.0)


def leaky_relu():
    both_ways(nn.LeakyReLU(0.1), [-10.0, 0.0, 3.0], [-1, 0, 3], [0.5, 0.5, 5], dy=5.0)


def prelu():
    layer = nn.PReLU(2).double()
    np.testing.assert_array_equal(layer.weight.data, [0.25, 0.25])
    layer.load_state_dict({"weight": np.array([0.5, 2.0])})
    np.testing.assert_array_equal(layer(np.array([[-2.0, -3.0], [7.0, 0.0]])), [[-1, -6], [7, 0]])
    dx = layer.backward(np.array([[1.0, 10.0], [100.0, 1000.0]]))
    np.testing.assert_array_equal(dx, [[0.5, 20], [100, 2000]])
    np.testing.assert_array_equal(layer.weight.grad, [-2, -30])


def threshold():
    both_ways(nn.Threshold(1, 7), [0.0, 1.0, 2.0], [7, 7, 2], [0, 0, 5], dy=5.0)


def elu():
    both_ways(nn.ELU(2.0), [-math.log(2.0), 0.0, 3.0], [-1, 0, 3], [1, 2, 1])


def selu():
    s, alpha = 1.0507009873554805, 1.6732632423543772
    both_ways(
        nn.SELU(), [-math.log(2.0), 0.0, 3.0], [-s * alpha / 2, 0, 3 * s], [s * alpha / 2, s * alpha, s]
    )
    # what makes it normalise itself: mean 0 and variance 1 of a normal distribution stay
    x = np.linspace(-12, 12, 200_001)
    density = np.exp(-0.5 * x * x) * (x[1] - x[0]) / math.sqrt(2 * math.pi)
    y = nn.SELU()(x)
    np.testing.assert_allclose([(y * density).sum(), (y * y * density).sum()], [0, 1], atol=1e-9)


def celu():
    both_ways(nn.CELU(2.0), [-2 * math.log(2.0), 0.0, 3.0], [-1, 0, 3], [0.5, 1, 1])


def softplus():
    both_ways(nn.Softplus(), [0.0, math.log(3.0), 800.0], [math.log(2), math.log(4), 800], [0.5, 0.75, 1])
    both_ways(nn.Softplus(2.0, 1.0), [0.0, 0.6], [math.log(2) / 2, 0.6], [0.5, 1])  # 2 · 0.6 is above 1


def gelu():
    below, density = 0.8413447460685429, 0.24197072451914337  # of a normal distribution: below 1, and at 1
    both_ways(nn.GELU(), [0.0, 1.0, -1.0], [0, below, below - 1], [0.5, below + density, 1 - below - density])
    t = math.tanh(math.sqrt(2 / math.pi) * 1.044715)
    slope = (1 + t + (1 - t * t) * math.sqrt(2 / math.pi) * 1.134145) / 2
    both_ways(nn.GELU("tanh"), [0.0, 1.0], [0, (1 + t) / 2], [0.5, slope])


def silu():
    log3 = math.log(3.0)
    both_ways(nn.SiLU(), [0.0, log3], [0, 0.75 * log3], [0.5, 0.75 + 0.1875 * log3])


def mish():
    log2 = math.log(2.0)  # 1 + e^x = 3, and tanh log 3 = 0.8
    both_ways(nn.Mish(), [0.0, log2], [0, 0.8 * log2], [0.6, 0.8 + log2 * 0.36 * 2 / 3])


def hardswish_at_its_kinks():
    x = [-4.0, -3.0, 0.0, 1.5, 3.0, 4.0]
    both_ways(nn.Hardswish(), x, [0, 0, 0, 1.125, 3, 4], [0, 0, 3, 6, 6, 6], dy=6.0)


def glu():
    both_ways(nn.GLU(), [2.0, 4.0, 0.0, math.log(3.0)], [1, 3], [0.5, 0.75, 0.5, 0.75])


def softsign():
    both_ways(nn.Softsign(), [-1.0, 0.0, 3.0], [-0.5, 0, 0.75], [0.25, 1, 1 / 16])


def hardtanh_at_its_kinks():
    both_ways(nn.Hardtanh(-2, 1), [-3.0, -2.0, 0.0, 1.0, 2.0], [-2, -2, 0, 1, 1], [0, 0, 5, 0, 0], dy=5.0)


def hardsigmoid_at_its_kinks():
    both_ways(nn.Hardsigmoid(), [-4.0, -3.0, 0.0, 3.0, 4.0], [0, 0, 0.5, 1, 1], [0, 0, 1, 0, 0], dy=6.0)


def log_sigmoid():
    both_ways(
        nn.LogSigmoid(), [0.0, math.log(3.0), -800.0], [-math.log(2), math.log(0.75), -800], [0.5, 0.25, 1]
    )


def tanhshrink():
    both_ways(nn.Tanhshrink(), [0.0, math.log(2.0)], [0, math.log(2) - 0.6], [0, 0.36])


def softshrink_at_its_kinks():
    both_ways(nn.Softshrink(), [-2.0, -0.5, 0.2, 0.5, 2.0], [-1.5, 0, 0, 0, 1.5], [5, 0, 0, 0, 5], dy=5.0)


def hardshrink_at_its_jumps():
    both_ways(nn.Hardshrink(), [-2.0, -0.5, 0.2, 0.5, 2.0], [-2, 0, 0, 0, 2], [5, 0, 0, 0, 5], dy=5.0)


def log_softmax():
    layer = nn.LogSoftmax(0)
    y = layer(np.array([0.0, math.log(2.0), math.log(5.0)]))
    np.testing.assert_allclose(y, np.log([1 / 8, 2 / 8, 5 / 8]), rtol=1e-14)
    np.testing.assert_allclose(layer.backward(np.array([1.0, 0, 0])), [7 / 8, -2 / 8, -5 / 8], rtol=1e-14)
    np.testing.assert_array_equal(layer(np.array([0.0, -2000.0])), [0, -2000])  # where log softmax is −∞


def softmin():
    layer = nn.Softmin(0)
    y = layer(np.array([0.0, -math.log(2.0), -math.log(5.0)]))
    np.testing.assert_allclose(y, [1 / 8, 2 / 8, 5 / 8], rtol=1e-14)
    np.testing.assert_allclose(layer.backward(np.array([64.0, 0, 0])), [-7, 2, 5], rtol=1e-14)


def dropout():
    x = np.full((200, 300), 3.0)
    y = nn.Dropout(0.4, rng=np.random.default_rng(0))(x)
    np.testing.assert_allclose(np.unique(y), [0, 5], rtol=1e-15)  # 3 / (1 − 0.4)
    assert abs((y == 0).mean() - 0.4) < 0.01
    assert abs(y.mean() - 3) < 0.05


def dropout_of_channels():
    x = np.full((40, 50, 3, 2), 3.0)
    y = nn.Dropout2d(0.4, rng=np.random.default_rng(0))(x)
    np.testing.assert_allclose(np.unique(y), [0, 5], rtol=1e-15)  # 3 / (1 − 0.4)
    assert (y == y[:, :, :1, :1]).all()
    assert abs((y == 0).mean() - 0.4) < 0.03


def alpha_dropout():
    alpha = -1.0507009873554805 * 1.6732632423543772
    a = (0.6 * (1 + 0.4 * alpha**2)) ** -0.5
    layer = nn.AlphaDropout(0.4, rng=np.random.default_rng(0))
    x = np.full((200, 300), 3.0)
    y = layer(x)
    np.testing.assert_allclose(np.unique(y), [a * alpha * 0.6, a * (3 - 0.4 * alpha)], rtol=1e-14)
    np.testing.assert_allclose(layer.backward(x), np.where(y > 0, 3 * a, 0), rtol=1e-14)
    assert abs((y < 0).mean() - 0.4) < 0.01
    y = layer(np.random.default_rng(1).standard_normal((400, 500)))  # mean 0 and variance 1 stay
    np.testing.assert_allclose([y.mean(), y.var()], [0, 1], atol=0.01)


def flatten():
    x = np.arange(24).reshape(2, 3, 4) * 1.0
    np.testing.assert_array_equal(nn.Flatten()(x), np.arange(24).reshape(2, 12))


def batch_norm():
    # mean 2, variance 1 (with n) and 2 (with n − 1); 1 / √(1 + 3) = 0.5
    layer = nn.BatchNorm1d(1, eps=3.0)
    np.testing.assert_allclose(layer(np.array([[1.0], [3.0]])), [[-0.5], [0.5]], rtol=1e-15)
    np.testing.assert_allclose(layer.running_mean, [0.2], rtol=1e-6)  # 0.9·0 + 0.1·2
    np.testing.assert_allclose(layer.running_var, [1.1], rtol=1e-6)  # 0.9·1 + 0.1·2
    assert layer.num_batches_tracked == 1
    np.testing.assert_allclose(layer.eval()(np.array([[0.2 + math.sqrt(4.1)]])), [[1.0]], rtol=1e-6)


def batch_norm_of_images():
    layer = nn.BatchNorm2d(1, eps=3.0)
    np.testing.assert_allclose(layer(np.array([[[[1.0, 3.0]]]]))[0, 0], [[-0.5, 0.5]], rtol=1e-15)
    np.testing.assert_allclose([layer.running_mean[0], layer.running_var[0]], [0.2, 1.1], rtol=1e-6)


def batch_norm_averaging_over_all_steps():
    layer = nn.BatchNorm1d(1, momentum=None)
    for batch in ([[1.0], [3.0]], [[5.0], [7.0]], [[0.0], [4.0]]):  # means 2, 6, 2; variances 2, 2, 8
        layer(np.array(batch))
    np.testing.assert_allclose([layer.running_mean[0], layer.running_var[0]], [10 / 3, 4], rtol=1e-6)


def instance_norm():
    # image by image: means 2 and 10, variances 1 and 4 (with n), 2 and 8 (with n − 1)
    x = np.array([[[[1.0, 3.0]]], [[[8.0, 12.0]]]])
    layer = nn.InstanceNorm2d(1, eps=0.0, affine=True, track_running_stats=True).double()
    layer.load_state_dict({**layer.state_dict(), "weight": np.array([3.0]), "bias": np.array([1.0])})
    np.testing.assert_allclose(layer(x).ravel(), [-2, 4, -2, 4], rtol=1e-15)
    np.testing.assert_allclose(layer.running_mean, [0.6], rtol=1e-14)  # 0.9·0 + 0.1·(2 + 10)/2
    np.testing.assert_allclose(layer.running_var, [1.4], rtol=1e-14)  # 0.9·1 + 0.1·(2 + 8)/2
    assert layer.num_batches_tracked == 0  # PyTorch's never counts
    np.testing.assert_allclose(layer.eval()(np.full((1, 1, 1, 1), 0.6)).ravel(), [1], rtol=1e-14)
    np.testing.assert_allclose(nn.InstanceNorm2d(1, eps=3.0)(x[:1]).ravel(), [-0.5, 0.5], rtol=1e-15)


def layer_norm():
    # mean 2, variance 1; 1 / √(1 + 3) = 0.5
    layer = nn.LayerNorm(2, eps=3.0).double()
    layer.load_state_dict({"weight": np.array([2.0, 4.0]), "bias": np.array([0.5, -0.5])})
    np.testing.assert_allclose(layer(np.array([[1.0, 3.0], [30.0, 30.0]])), [[-0.5, 1.5], [0.5, -0.5]])
    # x̂ = −½, ½; dx̂ = 2, −4 with mean −1; mean(dx̂ x̂) = −1.5; dx = ½ (3 − 0.75, −3 + 0.75)
    dx = layer.backward(np.array([[1.0, -1.0], [0.0, 10.0]]))
    np.testing.assert_allclose(dx, [[1.125, -1.125], [-20 / math.sqrt(3), 20 / math.sqrt(3)]])
    np.testing.assert_allclose(layer.weight.grad, [-0.5, -0.5])
    np.testing.assert_allclose(layer.bias.grad, [1, 9])


def layer_norm_of_a_large_mean():
    x = np.array([[1e8 - 1, 1e8 + 1]])  # the mean of squares less the square of the mean would be 0
    np.testing.assert_allclose(nn.LayerNorm(2, eps=0.0)(x), [[-1, 1]], rtol=1e-12)


def rms_norm():
    # mean square 25 / 2 + 87.5 = 100
    layer = nn.RMSNorm(2, eps=87.5).double()
    layer.load_state_dict({"weight": np.array([10.0, 100.0])})
    np.testing.assert_allclose(layer(np.array([[3.0, 4.0]])), [[3, 40]], rtol=1e-15)
    # dx̂ = 10, 0; mean(dx̂ x̂) = 1.5; dx = (10 − 0.3·1.5, −0.4·1.5) / 10
    np.testing.assert_allclose(layer.backward(np.array([[1.0, 0.0]])), [[0.955, -0.06]], rtol=1e-14)
    np.testing.assert_allclose(layer.weight.grad, [0.3, 0])
    for kind, eps in ((np.float32, 2.0**-23), (np.float64, 2.0**-52)):
        y = nn.RMSNorm(1)(np.array([[math.sqrt(eps)]], kind))  # half of the mean square is eps
        np.testing.assert_allclose(y, [[math.sqrt(0.5)]], rtol=1e-6)


def group_norm():
    # two groups of two channels: means 2 and 20, variances 1 and 100; γ and β by channel
    layer = nn.GroupNorm(2, 4, eps=0.0).double()
    layer.load_state_dict({"weight": np.array([1.0, 2, 3, 4]), "bias": np.array([0.0, 10, 20, 30])})
    np.testing.assert_allclose(layer(np.array([[1.0, 3, 10, 30]])), [[-1, 12, 17, 34]], rtol=1e-15)
    layer.backward(np.array([[1.0, 10, 100, 1000]]))
    np.testing.assert_allclose(layer.weight.grad, [-1, 10, -100, 1000], rtol=1e-15)
    np.testing.assert_allclose(layer.bias.grad, [1, 10, 100, 1000], rtol=1e-15)


def local_response_norm():
    x = np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1)
    # an even size has one channel more before than after: sums of squares 1, 1 + 4, 4 + 9
    y = nn.LocalResponseNorm(2, alpha=2.0, beta=1.0, k=3.0)(x)
    np.testing.assert_allclose(y.ravel(), [1 / 4, 2 / 8, 3 / 16], rtol=1e-15)
    both_ways(nn.LocalResponseNorm(1, alpha=1.0, beta=0.5, k=0.0), x, np.ones((1, 3, 1)), np.zeros((1, 3, 1)))
    y = nn.LocalResponseNorm(3, alpha=3.0, beta=1.0, k=1.0)(x)  # sums of squares 5, 14, 13
    np.testing.assert_allclose(y.ravel(), [1 / 6, 2 / 15, 3 / 14], rtol=1e-15)


def squared_error():
    criterion = nn.MSELoss()
    assert criterion(np.array([1.0, 5.0]), np.array([3.0, 4.0])) == 2.5  # (4 + 1) / 2
    np.testing.assert_array_equal(criterion.backward(), [-2, 1])
    assert nn.MSELoss("sum")(np.array([1.0, 5.0]), np.array([3.0, 4.0])) == 5


def binary_cross_entropy():
    x, t = np.array([0.0, math.log(3.0)]), np.array([1.0, 0.0])  # σ = 1/2 and 3/4
    criterion = nn.BCEWithLogitsLoss(reduction="none", pos_weight=[3.0, 3.0])
    np.testing.assert_allclose(criterion(x, t), [3 * math.log(2), math.log(4)], rtol=1e-14)
    np.testing.assert_allclose(criterion.backward(), [-1.5, 0.75], rtol=1e-14)


def cross_entropy():
    x = np.array([[0.0, math.log(3.0)], [0.0, 0.0], [9.0, -9.0]])  # p = (1/4, 3/4), (1/2, 1/2)
    t = np.array([1, 0, -100])
    criterion = nn.CrossEntropyLoss()
    np.testing.assert_allclose(criterion(x, t), (math.log(4 / 3) + math.log(2)) / 2, rtol=1e-14)
    np.testing.assert_allclose(criterion.backward(), [[1 / 8, -1 / 8], [-1 / 4, 1 / 4], [0, 0]], rtol=1e-14)


def cross_entropy_with_weights():
    x, t = np.array([[0.0, math.log(3.0)], [0.0, 0.0]]), np.array([1, 0])
    loss = nn.CrossEntropyLoss(weight=[1.0, 4.0])(x, t)
    np.testing.assert_allclose(loss, (4 * math.log(4 / 3) + math.log(2)) / 5, rtol=1e-14)


def cross_entropy_with_smoothing():
    x, t = np.array([[0.0, math.log(3.0)]]), np.array([1])  # q = (0.1, 0.9)
    loss = nn.CrossEntropyLoss(label_smoothing=0.2)(x, t)
    np.testing.assert_allclose(loss, 0.1 * math.log(4) + 0.9 * math.log(4 / 3), rtol=1e-14)


def auxiliary_losses():
    """Errors 1, 2 and 4 of three heads: 1 + ½ · 4 + ¼ · 16 = 7, and twice their gradients 2, ½ · 4, ¼ · 8."""
    criterion = nn.AuxiliaryLoss(nn.MSELoss(), (0.5, 0.25))
    outputs, target = tuple(np.array([x]) for x in (4.0, 5.0, 7.0)), np.array([3.0])
    assert criterion(outputs, target) == 7
    assert [dy.tolist() for dy in criterion.backward(2.0)] == [[4], [4], [4]]
    assert criterion(outputs, target) == 7
    assert [dy.tolist() for dy in criterion.backward()] == [[2], [2], [2]]
    assert criterion(outputs[2], target) == 16
    assert criterion.backward().tolist() == [8]
    assert nn.AuxiliaryLoss(nn.MSELoss())(outputs, target) == 1 + 0.3 * 4 + 0.3 * 16


def loss_both_ways(criterion, inputs, losses, *dxs):
    """With reduction none, the losses and the gradients of their sum; then their sum and their mean."""
    inputs = [np.array(x) for x in inputs]
    criterion.reduction = "none"
    np.testing.assert_allclose(criterion(*inputs), losses, rtol=1e-14, atol=1e-15)
    found = criterion.backward(np.ones(np.shape(losses)))
    for dx, expected in zip(found if isinstance(found, tuple) else (found,), dxs, strict=True):
        np.testing.assert_allclose(dx, expected, rtol=1e-14, atol=1e-15)
    for reduction, divisor in (("sum", 1), ("mean", np.size(losses))):
        criterion.reduction = reduction
        np.testing.assert_allclose(criterion(*inputs), np.sum(losses) / divisor, rtol=1e-14)
        found = criterion.backward()
        for dx, expected in zip(found if isinstance(found, tuple) else (found,), dxs, strict=True):
            np.testing.assert_allclose(dx, np.asarray(expected) / divisor, rtol=1e-14, atol=1e-15)


P, T = [0.0, 3.0, 1.0, 2.0], [2.0, 2.5, 1.0, 1.0]  # errors −2, ½, 0, 1


def absolute_error():
    loss_both_ways(nn.L1Loss(), (P, T), [2, 0.5, 0, 1], [-1, 1, 0, 1])


def huber():
    loss_both_ways(nn.HuberLoss(delta=1.0), (P, T), [1.5, 0.125, 0, 0.5], [-1, 0.5, 0, 1])
    loss_both_ways(nn.HuberLoss(delta=0.5), (P, T), [0.875, 0.125, 0, 0.375], [-0.5, 0.5, 0, 0.5])


def smooth_absolute_error():
    loss_both_ways(nn.SmoothL1Loss(), (P, T), [1.5, 0.125, 0, 0.5], [-1, 0.5, 0, 1])
    loss_both_ways(nn.SmoothL1Loss(beta=2.0), (P, T), [1, 0.0625, 0, 0.25], [-1, 0.25, 0, 0.5])
    loss_both_ways(nn.SmoothL1Loss(beta=0), (P, T), [2, 0.5, 0, 1], [-1, 1, 0, 1])


def binary_cross_entropy_of_probabilities():
    log2 = math.log(2)
    loss_both_ways(
        nn.BCELoss(), ([0.5, 0.25, 0.5], [1.0, 0.0, 0.5]), [log2, math.log(4 / 3), log2], [-2, 4 / 3, 0]
    )
    loss_both_ways(nn.BCELoss(weight=[3.0]), ([0.5], [1.0]), [3 * log2], [-6])
    # log 0 is −100, and the divisor 0 · 1 is 10⁻¹²
    loss_both_ways(nn.BCELoss(), ([1.0, 0.0, 1.0], [1.0, 1.0, 0.0]), [0, 100, 100], [0, -1e12, 1e12])


def soft_margin():
    log3 = math.log(3.0)
    x, t = [0.0, log3, log3, -900.0], [1, 1, -1, 1]
    loss_both_ways(
        nn.SoftMarginLoss(), (x, t), [math.log(2), math.log(4 / 3), math.log(4), 900], [-0.5, -0.25, 0.75, -1]
    )


def hinge_embedding_at_its_kink():
    x, t = [3.0, -1.0, 0.5, 2.0, 4.0], [1, 1, -1, -1, -1]
    loss_both_ways(nn.HingeEmbeddingLoss(2.0), (x, t), [3, -1, 1.5, 0, 0], [1, 1, -1, -1, 0])


def negative_log_likelihood():
    x, t = [[-1.0, -2.0], [-3.0, -4.0], [-5.0, -6.0]], [1, 0, -100]
    criterion = nn.NLLLoss(weight=[1.0, 4.0])
    np.testing.assert_allclose(criterion(np.array(x), np.array(t)), (4 * 2 + 3) / 5, rtol=1e-15)
    np.testing.assert_allclose(criterion.backward(), [[0, -0.8], [-0.2, 0], [0, 0]], rtol=1e-15)
    loss_both_ways(nn.NLLLoss(), (x, [1, 0, 0]), [2, 3, 5], [[0, -1], [-1, 0], [-1, 0]])
    assert nn.NLLLoss(ignore_index=0)(np.array(x), np.array([1, 0, 0])) == 2


def multi_margin_at_its_kink():
    x, t = [[1.0, 0.0, 2.0, 0.5]], [0]  # 1 − 1 + x is 0, 2 and ½ for the others
    loss_both_ways(nn.MultiMarginLoss(), (x, t), [2.5 / 4], [[-0.5, 0, 0.25, 0.25]])
    weight = [3.0, 1.0, 1.0, 1.0]
    loss_both_ways(nn.MultiMarginLoss(2, weight=weight), (x, t), [3 * 4.25 / 4], [[-3.75, 0, 3, 0.75]])


def kullback_leibler():
    x, t = np.log([[0.5, 0.5], [0.25, 0.75]]), np.array([[0.25, 0.75], [0.0, 1.0]])
    losses = [[0.25 * math.log(0.5), 0.75 * math.log(1.5)], [0, math.log(4 / 3)]]
    loss_both_ways(nn.KLDivLoss(), (x, t), losses, -t)
    np.testing.assert_allclose(nn.KLDivLoss("batchmean")(x, t), np.sum(losses) / 2, rtol=1e-14)
    loss_both_ways(nn.KLDivLoss(log_target=True), (x[0], np.log(t[0])), losses[0], -t[0])


def poisson():
    x, t = np.log([2.0, 4.0]), np.array([1.0, 3.0])
    loss_both_ways(nn.PoissonNLLLoss(), (x, t), [2 - math.log(2), 4 - 3 * math.log(4)], [1, 1])
    loss_both_ways(
        nn.PoissonNLLLoss(False, eps=1.0),
        ([1.0, 3.0], t),
        [1 - math.log(2), 3 - 3 * math.log(4)],
        [0.5, 0.25],
    )
    stirling = 3 * math.log(3) - 3 + 0.5 * math.log(6 * math.pi)
    losses = [2 - math.log(2), 4 - 3 * math.log(4) + stirling]
    loss_both_ways(nn.PoissonNLLLoss(full=True), (x, t), losses, [1, 1])


def cosine_similarity():
    layer = nn.CosineSimilarity()
    a, b = np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[4.0, 3.0], [3.0, 4.0]])
    np.testing.assert_allclose(layer(a, b), [0.96, 0], rtol=1e-15)
    da, db = layer.backward(np.array([625.0, 1e-8]))
    # (b/5 − 0.96 a/5) / 5; of the zero vector (b/5 − 0) / ε
    np.testing.assert_allclose(da, [[28, -21], [0.6, 0.8]], rtol=1e-13)
    np.testing.assert_allclose(db, [[-21, 28], [0, 0]], rtol=1e-13)


def cosine_embedding():
    a, b = [[3.0, 4.0]] * 3, [[4.0, 3.0], [4.0, 3.0], [-4.0, -3.0]]
    t = [1, -1, -1]
    da = np.array([[-28, 21], [28, -21], [0, 0]]) / 625
    db = np.array([[21, -28], [-21, 28], [0, 0]]) / 625
    criterion = nn.CosineEmbeddingLoss(0.5, "none")
    np.testing.assert_allclose(criterion(np.array(a), np.array(b), np.array(t)), [0.04, 0.46, 0], rtol=1e-11)
    found = criterion.backward(np.ones(3))
    np.testing.assert_allclose(found, [da, db], rtol=1e-10, atol=1e-12)


def bilinear():
    layer = nn.Bilinear(2, 2, 2).double()
    weight = np.array([[[1.0, 2], [3, 4]], [[0, 1], [0, 0]]])
    layer.load_state_dict({"weight": weight, "bias": np.array([0.5, -0.5])})
    y = layer(np.array([[1.0, 10]]), np.array([[2.0, 3]]))  # 1·2·1 + 1·3·2 + 10·2·3 + 10·3·4; 1·3
    np.testing.assert_array_equal(y, [[188.5, 2.5]])
    dx1, dx2 = layer.backward(np.array([[1.0, 100]]))
    np.testing.assert_array_equal(dx1, [[8 + 300, 18]])  # A₁ x₂ = (8, 18), A₂ x₂ = (3, 0)
    np.testing.assert_array_equal(dx2, [[31, 42 + 100]])  # A₁ᵀ x₁ = (31, 42), A₂ᵀ x₁ = (0, 1)
    np.testing.assert_array_equal(layer.weight.grad[0], [[2, 3], [20, 30]])
    np.testing.assert_array_equal(layer.bias.grad, [1, 100])


def unflatten():
    layer = nn.Unflatten(1, (-1, 3))
    np.testing.assert_array_equal(layer(np.arange(6.0)[None]), [[[0, 1, 2], [3, 4, 5]]])
    np.testing.assert_array_equal(layer.backward(np.arange(6.0).reshape(1, 2, 3)), [[0, 1, 2, 3, 4, 5]])


def embedding():
    layer = nn.Embedding(3, 2, padding_idx=2).double()
    np.testing.assert_array_equal(layer.weight.data[2], [0, 0])
    layer.load_state_dict({"weight": np.array([[1.0, 2], [3, 4], [5, 6]])})
    np.testing.assert_array_equal(layer(np.array([1, 0, 1, 2])), [[3, 4], [1, 2], [3, 4], [5, 6]])
    assert layer.backward(np.array([[1.0, 2], [10, 20], [100, 200], [7, 7]])) is None
    np.testing.assert_array_equal(layer.weight.grad, [[10, 20], [101, 202], [0, 0]])


def embedding_by_frequency():
    layer = nn.Embedding(3, 1, scale_grad_by_freq=True).double()
    layer(np.array([1, 0, 1]))
    layer.backward(np.array([[1.0], [10], [100]]))
    np.testing.assert_array_equal(layer.weight.grad, [[10], [101 / 2], [0]])


def embedding_that_is_too_long():
    layer = nn.Embedding.from_pretrained(np.array([[3.0, 4], [3, 4], [0.3, 0.4]]), max_norm=1.0)
    y = layer(np.array([1, 2]))  # ‖(3, 4)‖ = 5
    np.testing.assert_allclose(y, [[0.6, 0.8], [0.3, 0.4]], rtol=1e-7)
    np.testing.assert_array_equal(layer.weight.data[[0, 2]], [[3, 4], [0.3, 0.4]])  # 0 was not looked up
    np.testing.assert_array_equal(layer.weight.data[1], y[0])
    layer = nn.Embedding.from_pretrained(np.array([[3.0, -4]]), max_norm=2.0, norm_type=np.inf)
    np.testing.assert_allclose(layer(np.array([0])), [[1.5, -2]], rtol=1e-7)


def rows_of_few():
    layer = nn.Embedding(4, 2, padding_idx=0, sparse=True).double()
    for _ in range(2):
        layer(np.array([3, 0, 1, 3]))
        layer.backward(np.array([[1.0, 2], [7, 7], [10, 20], [100, 200]]))
    g = layer.weight.grad.coalesce()
    np.testing.assert_array_equal(g.indices, [1, 3])
    np.testing.assert_array_equal(g.values, [[20, 40], [202, 404]])
    np.testing.assert_array_equal(g.to_dense(), [[0, 0], [20, 40], [0, 0], [202, 404]])


def bag(mode, y, dweight, **options):
    """Bags (0 1 1), () and (2 3) of rows (1 8), (3 4), (5 6), (2 9)."""
    weight = np.array([[1.0, 8], [3, 4], [5, 6], [2, 9]])
    layer = nn.EmbeddingBag.from_pretrained(weight, freeze=False, mode=mode, **options)
    found = layer(np.array([0, 1, 1, 2, 3]), np.array([0, 3, 3]))
    np.testing.assert_allclose(found, y, rtol=1e-15)
    assert layer.backward(np.array([[3.0, 30], [7, 7], [100, 1000]])) is None
    np.testing.assert_allclose(layer.weight.grad, dweight, rtol=1e-15)


def bags():
    bag("sum", [[7, 16], [0, 0], [7, 15]], [[3, 30], [6, 60], [100, 1000], [100, 1000]])
    bag("mean", [[7 / 3, 16 / 3], [0, 0], [3.5, 7.5]], [[1, 10], [2, 20], [50, 500], [50, 500]])
    bag("max", [[3, 8], [0, 0], [5, 9]], [[0, 30], [3, 0], [100, 0], [0, 1000]])  # the first 1 of two
    padded = [[3, 4], [0, 0], [3.5, 7.5]], [[0, 0], [3, 30], [50, 500], [50, 500]]
    bag("mean", *padded, padding_idx=0)
    bag("max", *([[3, 4], [0, 0], [5, 9]], [[0, 0], [3, 30], [100, 0], [0, 1000]]), padding_idx=0)
    bag(
        "sum",
        [[7, 16], [0, 0], [7, 15]],
        [[3, 30], [3, 30], [100, 1000], [100, 1000]],
        scale_grad_by_freq=True,
    )


def bags_of_one_length():
    weight = np.array([[3.0], [2.0], [4.0]])
    for padding_idx, y, dweight in ((None, [3.5, 3], [1, 2, 3]), (0, [4, 3], [0, 2, 4])):
        layer = nn.EmbeddingBag.from_pretrained(weight, freeze=False, padding_idx=padding_idx)
        np.testing.assert_array_equal(layer(np.array([[0, 2], [1, 2]]))[:, 0], y)
        layer.backward(np.array([[2.0], [4.0]]))
        np.testing.assert_array_equal(layer.weight.grad[:, 0], dweight)


def bag_of_equals():
    layer = nn.EmbeddingBag.from_pretrained(np.array([[3.0], [2.0], [3.0]]), freeze=False, mode="max")
    np.testing.assert_array_equal(layer(np.array([[1, 2, 0]])), [[3]])
    layer.backward(np.ones((1, 1)))
    np.testing.assert_array_equal(layer.weight.grad, [[0], [0], [1]])  # word 2 came before word 0


def weighted_bag():
    layer = nn.EmbeddingBag.from_pretrained(np.array([[1.0, 8], [3, 4]]), freeze=False, mode="sum")
    y = layer(np.array([[0, 1], [1, 1]]), None, np.array([[2.0, 10], [0, -1]]))
    np.testing.assert_array_equal(y, [[32, 56], [-3, -4]])
    ds = layer.backward(np.array([[1.0, 0], [0, 1]]))
    np.testing.assert_array_equal(ds, [[1, 3], [4, 4]])
    np.testing.assert_array_equal(layer.weight.grad, [[2, 0], [10, -1]])


def scale(factor):
    """A layer of one weight: y = factor · x."""
    layer = nn.Linear(1, 1, bias=False).double()
    layer.load_state_dict({"weight": np.array([[float(factor)]])})
    return layer


def residual():
    layer = nn.Residual(nn.Sequential(scale(2), scale(10)))  # y = 2 · 10 x + x
    both_ways(layer, [[3.0]], [[63]], [[105]], dy=5.0)
    layer = nn.Residual(scale(2), scale(-3))
    both_ways(layer, [[4.0]], [[-4]], [[-5]], dy=5.0)
    np.testing.assert_array_equal(layer.body.weight.grad, [[20]])  # both branches see the whole dy
    np.testing.assert_array_equal(layer.shortcut.weight.grad, [[20]])


def concat():
    layer = nn.Concat(scale(2), nn.Identity(), scale(3))
    np.testing.assert_array_equal(layer(np.array([[7.0]])), [[14, 7, 21]])
    np.testing.assert_array_equal(layer.backward(np.array([[1.0, 10.0, 100.0]])), [[312]])
    deep = nn.Concat(scale(2), scale(3), dim=0)
    np.testing.assert_array_equal(deep(np.array([[1.0], [2.0]])), [[2], [4], [3], [6]])


BY_HAND = {
    nn.Residual: [residual],
    nn.Concat: [concat],
    nn.Linear: [linear],
    nn.Conv1d: [convolution_of_a_signal, convolution_of_borders, convolution_that_keeps_the_size],
    nn.Conv2d: [convolution, dilated_convolution, grouped_convolution, convolution_that_keeps_the_size],
    nn.ConvTranspose2d: [stamps, stamps_of_groups, stamps_that_reach_into_the_padding],
    nn.ZeroPad2d: [border_of_zeros],
    nn.ReflectionPad2d: [border_of_mirrors],
    nn.ReplicationPad2d: [border_of_edges],
    nn.CircularPad2d: [border_of_tiles],
    nn.PixelShuffle: [channels_become_pixels],
    nn.PixelUnshuffle: [pixels_become_channels],
    nn.Upsample: [nearest_pixels, mixed_pixels],
    nn.MaxPool2d: [max_pool_of_negative_numbers],
    nn.AvgPool2d: [average_with_and_without_padding, average_over_the_end],
    nn.AdaptiveAvgPool2d: [adaptive_windows, global_averages],
    nn.MaxPool1d: [max_pool_of_a_sequence],
    nn.AvgPool1d: [average_of_a_sequence],
    nn.AdaptiveAvgPool1d: [adaptive_windows_of_a_sequence],
    nn.AdaptiveMaxPool2d: [adaptive_maxima, global_maxima],
    nn.ReLU: [relu_at_its_kink],
    nn.Sigmoid: [sigmoid],
    nn.Tanh: [tanh],
    nn.Softmax: [softmax],
    nn.Identity: [nothing],
    nn.ReLU6: [relu6_at_its_kinks],
    nn.LeakyReLU: [leaky_relu],
    nn.PReLU: [prelu],
    nn.Threshold: [threshold],
    nn.ELU: [elu],
    nn.SELU: [selu],
    nn.CELU: [celu],
    nn.Softplus: [softplus],
    nn.GELU: [gelu],
    nn.SiLU: [silu],
    nn.Mish: [mish],
    nn.Hardswish: [hardswish_at_its_kinks],
    nn.GLU: [glu],
    nn.Softsign: [softsign],
    nn.Hardtanh: [hardtanh_at_its_kinks],
    nn.Hardsigmoid: [hardsigmoid_at_its_kinks],
    nn.LogSigmoid: [log_sigmoid],
    nn.Tanhshrink: [tanhshrink],
    nn.Softshrink: [softshrink_at_its_kinks],
    nn.Hardshrink: [hardshrink_at_its_jumps],
    nn.LogSoftmax: [log_softmax],
    nn.Softmin: [softmin],
    nn.Dropout: [dropout],
    nn.Dropout2d: [dropout_of_channels],
    nn.AlphaDropout: [alpha_dropout],
    nn.Flatten: [flatten],
    nn.BatchNorm1d: [batch_norm, batch_norm_averaging_over_all_steps],
    nn.BatchNorm2d: [batch_norm_of_images],
    nn.InstanceNorm2d: [instance_norm],
    nn.LayerNorm: [layer_norm, layer_norm_of_a_large_mean],
    nn.RMSNorm: [rms_norm],
    nn.GroupNorm: [group_norm],
    nn.LocalResponseNorm: [local_response_norm],
    nn.AuxiliaryLoss: [auxiliary_losses],
    nn.MSELoss: [squared_error],
    nn.BCEWithLogitsLoss: [binary_cross_entropy],
    nn.CrossEntropyLoss: [cross_entropy, cross_entropy_with_weights, cross_entropy_with_smoothing],
    nn.L1Loss: [absolute_error],
    nn.HuberLoss: [huber],
    nn.SmoothL1Loss: [smooth_absolute_error],
    nn.BCELoss: [binary_cross_entropy_of_probabilities],
    nn.SoftMarginLoss: [soft_margin],
    nn.HingeEmbeddingLoss: [hinge_embedding_at_its_kink],
    nn.NLLLoss: [negative_log_likelihood],
    nn.MultiMarginLoss: [multi_margin_at_its_kink],
    nn.KLDivLoss: [kullback_leibler],
    nn.PoissonNLLLoss: [poisson],
    nn.CosineSimilarity: [cosine_similarity],
    nn.CosineEmbeddingLoss: [cosine_embedding],
    nn.Bilinear: [bilinear],
    nn.Unflatten: [unflatten],
    nn.Embedding: [embedding, embedding_by_frequency, embedding_that_is_too_long, rows_of_few],
    nn.EmbeddingBag: [bags, bags_of_one_length, bag_of_equals, weighted_bag],
}
