"""What a person sees while a model trains: a live bar in a terminal, plain lines in a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.array import Array
from minidl.train import Callback, Trainer

__all__ = ["Display", "print_confusion"]


class Display(Callback):
    """One line per epoch; in a terminal also a bar with loss, accuracy, samples per second and time left."""

    def __init__(self) -> None:
        self._progress: Any = None
        self._task: Any = None
        self._rate = 0.0  # samples per second, smoothed
        self._seen = (0.0, 0)  # when the bar was last drawn, and the samples until then
        self._began = (0.0, 0)  # when this fit began, and at which step

    def on_fit_start(self, trainer: Trainer) -> None:
        """Open the bar."""
        done, total = _steps(trainer)
        self._seen, self._began = (time.perf_counter(), trainer.samples), (time.perf_counter(), done)
        if not sys.stdout.isatty():
            return
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
        from rich.table import Column

        def text(template: str) -> TextColumn:  # that a narrow terminal cuts and does not wrap
            return TextColumn(template, table_column=Column(no_wrap=True))

        self._progress = Progress(
            text("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            text("{task.fields[figures]}"),
            text("{task.fields[left]}"),
            transient=True,
        )
        self._task = self._progress.add_task(
            "", total=total, completed=done, epoch=_of(trainer), figures="", left=""
        )
        self._progress.start()

    def on_step_end(self, trainer: Trainer) -> None:
        """Move the bar, ten times a second at most."""
        if self._progress is None:
            return
        now, (before, samples) = time.perf_counter(), self._seen
        if now - before < 0.1:
            return
        rate = (trainer.samples - samples) / (now - before)
        self._rate = rate if self._rate == 0 else 0.8 * self._rate + 0.2 * rate
        self._seen = (now, trainer.samples)
        done, total = _steps(trainer)
        began, first = self._began
        left = (now - began) / max(1, done - first) * (total - done)
        now_at, speed = trainer.running, f"{self._rate:,.0f} samples/s"
        self._progress.update(
            self._task,
            completed=done,
            epoch=_of(trainer),
            figures=f"loss {now_at['loss']:.4f} accuracy {now_at['accuracy']:.2%} {speed}",
            left=f"{_duration(left) if left < 60 else f'{left / 60:.0f} min'} left",
        )

    def on_epoch_end(self, trainer: Trainer) -> None:
        """The epoch's line."""
        r = trainer.history.records[-1]
        epoch = f"epoch {r['epoch']:>2}/{trainer.epochs}"
        train = f"train loss {r['train_loss']:.4f} accuracy {r['train_accuracy']:.2%}"
        val = f"validation loss {r['val_loss']:.4f} accuracy {r['val_accuracy']:.2%}"
        speed = f"{r['samples_per_second']:,.0f} samples/s  {_duration(r['seconds'])}"
        line = f"{epoch}  {train}  {val}  {speed}"
        if self._progress is None:
            print(line, flush=True)
            return
        console = self._progress.console
        if console.width < len(line):  # broken where a reader would
            line = f"{epoch}  {train}\n{' ' * len(epoch)}  {val}  {speed}"
        console.print(line, highlight=False, soft_wrap=True)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Close the bar."""
        self.close()

    def close(self) -> None:
        """Give the terminal back, also when training failed."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def _steps(trainer: Trainer) -> tuple[int, int]:
    """How many steps are done, and how many there will be."""
    return trainer.epoch * trainer.steps_per_epoch + trainer.step, trainer.epochs * trainer.steps_per_epoch


def _of(trainer: Trainer) -> str:
    return f"{min(trainer.epoch + 1, trainer.epochs)}/{trainer.epochs}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s"


def print_confusion(matrix: Array, classes: Sequence[str]) -> None:
    """The confusion matrix as text: rows are what it was, columns what the model said.

    More than twenty classes are no table that anybody reads: then only the worst of it is told.
    """
    size = len(matrix)
    mistakes = np.where(np.eye(size, dtype=bool), 0, matrix)
    true, predicted = divmod(int(mistakes.argmax()), size)
    lines = _confusion_table(matrix, classes) if size <= 20 else []
    if mistakes.max():
        lines.append(
            f"most often: a {classes[true]} taken for a {classes[predicted]}, {mistakes.max():,} times"
        )
    print("\n".join(lines))


def _confusion_table(matrix: Array, classes: Sequence[str]) -> list[str]:
    size = len(matrix)
    width = max(4, len(f"{matrix.max():,}") + 1)
    lines = ["true ╲ predicted", "      " + "".join(f"{c:>{width}}" for c in range(size)) + "    right"]
    for row in range(size):
        cells = "".join(f"{n:>{width},}" if n else "·".rjust(width) for n in matrix[row])
        right = matrix[row, row] / max(1, matrix[row].sum())
        name = "" if classes[row] == str(row) else f"  {classes[row]}"
        lines.append(f"   {row:>2} {cells}   {right:>6.1%}{name}")
    return lines
