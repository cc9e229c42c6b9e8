"""One matrix product in three steps from slow to fast: what the order of three loops does to the same sums.

    c[i,j] = Σ_k a[i,k] · b[k,j]

The multiplications are the same in all three; only the way through memory differs. The next two steps, sums
that stay in registers and all cores, are `tile.py` and `products.py`. Nothing computes with these loops:
they stand here to be read, and `minidl bench --only ladder` times them.
"""

from __future__ import annotations

import numpy as np

from minidl.array import Array
from minidl.kernels.numba_cpu.jit import jit

__all__ = ["DEEP", "WIDE", "blocked", "naive", "reordered"]

DEEP, WIDE = 128, 512  # rows and columns of a block of b: 256 KB of float32, a part of an L2 cache


@jit
def naive(a: Array, b: Array) -> Array:
    """The definition, written down: one sum after the other.

    The inner loop walks down a column of b, so each number that it needs lies in another cache line, and
    each addition waits for the one before it.

    Args:
        a: (M, K), float32 or float64, C-ordered.
        b: (K, N), likewise.

    Returns:
        (M, N).
    """
    (m, depth), n = a.shape, b.shape[1]
    c = np.empty((m, n), a.dtype)
    for i in range(m):
        for j in range(n):
            total = a.dtype.type(0)
            for k in range(depth):
                total += a[i, k] * b[k, j]
            c[i, j] = total
    return c


@jit
def reordered(a: Array, b: Array) -> Array:
    """The two inner loops swapped: a row of b at a time, times one number, is added to a row of c.

    Neighbours in the loop are neighbours in memory and no sum waits for another, so the compiler takes
    8 or 16 of them at once. But all of b passes by for each row of a, from whichever cache holds it.

    Args, Returns: as `naive`.
    """
    (m, depth), n = a.shape, b.shape[1]
    c = np.zeros((m, n), a.dtype)
    for i in range(m):
        for k in range(depth):
            for j in range(n):
                c[i, j] += a[i, k] * b[k, j]
    return c


@jit
def blocked(a: Array, b: Array) -> Array:
    """The reordered loop on one block of b after another, each copied to where its rows are neighbours.

    A block stays in the nearest cache that holds it while all rows of a pass over it, so b comes from
    memory once and not M times.

    Args, Returns: as `naive`.
    """
    (m, depth), n = a.shape, b.shape[1]
    c = np.zeros((m, n), a.dtype)
    block = np.empty((DEEP, WIDE), a.dtype)
    for first_k in range(0, depth, DEEP):
        for first_j in range(0, n, WIDE):
            part = b[first_k : first_k + DEEP, first_j : first_j + WIDE]
            deep, wide = part.shape
            block[:deep, :wide] = part
            for i in range(m):
                x = a[i, first_k : first_k + DEEP]
                y = c[i, first_j : first_j + WIDE]
                for k in range(deep):
                    for j in range(wide):
                        y[j] += x[k] * block[k, j]
    return c
