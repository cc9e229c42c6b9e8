"""e^(−x) overflows where x is very negative, though the value survives."""

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def sigmoid_backward(dy, y):
    return dy * y * (1.0 - y)


def neuron(x, a, b):
    return sigmoid(a * x + b)


def neuron_backward(dy, x, a, y):
    dz = sigmoid_backward(dy, y)
    return dz * a, (dz * x).sum(), dz.sum()
