"""Normalisation of each image by itself, and its gradient: the readable references.

One function serves four layers, which differ only in what is a group: all features of a position (layer norm,
and RMS norm without the mean), some channels of an image (group norm), one channel of it (instance norm).

Letters: N rows or images, C features or channels of P pixels each (1 of a feature), G groups of channels.
"""

from __future__ import annotations

import numpy as np

from minidl.array import Array
from minidl.kernels.registry import kernel

__all__ = ["group_norm", "group_norm_input_grad"]


@kernel
def group_norm(
    x: Array, gamma: Array | None, beta: Array | None, groups: int, eps: float, centred: bool
) -> tuple[Array, Array, Array]:
    """Bring every group of every image to mean 0 and variance 1: `y = γ (x − mean) / √(var + eps) + β`.

    Args:
        x: (N, C, P), with at least one channel and one pixel.
        gamma: (C,) in x's dtype; None is 1.
        beta: (C,) likewise; None is 0.
        groups: G, into which the channels are divided.
        eps: added to the variance.
        centred: False takes the mean as 0, so that the variance is the mean square (RMS norm).

    Returns:
        y, of x's shape; mean and variance of each group, (N, G). Their sums are kept in float64.
    """
    rows = x.reshape(len(x), groups, x.shape[1] // groups * x.shape[2])  # (N, G, C/G·P)
    mean = np.zeros(rows.shape[:2], x.dtype)  # (N, G)
    if centred:
        mean = rows.mean(axis=2, dtype=np.float64).astype(x.dtype)
    deviation = rows - mean[:, :, None]
    var = (deviation * deviation).mean(axis=2, dtype=np.float64).astype(x.dtype)  # (N, G)
    y = (deviation * (1 / np.sqrt(var + eps))[:, :, None]).reshape(x.shape)  # (N, C, P)
    if gamma is not None:
        y *= gamma[:, None]
    if beta is not None:
        y += beta[:, None]
    return y, mean, var


@kernel
def group_norm_input_grad(
    dy: Array, x: Array, mean: Array, var: Array, gamma: Array | None, eps: float, centred: bool
) -> tuple[Array, Array, Array]:
    """The gradients of the input, γ and β.

    With x̂ = (x − mean) / σ, σ² = var + eps and dx̂ = γ dy they are `dγ = Σ dy x̂`, `dβ = Σ dy`,
    `dx = (dx̂ − mean(dx̂) − x̂ mean(dx̂ x̂)) / σ`, without mean(dx̂) where the mean was taken as 0.

    Args:
        dy: the upstream gradient, of x's shape and dtype.
        x: what forward was given, (N, C, P).
        mean: of each group, (N, G), as forward returned it.
        var: likewise.
        gamma: (C,) or None.
        eps: as in forward.
        centred: as in forward.

    Returns:
        dx, of x's shape; dγ and dβ, (C,).
    """
    groups = mean.shape[1]
    shape = (len(x), groups, x.shape[1] // groups * x.shape[2])
    inv_std = (1 / np.sqrt(var + eps))[:, :, None]  # (N, G, 1)
    xhat = (x.reshape(shape) - mean[:, :, None]) * inv_std  # (N, G, C/G·P)
    dgamma = (dy * xhat.reshape(x.shape)).sum(axis=(0, 2), dtype=np.float64).astype(x.dtype)  # (C,)
    dbeta = dy.sum(axis=(0, 2), dtype=np.float64).astype(x.dtype)
    dxhat = (dy if gamma is None else dy * gamma[:, None]).reshape(shape)  # (N, G, C/G·P)
    share = (dxhat * xhat).mean(axis=2, keepdims=True, dtype=np.float64).astype(x.dtype)  # (N, G, 1)
    dx = dxhat - xhat * share
    if centred:
        dx -= dxhat.mean(axis=2, keepdims=True, dtype=np.float64).astype(x.dtype)
    return (dx * inv_std).reshape(x.shape), dgamma, dbeta
