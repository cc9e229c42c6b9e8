"""History: what each epoch measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from minidl.errors import CheckpointError
from minidl.train.files import write_json

__all__ = ["History"]

Record = dict[str, float]


class History:
    """One record per epoch: a dict such as `{"epoch": 1, "train_loss": 0.31, "val_accuracy": 0.95}`.

    `history["val_loss"]` is one column over all epochs; iterating gives the records.
    """

    records: list[Record]

    def __init__(self, records: list[Record] | None = None) -> None:
        self.records = [] if records is None else records

    def append(self, record: Mapping[str, float]) -> None:
        """Add an epoch."""
        self.records.append(dict(record))

    @property
    def columns(self) -> list[str]:
        """Every name that some record holds, in order of appearance."""
        return list(dict.fromkeys(name for record in self.records for name in record))

    def __getitem__(self, column: str) -> list[float]:
        if column not in self.columns:
            raise KeyError(
                f"History: expected one of {', '.join(self.columns) or 'no columns'}, got {column!r}"
            )
        return [record.get(column, float("nan")) for record in self.records]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def save(self, path: str | Path) -> None:
        """Write the records as JSON, atomically."""
        write_json(path, self.records)

    @classmethod
    def load(cls, path: str | Path) -> History:
        """Read what `save` wrote.

        Raises:
            CheckpointError: the file is missing or holds no list of records.
        """
        try:
            records = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{path}: expected a history in JSON, got: {error}") from error
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise CheckpointError(f"{path}: expected a list of records, got something else")
        return cls(records)

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw training and validation curves, one panel per figure.

        Args:
            path: where to save the picture (.png, .svg, .pdf); None saves nothing.

        Returns:
            The `matplotlib.figure.Figure`.
        """
        from minidl.train.plots import plot_history

        figure = plot_history(self)
        if path is not None:
            figure.savefig(path)
        return figure

    def __repr__(self) -> str:
        return f"History({len(self)} epochs: {', '.join(self.columns)})"
