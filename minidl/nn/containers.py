"""Containers: modules made of modules."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Self, overload

from minidl.array import Array
from minidl.nn.module import Module, check_free

__all__ = ["ModuleDict", "ModuleList", "Sequential"]


class _Numbered(Module):
    """Modules by position, whose names are 0, 1, 2, …, so that `state_dict` has `0.weight`."""

    def append(self, module: Module) -> Self:
        """Add one more module at the end.

        Raises:
            TypeError: it is no Module.
        """
        setattr(self, str(len(self)), self._checked(module, len(self)))
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add these modules at the end.

        Raises:
            TypeError: one of them is no Module; then none is added.
        """
        self._put([*self, *modules])
        return self

    def insert(self, index: int, module: Module) -> Self | None:
        """Put a module before the one at `index`; those after it are numbered anew.

        Raises:
            TypeError: it is no Module.
        """
        modules = list(self)
        modules.insert(index, module)
        self._put(modules)
        return self

    def pop(self, key: int) -> Module:
        """Take out the module at `key`; those after it are numbered anew."""
        module = self[key]
        del self[key]
        return module

    def _put(self, modules: list[Module]) -> None:
        """Hold these modules, and no others."""
        for place, module in enumerate(modules):
            self._checked(module, place)
        for name, _ in list(self.named_children()):
            delattr(self, name)
        for place, module in enumerate(modules):
            setattr(self, str(place), module)

    def _checked(self, module: Any, place: int) -> Module:
        if not isinstance(module, Module):
            raise TypeError(
                f"{type(self).__name__}: expected modules, got {type(module).__name__} at {place}"
            )
        return module

    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: Any) -> Any:
        modules = list(self.children())
        return self._of(modules[index]) if isinstance(index, slice) else modules[index]

    def _of(self, modules: list[Module]) -> _Numbered:
        raise NotImplementedError

    def __setitem__(self, index: int, module: Module) -> None:
        names = [name for name, _ in self.named_children()]
        setattr(self, names[index], self._checked(module, index))

    def __delitem__(self, index: int | slice) -> None:
        modules = list(self)
        del modules[index]
        self._put(modules)


class Sequential(_Numbered):
    """Modules one after the other: each takes what the one before it gave.

    The chain rule in two loops: `forward` goes through the layers, `backward` through the same layers
    from the last to the first. Parameters are named by position: `0.weight`, `0.bias`, `2.weight`, …
    Layers can be exchanged: `model.classifier[6] = nn.Linear(4096, 10)`.

    Args:
        *modules: the layers in order; each takes one array and gives one. Or one dict, name → layer, for
            other names than the positions.
    """

    def __init__(self, *modules: Any) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for place, (name, module) in enumerate(modules[0].items()):
                check_free(self, name)
                setattr(self, name, self._checked(module, place))
        else:
            for place, module in enumerate(modules):
                setattr(self, str(place), self._checked(module, place))

    def forward(self, x: Array) -> Array:
        layers = list(self.children())
        for layer in layers:
            x = layer(x)  # eq. 4.4: one function put into the next
        return x if layers else x.copy()

    def backward(self, dy: Any) -> Any:
        # dx = (∂f₁/∂x)ᵀ … (∂fₙ/∂fₙ₋₁)ᵀ dy, taken from the right
        layers = list(self.children())
        if not self._input_grad:
            return self._backward_to_the_first_trained(layers, dy)
        for layer in reversed(layers):
            dy = layer.backward(dy)  # eq. 4.5: each hands its gradient on
        return dy if layers else dy.copy()

    @staticmethod
    def _backward_to_the_first_trained(layers: list[Module], dy: Any) -> Any:
        """`no_input_grad`: what stands before the first layer that learns need not run back at all."""
        trained = (any(p.requires_grad for p in layer.parameters()) for layer in layers)
        first = next((place for place, learns in enumerate(trained) if learns), len(layers))
        for layer in reversed(layers[first + 1 :]):
            dy = layer.backward(dy)
        for layer in layers[:first]:
            layer.forget()
        if first < len(layers):
            with layers[first].no_input_grad():
                dy = layers[first].backward(dy)
        return None if first else dy

    def _data_layer(self) -> Module | None:
        return self if any(True for _ in self.parameters()) else None

    def _of(self, modules: list[Module]) -> Sequential:
        return Sequential(*modules)


class ModuleList(_Numbered):
    """A list of modules, whose parameters are found as `0.weight`, `1.weight` and so on.

    A plain list of modules as an attribute would not be found. It has no `forward`: the module that holds
    it says in its own `forward` and `backward` how the parts are used.

    Args:
        modules: what to start with.

    Raises:
        TypeError: something in it is no Module.
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        self.extend(modules or [])

    def insert(self, index: int, module: Module) -> None:
        """Put a module before the one at `index`; those after it are numbered anew.

        Raises:
            TypeError: it is no Module.
        """
        super().insert(index, module)

    def _of(self, modules: list[Module]) -> ModuleList:
        return ModuleList(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __iadd__(self, other: Iterable[Module]) -> Self:
        return self.extend(other)


class ModuleDict(Module):
    """A dict of modules, whose parameters are found as `name.weight`.

    It keeps the order in which they came, and has no `forward`, as `ModuleList`.

    Args:
        modules: what to start with: a dict, or pairs of a name and a module.

    Raises:
        TypeError: a name is no string, or something is no Module.
        KeyError: a name that is empty, holds a dot, or is an attribute of every ModuleDict.
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        self.update(modules or {})

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add these modules, in place of those with the same names.

        Raises:
            TypeError: a name is no string, or something is no Module; then nothing is changed.
            KeyError: a name that cannot be taken; then nothing is changed.
        """
        given = list(modules.items() if isinstance(modules, Mapping | ModuleDict) else modules)
        for name, module in given:
            if name not in self:
                check_free(self, name)
            if not isinstance(module, Module):
                kind = type(module).__name__
                raise TypeError(f"ModuleDict: expected modules, got {kind} at {name!r}")
        for name, module in given:
            setattr(self, name, module)

    def keys(self) -> KeysView[str]:
        """The names."""
        return dict(self.named_children()).keys()

    def values(self) -> ValuesView[Module]:
        """The modules."""
        return dict(self.named_children()).values()

    def items(self) -> ItemsView[str, Module]:
        """Names and modules."""
        return dict(self.named_children()).items()

    def pop(self, key: str) -> Module:
        """Take out the module of this name."""
        module = self[key]
        del self[key]
        return module

    def clear(self) -> None:
        """Take out all modules."""
        for name in list(self):
            del self[name]

    def __len__(self) -> int:
        return len(self.keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def __getitem__(self, key: str) -> Module:
        return dict(self.named_children())[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.update({key: module})

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        delattr(self, key)
