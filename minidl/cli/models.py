"""`minidl models`: which networks there are, whose they are, and what they cost."""

from __future__ import annotations

import argparse

from minidl.models.registry import NETWORKS

__all__ = ["add_commands"]

WIDTH = 100  # where no terminal says how wide it is


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command; it sets `run`, a function of the parsed arguments to the exit code."""
    models = subparsers.add_parser(
        "models",
        help="list the networks with their sizes",
        description="List all networks: `minidl train --model NAME` and `minidl.models.get_model(NAME)` "
        "take them. Parameters and multiply-adds hold for one image of the shape beside them.",
    )
    models.set_defaults(run=_models)


def _models(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("name", "paper", "year", "input", "parameters", "multiply-adds"):
        numbers = title in ("year", "parameters", "multiply-adds")
        table.add_column(title, justify="right" if numbers else "left", no_wrap=title != "paper")
    for name, network in NETWORKS.items():
        shape = "×".join(map(str, network.input_shape))
        size, work = f"{network.parameters:,}", f"{network.multiply_adds:,}"
        table.add_row(name, network.paper, str(network.year), shape, size, work)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    console.print(table)
    return 0
