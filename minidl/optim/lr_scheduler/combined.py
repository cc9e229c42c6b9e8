"""Schedules made of others: one after another, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

from minidl.errors import StateDictError
from minidl.optim.lr_scheduler.base import LRScheduler, check_whole
from minidl.optim.lr_scheduler.plateau import ReduceLROnPlateau
from minidl.optim.optimizer import Optimizer

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Combined(LRScheduler):
    """What both share: the schedules' states are part of the state."""

    not_saved: ClassVar = ("optimizer", "schedulers")
    schedulers: list[LRScheduler]

    def _take(self, optimizer: Any, schedulers: Any) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{self._name}: expected an Optimizer, got {type(optimizer).__name__}")
        self.schedulers = list(schedulers)
        if not self.schedulers:
            raise ValueError(f"{self._name}: expected at least one scheduler, got none")
        for i, scheduler in enumerate(self.schedulers):
            if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, ReduceLROnPlateau):
                raise TypeError(
                    f"{self._name}: expected schedulers whose step() takes no metric, "
                    f"got {type(scheduler).__name__} at {i}"
                )
            if scheduler.optimizer is not optimizer:
                raise ValueError(
                    f"{self._name}: expected schedulers of one optimizer, got one of another at {i}"
                )

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self.schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        before = self.state_dict()
        given = dict(state_dict) if isinstance(state_dict, Mapping) else {}
        states = given.pop("_schedulers", None)
        if not isinstance(states, list | tuple) or len(states) != len(self.schedulers):
            raise StateDictError(
                f"{self._name}: the state dict does not fit; nothing was changed\n"
                f"  expected '_schedulers' to be {len(self.schedulers)} state dicts"
            )
        mine = {name: value for name, value in before.items() if name != "_schedulers"}
        try:
            for scheduler, state in zip(self.schedulers, states, strict=True):
                scheduler.load_state_dict(state)
            self._load_own(mine, given)
        except StateDictError:
            for scheduler, state in zip(self.schedulers, before["_schedulers"], strict=True):
                scheduler.load_state_dict(state)
            raise


class SequentialLR(_Combined):
    """One schedule after another: at each milestone the next one begins, with its epoch 0.

    Args:
        optimizer: whose rates to set.
        schedulers: of this optimizer.
        milestones: the epochs at which the second, the third, … begin.
        last_epoch: see `LRScheduler`.

    Raises:
        TypeError: no schedulers, or `ReduceLROnPlateau`, which needs a metric.
        ValueError: a scheduler of another optimizer, not one milestone less than schedulers, or milestones
            that do not rise.
    """

    milestones: list[int]

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ) -> None:
        self._take(optimizer, schedulers)
        self.check_options({"milestones": milestones})
        self.milestones = list(milestones)
        super().__init__(optimizer, last_epoch)

    def check_options(self, options: Mapping[str, Any]) -> None:
        milestones = options["milestones"]
        if not isinstance(milestones, list | tuple) or len(milestones) != len(self.schedulers) - 1:
            raise ValueError(
                f"{self._name}: expected {len(self.schedulers) - 1} milestones for {len(self.schedulers)} "
                f"schedulers, got {milestones!r}"
            )
        for milestone in milestones:
            check_whole(self._name, "milestones", milestone, at_least=1)
        if any(second <= first for first, second in pairwise(milestones)):
            raise ValueError(f"{self._name}: expected milestones that rise, got {milestones!r}")

    def restart(self) -> None:
        self.last_epoch = 0
        self._set(self.first_lr())

    def first_lr(self) -> list[float]:
        # all of them were made, and each has changed the rate for its epoch 0: only the first one may
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        self.schedulers[0].restart()
        return self.current_lr()

    def get_lr(self) -> list[float]:
        number = bisect_right(self.milestones, self.last_epoch)
        if self.last_epoch in self.milestones:
            self.schedulers[number].restart()
        else:
            self.schedulers[number].step()
        return self.current_lr()


class ChainedScheduler(_Combined):
    """Several schedules at once: each changes the rate that the one before left.

    Args:
        schedulers: of one optimizer.
        optimizer: that optimizer; None takes the first scheduler's.

    Raises:
        TypeError: no schedulers, or `ReduceLROnPlateau`, which needs a metric.
        ValueError: none, or schedulers of several optimizers.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if optimizer is None and schedulers:
            optimizer = getattr(schedulers[0], "optimizer", None)
        if not schedulers:
            raise ValueError(f"{self._name}: expected at least one scheduler, got none")
        self._take(optimizer, schedulers)
        assert optimizer is not None
        super().__init__(optimizer)

    def restart(self) -> None:
        self.last_epoch = 0
        for scheduler in self.schedulers:
            scheduler.restart()
        self._set(self.current_lr())

    def get_lr(self) -> list[float]:
        for scheduler in self.schedulers:
            scheduler.step()
        return self.current_lr()
