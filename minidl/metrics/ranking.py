"""How well scores sort one class from the other, whatever the threshold: the ROC curve and its area."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minidl.errors import DTypeError, ShapeError, StateDictError
from minidl.metrics.counting import read_classes
from minidl.metrics.metric import State, expect_keys

__all__ = ["AUROC", "ROC", "RocCurve", "auc", "auroc", "roc"]

Floats = NDArray[np.float64]
AVERAGES = ("macro", "weighted", "none")


class RocCurve(NamedTuple):
    """One point per threshold, from the strictest to the loosest."""

    fpr: Floats
    """The share of the negatives that reach the threshold."""
    tpr: Floats
    """The share of the positives that reach it."""
    thresholds: NDArray[Any]
    """Scores; the first is infinite, which nothing reaches."""


def roc(prediction: ArrayLike, target: ArrayLike, drop_intermediate: bool = True) -> RocCurve:
    """The ROC curve of two classes: how many positives are found at the price of how many false alarms.

    Equal scores pass a threshold together, so they share one point.

    Args:
        prediction: scores (N,), larger for what is rather positive: probabilities or any numbers.
        target: (N,), 1 for positives and 0 for negatives.
        drop_intermediate: leave out points on a straight line between their neighbours.

    Returns:
        `(fpr, tpr, thresholds)`, the numbers of scikit-learn; a rate is NaN where it has no samples.

    Raises:
        ShapeError: any other shapes.
        DTypeError: scores or targets that are no real numbers.
        ValueError: no samples, scores with a NaN, or targets other than 0 and 1.
    """
    scores, true = _read_binary("roc", prediction, target)
    if not len(scores):
        raise ValueError("roc: expected at least one sample, got none")
    hits, alarms, thresholds = _curve(scores, true)
    if drop_intermediate and len(hits) > 2:
        bends = (np.diff(hits, 2) != 0) | (np.diff(alarms, 2) != 0)
        kept = np.concatenate([[True], bends, [True]])
        hits, alarms, thresholds = hits[kept], alarms[kept], thresholds[kept]
    hits, alarms = np.append(0, hits), np.append(0, alarms)
    thresholds = np.concatenate([[np.inf], thresholds]).astype(np.result_type(thresholds, np.float32))
    return RocCurve(_share(alarms), _share(hits), thresholds)


def auc(x: ArrayLike, y: ArrayLike) -> float:
    """The area under a curve through points, by trapezoids: Σ (xᵢ₊₁ − xᵢ) (yᵢ + yᵢ₊₁) / 2.

    Args:
        x: (M,), going up or going down.
        y: (M,).

    Raises:
        ShapeError: no two arrays of one length, of at least two points.
        ValueError: x goes up and down.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
        raise ShapeError(f"auc: expected x and y (M,) of at least two points, got {x.shape} and {y.shape}")
    steps = np.diff(x)
    if (steps < 0).any() and (steps > 0).any():
        raise ValueError("auc: expected x to go up or to go down, got one that does both")
    return abs(float((steps * (y[1:] + y[:-1]) / 2).sum()))


def auroc(prediction: ArrayLike, target: ArrayLike, average: str | None = "macro") -> Any:
    """The area under the ROC curve: how often a positive scores above a negative, equals counting half.

    0.5 is chance, 1 is perfect, and nothing depends on a threshold. Of more than two classes, each is held
    against all others.

    Args:
        prediction: scores (N,) of the positive class, or (N, C) of all classes.
        target: (N,), 1 for positives and 0 for negatives, or the true classes, integers.
        average: of scores (N, C): `"macro"`, the mean over the classes; `"weighted"`, each class counting by
            its samples; `"none"` or None, one number for each class.

    Returns:
        A float, or float64 (C,) without an average: the numbers of scikit-learn. NaN where one of the two
        sides has no samples, as of a class that the targets do not hold, and then so is the average.

    Raises:
        ShapeError: any other shapes.
        DTypeError: scores that are no real numbers, or classes that are no integers.
        ValueError: no samples, scores with a NaN, a target out of range, or an unknown average.
    """
    metric = AUROC(average)
    metric.update(prediction, target)
    return metric.compute()


