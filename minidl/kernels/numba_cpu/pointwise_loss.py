"""Losses of each prediction and its own target: value, slope and sum while the numbers are in the cache.

Each rule is a loop over some hundred numbers. One frame runs all of them: it says where the losses go, and
adds them up, each run in the array's dtype, the runs in float64 and in their order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import pointwise_loss as references
from minidl.kernels.numba_cpu.arguments import BLANK, alike, flat, where
from minidl.kernels.numba_cpu.exponential import exp, log, log1p
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.rows import add_up
from minidl.kernels.numba_cpu.tasks import tasks

__all__ = [
    "absolute_error",
    "binary_cross_entropy",
    "clipped_error",
    "kl_divergence",
    "poisson_nll",
    "soft_margin",
]

PIECE = 8192  # numbers that one task takes
RUN = 512  # numbers whose losses are added in the array's dtype
ABSOLUTE, CLIPPED, SOFT_MARGIN, POISSON, KL, BINARY = range(6)
COST = (5, 5, 12, 8, 8, 20)  # operations per number


def _loss(
    rule: int, prediction: Array, target: Array, summed: bool, a: float = 0, b: float = 0, c: float = 0
) -> tuple[Array, Array, bool]:
    """Run a rule, whose own numbers are a, b, c; losses or sum, slopes, whether any is wrong."""
    kind = prediction.dtype
    slope = empty(prediction.shape, kind)
    losses = BLANK[kind] if summed else empty(prediction.shape, kind)
    numbers = (kind.type(a), kind.type(b), kind.type(c))
    with POOL.team(COST[rule] * prediction.size) as team:
        total, wrong = _all(
            rule, flat(prediction), flat(target), numbers, losses.reshape(-1), slope.reshape(-1), summed, team
        )
    return np.asarray(total, kind) if summed else losses, slope, wrong > 0


@references.absolute_error.register(np.ndarray)
@where(alike, references.absolute_error)
def absolute_error(prediction: Array, target: Array, summed: bool) -> tuple[Array, Array]:
    """As the reference."""
    return _loss(ABSOLUTE, prediction, target, summed)[:2]


@references.clipped_error.register(np.ndarray)
@where(alike, references.clipped_error)
def clipped_error(
    prediction: Array, target: Array, limit: float, unit: float, summed: bool
) -> tuple[Array, Array]:
    """As the reference."""
    return _loss(CLIPPED, prediction, target, summed, limit, unit)[:2]


@references.soft_margin.register(np.ndarray)
@where(alike, references.soft_margin)
def soft_margin(prediction: Array, target: Array, summed: bool) -> tuple[Array, Array, bool]:
    """As the reference."""
    return _loss(SOFT_MARGIN, prediction, target, summed)


@references.poisson_nll.register(np.ndarray)
@where(alike, references.poisson_nll)
def poisson_nll(
    prediction: Array, target: Array, log_input: bool, full: bool, eps: float, summed: bool
) -> tuple[Array, Array, bool]:
    """As the reference."""
    return _loss(POISSON, prediction, target, summed, log_input, full, eps)


@references.kl_divergence.register(np.ndarray)
@where(alike, references.kl_divergence)
def kl_divergence(
    prediction: Array, target: Array, log_target: bool, summed: bool
) -> tuple[Array, Array, bool]:
    """As the reference."""
    return _loss(KL, prediction, target, summed, log_target)


@references.binary_cross_entropy.register(np.ndarray)
@where(alike, references.binary_cross_entropy)
def binary_cross_entropy(
    prediction: Array, target: Array, weight: Array | None, summed: bool
) -> tuple[Array, Array, bool]:
    """As the reference; weights are left to it."""
    if weight is not None:
        return references.binary_cross_entropy.reference(prediction, target, weight, summed)
    return _loss(BINARY, prediction, target, summed)


# -------------------------------------------------------------------- the frame


@jit
def _all(rule, prediction, target, numbers, losses, slope, summed, team):
    """The sum of the losses, and how many targets are wrong."""
    pieces = -(-len(slope) // PIECE)
    partial, wrong = np.zeros(pieces), np.zeros(pieces, np.int64)
    _some(team, pieces, (rule, prediction, target, numbers, losses, slope, summed, partial, wrong))
    total = 0.0
    for piece in range(pieces):
        total += partial[piece]
    return total, wrong.sum()


@tasks
def _some(task, thread, rule, prediction, target, numbers, losses, slope, summed, partial, wrong):
    scratch = np.empty(RUN if summed else 0, slope.dtype)
    total, count = 0.0, 0
    for first in range(task * PIECE, min(len(slope), (task + 1) * PIECE), RUN):
        last = min(len(slope), first + RUN)
        x, t, slopes = prediction[first:last], target[first:last], slope[first:last]
        values = scratch[: last - first] if summed else losses[first:last]
        if rule == ABSOLUTE:
            _absolute(x, t, values, slopes)
        elif rule == CLIPPED:
            _clipped(x, t, numbers, values, slopes)
        elif rule == SOFT_MARGIN:
            count += _soft_margin(x, t, values, slopes)
        elif rule == POISSON:
            count += _poisson(x, t, numbers, values, slopes)
        elif rule == KL:
            count += _kl(x, t, numbers, values, slopes)
        else:
            count += _binary(x, t, values, slopes)
        if summed:
            total += add_up(values)
    partial[task], wrong[task] = total, count


# -------------------------------------------------------------------- the rules


@jit
def _absolute(x: Array, target: Array, losses: Array, slope: Array) -> None:
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(len(x)):
        error = x[i] - target[i]
        losses[i] = abs(error)
        below = -one if error < zero else error - error  # 0, or NaN
        slope[i] = one if error > zero else below


@jit
def _clipped(x: Array, target: Array, numbers: Any, losses: Array, slope: Array) -> None:
    limit, unit, half = numbers[0], numbers[1], x.dtype.type(0.5)
    for i in range(len(x)):
        error = x[i] - target[i]
        c = limit if error > limit else error  # a NaN stays
        c = -limit if error < -limit else c
        s = c / unit
        losses[i] = s * (error - half * c)
        slope[i] = s


@jit
def _soft_margin(x: Array, target: Array, losses: Array, slope: Array) -> int:
    zero, one, nan = x.dtype.type(0), x.dtype.type(1), x.dtype.type(math.nan)
    wrong = 0
    for i in range(len(x)):
        sign = abs(target[i]) == one
        t = target[i] if sign else nan
        wrong += not sign
        z = t * x[i]
        e = exp(-abs(z))
        losses[i] = (-z if z <= zero else z - z) + log1p(e)
        slope[i] = -t * ((e if z >= zero else one) / (one + e))
    return wrong


@jit
def _poisson(x: Array, target: Array, numbers: Any, losses: Array, slope: Array) -> int:
    zero, one, nan = x.dtype.type(0), x.dtype.type(1), x.dtype.type(math.nan)
    log_input, full, eps = numbers
    wrong = 0
    if log_input:
        for i in range(len(x)):
            t = nan if target[i] < zero else target[i]
            wrong += target[i] < zero
            e = exp(x[i])
            losses[i] = e - t * x[i]
            slope[i] = e - t
    else:
        for i in range(len(x)):
            t = nan if target[i] < zero else target[i]
            wrong += target[i] < zero
            losses[i] = x[i] - t * log(x[i] + eps)
            slope[i] = one - t / (x[i] + eps)
    if full:
        half, tau = x.dtype.type(0.5), x.dtype.type(2 * math.pi)
        for i in range(len(x)):
            n = target[i] if target[i] > one else one
            stirling = n * log(n) - n + half * log(tau * n)
            losses[i] += stirling if target[i] > one else zero
    return wrong


@jit
def _kl(x: Array, target: Array, numbers: Any, losses: Array, slope: Array) -> int:
    zero, one, nan = x.dtype.type(0), x.dtype.type(1), x.dtype.type(math.nan)
    wrong = 0
    if numbers[0]:
        for i in range(len(x)):
            q = exp(target[i])
            losses[i] = q * (target[i] - x[i])
            slope[i] = -q
    else:
        for i in range(len(x)):
            t = nan if target[i] < zero else target[i]
            wrong += target[i] < zero
            losses[i] = t * log(one if t == zero else t) - t * x[i]
            slope[i] = -t
    return wrong


@jit
def _binary(x: Array, target: Array, losses: Array, slope: Array) -> int:
    zero, one, nan = x.dtype.type(0), x.dtype.type(1), x.dtype.type(math.nan)
    least, product = x.dtype.type(references.LEAST_LOG), x.dtype.type(references.LEAST_PRODUCT)
    wrong = 0
    for i in range(len(x)):
        p, t = x[i], target[i]
        bad = (p < zero) | (p > one) | (t < zero) | (t > one)
        wrong += bad
        t = nan if bad else t
        q = one - p
        a, b = log(p), log(q)
        a = least if a < least else a  # a NaN stays
        b = least if b < least else b
        losses[i] = -(t * a + (one - t) * b)
        pq = p * q
        slope[i] = (p - t) / (product if pq < product else pq)
    return wrong
