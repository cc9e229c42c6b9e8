"""Optimizers' steps, fused: each number of a parameter and of its state is read and written once.

What is the same for all numbers is worked out on the host, in float64.
"""

from __future__ import annotations

import math

import numpy as np

from minidl.array.device_array import DeviceArray
from minidl.array.gpu import cuda, gpu_kernel, real
from minidl.kernels import optim
from minidl.kernels.cuda.lanes import each, write_back

__all__ = ["adam_step", "sgd_step", "sparse_adam_step"]


@gpu_kernel(
    "real* theta, const real* g, real* b, bool has_b, real lr, real momentum, real share, real weight_decay, "
    "bool nesterov, int32 n"
)
def sgd_kernel(theta, g, b, has_b, lr, momentum, share, weight_decay, nesterov, n):
    """`share` is 1 − dampening."""
    i = cuda.grid(1)
    if i < n:
        slope = g[i]
        if weight_decay != real(0):
            slope += weight_decay * theta[i]
        step = slope
        if has_b:
            velocity = momentum * b[i] + share * slope
            b[i] = velocity
            step = slope + momentum * velocity if nesterov else velocity
        theta[i] -= lr * step  # eq. 15.4


@optim.sgd_step.register(DeviceArray)
def sgd_step(
    theta: DeviceArray,
    g: DeviceArray,
    b: DeviceArray | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
) -> None:
    """As the reference."""
    given = [theta] if b is None else [theta, b]
    flat = [array.contiguous() for array in given]
    each(
        sgd_kernel, theta.size, flat[0], g.contiguous(), flat[-1], b is not None,
        lr, momentum, 1 - dampening, weight_decay, nesterov,
    )  # fmt: skip
    write_back(flat, given)


@gpu_kernel(
    "real* theta, const real* g, real* m, real* v, real* largest, bool amsgrad, real step, real rest1, "
    "real beta2, real rest2, real root2, real eps, real weight_decay, real kept, int32 n"
)
def adam_kernel(
    theta, g, m, v, largest, amsgrad, step, rest1, beta2, rest2, root2, eps, weight_decay, kept, n
):
    """`step` is lr / (1 − β₁ᵗ), `root2` √(1 − β₂ᵗ); `rest1` and `rest2` are 1 − β₁ and 1 − β₂; `kept` is what
    decoupled decay leaves of a weight.
    """
    i = cuda.grid(1)
    if i < n:
        weight = kept * theta[i]
        slope = g[i]
        if weight_decay != real(0):
            slope += weight_decay * weight
        mean = m[i] + rest1 * (slope - m[i])  # = β₁ m + (1 − β₁) g
        square = beta2 * v[i] + rest2 * (slope * slope)
        m[i] = mean
        v[i] = square
        if amsgrad:
            before = largest[i]
            square = before if before > square or before != before else square
            largest[i] = square
        theta[i] = weight - step * mean / (math.sqrt(square) / root2 + eps)


@optim.adam_step.register(DeviceArray)
def adam_step(
    theta: DeviceArray,
    g: DeviceArray,
    m: DeviceArray,
    v: DeviceArray,
    largest: DeviceArray | None,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> None:
    """As the reference."""
    given = [theta, m, v] if largest is None else [theta, m, v, largest]
    flat = [array.contiguous() for array in given]
    each(
        adam_kernel, theta.size, flat[0], g.contiguous(), flat[1], flat[2], flat[-1], largest is not None,
        lr / (1 - beta1**t), 1 - beta1, beta2, 1 - beta2, math.sqrt(1 - beta2**t), eps,
        0.0 if decoupled else weight_decay, 1 - lr * weight_decay if decoupled else 1.0,
    )  # fmt: skip
    write_back(flat, given)


@gpu_kernel(
    "real* theta, const int64* rows, const real* g, real* m, real* v, real step, real rest1, real rest2, "
    "real eps, int32 columns, int32 count, int32 n"
)
def sparse_adam_kernel(theta, rows, g, m, v, step, rest1, rest2, eps, columns, count, n):
    """`step` is lr √(1 − β₂ᵗ) / (1 − β₁ᵗ); a thread per number of g. A row that is none is left alone."""
    j = cuda.grid(1)
    if j < n:
        row = rows[j // columns]
        if row >= 0 and row < count:
            i = row * columns + j % columns
            slope = g[j]
            mean = m[i] + rest1 * (slope - m[i])
            square = v[i] + rest2 * (slope * slope - v[i])
            m[i] = mean
            v[i] = square
            theta[i] -= step * mean / (math.sqrt(square) + eps)


@optim.sparse_adam_step.register(DeviceArray)
def sparse_adam_step(
    theta: DeviceArray,
    rows: DeviceArray,
    g: DeviceArray,
    m: DeviceArray,
    v: DeviceArray,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
) -> None:
    """As the reference."""
    given = [theta, m, v]
    flat = [array.contiguous() for array in given]
    each(
        sparse_adam_kernel, g.size, flat[0], rows.astype(np.int64, copy=False).contiguous(), g.contiguous(),
        flat[1], flat[2], lr * math.sqrt(1 - beta2**t) / (1 - beta1**t), 1 - beta1, 1 - beta2, eps,
        theta.shape[1], len(theta),
    )  # fmt: skip
    write_back(flat, given)
