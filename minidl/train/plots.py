"""The pictures of a run: learning curves, the confusion matrix, and what the model got wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.array import Array

if TYPE_CHECKING:
    from minidl.train.history import History

__all__ = ["new_figure", "plot_confusion_matrix", "plot_history", "plot_mistakes"]

TRAIN, VAL, WRONG = "#3b82f6", "#f97316", "#dc2626"


def new_figure(width: float, height: float) -> Any:
    """A figure of its own: pyplot, with its global list of figures, is not needed to write files."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def plot_history(history: History) -> Any:
    """One panel per figure that training or validation measured, over the epochs.

    Raises:
        ValueError: the history is empty.
    """
    if not len(history):
        raise ValueError("plot_history: expected at least one epoch, got an empty history")
    names = [name.split("_", 1) for name in history.columns if name.startswith(("train_", "val_"))]
    panels = list(dict.fromkeys(figure for _, figure in names))
    figure = new_figure(4.5 * len(panels), 3.4)
    epochs = history["epoch"]
    for axes, panel in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        for part, label, colour in (("train", "training", TRAIN), ("val", "validation", VAL)):
            if f"{part}_{panel}" in history.columns:
                axes.plot(epochs, history[f"{part}_{panel}"], "o-", ms=3.5, color=colour, label=label)
        axes.set(title=panel, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    return figure


def plot_confusion_matrix(matrix: Array, classes: Sequence[str]) -> Any:
    """Rows are what it was, columns what the model said; the diagonal is right.

    Mistakes are coloured on their own scale, since the diagonal would drown them.

    Args:
        matrix: (C, C) counts.
        classes: C names.
    """
    size = len(classes)
    many = size > 20  # too many for numbers and names
    inches = 6.0 if many else 0.5 * size
    figure = new_figure(1.2 + inches, 1.0 + inches)
    axes = figure.subplots()
    mistakes = np.where(np.eye(size, dtype=bool), 0, matrix)
    axes.imshow(mistakes, cmap="Reds", vmin=0, vmax=max(1, mistakes.max()))
    for row in range(0 if many else size):
        for column in range(size):
            count = int(matrix[row, column])
            dark = row != column and count > 0.6 * mistakes.max()
            axes.text(
                column, row, f"{count:,}" if count else "·", ha="center", va="center", fontsize=8,
                color="white" if dark else "black" if count else "0.7",
                fontweight="bold" if row == column else "normal",
            )  # fmt: skip
    if not many:
        long = max(map(len, classes)) > 2
        axes.set_xticks(range(size), classes, rotation=90 if long else 0)
        axes.set_yticks(range(size), classes)
    axes.set(xlabel="predicted", ylabel="true", title=f"{np.trace(matrix):,} of {matrix.sum():,} right")
    axes.spines[:].set_visible(False)
    return figure


def plot_mistakes(
    images: Array, true: Array, predicted: Array, confidence: Array, classes: Sequence[str], most: int = 40
) -> Any:
    """The images that the model got wrong, the most confident mistakes first.

    Args:
        images: (M, C, H, W), only the wrong ones; C is 1 (grey) or 3 (colours from 0 to 1).
        true: (M,) the classes that they are.
        predicted: (M,) the classes that the model said.
        confidence: (M,) the probability that it gave them.
        classes: names of the classes.
        most: how many are shown.
    """
    order = np.argsort(-confidence, kind="stable")[:most]
    columns = 10
    rows = max(1, -(-len(order) // columns))
    long = max(map(len, classes)) > 2
    figure = new_figure(columns * (1.3 if long else 1.0), rows * (1.7 if long else 1.25) + 0.5)
    shown = f"the {len(order)} surest of " if len(order) < len(images) else ""
    figure.suptitle(f"{shown}{len(images)} mistakes: true → predicted (probability)", fontsize=10)
    for place, axes in enumerate(np.ravel(figure.subplots(rows, columns))):
        axes.set_axis_off()
        if place < len(order):
            i = order[place]
            pixels = images[i, 0] if images.shape[1] == 1 else images[i].transpose(1, 2, 0)  # (H, W[, 3])
            axes.imshow(pixels, cmap="gray_r", vmin=0, vmax=1)
            arrow = "\n→ " if long else " → "
            axes.set_title(
                f"{classes[true[i]]}{arrow}{classes[predicted[i]]} ({confidence[i]:.0%})",
                fontsize=7,
                color=WRONG,
            )
    return figure
