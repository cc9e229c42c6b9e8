"""eˣ, eˣ − 1, log x, log(1 + e) and tanh for compiled loops, written so that they run in vector lanes.

In float32 they are polynomials, right to about the last digit. In float64, where correctness is proved
and speed is secondary, they are the C library's.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from minidl.kernels.numba_cpu.jit import jit

__all__ = ["FUSED", "ONE", "ZERO", "exp", "expm1", "log", "log1p", "tanh"]

FUSED = frozenset({"contract"})  # a·b + c may be rounded once: faster, and nearer to the truth
LOG2_E = np.float32(1 / math.log(2))
LN2_HIGH = np.float32(0.693359375)  # few digits, so that its product with a whole number is exact
LN2_LOW = np.float32(math.log(2) - 0.693359375)
WHOLE = np.float32(1.5 * 2**23)  # a float32 of this size has no digits after the point: adding it rounds
LOWEST, HIGHEST = np.float32(-104), np.float32(88.75)  # e to these is 0 and ∞
FLAT = np.float32(-40)  # 1 + e to this is 1
ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)
E2, E3, E4, E5, E6 = (np.float32(c) for c in (0.49999993, 0.1666652, 0.04166839, 0.00836878, 0.00138145))
TINY, UP = np.float32(2.0**-126), np.float32(2.0**23)  # below TINY a float32 has fewer digits
NOTHING, ALL = np.float32(-math.inf), np.float32(math.inf)
ROOT_HALF = np.float32(math.sqrt(0.5)).view(np.int32)
L3, L5, L7, L9, L11, L13, L15 = (np.float32(2 / k) for k in (3, 5, 7, 9, 11, 13, 15))


def exp(x: float) -> float:
    """eˣ, in x's dtype, for every x from −∞ to ∞."""
    return float(np.exp(x))


def expm1(x: float) -> float:
    """eˣ − 1, in x's dtype, for x from −∞ to 0 only."""
    return math.expm1(x)


def log(x: float) -> float:
    """The natural logarithm, in x's dtype: −∞ of 0, NaN of what is less."""
    return float(np.log(x))


def log1p(x: float) -> float:
    """log(1 + x), in x's dtype, for x from 0 to 1 only."""
    return math.log1p(x)


def tanh(x: float) -> float:
    """The hyperbolic tangent, in x's dtype."""
    return math.tanh(x)


@functools.partial(jit, fastmath=FUSED)
def _exp32(x: Any) -> Any:
    """eˣ = 2ⁿ eʳ with whole n and |r| ≤ ½ ln 2, where a polynomial of degree 6 suffices."""
    x = LOWEST if x < LOWEST else x
    x = HIGHEST if x > HIGHEST else x
    n = (x * LOG2_E + WHOLE) - WHOLE  # rounded
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    e = ONE + (r + r * r * (E2 + r * (E3 + r * (E4 + r * (E5 + r * E6)))))
    # 2ⁿ in two factors, for n goes further down and up than the exponent of one float32
    half = (n * HALF + WHOLE) - WHOLE
    return e * _power_of_2(half) * _power_of_2(n - half)


@functools.partial(jit, fastmath=FUSED)
def _power_of_2(n: Any) -> Any:
    """2ⁿ for a whole n from −126 to 127: the sum with WHOLE has n in its last bits, from which it moves
    to where a float32 has its exponent.
    """
    bits = np.float32(n + WHOLE).view(np.int32)
    return np.int32((bits << 23) + (127 << 23)).view(np.float32)


@functools.partial(jit, fastmath=FUSED)
def _log32(x: Any) -> Any:
    """As n ln 2 + log m with x = 2ⁿ m, √½ ≤ m < √2, and log m = 2 artanh s with s = (m − 1) / (m + 1)."""
    tiny = x < TINY
    bits = np.float32(x * UP if tiny else x).view(np.int32)
    n = np.int32(bits - ROOT_HALF) >> 23
    m = np.int32(bits - np.int32(n << 23)).view(np.float32)
    power = np.float32(np.int32(n - np.int32(23)) if tiny else np.int32(n))
    s = (m - ONE) / (m + ONE)
    z = s * s
    tail = L3 + z * (L5 + z * (L7 + z * L9))
    y = power * LN2_HIGH + (s * TWO + (s * z * tail + power * LN2_LOW))
    y = x if x == ALL else y
    y = NOTHING if x == ZERO else y
    return y if x >= ZERO else x - x + NOTHING * ZERO  # NaN


@functools.partial(jit, fastmath=FUSED)
def _log1p32(x: Any) -> Any:
    """log(1 + x) = 2 artanh s with s = x / (2 + x), which is at most ⅓."""
    s = x / (TWO + x)
    z = s * s
    tail = L3 + z * (L5 + z * (L7 + z * (L9 + z * (L11 + z * (L13 + z * L15)))))
    return s * TWO + s * z * tail


@functools.partial(jit, fastmath=FUSED)
def _expm1_32(x: Any) -> Any:
    """2ⁿ eʳ − 1 as 2ⁿ (eʳ − 1) + (2ⁿ − 1), so that a small x loses no digits."""
    x = FLAT if x < FLAT else x
    n = (x * LOG2_E + WHOLE) - WHOLE
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    power = _power_of_2(n)
    return power * (r + r * r * (E2 + r * (E3 + r * (E4 + r * (E5 + r * E6))))) + (power - ONE)


@functools.partial(jit, fastmath=FUSED)
def _tanh32(x: Any) -> Any:
    """−m / (2 + m) is tanh |x|, with m = e^(−2|x|) − 1."""
    m = _expm1_32(-TWO * abs(x))
    y = -m / (TWO + m)
    return y if x > ZERO else -y


@overload(exp)
def _exp(x):
    if x == types.float32:
        return lambda x: _exp32(x)
    return lambda x: math.exp(x)


@overload(expm1)
def _expm1(x):
    if x == types.float32:
        return lambda x: _expm1_32(x)
    return lambda x: math.expm1(x)


@overload(log)
def _log(x):
    if x == types.float32:
        return lambda x: _log32(x)
    return lambda x: np.log(x)


@overload(log1p)
def _log1p(x):
    if x == types.float32:
        return lambda x: _log1p32(x)
    return lambda x: math.log1p(x)


@overload(tanh)
def _tanh(x):
    if x == types.float32:
        return lambda x: _tanh32(x)
    return lambda x: math.tanh(x)
