"""Losses with their gradients, in one pass: a row stays in the cache until its gradient is written."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import loss
from minidl.kernels.numba_cpu.arguments import BLANK, alike, where
from minidl.kernels.numba_cpu.exponential import exp, log1p
from minidl.kernels.numba_cpu.jit import SUMS, jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.rows import add_up, exponentials, shift
from minidl.kernels.numba_cpu.tasks import rows_of_task, tasks

__all__ = ["cross_entropy", "cross_entropy_with_logits", "squared_error"]

COST = 4  # as many plain operations as a logit takes the time of, its exponential included
PIECE = 4096  # numbers that one task takes, about
RUN = 512  # squares that are added in the array's dtype, the rest in float64


def _fits(x: Array, target: Array, weight: Array | None, *_: Any) -> bool:
    fits = x.ndim == 2 and (target.shape == x.shape[:1] or target.shape == x.shape)
    return fits and (weight is None or weight.shape == x.shape[1:2])


@loss.cross_entropy.register(np.ndarray)
@where(_fits, loss.cross_entropy)
def cross_entropy(
    x: Array, target: Array, weight: Array | None, ignore_index: int, label_smoothing: float
) -> tuple[Array, Array, float]:
    """As the reference."""
    if target.ndim == 2:
        return _of_probabilities(x, target, weight, label_smoothing)
    rows, classes = x.shape
    labels = target
    if labels.dtype != np.int64:
        far = labels.dtype == np.uint64  # numbers that int64 does not have are wrong, and have to stay so
        labels = (np.minimum(labels, np.uint64(2**62)) if far else labels).astype(np.int64)
    losses, dx = np.empty(rows, x.dtype), np.empty((rows, classes), x.dtype)
    with POOL.team(COST * dx.size) as team:
        divisor = _cross_entropy(
            np.ascontiguousarray(x),
            np.ascontiguousarray(labels),
            BLANK[x.dtype] if weight is None else np.ascontiguousarray(weight),
            ignore_index, label_smoothing, losses, dx, team,
        )  # fmt: skip
    if divisor < 0:
        loss.check_labels(target, classes, ignore_index)
    return losses, dx, divisor


@jit
def _cross_entropy(
    x: Array,
    labels: Array,
    weight: Array,
    ignore_index: int,
    smoothing: float,
    losses: Array,
    dx: Array,
    team: int,
) -> float:
    """What the mean divides by, or −1 where a label is wrong."""
    rows, classes = x.shape
    divisor = 0.0
    for row in range(rows):
        label = labels[row]
        if label != ignore_index:
            if label < 0 or label >= classes:
                return -1.0
            divisor += weight[label] if len(weight) else 1.0
    height = rows_of_task(classes, PIECE)
    _some_rows(team, -(-rows // height), (x, labels, weight, ignore_index, smoothing, losses, dx, height))
    return divisor


@tasks
def _some_rows(task, thread, x, labels, weight, ignore_index, smoothing, losses, dx, height):
    one = x.dtype.type(1)
    keep, spread = x.dtype.type(1 - smoothing), x.dtype.type(smoothing / max(1, x.shape[1]))
    weights = x.dtype.type(0)
    for c in range(len(weight)):
        weights += weight[c]
    if len(weight) == 0:
        weights += x.shape[1]
    first, last = task * height, min(len(x), (task + 1) * height)
    for row in range(first, last):
        losses[row] = shift(x[row], dx[row])
    exponentials(dx[first:last].reshape(-1))  # of all rows at once, which may be short
    for row in range(first, last):
        largest, label, total = losses[row], labels[row], add_up(dx[row])
        log_total = x.dtype.type(math.log(total)) if total > 0 else total - total  # NaN
        if label == ignore_index:
            losses[row] = log_total - log_total  # 0, or NaN
            factor = log_total - log_total
            for c in range(dx.shape[1]):
                dx[row, c] *= factor
            continue
        # q = keep · weight of the label there, and spread · weight everywhere
        wanted = keep * (weight[label] if len(weight) else one)
        log_p = (x[row, label] - largest) - log_total
        value = -wanted * log_p if wanted != 0 else log_total - log_total
        factor = (wanted + spread * weights) / total
        for c in range(dx.shape[1]):
            dx[row, c] *= factor
        dx[row, label] -= wanted
        if spread != 0:
            value += _smooth(x[row], largest + log_total, weight, spread)
            _take_away(dx[row], weight, spread)
        losses[row] = value


@functools.partial(jit, fastmath=SUMS)
def _smooth(x: Array, log_total: float, weight: Array, spread: float) -> float:
    """What the share that smoothing gives to every class adds to the loss."""
    zero, least = x.dtype.type(0), x.dtype.type(-math.inf)
    value = zero
    if len(weight) == 0:
        for c in range(len(x)):
            value -= x[c] - log_total
        return spread * value
    for c in range(len(x)):
        log_p = x[c] - log_total
        value -= weight[c] * (zero if (weight[c] == zero) & (log_p == least) else log_p)
    return spread * value


@jit
def _take_away(dx: Array, weight: Array, spread: float) -> None:
    """That share's gradient."""
    if len(weight) == 0:
        for c in range(len(dx)):
            dx[c] -= spread
    else:
        for c in range(len(dx)):
            dx[c] -= spread * weight[c]


def _of_probabilities(
    x: Array, target: Array, weight: Array | None, smoothing: float
) -> tuple[Array, Array, float]:
    losses, dx = np.empty(len(x), x.dtype), empty(x.shape, x.dtype)
    weight = np.ones(x.shape[1], x.dtype) if weight is None else np.ascontiguousarray(weight)
    with POOL.team(COST * dx.size) as team:
        _distributions(
            np.ascontiguousarray(x), np.ascontiguousarray(target), weight, smoothing, losses, dx, team
        )
    return losses, dx, float(max(len(x), 1))


