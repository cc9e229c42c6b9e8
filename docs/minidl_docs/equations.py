r"""Equation tags: the same number stands at the formula, at the line that computes it, and in its test.

On a page a formula carries `\tag{12.3}`; in the source and in a test the comment `eq. 12.3` cites it.
Only formulas that code computes are tagged, so every number must be found in all three places.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

__all__ = ["CITED", "TAG", "cited_in_comments", "tagged_on_pages"]

TAG = re.compile(r"\\tag\{(\d+\.\d+)\}")
CITED = re.compile(r"\beqs?\. ?(\d+\.\d+)")

Places = dict[str, list[str]]


def tagged_on_pages(pages: Iterable[Path]) -> Places:
    """Each equation's number → where a page tags it."""
    places: Places = defaultdict(list)
    for page in pages:
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            for tag in TAG.findall(line):
                places[tag].append(f"{page.name}:{number}")
    return places


def cited_in_comments(sources: Iterable[Path]) -> Places:
    """Each equation's number → where a comment of a Python file cites it (strings do not count)."""
    places: Places = defaultdict(list)
    for source in sources:
        text = source.read_text(encoding="utf-8")
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                for tag in CITED.findall(token.string):
                    places[tag].append(f"{source.name}:{token.start[0]}")
    return places
