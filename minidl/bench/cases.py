"""What is measured: every case of the benchmark, described once for both sides.

A case is a network, the shape of its input, and what one step is:

- `"train"`: zero_grad, forward, cross-entropy, backward, SGD's step: one part, `step`
- `"operation"`: one layer; `forward`, then `backward` with a given gradient of the output, timed apart
- `"loss"`: the same of a loss, whose backward starts from 1
- `"optimizer"`: the optimizer's `step` alone, with gradients that are there
- `"product"`: one matrix product, in the memory layout in which a layer has it, or by one of the loops of
  `kernels/numba_cpu/ladder.py` in the place of minidl's own kernel: `step`
- `"expression"`: one line of array arithmetic of two arrays: `step`
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from minidl.array import Array
from minidl.bench import networks
from minidl.errors import MinidlError

__all__ = ["CASES", "PARTS", "Case", "batch", "factors", "operands", "select", "upstream", "weights"]

SEED = 20_260_101
CLASSES = 10
LARGE = (4096, 8192)
"""Of the arrays that show the pace of a GPU's memory: 134 MB each, more than its caches hold."""
PARTS = {
    "train": ("step",),
    "operation": ("forward", "backward"),
    "loss": ("forward", "backward"),
    "optimizer": ("step",),
    "product": ("step",),
    "expression": ("step",),
}


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Attributes:
        name: what `--only` selects by.
        group: `"workload"`, `"graph"`, `"operation"`, `"memory"`, `"ladder"` or `"growth"`.
        kind: what a step is, a key of `PARTS`.
        network: builds the network (or the loss) from `minidl.nn` or `torch.nn`; None where there is none.
        shape: of the input, batch first; of a product M, K, N.
        text: what the tables say.
        optimizer: its name and options, for `"train"` and `"optimizer"`.
        quick: whether `--quick` measures it.
        random: the two sides draw random numbers of their own (dropout).
        layout: of a product's two matrices: `n`, or `t` for a transposed view.
        loop: the function of `kernels/numba_cpu/ladder.py` that computes minidl's product, on one thread.
        curve: for growth: which curve the case is a point of, along which axis, and where.
        expression: of x and y, both of `shape`, with the functions of `numpy` or `torch`.
        moved: bytes that the expression reads and writes at least.
        devices: `"all"`, or only the `"host"`, or only a `"gpu"`.
        graph: minidl's side replays the step as a recorded graph.
    """

    name: str
    group: str
    kind: str
    network: Callable[[Any], Any] | None
    shape: tuple[int, ...]
    text: str
    optimizer: tuple[str, Mapping[str, float]] = ("SGD", {"lr": 1e-3})
    quick: bool = False
    random: bool = False
    layout: str = "nn"
    loop: str | None = None
    curve: tuple[str, str, int] | None = None
    expression: Callable[[Any, Any, Any], Any] | None = None
    moved: int | None = None
    devices: str = "all"
    graph: bool = False


def weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """The values that both sides start from: He-uniform matrices and filters, small biases, γ near 1."""
    rng = np.random.default_rng(SEED)
    values = {}
    for name, shape in shapes.items():
        if len(shape) > 1:
            bound = math.sqrt(6 / math.prod(shape[1:]))
            drawn = rng.uniform(-bound, bound, shape)
        else:
            drawn = rng.uniform(-0.1, 0.1, shape) + name.endswith("weight")
        values[name] = drawn.astype(np.float32)
    return values


def batch(case: Case, size: int | None = None) -> tuple[Array, Array]:
    """The input and the class indices that both sides get: float32 of `case.shape`, and int64 (N,).

    Args:
        case: whose input.
        size: another batch size than the case's own.
    """
    rng = np.random.default_rng(SEED + 1)
    shape = (size or case.shape[0], *case.shape[1:])
    return rng.standard_normal(shape, np.float32), rng.integers(0, CLASSES, shape[0])


def upstream(shape: tuple[int, ...]) -> Array:
    """The gradient of the output that an operation's backward starts from on both sides."""
    return np.random.default_rng(SEED + 2).standard_normal(shape, np.float32)


def factors(case: Case) -> tuple[Array, Array]:
    """A product's two matrices, (M, K) and (K, N), each in its layout."""
    rng = np.random.default_rng(SEED + 1)
    m, k, n = case.shape
    made = []
    for (rows, columns), layout in zip(((m, k), (k, n)), case.layout, strict=True):
        drawn = rng.standard_normal((rows, columns) if layout == "n" else (columns, rows), np.float32)
        made.append(drawn if layout == "n" else drawn.T)
    return made[0], made[1]


