"""A schedule that waits and sees: it lowers the rate when the loss no longer gets better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from minidl.optim.lr_scheduler.base import LRScheduler, check_choice, check_whole
from minidl.optim.optimizer import Optimizer, check_number

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rate by `factor` when a metric has not got better for more than `patience` epochs.

    ```
    better:   metric < best (1 − threshold)  (rel)   or   metric < best − threshold  (abs)
    mode max: metric > best (1 + threshold)  (rel)   or   metric > best + threshold  (abs)
    lr ← max(lr · factor, min_lr)
    ```

    `step(metric)` takes the metric, such as the validation loss.

    Args:
        optimizer: whose rates to set.
        mode: `"min"` where less is better, `"max"` where more is.
        factor: what to multiply by.
        patience: how many epochs in turn may bring nothing better.
        threshold: how much better counts.
        threshold_mode: `"rel"`: threshold is a part of the best; `"abs"`: it is in the metric's unit.
        cooldown: epochs after a reduction in which nothing is counted.
        min_lr: the lowest rate, one for all groups or a list with one for each.
        eps: a reduction by less is left out.

    Attributes:
        best: the best metric so far.
        num_bad_epochs: epochs since.
        cooldown_counter: epochs left of the cooldown.

    Raises:
        ValueError: `factor` is not in [0, 1), a number is below 0, or an unknown mode.
    """

    mode: str
    factor: float
    patience: int
    threshold: float
    threshold_mode: str
    cooldown: int
    min_lr: list[float]
    eps: float
    best: float
    num_bad_epochs: int
    cooldown_counter: int

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        self.min_lr = self._per_group(optimizer, "min_lr", min_lr)
        self.mode = mode
        self.threshold_mode = threshold_mode
        self.patience = patience
        self.cooldown = cooldown
        self.factor = factor
        self.threshold = threshold
        self.eps = eps
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self.best = -math.inf if mode == "max" else math.inf
        self.check_options(vars(self))
        super().__init__(optimizer)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_choice(self._name, "mode", options["mode"], ("min", "max"))
        check_choice(self._name, "threshold_mode", options["threshold_mode"], ("rel", "abs"))
        check_number(self._name, "factor", options["factor"], at_least=0, below=1)
        for name in ("patience", "cooldown", "num_bad_epochs", "cooldown_counter"):
            check_whole(self._name, name, options[name], at_least=0)
        for name in ("threshold", "eps"):
            check_number(self._name, name, options[name], at_least=0)
        if not isinstance(options["min_lr"], list | tuple):
            raise TypeError(f"{self._name}: expected min_lr to be a list, got {options['min_lr']!r}")
        for lr in options["min_lr"]:
            check_number(self._name, "min_lr", lr, at_least=0)
        if isinstance(options["best"], bool) or not isinstance(options["best"], int | float):
            raise TypeError(f"{self._name}: expected best to be a number, got {options['best']!r}")

    def step(self, metrics: float) -> None:  # type: ignore[override]  # the schedule that needs to be told
        """Look at the epoch's metric, and lower the rate if it is time.

        Raises:
            TypeError: the metric is no number.
            ValueError: the optimizer has other groups than when the scheduler was made.
        """
        self._check_groups()
        metric = float(metrics)
        self.last_epoch += 1
        if self.is_better(metric):
            self.best = metric
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._set(self.get_lr())
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        else:
            self._set(self.current_lr())

    def is_better(self, metric: float) -> bool:
        """Whether the metric beats the best by the threshold; NaN never does."""
        margin = self.threshold
        if self.threshold_mode == "rel":
            margin = 0.0 if math.isinf(self.best) else self.best * self.threshold
        return metric < self.best - margin if self.mode == "min" else metric > self.best + margin

    def get_lr(self) -> list[float]:
        lowered = [max(lr * self.factor, low) for lr, low in zip(self.current_lr(), self.min_lr, strict=True)]
        return [
            new if lr - new > self.eps else lr for lr, new in zip(self.current_lr(), lowered, strict=True)
        ]
