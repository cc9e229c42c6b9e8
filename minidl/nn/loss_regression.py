"""Losses of numbers that should come near to others: regression."""

from __future__ import annotations

from minidl import kernels
from minidl.array import Array
from minidl.nn.loss import Loss

__all__ = ["HuberLoss", "L1Loss", "MSELoss", "SmoothL1Loss"]


class MSELoss(Loss):
    """The mean squared error: `loss = mean (p − t)²`.

    Shape:
        - prediction p: any; target t: the same
        - output: (), or the prediction's shape with `reduction="none"`

    Args:
        reduction: `"mean"`, `"sum"` or `"none"`.

    Raises:
        ShapeError: the target has another shape (PyTorch would broadcast it, with a warning), or there is
            nothing to take the mean of.
    """

    def __init__(self, reduction: str = "mean") -> None:
        self._set_reduction(reduction)

    def forward(self, prediction: Array, target: Array) -> Array:
        error, total = kernels.squared_error(prediction, self.check_same_shape(prediction, target))
        loss = error * error if self.reduction == "none" else self._reduce(total, error.size)
        self.remember(error, output=loss)
        return loss

    def backward(self, dloss: Array | float | None = None) -> Array:
        # dp = 2 (p − t) / n
        dloss, error = self.recall(dloss)
        error *= 2 * self._share(dloss, error.size)
        return error


class L1Loss(Loss):
    """The mean absolute error: `loss = mean |p − t|`. Where p = t, the slope is 0, as in PyTorch.

    Shape:
        - prediction p: any; target t: the same
        - output: (), or the prediction's shape with `reduction="none"`

    Args:
        reduction: `"mean"`, `"sum"` or `"none"`.

    Raises:
        ShapeError: the target has another shape, or there is nothing to take the mean of.
    """

    def __init__(self, reduction: str = "mean") -> None:
        self._set_reduction(reduction)

    def forward(self, prediction: Array, target: Array) -> Array:
        t = self.check_same_shape(prediction, target)
        losses, slope = kernels.absolute_error(prediction, t, self.summed)
        loss = self._reduce(losses, slope.size)
        self.remember(slope, output=loss)
        return loss

    def backward(self, dloss: Array | float | None = None) -> Array:
        # dp = sign(p − t) / n
        dloss, slope = self.recall(dloss)
        slope *= self._share(dloss, slope.size)
        return slope


class HuberLoss(Loss):
    """Squares of small errors, straight lines of large ones (Huber 1964), so that outliers pull less.

    With e = p − t: `loss = mean ½ e²` where |e| ≤ δ, else `δ (|e| − ½ δ)`. Both are `c (e − ½ c)` with
    `c = min(max(e, −δ), δ)`, and c is the slope.

    Shape:
        - prediction p: any; target t: the same
        - output: (), or the prediction's shape with `reduction="none"`

    Args:
        reduction: `"mean"`, `"sum"` or `"none"`.
        delta: δ > 0.

    Raises:
        ShapeError: the target has another shape, or there is nothing to take the mean of.
        ValueError: δ is not above 0.
    """

    delta: float

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        self._set_reduction(reduction)
        if not delta > 0:
            raise ValueError(f"HuberLoss: expected delta above 0, got {delta}")
        self.delta = float(delta)

    def forward(self, prediction: Array, target: Array) -> Array:
        t = self.check_same_shape(prediction, target)
        losses, slope = kernels.clipped_error(prediction, t, self.delta, 1.0, self.summed)
        loss = self._reduce(losses, slope.size)
        self.remember(slope, output=loss)
        return loss

    def backward(self, dloss: Array | float | None = None) -> Array:
        # dp = c / n
        dloss, slope = self.recall(dloss)
        slope *= self._share(dloss, slope.size)
        return slope

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}, delta={self.delta}"


class SmoothL1Loss(Loss):
    """The absolute error with its corner rounded (Girshick 2015): the Huber loss divided by its δ, here β.

    With e = p − t: `loss = mean ½ e² / β` where |e| < β, else `|e| − ½ β`. With β = 0 it is the `L1Loss`.

    Shape:
        - prediction p: any; target t: the same
        - output: (), or the prediction's shape with `reduction="none"`

    Args:
        reduction: `"mean"`, `"sum"` or `"none"`.
        beta: β ≥ 0.

    Raises:
        ShapeError: the target has another shape, or there is nothing to take the mean of.
        ValueError: β is below 0.
    """

    beta: float

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        self._set_reduction(reduction)
        if not beta >= 0:
            raise ValueError(f"SmoothL1Loss: expected beta of 0 or above, got {beta}")
        self.beta = float(beta)

    def forward(self, prediction: Array, target: Array) -> Array:
        t = self.check_same_shape(prediction, target)
        if self.beta:
            losses, slope = kernels.clipped_error(prediction, t, self.beta, self.beta, self.summed)
        else:
            losses, slope = kernels.absolute_error(prediction, t, self.summed)
        loss = self._reduce(losses, slope.size)
        self.remember(slope, output=loss)
        return loss

    def backward(self, dloss: Array | float | None = None) -> Array:
        # dp = min(max(e, −β), β) / β / n
        dloss, slope = self.recall(dloss)
        slope *= self._share(dloss, slope.size)
        return slope

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}, beta={self.beta}"
