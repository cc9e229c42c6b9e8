"""How often the true class is among the k that a classifier holds likeliest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minidl.errors import ShapeError, StateDictError
from minidl.metrics.counting import read_classes
from minidl.metrics.metric import State, expect_keys

__all__ = ["TopKAccuracy", "top_k_accuracy"]


def top_k_accuracy(prediction: ArrayLike, target: ArrayLike, k: int = 5) -> float:
    """The share of samples whose true class has one of the k highest scores, from 0 to 1.

    Where scores are equal, the class of the larger number comes first, as in scikit-learn. (In `accuracy`,
    which is this for k = 1 wherever there are no equals, the smaller one does.)

    Args:
        prediction: scores (N, C).
        target: the true classes, integers (N,).
        k: how many guesses there are.

    Raises:
        ShapeError: any other shapes, or fewer than k classes.
        DTypeError: classes that are no integers.
        ValueError: no samples, a target that is no column of the scores, scores with a NaN, or a k below 1.
        TypeError: k is no integer.
    """
    metric = TopKAccuracy(k)
    metric.update(prediction, target)
    return metric.compute()


class TopKAccuracy:
    """`top_k_accuracy`, over all batches since the last `reset`.

    Args:
        k: how many guesses there are.
        name: what tables and histories call the figure, `"top5_accuracy"` for 5 unless told.

    Raises:
        ValueError: a k below 1; from `compute`, before any sample came.
        TypeError: k is no integer.
    """

    name: str
    k: int

    def __init__(self, k: int = 5, *, name: str | None = None) -> None:
        if not isinstance(k, int | np.integer) or isinstance(k, bool):
            raise TypeError(f"TopKAccuracy: expected k to be an integer, got {k!r}")
        if k < 1:
            raise ValueError(f"TopKAccuracy: expected k of at least 1, got {k}")
        self.k = int(k)
        self.name = f"top{self.k}_accuracy" if name is None else name
        self.reset()

    def reset(self) -> None:
        """Forget every batch."""
        self._right = 0
        self._seen = 0

    def update(self, prediction: ArrayLike, target: ArrayLike) -> None:
        """Take in a batch: scores (N, C), and the true classes (N,)."""
        scores = np.asarray(prediction)
        if scores.ndim != 2 or scores.shape[1] < self.k:
            raise ShapeError(
                f"TopKAccuracy: expected scores (N, C) of at least {self.k} classes, got {scores.shape}"
            )
        _, true = read_classes("TopKAccuracy", scores, target)
        true = true.astype(np.intp)
        own = np.take_along_axis(scores, true[:, None], axis=1)  # (N, 1), the true class's score
        later = np.arange(scores.shape[1]) > true[:, None]  # (N, C)
        ahead = (scores > own) | ((scores == own) & later)
        self._right += int(np.count_nonzero(ahead.sum(axis=1) < self.k))
        self._seen += len(true)

    def compute(self) -> float:
        """Right ones divided by all."""
        if not self._seen:
            raise ValueError("TopKAccuracy: expected at least one sample before compute, got none")
        return self._right / self._seen

    def state_dict(self) -> State:
        """The counts so far."""
        return {"k": self.k, "right": self._right, "seen": self._seen}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` gave.

        Raises:
            StateDictError: the state is of something else, or of another k; nothing changed.
        """
        expect_keys(self, state_dict, "k", "right", "seen")
        try:
            k, right, seen = (int(state_dict[name]) for name in ("k", "right", "seen"))
        except (TypeError, ValueError) as error:
            raise StateDictError(f"TopKAccuracy: expected numbers, got {state_dict}") from error
        if k != self.k or not 0 <= right <= seen:
            raise StateDictError(f"TopKAccuracy: expected k={self.k} and 0 ≤ right ≤ seen, got {state_dict}")
        self._right, self._seen = right, seen

    def __repr__(self) -> str:
        return f"TopKAccuracy({self.k})"
