"""The pictures of a benchmark: how many times as fast, and how the cost grows."""

from __future__ import annotations

from typing import Any

from minidl.bench.report import Report

__all__ = ["plot_growth", "plot_ratios", "plot_report"]

OURS, THEIRS, LIMIT, SLOWER = "#3b82f6", "#f97316", "0.6", "#dc2626"


def plot_report(report: Report) -> Any:
    """Ratios above, growth below; a matplotlib figure.

    Raises:
        ValueError: nothing was measured.
    """
    if not report.results:
        raise ValueError("plot_report: expected at least one result, got none")
    from matplotlib.figure import Figure

    bars = len(report.group("workload") + report.group("operation"))
    curves = len(report.curves())
    heights = [0.9 + 0.2 * bars] * (bars > 0) + [3.2 * -(-curves // 2)] * (curves > 0)
    figure = Figure(figsize=(9, sum(heights)), dpi=120, layout="constrained")
    parts = list(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    if bars:
        plot_ratios(report, parts.pop(0).subplots())
    if curves:
        plot_growth(report, parts.pop(0))
    return figure


def plot_ratios(report: Report, axes: Any) -> None:
    """A bar per step or part, from 1 × to the median ratio, with its quartiles, on a log scale."""
    rows = report.group("workload") + report.group("operation")
    names = [row["text"] + ("" if row["part"] == "step" else f", {row['part']}") for row in rows]
    ratios = [row["ratio"] for row in rows]
    spread = [
        [row["ratio"] - row["ratio_low"] for row in rows],
        [row["ratio_high"] - row["ratio"] for row in rows],
    ]
    axes.barh(
        names, [ratio - 1 for ratio in ratios], left=1, xerr=spread, height=0.7,
        color=[SLOWER if ratio < 1 else OURS for ratio in ratios],
        error_kw={"ecolor": "0.4", "elinewidth": 1},
    )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} ×")
    axes.axvline(1, color="0.4", lw=1)
    axes.invert_yaxis()
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_title(f"times as fast as {report.opponent}, {report.threads} threads", fontsize=10)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def plot_growth(report: Report, figure: Any) -> None:
    """A panel per curve: both sides' milliseconds and the arithmetic limit, on log scales."""
    curves = report.curves()
    panels = figure.subplots(-(-len(curves) // 2), 2, squeeze=False).ravel()
    for (name, axis, part), points in curves.items():
        axes, panels = panels[0], panels[1:]
        places = [place for place, _ in points]
        for field, label, style in (
            ("minidl_ms", "minidl", {"marker": "o", "ms": 3.5, "color": OURS}),
            ("opponent_ms", report.opponent, {"marker": "s", "ms": 3.5, "color": THEIRS}),
            ("limit_ms", "arithmetic limit", {"ls": "--", "color": LIMIT}),
        ):
            axes.plot(places, [row[field] for _, row in points], label=label, **style)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_title(name if part == "step" else f"{name}, {part}", fontsize=10)
        axes.set(xlabel=axis, ylabel="ms")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    for axes in panels:
        axes.set_axis_off()
