"""A global keeps the gradients of earlier calls."""

import numpy as np

G = 0


def linear(x, W, b):
    return x @ W.T + b


def linear_backward(dy, x, W, dW, db):
    global G
    G = G + dy.T @ x
    dW += G
    db += dy.sum(axis=0)
    return dy @ W
