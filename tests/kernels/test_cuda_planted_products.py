"""Bugs planted in the GPU's products, convolutions, pooling and sums: each must show on the simulator."""

from __future__ import annotations

import inspect
import itertools
import re

import numpy as np
import pytest

from minidl.array import to_device, to_host
from minidl.array.gpu import GpuFunction, GpuKernel, kernel_from_source
from minidl.errors import KernelError
from minidl.kernels import KERNELS
from minidl.kernels.cuda import averages, conv, direct, pooling, products, sums
from minidl.kernels.cuda.tiles import SMALL

RNG = np.random.default_rng(0)
X, W, BIAS = (RNG.standard_normal(shape) for shape in ((2, 8, 6, 5), (9, 8, 3, 2), (9,)))
HOW = ((2, 1), (1, 1), (1, 1), 1)
DY = RNG.standard_normal(KERNELS["conv2d"].reference(X, W, None, *HOW).shape)
DEPTHWISE = ((1, 2), (1, 0), (1, 1), 8)
WINDOW = ((3, 2), (2, 1), (1, 1), (1, 1), True)
IMAGE = np.round(-2 - RNG.random((1, 2, 5, 4)), 1)  # below 0, as zeros in the padding must not win
IMAGE[0, 0, 1, 1] = np.nan
IMAGE[0, 1, :3] = -np.inf
WINNERS = KERNELS["max_pool2d"].reference(IMAGE, *WINDOW)
AVERAGE = ((3, 2), (2, 1), (1, 1), True, False, None)

CALLS = {
    "linear": (RNG.standard_normal((6, 20)), RNG.standard_normal((35, 20)), RNG.standard_normal(35)),
    "conv2d": (X, W, BIAS, *HOW),
    "conv2d_input_grad": (DY, W, X.shape, *HOW),
    "conv2d_weight_grad": (DY, X, W.shape, *HOW),
    "max_pool2d": (IMAGE, *WINDOW),
    "max_pool2d_input_grad": (*WINNERS, IMAGE.shape, *WINDOW),
    "avg_pool2d": (X, *AVERAGE),
    "avg_pool2d_input_grad": (
        RNG.standard_normal(KERNELS["avg_pool2d"].reference(X, *AVERAGE).shape),
        X.shape,
        *AVERAGE,
    ),
    "adaptive_avg_pool2d": (X, (4, 3)),
    "adaptive_avg_pool2d_input_grad": (RNG.standard_normal((2, 8, 4, 3)), X.shape),
    "sum_rows": (RNG.standard_normal((70, 35)),),
    "sum_channels": (RNG.standard_normal((3, 4, 40)),),
}
FEW = {
    "conv2d": (X, W[:8, :1], BIAS[:8], *DEPTHWISE),
    "conv2d_input_grad": (
        RNG.standard_normal(KERNELS["conv2d"].reference(X, W[:8, :1], None, *DEPTHWISE).shape),
        W[:8, :1],
        X.shape,
        *DEPTHWISE,
    ),
}
FEW["conv2d_weight_grad"] = (FEW["conv2d_input_grad"][0], X, (8, 1, 3, 2), *DEPTHWISE)

