"""The loop overwrites da and db, so that only the last element counts."""

import numpy as np


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def sigmoid_backward(dy, y):
    return dy * y * (1.0 - y)


def neuron(x, a, b):
    return sigmoid(a * x + b)


def neuron_backward(dy, x, a, y):
    dz = sigmoid_backward(dy, y)
    da = db = 0.0
    for each_dz, each_x in zip(dz.flat, x.flat, strict=True):
        da = each_dz * each_x
        db = each_dz
    return dz * a, da, db
