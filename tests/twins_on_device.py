"""A kernel's twin on a device, simulated or real: what it and its reference get, and whether they agree."""

from __future__ import annotations

import math

import numpy as np
from kernel_arguments import ARGUMENTS, CHANGES, call

import minidl.kernels.cuda  # noqa: F401 - registers the twins
from minidl.array import DeviceArray, to_device, to_host
from minidl.kernels.registry import KERNELS

TWINS = [name for name, kernel in KERNELS.items() if DeviceArray in kernel.twins]

MOST = 2_500
"""How many numbers, or eight products, a draw may have that the simulator is to take."""


def work(name, arguments):
    """About how long the simulator takes, in numbers."""
    arrays = [a for a in arguments if isinstance(a, np.ndarray)]
    if name in ("matmul", "linear"):
        return arrays[0].size * (arrays[1].shape[1] if name == "matmul" else arrays[1].shape[0]) // 8
    if name.startswith("conv2d"):
        shapes = [a.shape if isinstance(a, np.ndarray) else a for a in arguments[:3]]
        weight = shapes[{"conv2d_weight_grad": 2}.get(name, 1)]
        images = shapes[0] if name != "conv2d" else (*shapes[0][:1], weight[0], *shapes[0][2:])
        return math.prod(images) * math.prod(weight[1:]) // 8
    return sum(a.size for a in arrays)


def draws(name, dtype, wanted=3, most=MOST):
    """Some drawn arguments that are no more work than that; so many of them with any numbers in them."""
    found = 0
    for seed in range(30):
        arguments = ARGUMENTS[name](np.random.default_rng(seed), dtype)
        if work(name, arguments) <= most:
            yield arguments
            found += work(name, arguments) > 0
        if found == wanted:
            return


def on_device(value, gaps=False, device="sim"):
    """A host array on a device; with `gaps` as a view that runs backwards, with room between."""
    if isinstance(value, np.generic):  # what NumPy makes of an array without dimensions
        value = np.asarray(value)
    if not isinstance(value, np.ndarray):
        return value
    if not gaps or value.ndim == 0:
        return to_device(value, device)
    wide = to_device(np.repeat(value[::-1], 2, axis=-1), device)
    return wide[::-1, ..., ::2] if value.ndim > 1 else wide[::-1][1::2]


def compare(result, wanted, dtype, terms=1, device="sim"):
    """Both hold the same numbers, up to the rounding of sums of so many terms.

    A GPU rounds every addition, where the simulator rounds what is stored: so of a GPU less is asked.
    """
    kind = dtype if isinstance(wanted, float) else None  # a twin may give a number, or an array () of dtype
    result, wanted = np.asarray(to_host(result), kind), np.asarray(wanted, kind)
    if wanted.dtype == np.uint16:  # a device has none
        wanted = wanted.astype(np.int32)
    assert result.dtype == wanted.dtype
    tolerance = 1e-12 if dtype == np.float64 else math.sqrt(max(terms, 64)) * 1.2e-7
    if device != "sim":
        tolerance = max(tolerance, 1e-10 if dtype == np.float64 else 1e-4)
    size = np.abs(wanted[np.isfinite(wanted)]).max(initial=1)
    np.testing.assert_allclose(result, wanted, rtol=tolerance, atol=tolerance * size, strict=True)


def check_twin(name, dtype, arguments, gaps=False, device="sim"):
    """A twin gives what its reference gives, the same bits twice, and changes only what it may change."""
    twin = KERNELS[name].twins[DeviceArray]
    expected = call(KERNELS[name].reference, name, arguments)
    runs = []
    for _ in range(2):
        given = tuple(on_device(a, gaps, device) for a in arguments)
        runs.append([to_host(r) for r in call(twin, name, given, own=True)])
        for i, (a, b) in enumerate(zip(given, arguments, strict=True)):
            if isinstance(b, np.ndarray) and i not in CHANGES.get(name, ()):
                np.testing.assert_array_equal(to_host(a), b)
    for result, again, wanted in zip(*runs, expected, strict=True):
        compare(result, wanted, dtype, 64 * math.prod(np.asarray(wanted).shape[-2:]), device)
        assert np.asarray(result).tobytes() == np.asarray(again).tobytes()
