"""The ladder's loops compute one product, whether their blocks divide its sizes or not."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from minidl.kernels.numba_cpu import ladder

DEEP, WIDE = ladder.DEEP, ladder.WIDE
SIZES = [
    (3, 5, 4), (1, 1, 1), (7, DEEP, WIDE), (4, 2 * DEEP, 2 * WIDE), (5, DEEP + 1, WIDE + 3),
    (6, DEEP - 1, WIDE - 2), (2, 2 * DEEP + 9, 3), (3, 8, 2 * WIDE + 1), (0, 4, 3), (4, 0, 3), (4, 3, 0),
]  # fmt: skip


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loop", ["naive", "reordered", "blocked"])
def test_every_loop_equals_numpy(loop, dtype, size):
    m, depth, n = size
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, depth)).astype(dtype), rng.standard_normal((depth, n)).astype(dtype)
    before = a.copy(), b.copy()
    c = getattr(ladder, loop)(a, b)
    assert (c.shape, c.dtype) == ((m, n), dtype)
    exact, size_of_terms = a.astype(float) @ b, np.abs(a) @ np.abs(b)
    assert np.all(np.abs(c - exact) <= 4 * np.finfo(dtype).eps * size_of_terms)
    np.testing.assert_array_equal(a, before[0])
    np.testing.assert_array_equal(b, before[1])
