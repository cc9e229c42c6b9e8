"""Averages of weights: the mean of many steps lies nearer to the middle of the valley than the last step."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from minidl.array import Array, Device, as_like, convert, destination, place_of
from minidl.nn import Module
from minidl.nn.batchnorm import _BatchNorm
from minidl.optim.lr_scheduler.base import LRScheduler, check_choice, check_whole
from minidl.optim.optimizer import Optimizer, check_number

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

AvgFn = Callable[[Array, Array, int], Array]
MultiAvgFn = Callable[[Sequence[Array], Sequence[Array], int], None]


# -------------------------------------------------------------------- how an average goes on


def get_ema_avg_fn(decay: float = 0.999) -> AvgFn:
    """The exponential moving average: `a ← β a + (1 − β) θ`.

    Args:
        decay: β, from 0 to 1: how slowly it forgets, about 1/(1 − β) updates.

    Returns:
        A function of the average, the new values and how many were averaged.

    Raises:
        ValueError: `decay` is outside.
    """
    check_number("get_ema_avg_fn", "decay", decay, at_least=0, at_most=1)
    return functools.partial(_ema, float(decay))


def get_swa_avg_fn() -> AvgFn:
    """The plain mean of all: `a ← a + (θ − a) / (n + 1)`, n of which were averaged before."""
    return _swa


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAvgFn:
    """As `get_ema_avg_fn`, for lists of arrays: the averages change in place."""
    return functools.partial(_for_all, get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> MultiAvgFn:
    """As `get_swa_avg_fn`, for lists of arrays: the averages change in place."""
    return functools.partial(_for_all, _swa)


def _ema(decay: float, average: Array, values: Array, n: int) -> Array:
    return decay * average + (1 - decay) * values


def _swa(average: Array, values: Array, n: int) -> Array:
    return average + (values - average) / (n + 1)


def _for_all(avg_fn: AvgFn, averages: Sequence[Array], values: Sequence[Array], n: int) -> None:
    for average, new in zip(averages, values, strict=True):
        _put(average, avg_fn(average, new, n))


def _put(target: Array, values: Array) -> None:
    target[...] = as_like(values, target)  # a count is cut off to a whole number, as in PyTorch


# -------------------------------------------------------------------- the model


class AveragedModel(Module):
    """A copy of a model whose parameters are an average over the steps that were shown to it.

    The plain mean, of models at the end of an epoch with a high rate (stochastic weight averaging): Izmailov
    et al. 2018, "Averaging weights leads to wider optima and better generalization". The exponential one,
    after every step: Polyak and Juditsky 1992; Tarvainen and Valpola 2017, "Mean teachers".

    ```python
    averaged = AveragedModel(model, avg_fn=get_ema_avg_fn(0.99))
    for x, t in loader:
        ...                                 # a step of the model
        averaged.update_parameters(model)
    update_bn(loader, averaged)             # batch norm's statistics of the averaged weights
    ```

    Args:
        model: what to average; it is copied.
        device: where the averages are kept; where the model is unless told.
        avg_fn: how an average goes on: of the average, the new values and how many were averaged; the plain
            mean unless told.
        multi_avg_fn: the same for lists of arrays, in place.
        use_buffers: average buffers too; else they are those of the last model.

    Raises:
        ValueError: both functions are given.
    """

    module: Module
    n_averaged: Array  # ()
    avg_fn: AvgFn | None
    multi_avg_fn: MultiAvgFn | None
    use_buffers: bool

    def __init__(
        self,
        model: Module,
        device: str | Device | None = None,
        avg_fn: AvgFn | None = None,
        multi_avg_fn: MultiAvgFn | None = None,
        use_buffers: bool = False,
    ) -> None:
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel: expected avg_fn or multi_avg_fn, got both")
        self.module = copy.deepcopy(model)
        self.module.forget()
        self.module.zero_grad()
        self.register_buffer("n_averaged", np.zeros((), np.int64))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers
        place: Any = place_of(next(self.module.parameters()).data) if device is None else device
        if place is not None:
            self.to(place)

    def forward(self, *inputs: Any) -> Any:
        return self.module(*inputs)

    def backward(self, dy: Any) -> Any:
        # The averaged model's own: dx, and gradients of its own parameters
        return self.module.backward(dy)

    def update_parameters(self, model: Module) -> None:
        """Take one more model into the average; the first is copied.

        Args:
            model: one with the same parameters and buffers.

        Raises:
            ValueError: they differ; then nothing was changed.
        """
        mine, theirs = _tensors(self.module), _tensors(model)
        for kind in (0, 1):
            if {k: v.shape for k, v in mine[kind].items()} != {k: v.shape for k, v in theirs[kind].items()}:
                raise ValueError(
                    "AveragedModel: expected a model with the parameters and buffers of the first, got others"
                )
        averages, new = list(mine[0].values()), list(theirs[0].values())
        last = dict(zip(map(id, mine[1].values()), theirs[1].values(), strict=True))
        if self.use_buffers:
            averages, new, last = [*averages, *mine[1].values()], [*new, *theirs[1].values()], {}
        new = [convert(values, place_of(average)) for values, average in zip(new, averages, strict=True)]
        n = int(self.n_averaged)
        if n == 0:
            for average, values in zip(averages, new, strict=True):
                _put(average, values)
        elif self.multi_avg_fn is not None:
            self.multi_avg_fn(averages, new, n)
        else:
            _for_all(self.avg_fn or _swa, averages, new, n)
        for target in mine[1].values():
            if id(target) in last:
                _put(target, last[id(target)])
        self.n_averaged[...] = n + 1

    def extra_repr(self) -> str:
        return f"n_averaged={int(self.n_averaged)}, use_buffers={self.use_buffers}"


def _tensors(model: Module) -> tuple[dict[str, Array], dict[str, Array]]:
    """A model's parameters and buffers by name."""
    return {name: p.data for name, p in model.named_parameters()}, dict(model.named_buffers())


