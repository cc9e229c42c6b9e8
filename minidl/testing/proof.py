"""Proof of a table of components: every class through every check, its numbers by hand, its planted bugs.

A table is a Python file with a list `SAMPLES`, such as minidl's own `tests/component_table.py`. Two files
beside it are used if they are there: `by_hand.py` with `BY_HAND` (class → functions that check numbers worked
out on paper), and `layer_bugs.py` with `LAYER_BUGS` (pairs of a class and a `Bug` in it).
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import minidl
from minidl.kernels.registry import use_backend
from minidl.testing.component import CHECKS, Sample
from minidl.testing.gradients import GradientCheck, WrongGradientError
from minidl.testing.planted import Bug, planted

__all__ = ["OWN_TABLE", "Caught", "Proof", "Table", "catch_bugs", "prove_all"]

OWN_TABLE = Path(minidl.__file__).parents[1] / "tests" / "component_table.py"
"""Where a checkout of minidl keeps the table of its own classes; an installed wheel has none."""


class Proof(NamedTuple):
    """What the checks of one class found.

    Attributes:
        component: the class's name.
        samples: how many samples it was checked with.
        passed: how many checks passed, those by hand included.
        checks: how many ran.
        worst: the largest error of a gradient, |analytic − numerical| / max(1, |numerical|).
        failures: a line for each check that failed.
    """

    component: str
    samples: int
    passed: int
    checks: int
    worst: float
    failures: tuple[str, ...]


class Caught(NamedTuple):
    """What became of one planted bug: `by` is the check that noticed it, empty if none did."""

    component: str
    bug: str
    by: str


class Outcome(NamedTuple):
    """What one check of one sample found: a line if it failed, and what a check of gradients measured."""

    check: str
    failure: str
    gradients: GradientCheck | None


class Table:
    """The samples, numbers by hand and planted bugs that stand in one folder.

    Args:
        path: the file with `SAMPLES`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no list `SAMPLES` of samples.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).resolve()
        if not self.path.is_file():
            raise FileNotFoundError(f"{path}: expected a file with a list SAMPLES, got none there")
        self.samples: list[Sample] = getattr(_run_file(self.path), "SAMPLES", [])
        if not self.samples or not all(isinstance(sample, Sample) for sample in self.samples):
            raise ValueError(f"{path}: expected a list SAMPLES of minidl.testing.Sample, got none there")
        self.by_hand: dict[type, Sequence[Callable[[], None]]] = self._get("by_hand", "BY_HAND", {})
        self.bugs: list[tuple[type, Bug]] = self._get("layer_bugs", "LAYER_BUGS", [])
        self.of: dict[str, list[Sample]] = {}
        for sample in self.samples:
            self.of.setdefault(type(sample.make()).__name__, []).append(sample)

    def _get(self, module: str, name: str, otherwise: Any) -> Any:
        path = self.path.with_name(f"{module}.py")
        return getattr(_run_file(path), name) if path.is_file() else otherwise

    def names(self, wanted: Sequence[str] = ()) -> list[str]:
        """The classes' names in the table's order; all, or those that are wanted.

        Raises:
            ValueError: a wanted class has no sample.
        """
        unknown = [name for name in wanted if name not in self.of]
        if unknown:
            raise ValueError(f"{self.path}: expected samples of {', '.join(unknown)}, got none there")
        return [name for name in self.of if not wanted or name in wanted]

    def prove(self, name: str, left_out: Sequence[str] = ()) -> Proof:
        """Put one class through all checks but those left out, and check its numbers by hand."""
        outcomes = list(self._outcomes(name, left_out))
        failures = tuple(outcome.failure for outcome in outcomes if outcome.failure)
        worst = max((outcome.gradients.worst for outcome in outcomes if outcome.gradients), default=0.0)
        passed = len(outcomes) - len(failures)
        return Proof(name, len(self.of[name]), passed, len(outcomes), worst, failures)

    def catch(self, name: str) -> list[Caught]:
        """Plant every bug of one class, one at a time, and say which check notices it."""
        return [
            Caught(name, bug.name, self.caught_by(name, bug))
            for component, bug in self.bugs
            if component.__name__ == name
        ]

    def caught_by(self, name: str, bug: Bug) -> str:
        """The check of a class that notices a planted bug, or nothing."""
        with planted(bug), use_backend("numpy"):
            return self.first_failure(name)

    def first_failure(self, name: str) -> str:
        """The first check that fails, or nothing.

        Bugs must be caught without PyTorch; and a compiled twin that met one would keep what it computed.
        """
        for outcome in self._outcomes(name, ("torch", "backends", "device")):
            if outcome.failure:
                return outcome.check
        return ""

    def _outcomes(self, name: str, left_out: Sequence[str]) -> Iterator[Outcome]:
        for sample in self.of[name]:
            for check, function in CHECKS.items():
                if check not in left_out:
                    yield _outcome(check, partial(function, sample), str(sample))
        for component, functions in self.by_hand.items():
            if component.__name__ == name:
                for by_hand in functions:
                    yield _outcome(by_hand.__name__, by_hand, "by hand")


def _run_file(path: Path) -> Any:
    """The module that a Python file makes; it may import what stands beside it.

    It is imported by its own name, since the files import one another and must meet the same classes.
    """
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    module = importlib.import_module(path.stem)
    if Path(module.__file__ or "").resolve() != path:
        raise ValueError(f"{path}: expected another name: a module {path.stem} is loaded, {module.__file__}")
    return module


def _outcome(check: str, run: Callable[[], object], where: str) -> Outcome:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = run()
        return Outcome(check, "", found if isinstance(found, GradientCheck) else None)
    except Exception as error:
        lines = str(error).strip().split("\n")
        reason = next((line for line in lines if line.startswith("✗")), lines[0]) or type(error).__name__
        gradients = error.check if isinstance(error, WrongGradientError) else None
        return Outcome(check, f"{check}: {where}: {reason}", gradients)


def prove_all(path: Path, names: Sequence[str], jobs: int | None = None) -> Iterator[Proof]:
    """Prove classes of a table in several processes, and give the proofs in the table's order.

    Without PyTorch its comparison is left out.
    """
    left_out = () if importlib.util.find_spec("torch") else ("torch",)
    yield from _in_processes(_prove, [(path, name, left_out) for name in names], jobs)


def catch_bugs(path: Path, names: Sequence[str], jobs: int | None = None) -> Iterator[Caught]:
    """Plant the bugs of classes of a table in several processes, and say which check caught each."""
    for some in _in_processes(_catch, [(path, name) for name in names], jobs):
        yield from some


def _in_processes(work: Callable[..., Any], tasks: list[tuple[Any, ...]], jobs: int | None) -> Iterator[Any]:
    # spawned and not forked: a process with running threads, as Numba's, must not be forked
    with ProcessPoolExecutor(jobs or os.cpu_count(), get_context("spawn")) as pool:
        yield from pool.map(work, *zip(*tasks, strict=True))


_table = cache(Table)


def _prove(path: Path, name: str, left_out: Sequence[str]) -> Proof:
    return _table(path).prove(name, left_out)


def _catch(path: Path, name: str) -> list[Caught]:
    return _table(path).catch(name)
