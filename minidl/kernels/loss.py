"""Losses and their gradients: the readable references. What the gradient needs, the loss has already."""

from __future__ import annotations

import numpy as np

from minidl.array import Array
from minidl.kernels.registry import kernel

__all__ = ["cross_entropy", "cross_entropy_with_logits", "squared_error"]


@kernel
def cross_entropy(
    x: Array, target: Array, weight: Array | None, ignore_index: int, label_smoothing: float
) -> tuple[Array, Array, float]:
    """Softmax and negative log-likelihood in one: `loss = −Σ_c q_c log softmax(x)_c`, row by row.

    Args:
        x: logits (M, C), one row per decision.
        target: class indices (M,) of any integer type, or probabilities (M, C) in x's dtype.
        weight: a factor per class (C,) in x's dtype, or None.
        ignore_index: rows whose class index is this count for nothing.
        label_smoothing: ε, from 0 to 1.

    Returns:
        losses (M,); their gradients softmax(x) · Σ_c q_c − q (M, C); and what a mean divides by: the sum
        of the weights of the classes that were wanted, or M for probabilities.

    Raises:
        ValueError: a class index outside 0 … C−1.
    """
    q, divisor = _wanted(x, target, weight, ignore_index, label_smoothing)  # (M, C)
    shifted = x - x.max(axis=1, keepdims=True, initial=-np.inf)
    e = np.exp(shifted)
    sums = e.sum(axis=1, keepdims=True)
    log_p = shifted - np.log(sums)  # log softmax(x): the logarithm of eq. 15.1
    # −q log p, where 0 · log 0 = 0
    losses = -(q * np.where(q == 0, _zero_unless_nan(log_p), log_p)).sum(axis=1)  # (M,)  eq. 15.2
    dx = e / sums * q.sum(axis=1, keepdims=True) - q  # (M, C)  eq. 15.3
    return losses, dx, divisor


def _wanted(
    x: Array, target: Array, weight: Array | None, ignore_index: int, label_smoothing: float
) -> tuple[Array, float]:
    """The weighted distribution q that each row should have, and what the mean divides by."""
    rows, classes = x.shape
    weight = np.ones(classes, x.dtype) if weight is None else weight
    if target.ndim == 2:
        return (target * (1 - label_smoothing) + label_smoothing / classes) * weight, float(max(rows, 1))
    kept = target != ignore_index
    check_labels(target, classes, ignore_index)
    inside = np.where(kept, target, 0)
    q = np.full_like(x, label_smoothing / classes)
    q[np.arange(rows), inside] += 1 - label_smoothing
    q *= weight * kept[:, None]
    return q, float((weight[inside] * kept).sum(dtype=np.float64))


def check_labels(labels: Array, classes: int, ignore_index: int) -> None:
    """Refuse class indices that are neither a class nor ignored.

    Raises:
        ValueError: it names the first one and where it stands.
    """
    wrong = (labels != ignore_index) & ((labels < 0) | (labels >= classes))
    if wrong.any():
        where = int(wrong.argmax())
        raise ValueError(
            f"CrossEntropyLoss(): expected class indices from 0 to {classes - 1} (or ignore_index "
            f"{ignore_index}), got {labels[where]} at position {where}"
        )


def _zero_unless_nan(log_p: Array) -> Array:
    """0 where a logarithm is −∞, so that nothing times it is nothing; a NaN stays to be seen."""
    return np.where(np.isneginf(log_p), 0, log_p)


@kernel
def cross_entropy_with_logits(
    x: Array, target: Array, weight: Array | None, pos_weight: Array | None
) -> tuple[Array, Array]:
    """Sigmoid and binary cross-entropy in one: `loss = −w [ v t log σ(x) + (1 − t) log(1 − σ(x)) ]`.

    `log σ(x) = −log(1 + e⁻ˣ)` without overflow: `log(1 + e⁻ˣ) = max(−x, 0) + log(1 + e^(−|x|))`.

    Args:
        x: logits, of any shape.
        target: t, of the same shape and dtype, between 0 and 1.
        weight: w, which broadcasts to x, in x's dtype; None is 1.
        pos_weight: v, likewise, for the positive examples.

    Returns:
        The losses, and their gradients `w [ (1 − t) + ((v − 1) t + 1) (σ(x) − 1) ]`, both of x's shape.

    Raises:
        ValueError: a target outside 0 … 1.
    """
    t = target
    check_targets(t)
    w, v = (1 if factor is None else factor for factor in (weight, pos_weight))
    e = np.exp(-np.abs(x))
    softplus = np.maximum(-x, 0) + np.log1p(e)  # log(1 + e⁻ˣ) = −log σ(x)
    losses = w * ((1 - t) * x + ((v - 1) * t + 1) * softplus)
    sigmoid = np.where(x >= 0, 1, e) / (1 + e)
    return losses, w * ((1 - t) + ((v - 1) * t + 1) * (sigmoid - 1))


def check_targets(t: Array) -> None:
    """Refuse targets that are no probabilities.

    Raises:
        ValueError: it names the smallest and the largest.
    """
    if ((t < 0) | (t > 1)).any():
        raise ValueError(f"BCEWithLogitsLoss(): expected targets between 0 and 1, got {t.min()} … {t.max()}")


@kernel
def squared_error(prediction: Array, target: Array) -> tuple[Array, Array]:
    """The errors `p − t` and the sum of their squares.

    Args:
        prediction: p, of any shape.
        target: t, of the same shape and dtype.

    Returns:
        The errors, of that shape; the sum (), kept in float64, in p's dtype.
    """
    error = prediction - target
    total = np.square(error, dtype=np.float64).sum()
    return error, np.asarray(total, error.dtype)