def update_bn(loader: Iterable[Any], model: Module, device: str | Device | None = None) -> None:
    """Measure the running statistics of all batch norms anew: those of averaged weights are nobody's average.

    One pass over the data in training mode, the plain mean of all batches; afterwards every module is in the
    mode that it was in. A model without batch norms is left alone, and so is one that holds its statistics.

    Args:
        loader: batches, or tuples that begin with the model's input.
        model: whose statistics to measure.
        device: where to take the batches; as they are unless told.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    norms = [norm for norm in norms if not norm.holds_statistics]
    if not norms:
        return
    kept = [(module, module.training) for module in model.modules()]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        for name, start in (("running_mean", 0), ("running_var", 1), ("num_batches_tracked", 0)):
            getattr(norm, name)[...] = start
        norm.momentum = None  # the mean of all batches alike
    try:
        model.train()
        for batch in loader:
            x = batch[0] if isinstance(batch, tuple | list) else batch
            model(x if device is None else convert(x, destination(device)))
    finally:
        model.forget()
        for module, training in kept:
            module.training = training
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


# -------------------------------------------------------------------- the rate


class SWALR(LRScheduler):
    """Go over to the constant rate of stochastic weight averaging: high enough to walk about the valley.

    ```
    lr(t) = (1 − α) base_lr + α swa_lr     α = (1 − cos πτ) / 2, or τ;  τ = min(1, t / anneal_epochs)
    ```

    It is computed from the rate of the epoch before, so that a change by somebody else stays; t counts from
    where this schedule began.

    Args:
        optimizer: whose rates to set.
        swa_lr: the rate to end with, one for all groups or a list with one for each.
        anneal_epochs: how many epochs the way takes.
        anneal_strategy: `"cos"` or `"linear"`.
        last_epoch: see `LRScheduler`.

    Raises:
        ValueError: `swa_lr` or `anneal_epochs` below 0, or an unknown strategy.
    """

    swa_lr: list[float]
    anneal_epochs: int
    anneal_strategy: str
    first_epoch: int  # with which it began

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        self.swa_lr = self._per_group(optimizer, "swa_lr", swa_lr)
        self.anneal_epochs = anneal_epochs
        self.anneal_strategy = anneal_strategy
        self.first_epoch = last_epoch + 1
        self.check_options(vars(self))
        super().__init__(optimizer, last_epoch)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_whole(self._name, "anneal_epochs", options["anneal_epochs"], at_least=0)
        check_whole(self._name, "first_epoch", options["first_epoch"], at_least=0)
        check_choice(self._name, "anneal_strategy", options["anneal_strategy"], ("cos", "linear"))
        if not isinstance(options["swa_lr"], list | tuple):
            raise TypeError(f"{self._name}: expected swa_lr to be a list, got {options['swa_lr']!r}")
        for rate in options["swa_lr"]:
            check_number(self._name, "swa_lr", rate, at_least=0)

    def first_lr(self) -> list[float]:
        return self.get_lr()

    def get_lr(self) -> list[float]:
        t = self.last_epoch - self.first_epoch
        if self.anneal_epochs == 0:
            t = max(1, t)
        before, now = self._share(t - 1), self._share(t)
        rates = []
        for lr, goal in zip(self.current_lr(), self.swa_lr, strict=True):
            start = goal if before == 1 else (lr - before * goal) / (1 - before)
            rates.append(goal * now + start * (1 - now))
        return rates

    def _share(self, t: int) -> float:
        """α after t epochs: how much of the rate is `swa_lr`."""
        part = max(0.0, min(1.0, t / max(1, self.anneal_epochs)))
        return part if self.anneal_strategy == "linear" else (1 - math.cos(math.pi * part)) / 2