COUNT = itertools.count()
COMPLETE, READ = (
    "cuda.syncthreads()  # the tiles are complete",
    "cuda.syncthreads()  # everybody has read them",
)
TILES = [
    ("linear", products.PRODUCT, COMPLETE, "pass"),
    ("linear", products.PRODUCT, READ, "pass"),
    ("linear", products.PRODUCT, "if column3 < n", "if True"),
    ("linear", products.PRODUCT, "inside2 = row2 < m", "inside2 = True"),
    ("linear", products.PRODUCT, "if a_inside7 and", "if"),
    ("linear", products.PRODUCT, "c1_2 += a1_1 * b2_1", "c1_2 += a1_1 * b1_1"),
    ("linear", products.PRODUCT, "add1 = bias[column1]", "add1 = bias[column0]"),
    ("conv2d", conv.FORWARD, COMPLETE, "if thread < 40: cuda.syncthreads()"),
    ("conv2d", conv.FORWARD, "bias[uint32(batch * m + row2)]", "bias[row1]"),
    ("conv2d_input_grad", conv.INPUT_GRAD, "uint32(k0 + b_k) < last", "True"),
    ("conv2d_weight_grad", conv.WEIGHT_GRAD, "c3_3 += a3_0 * b3_0", "pass"),
]
SINGLE = [
    ("conv2d", direct, "conv2d_direct", "plane - image * F)", "plane)"),
    ("conv2d", direct, "conv2d_direct", "u * dh, v * dw", "v * dh, u * dw"),
    ("conv2d_input_grad", direct, "conv2d_input_grad_direct", "number - group * Cg", "number"),
    ("conv2d_weight_grad", direct, "block_sum", "cuda.syncthreads()\n    total", "total"),
    ("sum_channels", sums, "block_sum", "cuda.syncthreads()\n    total", "total"),
    ("conv2d_weight_grad", direct, "conv2d_weight_grad_direct", "uint32(part * run + thread)", "uint32(thread + 1)"),
    ("max_pool2d", pooling, "max_pool2d_kernel", "if at < uint32(size)", "if at <= uint32(size)"),
    ("max_pool2d", pooling, "largest", "winner < 0 or", ""),
    ("max_pool2d", pooling, "largest", "value > best", "value >= best"),
    ("max_pool2d", pooling, "largest", "(value != value and best == best)", "False"),
    ("max_pool2d", pooling, "largest", "row >= 0 and", ""),
    ("avg_pool2d_input_grad", averages, "windows_over", "quotient(at - reach, stride) + 1", "quotient(at, stride)"),
    ("max_pool2d_input_grad", pooling, "collected", "== u * kw + v", ">= 0"),
    ("avg_pool2d", averages, "divisor_of", "pw, W, padded)", "pw, H, padded)"),
    ("avg_pool2d", averages, "cells_of", "max(first, 0)", "first"),
    ("avg_pool2d_input_grad", averages, "avg_pool2d_input_grad_kernel", "kw, sw, pw, OW)", "kw, sw, pw, OW - 1)"),
    ("adaptive_avg_pool2d", averages, "bounds", "+ windows - 1", ""),
    ("adaptive_avg_pool2d_input_grad", averages, "windows_around", "+ size - 1", ""),
    ("sum_rows", sums, "sum_rows_kernel", "cuda.syncthreads()", "pass"),
    ("sum_rows", sums, "sum_rows_kernel", "half = DOWN // 2", "half = DOWN // 4"),
    ("sum_rows", sums, "sum_rows_kernel", "if ty == 0 and column < uint32(columns)", "if ty == 0"),
    ("sum_channels", sums, "sum_channels_kernel", "image * channels + channel", "image + channel * channels"),
]  # fmt: skip


def text_of(made):
    """The text of a kernel, or of a function that kernels call."""
    text = inspect.getsource(made.function)
    return text[re.search(r"^def ", text, re.MULTILINE).start() :]


def replaced(made, old, new):
    """Its text with a piece, which it has exactly once, replaced."""
    text = text_of(made)
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {made.name}"
    return text.replace(old, new)


def broken(kernel, old, new):
    """A kernel with a bug."""
    return kernel_from_source(replaced(kernel, old, new), kernel.signature(), names=kernel.names())


def plant(monkeypatch, module, part, old, new):
    """Put a bug into a kernel of a module, or into a function that its kernels call."""
    made = getattr(module, part)
    if isinstance(made, GpuKernel):
        monkeypatch.setattr(module, part, broken(made, old, new))
        return
    text, scope = replaced(made, old, new), {**made.names(), **vars(module)}
    exec(text, scope)
    monkeypatch.setattr(module, part, GpuFunction(scope[part], text))
    for name, other in list(
        vars(module).items()
    ):  # what calls it is made anew, as it remembers whom it calls
        if isinstance(other, GpuKernel) and part in other.function.__code__.co_names:
            fresh = f"{other.name}_{next(COUNT)}"
            again = text_of(other).replace(f"def {other.name}(", f"def {fresh}(")
            kernel = kernel_from_source(again, other.signature(), names={**other.names(), **vars(module)})
            monkeypatch.setattr(module, name, kernel)


def differs(name, arguments):
    """Whether the twin gives anything else than the reference, or a kernel complains."""
    wanted = KERNELS[name].reference(*arguments)
    given = [to_device(a, "sim") if isinstance(a, np.ndarray) else a for a in arguments]
    try:
        found = KERNELS[name](*given)
    except KernelError:
        return True
    pairs = zip(found, wanted, strict=True) if isinstance(wanted, tuple) else [(found, wanted)]
    return not all(np.allclose(to_host(a), b, rtol=1e-9, equal_nan=True) for a, b in pairs)


@pytest.mark.parametrize("name", CALLS)
def test_honest_kernels_agree(name):
    assert not differs(name, CALLS[name])


@pytest.mark.parametrize("name", FEW)
def test_honest_kernels_of_few_filters_agree(name):
    assert not differs(name, FEW[name])


@pytest.mark.parametrize(("name", "tiles", "old", "new"), TILES, ids=[f"{bug[0]}: {bug[2]}" for bug in TILES])
def test_a_bug_in_a_product_by_tiles_shows(name, tiles, old, new, monkeypatch):
    monkeypatch.setitem(tiles, SMALL, broken(tiles[SMALL], old, new))
    assert differs(name, CALLS[name])


@pytest.mark.parametrize(
    ("name", "module", "part", "old", "new"), SINGLE, ids=[f"{bug[2]}: {bug[3]}" for bug in SINGLE]
)
def test_a_planted_bug_shows(name, module, part, old, new, monkeypatch):
    plant(monkeypatch, module, part, old, new)
    assert differs(name, FEW[name] if module is direct else CALLS[name])
