"""Two processes that take turns: A B A B …, each measuring while the other waits.

The figure is the median over the turns of opponent / minidl: above 1, minidl is faster. A ratio of two
neighbouring turns holds on a machine whose speed wanders, where a time does not.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from minidl.bench.agree import check_agreement
from minidl.bench.case import Case
from minidl.bench.process import BenchError

__all__ = ["BenchError", "Duel", "Settings", "Side", "duel"]


@dataclass(frozen=True)
class Settings:
    """How long to measure.

    Attributes:
        turns: of each side, at most.
        seconds: that a turn lasts at least.
        steps: in a turn at least.
        warmup: seconds of unmeasured steps of each side before the first turn.
        budget: seconds after which no new turn begins, if there were `least` of them.
        least: turns that are taken whatever they cost.
        rest: seconds between two turns, in which the other side's threads stop spinning.
    """

    turns: int = 21
    seconds: float = 0.04
    steps: int = 3
    warmup: float = 0.3
    budget: float = 20.0
    least: int = 5
    rest: float = 0.005

    @classmethod
    def quick(cls) -> Settings:
        """A first impression."""
        return cls(turns=9, seconds=0.03, warmup=0.1, budget=4.0, least=3)


class Side(Protocol):
    """What a duel needs of a worker; `Process` is one."""

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """One command and its answer."""


@dataclass
class Duel:
    """What two sides made of one case.

    Attributes:
        case: what was run.
        turns: by part, the milliseconds of each turn, minidl's and the opponent's.
        flops: by part.
        peak_bytes: what the first steps added to each process's (or its GPU's) memory, if it was asked for.
        first_ms: from the network's construction to its first step's end, with what it loads or compiles.
        difference: the largest relative difference of the results.
    """

    case: Case
    turns: dict[str, list[tuple[float, float]]]
    flops: dict[str, int] = field(default_factory=dict)
    peak_bytes: tuple[int | None, int | None] = (None, None)
    first_ms: tuple[float, float] = (0.0, 0.0)
    difference: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)


def duel(case: Case, minidl: Side, opponent: Side, settings: Settings, memory: bool = False) -> Duel:
    """Let two workers run a case in turn.

    Args:
        case: what to run.
        minidl: one worker.
        opponent: the other.
        settings: how long.
        memory: also look at peak memory; the workers must be fresh.

    Raises:
        BenchError: a worker failed, or the two computed different things; then nothing is timed.
    """
    sides = (minidl, opponent)
    with tempfile.TemporaryDirectory(prefix="minidl-bench-") as folder:
        opened, results = [], []
        for number, side in enumerate(sides):
            path = Path(folder) / f"{number}.npz"
            opened.append(side.ask("open", case=case.name, memory=memory, results=str(path)))
            with np.load(path) as file:
                results.append(dict(file))
        difference = check_agreement(results[0], results[1], case.random, case.extent)
    for side in sides:
        side.ask("turn", seconds=settings.warmup, steps=settings.steps)

    turns: dict[str, list[tuple[float, float]]] = {}
    end = time.monotonic() + settings.budget
    for number in range(settings.turns):
        if number >= settings.least and time.monotonic() > end:
            break
        taken = []
        for side in sides:
            time.sleep(settings.rest)
            taken.append(side.ask("turn", seconds=settings.seconds, steps=settings.steps)["ms"])
        for part, ms in taken[0].items():
            turns.setdefault(part, []).append((ms, taken[1][part]))
    ours, theirs = opened
    return Duel(
        case, turns, ours["flops"], (ours["peak_bytes"], theirs["peak_bytes"]),
        (ours["first_ms"], theirs["first_ms"]), difference, {**theirs["versions"], **ours["versions"]},
    )  # fmt: skip
