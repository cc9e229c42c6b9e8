"""The command line's front door: which command runs, and what a user sees when something is wrong."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import minidl
from minidl.cli import bench, learn, models, run
from minidl.errors import MinidlError, NonFiniteError

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    """argparse, but a wrong option is one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="minidl", description="Train and try networks; do the course's exercises.")
    parser.add_argument("--version", action="version", version=f"minidl {minidl.__version__}")
    commands: argparse._SubParsersAction[Any] = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True
    )
    run.add_commands(commands)
    models.add_commands(commands)
    learn.add_commands(commands)
    bench.add_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after `minidl`; those of the process unless told.

    Returns:
        The exit code: 0 done, 1 failed, 2 a wrong option or a missing or damaged file, 130 stopped by
        Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without Unicode shows '?', not a traceback
            stream.reconfigure(errors="replace")
    try:
        try:
            return _run(_parser().parse_args(arguments))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has gone: `minidl … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(options: argparse.Namespace) -> int:
    try:
        return int(options.run(options))
    except BrokenPipeError:
        raise
    except (MinidlError, OSError) as error:
        print(f"minidl {options.command}: {_one_line(error)}", file=sys.stderr)
        return 1 if isinstance(error, NonFiniteError) else 2
    except KeyboardInterrupt:
        print(f"minidl {options.command}: stopped", file=sys.stderr)
        return 130


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())


if __name__ == "__main__":
    sys.exit(main())
