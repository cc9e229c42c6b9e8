"""What softmax does with one row of numbers, each in a loop that runs in vector lanes."""

from __future__ import annotations

import functools
import math

from minidl.array import Array
from minidl.kernels.numba_cpu.exponential import exp
from minidl.kernels.numba_cpu.jit import SUMS, jit

__all__ = ["add_up", "dot", "exponentials", "largest_of", "shift"]


@jit
def largest_of(x: Array) -> float:
    """A row's maximum: of eight maxima side by side, for one alone would wait for itself at every number.

    Among NaN it may be any number: the sum of the exponentials will be NaN anyway.
    """
    a = b = c = d = e = f = g = h = x.dtype.type(-math.inf)
    whole = len(x) // 8 * 8
    for i in range(0, whole, 8):
        a, b, c, d = max(a, x[i]), max(b, x[i + 1]), max(c, x[i + 2]), max(d, x[i + 3])
        e, f, g, h = max(e, x[i + 4]), max(f, x[i + 5]), max(g, x[i + 6]), max(h, x[i + 7])
    for i in range(whole, len(x)):
        a = max(a, x[i])
    return max(max(max(a, b), max(c, d)), max(max(e, f), max(g, h)))


@jit
def shift(x: Array, shifted: Array) -> float:
    """A row without its maximum, and the maximum."""
    largest = largest_of(x)
    for i in range(len(x)):
        shifted[i] = x[i] - largest
    return largest


@jit
def exponentials(x: Array) -> None:
    """Every number's exponential in its place."""
    for i in range(len(x)):
        x[i] = exp(x[i])


@functools.partial(jit, fastmath=SUMS)
def add_up(x: Array) -> float:
    """The sum. It has a loop of its own: with stores beside it, whether it runs in vector lanes, and so
    its last bit, would depend on how far apart in memory the arrays are.
    """
    total = x.dtype.type(0)
    for i in range(len(x)):
        total += x[i]
    return total


@functools.partial(jit, fastmath=SUMS)
def dot(a: Array, b: Array) -> float:
    """The sum of the products of two rows."""
    total = a.dtype.type(0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return total
