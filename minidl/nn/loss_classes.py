"""Losses of many classes: the target is the number of one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minidl import kernels
from minidl.array import Array, copied
from minidl.errors import DTypeError, ShapeError
from minidl.nn.loss import Loss, shown

__all__ = ["CrossEntropyLoss", "MultiMarginLoss", "NLLLoss"]


class _OfClasses(Loss):
    """A prediction with a number for every class, one decision after the other; a weight per class."""

    weight: Array | None

    def _decisions(self, prediction: Array) -> tuple[int, ...]:
        """The prediction's shape without its classes."""
        self.check_array(prediction, "prediction")
        if prediction.ndim == 0:
            raise ShapeError(f"{self.label()}: expected prediction (N, C, ...) or (C,), got ()")
        return () if prediction.ndim == 1 else (prediction.shape[0], *prediction.shape[2:])

    def _rows_and_labels(self, prediction: Array, target: Any) -> tuple[Array, Array]:
        """One row of C numbers and one class index per decision: (M, C) and (M,)."""
        decisions = self._decisions(prediction)
        self.check_array(target, "target", any_number=True)
        if target.shape != decisions:
            raise ShapeError(
                f"{self.label()}: expected target {decisions} for prediction {prediction.shape}, "
                f"got {target.shape}"
            )
        if target.dtype.kind not in "iu":
            raise DTypeError(f"{self.label()}: expected target of integer class indices, got {target.dtype}")
        return self._to_rows(prediction), target.reshape(-1)

    def _to_rows(self, x: Array) -> Array:
        """(N, C, d₁, …) → (N·d₁·…, C), and (C,) → (1, C)."""
        self.check_not_empty(x)
        if x.ndim == 2:
            return x
        return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1]) if x.ndim > 2 else x.reshape(1, -1)

    @staticmethod
    def _from_rows(dx: Array, shape: tuple[int, ...]) -> Array:
        """`_to_rows` backwards."""
        if len(shape) <= 2:
            return dx.reshape(shape)
        return np.moveaxis(dx.reshape(shape[0], *shape[2:], shape[1]), -1, 1).copy()  # (N, C, d₁, …)

    def _class_weights(self, x: Array) -> Array | None:
        """The weights (C,) in the dtype of the rows x."""
        if self.weight is None:
            return None
        if self.weight.shape != (x.shape[1],):
            raise ShapeError(f"{self.label()}: expected weight ({x.shape[1]},), got {self.weight.shape}")
        return self.weight.astype(x.dtype)


class CrossEntropyLoss(_OfClasses):
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
        weight = self._class_weights(x)
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
        return self._from_rows(dx, shape)

    def _rows(self, prediction: Array, target: Any) -> tuple[Array, Array]:
        """One row of C logits per decision, and one class index or row of probabilities; all checked."""
        self.check_array(target, "target", any_number=True)
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
        x = self._to_rows(prediction)
        if target.shape == decisions:
            return x, target.reshape(-1)
        if self.ignore_index >= 0:
            raise ValueError(
                f"{self.label()}: expected class indices as target with ignore_index "
                f"{self.ignore_index}, got probabilities, of which none can be ignored"
            )
        return x, self._to_rows(target).astype(x.dtype, copy=False)

    def extra_repr(self) -> str:
        return (
            f"weight={shown(self.weight)}, ignore_index={self.ignore_index}, reduction={self.reduction!r}, "
            f"label_smoothing={self.label_smoothing}"
        )


