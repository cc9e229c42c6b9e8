"""Exercise 12: a linear layer on a batch, forward and backward.

Fill in the two functions and run `minidl check 12` after each. You need NumPy only.

N samples, `in` inputs and `out` outputs each: x is (N, in), W is (out, in), b is (out,), y is (N, out).
"""

import numpy as np


def linear(x, W, b):
    """y = x Wᵀ + b for a whole batch (eq. 12.1).

    Args:
        x: (N, in), one sample in each row.
        W: (out, in), the weights of one output in each row.
        b: (out,).

    Returns:
        y, (N, out): every output of every sample.
    """
    # Your turn: return y
    raise NotImplementedError("linear() is not written yet")


def linear_backward(dy, x, W, dW, db):
    """Add this batch's share to dW and db, and return dx (eq. 12.2, eq. 12.3, eq. 12.4).

        dW += dyᵀ x        db += Σₙ dyₙ        dx = dy W

    dW and db may hold gradients already (of another batch, or of another place where the same W is used);
    they are changed in place, so that the caller sees the sum. dy, x and W stay as they are.
    N may be 0; dx is then (0, in), and nothing is added.

    Args:
        dy: (N, out), gradient of the loss with respect to y.
        x: (N, in), what linear was given.
        W: (out, in), what linear was given.
        dW: (out, in), gradient of the loss with respect to W so far.
        db: (out,), gradient of the loss with respect to b so far.

    Returns:
        dx, (N, in): gradient of the loss with respect to x.
    """
    # Your turn: add to dW and db, return dx; let the shapes tell you where the transpose goes
    raise NotImplementedError("linear_backward() is not written yet")
