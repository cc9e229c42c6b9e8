"""Optimizers' steps, each in one pass: a parameter, its gradient and its state are read and written once."""

from __future__ import annotations

import math

import numpy as np

from minidl.array import Array
from minidl.kernels import optim
from minidl.kernels.numba_cpu.arguments import where
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.tasks import rows_of_task, tasks

__all__ = ["adam_step", "sgd_step", "sparse_adam_step"]

PIECE = 16_384  # numbers of a parameter that one task steps


@optim.sgd_step.register(np.ndarray)
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
    """As the reference, which takes what does not lie in one piece."""
    fit = g.shape == theta.shape and (b is None or b.shape == theta.shape)
    if not fit or not theta.flags.c_contiguous or not (b is None or b.flags.c_contiguous):
        optim.sgd_step.reference(theta, g, b, lr, momentum, dampening, weight_decay, nesterov)
        return
    # (ravel is a view here; a gradient that does not lie in one piece is copied)
    with POOL.team(4 * theta.size) as team:
        if b is None:
            _plain(theta.ravel(), g.ravel(), lr, weight_decay, team)
        else:
            _momentum(
                theta.ravel(), g.ravel(), b.ravel(), lr, momentum, 1 - dampening, weight_decay, nesterov, team
            )


@jit
def _piece(x: Array, task: int) -> Array:
    """The task's part, as an array of its own, whose indices no loop needs to check."""
    return x[task * PIECE : (task + 1) * PIECE]


@jit
def _plain(theta: Array, g: Array, lr: float, decay: float, team: int) -> None:
    kind = theta.dtype.type
    _plain_piece(team, -(-len(theta) // PIECE), (theta, g, kind(lr), kind(decay)))


@tasks
def _plain_piece(task, thread, theta, g, lr, decay):
    theta, g = _piece(theta, task), _piece(g, task)
    for i in range(len(theta)):
        d = g[i] + decay * theta[i] if decay != 0 else g[i]
        theta[i] -= lr * d


@jit
def _momentum(
    theta: Array,
    g: Array,
    b: Array,
    lr: float,
    mu: float,
    new: float,
    decay: float,
    nesterov: bool,
    team: int,
) -> None:
    kind = theta.dtype.type
    _momentum_piece(
        team, -(-len(theta) // PIECE), (theta, g, b, kind(lr), kind(mu), kind(new), kind(decay), nesterov)
    )


@tasks
def _momentum_piece(task, thread, theta, g, b, lr, mu, new, decay, nesterov):
    theta, g, b = _piece(theta, task), _piece(g, task), _piece(b, task)
    for i in range(len(theta)):
        d = g[i] + decay * theta[i] if decay != 0 else g[i]
        speed = mu * b[i] + new * d
        b[i] = speed
        theta[i] -= lr * (d + mu * speed if nesterov else speed)


@optim.adam_step.register(np.ndarray)
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
    """As the reference, which takes what does not lie in one piece, and AMSGrad."""
    fit = theta.shape == g.shape == m.shape == v.shape
    together = theta.flags.c_contiguous and m.flags.c_contiguous and v.flags.c_contiguous
    if largest is not None or not fit or not together:
        optim.adam_step.reference(theta, g, m, v, largest, t, lr, beta1, beta2, eps, weight_decay, decoupled)
        return
    shrink, decay = (1 - lr * weight_decay, 0.0) if decoupled else (1.0, weight_decay)
    size, root = lr / (1 - beta1**t), math.sqrt(1 - beta2**t)
    with POOL.team(20 * theta.size) as team:
        _adam(
            theta.ravel(), g.ravel(), m.ravel(), v.ravel(),
            size, root, 1 - beta1, beta2, 1 - beta2, eps, decay, shrink, team,
        )  # fmt: skip


@jit
def _adam(
    theta: Array, g: Array, m: Array, v: Array,
    size: float, root: float, new1: float, beta2: float, new2: float, eps: float, decay: float, shrink: float,
    team: int,
) -> None:  # fmt: skip
    kind = theta.dtype.type
    numbers = (
        kind(size),
        kind(root),
        kind(new1),
        kind(beta2),
        kind(new2),
        kind(eps),
        kind(decay),
        kind(shrink),
    )
    _adam_piece(team, -(-len(theta) // PIECE), (theta, g, m, v, numbers))


@tasks
def _adam_piece(task, thread, theta, g, m, v, numbers):
    size, root, new1, beta2, new2, eps, decay, shrink = numbers
    theta, g, m, v = _piece(theta, task), _piece(g, task), _piece(m, task), _piece(v, task)
    for i in range(len(theta)):
        before = theta[i] * shrink
        d = g[i] + decay * before if decay != 0 else g[i]
        mean = m[i] + new1 * (d - m[i])
        square = v[i] * beta2 + new2 * (d * d)
        m[i] = mean
        v[i] = square
        theta[i] = before - size * mean / (math.sqrt(square) / root + eps)


def _of_rows(theta: Array, rows: Array, g: Array, m: Array, v: Array, *_: object) -> bool:
    """Whether the tables lie in one piece, and every row is one of theirs."""
    together = theta.flags.c_contiguous and m.flags.c_contiguous and v.flags.c_contiguous
    fit = theta.shape == m.shape == v.shape and g.shape == (len(rows), *theta.shape[1:]) and theta.ndim == 2
    return together and fit and (not rows.size or (rows.min() >= 0 and rows.max() < len(theta)))


@optim.sparse_adam_step.register(np.ndarray)
@where(_of_rows, optim.sparse_adam_step)
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
    """As the reference."""
    numbers = (lr * math.sqrt(1 - beta2**t) / (1 - beta1**t), 1 - beta1, 1 - beta2, float(eps))
    with POOL.team(20 * g.size) as team:
        _sparse_adam(theta, rows.astype(np.int64), np.ascontiguousarray(g), m, v, numbers, team)


@jit
def _sparse_adam(theta, rows, g, m, v, numbers, team):
    height = rows_of_task(g.shape[1], PIECE)
    _sparse_adam_rows(team, -(-len(g) // height), (theta, rows, g, m, v, numbers, height))


@tasks
def _sparse_adam_rows(task, thread, theta, rows, g, m, v, numbers, height):
    kind = theta.dtype.type
    size, new1, new2, eps = kind(numbers[0]), kind(numbers[1]), kind(numbers[2]), kind(numbers[3])
    for j in range(task * height, min((task + 1) * height, len(g))):
        r = rows[j]
        weights, slopes, means, squares = theta[r], g[j], m[r], v[r]
        for d in range(len(slopes)):
            mean = means[d] + new1 * (slopes[d] - means[d])
            square = squares[d] + new2 * (slopes[d] * slopes[d] - squares[d])
            means[d] = mean
            squares[d] = square
            weights[d] -= size * mean / (math.sqrt(square) + eps)