class _Kept:
    """A metric that has to keep all scores, since a sample's rank depends on all others."""

    name: str
    _scores: list[NDArray[Any]]
    _target: list[NDArray[Any]]

    def reset(self) -> None:
        """Forget every batch."""
        self._scores, self._target = [], []

    def _keep(self, scores: NDArray[Any], target: NDArray[Any]) -> None:
        who = type(self).__name__
        if self._scores and self._scores[0].shape[1:] != scores.shape[1:]:
            raise ShapeError(
                f"{who}: expected scores (N, …) as in the batches before, …={self._scores[0].shape[1:]}, "
                f"got {scores.shape}"
            )
        self._scores.append(scores.copy())
        self._target.append(target.astype(np.int64))

    def _all(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        if not sum(map(len, self._scores)):
            raise ValueError(f"{type(self).__name__}: expected at least one sample before compute, got none")
        return np.concatenate(self._scores), np.concatenate(self._target)

    def state_dict(self) -> State:
        """All scores and targets so far; None before the first batch."""
        if not self._scores:
            return {"scores": None, "target": None}
        return {"scores": np.concatenate(self._scores), "target": np.concatenate(self._target)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` gave.

        Raises:
            StateDictError: the state is of something else; nothing changed.
        """
        expect_keys(self, state_dict, "scores", "target")
        scores, target = state_dict["scores"], state_dict["target"]
        before = self._scores, self._target
        self.reset()
        if scores is None and target is None:
            return
        try:
            self.update(scores, target)
        except (TypeError, ValueError) as error:
            self._scores, self._target = before
            raise StateDictError(f"{type(self).__name__}: expected scores and targets: {error}") from error

    def update(self, prediction: ArrayLike, target: ArrayLike) -> None:
        """Take in a batch."""
        raise NotImplementedError


class ROC(_Kept):
    """`roc`, over all batches since the last `reset`; it keeps all scores.

    Args:
        drop_intermediate: leave out points on a straight line between their neighbours.
        name: what tables call the curve.

    Raises:
        ValueError: as `roc`; from `compute`, before any sample came.
    """

    drop_intermediate: bool

    def __init__(self, drop_intermediate: bool = True, *, name: str = "roc") -> None:
        self.drop_intermediate = bool(drop_intermediate)
        self.name = name
        self.reset()

    def update(self, prediction: ArrayLike, target: ArrayLike) -> None:
        """Take in a batch: scores (N,) of the positive class, and 0 or 1 (N,)."""
        self._keep(*_read_binary("ROC", prediction, target))

    def compute(self) -> RocCurve:
        """`(fpr, tpr, thresholds)` of every batch since the last reset."""
        return roc(*self._all(), self.drop_intermediate)

    def __repr__(self) -> str:
        return f"ROC(drop_intermediate={self.drop_intermediate})"


class AUROC(_Kept):
    """`auroc`, over all batches since the last `reset`; it keeps all scores.

    Args:
        average: as for `auroc`; the trainer takes all but `"none"`.
        name: what tables and histories call the figure.

    Raises:
        ValueError: an unknown average; from `compute`, before any sample came.
    """

    average: str

    def __init__(self, average: str | None = "macro", *, name: str = "auroc") -> None:
        if average is not None and average not in AVERAGES:
            raise ValueError(f"AUROC: expected average to be one of {', '.join(AVERAGES)}, got {average!r}")
        self.average = "none" if average is None else average
        self.name = name
        self.reset()

    def update(self, prediction: ArrayLike, target: ArrayLike) -> None:
        """Take in a batch: scores (N,) and 0 or 1 (N,), or scores (N, C) and the true classes (N,)."""
        scores = np.asarray(prediction)
        if scores.ndim == 2 and scores.shape[1] > 1:
            self._keep(scores, read_classes("AUROC", scores, target)[1])
        else:
            self._keep(*_read_binary("AUROC", prediction, target))

    def compute(self) -> Any:
        """The area for every batch since the last reset."""
        scores, target = self._all()
        if scores.ndim == 1:
            return _area(scores, target)
        areas = np.array([_area(scores[:, c], target == c) for c in range(scores.shape[1])])  # (C,)
        if self.average == "none":
            return areas
        weights = (
            np.bincount(target, minlength=len(areas)) if self.average == "weighted" else np.ones(len(areas))
        )
        return float((areas * weights).sum() / weights.sum())

    def __repr__(self) -> str:
        return f"AUROC(average={self.average!r})"


def _read_binary(who: str, prediction: ArrayLike, target: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scores and targets, both (N,); a column (N, 1), as a network of one output gives, is taken as such."""
    scores, true = np.asarray(prediction), np.asarray(target)
    if scores.shape != true.shape or scores.ndim not in (1, 2) or scores.shape[1:] not in ((), (1,)):
        raise ShapeError(
            f"{who}: expected scores of shape (N,) and a target of shape (N,), "
            f"got {scores.shape} and {true.shape}"
        )
    for what, values in (("scores", scores), ("a target", true)):
        if values.dtype.kind not in "biuf":
            raise DTypeError(f"{who}: expected {what} of real numbers, got {values.dtype}")
    if np.isnan(scores).any():
        raise ValueError(f"{who}: expected scores without NaN, got {np.isnan(scores).sum()} of them")
    wrong = true[(true != 0) & (true != 1)]
    if wrong.size:
        raise ValueError(f"{who}: expected a target of 0 and 1, got {wrong[0]}")
    return scores.reshape(-1), true.reshape(-1)


def _curve(scores: NDArray[Any], true: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """How many positives and how many negatives reach each score that occurs, the highest first: (M,)."""
    order = np.argsort(scores, kind="stable")[::-1]
    scores, hits = scores[order], np.cumsum(true[order] == 1)
    last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)  # of each run of equals
    return hits[last], 1 + last - hits[last], scores[last]


def _share(counts: NDArray[Any]) -> Floats:
    return counts / counts[-1] if counts[-1] else np.full(counts.shape, np.nan)


def _area(scores: NDArray[Any], true: NDArray[Any]) -> float:
    """The area in whole numbers, until the last division: the same bits in whatever order samples came."""
    hits, alarms, _ = _curve(scores, true)
    positives, negatives = int(hits[-1]), int(alarms[-1])
    if not positives * negatives:
        return math.nan
    twice = np.diff(alarms, prepend=0) * (hits + np.append(0, hits[:-1]))
    return int(twice.sum()) / (2 * positives * negatives)
