"""Losses of two classes: targets of 0 or 1, or of −1 or 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidl import kernels
from minidl.array import Array, copied
from minidl.nn.loss import Loss, shown

__all__ = ["BCELoss", "BCEWithLogitsLoss", "HingeEmbeddingLoss", "SoftMarginLoss"]


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of logits: `loss = mean −w [ v t log σ(x) + (1 − t) log(1 − σ(x)) ]`.

    The sigmoid σ is inside the loss, since `log σ(x) = −log(1 + e⁻ˣ)` can then be computed without
    overflow: `log(1 + e⁻ˣ) = max(−x, 0) + log(1 + e^(−|x|))`.

    Shape:
        - prediction x (logits): any; target t: the same, between 0 and 1
        - output: (), or the prediction's shape with `reduction="none"`

    Args:
        weight: w, a factor for each number, broadcast to the prediction's shape.
        reduction: `"mean"`, `"sum"` or `"none"`.
        pos_weight: v, a factor for the positive examples, broadcast likewise.

    Raises:
        ShapeError: the target has another shape, a weight does not broadcast, or there is nothing to take
            the mean of.
        ValueError: a target outside 0 … 1.
    """

    weight: Array | None
    pos_weight: Array | None

    def __init__(
        self,
        weight: ArrayLike | None = None,
        reduction: str = "mean",
        pos_weight: ArrayLike | None = None,
    ) -> None:
        self._set_reduction(reduction)
        self.register_buffer("weight", None if weight is None else copied(weight))
        self.register_buffer("pos_weight", None if pos_weight is None else copied(pos_weight))

    def forward(self, prediction: Array, target: Array) -> Array:
        t = self.check_same_shape(prediction, target)
        w, v = (self.factor(name, prediction) for name in ("weight", "pos_weight"))
        losses, dx = kernels.cross_entropy_with_logits(prediction, t, w, v)
        loss = self._reduce(losses, losses.size)
        self.remember(dx, output=loss)
        return loss

    def backward(self, dloss: Array | float | None = None) -> Array:
        # dx = w [ (1 − t) + ((v − 1) t + 1) (σ − 1) ] / n, which is (σ − t) / n without weights
        dloss, dx = self.recall(dloss)
        dx *= self._share(dloss, dx.size)
        return dx

    def extra_repr(self) -> str:
        weight, pos_weight = self.weight, self.pos_weight
        return f"weight={shown(weight)}, reduction={self.reduction!r}, pos_weight={shown(pos_weight)}"


class BCELoss(Loss):
    """Binary cross-entropy of probabilities: `loss = mean −w [ t log p + (1 − t) log(1 − p) ]`.

    As in PyTorch, a logarithm is never below −100, and the gradient's divisor p (1 − p) never below 10⁻¹².
    `BCEWithLogitsLoss` takes what comes before the sigmoid, and needs neither.

    Shape:
        - prediction p (probabilities): any; target t: the same, between 0 and 1
        - output: (), or the prediction's shape with `reduction="none"`

    Args:
        weight: w, a factor for each number, broadcast to the prediction's shape.
        reduction: `"mean"`, `"sum"` or `"none"`.

    Raises:
        ShapeError: the target has another shape, the weight does not broadcast, or there is nothing to
            take the mean of.
        ValueError: a prediction or a target outside 0 … 1.
    """

    weight: Array | None

    def __init__(self, weight: ArrayLike | None = None, reduction: str = "mean") -> None:
        self._set_reduction(reduction)
        self.register_buffer("weight", None if weight is None else copied(weight))

    def forward(self, prediction: Array, target: Array) -> Array:
        p, t = prediction, self.check_same_shape(prediction, target)
        w = self.factor("weight", p)
        losses, slope, wrong = kernels.binary_cross_entropy(p, t, w, self.summed)
        if wrong:
            self.refuse((p < 0) | (p > 1), p, "predictions between 0 and 1")
            self.refuse((t < 0) | (t > 1), t, "targets between 0 and 1")
        loss = self._reduce(losses, p.size)
        self.remember(slope, output=loss)
        return loss

    def backward(self, dloss: Array | float | None = None) -> Array:
        # dp = w (p − t) / (p (1 − p)) / n
        dloss, slope = self.recall(dloss)
        slope *= self._share(dloss, slope.size)
        return slope

    def extra_repr(self) -> str:
        return f"weight={shown(self.weight)}, reduction={self.reduction!r}"


class SoftMarginLoss(Loss):
    """The logistic loss of targets ±1: `loss = mean log(1 + e^(−t x))`.

    Computed as `max(−t x, 0) + log(1 + e^(−|t x|))`, which never overflows.

    Shape:
        - prediction x: any; target t: the same, of 1 and −1
        - output: (), or the prediction's shape with `reduction="none"`

    Args:
        reduction: `"mean"`, `"sum"` or `"none"`.

    Raises:
        ShapeError: the target has another shape, or there is nothing to take the mean of.
        ValueError: a target other than 1 and −1.
    """

    def __init__(self, reduction: str = "mean") -> None:
        self._set_reduction(reduction)

    def forward(self, prediction: Array, target: Array) -> Array:
        t = self.check_same_shape(prediction, target)
        losses, slope, wrong = kernels.soft_margin(prediction, t, self.summed)
        if wrong:
            self.check_signs(t)
        loss = self._reduce(losses, slope.size)
        self.remember(slope, output=loss)
        return loss

    def backward(self, dloss: Array | float | None = None) -> Array:
        # dx = −t σ(−t x) / n
        dloss, slope = self.recall(dloss)
        slope *= self._share(dloss, slope.size)
        return slope


class HingeEmbeddingLoss(Loss):
    """Distances should be small between like pairs, else at least the margin (Hadsell et al. 2006).

    `loss = mean x` where t = 1, `max(0, m − x)` where t = −1. At x = m the slope is −1, as in PyTorch.

    Shape:
        - prediction x: any; target t: the same, of 1 and −1
        - output: (), or the prediction's shape with `reduction="none"`

    Args:
        margin: m.
        reduction: `"mean"`, `"sum"` or `"none"`.

    Raises:
        ShapeError: the target has another shape, or there is nothing to take the mean of.
        ValueError: a target other than 1 and −1.
    """

    margin: float

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        self._set_reduction(reduction)
        self.margin = float(margin)

    def forward(self, prediction: Array, target: Array) -> Array:
        t = self.check_same_shape(prediction, target)
        self.check_signs(t)
        missing = self.margin - prediction
        loss = self._reduce(np.where(t == 1, prediction, np.maximum(missing, 0)), t.size)
        self.remember((t == 1) | (missing >= 0), t, output=loss)
        return loss

    def backward(self, dloss: Array | float | None = None) -> Array:
        # dx = 1 / n where t = 1; −1 / n where t = −1 and x ≤ m, else 0
        dloss, counts, t = self.recall(dloss)
        return np.where(counts, t, 0) * self._share(dloss, t.size)

    def extra_repr(self) -> str:
        return f"margin={self.margin}, reduction={self.reduction!r}"
