"""Rows by index, there and back: the readable references of what embeddings and their bags are made of.

`gather_rows` looks rows up; `scatter_rows` is its gradient, which adds each row where it came from, and also
what adds up a bag of rows; `move_rows` is both in one pass; `scatter_max` takes the largest in place of the
sum. A negative index goes nowhere: so padding is left out. `scatter_winners` is the gradient of both steps
of a bag's maximum.

Letters: n rows that are given, D numbers in each, R rows of the table or bags.
"""

from __future__ import annotations

import numpy as np

from minidl.array import Array
from minidl.kernels.registry import kernel

__all__ = ["bags_of", "gather_rows", "move_rows", "scatter_max", "scatter_rows", "scatter_winners"]


@kernel
def gather_rows(table: Array, indices: Array) -> Array:
    """The rows with these numbers: `y[j] = table[indices[j]]`.

    Args:
        table: (R, D), of any dtype.
        indices: (n,), integers from 0 to R − 1.

    Returns:
        (n, D).

    Raises:
        IndexError: an index outside (not on a device, which cannot stop: there the row is NaN, or 0).
    """
    return table[indices]


@kernel
def scatter_rows(x: Array, indices: Array, rows: int) -> Array:
    """Add every row to the one with its number: `y[r] = Σ x[j] over all j with indices[j] = r`.

    Rows of one number are brought together by a sort that keeps their order, then each group is added up.

    Args:
        x: (n, D).
        indices: (n,), integers below R; a negative one adds nowhere.
        rows: R.

    Returns:
        (R, D); where no index pointed, 0.
    """
    y = np.zeros((rows, x.shape[1]), x.dtype)
    order, first = _groups(indices)
    if len(first):
        y[indices[order[first]]] = np.add.reduceat(x[order], first, axis=0)
    return y


@kernel
def move_rows(x: Array, sources: Array, indices: Array, rows: int) -> Array:
    """Look rows up and add them up: `y[r] = Σ x[sources[j]] over all j with indices[j] = r`.

    Its gradient is itself with `sources` and `indices` exchanged.

    Args:
        x: (S, D).
        sources: (n,), integers below S; a negative one adds nothing.
        indices: (n,), integers below R; a negative one adds nowhere.
        rows: R.

    Returns:
        (R, D); where nothing was added, 0.
    """
    there = sources >= 0
    return scatter_rows.reference(x[sources[there]], indices[there], rows)


@kernel
def scatter_max(x: Array, indices: Array, rows: int) -> tuple[Array, Array]:
    """The largest number of every group and column, `y[r, d] = max x[j, d] over all j with indices[j] = r`.

    Args:
        x: (n, D).
        indices: (n,), integers below R; a negative one goes nowhere.
        rows: R.

    Returns:
        (R, D), 0 where no index pointed; and (R, D) int64, which row j it was: the first of equals, or
        of NaN; −1 where no index pointed.
    """
    y, winners = np.zeros((rows, x.shape[1]), x.dtype), np.full((rows, x.shape[1]), -1)
    order, first = _groups(indices)
    for group in np.split(order, first[1:]) if len(first) else ():
        place = x[group].argmax(axis=0)  # (D,), the first of NaN before all
        row = indices[group[0]]
        winners[row] = group[place]
        y[row] = x[winners[row], np.arange(x.shape[1])]
    return y, winners


@kernel
def scatter_winners(dy: Array, winners: Array, indices: Array, rows: int) -> Array:
    """Add every number where the row stood that won: `dW[indices[winners[b, d]], d] += dy[b, d]`.

    It is the gradient of looking rows up and taking the largest of each group with `scatter_max`.

    Args:
        dy: (B, D).
        winners: (B, D), which of n positions won, each at most once in a column; −1 where none did.
        indices: (n,), of which row of the table each position is, integers below R; a negative one adds
            nowhere.
        rows: R.

    Returns:
        dW, (R, D); where nothing was added, 0.
    """
    dx = np.zeros((len(indices), dy.shape[1]), dy.dtype)
    b, d = np.nonzero(winners >= 0)
    dx[winners[b, d], d] = dy[b, d]
    return scatter_rows.reference(dx, indices, rows)


@kernel
def bags_of(offsets: Array, n: int) -> Array:
    """In which bag each of n positions lies: the last one that begins there or before.

    Args:
        offsets: (B,), where each bag begins, never falling.
        n: how many positions.

    Returns:
        (n,), integers; −1 before the first bag.
    """
    return np.searchsorted(offsets, np.arange(n), side="right") - 1


def _groups(indices: Array) -> tuple[Array, Array]:
    """The order that brings equal indices together, without negative ones, and where each group begins."""
    order = np.argsort(indices, kind="stable")
    order = order[np.count_nonzero(indices < 0) :]
    values = indices[order]
    return order, np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]])[: len(values)])
