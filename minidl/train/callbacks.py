"""Callbacks: what else happens when a fit, an epoch or a step begins or ends."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidl.optim.swa_utils import AveragedModel
from minidl.train.checkpoint import save_checkpoint

if TYPE_CHECKING:
    from minidl.train.trainer import Trainer

__all__ = ["Averaging", "Callback", "Checkpoint"]


class Callback:
    """Override what is needed; each gets the trainer, whose state it may read.

    Only `trainer.stop()` may be called from here to change the course of things.
    """

    def on_fit_start(self, trainer: Trainer) -> None:
        """Before the first step of a fit, also of a resumed one."""

    def on_epoch_start(self, trainer: Trainer) -> None:
        """Before the first step of an epoch, or the first of what was left of it."""

    def on_step_end(self, trainer: Trainer) -> None:
        """After every optimizer step."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """After validation and the scheduler; the epoch's record is the last one of `trainer.history`."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last epoch, or after the step at which `stop()` took effect."""

    def state_dict(self) -> dict[str, Any]:
        """What the rest of the run depends on, for a checkpoint; most have nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""


class Checkpoint(Callback):
    """Save everything that a run needs to go on: after every epoch, between steps, and when it stops.

    Args:
        path: the file; each save replaces it atomically.
        seconds: between two saves in the middle of an epoch, at least this long. Saving draws no random
            numbers, so when it happens changes no bit of the run.
    """

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


class Averaging(Callback):
    """Keep an average of the model's weights while it trains; checkpoints hold it too.

    ```python
    averaged = AveragedModel(model, avg_fn=get_ema_avg_fn(0.99))
    Trainer(model, loss, optimizer, callbacks=[Averaging(averaged), Checkpoint("run/last")]).fit(loader)
    ```

    Args:
        averaged: the average, of the trainer's model.
        every: `"step"` takes the weights after every step, as a moving average wants them; `"epoch"` after
            every epoch, as the plain mean does.
        start_epoch: how many epochs to let pass first.

    Raises:
        ValueError: `every` is neither, or a `Checkpoint` stands before it, which would save too early.
        TypeError: no `AveragedModel`.
    """

    def __init__(self, averaged: AveragedModel, every: str = "step", start_epoch: int = 0) -> None:
        if not isinstance(averaged, AveragedModel):
            raise TypeError(f"Averaging: expected an AveragedModel, got {type(averaged).__name__}")
        if every not in ("step", "epoch"):
            raise ValueError(f"Averaging: expected every to be 'step' or 'epoch', got {every!r}")
        self.averaged = averaged
        self.every = every
        self.start_epoch = start_epoch

    def on_fit_start(self, trainer: Trainer) -> None:  # noqa: D102
        before = trainer.callbacks[: trainer.callbacks.index(self)]
        if any(isinstance(callback, Checkpoint) for callback in before):
            raise ValueError("Averaging: expected its place before Checkpoint in callbacks, got it after")

    def on_step_end(self, trainer: Trainer) -> None:  # noqa: D102
        if self.every == "step" and trainer.epoch >= self.start_epoch:
            self.averaged.update_parameters(trainer.model)

    def on_epoch_end(self, trainer: Trainer) -> None:  # noqa: D102
        if self.every == "epoch" and trainer.epoch > self.start_epoch:
            self.averaged.update_parameters(trainer.model)

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return self.averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: D102
        self.averaged.load_state_dict(state)
