"""The table that `module.summary()` prints: layers, output shapes, parameters, multiply-adds."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minidl.nn.embedding import Table
from minidl.nn.module import Module, watch_forward
from minidl.nn.parameter import Parameter

__all__ = ["multiply_adds", "summary_table"]


class Seen(NamedTuple):
    """What one forward of a module showed."""

    shape: tuple[int, ...]
    multiply_adds: int


def summary_table(module: Module, input_shape: tuple[int, ...] | None = None) -> str:
    """One line per module that holds no others or has parameters of its own, then the totals.

    Multiply-adds are counted as in tables of published networks: one for every use of a weight of a
    convolution or a linear layer, and none for biases, normalisation, activations and pooling.

    Args:
        module: what to describe.
        input_shape: the shape of one batch; zeros of this shape are run through the module in `eval()`, and
            its state and modes are put back. Without it the columns of output shapes and multiply-adds are
            left out.

    Returns:
        The table as text.
    """
    seen = {} if input_shape is None else _watch(module, input_shape)
    header = [
        "layer",
        "type",
        *(["output"] if seen else []),
        "parameters",
        *(["multiply-adds"] if seen else []),
    ]
    rows = [header]
    for name, layer in module.named_modules():
        own = [value for value in vars(layer).values() if isinstance(value, Parameter)]
        if not own and any(True for _ in layer.children()):
            continue
        row = [name or "(self)", type(layer).__name__, f"{sum(parameter.size for parameter in own):,}"]
        if seen:
            ran = seen.get(id(layer))
            row.insert(2, str(ran.shape) if ran else "not used")
            row.append(f"{ran.multiply_adds:,}" if ran else "0")
        rows.append(row)
    numbers = header.index("parameters")
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if i < numbers else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    rule = "─" * len(lines[0])
    total = sum(parameter.size for parameter in module.parameters())
    trainable = sum(parameter.size for parameter in module.parameters() if parameter.requires_grad)
    totals = f"{total:,} parameters, {trainable:,} of them trainable"
    if seen:
        totals += f"; {sum(ran.multiply_adds for ran in seen.values()):,} multiply-adds"
    return "\n".join([lines[0], rule, *lines[1:], rule, totals])


def multiply_adds(module: Module, input_shape: tuple[int, ...]) -> int:
    """The multiply-adds of one forward, as `summary_table` counts them."""
    return sum(ran.multiply_adds for ran in _watch(module, input_shape).values())


def _watch(module: Module, input_shape: tuple[int, ...]) -> dict[int, Seen]:
    """What each module showed, by its id; modes and state are left as they were."""
    seen: dict[int, Seen] = {}

    def note(layer: Module, inputs: tuple[Any, ...], output: Any) -> None:
        before = seen[id(layer)].multiply_adds if id(layer) in seen else 0
        shape = (output[0] if isinstance(output, tuple) else output).shape
        seen[id(layer)] = Seen(shape, before + layer._multiply_adds(inputs, output))

    like = next((parameter.data for parameter in module.parameters()), np.zeros(0, np.float32))
    first = next((layer for layer in module.modules() if not any(True for _ in layer.children())), module)
    dtype = np.int64 if isinstance(first, Table) else like.dtype  # word 0, over and over
    with watch_forward(note), module.evaluating():
        module(np.zeros_like(like, shape=input_shape, dtype=dtype))
    return seen
