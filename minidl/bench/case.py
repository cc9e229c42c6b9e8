"""One thing to measure, and what both sides start from: parameters, inputs, targets, upstream gradients.

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

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.array import Array

__all__ = ["LARGE", "PARTS", "Case", "batch", "factors", "operands", "upstream", "weights"]

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


Draw = Callable[[np.random.Generator, tuple[int, ...]], tuple[Array, ...]]


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Attributes:
        name: what `--only` selects by.
        group: the table that it stands in: `"workload"`, `"graph"`, `"operation"`, `"layer"`, `"loss"`,
            `"optimizer"`, `"memory"`, `"ladder"` or `"growth"`.
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
        draw: (rng, shape) → what a layer takes, or a loss and its targets, where it is not one array of
            normal numbers (and class indices); an optimizer's gradients then come of a forward and backward.
        wanted: of how many of these, from the first on, the gradient is computed.
    """

    name: str
    group: str
    kind: str
    network: Callable[[Any], Any] | None
    shape: tuple[int, ...]
    text: str
    optimizer: tuple[str, Mapping[str, Any]] = ("SGD", {"lr": 1e-3})
    quick: bool = False
    random: bool = False
    layout: str = "nn"
    loop: str | None = None
    curve: tuple[str, str, int] | None = None
    expression: Callable[[Any, Any, Any], Any] | None = None
    moved: int | None = None
    devices: str = "all"
    graph: bool = False
    draw: Draw | None = None
    wanted: int = 1

    @property
    def extent(self) -> str:
        """How much rounding can grow: in `"one layer"`, or through a `"network"` (`agree.TOLERANCE`)."""
        return "network" if self.kind == "train" or self.optimizer[0] == "LBFGS" else "one layer"


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


def batch(case: Case, size: int | None = None) -> tuple[Array, ...]:
    """What both sides get: what the case draws; else float32 of `case.shape` and class indices, int64 (N,).

    Args:
        case: whose input.
        size: another batch size than the case's own.
    """
    rng = np.random.default_rng(SEED + 1)
    shape = (size or case.shape[0], *case.shape[1:])
    if case.draw is not None:
        return case.draw(rng, shape)
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
