"""Products of vectors with one another and with themselves, in one visit to each pair."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from minidl.array import Array, empty
from minidl.kernels import vector_pairs as references
from minidl.kernels.numba_cpu.arguments import flat, where
from minidl.kernels.numba_cpu.jit import SUMS, jit
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.tasks import rows_of_task, tasks

__all__ = ["pair_input_grads", "pair_products"]

PIECE = 8192  # numbers that one task takes, about


def _fit(a: Array, b: Array, *factors: Array) -> bool:
    return a.shape == b.shape and a.ndim > 0 and all(factor.shape == a.shape[:-1] for factor in factors)


def _rows(x: Array, count: int) -> Array:
    return np.ascontiguousarray(x).reshape(count, x.shape[-1])


@references.pair_products.register(np.ndarray)
@where(_fit, references.pair_products)
def pair_products(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """As the reference."""
    ab, aa, bb = (np.empty(a.shape[:-1], a.dtype) for _ in range(3))
    with POOL.team(3 * a.size) as team:
        _sums(
            _rows(a, ab.size), _rows(b, ab.size), ab.reshape(-1), aa.reshape(-1), bb.reshape(-1), team
        )  # fmt: skip
    return ab, aa, bb


@jit
def _sums(a: Array, b: Array, ab: Array, aa: Array, bb: Array, team: int) -> None:
    _some_sums(team, -(-len(a) // rows_of_task(a.shape[1], PIECE)), (a, b, ab, aa, bb))


@tasks
def _some_sums(task, thread, a, b, ab, aa, bb):
    height = rows_of_task(a.shape[1], PIECE)
    for row in range(task * height, min(len(a), (task + 1) * height)):
        ab[row], aa[row], bb[row] = _three_dots(a[row], b[row])


@functools.partial(jit, fastmath=SUMS)
def _three_dots(a: Array, b: Array) -> tuple[Any, Any, Any]:
    ab = aa = bb = a.dtype.type(0)
    for i in range(len(a)):
        ab += a[i] * b[i]
        aa += a[i] * a[i]
        bb += b[i] * b[i]
    return ab, aa, bb


@references.pair_input_grads.register(np.ndarray)
@where(_fit, references.pair_input_grads)
def pair_input_grads(a: Array, b: Array, mixed: Array, own_a: Array, own_b: Array) -> tuple[Array, Array]:
    """As the reference."""
    da, db, count = empty(a.shape, a.dtype), empty(a.shape, a.dtype), mixed.size
    with POOL.team(4 * a.size) as team:
        _grads(
            _rows(a, count), _rows(b, count), flat(mixed), flat(own_a), flat(own_b),
            _rows(da, count), _rows(db, count), team,
        )  # fmt: skip
    return da, db


@jit
def _grads(a, b, mixed, own_a, own_b, da, db, team):
    _some_grads(team, -(-len(a) // rows_of_task(a.shape[1], PIECE)), (a, b, mixed, own_a, own_b, da, db))


@tasks
def _some_grads(task, thread, a, b, mixed, own_a, own_b, da, db):
    height = rows_of_task(a.shape[1], PIECE)
    for row in range(task * height, min(len(a), (task + 1) * height)):
        m, of_a, of_b = mixed[row], own_a[row], own_b[row]
        first, second, grad_a, grad_b = a[row], b[row], da[row], db[row]
        for i in range(len(first)):
            grad_a[i] = m * second[i] + of_a * first[i]
            grad_b[i] = m * first[i] + of_b * second[i]
