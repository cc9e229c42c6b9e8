"""The step goes to one side only."""

import numpy as np


def numerical_gradient(f, x, h=1e-5):
    x = np.array(x, dtype=np.float64)
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        kept = x[index]
        here = f(x)
        x[index] = kept + h
        gradient[index] = (f(x) - here) / h
        x[index] = kept
    return gradient
