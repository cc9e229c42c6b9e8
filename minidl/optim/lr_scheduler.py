"""Learning-rate schedules: large steps to get near, small ones to get there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from minidl.errors import StateDictError
from minidl.optim.optimizer import Optimizer, check_number

__all__ = ["CosineAnnealingLR", "LRScheduler", "StepLR"]


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
        if len(self.optimizer.param_groups) != len(self.base_lrs):
            raise ValueError(
                f"{self._name}: expected {len(self.base_lrs)} parameter groups, as when it was made, "
                f"got {len(self.optimizer.param_groups)}; make the scheduler after the last add_param_group"
            )
        self.last_epoch += 1
        self._set(self.get_lr())

    def _set(self, rates: list[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = lr
        self._last_lr = list(rates)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, as copies."""
        return {
            name: list(value) if isinstance(value, list) else value
            for name, value in vars(self).items()
            if name != "optimizer"
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a `state_dict()`, the schedule's own arguments included.

        Raises:
            StateDictError: it names everything that does not fit; then nothing was changed.
        """
        mine = self.state_dict()
        given = dict(state_dict) if isinstance(state_dict, Mapping) else {}
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


class StepLR(LRScheduler):
    """Multiply the rate by gamma every `step_size` epochs: `lr(t) = base_lr · gamma^⌊t / step_size⌋`.

    The rate is multiplied where it stands, so a change by somebody else stays.

    Args:
        optimizer: whose rates to set.
        step_size: how many epochs each rate lasts.
        gamma: the factor.
        last_epoch: see `LRScheduler`.

    Raises:
        ValueError: `step_size` is no whole number of at least 1, or `gamma` is below 0.
    """

    step_size: int
    gamma: float

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.check_options({"step_size": step_size, "gamma": gamma})
        self.step_size = step_size
        self.gamma = float(gamma)
        super().__init__(optimizer, last_epoch)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_whole(self._name, "step_size", options["step_size"], at_least=1)
        check_number(self._name, "gamma", options["gamma"], at_least=0)

    def get_lr(self) -> list[float]:
        factor = self.gamma if self.last_epoch % self.step_size == 0 else 1
        return [factor * lr for lr in self.current_lr()]


class CosineAnnealingLR(LRScheduler):
    """Lower the rate along half a cosine, from `base_lr` at epoch 0 to `eta_min` at epoch `T_max`.

    ```
    lr(t) = eta_min + (base_lr − eta_min) (1 + cos(π t / T_max)) / 2
    ```

    It is computed from the rate of the epoch before, by the quotient of the two cosines, so that a change
    by somebody else (a second schedule, say) stays. After `T_max` the rate rises again.
    Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", without restarts.

    Args:
        optimizer: whose rates to set.
        T_max: epochs from the highest rate to the lowest.
        eta_min: the lowest rate.
        last_epoch: see `LRScheduler`.

    Raises:
        ValueError: `T_max` is no whole number of at least 1, or `eta_min` is below 0.
    """

    T_max: int
    eta_min: float

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.check_options({"T_max": T_max, "eta_min": eta_min})
        self.T_max = T_max
        self.eta_min = float(eta_min)
        super().__init__(optimizer, last_epoch)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_whole(self._name, "T_max", options["T_max"], at_least=1)
        check_number(self._name, "eta_min", options["eta_min"], at_least=0)

    def first_lr(self) -> list[float]:
        return self.current_lr()  # PyTorch takes the loaded rate as that of the epoch it starts with

    def get_lr(self) -> list[float]:
        t, low = self.last_epoch, self.eta_min
        if (t - 1) % (2 * self.T_max) == self.T_max:
            # The epoch before was at the bottom, where no quotient can lift it: add the curve's first rise.
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            return [
                lr + (base - low) * rise for base, lr in zip(self.base_lrs, self.current_lr(), strict=True)
            ]
        before, now = (1 + math.cos(math.pi * epoch / self.T_max) for epoch in (t - 1, t))
        return [now / before * (lr - low) + low for lr in self.current_lr()]


def check_whole(owner: str, name: str, value: Any, *, at_least: float = -math.inf) -> None:
    """Refuse what is no whole number of at least `at_least`.

    Raises:
        TypeError: no integer.
        ValueError: too small.
    """
    check_number(owner, name, value, at_least=at_least)
    if not isinstance(value, int):
        raise TypeError(f"{owner}: expected {name} to be a whole number, got {value!r}")
