"""Losses: one number that says how wrong a prediction is, and the gradient that says how to mend it."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from minidl import kernels
from minidl.array import Array, copied, to_host
from minidl.errors import DTypeError, ShapeError
from minidl.nn.module import Module

__all__ = ["BCEWithLogitsLoss", "CrossEntropyLoss", "MSELoss"]


ONE = np.ones((), np.float32)
LEAST = 1e-30
"""In place of a divisor that only the device knows to be 0: all is ignored then, all gradients are 0."""


class _Loss(Module):
    """A module of two inputs: `loss = criterion(prediction, target)`, `criterion.backward()`."""

    reduction: str  # mean, sum or none
    _first_input_only: ClassVar = True

    def _set_reduction(self, reduction: str) -> None:
        if reduction not in ("mean", "sum", "none"):
            name = type(self).__name__
            raise ValueError(f"{name}: expected reduction 'mean', 'sum' or 'none', got {reduction!r}")
        self.reduction = reduction

    def _reduce(self, losses: Array, divisor: Any) -> Array:
        """All losses, their sum, or their sum over `divisor`."""
        if self.reduction == "none":
            return losses
        total: Array = losses.sum()
        if self.reduction == "sum":
            return total
        if isinstance(divisor, float | int) and divisor == 0:  # Python raises where an array gives NaN
            return total * math.nan  # all are ignored: NaN, as in PyTorch
        return total / divisor

    def _share(self, dloss: Any, divisor: Any) -> Any:
        """The gradient that reaches each single loss: `_reduce` backwards."""
        if self.reduction != "mean":
            return dloss
        if isinstance(divisor, float | int):
            return dloss / divisor if divisor != 0 else 0 * dloss  # of nothing, nothing has a share
        return dloss / np.maximum(divisor, LEAST)

    def recall(self, dloss: Array | float | None = None) -> tuple[Any, ...]:
        """As `Module.recall`; without an upstream gradient it is 1, for a loss is where backward starts."""
        given: Any = ONE if dloss is None else dloss
        if dloss is None and self._memory is not None:  # one number stands for all single losses' gradients
            self._memory = self._memory._replace(shape=())
        if not hasattr(given, "__array_function__"):
            given = np.asarray(given)
        upstream, *saved = super().recall(given)
        return upstream[()], *saved  # a number, if it has no dimensions: arithmetic with it takes less time

    def backward(self, dloss: Array | float | None = None) -> Array:
        """The gradient of the prediction, of its shape.

        Args:
            dloss: the upstream gradient, of the loss's shape; 1 unless told.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define backward()")

    def check_same_shape(self, prediction: Array, target: Any) -> Array:
        """The target in the prediction's dtype; refuse one of another shape, which would broadcast.

        Raises:
            ShapeError: the shapes differ, or there is nothing to take the mean of.
            DTypeError: either is no array of numbers.
        """
        self.check_array(prediction, "prediction")
        self.check_array(target, "target", any_number=True)
        if prediction.shape != target.shape:
            raise ShapeError(
                f"{self.label()}: expected a target of the prediction's shape {prediction.shape}, "
                f"got {target.shape}"
            )
        self.check_not_empty(prediction)
        return target.astype(prediction.dtype, copy=False)

    def check_not_empty(self, prediction: Array) -> None:
        """Refuse the mean of nothing.

        Raises:
            ShapeError: the prediction is empty and the reduction is the mean.
        """
        if prediction.size == 0 and self.reduction == "mean":
            raise ShapeError(
                f"{self.label()}: expected a prediction to take the mean of, got {prediction.shape}"
            )

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"


class MSELoss(_Loss):
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


class BCEWithLogitsLoss(_Loss):
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
        w, v = (self._factor(name, prediction) for name in ("weight", "pos_weight"))
        losses, dx = kernels.cross_entropy_with_logits(prediction, t, w, v)
        loss = self._reduce(losses, losses.size)
        self.remember(dx, output=loss)
        return loss

    def backward(self, dloss: Array | float | None = None) -> Array:
        # dx = w [ (1 − t) + ((v − 1) t + 1) (σ − 1) ] / n, which is (σ − t) / n without weights
        dloss, dx = self.recall(dloss)
        dx *= self._share(dloss, dx.size)
        return dx

    def _factor(self, name: str, x: Array) -> Array | None:
        factor: Array | None = getattr(self, name)
        if factor is None:
            return None
        try:
            fits = np.broadcast_shapes(factor.shape, x.shape) == x.shape
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(f"{self.label()}: expected {name} to broadcast to {x.shape}, got {factor.shape}")
        return factor.astype(x.dtype)

    def extra_repr(self) -> str:
        weight, pos_weight = self.weight, self.pos_weight
        return f"weight={_shown(weight)}, reduction={self.reduction!r}, pos_weight={_shown(pos_weight)}"


