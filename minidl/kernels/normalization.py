"""Batch normalisation and its gradient: the readable references."""

from __future__ import annotations

import numpy as np

from minidl.array import Array
from minidl.kernels.registry import kernel

__all__ = ["batch_norm", "batch_norm_fixed", "batch_norm_input_grad", "move_statistics"]


@kernel
def batch_norm(x: Array, gamma: Array | None, beta: Array | None, eps: float) -> tuple[Array, Array, Array]:
    """Bring every channel to mean 0 and variance 1, then to β and γ²: `y = γ (x − mean) / √(var + eps) + β`.

    Args:
        x: (N, C, …), with at least one value per channel.
        gamma: (C,) in x's dtype; None is 1.
        beta: (C,) likewise; None is 0.
        eps: added to the variance.

    Returns:
        y, of x's shape; mean and variance (with n) of each channel, (C,). Their sums are kept in float64.
    """
    axes = (0, *range(2, x.ndim))
    mean = x.mean(axis=axes, dtype=np.float64).astype(x.dtype)  # (C,)
    deviation = x - _per_channel(mean, x)
    var = (deviation * deviation).mean(axis=axes, dtype=np.float64).astype(x.dtype)  # (C,)
    return batch_norm_fixed.reference(x, mean, var, gamma, beta, eps), mean, var


@kernel
def batch_norm_fixed(
    x: Array, mean: Array, var: Array, gamma: Array | None, beta: Array | None, eps: float
) -> Array:
    """The same with a mean and a variance that are given, (C,) in x's dtype."""
    y = (x - _per_channel(mean, x)) * _per_channel(1 / np.sqrt(var + eps), x)
    if gamma is not None:
        y *= _per_channel(gamma, x)
    if beta is not None:
        y += _per_channel(beta, x)
    return y


@kernel
def move_statistics(running_mean: Array, running_var: Array, mean: Array, var: Array, m: float) -> None:
    """Move running statistics, in place, towards a batch's: `running ← (1 − m)·running + m·batch`, (C,)."""
    running_mean[...] = (1 - m) * running_mean + m * mean
    running_var[...] = (1 - m) * running_var + m * var


@kernel
def batch_norm_input_grad(
    dy: Array, x: Array, mean: Array, var: Array, gamma: Array | None, eps: float, of_batch: bool
) -> tuple[Array, Array, Array]:
    """The gradients of the input, γ and β.

    With x̂ = (x − mean) / σ, σ² = var + eps and dx̂ = γ dy they are
    `dγ = Σ dy x̂`, `dβ = Σ dy`, `dx = (dx̂ − mean(dx̂) − x̂ mean(dx̂ x̂)) / σ`.

    Args:
        dy: the upstream gradient, of x's shape and dtype.
        x: what forward was given.
        mean: what it used, (C,).
        var: likewise.
        gamma: (C,) or None.
        eps: as in forward.
        of_batch: whether mean and variance came from x, and move with it; else dx = dx̂ / σ.

    Returns:
        dx, of x's shape; dγ and dβ, (C,).
    """
    axes = (0, *range(2, x.ndim))
    inv_std = 1 / np.sqrt(var + eps)  # (C,)
    xhat = (x - _per_channel(mean, x)) * _per_channel(inv_std, x)
    dgamma = (dy * xhat).sum(axis=axes, dtype=np.float64).astype(x.dtype)  # (C,)
    dbeta = dy.sum(axis=axes, dtype=np.float64).astype(x.dtype)
    scale = inv_std if gamma is None else gamma * inv_std  # dx̂ / σ = scale · dy
    dx = dy * _per_channel(scale, x)
    if of_batch:
        n = max(1, x.size // max(1, len(mean)))
        through_mean = _per_channel(scale * dbeta / n, x)
        through_var = xhat * _per_channel(scale * dgamma / n, x)
        dx -= through_mean + through_var
    return dx, dgamma, dbeta


def _per_channel(values: Array, like: Array) -> Array:
    """(C,) → (C, 1, …), which broadcasts along the channels."""
    return values.reshape(-1, *[1] * (like.ndim - 2))
