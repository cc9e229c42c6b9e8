"""Optimizers' steps: the readable references. These kernels alone change arrays that they are given."""

from __future__ import annotations

import math

import numpy as np

from minidl.array import Array
from minidl.kernels.registry import kernel

__all__ = ["adam_step", "sgd_step", "sparse_adam_step"]


@kernel
def sgd_step(
    theta: Array,
    g: Array,
    b: Array | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
) -> None:
    """One step of gradient descent: changes `theta` and `b`.

    Args:
        theta: a parameter's values, of any shape.
        g: the gradient, of theta's shape and dtype.
        b: the momentum buffer, likewise; None without momentum.
        lr: learning rate.
        momentum: μ, how much of b stays.
        dampening: τ, how much of the gradient is left out of b.
        weight_decay: λ.
        nesterov: whether to step by g + μ b, and not by b.
    """
    if weight_decay != 0:
        g = g + weight_decay * theta
    d = g
    if b is not None:
        b *= momentum
        b += (1 - dampening) * g
        d = g + momentum * b if nesterov else b
    theta -= lr * d  # eq. 15.4


@kernel
def adam_step(
    theta: Array,
    g: Array,
    m: Array,
    v: Array,
    largest: Array | None,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> None:
    """One step of Adam, or with `decoupled` of AdamW: changes `theta`, `m`, `v` and `largest`.

    Args:
        theta: a parameter's values, of any shape.
        g: the gradient, of theta's shape and dtype.
        m: the mean of the gradient, likewise; 0 before the first step.
        v: the mean of its square.
        largest: the largest v so far, for AMSGrad; else None.
        t: the number of this step, from 1.
        lr: learning rate.
        beta1: how much of m stays.
        beta2: how much of v stays.
        eps: ε, keeps the quotient finite where all gradients were 0.
        weight_decay: λ.
        decoupled: whether the decay shrinks theta itself, and is no part of the gradient.
    """
    if decoupled:
        theta *= 1 - lr * weight_decay
    elif weight_decay != 0:
        g = g + weight_decay * theta
    m += (1 - beta1) * (g - m)  # = β₁ m + (1 − β₁) g
    v *= beta2
    v += (1 - beta2) * (g * g)
    if largest is not None:
        v = np.maximum(largest, v, out=largest)
    # the corrections are numbers, so they cost nothing when they are not applied to m and v themselves
    correction1, correction2 = 1 - beta1**t, 1 - beta2**t
    theta -= (lr / correction1) * m / (np.sqrt(v) / math.sqrt(correction2) + eps)


@kernel
def sparse_adam_step(
    theta: Array,
    rows: Array,
    g: Array,
    m: Array,
    v: Array,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
) -> None:
    """One step of SparseAdam: changes those rows of `theta`, `m` and `v`.

    Args:
        theta: a table, (R, D).
        rows: (n,), integers from 0 to R − 1, each of them once.
        g: (n, D), their gradients, of theta's dtype.
        m: the mean of the gradient, (R, D); 0 before the first step.
        v: the mean of its square.
        t: the number of this step, from 1.
        lr: learning rate.
        beta1: how much of m stays.
        beta2: how much of v stays.
        eps: ε, keeps the quotient finite where all gradients were 0.
    """
    mean, square = m[rows], v[rows]  # (n, D), copies
    mean += (1 - beta1) * (g - mean)
    square += (1 - beta2) * (g * g - square)
    m[rows], v[rows] = mean, square
    theta[rows] -= lr * math.sqrt(1 - beta2**t) / (1 - beta1**t) * mean / (np.sqrt(square) + eps)