@jit
def _distributions(
    x: Array, target: Array, weight: Array, smoothing: float, losses: Array, dx: Array, team: int
) -> None:
    height = rows_of_task(x.shape[1], PIECE)
    how = (x, target, weight, smoothing, losses, dx, height)
    _some_distributions(team, -(-len(x) // height), how)


@tasks
def _some_distributions(task, thread, x, target, weight, smoothing, losses, dx, height):
    keep, spread = x.dtype.type(1 - smoothing), x.dtype.type(smoothing / max(1, x.shape[1]))
    first, last = task * height, min(len(x), (task + 1) * height)
    for row in range(first, last):
        losses[row] = shift(x[row], dx[row])
    exponentials(dx[first:last].reshape(-1))
    for row in range(first, last):
        total = add_up(dx[row])
        log_total = x.dtype.type(math.log(total)) if total > 0 else total - total  # NaN
        value, shares = _against(x[row], losses[row] + log_total, target[row], weight, keep, spread)
        losses[row] = value
        factor = shares / total
        numbers, wanted = dx[row], target[row]
        for c in range(len(numbers)):
            numbers[c] = numbers[c] * factor - (keep * wanted[c] + spread) * weight[c]


@functools.partial(jit, fastmath=SUMS)
def _against(
    x: Array, log_total: float, target: Array, weight: Array, keep: float, spread: float
) -> tuple[Any, Any]:
    """−Σ q log p, where 0 · log 0 = 0, and Σ q; with q = (keep · t + spread) · w."""
    zero, least = x.dtype.type(0), x.dtype.type(-math.inf)
    value = shares = zero
    for c in range(len(x)):
        q = (keep * target[c] + spread) * weight[c]
        log_p = x[c] - log_total
        log_p = zero if (q == zero) & (log_p == least) else log_p
        value -= q * log_p
        shares += q
    return value, shares


@loss.cross_entropy_with_logits.register(np.ndarray)
@where(alike, loss.cross_entropy_with_logits)
def cross_entropy_with_logits(
    x: Array, target: Array, weight: Array | None, pos_weight: Array | None
) -> tuple[Array, Array]:
    """As the reference; weights are left to it."""
    if weight is not None or pos_weight is not None:
        return loss.cross_entropy_with_logits.reference(x, target, weight, pos_weight)
    losses, dx = empty(x.shape, x.dtype), empty(x.shape, x.dtype)
    with POOL.team(2 * COST * x.size) as team:
        wrong = _binary(
            np.ascontiguousarray(x).reshape(-1),
            np.ascontiguousarray(target).reshape(-1),
            losses.reshape(-1),
            dx.reshape(-1),
            team,
        )
    if wrong:
        loss.check_targets(target)
    return losses, dx


@jit
def _binary(x: Array, target: Array, losses: Array, dx: Array, team: int) -> int:
    """How many targets are wrong."""
    pieces = -(-len(x) // PIECE)
    wrong = np.zeros(pieces, np.int64)
    _some_logits(team, pieces, (x, target, losses, dx, wrong))
    return wrong.sum()


@tasks
def _some_logits(task, thread, x, target, losses, dx, wrong):
    first, last = task * PIECE, min(len(x), (task + 1) * PIECE)
    wrong[task] = _binary_piece(x[first:last], target[first:last], losses[first:last], dx[first:last])


@jit
def _binary_piece(x: Array, target: Array, losses: Array, dx: Array) -> int:
    zero, one = x.dtype.type(0), x.dtype.type(1)
    wrong = 0
    for i in range(len(x)):
        z, t = x[i], target[i]
        e = exp(-abs(z))
        losses[i] = (one - t) * z + (max(-z, zero) + log1p(e))
        dx[i] = (one if z >= zero else e) / (one + e) - t
        wrong += (t < zero) | (t > one)
    return wrong


@loss.squared_error.register(np.ndarray)
@where(alike, loss.squared_error)
def squared_error(prediction: Array, target: Array) -> tuple[Array, Array]:
    """As the reference."""
    error = empty(prediction.shape, prediction.dtype)
    with POOL.team(4 * prediction.size) as team:
        total = _squares(
            np.ascontiguousarray(prediction).reshape(-1),
            np.ascontiguousarray(target).reshape(-1),
            error.reshape(-1),
            team,
        )
    return error, np.asarray(total, error.dtype)


@jit
def _squares(prediction: Array, target: Array, error: Array, team: int) -> float:
    pieces = -(-len(error) // PIECE)
    partial = np.empty(pieces)
    _some_errors(team, pieces, (prediction, target, error, partial))
    total = 0.0
    for piece in range(pieces):
        total += partial[piece]
    return total


@tasks
def _some_errors(task, thread, prediction, target, error, partial):
    total = 0.0
    for first in range(task * PIECE, min(len(error), (task + 1) * PIECE), RUN):
        last = min(len(error), first + RUN)
        _subtract(prediction[first:last], target[first:last], error[first:last])
        total += _squares_of_run(error[first:last])
    partial[task] = total


@jit
def _subtract(prediction: Array, target: Array, error: Array) -> None:
    for i in range(len(error)):
        error[i] = prediction[i] - target[i]


@functools.partial(jit, fastmath=SUMS)
def _squares_of_run(error: Array) -> float:
    total = error.dtype.type(0)
    for i in range(len(error)):
        total += error[i] * error[i]
    return total
