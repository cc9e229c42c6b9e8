"""The pictures of a benchmark: how many times as fast, and how the cost grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidl.bench.report import Report, Row

__all__ = ["plot_curve", "plot_ratios", "plot_report"]

OURS, THEIRS, LIMIT, SLOWER = "#3b82f6", "#f97316", "0.6", "#dc2626"


def plot_report(report: Report) -> Any:
    """Ratios above, growth below; a matplotlib figure.

    Raises:
        ValueError: nothing was measured.
    """
    if not report.results:
        raise ValueError("plot_report: expected at least one result, got none")
    from matplotlib.figure import Figure

    where = f"{report.threads} threads" if report.device == "cpu" else report.machine["gpu"]
    faster = f"times as fast as {report.opponent}, {where}"
    groups = ("workload", "graph", "operation", "layer", "loss", "optimizer", "memory")
    panels_of_bars = {
        faster: [row for group in groups for row in report.group(group)],
        f"loops that are slow on purpose, {faster}": report.group("ladder"),
    }
    panels_of_bars = {title: bars for title, bars in panels_of_bars.items() if bars}
    curves = report.curves()
    rows = -(-len(curves) // 2)
    heights = [0.9 + 0.2 * len(bars) for bars in panels_of_bars.values()] + [3.2 * rows] * bool(curves)
    figure = Figure(figsize=(9, sum(heights)), dpi=120, layout="constrained")
    parts = list(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    for title, bars in panels_of_bars.items():
        axes = parts.pop(0).subplots()
        axes.set_title(title, fontsize=10)
        plot_ratios(bars, axes)
        axes.tick_params(axis="y", labelsize=8)
    if curves:
        panels = list(parts.pop(0).subplots(rows, 2, squeeze=False).ravel())
        for key in curves:
            plot_curve(report, key, panels.pop(0))
        for axes in panels:
            axes.set_axis_off()
    return figure


def plot_ratios(rows: Sequence[Row], axes: Any) -> None:
    """A bar per row, from 1 × to its median ratio, with the quartiles, on a log scale."""
    ratios = [row["ratio"] for row in rows]
    spread = [
        [row["ratio"] - row["ratio_low"] for row in rows],
        [row["ratio_high"] - row["ratio"] for row in rows],
    ]
    axes.barh(
        range(len(rows)), [ratio - 1 for ratio in ratios], left=1, xerr=spread, height=0.7,
        color=[SLOWER if ratio < 1 else OURS for ratio in ratios],
        error_kw={"ecolor": "0.45", "elinewidth": 1},
    )  # fmt: skip
    names = [row["text"] + ("" if row["part"] == "step" else f", {row['part']}") for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} ×" if value >= 1 else f"1/{1 / value:g} ×")
    axes.axvline(1, color="0.45", lw=1)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def plot_curve(report: Report, key: tuple[str, str, str], axes: Any) -> None:
    """How one cost grows: both sides' milliseconds and the arithmetic limit, on log scales.

    Args:
        report: what was measured.
        key: which curve, of `report.curves()`.
        axes: where.
    """
    name, axis, part = key
    points = report.curves()[key]
    places = [place for place, _ in points]
    for field, label, style in (
        ("minidl_ms", "minidl", {"marker": "o", "ms": 3.5, "color": OURS}),
        ("opponent_ms", report.opponent, {"marker": "s", "ms": 3.5, "color": THEIRS}),
        ("limit_ms", "arithmetic limit", {"ls": "--", "color": LIMIT}),
    ):
        axes.plot(places, [row[field] for _, row in points], label=label, **style)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    for line in (axes.xaxis, axes.yaxis):
        line.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_title(name if part == "step" else f"{name}, {part}", fontsize=10)
    axes.set(xlabel=axis, ylabel="ms")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
