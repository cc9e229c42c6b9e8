"""A module's state, out and in: arrays by name, as files hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from minidl.array import Array, as_like, to_host
from minidl.errors import StateDictError
from minidl.nn.module_tree import Tree, join
from minidl.nn.parameter import Parameter

__all__ = ["IncompatibleKeys", "State"]


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict(strict=False)` passed over."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class State(Tree):
    """The part of a Module that gives its state and takes one over."""

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers by dotted name, in PyTorch's order.

        They are host arrays, wherever the module is: what is saved or compared leaves the device anyway.
        """
        state: dict[str, Array] = {}
        for prefix, module in self._walk():
            own = {name: value.data for name, value in vars(module).items() if isinstance(value, Parameter)}
            own |= {name: getattr(module, name) for name in module._saved_names()}
            state |= {
                join(prefix, name): to_host(values.copy())
                for name, values in own.items()
                if values is not None
            }
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Take over parameters and buffers by name, each in the dtype and at the place that is here.

        Args:
            state_dict: name → array, as `state_dict` gives.
            strict: False passes over missing and unexpected names and returns them.

        Raises:
            StateDictError: it lists every missing, unexpected or misshapen name; nothing was changed.
        """
        targets: dict[str, Array] = {name: p.data for name, p in self._named_parameters()}
        for prefix, module in self._walk():
            targets |= {
                join(prefix, name): values
                for name in module._saved_names()
                if (values := getattr(module, name)) is not None
            }
        given: Any = state_dict
        if not isinstance(given, Mapping):
            kind = type(given).__name__
            raise StateDictError(f"{self.label()}: expected a state dict, name → array, got {kind}")
        missing = [name for name in targets if name not in state_dict]
        unexpected = [str(name) for name in state_dict if name not in targets]
        arrays = {name: _as_array(state_dict[name]) for name in targets if name in state_dict}

        problems: list[str] = []
        if strict:
            problems += [f"missing: {name} {targets[name].shape}" for name in missing]
            problems += [f"unexpected: {name}" for name in unexpected]
        for name, values in arrays.items():
            target = targets[name]
            if values.shape != target.shape:
                problems.append(f"misshapen: {name}: expected {target.shape}, got {values.shape}")
            elif not np.can_cast(values.dtype, target.dtype, casting="same_kind"):
                problems.append(f"wrong dtype: {name}: expected {target.dtype}, got {values.dtype}")
        if problems:
            lines = "\n  ".join(problems)
            raise StateDictError(
                f"{self.label()}: the state dict does not fit; nothing was changed\n  {lines}"
            )

        for name, values in arrays.items():
            targets[name][...] = as_like(values, targets[name])
        return IncompatibleKeys(missing, unexpected)


def _as_array(values: Any) -> Array:
    try:
        return to_host(values)
    except ValueError:  # a list of lists of different lengths: as objects, it fits no parameter
        return np.asarray(None)
