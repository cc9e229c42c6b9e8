"""Batches from a data set, in an order that a seed fixes and at a position that can be saved and resumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl.array.random import default_generator
from minidl.data.dataset import Arrays, Dataset, fetch
from minidl.errors import StateDictError

__all__ = ["DataLoader"]


class DataLoader:
    """Go through a data set in batches; each `for` loop over the loader is one epoch.

    A batch is a tuple with one array per part of a sample, such as `(images, labels)`; its arrays are
    fresh, so changing them leaves the data set as it was. A data set with a `fetch` method
    (`BatchDataset`) is sliced by index in one go; of any other the samples are stacked one by one.

    The order of epoch e depends on (`seed`, e) alone. So (seed, epoch, batch) says everything about a
    position: `state_dict` inside a loop, after batch k came, says that k + 1 batches were delivered;
    a loader that loads it goes on with batch k + 1 without reading those before it. A loop that ended
    by `break` is over: the next loop is the next epoch.

    Args:
        dataset: what to go through; anything with `__len__` and `__getitem__`.
        batch_size: samples per batch; the last batch of an epoch may hold fewer.
        shuffle: deal the samples in a new random order every epoch.
        drop_last: leave out a last batch that is not full.
        seed: an integer ≥ 0 that fixes the orders; None draws one from minidl's one generator, so that
            `manual_seed` fixes them too.

    Raises:
        ValueError: `batch_size` below 1, or `seed` below 0.
        TypeError: either is no integer, or the data set has no length or no samples by number.
    """

    dataset: Dataset
    batch_size: int
    shuffle: bool
    drop_last: bool
    seed: int

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        *,
        seed: int | None = None,
    ) -> None:
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            kind = type(dataset).__name__
            raise TypeError(f"DataLoader: expected a data set with __len__ and __getitem__, got {kind}")
        self.dataset = dataset
        self.batch_size = _integer("batch_size", batch_size, least=1)
        self.shuffle = bool(shuffle)
        self.drop_last = bool(drop_last)
        drawn = default_generator().integers(2**63 - 1) if seed is None else seed
        self.seed = _integer("seed", drawn, least=0)
        self._position = (0, 0)  # epoch, and how many of its batches were delivered
        self._start = (0, 0)  # where the next loop begins

    def __len__(self) -> int:
        """How many batches an epoch has."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Arrays]:
        epoch, first = self._start
        self._start = (epoch + 1, 0)
        return self._batches(epoch, first)

    def _batches(self, epoch: int, first: int) -> Iterator[Arrays]:
        order = self._order(epoch)
        for batch in range(first, len(self)):
            arrays = fetch(self.dataset, order[batch * self.batch_size : (batch + 1) * self.batch_size])
            self._position = (epoch, batch + 1)
            yield arrays
        self._position = (epoch + 1, 0)

    def _order(self, epoch: int) -> NDArray[np.intp]:
        """The samples' numbers in the order of this epoch, whatever was drawn before it."""
        if not self.shuffle:
            return np.arange(len(self.dataset))
        # A spawn key gives every epoch a stream of its own that is independent of manual_seed(seed)'s.
        seed = np.random.SeedSequence(self.seed, spawn_key=(epoch,))
        return np.random.Generator(np.random.PCG64(seed)).permutation(len(self.dataset))

    def state_dict(self) -> dict[str, int | bool]:
        """The position, as numbers that fit into JSON, and what it holds for."""
        epoch, batch = self._position
        return {"epoch": epoch, "batch": batch, "seed": self.seed, **self._settings()}

    def _settings(self) -> dict[str, int | bool]:
        """What must be the same for a position to mean the same batches."""
        return {
            "samples": len(self.dataset),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a position and its seed: the next loop gives the rest of that epoch.

        After the last batch of an epoch that rest is empty; the loop after it is the next epoch.

        Raises:
            StateDictError: keys are missing, or the position is one of other settings; nothing changed.
        """
        missing = [key for key in self.state_dict() if key not in state_dict]
        if missing:
            raise StateDictError(
                f"DataLoader: expected a position with {', '.join(missing)}, got {state_dict}"
            )
        for key, here in self._settings().items():
            if state_dict[key] != here:
                raise StateDictError(
                    f"DataLoader: expected a position for {key}={here}, got one for {key}={state_dict[key]}"
                )
        try:
            epoch, batch, seed = (
                _integer(key, state_dict[key], least=0) for key in ("epoch", "batch", "seed")
            )
        except (TypeError, ValueError) as error:
            raise StateDictError(str(error)) from error
        if batch > len(self):
            raise StateDictError(f"DataLoader: expected a batch of at most {len(self)}, got {batch}")
        self.seed = seed
        self._position = self._start = (epoch, batch)

    def __repr__(self) -> str:
        return (
            f"DataLoader({self.dataset!r}, batch_size={self.batch_size}, shuffle={self.shuffle}, "
            f"drop_last={self.drop_last}, seed={self.seed})"
        )


def _integer(name: str, value: Any, least: int) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise TypeError(f"DataLoader: expected {name} to be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"DataLoader: expected {name} of at least {least}, got {value}")
    return int(value)
