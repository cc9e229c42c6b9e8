"""Planted bugs: break one line of the code on purpose, to see that a test notices."""

from __future__ import annotations

import inspect
import linecache
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

__all__ = ["Bug", "planted"]


class Bug(NamedTuple):
    """One wrong line: in `owner.attribute`, the text `old` becomes `new`.

    Attributes:
        name: what is wrong, in words; it makes a good test id.
        owner: the class, the module or the kernel that holds the function.
        attribute: the function's name there. What it names may be a function, a method (also a static
            or class method, or a property's getter), or a kernel, which means the kernel's reference.
        old: a piece of the function's source that occurs in it exactly once.
        new: what stands there instead.
    """

    name: str
    owner: Any
    attribute: str
    old: str
    new: str


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Run the block with the bug in place, and mend it afterwards, whatever happens in the block.

    The function keeps its identity and gets another code object, so everybody who imported it earlier
    meets the bug too. The whole file is compiled for that, and the one function taken from it: so
    closures, `super()` and line numbers in a traceback are those of the original.

    Raises:
        AssertionError: `old` does not occur exactly once in the function, the change changes nothing
            that runs (a comment, a default value: those belong to no code object), or it takes away
            the only use of an outer variable.
    """
    function = _function(bug)
    honest = function.__code__
    function.__code__ = _broken_code(bug, function)
    try:
        yield
    finally:
        function.__code__ = honest


def _function(bug: Bug) -> types.FunctionType:
    found = inspect.getattr_static(bug.owner, bug.attribute)
    if hasattr(found, "reference"):
        found = found.reference
    if isinstance(found, staticmethod | classmethod):
        found = found.__func__
    if isinstance(found, property):
        found = found.fget
    found = inspect.unwrap(found)
    if not isinstance(found, types.FunctionType):
        raise AssertionError(f"{bug.name!r}: {bug.attribute} is no Python function but {found!r}")
    return found


def _broken_code(bug: Bug, function: types.FunctionType) -> types.CodeType:
    honest = function.__code__
    file = linecache.getlines(honest.co_filename)
    lines, start = inspect.getsourcelines(honest)
    end = start - 1 + len(lines)
    source = "".join(lines)
    if (occurrences := source.count(bug.old)) != 1:
        raise AssertionError(
            f"{bug.name!r}: expected {bug.old!r} exactly once in {honest.co_qualname}, "
            f"found it {occurrences} times"
        )
    wrong = [*file[: start - 1], source.replace(bug.old, bug.new), *file[end:]]
    before, after = (
        _find(compile("".join(text), honest.co_filename, "exec", dont_inherit=True), honest)
        for text in (file, wrong)
    )
    if _runs(before) == _runs(after):
        raise AssertionError(f"{bug.name!r}: {bug.new!r} for {bug.old!r} changes nothing that runs")
    if after.co_freevars != honest.co_freevars:
        raise AssertionError(
            f"{bug.name!r}: expected the outer variables {honest.co_freevars} to stay in use, "
            f"got {after.co_freevars}"
        )
    return after


def _find(code: types.CodeType, like: types.CodeType) -> types.CodeType:
    """The code object of the same function, among all that a compiled file holds."""
    for candidate in _all_code(code):
        if (candidate.co_qualname, candidate.co_firstlineno) == (like.co_qualname, like.co_firstlineno):
            return candidate
    raise AssertionError(f"{like.co_qualname} is not at line {like.co_firstlineno} of {like.co_filename}")


def _all_code(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _all_code(constant)


def _runs(code: types.CodeType) -> list[Any]:
    """What makes two code objects do the same, whatever lines they stand on; inner functions too."""
    return [
        (
            c.co_code,
            [repr(k) for k in c.co_consts if not isinstance(k, types.CodeType)],
            c.co_names,
            c.co_varnames,
        )
        for c in _all_code(code)
    ]
