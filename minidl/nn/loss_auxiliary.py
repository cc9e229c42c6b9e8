"""The loss of a network with several heads: a deep one is also told halfway what it should have said."""

from __future__ import annotations

import copy
import math
import numbers
from collections.abc import Sequence
from typing import Any

from minidl.array import Array
from minidl.errors import ShapeError
from minidl.nn.containers import ModuleList
from minidl.nn.loss import Loss
from minidl.nn.module import Module

__all__ = ["AuxiliaryLoss"]


class AuxiliaryLoss(Loss):
    """One loss of several outputs and one target: `loss = ℓ(y₀, t) + w₁ ℓ(y₁, t) + … + wₘ ℓ(yₘ, t)`.

    y₀ is the network's answer. Its auxiliary heads' y₁ … yₘ count with weights, so that gradients reach the
    middle of the network on a shorter way; GoogLeNet's two count 0.3 each (Szegedy et al. 2014, section 5).
    Of one output alone, as the network gives in evaluation, it is ℓ(y₀, t).

    ```python
    trainer = Trainer(GoogLeNet(10), nn.AuxiliaryLoss(nn.CrossEntropyLoss()), optimizer, [Accuracy()])
    ```

    Shape:
        - prediction: an array, or a tuple of 1 + m of them, y₀ first, each as the criterion takes it
        - target: as the criterion takes it
        - output: as the criterion's; `backward` gives an array, or a tuple of 1 + m gradients in that order

    Args:
        criterion: ℓ. Each auxiliary output has a copy of its own, since a loss remembers only one forward.
        weights: w₁ … wₘ.

    Raises:
        TypeError: the criterion is no Module, or the weights are no sequence of numbers.
        ValueError: a weight is negative or not finite.
        ShapeError: a tuple of another number of outputs.
    """

    weights: tuple[float, ...]
    criterion: Module
    auxiliary: ModuleList

    def __init__(self, criterion: Module, weights: Sequence[float] = (0.3, 0.3)) -> None:
        if not isinstance(criterion, Module):
            raise TypeError(f"AuxiliaryLoss: expected criterion to be a Module, got {criterion!r}")
        if not isinstance(weights, Sequence) or not all(isinstance(w, numbers.Real) for w in weights):
            raise TypeError(
                f"AuxiliaryLoss: expected weights to be numbers, one per auxiliary output, got {weights!r}"
            )
        if not all(0 <= weight < math.inf for weight in weights):
            raise ValueError(
                f"AuxiliaryLoss: expected weights to be finite and at least 0, got {tuple(weights)}"
            )
        self.weights = tuple(float(weight) for weight in weights)
        self.reduction = getattr(criterion, "reduction", "mean")
        self.criterion = criterion
        self.auxiliary = ModuleList(copy.deepcopy(criterion) for _ in weights)

    def forward(self, prediction: Array | tuple[Array, ...], target: Array) -> Array:
        several = isinstance(prediction, tuple)
        outputs = prediction if several else (prediction,)
        if several and len(outputs) != 1 + len(self.weights):
            raise ShapeError(
                f"AuxiliaryLoss: expected {1 + len(self.weights)} outputs, or one that is no tuple, "
                f"got {len(outputs)}"
            )
        loss: Array = self.criterion(outputs[0], target)
        for weight, criterion, output in zip(self.weights, self.auxiliary, outputs[1:], strict=several):
            loss = loss + weight * criterion(output, target)
        self.remember(several, output=loss)
        return loss

    def backward(self, dloss: Array | float | None = None) -> Any:
        # dy₀ = ∂ℓ(y₀, t)/∂y₀ dloss   dyᵢ = wᵢ ∂ℓ(yᵢ, t)/∂yᵢ dloss
        _, several = self.recall(dloss)
        dy = self.criterion.backward(dloss)
        if not several:
            return dy
        pairs = zip(self.weights, self.auxiliary, strict=True)
        return dy, *(weight * criterion.backward(dloss) for weight, criterion in pairs)

    def extra_repr(self) -> str:
        return f"weights={self.weights}"
