"""The training loop: forward, loss, backward, step, over and over, and everything needed to go on with it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from minidl.array import Array, convert, get_rng_state, place_of, set_rng_state
from minidl.data import DataLoader
from minidl.errors import CheckpointError, MinidlError, NonFiniteError
from minidl.metrics import Metric
from minidl.nn import Module
from minidl.nn.utils import clip_grad_norm_, clip_grad_value_
from minidl.optim import Optimizer
from minidl.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from minidl.train.blame import blame
from minidl.train.callbacks import Callback, load_states, states_of, tell
from minidl.train.history import History
from minidl.train.measured import Measured
from minidl.train.parts import check_fit, check_options, check_parts

__all__ = ["Trainer"]


class Trainer:
    """Trains a model and can be stopped, saved and resumed at any step without changing a bit.

    ```python
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters()), [metrics.Accuracy()])
    history = trainer.fit(train_loader, val_loader, epochs=5)
    ```

    Args:
        model: a module that takes all parts of a batch but the last. It may give a tuple of outputs, the
            answer first, as GoogLeNet's heads do; its `backward` takes the tuple of their gradients.
        loss: a loss of (prediction, target); the target is the last part of a batch. Of several outputs, a
            loss of their tuple, such as `nn.AuxiliaryLoss`.
        optimizer: of the model's parameters.
        metrics: streaming metrics (`update`, `compute`, `reset`), measured in training and validation; of
            several outputs, they see the first.
        callbacks: told when a fit, an epoch or a step begins or ends, in this order.
        scheduler: its `step()` is called after every epoch. `ReduceLROnPlateau` is told the validation loss,
            or without validation the training loss.
        scheduler_interval: `"step"` calls it after every step instead, as OneCycleLR and CyclicLR are meant.
        accumulate: how many batches make one step. Their gradients are averaged, each counting by its
            samples, so the step is that of one batch as large as all of them, where the loss is a plain
            mean over samples (of a sum it is the sum) and no layer looks at several samples at once (batch
            norm does). What is left at an epoch's end is a smaller step. A run is saved and stopped between
            steps only.
        clip_grad_norm: shorten all gradients together to at most this norm, before every step.
        clip_grad_value: cut every gradient to at most this absolute value, before every step.

    Raises:
        TypeError: an argument is not what stands in its place.
        ValueError: the optimizer has none of the model's parameters, two metrics have one name, an unknown
            interval, a plateau at every step, or a number out of range.

    Attributes:
        history: one record per finished epoch; its `"lr"` is the optimizer's rate when the epoch was over,
            before a scheduler of epochs went on.
        epoch: how many epochs are finished.
        step: how many steps of the current epoch are done.
        global_step: how many steps are done in all.
        steps_per_epoch: how many steps an epoch of this fit has.
        epochs: at how many finished epochs this fit ends.
        resumed: whether this fit goes on with one that was interrupted, here or in the run that was loaded.
        grad_norm: the gradients' norm before they were clipped in the last step; None without
            `clip_grad_norm`.
        running: figures of the current epoch so far, such as `{"loss": 0.4, "accuracy": 0.9}`.
        samples: how many samples this process has trained on.
        stopped: whether `stop()` ended the last fit early.
    """

    def __init__(
        self,
        model: Module,
        loss: Module,
        optimizer: Optimizer,
        metrics: Sequence[Metric] = (),
        callbacks: Sequence[Callback] = (),
        *,
        scheduler: LRScheduler | None = None,
        scheduler_interval: str = "epoch",
        accumulate: int = 1,
        clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
    ) -> None:
        check_parts(model, loss, optimizer, metrics)
        check_options(scheduler, scheduler_interval, accumulate, clip_grad_norm, clip_grad_value)
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self._measured = Measured(metrics)
        self.callbacks = list(callbacks)
        self.scheduler = scheduler
        self.scheduler_interval = scheduler_interval
        self.accumulate = int(accumulate)
        self.clip_grad_norm = clip_grad_norm
        self.clip_grad_value = clip_grad_value
        self.grad_norm: float | None = None
        self.history = History()
        self.epoch = self.step = self.global_step = 0
        self.steps_per_epoch = self.epochs = self.samples = 0
        self.stopped = self.resumed = False
        self._stop_asked = self._finish_asked = False
        self._fit_from = 0  # how many epochs were finished when this fit began
        self._loader_state: dict[str, Any] | None = None
        self._unfinished = False  # whether the next fit goes on where the loader stood

    # ---------------------------------------------------------------- the loop

    def fit(self, train: DataLoader, val: Iterable[Any] | None = None, epochs: int = 1) -> History:
        """Train for `epochs` epochs; a trainer that was stopped or resumed finishes what was left of them.

        Args:
            train: batches to learn from.
            val: batches to measure on after every epoch, in a fixed order if a resumed run is to print the
                same figures to the last digit.
            epochs: of this fit, those done before it was interrupted included.

        Returns:
            The history of all epochs so far.

        Raises:
            NonFiniteError: the loss became NaN or infinite; the message names the step and the layer.
            ValueError: there is no batch in `train` or `val`, or `epochs` is negative.
            TypeError: `epochs` is no integer, or a loader is something else.
            StateDictError: `train` is not the loader in whose middle the run was interrupted.
        """
        check_fit(train, val, epochs)
        if self._unfinished and self._loader_state is not None:
            train.load_state_dict(self._loader_state)
        self.resumed = self._unfinished and (self.epoch, self.step) > (self._fit_from, 0)
        self._unfinished = True
        self.steps_per_epoch = -(-len(train) // self.accumulate)
        self.epochs = self._fit_from + int(epochs)
        self.stopped = self._stop_asked = self._finish_asked = False
        try:
            tell(self.callbacks, "on_fit_start", self)
            while self.epoch < self.epochs and not self.stopped and not self._finish_asked:
                self._run_epoch(train, val)
            tell(self.callbacks, "on_fit_end", self)
        except BaseException:
            tell(self.callbacks, "on_exception", self)
            raise
        if not self.stopped:
            self._fit_from = self.epoch
            self._unfinished = False
        return self.history

    def stop(self) -> None:
        """Ask the running fit to end after the current step; safe to call from a signal handler."""
        self._stop_asked = True

    def finish(self) -> None:
        """Let the epoch that runs, or that just ended, be the last that was asked for."""
        self._finish_asked = True

    def _run_epoch(self, train: DataLoader, val: Iterable[Any] | None) -> None:
        started, samples_before = time.perf_counter(), self.samples
        self.model.train()
        if self.step == 0:
            self._measured.reset()
        tell(self.callbacks, "on_epoch_start", self)
        for batches, position in self._groups(train):
            tell(self.callbacks, "on_step_start", self)
            self._step(batches)
            if self.global_step == 1:
                _ = self.running  # a metric that is not one number is refused now, not an epoch later
            self._loader_state = position
            tell(self.callbacks, "on_step_end", self)
            if self._stop_asked:
                self.stopped = True
                return
        seconds = time.perf_counter() - started
        record: dict[str, float] = {"epoch": self.epoch + 1, "lr": self.optimizer.param_groups[0]["lr"]}
        record |= {f"train_{name}": value for name, value in self.running.items()}
        if val is not None:
            record |= {f"val_{name}": value for name, value in self.evaluate(val).items()}
        speed = (self.samples - samples_before) / max(seconds, 1e-9)
        record |= {"seconds": seconds, "samples_per_second": speed}
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(record.get("val_loss", record["train_loss"]))
        elif self.scheduler is not None and self.scheduler_interval == "epoch":
            self.scheduler.step()
        self.history.append(record)
        self.epoch, self.step = self.epoch + 1, 0
        self._loader_state = train.state_dict()
        tell(self.callbacks, "on_epoch_end", self)
        self.stopped = self._stop_asked

    def _groups(self, train: DataLoader) -> Iterator[tuple[list[Any], dict[str, Any]]]:
        """The batches of each step, and where the loader stands after them."""
        batches: list[Any] = []
        for batch in train:
            batches.append(batch)
            position = train.state_dict()
            if len(batches) == self.accumulate:
                yield batches, position
                batches = []
        if batches:
            yield batches, position

    def train_step(self, *batch: Array) -> float:
        """One step on one batch: forward, loss, backward, optimizer, and a scheduler of steps.

        Args:
            *batch: the model's inputs, then the target.

        Returns:
            The loss.

        Raises:
            NonFiniteError: the loss is NaN or infinite; the parameters were not changed (running
                statistics, which move in the forward, may have been).
            ValueError: the loss is not one number.
        """
        return self._step([batch])

    @np.errstate(all="ignore")  # what overflows makes the loss NaN, if it matters
    def _step(self, batches: list[Any]) -> float:
        """One step of the optimizer, by the gradients of all these batches."""
        seen: list[tuple[Array | tuple[Array, ...], Array, float]] = []
        shares = self._shares(batches)
        for batch, share in zip(batches, shares, strict=True):
            *inputs, target = self._here(batch)
            prediction = self.model(*inputs)
            value = self._number(self.loss(prediction, target))
            if not math.isfinite(value):
                where = f"epoch {self.epoch + 1}, step {self.step + 1}"
                raise NonFiniteError(blame(self.model, value, where, inputs))
            if not seen:
                self.optimizer.zero_grad()
            with self.model.no_input_grad():  # nobody changes the data
                self.model.backward(self.loss.backward(share))
            seen.append((prediction, target, value))
        tell(self.callbacks, "on_gradients", self)
        self._clip()
        self.optimizer.step()
        if self.scheduler is not None and self.scheduler_interval == "step":
            self.scheduler.step()
        for prediction, target, value in seen:
            self._measured.update(prediction, target, value)
            self.samples += len(target)
        self.step += 1
        self.global_step += 1
        weights = [1.0 if share is None else share for share in shares]
        return math.fsum(weight * value for weight, (*_, value) in zip(weights, seen, strict=True))

    def _shares(self, batches: list[Any]) -> list[float | None]:
        """How much each batch's loss counts in its step: by its samples; a sum counts whole (None)."""
        if len(batches) == 1 or getattr(self.loss, "reduction", "mean") == "sum":
            return [None] * len(batches)
        sizes = [len(batch[-1]) for batch in batches]
        return [size / sum(sizes) for size in sizes]

    def _clip(self) -> None:
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        if self.clip_grad_value is not None:
            clip_grad_value_(parameters, self.clip_grad_value)
        if self.clip_grad_norm is not None:
            self.grad_norm = clip_grad_norm_(parameters, self.clip_grad_norm)

    @np.errstate(all="ignore")
    def evaluate(self, batches: Iterable[Any]) -> dict[str, float]:
        """Loss and metrics over all batches, in `eval()` mode; training goes on undisturbed afterwards.

        Args:
            batches: tuples of the model's inputs and the target.

        Returns:
            Figures by name: `{"loss": 0.09, "accuracy": 0.97}`.

        Raises:
            NonFiniteError: the loss is NaN or infinite.
            ValueError: there is no batch.
        """
        before = self._measured.state_dict()
        self._measured.reset()
        count = 0
        try:
            with self.model.evaluating(), self.loss.evaluating():
                for count, batch in enumerate(batches, start=1):
                    *inputs, target = self._here(batch)
                    prediction = self.model(*inputs)
                    loss = self._number(self.loss(prediction, target))
                    if not math.isfinite(loss):
                        where = f"batch {count} of an evaluation after epoch {self.epoch}, step {self.step}"
                        raise NonFiniteError(blame(self.model, loss, where, inputs))
                    self._measured.update(prediction, target, loss)
            if count == 0:
                raise ValueError("Trainer.evaluate: expected at least one batch, got none")
            return self.running
        finally:
            self._measured.load_state_dict(before)

    def _here(self, batch: Iterable[Array]) -> list[Array]:
        """A batch where the model is."""
        place = place_of(next(self.model.parameters()).data)
        return [convert(part, place) for part in batch]

    @staticmethod
    def _number(loss: Any) -> float:
        if np.ndim(loss) != 0:
            raise ValueError(
                "Trainer: expected a loss that is one number (reduction 'mean' or 'sum'), "
                f"got one of shape {np.shape(loss)}"
            )
        return float(loss)

    # ---------------------------------------------------------------- figures

    @property
    def metrics(self) -> list[Metric]:
        """What is measured beside the loss."""
        return self._measured.metrics

    @property
    def running(self) -> dict[str, float]:
        """Loss and metrics over the batches since the epoch began."""
        return self._measured.figures()

    # ---------------------------------------------------------------- saving and resuming

    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on, down to the random generators' states."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "global_step": self.global_step,
            "fit_from": self._fit_from,
            "history": [dict(record) for record in self.history],
            "measured": self._measured.state_dict(),
            "callbacks": states_of(self.callbacks),
            "loader": self._loader_state,
            "rng": get_rng_state(),
            "module_rngs": {name: rng.bit_generator.state for name, rng in self.model.named_generators()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> Self:
        """Take over a state from `state_dict`: `fit` then ends with the bits of the run that it came from.

        Raises:
            CheckpointError: the state lacks something, is damaged, or has a scheduler or a callback with a
                state where this trainer has none, or the other way round.
            StateDictError: it is of another model or optimizer.

        Whatever it raises, the trainer is as it was.
        """
        state = {"callbacks": {}, **state}  # which older checkpoints lack
        missing = [key for key in self.state_dict() if key not in state]
        if missing:
            raise CheckpointError(
                f"Trainer: expected a state with {', '.join(missing)}, got {', '.join(state)}"
            )
        if (state["scheduler"] is None) != (self.scheduler is None):
            there, here = ("no" if s is None else "a" for s in (state["scheduler"], self.scheduler))
            raise CheckpointError(
                f"Trainer: expected a state with {here} scheduler, got one with {there} scheduler"
            )
        before = self.state_dict()
        try:
            self._take_over(state)
        except Exception as error:
            self._take_over(before)
            if isinstance(error, MinidlError):
                raise
            raise CheckpointError(
                f"Trainer: expected a state of a trainer, got a damaged one: {error!r}"
            ) from error
        self._unfinished = True
        return self

    def _take_over(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        self.epoch, self.step, self.global_step, self._fit_from = (
            _count(name, state[name]) for name in ("epoch", "step", "global_step", "fit_from")
        )
        self.history = History([dict(record) for record in state["history"]])
        self._measured.load_state_dict(state["measured"])
        load_states(self.callbacks, state["callbacks"])
        self._loader_state = None if state["loader"] is None else dict(state["loader"])
        set_rng_state(state["rng"])
        for name, rng in self.model.named_generators():
            rng.bit_generator.state = state["module_rngs"][name]


def _count(name: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"expected {name} to be an integer of at least 0, got {value!r}")
    return value
