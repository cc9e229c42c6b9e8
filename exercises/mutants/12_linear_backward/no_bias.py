"""b is forgotten in the forward."""

import numpy as np


def linear(x, W, b):
    return x @ W.T


def linear_backward(dy, x, W, dW, db):
    dW += dy.T @ x
    db += dy.sum(axis=0)
    return dy @ W
