"""Callbacks: what else happens when a fit, an epoch or a step begins or ends."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from minidl.train.checkpoint import save_checkpoint

if TYPE_CHECKING:
    from minidl.train.trainer import Trainer

__all__ = ["Callback", "Checkpoint"]


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
