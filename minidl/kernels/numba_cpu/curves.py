"""Activations that are curves, value and slope in one pass, in pieces that threads share out.

In float32 every loop runs in vector lanes, with the exponentials of `exponential`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from minidl.array import Array, empty
from minidl.kernels import curves as references
from minidl.kernels.numba_cpu.activation import COSTLY, piece, pieces
from minidl.kernels.numba_cpu.arguments import alike, flat, where
from minidl.kernels.numba_cpu.exponential import FUSED, ONE, ZERO, exp, expm1, log1p
from minidl.kernels.numba_cpu.exponential import tanh as tanh_of_one
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.tasks import tasks

__all__ = [
    "elu",
    "gelu",
    "hardswish",
    "hardswish_input_grad",
    "log_sigmoid",
    "mish",
    "silu",
    "slope_input_grad",
    "softplus",
    "softsign",
    "tanhshrink",
]


@references.slope_input_grad.register(np.ndarray)
@where(alike, references.slope_input_grad)
def slope_input_grad(dy: Array, slope: Array) -> Array:
    """As the reference."""
    dx = empty(dy.shape, dy.dtype)
    with POOL.team(dy.size) as team:
        _slope_grad(flat(dy), flat(slope), dx.reshape(-1), team)
    return dx


def _curve(loop: Any, x: Array, *numbers: float, cost: int = COSTLY) -> tuple[Array, Array]:
    """Run a loop over x that writes y and its slope."""
    y, slope = empty(x.shape, x.dtype), empty(x.shape, x.dtype)
    with POOL.team(cost * x.size) as team:
        loop(flat(x), *map(x.dtype.type, numbers), y.reshape(-1), slope.reshape(-1), team)
    return y, slope


@references.gelu.register(np.ndarray)
def gelu(x: Array, by_tanh: bool) -> tuple[Array, Array]:
    """As the reference."""
    return _curve(_gelu_tanh if by_tanh else _gelu, x)


@references.silu.register(np.ndarray)
def silu(x: Array) -> tuple[Array, Array]:
    """As the reference."""
    return _curve(_silu, x)


@references.mish.register(np.ndarray)
def mish(x: Array) -> tuple[Array, Array]:
    """As the reference."""
    return _curve(_mish, x)


@references.elu.register(np.ndarray)
def elu(x: Array, alpha: float, scale: float, rate: float) -> tuple[Array, Array]:
    """As the reference."""
    return _curve(_elu, x, alpha, scale, rate)


@references.softplus.register(np.ndarray)
def softplus(x: Array, beta: float, threshold: float) -> tuple[Array, Array]:
    """As the reference."""
    return _curve(_softplus, x, beta, threshold)


@references.log_sigmoid.register(np.ndarray)
def log_sigmoid(x: Array) -> tuple[Array, Array]:
    """As the reference."""
    return _curve(_log_sigmoid, x)


@references.softsign.register(np.ndarray)
def softsign(x: Array) -> tuple[Array, Array]:
    """As the reference."""
    return _curve(_softsign, x, cost=2)


@references.tanhshrink.register(np.ndarray)
def tanhshrink(x: Array) -> tuple[Array, Array]:
    """As the reference."""
    return _curve(_tanhshrink, x)


@references.hardswish.register(np.ndarray)
def hardswish(x: Array) -> Array:
    """As the reference."""
    y = empty(x.shape, x.dtype)
    with POOL.team(2 * x.size) as team:
        _hardswish(flat(x), y.reshape(-1), team)
    return y


@references.hardswish_input_grad.register(np.ndarray)
@where(alike, references.hardswish_input_grad)
def hardswish_input_grad(dy: Array, x: Array) -> Array:
    """As the reference."""
    dx = empty(dy.shape, dy.dtype)
    with POOL.team(2 * x.size) as team:
        _hardswish_grad(flat(dy), flat(x), dx.reshape(-1), team)
    return dx


@tasks
def _slope_grad_piece(task, thread, dy, slope, dx):
    dy, slope, dx = piece(dy, task), piece(slope, task), piece(dx, task)
    for i in range(len(dy)):
        dx[i] = dy[i] * slope[i]


@jit
def _slope_grad(dy, slope, dx, team):
    _slope_grad_piece(team, pieces(dy), (dy, slope, dx))


# -------------------------------------------------------------------- the normal distribution

CENTRE = np.float32(4.375)
TAIL = [
    *(-4.32773186e-05, 0.0920968619, 0.0829053213, 0.129166236, -0.0606428197),
    *(0.3478383, -0.325642445, 0.317377208, -0.0830554031),
]
"""For x ≥ 0, Φ(−x) = e^(−x²/2) (TAIL[0] + TAIL[1] t + …), t = c / (c + x), c = CENTRE. The numbers were
fitted by least squares to the relative error, of which 4 · 10⁻⁸ is left."""
T0, T1, T2, T3, T4, T5, T6, T7, T8 = (np.float32(t) for t in TAIL)


def share_below(x: float, bell: float) -> float:
    """Φ(x), the share of a normal distribution below x; `bell` is e^(−x²/2)."""
    return 0.5 * (1 + math.erf(x * math.sqrt(0.5)))


@functools.partial(jit, fastmath=FUSED)
def _share_below_32(x: Any, bell: Any) -> Any:
    t = CENTRE / (CENTRE + abs(x))
    tail = T0 + t * (T1 + t * (T2 + t * (T3 + t * (T4 + t * (T5 + t * (T6 + t * (T7 + t * T8)))))))
    tail *= bell
    return ONE - tail if x > ZERO else tail


@overload(share_below)
def _share_below(x, bell):
    if x == types.float32:
        return lambda x, bell: _share_below_32(x, bell)
    return lambda x, bell: 0.5 * (1 + math.erf(x * math.sqrt(0.5)))


@tasks
def _gelu_piece(task, thread, x, y, slope):
    x, y, slope = piece(x, task), piece(y, task), piece(slope, task)
    half, density = x.dtype.type(0.5), x.dtype.type(math.sqrt(0.5 / math.pi))
    for i in range(len(x)):
        value = x[i]
        bell = exp(-half * value * value)
        share = share_below(value, bell)
        y[i] = value * share
        slope[i] = share + value * (density * bell)


@jit
def _gelu(x, y, slope, team):
    _gelu_piece(team, pieces(x), (x, y, slope))


@tasks
def _gelu_tanh_piece(task, thread, x, y, slope):
    x, y, slope = piece(x, task), piece(y, task), piece(slope, task)
    one, half = x.dtype.type(1), x.dtype.type(0.5)
    a, b = x.dtype.type(math.sqrt(2 / math.pi)), x.dtype.type(0.044715)
    c = x.dtype.type(3 * 0.044715)
    for i in range(len(x)):
        value = x[i]
        t = tanh_of_one(a * (value + b * value * value * value))
        share = half * (one + t)
        y[i] = value * share
        slope[i] = share + value * (half * (one - t * t) * (a * (one + c * value * value)))


@jit
def _gelu_tanh(x, y, slope, team):
    _gelu_tanh_piece(team, pieces(x), (x, y, slope))


# -------------------------------------------------------------------- made of one exponential


@tasks
def _silu_piece(task, thread, x, y, slope):
    x, y, slope = piece(x, task), piece(y, task), piece(slope, task)
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(len(x)):
        value = x[i]
        e = exp(-abs(value))
        s = (one if value >= zero else e) / (one + e)
        y[i] = value * s
        slope[i] = s * (one + value * (one - s))


@jit
def _silu(x, y, slope, team):
    _silu_piece(team, pieces(x), (x, y, slope))


@tasks
def _mish_piece(task, thread, x, y, slope):
    """With e = e^(−|x|) the gate is n / (n + 2e²), n = 1 + 2e, for x ≥ 0, else n / (n + 2), n = e (e + 2)."""
    x, y, slope = piece(x, task), piece(y, task), piece(slope, task)
    zero, one, two = x.dtype.type(0), x.dtype.type(1), x.dtype.type(2)
    for i in range(len(x)):
        value = x[i]
        e = exp(-abs(value))
        right = value >= zero
        n = one + two * e if right else e * (e + two)
        rest = two * e * e if right else two
        t = n / (n + rest)
        s = (one if right else e) / (one + e)
        y[i] = value * t
        slope[i] = t + value * (one - t * t) * s


@jit
def _mish(x, y, slope, team):
    _mish_piece(team, pieces(x), (x, y, slope))


@tasks
def _elu_piece(task, thread, x, alpha, scale, rate, y, slope):
    x, y, slope = piece(x, task), piece(y, task), piece(slope, task)
    zero, one = x.dtype.type(0), x.dtype.type(1)
    end = scale * alpha
    for i in range(len(x)):
        value = x[i]
        right = value > zero
        less = expm1(rate * (zero if right else value))
        y[i] = scale * value if right else end * less
        slope[i] = scale if right else end * rate * (less + one)


@jit
def _elu(x, alpha, scale, rate, y, slope, team):
    _elu_piece(team, pieces(x), (x, alpha, scale, rate, y, slope))


@tasks
def _softplus_piece(task, thread, x, beta, threshold, y, slope):
    x, y, slope = piece(x, task), piece(y, task), piece(slope, task)
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(len(x)):
        z = beta * x[i]
        e = exp(-abs(z))
        linear = z > threshold
        above = (zero if z <= zero else z) + log1p(e)  # a NaN stays
        y[i] = x[i] if linear else above / beta
        slope[i] = one if linear else (one if z >= zero else e) / (one + e)


@jit
def _softplus(x, beta, threshold, y, slope, team):
    _softplus_piece(team, pieces(x), (x, beta, threshold, y, slope))


@tasks
def _log_sigmoid_piece(task, thread, x, y, slope):
    x, y, slope = piece(x, task), piece(y, task), piece(slope, task)
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(len(x)):
        value = x[i]
        e = exp(-abs(value))
        y[i] = (zero if value >= zero else value) - log1p(e)
        slope[i] = (e if value >= zero else one) / (one + e)


@jit
def _log_sigmoid(x, y, slope, team):
    _log_sigmoid_piece(team, pieces(x), (x, y, slope))


@tasks
def _tanhshrink_piece(task, thread, x, y, slope):
    x, y, slope = piece(x, task), piece(y, task), piece(slope, task)
    for i in range(len(x)):
        t = tanh_of_one(x[i])
        y[i] = x[i] - t
        slope[i] = t * t


@jit
def _tanhshrink(x, y, slope, team):
    _tanhshrink_piece(team, pieces(x), (x, y, slope))


# -------------------------------------------------------------------- without one


@tasks
def _softsign_piece(task, thread, x, y, slope):
    x, y, slope = piece(x, task), piece(y, task), piece(slope, task)
    one = x.dtype.type(1)
    for i in range(len(x)):
        scale = one + abs(x[i])
        share = one / scale
        y[i] = x[i] / scale
        slope[i] = share * share


@jit
def _softsign(x, y, slope, team):
    _softsign_piece(team, pieces(x), (x, y, slope))


@tasks
def _hardswish_piece(task, thread, x, y):
    x, y = piece(x, task), piece(y, task)
    zero, three, six = x.dtype.type(0), x.dtype.type(3), x.dtype.type(6)
    for i in range(len(x)):
        value = x[i]
        gate = value + three
        gate = zero if gate <= zero else six if gate >= six else gate  # a NaN stays
        y[i] = value * gate / six


@jit
def _hardswish(x, y, team):
    _hardswish_piece(team, pieces(x), (x, y))


@tasks
def _hardswish_grad_piece(task, thread, dy, x, dx):
    dy, x, dx = piece(dy, task), piece(x, task), piece(dx, task)
    zero, one, two = x.dtype.type(0), x.dtype.type(1), x.dtype.type(2)
    three, six = x.dtype.type(3), x.dtype.type(6)
    for i in range(len(x)):
        value = x[i]
        slope = zero if value <= -three else one if value >= three else (two * value + three) / six
        dx[i] = dy[i] * slope


@jit
def _hardswish_grad(dy, x, dx, team):
    _hardswish_grad_piece(team, pieces(x), (dy, x, dx))
