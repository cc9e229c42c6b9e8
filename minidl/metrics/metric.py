"""What a streaming metric is: something that takes batches and knows the figure for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from minidl.errors import StateDictError

__all__ = ["Metric", "State", "expect_keys"]

State = dict[str, Any]


class Metric(Protocol):
    """What the trainer asks of a metric; anything that has these can be given to it.

    However the samples are cut into batches, `compute` gives what it would give for all in one batch.

    Attributes:
        name: what tables and histories call the figure.
    """

    name: str

    def update(self, prediction: NDArray[Any], target: NDArray[Any], /) -> None:
        """Take in one batch."""

    def compute(self) -> Any:
        """The figure for every batch since the last reset."""

    def reset(self) -> None:
        """Forget every batch."""

    def state_dict(self) -> State:
        """What was taken in so far, as numbers and arrays."""

    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> None:
        """Go on from a state that `state_dict` gave."""


def expect_keys(metric: object, state_dict: Mapping[str, Any], *names: str) -> None:
    """Refuse a state that is not this metric's.

    Raises:
        StateDictError: it names the keys that were expected and those that were given.
    """
    if set(state_dict) != set(names):
        given = ", ".join(map(str, state_dict)) or "none"
        raise StateDictError(f"{type(metric).__name__}: expected the keys {', '.join(names)}, got {given}")
