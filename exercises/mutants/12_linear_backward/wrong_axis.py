"""db sums over the outputs instead of the batch."""

import numpy as np


def linear(x, W, b):
    return x @ W.T + b


def linear_backward(dy, x, W, dW, db):
    dW += dy.T @ x
    db += dy.sum(axis=1)
    return dy @ W
