"""Batches from a data set, in an order that a seed fixes and at a position that can be saved and resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.array.random import default_generator
from minidl.data.dataset import Arrays, Dataset
from minidl.data.recipe import Recipe, Task
from minidl.data.samplers import BatchSampler, RandomSampler, Sampler, SequentialSampler
from minidl.errors import StateDictError

if TYPE_CHECKING:
    from minidl.data.workers import WorkerPool

__all__ = ["DataLoader"]


class DataLoader:
    """Go through a data set in batches; each `for` loop over the loader is one epoch.

    A batch is a tuple with one array per part of a sample, such as `(images, labels)`; its arrays are
    fresh, so changing them leaves the data set as it was. A data set with a `fetch` method
    (`BatchDataset`) is sliced by index in one go; of any other the samples are stacked one by one.

    The order of epoch e depends on (`seed`, e) alone, and what is drawn at random while batch k of it is
    made, by `transform` or by the data set from minidl's one generator, on (`seed`, e, k) alone: the
    batches are the same at any `num_workers`. So (seed, epoch, batch) says everything about a position:
    `state_dict` inside a loop, after batch k came, says that k + 1 batches were delivered; a loader that
    loads it goes on with batch k + 1 without reading those before it. A loop that ended by `break` is
    over: the next loop is the next epoch.

    Workers are processes of their own, started by the first loop and kept for later ones, each with a
    copy of the data set as it was then; they end with the loader, by `close()`, or with the program. A
    script that uses them does so below `if __name__ == "__main__":`, since each worker imports it.

    Args:
        dataset: what to go through; anything with `__len__` and `__getitem__`.
        batch_size: samples per batch; the last batch of an epoch may hold fewer.
        shuffle: deal the samples in a new random order every epoch.
        drop_last: leave out a last batch that is not full.
        sampler: the samples' order in place of `shuffle`: a `Sampler`, or any other iterable with a length,
            of which a position can only be resumed if it gives the same order every time.
        batch_sampler: the batches themselves, in place of the four options above: a `BatchSampler`, or any
            iterable with a length that gives lists of numbers.
        num_workers: processes that make batches ahead; 0 makes them in this one when they are asked for.
        collate_fn: makes a batch out of a list of samples, in place of stacking them.
        prefetch: how many batches each worker makes ahead.
        timeout: seconds to wait for a worker's batch before an error is raised; 0 waits for ever.
        transform: called as `transform(inputs, rng=rng)` with the first array of every batch, such as the
            transforms of `minidl.data.transforms`; returns as many rows.
        seed: an integer ≥ 0 that fixes the orders; None draws one from minidl's one generator, so that
            `manual_seed` fixes them too.

    Raises:
        ValueError: a number is too small, options exclude each other, or a sampler has an `rng` of its own.
        TypeError: a number is none, or the data set has no length or no samples by number; with workers,
            the data set, `collate_fn` or `transform` cannot be pickled.
        ShapeError: samples cannot be stacked, or `transform` returns another number of rows.
        WorkerError: a worker raised (its traceback is in the message), died, or took longer than `timeout`.
    """

    dataset: Dataset
    batch_size: int
    shuffle: bool
    drop_last: bool
    num_workers: int
    prefetch: int
    seed: int

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        *,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        prefetch: int = 2,
        timeout: float = 0,
        transform: Callable[..., Any] | None = None,
        seed: int | None = None,
    ) -> None:
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            kind = type(dataset).__name__
            raise TypeError(f"DataLoader: expected a data set with __len__ and __getitem__, got {kind}")
        self.dataset = dataset
        self.batch_size = _integer("batch_size", batch_size, least=1)
        self.shuffle = bool(shuffle)
        self.drop_last = bool(drop_last)
        self.sampler, self.batch_sampler = sampler, batch_sampler
        self.num_workers = _integer("num_workers", num_workers, least=0)
        self.prefetch = _integer("prefetch", prefetch, least=1)
        if not 0 <= timeout < float("inf"):
            raise ValueError(f"DataLoader: expected a timeout of at least 0 seconds, got {timeout}")
        self.timeout = timeout
        self.collate_fn, self.transform = collate_fn, transform
        self._check_samplers()
        drawn = default_generator().integers(2**63 - 1) if seed is None else seed
        self.seed = _integer("seed", drawn, least=0)
        if batch_sampler is None:
            order = RandomSampler(dataset) if shuffle else SequentialSampler(dataset)
            batch_sampler = BatchSampler(
                order if sampler is None else sampler, self.batch_size, self.drop_last
            )
        self._batch_sampler = batch_sampler
        self._position = (0, 0)  # epoch, and how many of its batches were delivered
        self._start = (0, 0)  # where the next loop begins
        self._pool: WorkerPool | None = None  # idle workers; a loop that uses them takes them out

    def _check_samplers(self) -> None:
        own = self.shuffle or self.drop_last or self.batch_size != 1 or self.sampler is not None
        if self.batch_sampler is not None and own:
            raise ValueError(
                "DataLoader: expected batch_sampler alone, got batch_size, shuffle, sampler or drop_last too"
            )
        if self.sampler is not None and self.shuffle:
            raise ValueError("DataLoader: expected sampler or shuffle, got both")
        for name in ("sampler", "batch_sampler"):
            given = getattr(self, name)
            if given is None:
                continue
            if not hasattr(given, "__len__") or not hasattr(given, "__iter__"):
                kind = type(given).__name__
                raise TypeError(f"DataLoader: expected a {name} with __len__ and __iter__, got {kind}")
            inner = given.sampler if isinstance(given, BatchSampler) else given
            if isinstance(inner, Sampler) and inner.rng is not None:
                raise ValueError(
                    f"DataLoader: expected a {name} without an rng of its own, since the loader's seed "
                    f"fixes the order, got {inner!r} with one"
                )

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return len(self._batch_sampler)

    def __iter__(self) -> Iterator[Arrays]:
        epoch, first = self._start
        self._start = (epoch + 1, 0)
        return self._batches(epoch, first)

    def _batches(self, epoch: int, first: int) -> Iterator[Any]:
        seed, recipe = self.seed, Recipe(self.dataset, self.collate_fn, self.transform)
        plan = self._plan(epoch)
        tasks = (Task(plan[batch], seed, epoch, batch) for batch in range(first, len(plan)))
        made = map(recipe.make, tasks) if self.num_workers == 0 else self._from_workers(recipe, tasks)
        for batch, arrays in enumerate(made, start=first):
            self._position = (epoch, batch + 1)
            yield arrays
        self._position = (epoch + 1, 0)

    def _plan(self, epoch: int) -> list[Any]:
        """The numbers of the samples of every batch of this epoch, whatever was drawn before it."""
        # A spawn key gives every epoch a stream of its own that is independent of manual_seed(seed)'s.
        seed = np.random.SeedSequence(self.seed, spawn_key=(epoch,))
        rng = np.random.Generator(np.random.PCG64(seed))
        if isinstance(self._batch_sampler, BatchSampler):
            return self._batch_sampler.batches(rng)
        return [np.array(list(batch), np.intp) for batch in self._batch_sampler]

    def _from_workers(self, recipe: Recipe, tasks: Iterator[Task]) -> Iterator[Any]:
        pool, self._pool = self._pool, None
        if pool is None or pool.closed:  # none yet, or another loop over this loader is using them
            from minidl.data.workers import WorkerPool

            pool = WorkerPool(recipe, self.num_workers, self.prefetch, self.timeout)
        try:
            yield from pool.run(tasks)
        finally:
            if self._pool is None and not pool.closed:
                self._pool = pool
            else:
                pool.close()

    def close(self) -> None:
        """End the workers, if there are any; a later loop starts new ones."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pool": None}  # a copy starts workers of its own

    def state_dict(self) -> dict[str, Any]:
        """The position, as numbers that fit into JSON, and what it holds for."""
        epoch, batch = self._position
        return {"epoch": epoch, "batch": batch, "seed": self.seed, **self._settings()}

    def _settings(self) -> dict[str, Any]:
        """What must be the same for a position to mean the same batches."""
        samplers = {"sampler": self.sampler, "batch_sampler": self.batch_sampler}
        return {
            "samples": len(self.dataset),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
            **{name: _described(given) for name, given in samplers.items() if given is not None},
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


def _described(sampler: Any) -> str:
    """A sampler in words that are the same in every process."""
    if isinstance(sampler, BatchSampler):
        inner = _described(sampler.sampler)
        return f"BatchSampler({inner}, batch_size={sampler.batch_size}, drop_last={sampler.drop_last})"
    return f"{type(sampler).__name__}({len(sampler)})"


def _integer(name: str, value: Any, least: int) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise TypeError(f"DataLoader: expected {name} to be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"DataLoader: expected {name} of at least {least}, got {value}")
    return int(value)
