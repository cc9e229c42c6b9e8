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


def dropout():
    x = np.full((200, 300), 3.0)
    y = nn.Dropout(0.4, rng=np.random.default_rng(0))(x)
    np.testing.assert_allclose(np.unique(y), [0, 5], rtol=1e-15)  # 3 / (1 − 0.4)
    assert abs((y == 0).mean() - 0.4) < 0.01
    assert abs(y.mean() - 3) < 0.05


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


BY_HAND = {
    nn.Linear: [linear],
    nn.Conv2d: [convolution, dilated_convolution, grouped_convolution],
    nn.MaxPool2d: [max_pool_of_negative_numbers],
    nn.AvgPool2d: [average_with_and_without_padding, average_over_the_end],
    nn.AdaptiveAvgPool2d: [adaptive_windows],
    nn.ReLU: [relu_at_its_kink],
    nn.Sigmoid: [sigmoid],
    nn.Tanh: [tanh],
    nn.Softmax: [softmax],
    nn.Dropout: [dropout],
    nn.Flatten: [flatten],
    nn.BatchNorm1d: [batch_norm, batch_norm_averaging_over_all_steps],
    nn.BatchNorm2d: [batch_norm_of_images],
    nn.MSELoss: [squared_error],
    nn.BCEWithLogitsLoss: [binary_cross_entropy],
    nn.CrossEntropyLoss: [cross_entropy, cross_entropy_with_weights, cross_entropy_with_smoothing],
}
