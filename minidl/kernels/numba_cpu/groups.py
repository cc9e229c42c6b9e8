"""Normalisation of groups: their numbers are neighbours, and stay in the cache for all passes but the first.

Where channels have many pixels, γ and β are two numbers per run of them. Where they have few, or one as the
features of a layer norm, γ and β are laid out like the numbers of an image, so that a loop runs over a whole
group; then the sums for dγ and dβ are added up like rows, some images a task.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import groups as references
from minidl.kernels.numba_cpu.arguments import where
from minidl.kernels.numba_cpu.jit import SUMS, jit
from minidl.kernels.numba_cpu.normalization import (
    deviation_products,
    fold,
    gradient,
    normalise,
    square_deviations,
)
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.sums import RUN, add_up
from minidl.kernels.numba_cpu.tasks import rows_of_task, tasks

__all__ = ["group_norm", "group_norm_input_grad"]

SHORT = 32  # pixels per channel below which γ is laid out like an image
PIECE = 16_384  # numbers of one task
FEW = 16  # images whose gradients are added up in the array's dtype


def _fits(x: Array, gamma: Array | None, beta: Array | None, groups: int, *_: Any) -> bool:
    of_channels = all(a is None or a.shape == x.shape[1:2] for a in (gamma, beta))
    return x.ndim == 3 and of_channels and x.shape[1] % groups == 0 < x.shape[1] * x.shape[2]


def _fits_back(dy: Array, x: Array, mean: Array, var: Array, gamma: Array | None, *_: Any) -> bool:
    per_group = mean.ndim == 2 and mean.shape == var.shape and len(mean) == len(x) and mean.shape[1] > 0
    return dy.shape == x.shape and per_group and _fits(x, gamma, None, mean.shape[1])


@references.group_norm.register(np.ndarray)
@where(_fits, references.group_norm)
def group_norm(
    x: Array, gamma: Array | None, beta: Array | None, groups: int, eps: float, centred: bool
) -> tuple[Array, Array, Array]:
    """As the reference."""
    n, channels, pixels = x.shape
    y, mean, var = empty(x.shape, x.dtype), np.zeros((n, groups), x.dtype), np.empty((n, groups), x.dtype)
    gammas = _laid_out(gamma, x, 1)
    betas = _laid_out(beta, x, 0)
    rows = (n * groups, channels // groups * pixels)
    given = np.ascontiguousarray(x).reshape(rows)
    with POOL.team(8 * x.size) as team:
        how = (mean.reshape(-1), var.reshape(-1), gammas, betas, groups, eps, centred)
        _forward(given, *how, y.reshape(rows), pixels if pixels >= SHORT else 1, team)
    return y, mean, var


@references.group_norm_input_grad.register(np.ndarray)
@where(_fits_back, references.group_norm_input_grad)
def group_norm_input_grad(
    dy: Array, x: Array, mean: Array, var: Array, gamma: Array | None, eps: float, centred: bool
) -> tuple[Array, Array, Array]:
    """As the reference."""
    n, channels, pixels = x.shape
    groups = mean.shape[1]
    dx, dgamma, dbeta = empty(x.shape, x.dtype), np.zeros(channels, x.dtype), np.zeros(channels, x.dtype)
    if x.size == 0:
        return dx, dgamma, dbeta
    gammas = _laid_out(gamma, x, 1)
    rows = (n * groups, channels // groups * pixels)
    dys, xs = (np.ascontiguousarray(a).reshape(rows) for a in (dy, x))
    means, variances = (np.ascontiguousarray(a).reshape(-1) for a in (mean, var))
    given = (dys, xs, means, variances, gammas, groups, eps, centred, dx.reshape(rows), dgamma, dbeta)
    with POOL.team(12 * x.size) as team:
        if pixels >= SHORT:
            _backward_runs(*given, pixels, team)
        else:
            pieces = max(1, min(64, n // 4, x.size // PIECE))  # their sums take no more memory than x
            _backward_rows(*given, pieces, team)
    return dx, dgamma, dbeta


def _laid_out(values: Array | None, x: Array, without: int) -> Array:
    """γ or β for each channel, or where channels have few pixels for each number of an image."""
    channels, pixels = x.shape[1:]
    given = np.full(channels, without, x.dtype) if values is None else np.ascontiguousarray(values)
    return given if pixels == 1 or pixels >= SHORT else np.repeat(given, pixels)


# -------------------------------------------------------------------- forward


@tasks
def _some_groups(task, thread, x, mean, var, gamma, beta, groups, eps, centred, y, run):
    width, height = x.shape[1], rows_of_task(x.shape[1], PIECE)
    wide = width // run  # numbers of γ that a group has
    for row in range(task * height, min((task + 1) * height, len(x))):
        values, first = x[row], row % groups * wide
        mean[row], var[row] = _moments(values, centred) if width <= RUN else _moments_of_runs(values, centred)
        middle, inv_std = mean[row], x.dtype.type(1 / math.sqrt(var[row] + eps))
        if run == 1:
            scales, shifts, result = gamma[first : first + wide], beta[first : first + wide], y[row]
            for j in range(len(result)):
                result[j] = (values[j] - middle) * inv_std * scales[j] + shifts[j]
        else:
            for c in range(wide):
                scale, shift = gamma[first + c] * inv_std, beta[first + c]
                begin, end = c * run, (c + 1) * run
                normalise(values[begin:end], middle, scale, shift, y[row, begin:end])


@functools.partial(jit, fastmath=SUMS)
def _moments(x: Array, centred: bool) -> tuple[float, float]:
    """The mean (or 0), and that of the squared deviations, of numbers that are few enough for one sum.

    The differences from the first number stay small where the numbers are large and alike.
    """
    mean = x.dtype.type(0)
    if centred:
        for j in range(len(x)):
            mean += x[j] - x[0]
        mean = x[0] + mean / x.dtype.type(len(x))
    total = x.dtype.type(0)
    for j in range(len(x)):
        total += (x[j] - mean) * (x[j] - mean)
    return mean, total / x.dtype.type(len(x))


@jit
def _moments_of_runs(x: Array, centred: bool) -> tuple[float, float]:
    """The same of many numbers."""
    mean = x.dtype.type(add_up(x) / len(x)) if centred else x.dtype.type(0)
    return mean, square_deviations(x, mean) / len(x)


@jit
def _forward(
    x: Array, mean: Array, var: Array, gamma: Array, beta: Array, groups: int, eps: float, centred: bool,
    y: Array, run: int, team: int,
) -> None:  # fmt: skip
    count = -(-len(x) // rows_of_task(x.shape[1], PIECE))
    _some_groups(team, count, (x, mean, var, gamma, beta, groups, eps, centred, y, run))


# -------------------------------------------------------------------- backward, channels of many pixels


@tasks
def _some_groups_back(
    task, thread, dy, x, mean, var, gamma, groups, eps, centred, dx, of_gamma, of_beta, run
):
    width, height, kind = x.shape[1], rows_of_task(x.shape[1], PIECE), x.dtype.type
    wide = width // run
    for row in range(task * height, min((task + 1) * height, len(x))):
        image, first = row // groups, row % groups * wide
        std = math.sqrt(var[row] + eps)
        along, level = 0.0, 0.0
        for c in range(wide):
            part = slice(c * run, (c + 1) * run)
            total = add_up(dy[row, part])
            product = deviation_products(dy[row, part], x[row, part], mean[row])
            of_beta[image, first + c] = total
            of_gamma[image, first + c] = product / std
            level += gamma[first + c] * total
            along += gamma[first + c] * product
        slope = kind(along / (width * std * std * std))
        shift = kind(level / (width * std)) if centred else kind(0)
        for c in range(wide):
            part = slice(c * run, (c + 1) * run)
            scale = kind(gamma[first + c] / std)
            gradient(dy[row, part], x[row, part], mean[row], scale, slope, shift, dx[row, part])


@jit
def _backward_runs(
    dy: Array, x: Array, mean: Array, var: Array, gamma: Array, groups: int, eps: float, centred: bool,
    dx: Array, dgamma: Array, dbeta: Array, run: int, team: int,
) -> None:  # fmt: skip
    of_gamma, of_beta = np.empty((len(x) // groups, len(dgamma))), np.empty((len(x) // groups, len(dgamma)))
    count = -(-len(x) // rows_of_task(x.shape[1], PIECE))
    given = (dy, x, mean, var, gamma, groups, eps, centred, dx, of_gamma, of_beta, run)
    _some_groups_back(team, count, given)
    fold(of_gamma, 1.0, dgamma)
    fold(of_beta, 1.0, dbeta)


# -------------------------------------------------------------------- backward, channels of few pixels


@functools.partial(jit, fastmath=SUMS)
def _weighted_sums(dy: Array, gamma: Array, x: Array, mean: float) -> tuple[float, float]:
    """Σ γ dy and Σ γ dy (x − mean)."""
    total, product = x.dtype.type(0), x.dtype.type(0)
    for i in range(len(x)):
        weighted = dy[i] * gamma[i]
        total += weighted
        product += weighted * (x[i] - mean)
    return total, product


@jit
def _weighted_sums_of_runs(dy: Array, gamma: Array, x: Array, mean: float) -> tuple[float, float]:
    """The same, some hundred numbers at a time."""
    total, product = 0.0, 0.0
    for first in range(0, len(x), RUN):
        part = slice(first, first + RUN)
        level, along = _weighted_sums(dy[part], gamma[part], x[part], mean)
        total += level
        product += along
    return total, product


@jit
def _move_to(total: Array, line: Array) -> None:
    """Total += line, and nothing is left there."""
    for j in range(len(total)):
        total[j] += line[j]
        line[j] = 0


@tasks
def _some_images_back(task, thread, dy, x, mean, var, gamma, groups, eps, centred, dx, of_gamma, of_beta):
    images, width, kind = len(x) // groups, x.shape[1], x.dtype.type
    pieces = len(of_gamma)
    here, there = np.zeros(groups * width, x.dtype), np.zeros(groups * width, x.dtype)
    first, last = task * images // pieces, (task + 1) * images // pieces
    for image in range(first, last):
        for group in range(groups):
            row, columns = image * groups + group, slice(group * width, (group + 1) * width)
            dys, xs, dxs, weight, middle = dy[row], x[row], dx[row], gamma[columns], mean[row]
            level, along = _weighted_sums_of_runs(dys, weight, xs, middle)
            std = math.sqrt(var[row] + eps)
            inv_std, slope = kind(1 / std), kind(along / (width * std * std * std))
            shift = kind(level / (width * std)) if centred else kind(0)
            for j in range(len(dxs)):
                dxs[j] = dys[j] * weight[j] * inv_std - ((xs[j] - middle) * slope + shift)
            sums, products = there[columns], here[columns]
            for j in range(len(sums)):
                sums[j] += dys[j]
                products[j] += dys[j] * ((xs[j] - middle) * inv_std)
        if image % FEW == FEW - 1 or image == last - 1:
            _move_to(of_gamma[task], here)
            _move_to(of_beta[task], there)


@jit
def _backward_rows(
    dy: Array, x: Array, mean: Array, var: Array, gamma: Array, groups: int, eps: float, centred: bool,
    dx: Array, dgamma: Array, dbeta: Array, pieces: int, team: int,
) -> None:  # fmt: skip
    of_gamma, of_beta = np.zeros((pieces, len(gamma))), np.zeros((pieces, len(gamma)))
    given = (dy, x, mean, var, gamma, groups, eps, centred, dx, of_gamma, of_beta)
    _some_images_back(team, pieces, given)
    fold(of_gamma, 1.0, dgamma)
    fold(of_beta, 1.0, dbeta)
