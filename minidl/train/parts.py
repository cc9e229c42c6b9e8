"""What a trainer refuses before it begins: arguments that are mixed up, out of range, or without a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from typing import Any

import numpy as np

from minidl.nn import Module
from minidl.optim import Optimizer
from minidl.optim.lr_scheduler import ReduceLROnPlateau
from minidl.optim.optimizer import check_number

__all__ = ["check_fit", "check_options", "check_parts"]


def check_parts(model: Any, loss: Any, optimizer: Any, metrics: Any) -> None:
    """Whether each argument of a trainer is what stands in its place, since they are easily mixed up.

    Raises:
        TypeError: one is something else.
        ValueError: the optimizer has none of the model's parameters.
    """
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


def check_options(
    scheduler: Any, scheduler_interval: Any, accumulate: Any, clip_grad_norm: Any, clip_grad_value: Any
) -> None:
    """Whether a trainer's options make sense.

    Raises:
        TypeError: no integer or number.
        ValueError: an unknown interval, a plateau at every step, or a number out of range.
    """
    if scheduler_interval not in ("epoch", "step"):
        raise ValueError(f"Trainer: expected scheduler_interval epoch or step, got {scheduler_interval!r}")
    if scheduler_interval == "step" and isinstance(scheduler, ReduceLROnPlateau):
        raise ValueError("Trainer: expected ReduceLROnPlateau with scheduler_interval='epoch', got 'step'")
    if not isinstance(accumulate, int | np.integer) or isinstance(accumulate, bool):
        raise TypeError(f"Trainer: expected accumulate to be an integer, got {accumulate!r}")
    if accumulate < 1:
        raise ValueError(f"Trainer: expected accumulate of at least 1, got {accumulate}")
    for name, limit in (("clip_grad_norm", clip_grad_norm), ("clip_grad_value", clip_grad_value)):
        if limit is not None:
            check_number("Trainer", name, limit, at_least=0)


def check_fit(train: Any, val: Any, epochs: Any) -> None:
    """Whether there is something to train on, to validate on, and for how long.

    Raises:
        TypeError: no loader, or no integer.
        ValueError: no batch, or fewer than no epochs.
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
