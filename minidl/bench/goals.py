"""What minidl means to reach on a GPU, and whether a run did; nothing fails if it did not."""

from __future__ import annotations

from minidl.bench.report import Report, Row

__all__ = ["verdicts"]

PRODUCT = 0.60
"""Of the speed of PyTorch's (that is, cuBLAS's) float32 product of 4096 × 4096."""
MEMORY = 0.75
"""Of the pace at which PyTorch's elementwise operations and sums move memory."""
LAUNCH_US = 12.0
"""Microseconds of the host's time for one array operation."""
GRAPH = 1.0
"""LeNet-5's step, replayed as a graph, of the speed of PyTorch's eager one."""


def verdicts(report: Report) -> list[str]:
    """A line for each goal that the run looked at, such as
    `missed: product, 4096×4096 · 4096×4096: 0.55 × PyTorch (goal 0.60)`.

    The goals that compare are about PyTorch; beside another opponent there is only the launch.
    """
    rows = {row["name"]: row for row in report.results}
    lines = []
    if report.opponent == "PyTorch":
        for name, goal in (("matmul-4096", PRODUCT), ("lenet5-64-graph", GRAPH)):
            if name in rows:
                lines.append(_compared(report, rows[name], goal))
        moves = [row for row in report.results if row.get("moved")]
        if moves:
            slowest = min(moves, key=lambda row: row["ratio"])
            lines.append(_compared(report, slowest, MEMORY, f", slowest of {len(moves)}, {_pace(slowest)}"))
    if "launch" in rows:
        found = 1e3 * rows["launch"]["minidl_ms"]
        lines.append(f"{_said(found <= LAUNCH_US)}: a launch: {found:.1f} µs (goal {LAUNCH_US:g})")
    return lines


def _compared(report: Report, row: Row, goal: float, more: str = "") -> str:
    found = row["ratio"]
    return f"{_said(found >= goal)}: {row['text']}: {found:.2f} × {report.opponent} (goal {goal:.2f}){more}"


def _pace(row: Row) -> str:
    """How fast memory moved, minidl's and the opponent's."""
    ours, theirs = (row["moved"] / row[f"{side}_ms"] / 1e6 for side in ("minidl", "opponent"))
    return f"{ours:.0f} : {theirs:.0f} GB/s"


def _said(reached: bool) -> str:
    return "reached" if reached else "missed"
