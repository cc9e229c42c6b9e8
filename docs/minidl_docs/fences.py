"""The code on a page, found and run: one reader of fences for the tests and for the plots.

Rules that keep a page honest:

- every Python fence is written ```` ```python ````, with or without attributes, and all of them run, in
  order, in one namespace per page;
- what a fence prints stands right after it in a fence ```` ```text title="output" ````; `…` stands for
  any run of characters within a line, and a number after `≈` may be off by a twentieth, for figures that
  differ from machine to machine;
- a fence with a `figure="…"` attribute draws with matplotlib; the attribute is the plot's alt text.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import math
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Fence", "FenceError", "Run", "check_output", "read_fences", "run_fences"]

OPEN = re.compile(r"^(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})(?P<info>[^`\n]*)$")
LANGUAGE = re.compile(r"^\{?[ ]*\.?(?P<language>[\w+-]*)")
ATTRIBUTE = re.compile(r"""([\w-]+)=(?:"([^"]*)"|'([^']*)')""")
NUMBER = r"-?\d+(?:\.\d+)?"
ABOUT = re.compile(rf"≈ ?({NUMBER})")
LANGUAGES = {"python", "text", "console", "markdown"}


class FenceError(AssertionError):
    """A fence that is malformed, that fails, or that prints something else than the page shows."""


@dataclass
class Fence:
    """One fenced block: its language, attributes, code, and the line where it opens."""

    language: str
    attributes: dict[str, str]
    code: str
    line: int

    @property
    def is_output(self) -> bool:
        """Whether this is what the Python fence before it prints."""
        return self.language == "text" and self.attributes.get("title") == "output"


@dataclass
class Run:
    """One Python fence after it ran."""

    fence: Fence
    printed: str
    shown: Fence | None
    figures: list[Any] = field(default_factory=list)


def read_fences(text: str) -> list[Fence]:
    """All fences of a page, top to bottom, whatever their indentation and attributes.

    Raises:
        FenceError: a fence is never closed, or its language is not one that the site uses.
    """
    fences: list[Fence] = []
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if not (opening := OPEN.match(line)):
            continue
        body = _body(lines, opening["mark"], number)
        info = opening["info"].strip()
        language = LANGUAGE.match(info)["language"]  # type: ignore[index]
        if language not in LANGUAGES:
            known = ", ".join(sorted(LANGUAGES))
            raise FenceError(f"line {number}: expected a fence of {known}, got {language!r}")
        indent = len(opening["indent"])
        code = "\n".join(text[indent:] if not text[:indent].strip() else text for text in body)
        attributes = {name: double or single for name, double, single in ATTRIBUTE.findall(info)}
        fences.append(Fence(language, attributes, code, number))
    return fences


def _body(lines: Iterator[tuple[int, str]], mark: str, start: int) -> list[str]:
    body = []
    for _, line in lines:
        stripped = line.strip()
        if stripped.startswith(mark) and not stripped.strip(mark[0]):
            return body
        body.append(line)
    raise FenceError(f"line {start}: this fence is never closed")


def run_fences(fences: list[Fence], page: str = "page") -> list[Run]:
    """Run every Python fence of one page, in order, in one namespace.

    Raises:
        FenceError: a fence raises; the message holds its line.
    """
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot
    from threadpoolctl import threadpool_limits

    from minidl_docs.plots import plot_style

    _remember_source(fences, page)
    module = types.ModuleType("__page__")  # a real one, so that what a page defines can be pickled
    namespace = vars(module)
    runs = []
    with (
        matplotlib.rc_context(plot_style()),
        _registered(module),
        threadpool_limits(1, user_api="blas"),  # the same bits, so the same plots, on any number of cores
    ):
        for position, fence in enumerate(fences):
            if fence.language != "python":
                continue
            after = fences[position + 1] if position + 1 < len(fences) else None
            out = io.StringIO()
            # blank lines put the code at its own line, so that a traceback points into the page
            source = "\n" * fence.line + fence.code
            try:
                with contextlib.redirect_stdout(out):
                    exec(compile(source, page, "exec"), namespace)
            except Exception as error:
                raise FenceError(f"{page}, line {fence.line}: {type(error).__name__}: {error}") from error
            figures = [pyplot.figure(number) for number in pyplot.get_fignums()]
            runs.append(Run(fence, out.getvalue(), after if after and after.is_output else None, figures))
            pyplot.close("all")
    return runs


def _remember_source(fences: list[Fence], page: str) -> None:
    """Let `inspect` find the source of what a page defines: a GPU kernel is compiled from its text."""
    lines: list[str] = []
    for fence in fences:
        if fence.language == "python":
            lines += ["\n"] * (fence.line - len(lines))
            lines += [f"{line}\n" for line in fence.code.splitlines()]
    linecache.cache[page] = (len(lines), None, lines, page)


@contextlib.contextmanager
def _registered(module: types.ModuleType) -> Iterator[None]:
    """Let pickle find the page by its name; what the page imports stays imported afterwards."""
    sys.modules[module.__name__] = module
    try:
        yield
    finally:
        del sys.modules[module.__name__]


def check_output(run: Run) -> None:
    """Compare what a fence printed with what the page shows.

    Raises:
        FenceError: they differ, or one of the two is missing.
    """
    line = run.fence.line
    printed = [text.rstrip() for text in run.printed.rstrip().splitlines()]
    shown = [text.rstrip() for text in run.shown.code.rstrip().splitlines()] if run.shown else []
    if printed and not shown:
        raise FenceError(f"line {line}: it prints, and no output is shown after it:\n" + "\n".join(printed))
    same = len(printed) == len(shown) and all(map(_matches, shown, printed))
    if not same:
        expected, got = "\n".join(shown), "\n".join(printed)
        raise FenceError(f"line {line}: the page shows\n{expected}\nand the fence prints\n{got}")
    if bool(run.figures) != ("figure" in run.fence.attributes):
        raise FenceError(f'line {line}: a fence that draws, and only such a one, has figure="alt text"')


def _matches(shown: str, printed: str) -> bool:
    if not (match := re.fullmatch(_pattern(shown), printed)):
        return False
    pairs = zip(ABOUT.findall(shown), match.groups(), strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=0.05) for a, b in pairs)


def _pattern(shown: str) -> str:
    """What a shown line allows, with one group for each number after `≈`."""
    parts = ABOUT.split(shown)[::2]
    literal = [".*".join(map(re.escape, part.split("…"))) for part in parts]
    return rf"≈ ?({NUMBER})".join(literal)


def pages(root: Path) -> list[Path]:
    """Every Markdown page under `root`."""
    return sorted(root.rglob("*.md"))
