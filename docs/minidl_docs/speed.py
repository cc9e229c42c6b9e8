"""The figures of `minidl bench` on a page: a line `@bench workload speed.json` becomes their table.

The file is what `minidl bench --json` wrote; it stands beside the page. What can follow `@bench`:

- `machine`: what it ran on, and when;
- `summary`: the geometric mean, and what is slower than the opponent;
- `workload`, `graph`, `operation`, `layer`, `loss`, `optimizer`, `memory`, `ladder`, `growth`: the table of
  that group;
- `goals`: what was to be reached on a GPU, and whether it was;
- `ratios`, `curves`: the plots of the training steps and of the growth.

`@bench? …` does without the file: where it is missing, `machine` says so, and all else is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

from minidl.bench import Report
from minidl.bench.goals import verdicts
from minidl.bench.report import BUSY, Row, megabytes, milliseconds
from minidl_docs.plots import plot_style, svg_of

__all__ = ["BenchError", "rendered"]

LINE = re.compile(r"^@bench(?P<optional>\??) +(?P<what>\w+) +(?P<file>[\w./-]+\.json) *$")
MISSING = [
    '!!! warning "Not yet measured"',
    "    No GPU was at hand when this page was made. What stands above was compiled for one and run on the",
    "    simulated one; nothing here says yet how fast a card runs it.",
]
GROUPS = ("workload", "graph", "operation", "layer", "loss", "optimizer", "memory", "ladder", "growth")
FENCE = re.compile(r"^ *(`{3,}|~{3,})")


class BenchError(LookupError):
    """A line that names nothing; it fails the build."""


def machine(report: Report) -> list[str]:
    """One paragraph."""
    m = report.machine
    versions = {"Python": "python", "NumPy": "numpy", "Numba": "numba", "PyTorch": "torch"}
    known = ", ".join(f"{name} {m[key]}" for name, key in versions.items() if key in m)
    where = (
        f"**{m['cpu']}**, {m['cores']} cores, {report.threads} threads on each side, {m['system']}; {known}."
    )
    if report.device != "cpu":
        where = f"**{m['gpu']}**, driver {m['driver']}; {m['cpu']}, {m['system']}; {known}."
    peak = f"Arithmetic peak {report.gemm_peak_gflops:.0f} GFLOP/s."
    lines = [f"{where} {peak} Measured on {report.date[:10]}."]
    if report.busy is not None and report.busy > BUSY:
        lines += [
            "",
            f"**The machine was not quiet**: other programs used {report.busy:.1f} cores meanwhile.",
        ]
    return lines


def summary(report: Report) -> list[str]:
    """What it comes to."""
    lines = []
    if report.geometric_mean is not None:
        mean = f"**{report.geometric_mean:.2f} ×**"
        lines += [f"Geometric mean of the training steps: {mean} {report.opponent}.", ""]
    if not report.contest:
        return lines
    if not report.slower:
        return [*lines, f"Nothing that was measured is slower than {report.opponent}."]
    lines += [f"Slower than {report.opponent}:", ""]
    for row in sorted(report.slower, key=lambda row: row["ratio"]):
        lines.append(f"- {_text(row)}: {row['ratio']:.2f} ×")
    return lines


def table(group: str) -> Callable[[Report], list[str]]:
    """The table of a group of cases."""

    def lines(report: Report) -> list[str]:
        rows = report.group(group)
        if not rows:
            return ["Not measured in this run."]
        memory = any(row["minidl_peak_bytes"] is not None for row in rows)
        limited = any(row["limit_ms"] is not None for row in rows)
        heads = ["what", "minidl, ms", f"{report.opponent}, ms", "times as fast"]
        heads += ["limit, ms"] * limited + ["memory, MB"] * memory
        made = [_line(heads), _line(["---", *["--:"] * (len(heads) - 1)])]
        for row in rows:
            ratio = f"{row['ratio']:.2f} ({row['ratio_low']:.2f}–{row['ratio_high']:.2f})"
            cells = [
                _text(row),
                milliseconds(row["minidl_ms"]),
                milliseconds(row["opponent_ms"]),
                ratio,
            ]
            if limited:
                cells.append(milliseconds(row["limit_ms"]))
            if memory:
                cells.append(
                    f"{megabytes(row['minidl_peak_bytes'])} : {megabytes(row['opponent_peak_bytes'])}"
                )
            made.append(_line(cells))
        return made

    return lines


def ratios(report: Report) -> list[str]:
    """The bars of the training steps."""
    rows = report.group("workload")

    def draw(axes: Any) -> None:
        from minidl.bench.plots import plot_ratios

        plot_ratios(rows, axes)
        axes.set_title(f"times as fast as {report.opponent}")

    said = "; ".join(f"{row['text']} {row['ratio']:.2f} times" for row in rows)
    return _figure(draw, f"Bars: minidl's training step beside {report.opponent}'s. {said}.", 100)


def curves(report: Report) -> list[str]:
    """One plot per curve of growth."""
    from minidl.bench.plots import plot_curve

    lines: list[str] = []
    for number, key in enumerate(report.curves()):
        name, axis, part = key
        alt = (
            f"{name}, {part}: milliseconds of minidl, {report.opponent} and the arithmetic limit over {axis}."
        )
        lines += _figure(lambda axes, key=key: plot_curve(report, key, axes), alt, 101 + number)  # type: ignore[misc]
    return lines


def goals(report: Report) -> list[str]:
    """One line for each."""
    return [f"- {line}" for line in verdicts(report)]


WHAT: dict[str, Callable[[Report], list[str]]] = {
    "machine": machine,
    "summary": summary,
    "ratios": ratios,
    "curves": curves,
    "goals": goals,
    **{group: table(group) for group in GROUPS},
}


@lru_cache(maxsize=4)
def _report(path: Path, _stamp: float) -> Report:
    return Report.from_json(json.loads(path.read_text(encoding="utf-8")))


@lru_cache(maxsize=64)  # `mkdocs serve` builds all pages when one has changed
def _rendered(what: str, path: Path, stamp: float) -> tuple[str, ...]:
    return tuple(WHAT[what](_report(path, stamp)))


def rendered(what: str, path: Path, optional: bool = False) -> list[str]:
    """The lines that `@bench what path` becomes, or, if `optional`, `@bench? what path`.

    Raises:
        BenchError: there is no such thing to show, or no such file.
    """
    if what not in WHAT:
        raise BenchError(f"@bench {what}: expected one of {', '.join(WHAT)}")
    if optional and not path.is_file():
        return MISSING if what == "machine" else []
    if not path.is_file():
        raise BenchError(f"@bench {what}: there is no {path.name} beside the pages")
    return list(_rendered(what, path, path.stat().st_mtime))


def _figure(draw: Callable[[Any], None], alt: str, number: int) -> list[str]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(plot_style()):
        figure = Figure(layout="constrained")
        draw(figure.subplots())
        svg = svg_of(figure, alt, number)
    return ["", f'<figure class="plot">{svg}</figure>', ""]


def _text(row: Row) -> str:
    text: str = row["text"]
    return text if row["part"] == "step" else f"{text}, {row['part']}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


class BenchLines(Preprocessor):
    """Puts tables and plots in the place of `@bench` lines."""

    def __init__(self, md: Markdown, root: Path) -> None:
        super().__init__(md)
        self.root = root

    def run(self, lines: list[str]) -> list[str]:
        out: list[str] = []
        inside = False
        for line in lines:
            inside ^= bool(FENCE.match(line))
            match = None if inside else LINE.match(line)
            out += self._in_place_of(match) if match else [line]
        return out

    def _in_place_of(self, match: re.Match[str]) -> list[str]:
        return rendered(match["what"], self.root / match["file"], bool(match["optional"]))


class Bench(Extension):
    """The extension; `root` is the folder that holds the pages."""

    def __init__(self, **kwargs: Any) -> None:
        self.config = {"root": ["docs/en", "the folder that holds the pages"]}
        super().__init__(**kwargs)

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        md.preprocessors.register(BenchLines(md, Path(self.getConfig("root"))), "bench", 28.5)


def makeExtension(**kwargs: Any) -> Bench:  # noqa: N802
    """Python-Markdown's door."""
    return Bench(**kwargs)
