"""Schedules that go up before they go down, with the momentum the other way; step them after every batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from minidl.optim.lr_scheduler.base import LRScheduler, check_choice, check_whole
from minidl.optim.optimizer import Optimizer, check_number

__all__ = ["CyclicLR", "OneCycleLR"]


class _WithMomentum(LRScheduler):
    """What both share: the momentum of SGD, or β₁ of Adam, moves against the rate."""

    cycle_momentum: bool
    base_momentum: list[float]
    max_momentum: list[float]

    def _take_momentum(self, optimizer: Any, cycle: bool, base: Any, top: Any) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{self._name}: expected an Optimizer, got {type(optimizer).__name__}")
        if cycle and not {"momentum", "betas"} & optimizer.defaults.keys():
            raise ValueError(
                f"{self._name}: expected an optimizer with momentum or betas for cycle_momentum=True, "
                f"got {type(optimizer).__name__}"
            )
        self.cycle_momentum = bool(cycle)
        self.base_momentum = self._per_group(optimizer, "base_momentum", base)
        self.max_momentum = self._per_group(optimizer, "max_momentum", top)

    def _start(self, optimizer: Optimizer, rates: list[float], last_epoch: int) -> None:
        """Each group's rate becomes that of epoch 0, unless the schedule goes on."""
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = group["initial_lr"] = lr

    def _set_momentum(self, momenta: list[float]) -> None:
        if self.cycle_momentum:
            for group, momentum in zip(self.optimizer.param_groups, momenta, strict=True):
                if "betas" in group:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum

    def check_options(self, options: Mapping[str, Any]) -> None:
        for name in ("base_momentum", "max_momentum"):
            self._check_rates(name, options[name])

    def first_lr(self) -> list[float]:
        return self.get_lr()


class CyclicLR(_WithMomentum):
    """The rate goes up and down between two bounds, in straight lines, and the momentum down and up.

    ```
    cycle = 1 + ⌊t / (up + down)⌋         and h from 0 at a cycle's ends to 1 after its first `up` steps
    lr(t) = base_lr + (max_lr − base_lr) h · scale
    momentum(t) = max_momentum − (max_momentum − base_momentum) h · scale
    scale = 1  (triangular)   or   2^(1 − cycle)  (triangular2)   or   gammaᵗ  (exp_range)
    ```

    Smith 2017, "Cyclical learning rates for training neural networks".

    Args:
        optimizer: whose rates to set.
        base_lr: the lower bound, one for all groups or a list with one for each.
        max_lr: the upper bound, likewise.
        step_size_up: how many steps up.
        step_size_down: how many down; None takes `step_size_up`.
        mode: `"triangular"`, `"triangular2"` or `"exp_range"`.
        gamma: for `"exp_range"`.
        scale_fn: a function in place of the mode's scale. It is no part of the state dict: to resume, give
            it again.
        scale_mode: what `scale_fn` is given: `"cycle"`, from 1 on, or `"iterations"`, from 0 on.
        cycle_momentum: whether to change the momentum, or Adam's β₁.
        base_momentum: its lower bound, one for all groups or a list.
        max_momentum: its upper bound, likewise.
        last_epoch: see `LRScheduler`.

    Raises:
        ValueError: a number below 0, no steps, an unknown mode, bounds for another number of groups, or
            `cycle_momentum` with an optimizer that has none.
    """

    not_saved: ClassVar = ("optimizer", "scale_fn")
    base_lr: list[float]
    max_lr: list[float]
    step_size_up: float
    step_size_down: float
    mode: str
    gamma: float
    scale_fn: Callable[[float], float] | None
    scale_mode: str

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float = 0.8,
        max_momentum: float = 0.9,
        last_epoch: int = -1,
    ) -> None:
        self._take_momentum(optimizer, cycle_momentum, base_momentum, max_momentum)
        self.base_lr = self._per_group(optimizer, "base_lr", base_lr)
        self.max_lr = self._per_group(optimizer, "max_lr", max_lr)
        self.step_size_up = step_size_up
        self.step_size_down = step_size_up if step_size_down is None else step_size_down
        self.mode = mode
        self.gamma = gamma
        self.scale_fn = scale_fn
        self.scale_mode = scale_mode
        self.optimizer = optimizer
        self.check_options(vars(self))
        self._start(optimizer, self.base_lr, last_epoch)
        super().__init__(optimizer, last_epoch)

    def check_options(self, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        for name in ("base_lr", "max_lr"):
            self._check_rates(name, options[name])
        for name in ("step_size_up", "step_size_down"):
            check_number(self._name, name, options[name], at_least=1)
        check_number(self._name, "gamma", options["gamma"], at_least=0)
        check_choice(self._name, "mode", options["mode"], ("triangular", "triangular2", "exp_range"))
        check_choice(self._name, "scale_mode", options["scale_mode"], ("cycle", "iterations"))

    def _scale(self, cycle: int) -> float:
        if self.scale_fn is not None:
            return float(self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch))
        if self.mode == "triangular2":
            return 0.5 ** (cycle - 1)
        return float(self.gamma**self.last_epoch) if self.mode == "exp_range" else 1.0

    def get_lr(self) -> list[float]:
        up, down = self.step_size_up, self.step_size_down
        cycle, t = divmod(self.last_epoch, up + down)
        h = t / up if t <= up else 1 - (t - up) / down
        part = h * self._scale(int(cycle) + 1)
        momenta = zip(self.base_momentum, self.max_momentum, strict=True)
        self._set_momentum([top - (top - base) * part for base, top in momenta])
        return [low + (high - low) * part for low, high in zip(self.base_lr, self.max_lr, strict=True)]


