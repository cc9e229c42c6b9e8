"""`minidl bench`: how fast a training step is, beside PyTorch's on the same cores or the same GPU."""

from __future__ import annotations

import argparse
import importlib.util
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidl.errors import MinidlError

if TYPE_CHECKING:
    from minidl.bench import Case, Report, Settings

__all__ = ["add_commands"]

TITLES = {
    "workload": "one training step",
    "graph": "one training step, replayed as a graph (PyTorch's is eager)",
    "operation": "single operations",
    "layer": "every other layer",
    "loss": "every other loss",
    "optimizer": "every other optimizer",
    "memory": "arrays from and to memory, and what a launch costs",
    "ladder": "one product, from the plainest loop on (slow on purpose; minidl's own is matmul-512)",
    "growth": "cost against batch size and channels",
}
OPPONENTS = {"torch": "PyTorch", "reference": "NumPy reference"}


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command; it sets `run`, a function of the parsed arguments to the exit code."""
    bench = subparsers.add_parser(
        "bench",
        help="measure the speed beside PyTorch's",
        description="Measure training steps and single operations, minidl and PyTorch in turn on the same "
        "cores, or on the same GPU; without PyTorch, minidl's kernels and its NumPy references.",
    )
    bench.add_argument("--quick", action="store_true", help="a first impression within a minute")
    bench.add_argument(
        "--only", nargs="+", default=[], metavar="PATTERN", help="names, parts of names, or 'conv-*'"
    )
    bench.add_argument(
        "--against", choices=list(OPPONENTS), help="the opponent (torch where it is installed)"
    )
    bench.add_argument(
        "--device",
        choices=("cpu", "cuda", "sim"),  # a simulated GPU's speed is nothing but a test of this command
        default="cpu",
        metavar="{cpu,cuda}",
        help="where both sides run",
    )
    bench.add_argument("--threads", type=_threads, metavar="N", help="of both sides (all cores)")
    bench.add_argument("--json", metavar="PATH", help="write all figures, with the machine")
    bench.add_argument("--plot", metavar="PATH", help="draw ratios and growth (.png, .svg or .pdf)")
    bench.add_argument("--list", action="store_true", help="only name the cases")
    bench.set_defaults(run=_bench)


def _threads(text: str) -> int:
    if not re.fullmatch("[0-9]{1,3}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer from 1 to 999, got {text!r}")
    return int(text)


def _bench(options: argparse.Namespace) -> int:
    from minidl.array import get_device
    from minidl.bench import Settings, select
    from minidl.bench.machine import cores

    cases = select(options.only, options.quick, options.device)
    if options.list:
        for case in cases:
            print(f"{case.name:<32} {case.text}")
        return 0
    _check_paths(options)
    if options.device != "cpu":
        get_device(options.device)  # or an error that says why there is none
    opponent = _opponent(options.against, options.device)
    settings = Settings.quick() if options.quick else Settings()
    threads = options.threads or cores()
    report = _measure(cases, opponent, threads, settings, options.quick, options.device)
    if options.json:
        from minidl.train.files import write_json

        write_json(options.json, report.to_json())
    if options.plot:
        from minidl.bench.plots import plot_report

        plot_report(report).savefig(options.plot)
    return _conclude(report)


def _check_paths(options: argparse.Namespace) -> None:
    """Find out before the run, not after it, that its figures cannot be written."""
    for name, kinds in (("json", (".json",)), ("plot", (".png", ".svg", ".pdf"))):
        given = getattr(options, name)
        if given is None:
            continue
        path = Path(given)
        if path.suffix not in kinds:
            raise MinidlError(f"--{name}: expected a path that ends in {' or '.join(kinds)}, got {given!r}")
        if not path.parent.is_dir() or path.is_dir():
            raise MinidlError(f"--{name}: expected a file in a folder that exists, got {given!r}")


def _opponent(wanted: str | None, device: str = "cpu") -> str:
    if device == "sim":  # PyTorch has none
        return "reference"
    installed = importlib.util.find_spec("torch") is not None
    if wanted == "torch" and not installed:
        raise MinidlError("--against torch: PyTorch is not installed (pip install torch)")
    return wanted or ("torch" if installed else "reference")


def _measure(
    cases: list[Case], opponent: str, threads: int, settings: Settings, quick: bool, device: str
) -> Report:
    from minidl.bench import Report
    from minidl.bench.machine import Others, describe, describe_gpu
    from minidl.bench.process import BenchError
    from minidl.bench.ring import Ring

    others = Others()
    time.sleep(0.5)
    used = others.cores()
    machine: dict[str, Any] = describe() if device == "cpu" else {**describe(), **describe_gpu(device)}
    with Ring(opponent, threads, device) as ring:
        report = Report(
            OPPONENTS[opponent], threads, machine, ring.peak(), settings, quick, busy=used, device=device
        )
        print(_heading(report), flush=True)
        for group, title in TITLES.items():
            chosen = [case for case in cases if case.group == group]
            with _status() as say:
                for number, case in enumerate(chosen, 1):
                    say(f"{title}: {number} of {len(chosen)}, {case.text}")
                    try:
                        report.add(ring.duel(case, settings))
                    except BenchError as error:
                        report.problems.append({"name": case.name, "problem": str(error)})
            if report.group(group):
                _show_table(report, group)
    report.busy = others.cores()
    return report


def _heading(report: Report) -> str:
    from minidl.bench.report import BUSY

    machine = report.machine
    rival = f"{report.opponent}, eager" if report.opponent == "PyTorch" else "minidl on its NumPy references"
    if report.device != "cpu":
        host = ", which stay on the host" * (report.opponent != "PyTorch")
        tf32 = ", without TF32" * (report.opponent == "PyTorch")
        return (
            f"minidl and {rival}{host}, in turn, float32{tf32}\n"
            f"{machine['gpu']}, driver {machine['driver']}; {machine['cpu']}, {machine['system']}; "
            f"Python {machine['python']}, NumPy {machine['numpy']}\n"
            f"arithmetic peak (largest float32 products): {report.gemm_peak_gflops:.0f} GFLOP/s; "
            f"memory is {'the GPU memory of arrays and tensors' if tf32 else 'not looked at'}"
        )
    noise = ""
    if report.busy is not None and report.busy > BUSY:
        noise = f"\nother programs are using {report.busy:.1f} cores: the figures below will be worth little"
    return (
        f"minidl and {rival}, in turn, {report.threads} thread{'s' * (report.threads > 1)} each, float32\n"
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}; "
        f"Python {machine['python']}, NumPy {machine['numpy']}\n"
        f"arithmetic peak (largest float32 products of NumPy's BLAS): {report.gemm_peak_gflops:.0f} GFLOP/s"
        f"{noise}"
    )


# -------------------------------------------------------------------- what a person sees


@contextmanager
def _status() -> Iterator[Any]:
    """A line that says what is going on, in a terminal."""
    from rich.console import Console

    with Console().status("") as status:
        yield lambda text: status.update(text)


def _show_table(report: Report, group: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from minidl.bench.report import megabytes, milliseconds

    table = Table(title=TITLES[group], title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in ("minidl ms", f"{report.opponent} ms", "ratio", "quartiles", "limit ms"):
        table.add_column(name, justify="right", no_wrap=True)
    memory = any(row["minidl_peak_bytes"] is not None for row in report.group(group))
    if memory:
        table.add_column("peak MB", justify="right", no_wrap=True)
    if group == "growth":
        table.add_column("grows as", justify="right", no_wrap=True)
    grown = _growth(report)
    for row in report.group(group):
        part = "" if row["part"] == "step" else f", {row['part']}"
        cells = [
            row["text"] + part,
            milliseconds(row["minidl_ms"]),
            milliseconds(row["opponent_ms"]),
            f"{row['ratio']:.2f} ×",
            f"{row['ratio_low']:.2f}–{row['ratio_high']:.2f}",
            milliseconds(row["limit_ms"]),
        ]
        if memory:
            cells.append(f"{megabytes(row['minidl_peak_bytes'])} : {megabytes(row['opponent_peak_bytes'])}")
        if group == "growth":
            cells.append(grown.get((row["name"], row["part"]), ""))
        table.add_row(*cells, style="red" if row in report.slower else "")
    console = Console()
    if not console.is_terminal:  # nobody to fit a window for
        console = Console(width=160)
    console.print()
    console.print(table)


def _growth(report: Report) -> dict[tuple[str, str], str]:
    """(case, part) → how minidl's cost grew since the point before."""
    from minidl.bench.report import exponent

    words = {}
    for (_, _, part), points in report.curves().items():
        for (n, before), (m, row) in pairwise(points):
            power = exponent((n, before["minidl_ms"]), (m, row["minidl_ms"]))
            words[row["name"], part] = f"n^{power:.2f}"
    return words


def _conclude(report: Report) -> int:
    from minidl.bench.goals import verdicts
    from minidl.bench.report import BUSY

    print()
    if report.device != "cpu":
        for line in verdicts(report):
            print(line)
    if report.busy is not None and report.busy > BUSY:
        print(f"other programs used {report.busy:.1f} cores meanwhile: these figures are worth little")
    if report.geometric_mean is not None:
        count = len(report.group("workload"))
        steps = f"{count} training step{'s' * (count != 1)}"
        print(f"geometric mean of {steps}: {report.geometric_mean:.2f} × {report.opponent}")
    if report.slower:
        print(f"slower than {report.opponent}:")
        for row in sorted(report.slower, key=lambda row: row["ratio"]):
            print(f"  {row['ratio']:.2f} ×  {row['name']} {row['part']}")
    elif report.contest:
        print(f"nothing is slower than {report.opponent}")
    if report.problems:
        print("not timed:")
        for problem in report.problems:
            print(f"  {problem['name']}: {problem['problem']}")
    return 1 if report.problems else 0
