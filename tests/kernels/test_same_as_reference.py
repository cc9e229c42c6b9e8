"""Every kernel × every implementation × dtype equals its reference, over random shapes and strides.

A kernel without a generator of arguments here fails.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidl import kernels
from minidl.kernels.geometry import output_size
from minidl.kernels.registry import KERNELS, use_backend

SEEDS = range(12)


def geometry(rng, *, pool: bool):
    """A random window that fits a random image; odd sizes, uneven strides."""
    while True:
        h, w = rng.integers(1, 12, 2)
        kh, kw = rng.integers(1, 5, 2)
        stride = tuple(int(s) for s in rng.integers(1, 4, 2))
        most = (kh // 2, kw // 2) if pool else (3, 3)
        padding = tuple(int(rng.integers(0, m + 1)) for m in most)
        dilation = tuple(int(d) for d in rng.integers(1, 4, 2))
        sizes = [
            output_size(s, k, st, p, d)
            for s, k, st, p, d in zip((h, w), (kh, kw), stride, padding, dilation, strict=True)
        ]
        if min(sizes) >= 1:
            return (int(h), int(w)), (int(kh), int(kw)), stride, padding, dilation, tuple(sizes)


def batch(rng):
    return int(rng.choice([0, 1, 2, 3]))


def conv_arguments(rng, dtype):
    (h, w), (kh, kw), stride, padding, dilation, (oh, ow) = geometry(rng, pool=False)
    n, groups = batch(rng), int(rng.integers(1, 4))
    cg, og = (int(v) for v in rng.integers(1, 4, 2))
    x = rng.standard_normal((n, groups * cg, h, w)).astype(dtype)
    weight = rng.standard_normal((groups * og, cg, kh, kw)).astype(dtype)
    bias = rng.standard_normal(groups * og).astype(dtype) if rng.random() < 0.5 else None
    dy = rng.standard_normal((n, groups * og, oh, ow)).astype(dtype)
    return x, weight, bias, dy, (stride, padding, dilation, groups)


def conv2d(rng, dtype):
    x, weight, bias, _, how = conv_arguments(rng, dtype)
    return (x, weight, bias, *how)


def conv2d_weight_grad(rng, dtype):
    x, weight, _, dy, how = conv_arguments(rng, dtype)
    return (dy, x, weight.shape, *how)


def conv2d_input_grad(rng, dtype):
    x, weight, _, dy, how = conv_arguments(rng, dtype)
    return (dy, weight, x.shape, *how)


def max_pool2d(rng, dtype):
    size, kernel, stride, padding, dilation, _ = geometry(rng, pool=True)
    x = rng.integers(-4, 3, (batch(rng), 3, *size)).astype(dtype)  # integers: many ties
    x[rng.random(x.shape) < 0.05] = rng.choice([np.nan, -np.inf, np.inf])
    return x, kernel, stride, padding, dilation, bool(rng.random() < 0.5)


def max_pool2d_input_grad(rng, dtype):
    x, *how = max_pool2d(rng, dtype)
    y, indices = kernels.max_pool2d.reference(x, *how)
    return rng.standard_normal(y.shape).astype(dtype), indices, x.shape


def avg_pool_how(rng):
    size, kernel, stride, padding, _, _ = geometry(rng, pool=True)
    while any(s + 2 * p < k for s, k, p in zip(size, kernel, padding, strict=True)):
        size, kernel, stride, padding, _, _ = geometry(rng, pool=True)
    ceil, include = (bool(b) for b in rng.random(2) < 0.5)
    return size, (kernel, stride, padding, ceil, include, 3 if rng.random() < 0.2 else None)


def avg_pool2d(rng, dtype):
    size, how = avg_pool_how(rng)
    return (rng.standard_normal((batch(rng), 3, *size)).astype(dtype), *how)


def avg_pool2d_input_grad(rng, dtype):
    x, *how = avg_pool2d(rng, dtype)
    y = kernels.avg_pool2d.reference(x, *how)
    return (rng.standard_normal(y.shape).astype(dtype), x.shape, *how)


def adaptive_avg_pool2d(rng, dtype):
    h, w, oh, ow = (int(v) for v in rng.integers(1, 9, 4))
    return rng.standard_normal((batch(rng), 3, h, w)).astype(dtype), (oh, ow)


def adaptive_avg_pool2d_input_grad(rng, dtype):
    x, size = adaptive_avg_pool2d(rng, dtype)
    return rng.standard_normal((*x.shape[:2], *size)).astype(dtype), x.shape


ARGUMENTS = {
    function.__name__: function
    for function in (
        conv2d,
        conv2d_weight_grad,
        conv2d_input_grad,
        max_pool2d,
        max_pool2d_input_grad,
        avg_pool2d,
        avg_pool2d_input_grad,
        adaptive_avg_pool2d,
        adaptive_avg_pool2d_input_grad,
    )
}


def test_every_kernel_has_arguments_here():
    assert set(ARGUMENTS) == set(KERNELS)


def implementations():
    """(kernel, array type) of every twin; those of Numba are there where Numba is."""
    pytest.importorskip("numba")
    with use_backend("numba"):
        for name, kernel in KERNELS.items():
            kernel.implementation(np.zeros(1))  # loads the twins
            for array_type in kernel.twins:
                yield name, array_type


def test_at_least_max_pooling_has_a_numba_twin():
    assert {name for name, _ in implementations()} >= {"max_pool2d", "max_pool2d_input_grad"}


def lay_out(value, how):
    """The same numbers in another memory layout."""
    if not isinstance(value, np.ndarray) or not value.ndim:
        return value
    if how == "Fortran":
        return np.asfortranarray(value)
    if how == "gaps":
        return np.repeat(value, 2, axis=-1)[..., ::2]
    return np.flip(np.flip(value).copy())


@pytest.mark.parametrize("layout", ["C", "Fortran", "gaps", "reversed"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(ARGUMENTS))
def test_twin_equals_reference(name, dtype, layout):
    kernel = KERNELS[name]
    twins = [array_type for other, array_type in implementations() if other == name]
    for seed in SEEDS:
        arguments = ARGUMENTS[name](np.random.default_rng(seed), dtype)
        expected = kernel.reference(*arguments)
        given = arguments if layout == "C" else tuple(lay_out(a, layout) for a in arguments)
        before = [a.copy() if isinstance(a, np.ndarray) else a for a in given]
        for implementation in (kernel.reference, *(kernel.twins[t] for t in twins)):
            found = implementation(*given)
            results = zip(as_tuple(found), as_tuple(expected), strict=True)
            for result, wanted in results:
                assert result.dtype == wanted.dtype
                n = max(1, math.prod(wanted.shape[-2:]) * 64)
                tolerance = 1e-12 if dtype == np.float64 else math.sqrt(n) * 1.2e-7
                np.testing.assert_allclose(result, wanted, rtol=tolerance, atol=tolerance, strict=True)
                assert not any(np.shares_memory(result, a) for a in given if isinstance(a, np.ndarray))
            for a, b in zip(given, before, strict=True):
                np.testing.assert_array_equal(a, b)


def as_tuple(value):
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.parametrize("name", list(ARGUMENTS))
def test_twins_give_the_same_bits_at_1_2_and_4_threads(name):
    numba = pytest.importorskip("numba")
    kernel = KERNELS[name]
    allowed = numba.config.NUMBA_NUM_THREADS
    for seed in SEEDS:
        arguments = ARGUMENTS[name](np.random.default_rng(seed), np.float32)
        results = []
        for threads in (1, 2, 4):
            numba.set_num_threads(min(threads, allowed))
            with use_backend("numba"):
                results.append(as_tuple(kernel(*arguments)))
        numba.set_num_threads(allowed)
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                assert a.tobytes() == b.tobytes()
