"""Exercise 05: a gradient without any calculus: nudge every number and see how far f moves.

Fill in the function and run `minidl check 05`. You need NumPy only.
"""

import numpy as np


def numerical_gradient(f, x, h=1e-5):
    """∂f/∂xᵢ ≈ (f(x + h eᵢ) − f(x − h eᵢ)) / 2h for every number xᵢ of x (eq. 4.6).

    "x + h eᵢ" is x with h added to the one number xᵢ, and all the others as they were.

    Args:
        f: a function of one array of x's shape that returns one number.
        x: array of any shape, also of integers. It holds the same bits after the call as before.
        h: the step.

    Returns:
        The gradient: a float64 array of x's shape.
    """
    # gap: for every number of x: step up, step down, put it back, divide the difference by 2h
    x = np.array(x, dtype=np.float64)  # a copy of our own: the caller's x is safe, and integers can step by h
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + h
        above = f(x)
        x[index] = kept - h
        below = f(x)
        x[index] = kept  # put back as it was; adding and subtracting h would round
        gradient[index] = (above - below) / (2 * h)
    return gradient
    # end gap
