"""The activation's derivative y (1 − y) is left out of the chain."""

import numpy as np


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def sigmoid_backward(dy, y):
    return dy * y * (1.0 - y)


def neuron(x, a, b):
    return sigmoid(a * x + b)


def neuron_backward(dy, x, a, y):
    return dy * a, (dy * x).sum(), dy.sum()