def operands(case: Case) -> tuple[Array, Array]:
    """An expression's x and y."""
    rng = np.random.default_rng(SEED + 1)
    return rng.standard_normal(case.shape, np.float32), rng.standard_normal(case.shape, np.float32)


def select(patterns: Sequence[str] = (), quick: bool = False, device: str = "cpu") -> list[Case]:
    """The cases to measure, in the order of `CASES`.

    Args:
        patterns: names, parts of names, or shell patterns such as `conv-*`; none selects all.
        quick: without patterns, only a few of each group.
        device: where they run.

    Raises:
        MinidlError: a pattern that no case fits.
    """
    elsewhere = "gpu" if device == "cpu" else "host"
    cases = {name: case for name, case in CASES.items() if case.devices != elsewhere}
    if not patterns:
        return [case for case in cases.values() if case.quick or not quick]
    chosen: set[str] = set()
    for pattern in patterns:
        wild = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
        found = {pattern} & set(cases) or set(fnmatch.filter(cases, wild))
        if not found:
            raise MinidlError(
                f"--only: expected a name, a part of one or a pattern such as 'conv-*' among the "
                f"{len(cases)} cases (--list shows them), got {pattern!r}"
            )
        chosen |= found
    return [case for case in cases.values() if case.name in chosen]


# -------------------------------------------------------------------- the list

CASES: dict[str, Case] = {}
"""Every case by name, in the order of the tables."""


def _add(case: Case) -> None:
    assert case.name not in CASES, case.name
    CASES[case.name] = case


def _layer(name: str, text: str, make: Callable[[Any], Any], *shape: int, **more: Any) -> None:
    # in a Sequential of one, so that parameters have the same names on both sides
    _add(Case(name, "operation", "operation", lambda nn: nn.Sequential(make(nn)), shape, text, **more))


def _called(nn: Any, name: str) -> Any:
    return getattr(nn, name)()


def _conv3x3(nn: Any, channels: int) -> Any:
    return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1))


def _linear(n: int, inputs: int, outputs: int, quick: bool = False) -> None:
    text = f"Linear {n}×{inputs}×{outputs}"
    name = f"linear-{n}x{inputs}x{outputs}"
    _layer(name, text, lambda nn: nn.Linear(inputs, outputs), n, inputs, quick=quick)


def _product(name: str, what: str, m: int, k: int, n: int, layout: str = "nn", quick: bool = False) -> None:
    text = f"{what}, {m}×{k} · {k}×{n}"
    _add(Case(f"matmul-{name}", "operation", "product", None, (m, k, n), text, quick=quick, layout=layout))


def _conv(
    name: str, n: int, inputs: int, outputs: int, size: int, kernel: int, stride: int = 1,
    groups: int = 1, padding: int | None = None, quick: bool = False,
) -> None:  # fmt: skip
    pad = kernel // 2 if padding is None else padding
    extras = f" stride {stride}" * (stride > 1) + " depthwise" * (groups > 1)
    _layer(
        f"conv-{name}",
        f"Conv {inputs}→{outputs} {kernel}×{kernel}{extras}, {n}×{size}×{size}",
        lambda nn: nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=pad, groups=groups),
        n, inputs, size, size, quick=quick,
    )  # fmt: skip


def _workloads() -> None:
    for name, text, network, shape in (
        ("mlp-64", "MLP 784-128-10, batch 64", networks.mlp, (64, 784)),
        ("mlp-512", "MLP 784-128-10, batch 512", networks.mlp, (512, 784)),
        ("lenet5-64", "LeNet-5 28×28, batch 64", networks.lenet5, (64, 1, 28, 28)),
        ("cnn-64", "CNN 1-32-64 3×3, batch 64", networks.cnn, (64, 1, 28, 28)),
        ("vgg-small-32", "VGG-small 32×32, batch 32", networks.vgg_small, (32, 3, 32, 32)),
    ):
        _add(Case(name, "workload", "train", network, shape, f"{text}, SGD", quick=True))


