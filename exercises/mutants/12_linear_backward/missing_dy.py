"""dW leaves the factor dy out of the chain."""

import numpy as np


def linear(x, W, b):
    return x @ W.T + b


def linear_backward(dy, x, W, dW, db):
    dW += np.ones_like(dy).T @ x
    db += dy.sum(axis=0)
    return dy @ W
