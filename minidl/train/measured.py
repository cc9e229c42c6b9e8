"""What a run measures as it goes: the mean loss and the metrics, over the batches since an epoch began."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minidl.array import Array, to_host
from minidl.metrics import Mean, Metric

__all__ = ["Measured"]


class Measured:
    """The loss, weighted by samples, and any metrics: they take batches, start anew and go on together.

    Raises:
        TypeError: something that is no streaming metric.
        ValueError: two of one name.
    """

    metrics: list[Metric]

    def __init__(self, metrics: Sequence[Metric]) -> None:
        for metric in metrics:
            if not all(hasattr(metric, part) for part in ("name", "update", "compute", "reset")):
                raise TypeError(
                    f"Trainer: expected streaming metrics, such as metrics.Accuracy(), got {metric!r}"
                )
        self.metrics = list(metrics)
        self._loss = Mean("loss")
        self._all: list[Metric] = [self._loss, *self.metrics]  # type: ignore[list-item]
        names = [metric.name for metric in self._all]
        if len(set(names)) < len(names):
            raise ValueError(f"Trainer: expected metrics of different names, got {', '.join(names)}")

    def update(self, prediction: Array | tuple[Array, ...], target: Array, loss: float) -> None:
        """Take in a batch and its mean loss; of several outputs, metrics see the first."""
        self._loss.update(loss, len(target))
        if isinstance(prediction, tuple):
            prediction = prediction[0]
        if self.metrics:
            prediction, target = to_host(prediction), to_host(target)
        for metric in self.metrics:
            metric.update(prediction, target)

    def figures(self) -> dict[str, float]:
        """Everything by its name.

        Raises:
            TypeError: a metric is of several numbers.
        """
        return {metric.name: _figure(metric) for metric in self._all}

    def reset(self) -> None:
        """Forget every batch."""
        for metric in self._all:
            metric.reset()

    def state_dict(self) -> list[dict[str, Any]]:
        """The state of each."""
        return [metric.state_dict() for metric in self._all]

    def load_state_dict(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Go on from states that `state_dict` gave."""
        for metric, state in zip(self._all, states, strict=True):
            metric.load_state_dict(state)


def _figure(metric: Metric) -> float:
    value = metric.compute()
    if not isinstance(value, int | float | np.generic) and np.shape(value) != ():
        raise TypeError(
            f"Trainer: expected metrics of one number each, got {metric.name} of shape {np.shape(value)}; "
            "measure it after training"
        )
    return float(value)
