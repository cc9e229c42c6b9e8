"""Losses of distributions: how far a predicted one is from the true one."""

from __future__ import annotations

from typing import ClassVar

from minidl import kernels
from minidl.array import Array
from minidl.nn.loss import Loss

__all__ = ["KLDivLoss", "PoissonNLLLoss"]


class KLDivLoss(Loss):
    """The Kullback-Leibler divergence from log-probabilities: `loss = mean t (log t − x)`, where 0 log 0 = 0.

    The divergence is a sum over a distribution, so its mean over a batch is `reduction="batchmean"`; "mean",
    as in PyTorch, divides by the number of all numbers.

    Shape:
        - prediction x (log-probabilities): any; target t: the same
        - output: (), or the prediction's shape with `reduction="none"`

    Args:
        reduction: `"mean"`, `"batchmean"`, `"sum"` or `"none"`.
        log_target: the target is log t: `loss = mean eᵗ (t − x)`.

    Raises:
        ShapeError: the target has another shape, or there is nothing to take the mean of.
        ValueError: a target below 0 that is no logarithm.
    """

    log_target: bool
    _reductions: ClassVar = ("mean", "batchmean", "sum", "none")

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        self._set_reduction(reduction)
        self.log_target = log_target

    def forward(self, prediction: Array, target: Array) -> Array:
        t = self.check_same_shape(prediction, target)
        losses, slope, wrong = kernels.kl_divergence(prediction, t, self.log_target, self.summed)
        if wrong:
            self.refuse(t < 0, t, "target probabilities of 0 or above")
        divisor = t.shape[0] if self.reduction == "batchmean" and t.ndim else t.size
        loss = self._reduce(losses, divisor)
        self.remember(slope, divisor, output=loss)
        return loss

    def backward(self, dloss: Array | float | None = None) -> Array:
        # dx = −t / n, or −eᵗ / n
        dloss, slope, divisor = self.recall(dloss)
        slope *= self._share(dloss, divisor)
        return slope

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}, log_target={self.log_target}"


class PoissonNLLLoss(Loss):
    """The negative log-likelihood of counts: `loss = mean eˣ − t x`, where x = log λ and t ~ Poisson(λ).

    The term `log t!` says nothing about x and is left out unless asked for; Stirling's approximation of it
    is `t log t − t + ½ log(2πt)`, for t above 1.

    Shape:
        - prediction x: any; target t: the same, 0 or above
        - output: (), or the prediction's shape with `reduction="none"`

    Args:
        log_input: False: the prediction is λ itself, and `loss = mean λ − t log(λ + ε)`.
        full: True adds Stirling's term.
        eps: ε, so that there is no logarithm of 0.
        reduction: `"mean"`, `"sum"` or `"none"`.

    Raises:
        ShapeError: the target has another shape, or there is nothing to take the mean of.
        ValueError: a target below 0.
    """

    log_input: bool
    full: bool
    eps: float

    def __init__(
        self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean"
    ) -> None:
        self._set_reduction(reduction)
        self.log_input = log_input
        self.full = full
        self.eps = float(eps)

    def forward(self, prediction: Array, target: Array) -> Array:
        t = self.check_same_shape(prediction, target)
        losses, slope, wrong = kernels.poisson_nll(
            prediction, t, self.log_input, self.full, self.eps, self.summed
        )
        if wrong:
            self.refuse(t < 0, t, "target counts of 0 or above")
        loss = self._reduce(losses, slope.size)
        self.remember(slope, output=loss)
        return loss

    def backward(self, dloss: Array | float | None = None) -> Array:
        # dx = (eˣ − t) / n, or dλ = (1 − t / (λ + ε)) / n
        dloss, slope = self.recall(dloss)
        slope *= self._share(dloss, slope.size)
        return slope

    def extra_repr(self) -> str:
        return f"log_input={self.log_input}, full={self.full}, eps={self.eps}, reduction={self.reduction!r}"
