"""The table that shows, class by class, where a classifier is good and where it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from minidl.metrics.counting import Counting, Counts, count
from minidl.metrics.precision_recall import check_average, ratios, summed_up

__all__ = ["ClassificationReport", "classification_report", "report_text"]

FIGURES = {"precision": "precision", "recall": "recall", "f1-score": "f1"}


def classification_report(
    prediction: ArrayLike,
    target: ArrayLike,
    names: Sequence[str] | None = None,
    *,
    num_classes: int | None = None,
    digits: int = 2,
    zero_division: float = 0.0,
    output_dict: bool = False,
) -> Any:
    """Precision, recall, F1 and number of samples of every class, and their averages, as a table.

    Args:
        prediction: scores (N, C), or the predicted classes, integers (N,).
        target: the true classes, integers (N,).
        names: of all classes; then every class has a row. Without, those have one that were met.
        num_classes: how many classes there are; by default `len(names)`, C, or one more than the largest
            class met.
        digits: behind the point.
        zero_division: what 0 / 0 is, as of a class that was never predicted: 0, 1 or NaN.
        output_dict: give the numbers: `{"0": {"precision": …, "recall": …, "f1-score": …, "support": …},
            …, "accuracy": …, "macro avg": {…}, "weighted avg": {…}}`.

    Returns:
        The text, or the dict: those of scikit-learn.

    Raises:
        ShapeError: any other shapes.
        DTypeError: classes that are no integers.
        ValueError: a class out of range, scores with a NaN, no samples, or not as many names as classes.
    """
    check_average("classification_report", None, zero_division)
    wanted = num_classes if names is None else len(names)
    if num_classes is not None and wanted != num_classes:
        raise ValueError(f"classification_report: expected {num_classes} names, got {wanted}")
    counts = count("classification_report", prediction, target, wanted)
    if not counts.any():
        raise ValueError("classification_report: expected at least one sample, got none")
    report = _report(counts, names, zero_division)
    return report if output_dict else report_text(report, digits)


class ClassificationReport(Counting):
    """`classification_report`, over all batches since the last `reset`.

    `compute` gives the dict; `report_text` makes the table of it.

    Args:
        num_classes: how many classes there are.
        names: of all classes; then every class has a row. Without, those have one that were met.
        zero_division: what 0 / 0 is: 0, 1 or NaN.

    Raises:
        ValueError: as `classification_report`; from `compute`, before any sample came.
        TypeError: `num_classes` is no integer.
    """

    names: list[str] | None
    zero_division: float

    def __init__(
        self, num_classes: int, names: Sequence[str] | None = None, *, zero_division: float = 0.0
    ) -> None:
        super().__init__(num_classes, "classification_report")
        if names is not None and len(names) != self.num_classes:
            raise ValueError(f"ClassificationReport: expected {num_classes} names, got {len(names)}")
        check_average("ClassificationReport", None, zero_division)
        self.names = None if names is None else list(names)
        self.zero_division = float(zero_division)

    def compute(self) -> dict[str, Any]:
        """The numbers of every batch since the last reset."""
        if not self._counts.any():
            raise ValueError("ClassificationReport: expected at least one sample before compute, got none")
        return _report(self._counts, self.names, self.zero_division)

    def __repr__(self) -> str:
        return f"ClassificationReport({self.num_classes})"


def report_text(report: Mapping[str, Any], digits: int = 2) -> str:
    """The table of a report's numbers, as `classification_report` shows it."""
    width = max(*map(len, report), len("weighted avg"), digits)
    samples = report["macro avg"]["support"]
    head = " " * width + " " + "".join(f" {name:>9}" for name in (*FIGURES, "support"))
    classes: list[str] = []
    averages: list[str] = []
    for name, row in report.items():
        if name == "accuracy":
            averages.append(f"{name:>{width}}  {'':>9} {'':>9} {row:>9.{digits}f} {samples:>9}")
            continue
        figures = "".join(f" {row[figure]:>9.{digits}f}" for figure in FIGURES)
        line = f"{name:>{width}} {figures} {row['support']:>9}"
        (averages if name in ("macro avg", "weighted avg") else classes).append(line)
    return "\n".join([head, "", *classes, "", *averages, ""])


def _report(counts: Counts, names: Sequence[str] | None, zero_division: float) -> dict[str, Any]:
    true = counts.sum(axis=1)
    met = true + counts.sum(axis=0) > 0
    rows = [row for row in range(len(counts)) if names is not None or met[row]]
    table = {shown: ratios(counts, figure, zero_division) for shown, figure in FIGURES.items()}
    report: dict[str, Any] = {}
    for row in rows:
        own = {shown: float(values[row]) for shown, values in table.items()}
        report[str(row) if names is None else names[row]] = {**own, "support": int(true[row])}
    report["accuracy"] = float(counts.trace() / counts.sum())
    for average in ("macro", "weighted"):
        own = {
            shown: summed_up(counts, figure, average, zero_division, all_classes=names is not None)
            for shown, figure in FIGURES.items()
        }
        report[f"{average} avg"] = {**own, "support": int(true.sum())}
    return report
