"""Plots made by the page's own code: a fence with `figure="alt text"` is followed by what it draws.

The whole page runs, because a plot at its end may need what its first fence imported. A page without
such a fence does not run at build time at all; the tests run every page.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

from minidl_docs.fences import OPEN, FenceError, check_output, read_fences, run_fences
from minidl_docs.plots import svg_of

DRAWS = re.compile(r'\bfigure="([^"]*)"')


@lru_cache(maxsize=64)  # `mkdocs serve` builds all pages when one has changed
def drawings(text: str) -> dict[int, str]:
    """Line of each drawing fence → its SVG.

    Raises:
        FenceError: a fence fails, prints something else than shown, or draws no plot or several.
    """
    fences = read_fences(text)
    svgs: dict[int, str] = {}
    for run in run_fences(fences):
        check_output(run)
        if alt := run.fence.attributes.get("figure"):
            if len(run.figures) != 1:
                raise FenceError(f"line {run.fence.line}: expected one figure, got {len(run.figures)}")
            svgs[run.fence.line] = svg_of(run.figures[0], alt, len(svgs) + 1)
    return svgs


class FigureLines(Preprocessor):
    """Puts each plot right after its fence."""

    def run(self, lines: list[str]) -> list[str]:
        if not any(OPEN.match(line) and DRAWS.search(line) for line in lines):
            return lines
        svgs = drawings("\n".join(lines))
        out: list[str] = []
        plot, closing = "", ""
        for number, line in enumerate(lines, 1):
            out.append(DRAWS.sub("", line) if number in svgs else line)
            if closing and line.strip() == closing:
                closing = ""
                if plot:
                    out += ["", f'<figure class="plot">{plot}</figure>', ""]
            elif not closing and (opening := OPEN.match(line)):
                closing, plot = opening["mark"], svgs.get(number, "")
        return out


class Figures(Extension):
    """The extension."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        md.preprocessors.register(FigureLines(md), "figures", 29)


def makeExtension(**kwargs: Any) -> Figures:  # noqa: N802
    """Python-Markdown's door."""
    return Figures(**kwargs)
