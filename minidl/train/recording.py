"""What was seen inside a network: figures and histograms by layer and step, to be read, drawn and kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minidl.errors import CheckpointError
from minidl.train.checkpoint import load_checkpoint, save_checkpoint
from minidl.train.summary import FIGURES, signed_decades

__all__ = ["KINDS", "Recording", "Row"]

KINDS = ("activation", "gradient", "parameter", "parameter_gradient")
EXTRA = {"activation": "dead", "parameter": "update"}
Row = dict[str, tuple[list[float], NDArray[np.int64]]]  # name → its figures and its histogram, at one step


class Recording:
    """What a `Recorder` recorded.

    Args:
        kinds: which kinds of numbers were recorded.
        bins: where the histogram's bins end, ascending.
        dead_after: a unit is dead that gave nothing but zeros for so many recorded steps in a row.

    Attributes:
        steps: the numbers of the recorded steps, counted from 0.
        edges: the bins.

    Raises:
        ValueError: an unknown kind, or bins that do not ascend.
    """

    steps: list[int]
    kinds: tuple[str, ...]
    edges: NDArray[np.float64]
    _rows: list[dict[str, Row]]  # one for each step, by kind
    _names: dict[str, list[str]]  # by kind, in the order of the network
    _asleep: dict[str, NDArray[np.int64]]  # for how many recorded steps each unit gave only zeros

    def __init__(
        self, kinds: Sequence[str] = KINDS, bins: ArrayLike | None = None, dead_after: int = 5
    ) -> None:
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise ValueError(
                f"{type(self).__name__}: expected kinds among {', '.join(KINDS)}, got {unknown[0]!r}"
            )
        self.kinds = tuple(kinds)
        self.dead_after = int(dead_after)
        self.edges = signed_decades() if bins is None else np.array(bins, np.float64)
        if self.edges.ndim != 1 or len(self.edges) < 1 or not (np.diff(self.edges) > 0).all():
            raise ValueError(f"{type(self).__name__}: expected bins to be ascending numbers, got {bins!r}")
        self.steps = []
        self._rows = []
        self._names = {kind: [] for kind in self.kinds}
        self._asleep = {}

    def names(self, kind: str) -> list[str]:
        """The layers or parameters that were recorded, in the order of the network."""
        self._known(kind)
        return list(self._names[kind])

    def figures(self, kind: str) -> tuple[str, ...]:
        """Which figures there are of a kind."""
        self._known(kind)
        return (*FIGURES, *((EXTRA[kind],) if kind in EXTRA else ()))

    def series(self, figure: str, kind: str = "gradient") -> NDArray[np.float64]:
        """One figure over the steps: (steps, names); NaN where there was nothing to record.

        Raises:
            ValueError: an unknown kind or figure, or one that this recorder leaves out.
        """
        if figure not in self.figures(kind):
            known = ", ".join(self.figures(kind))
            raise ValueError(f"{type(self).__name__}: expected of {kind} one of {known}, got {figure!r}")
        column = self.figures(kind).index(figure)
        rows = [
            [row[kind][name][0][column] if name in row[kind] else math.nan for name in self._names[kind]]
            for row in self._rows
        ]
        return np.array(rows, np.float64).reshape(len(self.steps), len(self._names[kind]))  # (steps, names)

    def histograms(self, kind: str = "gradient") -> NDArray[np.int64]:
        """How many numbers fell into each bin: (steps, names, len(edges) + 1).

        Raises:
            ValueError: an unknown kind, or one that this recorder leaves out.
        """
        self._known(kind)
        nothing = np.zeros(len(self.edges) + 1, np.int64)
        rows = [
            [row[kind][n][1] if n in row[kind] else nothing for n in self._names[kind]] for row in self._rows
        ]
        return np.array(rows, np.int64).reshape(len(rows), len(self._names[kind]), len(nothing))

    def dead_units(self, layer: str) -> NDArray[np.bool_]:
        """Which units of a layer have given nothing but zeros for the last `dead_after` recorded steps.

        Raises:
            KeyError: no such layer was recorded.
        """
        if layer not in self._asleep:
            known = ", ".join(self._asleep) or "no layers"
            raise KeyError(f"{type(self).__name__}: expected one of {known}, got {layer!r}")
        return self._asleep[layer] >= self.dead_after

    def _known(self, kind: str) -> None:
        if kind not in self.kinds:
            raise ValueError(
                f"{type(self).__name__}: expected one of the kinds {', '.join(self.kinds)}, got {kind!r}"
            )

    # ---------------------------------------------------------------- pictures and files

    def plot(
        self,
        picture: str = "flow",
        kind: str = "gradient",
        *,
        axes: Any = None,
        path: Any = None,
        **more: Any,
    ) -> Any:
        """Draw what was recorded.

        Args:
            picture: `"flow"`, a bar for each layer at one step; `"norms"`, a line for each layer over the
                steps; `"histograms"`, how the numbers of each layer are spread, at one step; `"dead"`, the
                share of dead units of each layer over the steps.
            kind: of which numbers; dead units are activations.
            axes: of matplotlib, to draw into; None makes a figure.
            path: where to save the picture (.png, .svg, .pdf); None saves nothing.
            **more: `step=`, which of the recorded steps (−1, the last); `figure=`, which figure (`"rms"`);
                `names=`, which layers.

        Returns:
            The figure.

        Raises:
            ValueError: an unknown picture, kind or figure, or nothing was recorded.
        """
        from minidl.train.recorder_plots import PICTURES

        if picture not in PICTURES:
            raise ValueError(
                f"{type(self).__name__}: expected a picture among {', '.join(PICTURES)}, got {picture!r}"
            )
        if not self.steps:
            raise ValueError(f"{type(self).__name__}: expected at least one recorded step to draw, got none")
        figure = PICTURES[picture](self, "activation" if picture == "dead" else kind, axes, **more)
        if path is not None:
            figure.savefig(path)
        return figure

    def save(self, path: str | Path) -> None:
        """Write all that was recorded to a file of arrays (safetensors), atomically."""
        records = {}
        for kind, names in self._names.items():
            figures = [self.series(figure, kind) for figure in self.figures(kind)]
            there = [[name in row[kind] for name in names] for row in self._rows]
            records[kind] = {
                "names": names,
                "figures": np.stack(figures, axis=-1),  # (steps, names, figures)
                "histograms": self.histograms(kind),
                "there": np.array(there, bool).reshape(len(self.steps), len(names)),  # (steps, names)
            }
        tree = {"recording": 1, "kinds": self.kinds, "edges": self.edges, "dead_after": self.dead_after}
        save_checkpoint({**tree, "steps": self.steps, "asleep": self._asleep, "records": records}, path)

    @staticmethod
    def load(path: str | Path) -> Recording:
        """Read what `save` wrote.

        Raises:
            CheckpointError: the file is missing, damaged, or of something else.
        """
        tree = load_checkpoint(path)
        try:
            if tree["recording"] != 1:
                raise ValueError(f"format {tree['recording']}")
            recording = Recording(tree["kinds"], tree["edges"], tree["dead_after"])
            recording.steps = list(tree["steps"])
            recording._asleep = dict(tree["asleep"])
            recording._rows = [{} for _ in recording.steps]
            for kind, record in tree["records"].items():
                recording._names[kind] = list(record["names"])
                for i, row in enumerate(recording._rows):
                    row[kind] = {
                        name: (record["figures"][i, j].tolist(), record["histograms"][i, j])
                        for j, name in enumerate(record["names"])
                        if record["there"][i, j]
                    }
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise CheckpointError(f"{path}: expected a recording, got something else: {error!r}") from error
        return recording

    def __repr__(self) -> str:
        count = max(map(len, self._names.values()), default=0)
        return f"{type(self).__name__}({len(self.steps)} steps, {count} names)"
