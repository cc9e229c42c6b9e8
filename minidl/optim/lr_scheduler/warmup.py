"""Schedules that bend the rate for the first epochs and then leave it alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidl.optim.lr_scheduler.base import LRScheduler, check_whole
from minidl.optim.optimizer import Optimizer, check_number

__all__ = ["ConstantLR", "LinearLR", "PolynomialLR"]


class ConstantLR(LRScheduler):
    """Begin with a part of the rate: `lr(t) = base_lr · factor` up to epoch `total_iters`, then `base_lr`.

    The rate is divided by the factor again where it then stands, so a change by somebody else stays.

    Args:
        optimizer: whose rates to set.
        factor: the part.
        total_iters: how many epochs it lasts.
        last_epoch: see `LRScheduler`.

    Raises:
        ValueError: `factor` is not above 0 and at most 1, or `total_iters` is below 0.
    """

    factor: float
    total_iters: int

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        self.check_options({"factor": factor, "total_iters": total_iters})
        self.factor = float(factor)
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_part(self._name, "factor", options["factor"])
        check_whole(self._name, "total_iters", options["total_iters"], at_least=0)

    def first_lr(self) -> list[float]:
        return self.get_lr()

    def get_lr(self) -> list[float]:
        factor = 1.0
        if self.last_epoch == 0:
            factor = self.factor
        elif self.last_epoch == self.total_iters:
            factor = 1 / self.factor
        return [factor * lr for lr in self.current_lr()]


class LinearLR(LRScheduler):
    """Warm up, or cool down, along a straight line from one part of the rate to another.

    ```
    lr(t) = base_lr (start_factor + (end_factor − start_factor) min(t / total_iters, 1))
    ```

    It is computed from the rate of the epoch before, by the quotient of the two, so that a change by
    somebody else stays. Warming up: Goyal et al. 2017, "Accurate, large minibatch SGD: training ImageNet
    in 1 hour".

    Args:
        optimizer: whose rates to set.
        start_factor: the part at epoch 0.
        end_factor: the part at epoch `total_iters` and after it.
        total_iters: how long the way is, in epochs.
        last_epoch: see `LRScheduler`.

    Raises:
        ValueError: `start_factor` is not above 0 and at most 1, `end_factor` not in [0, 1], or `total_iters`
            below 0.
    """

    start_factor: float
    end_factor: float
    total_iters: int

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.check_options(
            {"start_factor": start_factor, "end_factor": end_factor, "total_iters": total_iters}
        )
        self.start_factor = float(start_factor)
        self.end_factor = float(end_factor)
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_part(self._name, "start_factor", options["start_factor"])
        check_number(self._name, "end_factor", options["end_factor"], at_least=0, at_most=1)
        check_whole(self._name, "total_iters", options["total_iters"], at_least=0)

    def first_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return self.get_lr()
        return self.current_lr()  # PyTorch takes the loaded rate as that of the epoch it starts with

    def get_lr(self) -> list[float]:
        t, total = self.last_epoch, self.total_iters
        factor = 1.0
        if t == 0:
            factor = self.start_factor
        elif t <= total:
            rise = self.end_factor - self.start_factor
            factor = 1 + rise / (total * self.start_factor + (t - 1) * rise)
        return [factor * lr for lr in self.current_lr()]


class PolynomialLR(LRScheduler):
    """Lower the rate to 0 along a power: `lr(t) = base_lr (1 − min(t / total_iters, 1))^power`.

    It is computed from the rate of the epoch before, by the quotient of the two, so that a change by
    somebody else stays.

    Args:
        optimizer: whose rates to set.
        total_iters: epochs from the highest rate to 0.
        power: 1 is a straight line.
        last_epoch: see `LRScheduler`.

    Raises:
        ValueError: `total_iters` or `power` is below 0.
    """

    total_iters: int
    power: float

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        self.check_options({"total_iters": total_iters, "power": power})
        self.total_iters = total_iters
        self.power = float(power)
        super().__init__(optimizer, last_epoch)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_whole(self._name, "total_iters", options["total_iters"], at_least=0)
        check_number(self._name, "power", options["power"], at_least=0)

    def first_lr(self) -> list[float]:
        return self.current_lr()  # PyTorch takes the loaded rate as that of the epoch it starts with

    def get_lr(self) -> list[float]:
        t, total = self.last_epoch, self.total_iters
        factor = 1.0 if t > total else ((total - t) / (total - t + 1)) ** self.power
        return [factor * lr for lr in self.current_lr()]


def check_part(owner: str, name: str, value: Any) -> None:
    """Refuse what is no number above 0 and at most 1.

    Raises:
        TypeError: no number.
        ValueError: out of range; 0 could not be divided out again.
    """
    check_number(owner, name, value, at_least=0, at_most=1)
    if value == 0:
        raise ValueError(f"{owner}: expected {name} to be above 0, got {value}")
