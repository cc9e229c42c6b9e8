"""What is done about the best epoch: stop when no better one comes, and keep its weights."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidl.errors import StateDictError
from minidl.optim.lr_scheduler.base import check_whole
from minidl.optim.optimizer import check_number
from minidl.train.callbacks import Callback
from minidl.train.checkpoint import save_weights

if TYPE_CHECKING:
    from minidl.array import Array
    from minidl.train.trainer import Trainer

__all__ = ["EarlyStopping", "SaveBest"]

LOWER_IS_BETTER = re.compile(r"loss|error|(^|_)r?mse$|(^|_)mae$")


class _Best(Callback):
    """Knows the best value of one of the history's figures.

    Attributes:
        best: the best value; None before there is one.
        best_epoch: the epoch that had it.
    """

    monitor: str
    min_delta: float
    mode: str
    best: float | None
    best_epoch: int

    def __init__(self, monitor: str, min_delta: float, mode: str) -> None:
        check_number(type(self).__name__, "min_delta", min_delta, at_least=0)
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{type(self).__name__}: expected mode auto, min or max, got {mode!r}")
        if mode == "auto":
            mode = "min" if LOWER_IS_BETTER.search(monitor) else "max"
        self.monitor = monitor
        self.min_delta = float(min_delta)
        self.mode = mode
        self._forget()

    def _forget(self) -> None:
        self.best = None
        self.best_epoch = 0

    def on_fit_start(self, trainer: Trainer) -> None:
        """A fit of its own has a best epoch of its own; a resumed one goes on."""
        if not trainer.resumed:
            self._forget()

    def _improved(self, trainer: Trainer) -> bool:
        """Whether the epoch that just ended is the best so far; NaN never is."""
        record = trainer.history.records[-1]
        if self.monitor not in record:
            raise ValueError(
                f"{type(self).__name__}: expected to monitor one of {', '.join(record)}, got {self.monitor!r}"
            )
        value = float(record[self.monitor])
        gain = math.inf if self.best is None else value - self.best
        if self.mode == "min" and self.best is not None:
            gain = -gain
        if math.isnan(value) or not gain > self.min_delta:
            return False
        self.best, self.best_epoch = value, trainer.epoch
        return True

    def state_dict(self) -> dict[str, Any]:
        """The best so far."""
        return {"monitor": self.monitor, "best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` gave.

        Raises:
            StateDictError: it is of something else; nothing changed.
        """
        mine = self.state_dict()
        if not isinstance(state_dict, Mapping) or set(state_dict) != set(mine):
            got = ", ".join(map(str, state_dict)) if isinstance(state_dict, Mapping) else repr(state_dict)
            raise StateDictError(f"{type(self).__name__}: expected a state with {', '.join(mine)}, got {got}")
        best, epoch = state_dict["best"], state_dict["best_epoch"]
        fits = state_dict["monitor"] == self.monitor and (best is None or type(best) is float)
        if not fits or type(epoch) is not int or epoch < 0:
            raise StateDictError(
                f"{type(self).__name__}: expected the best {self.monitor} and its epoch, "
                f"got {state_dict['monitor']!r}, {best!r} and {epoch!r}"
            )
        self.best, self.best_epoch = best, epoch


class EarlyStopping(_Best):
    """End the fit when a figure has not become better for some epochs; more would only overfit.

    `trainer.stopped` stays False: the fit is finished, and the next one begins anew. A run that was
    interrupted and resumed ends at the same epoch with the same bits.

    Prechelt 1998, "Early stopping, but when?".

    Args:
        monitor: a column of the history, such as `"val_loss"` or `"val_accuracy"`.
        patience: after so many epochs in a row that are not better than the best, it is enough.
        min_delta: by less than this, nothing has become better.
        mode: whether `"min"` or `"max"` is good; `"auto"` takes the smallest of losses and errors, and the
            largest of everything else.
        restore_best: at the end of the fit, load the weights of the best epoch.

    Raises:
        ValueError: an unknown mode, a patience below 1; in training, a column that is not there.
        TypeError: no numbers.
    """

    patience: int
    restore_best: bool
    wait: int  # epochs since the best
    _weights: dict[str, Array] | None

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 3,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best: bool = False,
    ) -> None:
        check_whole("EarlyStopping", "patience", patience, at_least=1)
        self.patience = patience
        self.restore_best = bool(restore_best)
        super().__init__(monitor, min_delta, mode)

    def _forget(self) -> None:
        super()._forget()
        self.wait = 0
        self._weights = None

    def on_fit_start(self, trainer: Trainer) -> None:
        """Where it was enough before the run was interrupted, it still is."""
        super().on_fit_start(trainer)
        if self.wait >= self.patience:
            trainer.finish()

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Look at the new record."""
        if self._improved(trainer):
            self.wait = 0
            if self.restore_best:
                self._weights = trainer.model.state_dict()
            return
        self.wait += 1
        if self.wait >= self.patience:
            trainer.finish()

    def on_fit_end(self, trainer: Trainer) -> None:
        """Load the best weights, unless the fit was only interrupted."""
        if self._weights is not None and not trainer.stopped:
            trainer.model.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """The best so far, its weights if they are to come back, and how long ago it was."""
        return {**super().state_dict(), "wait": self.wait, "weights": self._weights}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` gave.

        Raises:
            StateDictError: it is of something else; nothing changed.
        """
        given = state_dict if isinstance(state_dict, Mapping) else {}
        wait, weights = given.get("wait"), given.get("weights")
        kept = self.restore_best and given.get("best") is not None
        if (
            type(wait) is not int
            or wait < 0
            or not (isinstance(weights, Mapping) if kept else weights is None)
        ):
            has = "no" if weights is None else "some"
            raise StateDictError(
                f"EarlyStopping: expected a state for restore_best={self.restore_best} with epochs to wait, "
                f"got {has} weights and {wait!r}"
            )
        super().load_state_dict(state_dict)
        self.wait = wait
        self._weights = None if weights is None else dict(weights)


class SaveBest(_Best):
    """Write the model's weights to a file after every epoch that is better than all before it.

    Args:
        path: a safetensors file, as of `save_weights`; each save replaces it atomically.
        monitor: a column of the history.
        min_delta: by less than this, nothing has become better.
        mode: as for `EarlyStopping`.

    Raises:
        ValueError: an unknown mode; in training, a column that is not there.
        TypeError: no number.
    """

    path: Path

    def __init__(
        self, path: str | Path, monitor: str = "val_loss", min_delta: float = 0.0, mode: str = "auto"
    ) -> None:
        self.path = Path(path)
        super().__init__(monitor, min_delta, mode)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Look at the new record."""
        if self._improved(trainer):
            save_weights(trainer.model, self.path)
