"""The arithmetic, counted by hand for one layer of each kind."""

import math

import pytest

from minidl import nn
from minidl.bench import CASES
from minidl.bench.flops import layer_flops, optimizer_flops
from minidl.bench.minidl_side import MinidlSide

# (layer, input, output) → forward, backward for the parameters, backward for the input
BY_HAND = {
    # y[n,o] = Σ_i x[n,i] W[o,i] + b[o]: 15 outputs of 4 multiply-adds and 1 addition
    "Linear": (nn.Linear(4, 5), (3, 4), (3, 5), 15 * 8 + 15, 15 * 8 + 15, 15 * 8),
    "Linear without bias": (nn.Linear(4, 5, bias=False), (3, 4), (3, 5), 120, 120, 120),
    # 2·6·4·3 = 144 outputs of 2·3·3 = 18 taps
    "Conv2d": (nn.Conv2d(2, 6, 3), (2, 2, 6, 5), (2, 6, 4, 3), 144 * 37, 144 * 37, 144 * 36),
    # groups: each output sees 1 channel of 9 taps
    "depthwise": (nn.Conv2d(4, 4, 3, groups=4), (1, 4, 5, 4), (1, 4, 3, 2), 24 * 19, 24 * 19, 24 * 18),
    # 2·3·2·1 = 12 windows of 6 cells
    "MaxPool2d": (nn.MaxPool2d((2, 3)), (2, 3, 4, 3), (2, 3, 2, 1), 12 * 5, 0, 12),
    "AvgPool2d": (nn.AvgPool2d(2), (2, 3, 4, 2), (2, 3, 2, 1), 12 * 4, 0, 12 * 5),
    "AdaptiveAvgPool2d": (nn.AdaptiveAvgPool2d(1), (2, 3, 4, 5), (2, 3, 1, 1), 120, 0, 120 + 6),
    "BatchNorm1d": (nn.BatchNorm1d(5), (7, 5), (7, 5), 35 * 8, 35 * 3, 35 * 4),
    "BatchNorm2d": (nn.BatchNorm2d(3), (2, 3, 4, 5), (2, 3, 4, 5), 120 * 8, 120 * 3, 120 * 4),
    "LayerNorm": (nn.LayerNorm(5), (7, 5), (7, 5), 35 * 8, 35 * 3, 35 * 4),
    "RMSNorm": (nn.RMSNorm(5), (7, 5), (7, 5), 35 * 4, 35 * 2, 35 * 4),
    "GroupNorm": (nn.GroupNorm(2, 4), (3, 4, 5), (3, 4, 5), 60 * 8, 60 * 3, 60 * 4),
    "InstanceNorm2d": (nn.InstanceNorm2d(3), (2, 3, 4, 5), (2, 3, 4, 5), 120 * 6, 0, 120 * 4),
    "ReLU": (nn.ReLU(), (3, 4), (3, 4), 12, 0, 12),
    "LeakyReLU": (nn.LeakyReLU(), (3, 4), (3, 4), 12, 0, 12),
    "GELU": (nn.GELU(), (3, 4), (3, 4), 60, 0, 72),
    "SiLU": (nn.SiLU(), (3, 4), (3, 4), 60, 0, 60),
    "LogSoftmax": (nn.LogSoftmax(1), (3, 4), (3, 4), 60, 0, 48),
    "Sigmoid": (nn.Sigmoid(), (3, 4), (3, 4), 48, 0, 36),
    "Tanh": (nn.Tanh(), (3, 4), (3, 4), 12, 0, 36),
    "Softmax": (nn.Softmax(1), (3, 4), (3, 4), 60, 0, 48),
    "Dropout": (nn.Dropout(), (3, 4), (3, 4), 24, 0, 12),
    "Flatten": (nn.Flatten(), (3, 4, 5), (3, 20), 0, 0, 0),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_one_layer(name):
    layer, inputs, outputs, *counts = BY_HAND[name]
    assert layer_flops(layer, inputs, outputs) == tuple(counts)


def test_every_layer_of_every_case_is_counted():
    for case in CASES.values():
        if case.kind in ("train", "operation"):
            for layer in case.network(nn).children():
                assert type(layer).__name__ in BY_HAND


def test_optimizers():
    assert optimizer_flops("SGD", {"lr": 1}, 10) == 20
    assert optimizer_flops("SGD", {"lr": 1, "momentum": 0.9}, 10) == 40
    assert optimizer_flops("Adam", {"lr": 1}, 10) == 120


def test_a_training_step_of_the_mlp():
    n, hidden, out = 64, 784 * 128, 128 * 10
    forward = 2 * n * (hidden + out) + n * 138 + n * 128  # products, biases, ReLU
    backward = forward + 2 * n * out  # dW and db and ReLU's; dx of the second layer, but not of the first
    loss, update = 7 * n * 10, 2 * (hidden + 128 + out + 10)
    assert MinidlSide(CASES["mlp-64"]).flops() == {"step": forward + backward + loss + update}


def test_parts_of_an_operation_and_of_a_product():
    n, weights = 64, 84 * 10
    assert MinidlSide(CASES["linear-64x84x10"]).flops() == {
        "forward": 2 * n * weights + n * 10,
        "backward": 4 * n * weights + n * 10,
    }
    assert MinidlSide(CASES["matmul-64x84x10-dw"]).flops() == {"step": 2 * math.prod((64, 84, 10))}
    assert MinidlSide(CASES["cross-entropy-64x10"]).flops() == {"forward": 640 * 5, "backward": 640 * 2}
    assert MinidlSide(CASES["adam-mlp"]).flops() == {"step": 12 * (784 * 128 + 128 + 1280 + 10)}
