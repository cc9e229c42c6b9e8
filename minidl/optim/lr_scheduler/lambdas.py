"""Schedules by a function of the epoch that the user writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from minidl.optim.lr_scheduler.base import LRScheduler
from minidl.optim.optimizer import Optimizer

__all__ = ["LambdaLR", "MultiplicativeLR"]

Curve = Callable[[int], float]


class _ByFunction(LRScheduler):
    """A schedule with a function for each group."""

    not_saved: ClassVar = ("optimizer", "lr_lambda", "lr_lambdas")
    lr_lambda: Curve | list[Curve]
    lr_lambdas: list[Curve]

    def __init__(self, optimizer: Optimizer, lr_lambda: Curve | list[Curve], last_epoch: int = -1) -> None:
        self.lr_lambda = lr_lambda
        self.lr_lambdas = _functions(self._name, optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)


class LambdaLR(_ByFunction):
    """The rate by a function: `lr(t) = base_lr · lr_lambda(t)`.

    A change by somebody else does not stay. Functions are no part of the state dict: to resume, give the
    same ones again.

    Args:
        optimizer: whose rates to set.
        lr_lambda: gives the factor in epoch t; or a list of such functions, one for each group.
        last_epoch: see `LRScheduler`.

    Raises:
        TypeError: something that cannot be called.
        ValueError: another number of functions than groups.
    """

    def first_lr(self) -> list[float]:
        return self.get_lr()

    def get_lr(self) -> list[float]:
        t = self.last_epoch
        return [base * float(curve(t)) for base, curve in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class MultiplicativeLR(_ByFunction):
    """Multiply the rate by a function every epoch: `lr(t) = lr(t − 1) · lr_lambda(t)`, from epoch 1 on.

    The rate is multiplied where it stands, so a change by somebody else stays. Functions are no part of
    the state dict: to resume, give the same ones again.

    Args:
        optimizer: whose rates to set.
        lr_lambda: gives the factor in epoch t; or a list of such functions, one for each group.
        last_epoch: see `LRScheduler`.

    Raises:
        TypeError: something that cannot be called.
        ValueError: another number of functions than groups.
    """

    def restart(self) -> None:
        self.last_epoch = 0
        self._set(self.get_lr())  # as in PyTorch, from the rate as it stands, times lr_lambda(0)

    def first_lr(self) -> list[float]:
        return self.current_lr()  # PyTorch takes the loaded rate as that of the epoch it starts with

    def get_lr(self) -> list[float]:
        t = self.last_epoch
        return [lr * float(curve(t)) for lr, curve in zip(self.current_lr(), self.lr_lambdas, strict=True)]


def _functions(owner: str, optimizer: Any, given: Any) -> list[Curve]:
    """One function for all groups, or one for each, as a list."""
    groups = len(optimizer.param_groups) if isinstance(optimizer, Optimizer) else 1
    functions = list(given) if isinstance(given, list | tuple) else [given] * groups
    if len(functions) != groups:
        raise ValueError(f"{owner}: expected lr_lambda for {groups} groups, got {len(functions)}")
    for function in functions:
        if not callable(function):
            raise TypeError(f"{owner}: expected lr_lambda to be a function of the epoch, got {function!r}")
    return functions
