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
    nn.Conv2d: [convolution, dilated_convolution, grouped_convolution],
    nn.MaxPool2d: [max_pool_of_negative_numbers],
    nn.AvgPool2d: [average_with_and_without_padding, average_over_the_end],
    nn.AdaptiveAvgPool2d: [adaptive_windows],
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
}
