"""What all losses share: one number says how wrong a prediction is, its gradient how to mend it."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from minidl.array import Array, anywhere, to_host
from minidl.errors import ShapeError
from minidl.nn.module import Module

__all__ = ["Loss", "shown"]


ONE = np.ones((), np.float32)
LEAST = 1e-30
"""In place of a divisor that only the device knows to be 0: all is ignored then, all gradients are 0."""


class Loss(Module):
    """A module of two inputs: `loss = criterion(prediction, target)`, `criterion.backward()`."""

    reduction: str  # mean, sum or none
    _reductions: ClassVar[tuple[str, ...]] = ("mean", "sum", "none")
    _first_input_only: ClassVar = True

    def _set_reduction(self, reduction: str) -> None:
        if reduction not in self._reductions:
            *names, last = map(repr, self._reductions)
            expected = f"{', '.join(names)} or {last}"
            raise ValueError(f"{type(self).__name__}: expected reduction {expected}, got {reduction!r}")
        self.reduction = reduction

    @property
    def summed(self) -> bool:
        """Whether kernels should add the losses up."""
        return self.reduction != "none"

    def _reduce(self, losses: Array, divisor: Any) -> Array:
        """All losses, their sum, or their sum over `divisor`; of losses that may be summed already."""
        if self.reduction == "none":
            return losses
        total: Array = losses.sum()
        if self.reduction == "sum":
            return total
        if isinstance(divisor, float | int | np.floating) and divisor == 0:  # Python raises, NumPy warns
            return total * math.nan  # all are ignored: NaN, as in PyTorch
        return total / divisor

    def _share(self, dloss: Any, divisor: Any) -> Any:
        """The gradient that reaches each single loss: `_reduce` backwards."""
        if self.reduction in ("sum", "none"):
            return dloss
        if isinstance(divisor, float | int | np.floating):
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

    def backward(self, dloss: Array | float | None = None) -> Any:
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
        if prediction.size == 0 and self.reduction not in ("sum", "none"):
            raise ShapeError(
                f"{self.label()}: expected a prediction to take the mean of, got {prediction.shape}"
            )

    def check_signs(self, target: Array) -> None:
        """Refuse targets other than 1 and −1.

        Raises:
            ValueError: it names the first one.
        """
        self.refuse((target != 1) & (target != -1), target, "targets of 1 or -1")

    def refuse(self, wrong: Array, values: Array, expected: str) -> None:
        """Refuse values that are wrong somewhere.

        Raises:
            ValueError: it says what was expected, and names the first wrong value and its place.
        """
        if anywhere(wrong):
            place = int(wrong.reshape(-1).argmax())
            value = values.reshape(-1)[place].item()
            raise ValueError(f"{self.label()}: expected {expected}, got {value} at position {place}")

    def factor(self, name: str, x: Array) -> Array | None:
        """The weights of this name in x's dtype, or None.

        Raises:
            ShapeError: they do not broadcast to x.
        """
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
        return f"reduction={self.reduction!r}"


def shown(weight: Array | None) -> str:
    """A weight as `repr` has it."""
    return "None" if weight is None else np.array2string(to_host(weight), separator=", ", threshold=8)
