"""LRScheduler: what every schedule shares, so that each one is little more than its curve."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from minidl.errors import StateDictError
from minidl.optim.optimizer import Optimizer, check_number

__all__ = ["LRScheduler", "check_choice", "check_whole"]


class LRScheduler:
    """The base of every schedule: `step()`, once an epoch, sets each group's `"lr"` to what `get_lr` says.

    The rate before the first step is kept in each group as `"initial_lr"`. A subclass sets its own
    arguments, then calls `super().__init__`, writes `get_lr`, and refuses bad arguments in `check_options`.

    To resume, load the optimizer's state dict (which holds the current rates) and the scheduler's.

    Args:
        optimizer: whose rates to set.
        last_epoch: −1 starts afresh; a number of epochs goes on after that one, and then the optimizer's
            groups must hold an `"initial_lr"`, as loaded ones do.

    Attributes:
        last_epoch: how many epochs were stepped.
        base_lrs: the rate that each group began with.

    Raises:
        TypeError: no optimizer.
        ValueError: `last_epoch` is given, and a group has no `"initial_lr"`.
    """

    not_saved: ClassVar[tuple[str, ...]] = ("optimizer",)  # attributes that are no part of the state
    optimizer: Optimizer
    base_lrs: list[float]
    last_epoch: int
    _last_lr: list[float]

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{self._name}: expected an Optimizer, got {type(optimizer).__name__}")
        check_whole(self._name, "last_epoch", last_epoch, at_least=-1)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ValueError(
                    f"{self._name}: expected 'initial_lr' in parameter group {i} to go on from epoch "
                    f"{last_epoch}; load the optimizer's state dict first"
                )
        self.optimizer = optimizer
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch + 1
        self._set(self.first_lr())

    @property
    def _name(self) -> str:
        return type(self).__name__

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Refuse arguments of the schedule that make no sense, given or loaded; the base has none."""

    def get_lr(self) -> list[float]:
        """Each group's rate in epoch `last_epoch`, from its rate in the epoch before."""
        raise NotImplementedError(f"{self._name} does not define get_lr()")

    def first_lr(self) -> list[float]:
        """Each group's rate in the epoch that the scheduler starts with."""
        return self.get_lr() if self.last_epoch > 0 else self.current_lr()

    def current_lr(self) -> list[float]:
        """Each group's rate as it stands in the optimizer, whoever set it."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """Each group's rate as this scheduler last set it."""
        return list(self._last_lr)

    def step(self) -> None:
        """Go on to the next epoch; call it after the epoch's last `optimizer.step()`.

        Raises:
            ValueError: the optimizer has other groups than when the scheduler was made.
        """
        self._check_groups()
        self.last_epoch += 1
        self._set(self.get_lr())

    def _check_groups(self) -> None:
        if len(self.optimizer.param_groups) != len(self.base_lrs):
            raise ValueError(
                f"{self._name}: expected {len(self.base_lrs)} parameter groups, as when it was made, "
                f"got {len(self.optimizer.param_groups)}; make the scheduler after the last add_param_group"
            )

    def restart(self) -> None:
        """Begin anew with epoch 0, as `SequentialLR` does at a milestone."""
        self.last_epoch = 0
        for group, lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = lr
        self._set(self.first_lr())

    def _set(self, rates: list[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = lr
        self._last_lr = list(rates)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, as copies."""
        return {
            name: list(value) if isinstance(value, list) else value
            for name, value in vars(self).items()
            if name not in self.not_saved
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a `state_dict()`, the schedule's own arguments included.

        Raises:
            StateDictError: it names everything that does not fit; then nothing was changed.
        """
        given = dict(state_dict) if isinstance(state_dict, Mapping) else {}
        self._load_own(self.state_dict(), given)

    def _load_own(self, mine: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        problems = [f"{name!r} is missing" for name in mine if name not in given]
        problems += [f"{name!r} is not expected" for name in given if name not in mine]
        if not problems:
            checks: tuple[Callable[[], None], ...] = (
                lambda: check_whole(self._name, "last_epoch", given["last_epoch"], at_least=0),
                lambda: self._check_rates("base_lrs", given["base_lrs"]),
                lambda: self._check_rates("_last_lr", given["_last_lr"]),
                lambda: self.check_options(given),
            )
            for check in checks:
                try:
                    check()
                except (TypeError, ValueError) as error:
                    problems.append(str(error))
        if problems:
            lines = "\n  ".join(problems)
            raise StateDictError(f"{self._name}: the state dict does not fit; nothing was changed\n  {lines}")
        vars(self).update({name: list(v) if isinstance(mine[name], list) else v for name, v in given.items()})

    def _per_group(self, optimizer: Optimizer, name: str, value: Any, at_least: float = 0.0) -> list[float]:
        """One number for all groups, or one for each, as a list."""
        groups = len(optimizer.param_groups) if isinstance(optimizer, Optimizer) else 1
        if isinstance(value, list | tuple):
            if len(value) != groups:
                raise ValueError(f"{self._name}: expected {name} for {groups} groups, got {len(value)}")
            values = list(value)
        else:
            values = [value] * groups
        for number in values:
            check_number(self._name, name, number, at_least=at_least)
        return [float(number) for number in values]

    def _check_rates(self, name: str, rates: Any) -> None:
        groups = len(self.optimizer.param_groups)
        if not isinstance(rates, list | tuple) or len(rates) != groups:
            raise ValueError(f"{self._name}: expected {name} to be {groups} numbers, got {rates!r}")
        for rate in rates:
            check_number(self._name, name, rate)

    def __repr__(self) -> str:
        hidden = ("optimizer", "base_lrs")
        shown = [f"{k}={v}" for k, v in vars(self).items() if k not in hidden and not k.startswith("_")]
        return f"{self._name}({', '.join(shown)})"


def check_whole(owner: str, name: str, value: Any, *, at_least: float = -math.inf) -> None:
    """Refuse what is no whole number of at least `at_least`.

    Raises:
        TypeError: no integer.
        ValueError: too small.
    """
    check_number(owner, name, value, at_least=at_least)
    if not isinstance(value, int):
        raise TypeError(f"{owner}: expected {name} to be a whole number, got {value!r}")


def check_choice(owner: str, name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuse what is none of the choices.

    Raises:
        ValueError: it is none.
    """
    if value not in choices:
        raise ValueError(f"{owner}: expected {name} to be one of {', '.join(choices)}, got {value!r}")
