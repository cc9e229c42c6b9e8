"""From turns to figures: medians, quartiles, limits and growth, as plain data that becomes JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from minidl.bench.duel import Duel, Settings
from minidl.errors import MinidlError

__all__ = [
    "BUSY", "FORMAT", "Report", "Row", "exponent", "geometric_mean", "megabytes", "milliseconds", "rows"
]  # fmt: skip

BUSY = 0.1
"""Cores in use by others above which a run is worth little: threads that wait for each other suffer most."""
FORMAT = 1
"""Version of the JSON file; it changes when a field changes its meaning."""

Row = dict[str, Any]


def rows(duel: Duel, peak_gflops: float) -> list[Row]:
    """One row of figures per timed part.

    Args:
        duel: what was measured.
        peak_gflops: the machine's arithmetic peak.

    Returns:
        For each part: name, group, part, text, minidl_ms, opponent_ms (medians over turns), ratio
        (the median of opponent / minidl over turns) with its quartiles ratio_low and ratio_high, turns,
        flops, moved (bytes), limit_ms, the two peak_bytes, first_ms, difference, curve.
    """
    made = []
    for part, pairs in duel.turns.items():
        ours, theirs = np.array(pairs).T
        low, ratio, high = np.percentile(theirs / ours, [25, 50, 75])
        flops = duel.flops.get(part)
        made.append(
            {
                "name": duel.case.name,
                "group": duel.case.group,
                "part": part,
                "text": duel.case.text,
                "minidl_ms": _short(np.median(ours)),
                "opponent_ms": _short(np.median(theirs)),
                "ratio": _short(ratio),
                "ratio_low": _short(low),
                "ratio_high": _short(high),
                "turns": len(pairs),
                "flops": flops,
                "moved": duel.case.moved,
                "limit_ms": None if flops is None else _short(flops / (peak_gflops * 1e6)),
                "minidl_peak_bytes": duel.peak_bytes[0],
                "opponent_peak_bytes": duel.peak_bytes[1],
                "minidl_first_ms": _short(duel.first_ms[0]),
                "opponent_first_ms": _short(duel.first_ms[1]),
                "difference": _short(duel.difference),
                "curve": list(duel.case.curve) if duel.case.curve else None,
            }
        )
    return made


def _short(value: Any) -> float:
    """Five digits: more would be noise, and a longer file."""
    return float(f"{value:.5g}")


@dataclass
class Report:
    """Everything that one run of the benchmark found.

    Attributes:
        opponent: `"PyTorch"`, or `"NumPy reference"` where minidl ran against itself.
        threads: of both sides.
        machine: processor, cores, system and versions.
        gemm_peak_gflops: the best of a few large float32 products.
        settings: how long was measured.
        quick: whether it was only a first impression.
        results: the rows of figures.
        problems: the cases that were not timed, `{"name", "problem"}`.
        busy: how many cores other programs used on average; None where the system does not tell.
        device: where both ran: `"cpu"`, `"cuda"` or `"sim"`.
        date: when the run began, UTC.
    """

    opponent: str
    threads: int
    machine: dict[str, Any]
    gemm_peak_gflops: float
    settings: Settings
    quick: bool = False
    results: list[Row] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)
    busy: float | None = None
    device: str = "cpu"
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def add(self, duel: Duel) -> None:
        """Take in what was measured of one case."""
        self.machine |= duel.versions
        self.results += rows(duel, self.gemm_peak_gflops)

    def group(self, name: str) -> list[Row]:
        """The rows of a group of cases, such as `"workload"`."""
        return [row for row in self.results if row["group"] == name]

    @property
    def geometric_mean(self) -> float | None:
        """Of the workloads' ratios; None without workloads."""
        return geometric_mean(row["ratio"] for row in self.group("workload"))

    @property
    def contest(self) -> list[Row]:
        """The rows in which minidl means to win: not the ladder's, whose loops are slow on purpose."""
        return [row for row in self.results if row["group"] != "ladder"]

    @property
    def slower(self) -> list[Row]:
        """The rows in which minidl lost."""
        return [row for row in self.contest if row["ratio"] < 1]

    def curves(self) -> dict[tuple[str, str, str], list[tuple[int, Row]]]:
        """The growth: (curve, axis, part) → points (place on the axis, row), in order."""
        found: dict[tuple[str, str, str], list[tuple[int, Row]]] = {}
        for row in self.group("growth"):
            name, axis, place = row["curve"]
            found.setdefault((name, axis, row["part"]), []).append((place, row))
        return {key: sorted(points, key=lambda point: point[0]) for key, points in found.items()}

    def to_json(self) -> dict[str, Any]:
        """What `--json` writes; `from_json` reads it."""
        return {
            "format": FORMAT,
            **asdict(self),
            "geometric_mean": self.geometric_mean,
        }

    @classmethod
    def from_json(cls, values: Any) -> Report:
        """Read back what `to_json` gave.

        Raises:
            MinidlError: it is no such thing.
        """
        try:
            if values["format"] != FORMAT:
                raise MinidlError(f"Report: expected format {FORMAT}, got {values['format']!r}")
            kept = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
            return cls(**{**kept, "settings": Settings(**kept["settings"])})
        except (KeyError, TypeError) as error:
            raise MinidlError(f"Report: expected the JSON of minidl bench, got {error!r}") from error


def geometric_mean(ratios: Iterable[float]) -> float | None:
    """The mean of ratios: of 2 and ½ it is 1."""
    logs = [math.log(ratio) for ratio in ratios]
    return math.exp(sum(logs) / len(logs)) if logs else None


def exponent(first: tuple[int, float], second: tuple[int, float]) -> float:
    """The p of `cost ∝ sizeᵖ` between two points (size, cost): 1 doubles when size does."""
    return math.log(second[1] / first[1]) / math.log(second[0] / first[0])


def milliseconds(value: float | None) -> str:
    """A time as tables show it: three digits or so."""
    if value is None:
        return "?"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3 if value >= 0.1 else 4
    return f"{value:.{digits}f}" if value >= 0.0001 else "< 0.0001"


def megabytes(value: int | None) -> str:
    """Memory as tables show it."""
    return "?" if value is None else f"{value / 2**20:.1f}"
