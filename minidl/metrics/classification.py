"""How often a classifier is right, and what it takes for what: accuracy and the confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minidl.errors import DTypeError, ShapeError, StateDictError
from minidl.metrics.metric import State, expect_keys

__all__ = ["Accuracy", "ConfusionMatrix", "accuracy", "confusion_matrix"]

Counts = NDArray[np.int64]


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
    if num_classes is None:
        scores = np.asarray(prediction)
        if scores.ndim == 2:
            num_classes = scores.shape[1]
        else:
            predicted, true = _classes("confusion_matrix", prediction, target)
            if not len(true):
                raise ValueError("confusion_matrix: expected num_classes or at least one sample, got neither")
            num_classes = int(max(predicted.max(), true.max())) + 1
            if num_classes < 1:
                raise ValueError(f"confusion_matrix: expected classes of at least 0, got {num_classes - 1}")
    metric = ConfusionMatrix(num_classes)
    metric.update(prediction, target)
    return metric.compute()


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
        predicted, true = _classes("Accuracy", prediction, target)
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


class ConfusionMatrix:
    """The confusion matrix over all batches since the last `reset`.

    Takes what `confusion_matrix` takes and raises what it raises; `compute` before any sample came gives
    zeros, the matrix of no samples.

    Args:
        num_classes: how many classes there are, K.

    Raises:
        ValueError: `num_classes` below 1.
        TypeError: `num_classes` is no integer.
    """

    name: str
    num_classes: int

    def __init__(self, num_classes: int) -> None:
        if not isinstance(num_classes, int | np.integer) or isinstance(num_classes, bool):
            raise TypeError(f"ConfusionMatrix: expected num_classes to be an integer, got {num_classes!r}")
        if num_classes < 1:
            raise ValueError(f"ConfusionMatrix: expected num_classes of at least 1, got {num_classes}")
        self.name = "confusion_matrix"
        self.num_classes = int(num_classes)
        self.reset()

    def reset(self) -> None:
        """Forget every batch."""
        self._counts = np.zeros((self.num_classes, self.num_classes), np.int64)

    def update(self, prediction: ArrayLike, target: ArrayLike) -> None:
        """Take in a batch: scores (N, C) or classes (N,), and the true classes (N,)."""
        predicted, true = _classes("ConfusionMatrix", prediction, target)
        for what, classes in (("prediction", predicted), ("target", true)):
            wrong = classes[(classes < 0) | (classes >= self.num_classes)]
            if wrong.size:
                raise ValueError(
                    f"ConfusionMatrix: expected {what} from 0 to {self.num_classes - 1}, got {wrong[0]}"
                )
        # Row t, column p of a K×K matrix is number t·K + p when it is read line by line.
        cells = true.astype(np.int64) * self.num_classes + predicted.astype(np.int64)
        counts = np.bincount(cells, minlength=self.num_classes**2)
        self._counts += counts.reshape(self.num_classes, self.num_classes)  # (K, K)

    def compute(self) -> Counts:
        """The matrix, rows true, columns predicted: int64 (K, K)."""
        return self._counts.copy()

    def state_dict(self) -> State:
        """The counts so far."""
        return {"counts": self._counts.copy()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` gave.

        Raises:
            StateDictError: the state is of something else; nothing changed.
        """
        expect_keys(self, state_dict, "counts")
        counts = np.asarray(state_dict["counts"])
        if counts.shape != self._counts.shape or counts.dtype.kind not in "iu" or (counts < 0).any():
            raise StateDictError(
                f"ConfusionMatrix: expected counts {self._counts.shape} of at least 0, "
                f"got {counts.shape} of {counts.dtype}"
            )
        self._counts = counts.astype(np.int64)

    def __repr__(self) -> str:
        return f"ConfusionMatrix({self.num_classes})"


def _classes(who: str, prediction: ArrayLike, target: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Predicted and true classes, both (N,), from scores or classes."""
    given, true = np.asarray(prediction), np.asarray(target)
    if true.ndim != 1 or given.ndim not in (1, 2) or len(given) != len(true):
        raise ShapeError(
            f"{who}: expected a prediction of shape (N, C) or (N,) and a target of shape (N,), "
            f"got {given.shape} and {true.shape}"
        )
    if true.size and true.dtype.kind not in "iu":  # an empty list is an array of floats
        raise DTypeError(f"{who}: expected a target of integer classes, got {true.dtype}")
    if given.ndim == 1:
        if given.size and given.dtype.kind not in "iu":
            raise DTypeError(f"{who}: expected a prediction (N,) of integer classes, got {given.dtype}")
        return given, true
    if given.dtype.kind not in "fiu":
        raise DTypeError(f"{who}: expected scores of real numbers, got {given.dtype}")
    if given.shape[1] == 0:
        raise ShapeError(f"{who}: expected scores of at least one class, got shape {given.shape}")
    if np.isnan(given).any():  # argmax would call the NaN the largest
        raise ValueError(f"{who}: expected scores without NaN, got {np.isnan(given).sum()} of them")
    wrong = true[(true < 0) | (true >= given.shape[1])]
    if wrong.size:
        raise ValueError(f"{who}: expected a target from 0 to {given.shape[1] - 1}, got {wrong[0]}")
    return given.argmax(axis=1), true
