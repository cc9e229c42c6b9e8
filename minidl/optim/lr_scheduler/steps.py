"""Schedules that multiply the rate by one factor, at some epochs or at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from minidl.optim.lr_scheduler.base import LRScheduler, check_whole
from minidl.optim.optimizer import Optimizer, check_number

__all__ = ["ExponentialLR", "MultiStepLR", "StepLR"]


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


class MultiStepLR(LRScheduler):
    """Multiply the rate by gamma at each milestone: `lr(t) = base_lr · gamma^(number of milestones ≤ t)`.

    The rate is multiplied where it stands, so a change by somebody else stays.

    Args:
        optimizer: whose rates to set.
        milestones: epochs, in any order; one that comes twice counts twice.
        gamma: the factor.
        last_epoch: see `LRScheduler`.

    Raises:
        TypeError: milestones that are no whole numbers.
        ValueError: a milestone or `gamma` is below 0.
    """

    milestones: list[int]
    gamma: float

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        if not isinstance(milestones, Iterable):
            raise TypeError(f"{self._name}: expected milestones to be a list of epochs, got {milestones!r}")
        self.milestones = list(milestones)
        self.check_options({"milestones": self.milestones, "gamma": gamma})
        self.milestones.sort()
        self.gamma = float(gamma)
        super().__init__(optimizer, last_epoch)

    def check_options(self, options: Mapping[str, Any]) -> None:
        if not isinstance(options["milestones"], list | tuple):
            raise TypeError(
                f"{self._name}: expected milestones to be a list of epochs, got {options['milestones']!r}"
            )
        for milestone in options["milestones"]:
            check_whole(self._name, "milestones", milestone, at_least=0)
        check_number(self._name, "gamma", options["gamma"], at_least=0)

    def first_lr(self) -> list[float]:
        return self.get_lr()  # 0 may be a milestone

    def get_lr(self) -> list[float]:
        factor = self.gamma ** self.milestones.count(self.last_epoch)
        return [factor * lr for lr in self.current_lr()]


class ExponentialLR(LRScheduler):
    """Multiply the rate by gamma every epoch: `lr(t) = base_lr · gamma^t`.

    The rate is multiplied where it stands, so a change by somebody else stays.

    Args:
        optimizer: whose rates to set.
        gamma: the factor.
        last_epoch: see `LRScheduler`.

    Raises:
        ValueError: `gamma` is below 0.
    """

    gamma: float

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.check_options({"gamma": gamma})
        self.gamma = float(gamma)
        super().__init__(optimizer, last_epoch)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_number(self._name, "gamma", options["gamma"], at_least=0)

    def first_lr(self) -> list[float]:
        return self.current_lr()  # PyTorch takes the loaded rate as that of the epoch it starts with

    def get_lr(self) -> list[float]:
        return [self.gamma * lr for lr in self.current_lr()]
