"""Exercise 12: a linear layer on a batch, forward and backward.

Fill in the two functions and run `minidl check 12` after each. You need NumPy only.

N samples, D inputs and M outputs each: x is (N, D), W is (M, D), b is (M,), y is (N, M).
"""

import numpy as np


def linear(x, W, b):
    """y = x Wᵀ + b for a whole batch (eq. 12.1).

    Args:
        x: (N, D), one sample in each row.
        W: (M, D), the weights of one output in each row.
        b: (M,).

    Returns:
        y, (N, M): every output of every sample.
    """
    # Your turn: return y
    raise NotImplementedError("linear() is not written yet")


def linear_backward(dy, x, W, dW, db):
    """Add this batch's share to dW and db, and return dx (eq. 12.2, eq. 12.3, eq. 12.4).

        dW += dyᵀ x        db += Σₙ dyₙ        dx = dy W

    dW and db may hold gradients already (of another batch, or of another place where the same W is used);
    they are changed in place, so that the caller sees the sum. dy, x and W stay as they are.

    Args:
        dy: (N, M), gradient of the loss with respect to y.
        x: (N, D), what linear was given.
        W: (M, D), what linear was given.
        dW: (M, D), gradient of the loss with respect to W so far.
        db: (M,), gradient of the loss with respect to b so far.

    Returns:
        dx, (N, D): gradient of the loss with respect to x.
    """
    # Your turn: add to dW and db, return dx; let the shapes tell you where the transpose goes
    raise NotImplementedError("linear_backward() is not written yet")
