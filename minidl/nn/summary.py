"""The table that `module.summary()` prints: layers, output shapes, parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.nn.embedding import Table
from minidl.nn.module import Module, watch_forward
from minidl.nn.parameter import Parameter

__all__ = ["summary_table"]


def summary_table(module: Module, input_shape: tuple[int, ...] | None = None) -> str:
    """One line per module that holds no others or has parameters of its own, then the totals.

    Args:
        module: what to describe.
        input_shape: the shape of one batch; zeros of this shape are run through the module in `eval()`, and
            its state and modes are put back. Without it the column of output shapes is left out.

    Returns:
        The table as text.
    """
    shapes = {} if input_shape is None else _output_shapes(module, input_shape)
    header = ["layer", "type", *(["output"] if shapes else []), "parameters"]
    rows = [header]
    for name, layer in module.named_modules():
        own = [value for value in vars(layer).values() if isinstance(value, Parameter)]
        if not own and any(True for _ in layer.children()):
            continue
        shape = [str(shapes.get(id(layer), "not used"))] if shapes else []
        count = sum(parameter.size for parameter in own)
        rows.append([name or "(self)", type(layer).__name__, *shape, f"{count:,}"])
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.rjust(width) if i == len(header) - 1 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    rule = "─" * len(lines[0])
    total = sum(parameter.size for parameter in module.parameters())
    trainable = sum(parameter.size for parameter in module.parameters() if parameter.requires_grad)
    totals = f"{total:,} parameters, {trainable:,} of them trainable"
    return "\n".join([lines[0], rule, *lines[1:], rule, totals])


def _output_shapes(module: Module, input_shape: tuple[int, ...]) -> dict[int, tuple[int, ...]]:
    """The shape of each module's output by its id; modes and state are left as they were."""
    shapes: dict[int, tuple[int, ...]] = {}

    def note(layer: Module, inputs: tuple[Any, ...], output: Any) -> None:
        shapes[id(layer)] = (output[0] if isinstance(output, tuple) else output).shape

    like = next((parameter.data for parameter in module.parameters()), np.zeros(0, np.float32))
    first = next((layer for layer in module.modules() if not any(True for _ in layer.children())), module)
    dtype = np.int64 if isinstance(first, Table) else like.dtype  # word 0, over and over
    with watch_forward(note), module.evaluating():
        module(np.zeros_like(like, shape=input_shape, dtype=dtype))
    return shapes
