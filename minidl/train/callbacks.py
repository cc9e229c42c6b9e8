"""Callbacks: what else happens when a fit, an epoch or a step begins or ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from minidl.errors import CheckpointError
from minidl.train.checkpoint import save_checkpoint

if TYPE_CHECKING:
    from minidl.train.trainer import Trainer

__all__ = [
    "Callback",
    "Checkpoint",
    "LambdaCallback",
    "LearningRateMonitor",
    "load_states",
    "states_of",
    "tell",
]


class Callback:
    """Override what is needed; each gets the trainer, whose state it may read.

    To change the course of things, call `trainer.stop()` or `trainer.finish()`; gradients may be changed in
    `on_gradients`. What the rest of a run depends on belongs into `state_dict`, which checkpoints hold.
    """

    last: ClassVar[bool] = False
    """Told after all others, as one that saves must be: what it saves holds what they did."""

    def state_dict(self) -> dict[str, Any]:
        """What the rest of a run depends on, as copies; empty if nothing does."""
        return {}

    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> None:
        """Go on from a state that `state_dict` gave."""

    def on_fit_start(self, trainer: Trainer) -> None:
        """Before the first step of a fit, also of a resumed one."""

    def on_epoch_start(self, trainer: Trainer) -> None:
        """Before the first step of an epoch, or the first of what was left of it."""

    def on_step_start(self, trainer: Trainer) -> None:
        """Before the forward of every step's first batch."""

    def on_gradients(self, trainer: Trainer) -> None:
        """After every step's last backward, before gradients are clipped and the optimizer uses them."""

    def on_step_end(self, trainer: Trainer) -> None:
        """After every optimizer step."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """After validation and the scheduler; the epoch's record is the last one of `trainer.history`."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last epoch, or after the step at which `stop()` took effect."""

    def on_exception(self, trainer: Trainer) -> None:
        """When something is raised on the way, before `fit` raises it: a loss that is NaN, or Ctrl-C."""


class Checkpoint(Callback):
    """Save everything that a run needs to go on: after every epoch, between steps, and when it stops.

    Args:
        path: the file; each save replaces it atomically.
        seconds: between two saves in the middle of an epoch, at least this long. Saving draws no random
            numbers, so when it happens changes no bit of the run.
    """

    last = True

    def __init__(self, path: str | Path, seconds: float = 10.0) -> None:
        self.path = Path(path)
        self.seconds = seconds
        self._last = time.monotonic()

    def save(self, trainer: Trainer) -> None:
        """Save now."""
        save_checkpoint(trainer.state_dict(), self.path)
        self._last = time.monotonic()

    def on_step_end(self, trainer: Trainer) -> None:  # noqa: D102
        if time.monotonic() - self._last >= self.seconds:
            self.save(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:  # noqa: D102
        self.save(trainer)

    def on_fit_end(self, trainer: Trainer) -> None:  # noqa: D102
        if trainer.stopped:
            self.save(trainer)


EVENTS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """A callback of plain functions, by the names of the events: `LambdaCallback(on_epoch_end=print)`.

    Args:
        **functions: each gets the trainer.

    Raises:
        TypeError: there is no event of that name, or something is no function.
    """

    def __init__(self, **functions: Callable[[Trainer], Any]) -> None:
        for event, function in functions.items():
            if event not in EVENTS:
                raise TypeError(f"LambdaCallback: expected events among {', '.join(EVENTS)}, got {event}")
            if not callable(function):
                raise TypeError(f"LambdaCallback: expected a function as {event}, got {function!r}")
            setattr(self, event, function)


class LearningRateMonitor(Callback):
    """Notes the rate of every step, for schedules that change it within an epoch.

    Attributes:
        steps: the number of each step, counted from 1 over all epochs.
        rates: its rate: one number for each of the optimizer's parameter groups.
    """

    steps: list[int]
    rates: list[list[float]]

    def __init__(self) -> None:
        self.steps = []
        self.rates = []

    def on_gradients(self, trainer: Trainer) -> None:  # noqa: D102
        self.steps.append(trainer.global_step + 1)
        self.rates.append([float(group["lr"]) for group in trainer.optimizer.param_groups])


# -------------------------------------------------------------------- what the trainer does with them


def tell(callbacks: Sequence[Callback], event: str, trainer: Trainer) -> None:
    """Tell all of an event, in their order, those that save after the others."""
    for callback in sorted(callbacks, key=lambda callback: callback.last):
        getattr(callback, event)(trainer)


def states_of(callbacks: Sequence[Callback]) -> dict[str, dict[str, Any]]:
    """The state of every callback that has one, by its class, and its number among those of its class."""
    return {name: state for name, callback in _named(callbacks) if (state := callback.state_dict())}


def load_states(callbacks: Sequence[Callback], states: Mapping[str, Mapping[str, Any]]) -> None:
    """Let every callback go on from its state.

    Raises:
        CheckpointError: there is a state for no callback, or a callback that has one finds none.
    """
    here, there = (", ".join(sorted(names)) or "none" for names in (states_of(callbacks), states))
    if here != there:
        raise CheckpointError(f"Trainer: expected a state with the callbacks {here}, got one with {there}")
    for name, callback in _named(callbacks):
        if name in states:
            callback.load_state_dict(states[name])


def _named(callbacks: Sequence[Callback]) -> Iterator[tuple[str, Callback]]:
    count: dict[str, int] = {}
    for callback in callbacks:
        kind = type(callback).__name__
        count[kind] = count.get(kind, 0) + 1
        yield kind if count[kind] == 1 else f"{kind} {count[kind]}", callback
