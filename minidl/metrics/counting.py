"""What most figures of a classifier come from: how many samples of each class were taken for each class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minidl.errors import DTypeError, ShapeError, StateDictError
from minidl.metrics.metric import State, expect_keys

__all__ = ["Counting", "Counts", "count", "read_classes"]

Counts = NDArray[np.int64]


class Counting:
    """A metric that keeps counts[t, p], how many samples of class t were taken for class p.

    Args:
        num_classes: how many classes there are, K.

    Raises:
        ValueError: `num_classes` below 1.
        TypeError: `num_classes` is no integer.
    """

    name: str
    num_classes: int
    _counts: Counts  # (K, K), rows true, columns predicted

    def __init__(self, num_classes: int, name: str) -> None:
        who = type(self).__name__
        if not isinstance(num_classes, int | np.integer) or isinstance(num_classes, bool):
            raise TypeError(f"{who}: expected num_classes to be an integer, got {num_classes!r}")
        if num_classes < 1:
            raise ValueError(f"{who}: expected num_classes of at least 1, got {num_classes}")
        self.name = name
        self.num_classes = int(num_classes)
        self.reset()

    def reset(self) -> None:
        """Forget every batch."""
        self._counts = np.zeros((self.num_classes, self.num_classes), np.int64)

    def update(self, prediction: ArrayLike, target: ArrayLike) -> None:
        """Take in a batch: scores (N, C) or classes (N,), and the true classes (N,)."""
        self._counts += count(type(self).__name__, prediction, target, self.num_classes)

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
                f"{type(self).__name__}: expected counts {self._counts.shape} of at least 0, "
                f"got {counts.shape} of {counts.dtype}"
            )
        self._counts = counts.astype(np.int64)


def count(who: str, prediction: ArrayLike, target: ArrayLike, num_classes: int | None) -> Counts:
    """The confusion matrix of one batch, (K, K); without `num_classes`, K is what scores or classes need.

    Raises:
        ShapeError: neither scores (N, C) nor classes (N,), or a target of another length.
        DTypeError: classes that are no integers.
        ValueError: a class out of range, scores with a NaN, or nothing to tell the number of classes from.
    """
    predicted, true = read_classes(who, prediction, target)
    if num_classes is None:
        if np.ndim(prediction) == 2:
            num_classes = np.shape(prediction)[1]
        elif len(true):
            num_classes = int(max(predicted.max(), true.max())) + 1
            if num_classes < 1:
                raise ValueError(f"{who}: expected classes of at least 0, got {num_classes - 1}")
        else:
            raise ValueError(f"{who}: expected num_classes or at least one sample, got neither")
    for what, classes in (("prediction", predicted), ("target", true)):
        wrong = classes[(classes < 0) | (classes >= num_classes)]
        if wrong.size:
            raise ValueError(f"{who}: expected {what} from 0 to {num_classes - 1}, got {wrong[0]}")
    # Row t, column p of a K×K matrix is number t·K + p when it is read line by line.
    cells = true.astype(np.int64) * num_classes + predicted.astype(np.int64)
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)  # (K, K)


def read_classes(who: str, prediction: ArrayLike, target: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
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
