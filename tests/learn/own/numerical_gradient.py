"""minidl's own numerical gradient under exercise 05's name; it takes float64 only."""

import numpy as np

from minidl import testing


def numerical_gradient(f, x, h=1e-5):
    return testing.numerical_gradient(f, np.asarray(x, dtype=np.float64), h)
