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
    # Your turn: for every number of x: step up, step down, put it back, divide the difference by 2h
    raise NotImplementedError("numerical_gradient() is not written yet")
