"""minidl's own sigmoid under exercise 04's names; a neuron is a linear layer of one weight before it."""

import numpy as np

from minidl import nn


def sigmoid(x):
    return nn.Sigmoid()(x)


def sigmoid_backward(dy, y):
    module = nn.Sigmoid()
    module(np.log(y / (1 - y)))  # the x that gave y
    return module.backward(dy)


def _neuron(x, a, b):
    linear = nn.Linear(1, 1, dtype=np.float64)
    linear.weight.data[...] = a
    linear.bias.data[...] = b
    network = nn.Sequential(linear, nn.Sigmoid())
    return linear, network, network(x.reshape(-1, 1)).reshape(x.shape)


def neuron(x, a, b):
    return _neuron(x, a, b)[-1]


def neuron_backward(dy, x, a, y):
    b = (np.log(y / (1 - y)) - a * x).flat[0]
    linear, network, _ = _neuron(x, a, b)
    dx = network.backward(dy.reshape(-1, 1)).reshape(x.shape)
    return dx, linear.weight.grad.sum(), linear.bias.grad.sum()
