"""What softmax does with one row of numbers, each in a loop that runs in vector lanes."""

from __future__ import annotations

import functools
import math
from typing import Any

from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic, overload

from minidl.array import Array
from minidl.kernels.numba_cpu.exponential import exp
from minidl.kernels.numba_cpu.jit import SUMS, jit

__all__ = ["add_up", "dot", "exponentials", "larger", "largest_of", "shift", "shifted_exponentials"]


def larger(a: float, b: float) -> float:
    """The larger of two numbers; where one is NaN, either."""
    return b if b > a else a


@intrinsic
def _larger_instruction(typing: Any, a: Any, b: Any) -> Any:
    """LLVM's own maximum, taken in any order (`nsz`: of 0 and −0 either will do; `nnan`: as above).

    Then many maxima run side by side in vector lanes, which Python's `max` does not allow.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(args[0].type, [args[0].type] * 2)
        name = f"llvm.maxnum.f{signature.return_type.bitwidth}"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(function, args, fastmath=("nnan", "nsz"))

    return a(a, a), build


@overload(larger)
def _larger(a, b):
    return lambda a, b: _larger_instruction(a, b)


@functools.partial(jit, inline=True)
def largest_of(x: Array) -> float:
    """A row's maximum. Among NaN it may be any number: the sum of the exponentials will be NaN anyway."""
    largest = x.dtype.type(-math.inf)
    for i in range(len(x)):
        largest = larger(largest, x[i])
    return largest


@functools.partial(jit, inline=True)
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


@jit
def shifted_exponentials(x: Array, result: Array) -> None:
    """The exponentials of a row without its maximum, in one loop: for a row that is long enough for one."""
    largest = largest_of(x)
    for i in range(len(x)):
        result[i] = exp(x[i] - largest)


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