class CrossEntropyLoss(_Loss):
    """Softmax and negative log-likelihood in one: `loss = mean −Σ_c q_c log softmax(x)_c`.

    q is the distribution that the prediction should have. For a class index t it is 1 at t and 0
    elsewhere; label smoothing ε takes (1 − ε) q + ε/C instead (Szegedy et al. 2016); class weights w
    multiply it. The gradient is the difference of two distributions, softmax(x) − q.

    The mean over class indices divides by Σ w_t, as PyTorch does; ignored positions count for nothing.

    Shape:
        - prediction x (logits): (N, C), (N, C, d₁, …) or (C,)
        - target t: class indices (N,), (N, d₁, …) or (), or probabilities of the prediction's shape
        - output: (), or the shape of the class indices with `reduction="none"`

    Args:
        weight: w, one factor per class.
        ignore_index: class indices of this value are left out.
        reduction: `"mean"`, `"sum"` or `"none"`.
        label_smoothing: ε, from 0 to 1.

    Raises:
        ShapeError: shapes that do not belong together, or nothing to take the mean of.
        DTypeError: class indices that are no integers.
        ValueError: a class index outside 0 … C−1.
    """

    weight: Array | None
    ignore_index: int
    label_smoothing: float

    def __init__(
        self,
        weight: ArrayLike | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self._set_reduction(reduction)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(
                f"CrossEntropyLoss: expected label_smoothing between 0 and 1, got {label_smoothing}"
            )
        self.register_buffer("weight", None if weight is None else copied(weight))
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, prediction: Array, target: Array) -> Array:
        x, t = self._rows(prediction, target)  # (M, C), one row per decision; (M,) or (M, C)
        weight = None if self.weight is None else self.weight.astype(x.dtype)
        losses, dx, divisor = kernels.cross_entropy(x, t, weight, self.ignore_index, self.label_smoothing)
        if prediction.ndim != 2:
            losses = losses.reshape(self._decisions(prediction))
        loss = self._reduce(losses, divisor)
        self.remember(dx, divisor, prediction.shape, output=loss)
        return loss

    def backward(self, dloss: Array | float | None = None) -> Array:
        # dx = (softmax(x) · Σ_c q_c − q) / divisor, of which the kernel made all but the divisor
        dloss, dx, divisor, shape = self.recall(dloss)
        share = self._share(dloss, divisor)
        dx *= share.reshape(-1, 1) if share.ndim else share  # (M, 1), or a number
        if len(shape) <= 2:
            return dx.reshape(shape)
        return np.moveaxis(dx.reshape(shape[0], *shape[2:], shape[1]), -1, 1).copy()  # (N, C, d₁, …)

    @staticmethod
    def _decisions(prediction: Array) -> tuple[int, ...]:
        """The prediction's shape without its classes."""
        return () if prediction.ndim == 1 else (prediction.shape[0], *prediction.shape[2:])

    def _rows(self, prediction: Array, target: Any) -> tuple[Array, Array]:
        """One row of C logits per decision, and one class index or row of probabilities; all checked."""
        self.check_array(prediction, "prediction")
        self.check_array(target, "target", any_number=True)
        if prediction.ndim == 0:
            raise ShapeError(f"{self.label()}: expected prediction (N, C, ...) or (C,), got ()")
        decisions = self._decisions(prediction)
        if target.shape not in (decisions, prediction.shape):
            raise ShapeError(
                f"{self.label()}: expected target {decisions} of class indices or {prediction.shape} of "
                f"probabilities for prediction {prediction.shape}, got {target.shape}"
            )
        if target.shape == decisions and target.dtype.kind not in "iu":
            raise DTypeError(f"{self.label()}: expected target of integer class indices, got {target.dtype}")
        if target.shape == prediction.shape and target.dtype.kind != "f":
            raise DTypeError(f"{self.label()}: expected target of floating probabilities, got {target.dtype}")
        self.check_not_empty(prediction)
        x = _to_rows(prediction)
        if self.weight is not None and self.weight.shape != (x.shape[1],):
            raise ShapeError(f"{self.label()}: expected weight ({x.shape[1]},), got {self.weight.shape}")
        if target.shape == decisions:
            return x, target.reshape(-1)
        if self.ignore_index >= 0:
            raise ValueError(
                f"{self.label()}: expected class indices as target with ignore_index "
                f"{self.ignore_index}, got probabilities, of which none can be ignored"
            )
        return x, _to_rows(target).astype(x.dtype, copy=False)

    def extra_repr(self) -> str:
        return (
            f"weight={_shown(self.weight)}, ignore_index={self.ignore_index}, reduction={self.reduction!r}, "
            f"label_smoothing={self.label_smoothing}"
        )


def _to_rows(x: Array) -> Array:
    """(N, C, d₁, …) → (N·d₁·…, C), and (C,) → (1, C)."""
    if x.ndim == 2:
        return x
    return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1]) if x.ndim > 2 else x.reshape(1, -1)


def _shown(weight: Array | None) -> str:
    return "None" if weight is None else np.array2string(to_host(weight), separator=", ", threshold=8)
