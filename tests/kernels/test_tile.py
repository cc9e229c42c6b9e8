"""The register tile and what it is fed with: every size, step, mask and beginning, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from minidl.kernels.numba_cpu import moves, tile
from minidl.kernels.numba_cpu.dots import add_dots
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.strips import make_rows
from minidl.kernels.numba_cpu.windows import laid_out, windows

plain, by_window, of_windows = make_rows(), make_rows(gather_b=True), make_rows(gather_a=True)
DTYPES = [np.float32, np.float64]
BEGINS = {"blank": tile.BLANK, "go on": tile.GO_ON, "by row": tile.BY_ROW, "by column": tile.BY_COLUMN}


@jit
def _plain(m, n, k, a, a_row, a_step, b, b_step, c, c_row, begin, bias, relu):
    at = tile.at
    plain(m, n, k, at(a, 0), a_row, a_step, at(b, 0), b_step, 1, at(c, 0), c_row, begin, at(bias, 0), relu)


@jit
def _by_window(m, n, k, a, b, places, c, bias):
    at = tile.at
    by_window(m, n, k, at(a, 0), k, 1, at(b, 0), at(places, 0), 1, at(c, 0), n, tile.BY_ROW, at(bias, 0), 0)


@jit
def _of_windows(m, n, k, a, places, b, c):
    at = tile.at
    of_windows(m, n, k, at(a, 0), at(places, 0), 1, at(b, 0), n, 1, at(c, 0), n, tile.BLANK, at(c, 0), 0)


def close(found, expected, dtype):
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("relu", [0, 1])
@pytest.mark.parametrize("begin", BEGINS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_number_of_rows_and_columns(dtype, begin, relu):
    rng = np.random.default_rng(0)
    for m in range(1, 19):
        for n in (1, 5, 8, 15, 16, 17, 31, 32, 33, 47, 65, 129):
            k = int(rng.integers(1, 9))
            a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
            bias = rng.standard_normal(max(m, n)).astype(dtype)
            c = rng.standard_normal((m + 2, n + 3)).astype(dtype)
            start = {"blank": 0, "go on": c[:m, :n], "by row": bias[:m, None], "by column": bias[:n]}[begin]
            expected = c.copy()
            expected[:m, :n] = start + a @ b
            if relu:
                expected[:m, :n] = np.maximum(expected[:m, :n], 0)
            _plain(m, n, k, a, k, 1, b, n, c, n + 3, BEGINS[begin], bias, relu)
            close(c, expected, dtype)  # what lies around the block is untouched


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_may_be_transposed_and_b_may_have_long_rows(dtype):
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((7, 13)).astype(dtype), rng.standard_normal((7, 50)).astype(dtype)
    c = np.zeros((13, 37), dtype)
    _plain(13, 37, 7, a, 1, 13, b[:, 4:].copy().reshape(7, 46), 46, c, 37, tile.BLANK, c[0], 0)
    close(c, a.T @ b[:, 4:41], dtype)


def test_relu_keeps_nan_and_cuts_below_zero():
    a = np.array([[np.nan], [-1.0], [-0.0], [2.0], [np.inf], [-np.inf]])
    c = np.empty((6, 1))
    _plain(6, 1, 1, a, 1, 1, np.ones((1, 1)), 1, c, 1, tile.BLANK, c[0], 1)
    np.testing.assert_array_equal(c[:, 0], [np.nan, 0, 0, 2, np.inf, 0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("m", "n", "k"), [(6, 100, 25), (13, 17, 4), (1, 300, 9), (2, 130, 9)])
def test_rows_of_b_may_stand_anywhere(dtype, m, n, k):
    rng = np.random.default_rng(2)
    memory = rng.standard_normal(3 * n + 50).astype(dtype)
    places = rng.integers(0, memory.size - n, k)
    a, bias = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal(m).astype(dtype)
    c = np.empty((m, n), dtype)
    _by_window(m, n, k, a, memory, places, c, bias)
    close(c, bias[:, None] + a @ np.stack([memory[p : p + n] for p in places]), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("m", "n", "k"), [(25, 16, 100), (9, 33, 7), (3, 6, 50)])
def test_rows_of_a_may_stand_anywhere(dtype, m, n, k):
    rng = np.random.default_rng(3)
    memory = rng.standard_normal(5 * k).astype(dtype)
    places = rng.integers(0, memory.size - k, m)
    b, c = rng.standard_normal((k, n)).astype(dtype), np.empty((m, n), dtype)
    _of_windows(m, n, k, memory, places, b, c)
    close(c, np.stack([memory[p : p + k] for p in places]) @ b, dtype)


@jit
def _add_dots(m, taps, n, a, a_row, b, places, c):
    at = tile.at
    add_dots(m, taps, n, at(a, 0), a_row, at(b, 0), at(places, 0), at(c, 0), c.shape[1] * c.shape[2])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("m", "taps", "n"), [(6, 25, 49), (1, 9, 16), (9, 3, 1), (13, 8, 100)])
def test_dot_products_of_long_rows(dtype, m, taps, n):
    rng = np.random.default_rng(4)
    a = rng.standard_normal((m, n + 2)).astype(dtype)
    memory = rng.standard_normal(4 * n + 20).astype(dtype)
    places = rng.integers(0, memory.size - n, taps)
    c = np.zeros((m, taps + 1, tile.VECTOR_BYTES // a.itemsize), dtype)
    for _ in range(2):
        _add_dots(m, taps, n, a, n + 2, memory, places, c)
    rows = np.stack([memory[p : p + n] for p in places])
    close(c.sum(axis=2)[:, :taps], 2 * a[:, :n] @ rows.T, dtype)
    assert not c[:, taps].any()


@jit
def _transpose(a, b, rows, columns):
    moves.transpose(tile.at(a, 0), a.shape[1], tile.at(b, 0), b.shape[1], rows, columns)


@jit
def _transpose_padded(a, b, rows, columns):
    return moves.transpose_padded(tile.at(a, 0), a.shape[1], tile.at(b, 0), rows, columns)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 1), (16, 16), (17, 33), (3, 40), (40, 3), (64, 48), (6, 100)]
)
def test_transposing(dtype, rows, columns):
    a = np.random.default_rng(5).standard_normal((rows, columns + 3)).astype(dtype)
    b = np.zeros((columns, -(-rows // 16) * 16 + 1), dtype)
    _transpose(a, b, rows, columns)
    np.testing.assert_array_equal(b[:, :rows], a[:, :columns].T)
    assert not b[:, -1].any()

    b = np.zeros((columns + 1) * (rows + 16), dtype)
    step = _transpose_padded(a, b, rows, columns)
    found = b[: columns * step].reshape(columns, step)
    np.testing.assert_array_equal(found[:, :rows], a[:, :columns].T)


@jit
def _copy_row(target, source, shift, width, n):
    moves.copy_row(tile.at(target, 0), tile.at(source, 0), shift, width, n)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 10, 16, 28, 40])
@pytest.mark.parametrize("shift", [-40, -2, 0, 3, 50])
def test_copying_a_row_with_zeros_around(dtype, shift, n):
    source = np.random.default_rng(6).standard_normal(20).astype(dtype)
    target = np.full(n + 16, 7, dtype)
    _copy_row(target, source, shift, 20, n)
    expected = [source[j + shift] if 0 <= j + shift < 20 else 0 for j in range(n)]
    np.testing.assert_array_equal(target[:n], np.array(expected, dtype))


@jit
def _lay_out(source, copies, shape, columns, phases, first):
    laid_out(tile.at(source, 0), tile.at(copies, 0), shape, columns, phases, first)


@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (1, 3), (3, 2)])
@pytest.mark.parametrize(
    ("rows", "columns"), [((-1, 0, 1), (-2, 0)), ((0, 2, 4), (-1, 1, 3)), ((3, 2), (0,))]
)
def test_every_tap_reads_one_unbroken_run(stride, rows, columns):
    c, h, w, out = 3, 9, 11, (5, 4)
    x = np.random.default_rng(7).standard_normal((c, h, w))
    plan = windows(1, (c, h, w), out, stride, rows, columns, 8)
    assert plan.bands > 1
    for band in range(plan.bands):
        first = band * plan.band
        copies = np.full(plan.size + 64, np.nan)
        _lay_out(x, copies, plan.shape, plan.columns, plan.phases, first)
        tap = iter(plan.offsets)
        for channel in range(c):
            for row in rows:
                for column in columns:
                    start = next(tap)
                    for i in range(min(plan.band, out[0] - first)):
                        for j in range(out[1]):
                            y, z = (first + i) * stride[0] + row, j * stride[1] + column
                            expected = x[channel, y, z] if 0 <= y < h and 0 <= z < w else 0
                            assert copies[start + i * out[1] + j] == expected


def test_no_two_strips_have_one_name():
    """Cached code calls its parts by name: of two with one name the first one loaded runs for both."""
    from minidl.kernels.numba_cpu.strips import _make_strip

    kinds = [(rows, a, b) for rows in (8, 6, 4, 2, 1) for a in (False, True) for b in (False, True)]
    assert len({_make_strip(*kind).py_func.__qualname__ for kind in kinds}) == len(kinds)