def _operations() -> None:
    for n in (64, 128, 256, 512, 1024, 2048):
        _product(str(n), "product", n, n, n, quick=n == 256)
    for n, inputs, outputs in ((64, 784, 128), (512, 784, 128), (64, 400, 120), (64, 120, 84), (64, 84, 10)):
        sizes = f"{n}x{inputs}x{outputs}"
        _product(sizes, "y = x Wᵀ", n, inputs, outputs, "nt")
        _product(f"{sizes}-dw", "dW = dyᵀ x", outputs, n, inputs, "tn")
        _product(f"{sizes}-dx", "dx = dy W", n, outputs, inputs, "nn")
    for n, inputs, outputs in (
        (64, 784, 128), (512, 784, 128), (64, 128, 10), (512, 128, 10), (64, 400, 120), (64, 120, 84),
        (64, 84, 10), (64, 3136, 128), (32, 8192, 10),
    ):  # fmt: skip
        _linear(n, inputs, outputs, quick=(n, inputs) == (64, 784))

    _conv("lenet-1", 64, 1, 6, 28, 5, quick=True)
    _conv("lenet-2", 64, 6, 16, 14, 5, padding=0)
    _conv("vgg-3-64", 8, 3, 64, 32, 3)
    _conv("vgg-64", 8, 64, 64, 32, 3, quick=True)
    _conv("vgg-128", 8, 128, 128, 16, 3)
    _conv("vgg-256", 8, 256, 256, 8, 3)
    _conv("vgg-512", 8, 512, 512, 4, 3)
    _conv("resnet-7x7", 2, 3, 64, 112, 7, stride=2)
    _conv("resnet-3x3", 2, 64, 64, 56, 3)
    _conv("resnet-3x3-stride-2", 2, 64, 128, 56, 3, stride=2)
    _conv("resnet-1x1", 2, 64, 256, 56, 1)
    _conv("resnet-1x1-stride-2", 2, 256, 512, 56, 1, stride=2)
    _conv("mobilenet-depthwise", 8, 128, 128, 28, 3, groups=128)
    _conv("mobilenet-depthwise-stride-2", 8, 128, 128, 28, 3, stride=2, groups=128)
    _conv("mobilenet-1x1", 8, 128, 128, 28, 1)

    image = (32, 64, 32, 32)
    at = "32×64×32×32"
    _layer("maxpool-2x2", f"MaxPool 2×2, {at}", lambda nn: nn.MaxPool2d(2), *image, quick=True)
    _layer("maxpool-3x3", f"MaxPool 3×3 stride 2, {at}", lambda nn: nn.MaxPool2d(3, 2, 1), *image)
    _layer("avgpool-2x2", f"AvgPool 2×2, {at}", lambda nn: nn.AvgPool2d(2), *image)
    _layer("avgpool-global", f"AdaptiveAvgPool to 1×1, {at}", lambda nn: nn.AdaptiveAvgPool2d(1), *image)
    _layer("batchnorm2d", f"BatchNorm2d, {at}", lambda nn: nn.BatchNorm2d(64), *image, quick=True)
    _layer("batchnorm1d", "BatchNorm1d, 512×1024", lambda nn: nn.BatchNorm1d(1024), 512, 1024)
    _layer("layernorm", "LayerNorm, 4096×512", lambda nn: nn.LayerNorm(512), 4096, 512)
    _layer("rmsnorm", "RMSNorm, 4096×512", lambda nn: nn.RMSNorm(512), 4096, 512)
    _layer("groupnorm", f"GroupNorm, {at}", lambda nn: nn.GroupNorm(32, 64), *image)
    _layer("instancenorm", f"InstanceNorm2d, {at}", lambda nn: nn.InstanceNorm2d(64), *image)
    _layer("relu-small", "ReLU, 64×128", lambda nn: nn.ReLU(), 64, 128)
    for name in ("ReLU", "Sigmoid", "Tanh"):
        _layer(name.lower(), f"{name}, {at}", partial(_called, name=name), *image)
    for name in ("LeakyReLU", "GELU", "SiLU"):
        _layer(name.lower(), f"{name}, 256×1024", partial(_called, name=name), 256, 1024)
    _layer("log-softmax", "LogSoftmax, 512×1000", lambda nn: nn.LogSoftmax(1), 512, 1000)
    _layer("softmax", "Softmax, 512×1000", lambda nn: nn.Softmax(1), 512, 1000)
    _layer("dropout", f"Dropout, {at}", lambda nn: nn.Dropout(0.5), *image, random=True)
    for n, classes in ((64, 10), (512, 10), (512, 1000)):
        name, text = f"cross-entropy-{n}x{classes}", f"CrossEntropyLoss {n}×{classes}"
        loss = Case(name, "operation", "loss", lambda nn: nn.CrossEntropyLoss(), (n, classes), text)
        _add(loss)

    rules: dict[str, tuple[str, Mapping[str, float]]] = {
        "sgd": ("SGD", {"lr": 1e-3}),
        "momentum": ("SGD", {"lr": 1e-3, "momentum": 0.9}),
        "adam": ("Adam", {"lr": 1e-3}),
    }
    for model, network, shape in (
        ("mlp", networks.mlp, (2, 784)),
        ("lenet5", networks.lenet5, (2, 1, 28, 28)),
        ("vgg-small", networks.vgg_small, (2, 3, 32, 32)),
    ):
        for name, rule in rules.items():
            text = f"{rule[0]}{' with momentum' * (name == 'momentum')}, parameters of {model}"
            quick = (name, model) == ("adam", "lenet5")
            _add(Case(f"{name}-{model}", "operation", "optimizer", network, shape, text, rule, quick))


