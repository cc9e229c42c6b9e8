"""How one batch is made, in whichever process: the same samples and the same draws at any `num_workers`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidl.array.random import default_generator
from minidl.data.dataset import Dataset, fetch
from minidl.errors import ShapeError

__all__ = ["Recipe", "Task"]


class Task(NamedTuple):
    """One batch to be made: which samples, and what its random draws depend on."""

    indices: NDArray[np.intp]
    seed: int
    epoch: int
    batch: int


class Recipe(NamedTuple):
    """What a loader does with the numbers of a batch's samples."""

    dataset: Dataset
    collate_fn: Callable[[list[Any]], Any] | None
    transform: Callable[..., Any] | None

    def make(self, task: Task) -> Any:
        """One batch."""
        with _seeded(task) as rng:
            if self.collate_fn is None:
                batch: Any = fetch(self.dataset, task.indices)
            else:
                batch = self.collate_fn([self.dataset[int(index)] for index in task.indices])
            return batch if self.transform is None else self._transformed(batch, rng)

    def _transformed(self, batch: Any, rng: np.random.Generator) -> Any:
        assert self.transform is not None
        if not isinstance(batch, Sequence):
            return self.transform(batch, rng=rng)
        inputs, *rest = batch
        transformed = self.transform(inputs, rng=rng)
        if len(transformed) != len(inputs):
            raise ShapeError(
                f"DataLoader: expected transform to return {len(inputs)} rows, "
                f"got shape {np.shape(transformed)}"
            )
        return (transformed, *rest)


@contextmanager
def _seeded(task: Task) -> Iterator[np.random.Generator]:
    """The one generator at a state that (seed, epoch, batch) fixes, and put back afterwards.

    So whatever a data set draws from it while the batch is made is the same in every process, and what the
    model draws in training does not depend on where batches are made.
    """
    rng = default_generator()
    before = rng.bit_generator.state
    # The epoch's order has the spawn key (epoch,): no batch shares its stream.
    seed = np.random.SeedSequence(task.seed, spawn_key=(task.epoch, task.batch))
    rng.bit_generator.state = np.random.PCG64(seed).state
    try:
        yield rng
    finally:
        rng.bit_generator.state = before
