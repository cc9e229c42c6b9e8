"""The training loop: forward, loss, backward, step, over and over, and everything needed to go on with it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, Self

import numpy as np

from minidl.array import Array, convert, get_rng_state, place_of, set_rng_state, to_host
from minidl.data import DataLoader
from minidl.errors import CheckpointError, MinidlError, NonFiniteError
from minidl.metrics import Mean, Metric
from minidl.nn import Module, watch_forward
from minidl.optim import Optimizer
from minidl.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from minidl.train.callbacks import Callback
from minidl.train.history import History

__all__ = ["Trainer"]


class Trainer:
    """Trains a model and can be stopped, saved and resumed at any step without changing a bit.

    ```python
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters()), [metrics.Accuracy()])
    history = trainer.fit(train_loader, val_loader, epochs=5)
    ```

    Args:
        model: a module that takes all parts of a batch but the last.
        loss: a loss of (prediction, target); the target is the last part of a batch.
        optimizer: of the model's parameters.
        metrics: streaming metrics (`update`, `compute`, `reset`), measured in training and validation.
        callbacks: told when a fit, an epoch or a step begins or ends, in this order.
        scheduler: its `step()` is called after every epoch. `ReduceLROnPlateau` is told the validation loss,
            or without validation the training loss.

    Raises:
        TypeError: an argument is not what stands in its place.
        ValueError: the optimizer has none of the model's parameters, or two metrics have one name.

    Attributes:
        history: one record per finished epoch.
        epoch: how many epochs are finished.
        step: how many steps of the current epoch are done.
        global_step: how many steps are done in all.
        steps_per_epoch: how many batches an epoch of this fit has.
        epochs: at how many finished epochs this fit ends.
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
    ) -> None:
        _check_parts(model, loss, optimizer, metrics)
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.metrics: list[Metric] = list(metrics)
        self.callbacks = list(callbacks)
        self.scheduler = scheduler
        self.history = History()
        self.epoch = self.step = self.global_step = 0
        self.steps_per_epoch = self.epochs = self.samples = 0
        self.stopped = False
        self._stop_asked = False
        self._fit_from = 0  # how many epochs were finished when this fit began
        self._loader_state: dict[str, Any] | None = None
        self._unfinished = False  # whether the next fit goes on where the loader stood
        self._mean_loss = Mean("loss")
        self._figures: list[Metric] = [self._mean_loss, *self.metrics]  # type: ignore[list-item]

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
        for method in ("state_dict", "load_state_dict", "__len__", "__iter__"):
            if not hasattr(train, method):
                raise TypeError(f"Trainer.fit: expected a DataLoader to train on, got {type(train).__name__}")
        if isinstance(val, Iterator):
            raise TypeError(
                "Trainer.fit: expected val to be a DataLoader, or batches to go through once an epoch, "
                f"got a {type(val).__name__}, which is used up after the first"
            )
        if not isinstance(epochs, int | np.integer) or isinstance(epochs, bool):
            raise TypeError(f"Trainer.fit: expected epochs to be an integer, got {epochs!r}")
        if epochs < 0:
            raise ValueError(f"Trainer.fit: expected epochs of at least 0, got {epochs}")
        for batches, purpose in ((train, "train"), (val, "validate")):
            if isinstance(batches, Sized) and len(batches) == 0:
                raise ValueError(f"Trainer.fit: expected at least one batch to {purpose} on, got none")
        if self._unfinished and self._loader_state is not None:
            train.load_state_dict(self._loader_state)
        self._unfinished = True
        self.steps_per_epoch = len(train)
        self.epochs = self._fit_from + int(epochs)
        self.stopped = self._stop_asked = False
        self._tell("on_fit_start")
        while self.epoch < self.epochs and not self.stopped:
            self._run_epoch(train, val)
        self._tell("on_fit_end")
        if not self.stopped:
            self._fit_from = self.epoch
            self._unfinished = False
        return self.history

    def stop(self) -> None:
        """Ask the running fit to end after the current step; safe to call from a signal handler."""
        self._stop_asked = True

    def _run_epoch(self, train: DataLoader, val: Iterable[Any] | None) -> None:
        started, samples_before = time.perf_counter(), self.samples
        self.model.train()
        if self.step == 0:
            self._reset()
        self._tell("on_epoch_start")
        for batch in train:
            self.train_step(*batch)
            if self.global_step == 1:
                _ = self.running  # a metric that is not one number is refused now, not an epoch later
            self._loader_state = train.state_dict()
            self._tell("on_step_end")
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
        elif self.scheduler is not None:
            self.scheduler.step()
        self.history.append(record)
        self.epoch, self.step = self.epoch + 1, 0
        self._loader_state = train.state_dict()
        self._tell("on_epoch_end")
        self.stopped = self._stop_asked

    @np.errstate(all="ignore")  # what overflows makes the loss NaN, if it matters
    def train_step(self, *batch: Array) -> float:
        """One step on one batch: forward, loss, backward, optimizer.

        Args:
            *batch: the model's inputs, then the target.

        Returns:
            The loss.

        Raises:
            NonFiniteError: the loss is NaN or infinite; the parameters were not changed (running
                statistics, which move in the forward, may have been).
            ValueError: the loss is not one number.
        """
        *inputs, target = self._here(batch)
        prediction = self.model(*inputs)
        value = self._number(self.loss(prediction, target))
        if not math.isfinite(value):
            where = f"epoch {self.epoch + 1}, step {self.step + 1}"
            raise NonFiniteError(self._blame(value, where, inputs))
        self.optimizer.zero_grad()
        with self.model.no_input_grad():  # nobody changes the data
            self.model.backward(self.loss.backward(None))
        self.optimizer.step()
        self._update(prediction, target, value)
        self.step += 1
        self.global_step += 1
        self.samples += len(target)
        return value

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
        before = self._measured()
        self._reset()
        count = 0
        try:
            with self.model.evaluating(), self.loss.evaluating():
                for count, batch in enumerate(batches, start=1):
                    *inputs, target = self._here(batch)
                    prediction = self.model(*inputs)
                    loss = self._number(self.loss(prediction, target))
                    if not math.isfinite(loss):
                        where = f"batch {count} of an evaluation after epoch {self.epoch}, step {self.step}"
                        raise NonFiniteError(self._blame(loss, where, inputs))
                    self._update(prediction, target, loss)
            if count == 0:
                raise ValueError("Trainer.evaluate: expected at least one batch, got none")
            return self.running
        finally:
            self._load_measured(before)

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
    def running(self) -> dict[str, float]:
        """Loss and metrics over the batches since the epoch began."""
        return {metric.name: _figure(metric) for metric in self._figures}

    def _update(self, prediction: Array, target: Array, loss: float) -> None:
        self._mean_loss.update(loss, len(target))
        if self.metrics:
            prediction, target = to_host(prediction), to_host(target)
        for metric in self.metrics:
            metric.update(prediction, target)

    def _reset(self) -> None:
        for metric in self._figures:
            metric.reset()

    def _measured(self) -> list[dict[str, Any]]:
        return [metric.state_dict() for metric in self._figures]

    def _load_measured(self, states: Sequence[Mapping[str, Any]]) -> None:
        for metric, state in zip(self._figures, states, strict=True):
            metric.load_state_dict(state)

    def _tell(self, event: str) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self)

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
            "measured": self._measured(),
            "loader": self._loader_state,
            "rng": get_rng_state(),
            "callbacks": [state for callback in self.callbacks if (state := callback.state_dict())],
            "module_rngs": {name: rng.bit_generator.state for name, rng in self.model.named_generators()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> Self:
        """Take over a state from `state_dict`: `fit` then ends with the bits of the run that it came from.

        Raises:
            CheckpointError: the state lacks something, is damaged, or has a scheduler where this trainer
                has none.
            StateDictError: it is of another model or optimizer.

        Whatever it raises, the trainer is as it was.
        """
        state = {"callbacks": [], **state}  # which older checkpoints lack
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
        self._load_measured(state["measured"])
        self._loader_state = None if state["loader"] is None else dict(state["loader"])
        remembering = [callback for callback in self.callbacks if callback.state_dict()]
        if len(remembering) != len(state["callbacks"]):
            raise CheckpointError(
                f"Trainer: expected a state of {len(remembering)} callbacks that remember something, "
                f"got {len(state['callbacks'])}"
            )
        for callback, saved in zip(remembering, state["callbacks"], strict=True):
            callback.load_state_dict(saved)
        set_rng_state(state["rng"])
        for name, rng in self.model.named_generators():
            rng.bit_generator.state = state["module_rngs"][name]

    # ---------------------------------------------------------------- when the loss is no number

    def _blame(self, loss: float, when: str, inputs: Sequence[Array]) -> str:
        """Where the numbers went wrong: the first parameter or layer that is not finite."""
        where = f"the loss became {loss} at {when}"
        advice = "a smaller learning rate may help"
        if not all(np.isfinite(x).all() for x in inputs):
            return f"{where}: the batch itself holds numbers that are not finite"
        for name, parameter in self.model.named_parameters():
            if not np.isfinite(parameter.data).all():
                return f"{where}: parameter {name} is not finite since the step before; {advice}"
        names = {id(module): name for name, module in self.model.named_modules()}
        culprits: list[str] = []

        def look(module: Module, inputs: tuple[Any, ...], output: Any) -> None:
            outputs = output if isinstance(output, tuple) else (output,)
            if not all(np.isfinite(part).all() for part in outputs):
                culprits.append(f"{names.get(id(module), '')} {module.label()}".strip())

        with watch_forward(look):
            self.model(*inputs)
        layer = f"first in the output of {culprits[0]}" if culprits else "in the loss itself"
        return f"{where}: {layer}; {advice}"


def _check_parts(model: Any, loss: Any, optimizer: Any, metrics: Any) -> None:
    """Whether each argument of a trainer is what stands in its place, since they are easily mixed up."""
    for given, kind, name in (
        (model, Module, "model"),
        (loss, Module, "loss"),
        (optimizer, Optimizer, "optimizer"),
        (metrics, Sequence, "metrics"),
    ):
        if not isinstance(given, kind):
            got = type(given).__name__
            raise TypeError(f"Trainer: expected {name} to be a {kind.__name__}, got {got}")
    mine = {id(parameter) for parameter in model.parameters()}
    if not any(id(p) in mine for group in optimizer.param_groups for p in group["params"]):
        raise ValueError("Trainer: expected an optimizer of the model's parameters, got one of none of them")
    for metric in metrics:
        if not all(hasattr(metric, part) for part in ("name", "update", "compute", "reset")):
            raise TypeError(
                f"Trainer: expected streaming metrics, such as metrics.Accuracy(), got {metric!r}"
            )
    names = ["loss", *(metric.name for metric in metrics)]
    if len(set(names)) < len(names):
        raise ValueError(f"Trainer: expected metrics of different names, got {', '.join(names)}")


def _figure(metric: Metric) -> float:
    value = metric.compute()
    if np.ndim(value) > 0:
        raise TypeError(
            f"Trainer: expected metrics of one number each, got {metric.name} of shape {np.shape(value)}; "
            "measure it after training"
        )
    return float(value)


def _count(name: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"expected {name} to be an integer of at least 0, got {value!r}")
    return value
