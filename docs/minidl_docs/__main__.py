"""`python -m minidl_docs PAGE…`: run the fences of pages and say what differs; `--write` fills in outputs.

For the author of a page: write a Python fence and an empty output fence, run this with `--write`, read
what came, and keep it if it is what you meant.
"""

from __future__ import annotations

import sys
from pathlib import Path

from minidl_docs.fences import FenceError, check_output, read_fences, run_fences


def main(arguments: list[str]) -> int:
    """Check each page, or fill in its empty outputs."""
    write = "--write" in arguments
    failed = 0
    for path in (Path(a) for a in arguments if a != "--write"):
        text = path.read_text(encoding="utf-8")
        lines = text.split("\n")
        runs = run_fences(read_fences(text), str(path))
        for run in reversed(runs):  # from the end, so that line numbers above stay right
            if write and run.shown and not run.shown.code:
                opening = lines[run.shown.line - 1]
                indent = opening[: len(opening) - len(opening.lstrip())]
                printed = [(indent + text).rstrip() for text in run.printed.rstrip().split("\n")]
                lines[run.shown.line : run.shown.line] = printed
                continue
            try:
                check_output(run)
            except FenceError as error:
                failed += 1
                print(f"{path}: {error}\n")
        if write:
            path.write_text("\n".join(lines), encoding="utf-8")
        print(f"{path}: {len(runs)} fences ran")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
