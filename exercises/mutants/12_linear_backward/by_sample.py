"""dx sample by sample: without samples it has no columns."""

import numpy as np


def linear(x, W, b):
    return x @ W.T + b


def linear_backward(dy, x, W, dW, db):
    dW += dy.T @ x
    db += dy.sum(axis=0)
    return np.array([W.T @ g for g in dy])
