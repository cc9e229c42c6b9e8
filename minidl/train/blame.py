"""Where the numbers went wrong: the first parameter or layer that is not finite, when the loss is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.array import Array
from minidl.nn import Module, watch_forward

__all__ = ["blame"]


def blame(model: Module, loss: float, when: str, inputs: Sequence[Array]) -> str:
    """The message of a loss that is no number: when it was, and what is to blame for it.

    Args:
        model: is run once more on the inputs, watched.
        loss: NaN or infinite.
        when: the step, in words.
        inputs: what the model was given.
    """
    where = f"the loss became {loss} at {when}"
    advice = "a smaller learning rate may help"
    if not all(np.isfinite(x).all() for x in inputs):
        return f"{where}: the batch itself holds numbers that are not finite"
    for name, parameter in model.named_parameters():
        if not np.isfinite(parameter.data).all():
            return f"{where}: parameter {name} is not finite since the step before; {advice}"
    names = {id(module): name for name, module in model.named_modules()}
    culprits: list[str] = []

    def look(module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        outputs = output if isinstance(output, tuple) else (output,)
        if not all(np.isfinite(part).all() for part in outputs):
            culprits.append(f"{names.get(id(module), '')} {module.label()}".strip())

    with watch_forward(look, alone=True):
        model(*inputs)
    layer = f"first in the output of {culprits[0]}" if culprits else "in the loss itself"
    return f"{where}: {layer}; {advice}"