class NLLLoss(_OfClasses):
    """The negative log-likelihood of log-probabilities: `loss = mean −w_t x_t`, t the class that is right.

    After a `LogSoftmax` it is the `CrossEntropyLoss`. The mean divides by Σ w_t; ignored positions count for
    nothing.

    Shape:
        - prediction x (log-probabilities): (N, C), (N, C, d₁, …) or (C,)
        - target t: class indices (N,), (N, d₁, …) or ()
        - output: (), or the target's shape with `reduction="none"`

    Args:
        weight: w, one factor per class.
        ignore_index: class indices of this value are left out.
        reduction: `"mean"`, `"sum"` or `"none"`.

    Raises:
        ShapeError: shapes that do not belong together, or nothing to take the mean of.
        DTypeError: class indices that are no integers.
        ValueError: a class index outside 0 … C−1.
    """

    ignore_index: int

    def __init__(
        self, weight: ArrayLike | None = None, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        self._set_reduction(reduction)
        self.register_buffer("weight", None if weight is None else copied(weight))
        self.ignore_index = ignore_index

    def forward(self, prediction: Array, target: Array) -> Array:
        x, t = self._rows_and_labels(prediction, target)
        losses, w, wrong = kernels.nll(x, t, self._class_weights(x), self.ignore_index)
        if wrong:
            self.refuse(
                (t != self.ignore_index) & ((t < 0) | (t >= x.shape[1])),
                t,
                f"class indices from 0 to {x.shape[1] - 1} (or ignore_index {self.ignore_index})",
            )
        divisor = w.sum()
        loss = self._reduce(losses.reshape(target.shape), divisor)
        self.remember(t, w, divisor, prediction.shape, output=loss)
        return loss

    def backward(self, dloss: Array | float | None = None) -> Array:
        # dx = −w_t / Σ w_t at the class t, else 0
        dloss, t, w, divisor, shape = self.recall(dloss)
        dlosses = -w * self._share(dloss, divisor).reshape(-1)  # (M,)
        return self._from_rows(kernels.nll_input_grad(dlosses, t, shape[min(1, len(shape) - 1)]), shape)

    def extra_repr(self) -> str:
        weight = shown(self.weight)
        return f"weight={weight}, ignore_index={self.ignore_index}, reduction={self.reduction!r}"


class MultiMarginLoss(_OfClasses):
    """The right class should lead by a margin: `loss = mean w_t Σ_{i≠t} max(0, m − x_t + x_i)^p / C`.

    The hinge loss of many classes (Crammer & Singer 2001; the sum over i is Weston & Watkins 1999).

    Shape:
        - prediction x: (N, C) or (C,); target t: class indices (N,) or ()
        - output: (), or the target's shape with `reduction="none"`

    Args:
        p: the power, 1 or 2.
        margin: m.
        weight: w, one factor per class.
        reduction: `"mean"`, `"sum"` or `"none"`.

    Raises:
        ShapeError: shapes that do not belong together, or nothing to take the mean of.
        DTypeError: class indices that are no integers.
        ValueError: another power, or a class index outside 0 … C−1.
    """

    p: int
    margin: float

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: ArrayLike | None = None,
        reduction: str = "mean",
    ) -> None:
        self._set_reduction(reduction)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: expected a power p of 1 or 2, got {p}")
        self.p = p
        self.margin = float(margin)
        self.register_buffer("weight", None if weight is None else copied(weight))

    def forward(self, prediction: Array, target: Array) -> Array:
        x, t = self._rows_and_labels(prediction, target)
        if prediction.ndim > 2:
            raise ShapeError(f"{self.label()}: expected prediction (N, C) or (C,), got {prediction.shape}")
        self.refuse((t < 0) | (t >= x.shape[1]), t, f"class indices from 0 to {x.shape[1] - 1}")
        losses, dx = kernels.multi_margin(x, t, self._class_weights(x), self.p, self.margin)
        loss = self._reduce(losses.reshape(target.shape), len(x))
        self.remember(dx, prediction.shape, output=loss)
        return loss

    def backward(self, dloss: Array | float | None = None) -> Array:
        # dx_i = w_t p z_i^(p−1) / C where z_i > 0    dx_t = −Σ_{i≠t} dx_i, of which the kernel made all
        dloss, dx, shape = self.recall(dloss)
        share = self._share(dloss, len(dx))
        dx *= share.reshape(-1, 1) if share.ndim else share  # (M, 1), or a number
        return dx.reshape(shape)

    def extra_repr(self) -> str:
        weight = shown(self.weight)
        return f"p={self.p}, margin={self.margin}, weight={weight}, reduction={self.reduction!r}"
