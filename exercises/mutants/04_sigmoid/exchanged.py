"""a and b are exchanged."""

import numpy as np


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def sigmoid_backward(dy, y):
    return dy * y * (1.0 - y)


def neuron(x, a, b):
    return sigmoid(b * x + a)


def neuron_backward(dy, x, a, y):
    dz = sigmoid_backward(dy, y)
    return dz * a, (dz * x).sum(), dz.sum()
