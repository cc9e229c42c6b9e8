"""Losses of each prediction and its own target, with their slopes: the readable references.

`summed` asks for the sum of the losses, kept in float64, instead of each of them. Where a target (or a
prediction) is none that the loss allows, its loss is NaN and `wrong` is true; the caller says what is wrong.
"""

from __future__ import annotations

import math

import numpy as np

from minidl.array import Array
from minidl.kernels.registry import kernel

__all__ = [
    "absolute_error",
    "binary_cross_entropy",
    "clipped_error",
    "kl_divergence",
    "poisson_nll",
    "soft_margin",
]

LEAST_LOG = -100
"""Instead of the logarithm of 0, as PyTorch has it."""
LEAST_PRODUCT = 1e-12
"""Instead of p (1 − p) where that is 0, as PyTorch has it."""


@kernel
def absolute_error(prediction: Array, target: Array, summed: bool) -> tuple[Array, Array]:
    """The distance |p − t|, whose slope is 0 where p = t.

    Args:
        prediction: p, of any shape.
        target: t, of the same shape and dtype.
        summed: the sum of the losses, not each.

    Returns:
        The losses, of that shape, or their sum (); the slopes `sign(p − t)`.
    """
    error = prediction - target
    return _total(np.abs(error), summed), np.sign(error)


@kernel
def clipped_error(
    prediction: Array, target: Array, limit: float, unit: float, summed: bool
) -> tuple[Array, Array]:
    """Squares of small errors, straight lines of large ones: with e = p − t and `c = min(max(e, −l), l)`,
    the loss is `c (e − ½ c) / u`.

    Args:
        prediction: p, of any shape.
        target: t, of the same shape and dtype.
        limit: l, where the lines begin.
        unit: u, what all is divided by.
        summed: the sum of the losses, not each.

    Returns:
        The losses, of that shape, or their sum (); the slopes `c / u`.
    """
    error = prediction - target
    clipped = np.clip(error, -limit, limit)
    slope = clipped / unit
    return _total(slope * (error - clipped / 2), summed), slope


@kernel
def soft_margin(prediction: Array, target: Array, summed: bool) -> tuple[Array, Array, bool]:
    """The logistic loss `log(1 + e^(−t x))`, as `max(−t x, 0) + log(1 + e^(−|t x|))`, which never overflows.

    Args:
        prediction: x, of any shape.
        target: t, of the same shape and dtype, of 1 and −1.
        summed: the sum of the losses, not each.

    Returns:
        The losses, or their sum (); the slopes `−t σ(−t x)`; whether a target is wrong.
    """
    t, wrong = _right(target, (target != 1) & (target != -1))
    z = t * prediction
    e = np.exp(-np.abs(z))
    losses = np.maximum(-z, 0) + np.log1p(e)
    return _total(losses, summed), -t * (np.where(z >= 0, e, 1) / (1 + e)), wrong


@kernel
def poisson_nll(
    prediction: Array, target: Array, log_input: bool, full: bool, eps: float, summed: bool
) -> tuple[Array, Array, bool]:
    """The negative log-likelihood of counts `eˣ − t x`, or of λ itself `λ − t log(λ + ε)`.

    Args:
        prediction: x = log λ, or λ; of any shape.
        target: t, of the same shape and dtype, 0 or above.
        log_input: whether the prediction is log λ.
        full: add Stirling's `t log t − t + ½ log(2πt)` where t is above 1.
        eps: ε.
        summed: the sum of the losses, not each.

    Returns:
        The losses, or their sum (); the slopes `eˣ − t`, or `1 − t / (λ + ε)`; whether a target is wrong.
    """
    x, (t, wrong) = prediction, _right(target, target < 0)
    if log_input:
        e = np.exp(x)
        losses, slope = e - t * x, e - t
    else:
        losses, slope = x - t * np.log(x + eps), 1 - t / (x + eps)
    if full:
        n = np.maximum(t, 1)
        losses = losses + np.where(t > 1, n * np.log(n) - n + 0.5 * np.log(2 * math.pi * n), 0)
    return _total(losses, summed), slope, wrong


@kernel
def kl_divergence(
    prediction: Array, target: Array, log_target: bool, summed: bool
) -> tuple[Array, Array, bool]:
    """The Kullback-Leibler divergence `t (log t − x)`, where 0 log 0 = 0; of log t, `eᵗ (t − x)`.

    Args:
        prediction: x, log-probabilities of any shape.
        target: t, of the same shape and dtype; probabilities, 0 or above, or their logarithms.
        log_target: whether they are logarithms.
        summed: the sum of the losses, not each.

    Returns:
        The losses, or their sum (); the slopes `−t`, or `−eᵗ`; whether a target is wrong.
    """
    if log_target:
        q = np.exp(target)
        return _total(q * (target - prediction), summed), -q, False
    t, wrong = _right(target, target < 0)
    losses = t * np.log(np.where(t == 0, 1, t)) - t * prediction
    return _total(losses, summed), -t, wrong


@kernel
def binary_cross_entropy(
    prediction: Array, target: Array, weight: Array | None, summed: bool
) -> tuple[Array, Array, bool]:
    """Binary cross-entropy of probabilities: `−w [ t log p + (1 − t) log(1 − p) ]`.

    A logarithm is never below −100, the slope's divisor p (1 − p) never below 10⁻¹².

    Args:
        prediction: p, of any shape, between 0 and 1.
        target: t, of the same shape and dtype, between 0 and 1.
        weight: w, which broadcasts to p, in p's dtype; None is 1.
        summed: the sum of the losses, not each.

    Returns:
        The losses, or their sum (); the slopes `w (p − t) / (p (1 − p))`; whether a prediction or a target
        is wrong.
    """
    p, t = prediction, target
    t, wrong = _right(t, (p < 0) | (p > 1) | (t < 0) | (t > 1))
    losses = -(t * _log(p) + (1 - t) * _log(1 - p))
    slope = (p - t) / np.maximum(p * (1 - p), LEAST_PRODUCT)
    if weight is not None:
        losses, slope = weight * losses, weight * slope
    return _total(losses, summed), slope, wrong


def _total(losses: Array, summed: bool) -> Array:
    return np.asarray(losses.sum(dtype=np.float64), losses.dtype) if summed else losses


def _right(target: Array, wrong: Array) -> tuple[Array, bool]:
    """The target with NaN where it is wrong, and whether it is anywhere."""
    anywhere = bool(wrong.any())
    return np.where(wrong, np.nan, target) if anywhere else target, anywhere


def _log(p: Array) -> Array:
    """Log p, at least −100; the logarithm of 0 itself is not taken, as it would warn."""
    return np.where(p <= 0, LEAST_LOG, np.maximum(np.log(np.where(p <= 0, 1, p)), LEAST_LOG))
