"""What losses of class indices read and write: few numbers of many. The readable references."""

from __future__ import annotations

import numpy as np

from minidl.array import Array
from minidl.kernels.registry import kernel

__all__ = ["multi_margin", "nll", "nll_input_grad"]


@kernel
def nll(x: Array, labels: Array, weight: Array | None, ignore_index: int) -> tuple[Array, Array, bool]:
    """The negative log-likelihood of a class by its log-probability, `−w_t x[i, t]`.

    Args:
        x: log-probabilities (M, C).
        labels: t (M,), of any integer type.
        weight: w, a factor per class (C,) in x's dtype, or None.
        ignore_index: rows whose label is this count for nothing, whatever stands there.

    Returns:
        The losses (M,); w_t (M,), 0 where the label is ignored; and whether another is outside 0 … C−1,
        whose loss and w_t are NaN.
    """
    wanted = _one_hot(labels, x.shape[1]) & (labels != ignore_index)[:, None]
    w = np.where(wanted, 1 if weight is None else weight, np.zeros((), x.dtype)).sum(axis=1)
    wrong = (labels != ignore_index) & ((labels < 0) | (labels >= x.shape[1]))
    w = np.where(wrong, np.nan, w)
    return -w * np.where(wanted, x, 0).sum(axis=1), w, bool(wrong.any())


@kernel
def nll_input_grad(dy: Array, labels: Array, classes: int) -> Array:
    """The gradient of the log-probabilities: dy at the class, else 0.

    Args:
        dy: (M,).
        labels: t (M,), of any integer type.
        classes: C.

    Returns:
        dx (M, C).
    """
    return np.where(_one_hot(labels, classes), dy[:, None], 0)


@kernel
def multi_margin(
    x: Array, labels: Array, weight: Array | None, power: int, margin: float
) -> tuple[Array, Array]:
    """The right class should lead by a margin: `w_t Σ_{i≠t} z_i^p / C` with `z_i = max(0, m − x_t + x_i)`.

    Args:
        x: (M, C).
        labels: t (M,), of any integer type, 0 … C−1.
        weight: w, a factor per class (C,) in x's dtype, or None.
        power: p, 1 or 2.
        margin: m.

    Returns:
        The losses (M,), and their gradients (M, C): `w_t p z_i^(p−1) / C` where z_i > 0, and at the class t
        the sum of these, taken away.
    """
    wanted = _one_hot(labels, x.shape[1])
    w = 1 if weight is None else np.where(wanted, weight, 0).sum(axis=1, keepdims=True)  # (M, 1)
    right = np.where(wanted, x, 0).sum(axis=1, keepdims=True)  # (M, 1)
    z = np.where(wanted, 0, np.maximum(margin - right + x, 0))  # (M, C)
    losses = (w * (z if power == 1 else z * z)).sum(axis=1) / x.shape[1]
    slope = (z > 0).astype(x.dtype) if power == 1 else 2 * z
    dx = slope * w / x.shape[1]
    return losses, np.where(wanted, -dx.sum(axis=1, keepdims=True), dx)


def _one_hot(labels: Array, classes: int) -> Array:
    """Where each row's class is, (M, C)."""
    return np.arange(classes) == labels[:, None]