class OneCycleLR(_WithMomentum):
    """One cycle for a whole training: up from a small rate to a large one, then down to almost nothing.

    ```
    initial = max_lr / div_factor         lowest = initial / final_div_factor
    initial → max_lr                      in the first part `pct_start` of the steps
    max_lr → lowest                       in the rest; three phases: max_lr → initial as fast as it rose,
                                          then initial → lowest
    ```

    Between two rates it goes along half a cosine or a line; the momentum goes the other way, and stays at
    the top in a third phase. Smith and Topin 2018, "Super-convergence: very fast training of neural networks
    using large learning rates"; two phases by a cosine are the form of fastai.

    Args:
        optimizer: whose rates to set.
        max_lr: the highest rate, one for all groups or a list with one for each.
        total_steps: how many steps there are; None takes `epochs · steps_per_epoch`.
        epochs: how many epochs.
        steps_per_epoch: how many batches each has.
        pct_start: the part of the steps in which the rate rises.
        anneal_strategy: `"cos"` or `"linear"`.
        cycle_momentum: whether to change the momentum, or Adam's β₁.
        base_momentum: its lower bound, one for all groups or a list.
        max_momentum: its upper bound, likewise.
        div_factor: `max_lr` over the first rate.
        final_div_factor: the first rate over the last.
        three_phase: come down in two phases.
        last_epoch: see `LRScheduler`.

    Raises:
        ValueError: no number of steps, a number out of its range, an unknown strategy, bounds for another
            number of groups, `cycle_momentum` with an optimizer that has none; or a step after the last.
    """

    max_lr: list[float]
    total_steps: int
    epochs: int | None
    steps_per_epoch: int | None
    pct_start: float
    anneal_strategy: str
    div_factor: float
    final_div_factor: float
    three_phase: bool

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self._take_momentum(optimizer, cycle_momentum, base_momentum, max_momentum)
        self.max_lr = self._per_group(optimizer, "max_lr", max_lr)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(
                    f"{self._name}: expected total_steps, or epochs and steps_per_epoch, got neither"
                )
            check_whole(self._name, "epochs", epochs, at_least=1)
            check_whole(self._name, "steps_per_epoch", steps_per_epoch, at_least=1)
            total_steps = epochs * steps_per_epoch
        self.total_steps = total_steps
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.pct_start = pct_start
        self.anneal_strategy = anneal_strategy
        self.div_factor = div_factor
        self.final_div_factor = final_div_factor
        self.three_phase = bool(three_phase)
        self.optimizer = optimizer
        self.check_options(vars(self))
        self._start(optimizer, [lr / div_factor for lr in self.max_lr], last_epoch)
        super().__init__(optimizer, last_epoch)

    def check_options(self, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        self._check_rates("max_lr", options["max_lr"])
        check_whole(self._name, "total_steps", options["total_steps"], at_least=1)
        check_number(self._name, "pct_start", options["pct_start"], at_least=0, at_most=1)
        check_choice(self._name, "anneal_strategy", options["anneal_strategy"], ("cos", "linear"))
        for name in ("div_factor", "final_div_factor"):
            check_number(self._name, name, options[name], at_least=0)
            if options[name] == 0:
                raise ValueError(f"{self._name}: expected {name} to be above 0, got 0")

    def _between(self, start: float, end: float, part: float) -> float:
        if self.anneal_strategy == "cos":
            return end + (start - end) * (1 + math.cos(math.pi * part)) / 2
        return start + (end - start) * part

    def get_lr(self) -> list[float]:
        t, last = self.last_epoch, self.total_steps - 1
        if t > self.total_steps:  # the one after the last training step is let through, as in PyTorch
            raise ValueError(f"{self._name}: expected {self.total_steps} steps in all, got one more")
        top = self.pct_start * self.total_steps - 1
        down = 2 * top if self.three_phase else last
        if t <= top:
            phase, part = 0, t / top if top > 0 else 1.0
        elif t <= down or not self.three_phase:
            phase, part = 1, (t - top) / ((down - top) or 1)
        else:
            phase, part = 2, (t - down) / ((last - down) or 1)

        momenta = zip(self.base_momentum, self.max_momentum, strict=True)
        self._set_momentum(
            [self._between(*((high, low), (low, high), (high, high))[phase], part) for low, high in momenta]
        )
        rates = []
        for high in self.max_lr:
            initial = high / self.div_factor
            lowest = initial / self.final_div_factor
            after = (high, initial if self.three_phase else lowest)
            rates.append(self._between(*((initial, high), after, (initial, lowest))[phase], part))
        return rates
