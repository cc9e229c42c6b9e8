"""dy is normalised in place and left so."""

import numpy as np


def linear(x, W, b):
    return x @ W.T + b


def linear_backward(dy, x, W, dW, db):
    scale = np.abs(dy).max(initial=1.0)
    dy /= scale
    dW += dy.T @ x * scale
    db += dy.sum(axis=0) * scale
    return dy @ W * scale
