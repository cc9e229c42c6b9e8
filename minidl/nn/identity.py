"""The module that does nothing: what stands where a network has a layer that is left out."""

from __future__ import annotations

from typing import Any

from minidl.array import Array
from minidl.nn.module import Module

__all__ = ["Identity"]


class Identity(Module):
    """Nothing: `y = x`.

    Put it in a layer's place to switch that layer off, such as a network's head (`model.fc = Identity()`).

    Shape:
        - input: any; output: the same

    Args:
        *args: anything; taken so that any layer's arguments may stay, and not used.
        **kwargs: likewise.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y = x.copy()
        self.remember(output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy
        (given,) = self.recall(dy)
        return given.copy()
