"""Containers: modules made of modules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, overload

from minidl.array import Array
from minidl.nn.module import Module

__all__ = ["Sequential"]


class Sequential(Module):
    """Modules one after the other: each takes what the one before it gave.

    The chain rule in two loops: `forward` goes through the layers, `backward` through the same layers
    from the last to the first. Parameters are named by position: `0.weight`, `0.bias`, `2.weight`, …

    Args:
        *modules: the layers in order; each takes one array and gives one.
    """

    def __init__(self, *modules: Module) -> None:
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> Sequential:
        """Add one more module at the end.

        Raises:
            TypeError: it is no Module.
        """
        if not isinstance(module, Module):
            raise TypeError(f"Sequential: expected modules, got {type(module).__name__} at {len(self)}")
        setattr(self, str(len(self)), module)
        return self

    def forward(self, x: Array) -> Array:
        layers = list(self.children())
        for layer in layers:
            x = layer(x)  # eq. 4.4: one function put into the next
        return x if layers else x.copy()

    def backward(self, dy: Any) -> Any:
        # dx = (∂f₁/∂x)ᵀ … (∂fₙ/∂fₙ₋₁)ᵀ dy, taken from the right
        layers = list(self.children())
        for layer in reversed(layers):
            if dy is None:  # what stands before the layer that meets the data: `no_input_grad`
                layer.forget()
            else:
                dy = layer.backward(dy)  # eq. 4.5: each hands its gradient on
        return dy if layers else dy.copy()

    def _data_layer(self) -> Module | None:
        for layer in self:
            if any(True for _ in layer.parameters()):
                return layer._data_layer()
        return None

    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: Any) -> Module:
        layers = list(self.children())
        return Sequential(*layers[index]) if isinstance(index, slice) else layers[index]
