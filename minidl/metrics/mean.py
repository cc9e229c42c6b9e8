"""The mean of a figure over samples, when it arrives as the means of batches of different sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from minidl.errors import StateDictError
from minidl.metrics.metric import State, expect_keys

__all__ = ["Mean"]


class Mean:
    """A weighted mean, Σ wᵢvᵢ / Σ wᵢ: of a loss, with the batch's size as its weight.

    Without the weights a last, smaller batch would count as much as a full one. A NaN stays a NaN.

    Args:
        name: what tables and histories call the figure.

    Raises:
        ValueError: from `update`, for a weight that is negative or not finite; from `compute`, before any
            weight above 0 came.
    """

    name: str

    def __init__(self, name: str = "loss") -> None:
        self.name = name
        self.reset()

    def reset(self) -> None:
        """Forget every value."""
        self._sum = 0.0
        self._weight = 0.0

    def update(self, value: float, weight: float = 1) -> None:
        """Take in a value, such as a batch's mean loss, that stands for `weight` samples."""
        if not (weight >= 0 and math.isfinite(weight)):
            raise ValueError(f"Mean: expected a finite weight of at least 0, got {weight}")
        if weight > 0:
            self._sum += float(value) * float(weight)
            self._weight += float(weight)

    def compute(self) -> float:
        """The mean over everything since the last reset."""
        if self._weight == 0:
            raise ValueError("Mean: expected an update with a weight above 0 before compute, got none")
        return self._sum / self._weight

    def state_dict(self) -> State:
        """The sums so far."""
        return {"sum": self._sum, "weight": self._weight}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` gave.

        Raises:
            StateDictError: the state is of something else; nothing changed.
        """
        expect_keys(self, state_dict, "sum", "weight")
        try:
            total, weight = float(state_dict["sum"]), float(state_dict["weight"])
        except (TypeError, ValueError) as error:
            raise StateDictError(f"Mean: expected numbers for sum and weight, got {state_dict}") from error
        if not (weight >= 0 and math.isfinite(weight)):
            raise StateDictError(f"Mean: expected a finite weight of at least 0, got {weight}")
        self._sum, self._weight = total, weight

    def __repr__(self) -> str:
        return f"Mean({self.name!r})"
