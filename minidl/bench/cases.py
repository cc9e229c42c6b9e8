"""What is measured: the training steps and operations that the course is about, in the order of the tables.

`library` adds every other layer, loss and optimizer.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from minidl.bench import library, networks
from minidl.bench.case import LARGE, Case
from minidl.errors import MinidlError

__all__ = ["CASES", "select"]


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
for case in library.cases():
    _add(case)
_growth()
_gpu()
