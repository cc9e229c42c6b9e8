"""What a module holds: parameters, buffers and further modules, found by dotted names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Self, TypeGuard, cast

import numpy as np

from minidl.array import Array
from minidl.nn.module_checks import Checks
from minidl.nn.parameter import Parameter

if TYPE_CHECKING:
    from minidl.nn.module import Module

__all__ = ["Tree", "check_free", "join"]


class Tree(Checks):
    """The part of a Module that finds what is below it: whatever is an attribute is found, in that order."""

    _buffer_names: tuple[str, ...] = ()
    _unsaved_names: tuple[str, ...] = ()  # those of them that `state_dict` leaves out

    def register_buffer(self, name: str, values: Array | None, persistent: bool = True) -> None:
        """Hold an array that is state but is not trained (batch norm's running mean), as `self.<name>`.

        Args:
            name: what it is called.
            values: the array; None keeps the name free.
            persistent: False leaves it out of `state_dict`, as what can be worked out again.
        """
        setattr(self, name, values)
        self._buffer_names = (*self._buffer_names, name)
        if not persistent:
            self._unsaved_names = (*self._unsaved_names, name)

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Hold a parameter under a name that is computed; otherwise `self.<name> = parameter` does it.

        Raises:
            TypeError: neither a Parameter nor None.
            KeyError: the name is empty, has a dot, or is taken.
        """
        if parameter is not None and not isinstance(parameter, Parameter):
            raise TypeError(f"{self.label()}: expected a Parameter, got {type(parameter).__name__}")
        setattr(self, check_free(self, name, Parameter), parameter)

    def add_module(self, name: str, module: Module | None) -> None:
        """Hold a module under a name that is computed; otherwise `self.<name> = module` does it.

        Raises:
            TypeError: neither a Module nor None.
            KeyError: the name is empty, has a dot, or is taken.
        """
        if module is not None and not is_module(module):
            raise TypeError(f"{self.label()}: expected a Module, got {type(module).__name__}")
        setattr(self, check_free(self, name, Tree), module)

    def get_submodule(self, target: str) -> Module:
        """The module of this dotted name, such as `features.0`; this one for the empty name.

        Raises:
            AttributeError: there is none.
        """
        found: Any = self
        for name in target.split(".") if target else ():
            found = vars(found).get(name)
            if not is_module(found):
                raise AttributeError(f"{self.label()}: expected the name of a module, got {target!r}")
        return found

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of this dotted name, such as `features.0.weight`.

        Raises:
            AttributeError: there is none.
        """
        holder, _, name = target.rpartition(".")
        found = vars(self.get_submodule(holder)).get(name)
        if not isinstance(found, Parameter):
            raise AttributeError(f"{self.label()}: expected the name of a parameter, got {target!r}")
        return found

    def get_buffer(self, target: str) -> Array:
        """The buffer of this dotted name, such as `features.1.running_mean`.

        Raises:
            AttributeError: there is none.
        """
        holder, _, name = target.rpartition(".")
        module = self.get_submodule(holder)
        found: Array | None = vars(module).get(name) if name in module._buffer_names else None
        if found is None:
            raise AttributeError(f"{self.label()}: expected the name of a buffer, got {target!r}")
        return found

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` with every module, those below first and this one last: to initialise them, for one."""
        for child in self.children():
            child.apply(fn)
        fn(cast("Module", self))
        return self

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules held directly, with their names, in definition order."""
        return ((name, value) for name, value in vars(self).items() if is_module(value))

    def children(self) -> Iterator[Module]:
        """The modules held directly."""
        return (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with dotted names; this one's own name is `prefix`."""
        seen: set[int] = set()
        for name, module in self._walk(prefix):
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def _walk(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Every path to a module; one that is held twice comes twice."""
        yield prefix, cast("Module", self)
        for name, child in self.named_children():
            yield from child._walk(join(prefix, name))

    def _named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        for path, module in self._walk(prefix) if recurse else [(prefix, self)]:
            for name, value in vars(module).items():
                if isinstance(value, Parameter):
                    yield join(path, name), value

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Every parameter once, with its dotted name, in definition order.

        Args:
            prefix: what the names begin with.
            recurse: False gives only the parameters that this module holds itself.
        """
        seen: set[int] = set()
        for name, parameter in self._named_parameters(prefix, recurse):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield name, parameter

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Every parameter once, in definition order; without `recurse` only this module's own."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Array]]:
        """Every buffer with its dotted name; prefix and recurse as in `named_parameters`."""
        for path, module in self._walk(prefix) if recurse else [(prefix, self)]:
            for name in module._buffer_names:
                if (values := getattr(module, name)) is not None:
                    yield join(path, name), values

    def buffers(self, recurse: bool = True) -> Iterator[Array]:
        """Every buffer; without `recurse` only this module's own."""
        return (values for _, values in self.named_buffers(recurse=recurse))

    def _saved_names(self) -> list[str]:
        """The buffers that `state_dict` holds."""
        return [name for name in self._buffer_names if name not in self._unsaved_names]

    def named_generators(self) -> Iterator[tuple[str, np.random.Generator]]:
        """Random generators that modules hold for themselves (`Dropout(rng=…)`), with dotted names."""
        for prefix, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, np.random.Generator):
                    yield join(prefix, name), value


def check_free(holder: Tree, name: Any, instead_of: type | None = None) -> str:
    """Refuse what cannot be the name of a parameter or module in this holder, unless one is there to replace.

    Raises:
        TypeError: no string.
        KeyError: empty, with a dot, or an attribute of the holder already.
    """
    who = type(holder).__name__
    if not isinstance(name, str):
        raise TypeError(f"{who}: expected names of modules as strings, got {name!r}")
    there = vars(holder).get(name, ...)
    replaceable = instead_of is not None and (there is None or isinstance(there, instead_of))
    taken = hasattr(holder, name) and not replaceable
    if not name or "." in name or taken:
        why = "which is taken" if name and "." not in name else "got that"
        raise KeyError(f"{who}: expected a name that is free, without a dot and not empty: {name!r}, {why}")
    return name


def is_module(value: object) -> TypeGuard[Module]:
    """Whether it is a module: nothing else is a Tree."""
    return isinstance(value, Tree)


def join(prefix: str, name: str) -> str:
    """A dotted name: what is below the empty prefix keeps its own."""
    return f"{prefix}.{name}" if prefix else name
