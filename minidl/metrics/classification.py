"""How often a classifier is right, and what it takes for what: accuracy and the confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minidl.errors import StateDictError
from minidl.metrics.counting import Counting, Counts, count, read_classes
from minidl.metrics.metric import State, expect_keys

__all__ = ["Accuracy", "ConfusionMatrix", "accuracy", "confusion_matrix"]


def accuracy(prediction: ArrayLike, target: ArrayLike) -> float:
    """The share of samples whose predicted class is the true one, from 0 to 1.

    Args:
        prediction: scores (N, C), whose largest in a row is the predicted class (the first, if several
            are), or the predicted classes themselves, integers (N,).
        target: the true classes, integers (N,).

    Raises:
        ShapeError: any other shapes.
        DTypeError: classes that are no integers.
        ValueError: no samples, a target that is no column of the scores, or scores with a NaN.
    """
    metric = Accuracy()
    metric.update(prediction, target)
    return metric.compute()


def confusion_matrix(prediction: ArrayLike, target: ArrayLike, num_classes: int | None = None) -> Counts:
    """How many samples of each true class (row) were taken for each class (column).

    The diagonal holds what was right. Same numbers as `sklearn.metrics.confusion_matrix`, with a row and
    a column for every class from 0, met or not.

    Args:
        prediction: scores (N, C), or the predicted classes, integers (N,).
        target: the true classes, integers (N,).
        num_classes: how many classes there are, K; by default C, or one more than the largest class met.

    Returns:
        int64 (K, K).

    Raises:
        ShapeError: any other shapes.
        DTypeError: classes that are no integers.
        ValueError: a class below 0 or not below `num_classes`, scores with a NaN, or no samples to tell
            the number of classes from.
    """
    return count("confusion_matrix", prediction, target, num_classes)


class Accuracy:
    """The share of samples that were classified right, over all batches since the last `reset`.

    Takes what `accuracy` takes and raises what it raises; `compute` before any sample came raises
    ValueError.
    """

    name: str

    def __init__(self) -> None:
        self.name = "accuracy"
        self.reset()

    def reset(self) -> None:
        """Forget every batch."""
        self._right = 0
        self._seen = 0

    def update(self, prediction: ArrayLike, target: ArrayLike) -> None:
        """Take in a batch: scores (N, C) or classes (N,), and the true classes (N,)."""
        predicted, true = read_classes("Accuracy", prediction, target)
        self._right += int(np.count_nonzero(predicted == true))
        self._seen += len(true)

    def compute(self) -> float:
        """Right ones divided by all."""
        if not self._seen:
            raise ValueError("Accuracy: expected at least one sample before compute, got none")
        return self._right / self._seen

    def state_dict(self) -> State:
        """The counts so far."""
        return {"right": self._right, "seen": self._seen}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` gave.

        Raises:
            StateDictError: the state is of something else; nothing changed.
        """
        expect_keys(self, state_dict, "right", "seen")
        try:
            right, seen = int(state_dict["right"]), int(state_dict["seen"])
        except (TypeError, ValueError) as error:
            raise StateDictError(
                f"Accuracy: expected numbers for right and seen, got {state_dict}"
            ) from error
        if not 0 <= right <= seen:
            raise StateDictError(f"Accuracy: expected 0 ≤ right ≤ seen, got right={right}, seen={seen}")
        self._right, self._seen = right, seen

    def __repr__(self) -> str:
        return "Accuracy()"


class ConfusionMatrix(Counting):
    """The confusion matrix over all batches since the last `reset`.

    Takes what `confusion_matrix` takes and raises what it raises; `compute` before any sample came gives
    zeros, the matrix of no samples.

    Args:
        num_classes: how many classes there are, K.

    Raises:
        ValueError: `num_classes` below 1.
        TypeError: `num_classes` is no integer.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, "confusion_matrix")

    def compute(self) -> Counts:
        """The matrix, rows true, columns predicted: int64 (K, K)."""
        return self._counts.copy()

    def __repr__(self) -> str:
        return f"ConfusionMatrix({self.num_classes})"
