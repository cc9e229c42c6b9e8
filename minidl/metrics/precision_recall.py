"""How much of what was called a class is one, and how much of a class was found: precision, recall and F1."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minidl.metrics.counting import Counting, Counts, count

__all__ = [
    "AVERAGES",
    "F1Score",
    "Precision",
    "Recall",
    "check_average",
    "f1_score",
    "precision",
    "ratios",
    "recall",
    "summed_up",
]

AVERAGES = ("binary", "micro", "macro", "weighted", "none")
Floats = NDArray[np.float64]


def precision(
    prediction: ArrayLike,
    target: ArrayLike,
    average: str | None = "macro",
    *,
    num_classes: int | None = None,
    zero_division: float = 0.0,
) -> Any:
    """The share of the samples called a class that are of that class, TP / (TP + FP).

    Args:
        prediction: scores (N, C), or the predicted classes, integers (N,).
        target: the true classes, integers (N,).
        average: how the classes become one number.
            `"binary"`: the figure of class 1, of two classes;
            `"micro"`: all samples count alike (then all three figures are the accuracy);
            `"macro"`: the mean over the classes that were met, in the target or in the prediction;
            `"weighted"`: the same, each class counting by its true samples;
            `"none"` or None: no average, one number for every class from 0 to K − 1.
        num_classes: how many classes there are, K; by default C, or one more than the largest class met.
        zero_division: what 0 / 0 is, as of a class that was never predicted: 0, 1, or NaN, which also
            leaves the class out of averages.

    Returns:
        A float, or float64 (K,) without an average: the numbers of scikit-learn.

    Raises:
        ShapeError: any other shapes.
        DTypeError: classes that are no integers.
        ValueError: a class out of range, scores with a NaN, no samples, more than two classes where they
            are to be binary, or an unknown average or `zero_division`.
    """
    return _whole(Precision, prediction, target, average, num_classes, zero_division)


def recall(
    prediction: ArrayLike,
    target: ArrayLike,
    average: str | None = "macro",
    *,
    num_classes: int | None = None,
    zero_division: float = 0.0,
) -> Any:
    """The share of a class's samples that were found, TP / (TP + FN); arguments as for `precision`."""
    return _whole(Recall, prediction, target, average, num_classes, zero_division)


def f1_score(
    prediction: ArrayLike,
    target: ArrayLike,
    average: str | None = "macro",
    *,
    num_classes: int | None = None,
    zero_division: float = 0.0,
) -> Any:
    """The harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN); arguments as for `precision`."""
    return _whole(F1Score, prediction, target, average, num_classes, zero_division)


class _Ratio(Counting):
    """A figure that is a ratio of counts, class by class, and an average of these."""

    average: str
    zero_division: float
    _figure: ClassVar[str]

    def __init__(
        self,
        num_classes: int = 2,
        average: str | None = "macro",
        *,
        zero_division: float = 0.0,
        name: str | None = None,
    ) -> None:
        who = type(self).__name__
        self.average = check_average(who, average, zero_division)
        self.zero_division = float(zero_division)
        super().__init__(num_classes, self._figure if name is None else name)
        if self.average == "binary" and self.num_classes != 2:
            raise ValueError(f"{who}: expected two classes for average='binary', got {num_classes}")

    def compute(self) -> Any:
        """The figure of every batch since the last reset."""
        if not self._counts.any():
            raise ValueError(f"{type(self).__name__}: expected at least one sample before compute, got none")
        return summed_up(self._counts, self._figure, self.average, self.zero_division)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.num_classes}, average={self.average!r})"


class Precision(_Ratio):
    """`precision`, over all batches since the last `reset`.

    Args:
        num_classes: how many classes there are, K.
        average: as for `precision`; the trainer takes all but `"none"`.
        zero_division: what 0 / 0 is: 0, 1 or NaN.
        name: what tables and histories call the figure, `"precision"` unless told.

    Raises:
        ValueError: as `precision`; from `compute`, before any sample came.
        TypeError: `num_classes` is no integer.
    """

    _figure = "precision"


class Recall(_Ratio):
    """`recall`, over all batches since the last `reset`; arguments and errors as for `Precision`."""

    _figure = "recall"


class F1Score(_Ratio):
    """`f1_score`, over all batches since the last `reset`; arguments and errors as for `Precision`."""

    _figure = "f1"


def ratios(counts: Counts, figure: str, zero_division: float, micro: bool = False) -> Floats:
    """The figure of each class, (K,), or of all together, (1,)."""
    hits, predicted, true = counts.diagonal(), counts.sum(axis=0), counts.sum(axis=1)  # each (K,)
    if micro:
        hits, predicted, true = (part.sum(keepdims=True) for part in (hits, predicted, true))  # each (1,)
    part, whole = {
        "precision": (hits, predicted),
        "recall": (hits, true),
        "f1": (2 * hits, predicted + true),  # TP + FP and TP + FN
    }[figure]
    return np.divide(part, whole, out=np.full(part.shape, zero_division), where=whole > 0)


def summed_up(
    counts: Counts, figure: str, average: str, zero_division: float, all_classes: bool = False
) -> Any:
    """The figure of all classes as one number, or as (K,) for `"none"`.

    Args:
        counts: (K, K), rows true, columns predicted.
        figure: precision, recall or f1.
        average: one of `AVERAGES`.
        zero_division: what 0 / 0 is.
        all_classes: average over all classes, and not over those alone that were met.
    """
    values = ratios(counts, figure, zero_division, micro=average == "micro")
    if average == "none":
        return values
    if average == "micro":
        return float(values[0])
    if average == "binary":
        return float(values[1])
    true = counts.sum(axis=1)
    met = (true + counts.sum(axis=0) > 0) | all_classes
    known = met & ~np.isnan(values)  # a 0 / 0 that is to be NaN stays out
    weights = true[known] if average == "weighted" and true[known].any() else np.ones(known.sum())
    return float((values[known] * weights).sum() / weights.sum()) if known.any() else math.nan


def _whole(
    metric: type[_Ratio],
    prediction: ArrayLike,
    target: ArrayLike,
    average: str | None,
    num_classes: int | None,
    zero_division: float,
) -> Any:
    who = {"f1": "f1_score"}.get(metric._figure, metric._figure)
    average = check_average(who, average, zero_division)
    counts = count(who, prediction, target, 2 if average == "binary" and num_classes is None else num_classes)
    if average == "binary" and len(counts) != 2:
        raise ValueError(f"{who}: expected two classes for average='binary', got {len(counts)}")
    if not counts.any():
        raise ValueError(f"{who}: expected at least one sample, got none")
    return summed_up(counts, metric._figure, average, zero_division)


def check_average(who: str, average: str | None, zero_division: float) -> str:
    """The average's name; what is none, or no value for 0 / 0, is refused."""
    if average is not None and average not in AVERAGES:
        raise ValueError(f"{who}: expected average to be one of {', '.join(AVERAGES)}, got {average!r}")
    if not (zero_division in (0, 1) or (isinstance(zero_division, float) and math.isnan(zero_division))):
        raise ValueError(f"{who}: expected zero_division to be 0, 1 or NaN, got {zero_division!r}")
    return "none" if average is None else average
