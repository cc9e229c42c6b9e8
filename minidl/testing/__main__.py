"""`python -m minidl.testing`: prove every layer, loss and network, and print what was found."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from minidl.testing.component import CHECKS
from minidl.testing.proof import OWN_TABLE, Table, catch_bugs, prove_all

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command: 0 if all passed or every bug was caught, 1 if not, 2 for a wrong call."""
    parser = argparse.ArgumentParser(
        prog="python -m minidl.testing",
        description="Put components through every check: gradients against central differences, memory "
        "layouts, dtypes, errors, state, PyTorch, backends, a simulated GPU.",
    )
    parser.add_argument("classes", nargs="*", metavar="CLASS", help="only these classes, such as Linear")
    parser.add_argument("--all", action="store_true", help="every class of the table")
    parser.add_argument("--planted", action="store_true", help="plant bugs, and see that each is caught")
    parser.add_argument(
        "--table", type=Path, default=OWN_TABLE, help="a Python file with a list SAMPLES (minidl's own)"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="processes at a time (one per core)")
    options = parser.parse_args(arguments)
    if not (options.all or options.classes):
        parser.print_help()
        return 2
    if options.jobs is not None and options.jobs < 1:
        parser.error(f"argument --jobs: expected at least 1, got {options.jobs}")
    try:
        table = Table(options.table)
        names = table.names(options.classes)
    except (FileNotFoundError, ValueError) as error:
        print(f"python -m minidl.testing: {error}", file=sys.stderr)
        if options.table == OWN_TABLE:
            print("minidl's own table comes with a checkout; --table takes one of yours", file=sys.stderr)
        return 2
    return (_planted if options.planted else _proved)(options.table, names, options.jobs)


def _proved(table: Path, names: list[str], jobs: int | None) -> int:
    started = time.perf_counter()
    width = max(map(len, names))
    print(f"{'class':<{width}}  samples  checks passed  worst gradient error")
    proofs = []
    for proof in prove_all(table, names, jobs):
        proofs.append(proof)
        passed = f"{proof.passed:,} of {proof.checks:,}"
        print(
            f"{proof.component:<{width}}  {proof.samples:>7}  {passed:>13}  {proof.worst:>20.1e}", flush=True
        )
        for failure in proof.failures:
            print(f"  ✗ {failure}", flush=True)
    checks, passed_all = sum(p.checks for p in proofs), sum(p.passed for p in proofs)
    worst = max(proofs, key=lambda proof: proof.worst)
    seconds = time.perf_counter() - started
    print(
        f"{len(proofs)} classes, {sum(p.samples for p in proofs)} samples, {len(CHECKS)} checks for each: "
        f"{passed_all:,} of {checks:,} passed in {seconds:.0f} s\n"
        f"worst gradient error {worst.worst:.1e} ({worst.component})"
    )
    if not find_spec("torch"):
        print("PyTorch is not installed: its comparison was left out")
    return int(passed_all < checks)


def _planted(table: Path, names: list[str], jobs: int | None) -> int:
    caught = []
    for one in catch_bugs(table, names, jobs):
        caught.append(one)
        mark, by = ("✓", f"caught by {one.by!r}") if one.by else ("✗", "NOT CAUGHT")
        print(f"{mark} {one.component}: {one.bug}: {by}", flush=True)
    missed = sum(not one.by for one in caught)
    print(f"{len(caught)} planted bugs, {len(caught) - missed} caught")
    return int(missed > 0 or not caught)


if __name__ == "__main__":
    sys.exit(main())
