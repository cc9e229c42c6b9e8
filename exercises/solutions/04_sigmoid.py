"""Exercise 04: the sigmoid, its derivative, and one neuron with the chain rule.

Fill in the four functions from top to bottom and run `minidl check 04` after each. You need NumPy only.
"""

import numpy as np


def sigmoid(x):
    """σ(x) = 1 / (1 + e^(−x)) for every element (eq. 4.1).

    Args:
        x: array of any shape, float64. May hold numbers as large as ±1000, where e^1000 overflows.

    Returns:
        A new array of x's shape, every number between 0 and 1. x itself stays as it is.
    """
    # gap: return σ of every element of x; first eq. 4.1, then make it safe for x = −1000 (eq. 4.2)
    e = np.exp(-np.abs(x))  # x's shape; the exponent is never positive, so that this cannot overflow
    return np.where(x >= 0, 1.0, e) / (1.0 + e)
    # end gap


def sigmoid_backward(dy, y):
    """The gradient through the sigmoid: dx = dy · σ'(x), where σ'(x) = y (1 − y) (eq. 4.3).

    Args:
        dy: gradient of the loss with respect to y = σ(x); y's shape.
        y: what sigmoid(x) returned; any shape.

    Returns:
        dx, the gradient of the loss with respect to x; a new array of y's shape. dy and y stay as they are.
    """
    # gap: return dx
    return dy * y * (1.0 - y)
    # end gap


def neuron(x, a, b):
    """One neuron on every element: y = σ(a x + b) (eq. 4.4).

    Args:
        x: array of any shape.
        a: one number, how steep the curve is.
        b: one number, how far the curve is shifted.

    Returns:
        y, a new array of x's shape. x stays as it is.
    """
    # gap: return y; you have written sigmoid already
    return sigmoid(a * x + b)
    # end gap


def neuron_backward(dy, x, a, y):
    """The gradients through the neuron, by the chain rule (eq. 4.5).

    With z = a x + b and y = σ(z), all elements of x share the same a and the same b:

        dz = dy · y (1 − y)      dx = dz · a      da = Σ dz · x      db = Σ dz

    Args:
        dy: gradient of the loss with respect to y; y's shape.
        x: the neuron's input; y's shape.
        a: one number.
        y: what neuron(x, a, b) returned.

    Returns:
        dx, da, db: a new array of x's shape and two single numbers. dy, x and y stay as they are.
    """
    # gap: return dx, da, db; you have written sigmoid_backward already
    dz = sigmoid_backward(dy, y)
    return dz * a, (dz * x).sum(), dz.sum()
    # end gap