def _ladder() -> None:
    """Loops that are slow on purpose: what each step towards the kernel of matmul-512 brings."""
    n = 512
    for name, loop in (
        ("naive", "naive loop i, j, k"),
        ("reordered", "loop reordered i, k, j"),
        ("blocked", "reordered, in blocks"),
    ):
        text = f"product, {n}×{n} · {n}×{n}, {loop}, 1 thread"
        _add(
            Case(f"ladder-{name}-{n}", "ladder", "product", None, (n, n, n), text, loop=name, devices="host")
        )


def _growth() -> None:
    for name, text, network, sizes, shape in (
        ("mlp", "MLP 784-128-10", networks.mlp, (1, 8, 64, 256, 1024, 4096), (784,)),
        ("lenet5", "LeNet-5", networks.lenet5, (1, 4, 16, 64, 256, 1024), (1, 28, 28)),
    ):
        for n in sizes:
            _add(
                Case(
                    f"growth-{name}-{n}", "growth", "train", network, (n, *shape), f"{text}, batch {n}",
                    curve=(text, "batch size", n),
                )
            )  # fmt: skip
    for c in (4, 8, 16, 32, 64, 128, 256):
        _add(
            Case(
                f"growth-conv-{c}", "growth", "operation",
                partial(_conv3x3, channels=c), (8, c, 16, 16),
                f"Conv 3×3, {c} channels, 8×16×16", curve=("Conv 3×3, 8×16×16", "channels", c),
            )
        )  # fmt: skip


def _gpu() -> None:
    """What only a GPU is asked: steps as graphs, a large product, the pace of its memory, a launch's cost."""
    for case in [case for case in CASES.values() if case.group == "workload"]:
        text = f"{case.text}, as a graph"
        graph = {"group": "graph", "graph": True, "devices": "gpu"}
        _add(replace(case, name=f"{case.name}-graph", text=text, **graph))  # type: ignore[arg-type]
    n = 4096
    _add(
        Case(
            f"matmul-{n}", "operation", "product", None, (n, n, n), f"product, {n}×{n} · {n}×{n}",
            quick=True, devices="gpu",
        )
    )  # fmt: skip
    rows, columns = LARGE
    size = 4 * rows * columns
    expressions: tuple[tuple[str, str, Callable[[Any, Any, Any], Any], int], ...] = (
        ("add", "x + y", lambda xp, x, y: x + y, 3 * size),
        ("scale", "2.5 · x", lambda xp, x, y: 2.5 * x, 2 * size),
        ("exp", "exp(x)", lambda xp, x, y: xp.exp(x), 2 * size),
        ("sum", "sum of all", lambda xp, x, y: x.sum(), size),
        ("sum-rows", "sums of rows", lambda xp, x, y: x.sum(1), size + 4 * rows),
        ("sum-columns", "sums of columns", lambda xp, x, y: x.sum(0), size + 4 * columns),
        ("max", "largest of all", lambda xp, x, y: x.max(), size),
    )
    for name, text, expression, moved in expressions:
        _add(
            Case(
                f"memory-{name}", "memory", "expression", None, LARGE, f"{text}, {rows}×{columns}",
                quick=name in ("add", "sum-rows"), expression=expression, moved=moved, devices="gpu",
            )
        )  # fmt: skip
    _add(
        Case(
            "launch", "memory", "expression", None, (16,), "x + y of 16 numbers: a launch",
            quick=True, expression=lambda xp, x, y: x + y, devices="gpu",
        )
    )  # fmt: skip


_workloads()
_operations()
_ladder()
_growth()
_gpu()
