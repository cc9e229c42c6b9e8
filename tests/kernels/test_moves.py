"""The loops that move numbers, each against NumPy's indexing; and a bug planted in it must show."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_arguments import geometry

from minidl.testing import Bug, planted

numba = pytest.importorskip("numba")
moves = pytest.importorskip("minidl.kernels.numba_cpu.moves")
tile = pytest.importorskip("minidl.kernels.numba_cpu.tile")
windows = pytest.importorskip("minidl.kernels.numba_cpu.windows")

ROOM = 4096  # numbers of a target, of which most must stay as they are


def build(function, name):
    """The function, or one with a bug in it, for arrays in the place of addresses."""
    at = tile.at
    if name == "copy_rows":

        @numba.njit
        def call(target, source, target_row, rows, source_row, begin, shift, width, stride, n):
            here, there = at(target, 0), at(source, begin)
            function(here, target_row, rows, there, source_row, shift, width, stride, n)

    elif name == "interleave":

        @numba.njit
        def call(target, source, distance, rows, n):
            function(at(target, 0), at(source, 0), distance, rows, n)

    elif name == "planes_to_lanes":

        @numba.njit
        def call(target, source, source_row, planes, pixels, places):
            function(at(source, 0), source_row, planes, pixels, at(target, 0), at(places, 0))

    elif name == "lanes_to_planes":

        @numba.njit
        def call(target, source, source_row, planes, pixels, target_row):
            function(at(source, 0), source_row, planes, pixels, at(target, 0), target_row)

    else:

        @numba.njit
        def call(target, source, shape, columns, phases, first_row):
            function(at(source, 0), at(target, 0), shape, columns, phases, first_row)

    return call


def check_copy_rows(call, rng, lanes):
    rows, n, stride = (int(v) for v in (rng.integers(0, 4), rng.integers(0, 40), rng.integers(1, 4)))
    width, shift = int(rng.integers(1, 60)), int(rng.integers(-20, 20))
    image = rng.standard_normal((rows + 2, width))
    target = np.full(ROOM, np.nan)
    call(target, image, n, rows, width, width, shift, width, stride, n)
    columns = np.arange(n) * stride + shift
    inside = (columns >= 0) & (columns < width)
    wanted = np.where(inside, image[1 : 1 + rows, columns.clip(0, width - 1)], 0)
    np.testing.assert_array_equal(target[: rows * n].reshape(rows, n), wanted)
    assert np.isnan(target[rows * n + 2 * lanes :]).all()


def check_interleave(call, rng, lanes):
    rows, n = int(rng.integers(1, 4)), int(rng.integers(1, 60))
    source = rng.standard_normal((rows, n + 2 * lanes))
    target = np.full(ROOM, np.nan)
    call(target, source, n + 2 * lanes, rows, n)
    np.testing.assert_array_equal(target[:n], source.T.reshape(-1)[:n])
    assert np.isnan(target[n + 2 * lanes :]).all()


def check_planes_to_lanes(call, rng, lanes):
    planes, pixels = int(rng.integers(1, lanes + 1)), int(rng.integers(0, 40))
    source = rng.standard_normal((planes, pixels + 3))
    places = rng.permutation(ROOM // lanes)[:pixels] * lanes
    target = np.full(ROOM, np.nan)
    call(target, source, pixels + 3, planes, pixels, places)
    found = target.reshape(-1, lanes)[places // lanes]
    np.testing.assert_array_equal(found[:, :planes], source[:, :pixels].T)
    assert np.isnan(target).sum() == ROOM - pixels * lanes


def check_lanes_to_planes(call, rng, lanes):
    planes, pixels = int(rng.choice([lanes, rng.integers(1, lanes + 1)])), int(rng.integers(0, 40))
    source_row = lanes + int(rng.integers(0, 3))
    source = rng.standard_normal((pixels, source_row))
    target = np.full(ROOM, np.nan)
    call(target, source, source_row, planes, pixels, pixels + 3)
    wanted = np.full((planes, pixels + 3), np.nan)
    wanted[:, :pixels] = source[:, :planes].T
    np.testing.assert_array_equal(target[: wanted.size].reshape(wanted.shape), wanted)
    assert np.isnan(target[wanted.size :]).all()


def check_laid_out(call, rng, lanes):
    size, kernel, stride, padding, dilation, output = geometry(rng, pool=False)
    rows, columns = (
        tuple(u * d - p for u in range(k)) for k, d, p in zip(kernel, dilation, padding, strict=True)
    )
    plan = windows.windows(3, (2, *size), output, stride, rows, columns, 8)
    image = rng.standard_normal((2, *size))
    around = np.pad(image, ((0, 0), (20, 60), (20, 60)))
    for band in range(plan.bands):
        first = band * plan.band
        count = min(plan.band, output[0] - first)
        target = np.full(plan.size + 2 * lanes, np.nan)
        call(target, image, plan.shape, plan.columns, plan.phases, first)
        for offset, (c, a, b) in zip(
            plan.offsets, ((c, a, b) for c in range(2) for a in rows for b in columns), strict=True
        ):
            if plan.size:
                found = target[offset : offset + count * output[1]].reshape(count, output[1])
                i, j = np.arange(first, first + count) * stride[0] + a, np.arange(output[1]) * stride[1] + b
                np.testing.assert_array_equal(found, around[c][np.ix_(i + 20, j + 20)])


CHECKS = {
    "copy_rows": check_copy_rows,
    "interleave": check_interleave,
    "planes_to_lanes": check_planes_to_lanes,
    "lanes_to_planes": check_lanes_to_planes,
    "laid_out": check_laid_out,
}
BUGS = [
    ("copy_rows", "get(line, j * stride)", "get(line, j)"),
    ("copy_rows", "offset(line, 2 * j)", "offset(line, 2 * start)"),
    ("copy_rows", "offset(line, j)", "offset(line, start)"),
    ("copy_rows", "max(0, -(shift // stride))", "max(0, 1 - (shift // stride))"),
    ("copy_rows", "-((shift - width) // stride)", "-((shift - width) // stride) - 1"),
    ("copy_rows", "_clear(here, first)", "_clear(here, min(first, lanes))"),
    ("copy_rows", "_copy_even_lanes(offset(here, first), offset(line, 2 * first), end - first)", "pass"),
    ("interleave", "i * distance + j", "j"),
    ("interleave", "offset(source, j // 2)", "offset(source, j)"),
    ("planes_to_lanes", "min(i, planes - 1) * source_row", "0 * source_row"),
    ("planes_to_lanes", "min(start, pixels - lanes)", "min(start, pixels - lanes) // lanes * lanes"),
    ("lanes_to_planes", "i * target_row + j", "j"),
    ("lanes_to_planes", "min(start, pixels - lanes)", "min(start, 0)"),
    ("laid_out", "-(phases[p] // row_stride) - first_row", "1 - (phases[p] // row_stride) - first_row"),
    ("laid_out", "-((phases[p] - height) // row_stride)", "-1 - ((phases[p] - height) // row_stride)"),
]


def check(name, function):
    lanes = tile.VECTOR_BYTES // 8
    call = build(function, name)
    for seed in range(60):
        CHECKS[name](call, np.random.default_rng(seed), lanes)


def home(name):
    return windows if name == "laid_out" else moves


@pytest.mark.parametrize("name", CHECKS)
def test_numbers_are_moved_as_numpy_would(name):
    check(name, getattr(home(name), name))


@pytest.mark.parametrize(("name", "old", "new"), BUGS, ids=[f"{name}: {old}" for name, old, _ in BUGS])
def test_a_wrong_loop_is_found(name, old, new, monkeypatch):
    module = home(name)
    compiled = getattr(module, name)
    monkeypatch.setattr(module, name, compiled.py_func)
    with planted(Bug(f"{name} with {new}", module, name, old, new)):
        wrong = numba.njit(compiled.py_func)
        with pytest.raises(AssertionError):
            check(name, wrong)
