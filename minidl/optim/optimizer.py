"""Optimizer: what every optimizer shares, so that each one is little more than its update rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from minidl.array import Array, as_like, place_of, to_host
from minidl.errors import ShapeError, StateDictError
from minidl.nn.parameter import Parameter
from minidl.nn.row_sparse import RowSparse

__all__ = ["Optimizer", "check_betas", "check_number"]

Group = dict[str, Any]
State = dict[str, Any]


class Optimizer:
    """The base of every optimizer: it holds the parameters, in groups, and steps each by its `update`.

    A subclass hands its options to `__init__` as `defaults`, refuses bad ones in `check_options`, names
    in `state_names` what it remembers of each parameter, and writes the rule in `update`.

    A step passes by parameters that are frozen or have no gradient. Values change in place, in their own
    dtype; gradients are only read.

    Args:
        params: parameters, or dicts with `"params"` and the options in which that group differs:
            `[{"params": head.parameters(), "lr": 0.1}, {"params": body.parameters()}]`.
        defaults: the options of groups that do not name their own.

    Attributes:
        param_groups: one dict per group: `"params"` and every option.
        state: what is remembered of each parameter that was ever stepped.

    Raises:
        ValueError: no parameters, one that comes twice, or an option out of its range.
        TypeError: something that is no parameter, or an option of the wrong type.
    """

    defaults: dict[str, Any]
    param_groups: list[Group]
    state: dict[Parameter, State]
    state_names: ClassVar[tuple[str, ...]] = ()  # "step" counts; all others are arrays like the parameter
    number_names: ClassVar[tuple[str, ...]] = ()  # those of them that are one number, of at least 0
    optional_state_names: ClassVar[tuple[str, ...]] = ()  # those that only some options need

    def __init__(
        self, params: Iterable[Parameter] | Iterable[Mapping[str, Any]], defaults: Mapping[str, Any]
    ) -> None:
        self.defaults = dict(defaults)
        self.param_groups = []
        self.state = {}
        self.check_options(self.defaults)
        given: list[Any] = self._list(params)
        groups = given if given and isinstance(given[0], Mapping) else [{"params": given}]
        for group in groups:
            self.add_param_group(group)
        if not any(group["params"] for group in self.param_groups):
            raise ValueError(
                f"{self._name}: expected at least one parameter, got none "
                "(an iterator such as model.parameters() gives its parameters only once)"
            )

    @property
    def _name(self) -> str:
        return type(self).__name__

    # ---------------------------------------------------------------- what a subclass says

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Refuse options that make no sense: a subclass adds its own to the one that all have, `lr`."""
        check_number(self._name, "lr", options["lr"], at_least=0)

    def update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        """Change `theta`, a parameter's values, in place by its gradient `g`, which stays as it is."""
        raise NotImplementedError(f"{self._name} does not define update()")

    def refusal(self, g: Array | RowSparse, group: Group) -> str:
        """Why this rule cannot take such a gradient; nothing where it can.

        Most rules change every row at every step, so a gradient of few rows (`Embedding(sparse=True)`) is
        refused. One that takes it says so here, and writes `update_rows`.
        """
        return "a dense gradient (Embedding with sparse=False)" if isinstance(g, RowSparse) else ""

    def update_rows(self, theta: Array, rows: Array, g: Array, state: State, group: Group) -> None:
        """As `update`, for a gradient of few rows: `g[j]` is that of row `rows[j]`, each of them once."""
        raise NotImplementedError(f"{self._name} does not define update_rows()")

    @staticmethod
    def buffer(state: State, name: str, theta: Array) -> Array:
        """What is remembered of a parameter under this name: zeros at first, in the dtype of its values."""
        values: Array | None = state.get(name)
        if values is None:
            values = state[name] = np.zeros_like(theta, order="C")
        elif values.dtype != theta.dtype or place_of(values) is not place_of(theta):  # so was the model
            values = state[name] = as_like(values, theta)
        return values

    # ---------------------------------------------------------------- what a user calls

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Take more parameters, with options of their own; those not named are the defaults.

        Raises:
            ValueError: no `"params"`, an unknown or bad option, a parameter that is there already.
            TypeError: no dict, or something in `"params"` that is no parameter.
        """
        where = f"{self._name}: parameter group {len(self.param_groups)}"
        if not isinstance(param_group, Mapping):
            raise TypeError(f"{where}: expected a dict like the other groups, got {_kind(param_group)}")
        if "params" not in param_group:
            raise ValueError(f"{where}: expected the key 'params', got {sorted(param_group)}")
        known = {"params", "initial_lr", *self.defaults}
        if unknown := [repr(name) for name in param_group if name not in known]:
            raise ValueError(
                f"{where}: expected options among {', '.join(self.defaults)}, got {', '.join(unknown)}"
            )
        given = param_group["params"]
        parameters = [given] if isinstance(given, Parameter) else self._list(given)
        group = {**self.defaults, **param_group, "params": parameters}
        self.check_options(group)

        places = {id(p): i for i, other in enumerate(self.param_groups) for p in other["params"]}
        for index, parameter in enumerate(parameters):
            if not isinstance(parameter, Parameter):
                raise TypeError(f"{where}: expected a Parameter at {index}, got {_kind(parameter)}")
            if id(parameter) in places:
                first = places[id(parameter)]
                where_first = "this group" if first == len(self.param_groups) else f"group {first}"
                raise ValueError(
                    f"{where}: expected each parameter once, "
                    f"got one at {index} that is already in {where_first}"
                )
            places[id(parameter)] = len(self.param_groups)
        self.param_groups.append(group)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient, by one step of the rule.

        Args:
            closure: computes the loss and the gradients anew, and returns the loss; called before the step.

        Returns:
            The closure's loss, or None without one.

        Raises:
            ShapeError: a gradient's shape is not its parameter's; then nothing was changed.
            TypeError: a gradient of few rows, or one of all, that this rule cannot take; likewise.
        """
        loss = None if closure is None else closure()
        for parameter, theta, g, group in self._due():
            if g.dtype != theta.dtype:
                g = g.astype(theta.dtype)
            if group.get("maximize"):
                g = -g
            state = self.state.setdefault(parameter, {})
            if isinstance(g, RowSparse):
                self.update_rows(theta, g.indices, g.values, state, group)
            else:
                self.update(theta, g, state, group)
        return loss

    def _due(self) -> list[tuple[Parameter, Array, Array | RowSparse, Group]]:
        """What a step is going to change: each parameter, its values, its gradient and its group."""
        due = []
        for group in self.param_groups:
            for parameter in group["params"]:
                g, theta = parameter.grad, parameter.data
                if g is None or not parameter.requires_grad:
                    continue
                if g.shape != theta.shape:  # it might broadcast, and be wrong in silence
                    raise ShapeError(
                        f"{self._name}: expected a gradient of shape {theta.shape}, got {g.shape}"
                    )
                if reason := self.refusal(g, group):
                    kind = "one of few rows (a RowSparse)" if isinstance(g, RowSparse) else "a dense one"
                    raise TypeError(f"{self._name}: expected {reason}, got {kind} of shape {g.shape}")
                due.append((parameter, theta, g.coalesce() if isinstance(g, RowSparse) else g, group))
        return due

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or with False make them 0."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.zero_grad(set_to_none)

    # ---------------------------------------------------------------- saving and loading

    def state_dict(self) -> dict[str, Any]:
        """What the next steps depend on, besides values and gradients, as copies.

        Parameters stand as their index, counted through all groups:
        `{"state": {0: {"momentum_buffer": …}}, "param_groups": [{"lr": 0.1, …, "params": [0, 1]}]}`.
        """
        index = {parameter: i for i, parameter in enumerate(self._parameters())}
        return {
            "state": {
                index[parameter]: {name: _copy(value) for name, value in state.items()}
                for parameter, state in self.state.items()
                if state
            },
            "param_groups": [
                {name: _copy(value) for name, value in group.items() if name != "params"}
                | {"params": [index[parameter] for parameter in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a `state_dict()`: as many groups, of as many parameters of the same shapes.

        Raises:
            StateDictError: it names everything that does not fit; then nothing was changed.
        """
        problems: list[str] = []
        groups = self._read_groups(state_dict, problems)
        state = self._read_state(state_dict, problems)
        if problems:
            lines = "\n  ".join(problems)
            raise StateDictError(f"{self._name}: the state dict does not fit; nothing was changed\n  {lines}")
        self.param_groups = groups
        self.state = state

    def _read_groups(self, state_dict: Mapping[str, Any], problems: list[str]) -> list[Group]:
        saved = state_dict.get("param_groups") if isinstance(state_dict, Mapping) else None
        if not isinstance(saved, list | tuple) or not all(isinstance(group, Mapping) for group in saved):
            problems.append("expected 'param_groups' to be a list of dicts")
            return []
        if len(saved) != len(self.param_groups):
            problems.append(f"expected {len(self.param_groups)} parameter groups, got {len(saved)}")
            return []
        groups = []
        for i, (group, mine) in enumerate(zip(saved, self.param_groups, strict=True)):
            indices, count = group.get("params"), len(mine["params"])
            if not isinstance(indices, list | tuple) or len(indices) != count:
                got = len(indices) if isinstance(indices, list | tuple) else indices
                problems.append(f"group {i}: expected {count} parameters, got {got}")
            if missing := [name for name in self.defaults if name not in group]:
                problems.append(f"group {i}: expected the options {', '.join(missing)}, which are missing")
                continue
            # a file may have turned a tuple into a list
            options = {k: tuple(v) if isinstance(v, list) else _copy(v) for k, v in group.items()}
            try:
                self.check_options(options)
            except (TypeError, ValueError) as error:
                problems.append(f"group {i}: {error}")
            groups.append({**options, "params": mine["params"]})
        return groups

    def _read_state(self, state_dict: Mapping[str, Any], problems: list[str]) -> dict[Parameter, State]:
        saved = state_dict.get("state") if isinstance(state_dict, Mapping) else None
        if not isinstance(saved, Mapping) or not all(isinstance(entry, Mapping) for entry in saved.values()):
            problems.append("expected 'state' to be a dict of dicts")
            return {}
        parameters = self._parameters()
        state: dict[Parameter, State] = {}
        for index, entry in saved.items():
            if not isinstance(index, int) or not 0 <= index < len(parameters):
                problems.append(f"state: expected parameters 0 to {len(parameters) - 1}, got {index!r}")
                continue
            where, parameter = f"state of parameter {index}", parameters[index]
            present = {name: value for name, value in entry.items() if value is not None}
            for name in self.state_names:
                if present and name not in present:
                    problems.append(f"{where}: expected {name!r}, which is missing")
            known = (*self.state_names, *self.optional_state_names)
            problems += [f"{where}: {name!r} is not expected" for name in present if name not in known]
            state[parameter] = {
                name: self._read_value(f"{where}: {name}", name, present[name], parameter, problems)
                for name in known
                if name in present
            }
        return state

    def _read_value(self, where: str, name: str, value: Any, like: Parameter, problems: list[str]) -> Any:
        values = to_host(value)
        if name == "step":
            if values.size == 1 and values.dtype.kind in "iuf" and values >= 0 and values % 1 == 0:
                return int(values.item())  # PyTorch counts in float32
            problems.append(f"{where}: expected a count of steps, got {value!r}")
        elif values.dtype.kind not in "fiu":
            problems.append(f"{where}: expected numbers, got {values.dtype}")
        elif name in self.number_names:
            if values.size == 1 and 0 <= values.item() < math.inf:
                return float(values.item())
            problems.append(f"{where}: expected a finite number of at least 0, got {value!r}")
        elif values.shape != like.shape:
            problems.append(f"{where}: expected shape {like.shape}, got {values.shape}")
        else:
            return as_like(values.copy(), like.data)
        return None

    # ---------------------------------------------------------------- small things

    def _parameters(self) -> list[Parameter]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def _list(self, params: Any) -> list[Any]:
        if isinstance(params, Parameter | Mapping) or not isinstance(params, Iterable):
            raise TypeError(
                f"{self._name}: expected a list of parameters, such as model.parameters(), or of dicts, "
                f"got {_kind(params)}"
            )
        if isinstance(params, set | frozenset):
            raise TypeError(f"{self._name}: expected parameters in a fixed order, got a set, which has none")
        return list(params)

    def __repr__(self) -> str:
        lines = [f"{self._name} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {value}" for name, value in sorted(group.items()) if name != "params"]
        return "\n".join([*lines, ")"])


def check_number(
    owner: str,
    name: str,
    value: Any,
    *,
    at_least: float = -math.inf,
    below: float = math.inf,
    at_most: float = math.inf,
) -> None:
    """Refuse what is no finite number in `at_least` ≤ value < `below`, or ≤ `at_most`.

    Raises:
        TypeError: no number.
        ValueError: out of range, infinite or NaN.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{owner}: expected {name} to be a number, got {value!r}")
    if not (math.isfinite(value) and at_least <= value < below and value <= at_most):
        bounds = ((at_least, "of at least"), (below, "below"), (at_most, "of at most"))
        text = " and ".join(f"{words} {bound}" for bound, words in bounds if math.isfinite(bound))
        raise ValueError(f"{owner}: expected {name} to be a finite number{text and ' ' + text}, got {value}")


def check_betas(owner: str, betas: Any) -> None:
    """Refuse what is no pair of numbers in [0, 1).

    Raises:
        TypeError: no pair, or no numbers.
        ValueError: out of range.
    """
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise TypeError(f"{owner}: expected betas to be two numbers, got {betas!r}")
    for i, beta in enumerate(betas):
        check_number(owner, f"betas[{i}]", beta, at_least=0, below=1)


def _kind(thing: Any) -> str:
    """How a message names what it got instead of a parameter."""
    return "a Parameter" if isinstance(thing, Parameter) else type(thing).__name__


def _copy(value: Any) -> Any:
    """An array's copy, on the host; a NumPy scalar as the Python number that any file can hold."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return to_host(value.copy()) if hasattr(value, "__array_function__") else value
