"""db goes through a mean, which is 0 / 0 for an empty batch."""

import numpy as np


def linear(x, W, b):
    return x @ W.T + b


def linear_backward(dy, x, W, dW, db):
    dW += dy.T @ x
    db += dy.mean(axis=0) * len(dy)
    return dy @ W
