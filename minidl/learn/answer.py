"""A reader's file, loaded by its path and called so that nothing it does can pass for a right answer.

Whatever goes wrong in it (a syntax error, an exception, `sys.exit(0)`, a missing function) becomes a
`Mistake`: one line for the reader, with the line of their file.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np

__all__ = ["Answer", "Mistake", "NotWritten"]


class Mistake(AssertionError):  # noqa: N818 - the reader is told of a mistake, not of an error
    """What is wrong with an answer, in words for the one who wrote it."""


class NotWritten(Mistake):
    """A gap of the exercise is still blank."""


class Answer:
    """The functions of one reader's file; `answer.sigmoid(x)` calls the reader's `sigmoid`.

    The file is read at the first use, so that a file that cannot even be read fails the check that
    needed it, in words.

    Args:
        path: the reader's file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._module: ModuleType | None = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        if self._module is None:
            self._module = _load(self._path)
        function = getattr(self._module, name, None)
        if not callable(function):
            there = "it is no function any more" if function is not None else "it is not there"
            raise Mistake(
                f"{self._path.name}: expected a function {name}(), but {there}; was it renamed or deleted?"
            )

        def guarded(*arguments: Any, **named: Any) -> Any:
            with _guard(self._path, lambda: _call_text(name, function, arguments, named)):
                result = function(*arguments, **named)
                return list(result) if inspect.isgenerator(result) else result  # it runs in here, too

        return guarded


def _load(path: Path) -> ModuleType:
    """Run the file as a fresh module.

    It is compiled here and not by `import`: Python's cache of compiled files looks at the time in whole
    seconds and would serve the old text to a reader who saves twice in one second.
    """
    try:
        source = path.read_bytes()
    except OSError as error:
        raise Mistake(f"{path.name}: cannot be read ({error.strerror})") from None
    module = ModuleType(f"answer_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and pickle look their module up by name
    with _guard(path, lambda: "reading the file"):
        exec(compile(source, str(path), "exec"), module.__dict__)
    return module


@contextmanager
def _guard(path: Path, doing: Callable[[], str]) -> Iterator[None]:
    """Turn everything that the reader's code may raise into a Mistake."""
    leave, os._exit = os._exit, _no_exit
    try:
        yield
    except (Mistake, KeyboardInterrupt):
        raise
    except NotImplementedError as error:
        raise NotWritten(f"{error or 'not written yet'}{_line(path, error)}") from error
    except SyntaxError as error:
        raise Mistake(_syntax(path, error)) from error
    except SystemExit as error:
        raise Mistake(
            f"{doing()} ended the program (sys.exit, exit or quit){_line(path, error)}; an answer returns"
        ) from error
    except BaseException as error:
        text = " ".join(str(error).split())[:300]
        raise Mistake(
            f"{doing()} raised {type(error).__name__}: {text}{_transpose_remark(text)}{_line(path, error)}"
        ) from error
    finally:
        os._exit = leave


def _no_exit(status: int = 0) -> NoReturn:
    """Stands in for `os._exit` while the reader's code runs: an end without a word is no pass."""
    raise SystemExit(status)


def _syntax(path: Path, error: SyntaxError) -> str:
    where = f", line {error.lineno}" if error.lineno else ""
    text = f": `{error.text.strip()}`" if error.text and error.text.strip() else ""
    return f"{Path(error.filename or path).name}{where}: Python cannot read this ({error.msg}){text}"


def _line(path: Path, error: BaseException) -> str:
    """` (sigmoid.py, line 14)`: the innermost line of the reader's own file."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f" ({path.name}, line {lines[-1]})" if lines else ""


def _call_text(
    name: str, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> str:
    """`linear(x (5, 3), W (4, 3))`: the call with the shapes of its arrays."""
    try:
        bound = inspect.signature(function).bind(*arguments, **named).arguments
    except (TypeError, ValueError):
        return f"{name}()"
    shapes = [f"{key} {value.shape}" for key, value in bound.items() if isinstance(value, np.ndarray)]
    return f"{name}({', '.join(shapes)})"


def _transpose_remark(text: str) -> str:
    """NumPy names two sizes or shapes that do not fit; say which, and where one is the other's transpose."""
    sizes = re.search(r"\(size (?P<b>\d+) is different from (?P<a>\d+)\)", text)  # matmul
    sizes = sizes or re.search(r"not aligned: (?P<a>\d+) \(dim \d+\) != (?P<b>\d+) \(dim", text)  # dot
    if sizes:
        return (
            f"; the inner sizes of a product must agree: {sizes['a']} and {sizes['b']} do not, so one factor "
            "wants .T (or none)"
        )
    shapes = [tuple(map(int, found.split(","))) for found in re.findall(r"\((\d+,\d+)\)", text)]
    if len(shapes) >= 2 and shapes[0] != shapes[1] and shapes[0] == shapes[1][::-1]:
        return f"; {shapes[0]} is the transpose of {shapes[1]}"
    return ""
