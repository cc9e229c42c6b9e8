"""Data sets for the tests of workers, in a module of their own: worker processes import it."""

import os
import signal
import sys
import time

import numpy as np

from minidl.array.random import default_generator
from minidl.data import ArrayDataset

__all__ = [
    "Leaves",
    "Noisy",
    "Raises",
    "Refuses",
    "Slow",
    "UnpicklableError",
    "pairs",
    "pids_of",
    "shift_all",
]


class Noisy(ArrayDataset):
    """Adds noise from minidl's one generator while a batch is fetched."""

    def fetch(self, indices):
        x, y = super().fetch(indices)
        return x + default_generator().standard_normal(x.shape), y


class Raises:
    """Sample 7 cannot be read."""

    def __init__(self, error=KeyError):
        self.error = error

    def __len__(self):
        return 12

    def __getitem__(self, index):
        if index == 7:
            raise self.error("picture 7 is damaged")
        return np.float32(index), index


class UnpicklableError(Exception):
    """An error that does not survive pickling."""

    def __init__(self, text):
        super().__init__(text)
        self.lock = open(os.devnull)  # noqa: SIM115

    def __del__(self):
        self.lock.close()


class Leaves:
    """Sample 7 ends the process that reads it, in one of several ways."""

    def __init__(self, how):
        self.how = how

    def __len__(self):
        return 12

    def __getitem__(self, index):
        if index == 7:
            if self.how == "sys.exit":
                sys.exit(3)
            if self.how == "os._exit":
                os._exit(4)
            os.kill(os.getpid(), getattr(signal, self.how))
            time.sleep(60)
        return np.float32(index), index


class Slow:
    """Sleeps over every sample; says which process reads."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __len__(self):
        return 12

    def __getitem__(self, index):
        time.sleep(self.seconds)
        return os.getpid(), index


class Refuses:
    """Cannot be unpickled."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return index

    def __setstate__(self, state):
        raise ValueError("no room for me here")

    def __getstate__(self):
        return {"x": 1}


def pairs(samples):
    """A collate function: a list becomes a dictionary."""
    return {"x": np.array([x for x, _ in samples]), "count": len(samples)}


def pids_of(loop):
    """The processes that a loop over a loader is using."""
    pool = loop.gi_frame.f_locals["made"].gi_frame.f_locals["pool"]
    return [process.pid for process, _ in pool._workers]


def shift_all(x, *, rng):
    """A transform that draws."""
    return x + rng.random(x.shape)
