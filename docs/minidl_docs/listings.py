"""Listings from the real source: a line `@src minidl.nn.Linear.forward` becomes that object's code.

The name is looked up with griffe, without importing anything. A name that is not there fails the build,
so a page cannot show code that has moved on. Options after the name: `nodoc` leaves out the docstring,
`head` keeps a class's docstring and fields and stops before its first method.
"""

from __future__ import annotations

import ast
import re
import textwrap
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import griffe
from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

__all__ = ["Listing", "ListingError", "listing"]

LINE = re.compile(r"^(?P<indent> *)@src +(?P<name>[\w.]+)(?P<options>(?: +\w+)*) *$")
FENCE = re.compile(r"^ *(?P<mark>`{3,}|~{3,})")
OPTIONS = {"nodoc", "head"}


class ListingError(LookupError):
    """A listing that names nothing; it fails the build."""


class Listing(NamedTuple):
    """Source code and where it stands."""

    code: str
    file: str
    first: int
    last: int


@lru_cache(maxsize=8)
def _package(name: str, root: str, _stamp: float) -> griffe.Module | griffe.Alias:
    return griffe.load(name, search_paths=[root], allow_inspection=False)  # type: ignore[return-value]


def listing(name: str, options: tuple[str, ...] = (), root: Path = Path()) -> Listing:
    """The source of `name`, such as `minidl.nn.Linear.forward`.

    Raises:
        ListingError: there is no such object, or no such option.
    """
    if unknown := set(options) - OPTIONS:
        raise ListingError(f"@src {name}: unknown option {sorted(unknown)}; there are {sorted(OPTIONS)}")
    package, _, rest = name.partition(".")
    # `mkdocs serve` lives longer than the source: load again whenever a file has changed
    stamp = max((f.stat().st_mtime for f in (root / package).rglob("*.py")), default=0.0)
    try:
        found = _package(package, str(root), stamp)[rest]
        found = found.final_target if found.is_alias else found
    except (KeyError, ImportError, griffe.AliasResolutionError) as error:
        raise ListingError(f"@src {name}: there is no such name ({error!r})") from None

    lines, first, last = list(found.lines), found.lineno, found.endlineno
    if first is None or last is None:
        raise ListingError(f"@src {name}: a whole module is too long to show; name a class or a function")
    if "head" in options:
        # `found.functions` has those of the base classes too, whose lines are of other files
        own = [m for m in found.members.values() if m.is_function and m.lineno]
        methods = [m.lineno - len(m.decorators) for m in own]
        last = min(methods, default=last + 1) - 1
        lines = lines[: last - first + 1]
    if "nodoc" in options and found.docstring and found.docstring.lineno and found.docstring.endlineno:
        del lines[found.docstring.lineno - first : found.docstring.endlineno - first + 1]
    code = textwrap.dedent("\n".join(lines)).rstrip()
    ast.parse(code)  # never half a statement
    file = Path(found.filepath).resolve().relative_to(root.resolve()).as_posix()  # type: ignore[arg-type]
    return Listing(code, file, first, last)


class ListingLines(Preprocessor):
    """Turns each `@src` line into a fence, before fences are read."""

    def __init__(self, md: Markdown, root: Path) -> None:
        super().__init__(md)
        self.root = root

    def run(self, lines: list[str]) -> list[str]:
        out: list[str] = []
        fence = ""
        for line in lines:
            if mark := FENCE.match(line):
                fence = "" if fence and mark["mark"].startswith(fence) else fence or mark["mark"]
            match = LINE.match(line)
            if not match or fence:
                out.append(line)
                continue
            name = match["name"]
            code, file, first, last = listing(name, tuple(match["options"].split()), self.root)
            title = f"{name} · {file}, lines {first}–{last}"
            block = [f'```{{.python .listing title="{title}"}}', *code.splitlines(), "```"]
            out += [match["indent"] + text for text in block]
        return out


class Listings(Extension):
    """The extension; `root` is the folder that holds the package."""

    def __init__(self, **kwargs: Any) -> None:
        self.config = {"root": [".", "the folder that holds the package"]}
        super().__init__(**kwargs)

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        md.preprocessors.register(ListingLines(md, Path(self.getConfig("root"))), "listings", 28)


def makeExtension(**kwargs: Any) -> Listings:  # noqa: N802
    """Python-Markdown's door."""
    return Listings(**kwargs)
