"""What pytest needs to check an exercise: the reader's file as a fixture, and results in one line each.

`exercises/conftest.py` takes these in, so that `pytest exercises/04_sigmoid` and `minidl check` run the
very same tests.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from minidl.learn.answer import Answer, Mistake, NotWritten

__all__ = ["ANSWER", "answer", "label", "pytest_collection_modifyitems", "pytest_runtest_makereport"]

ANSWER = pytest.StashKey[Path]()
"""Which file to judge; set by a session that judges another than the one beside the tests."""

_PASSED = pytest.StashKey[list[str]]()


@pytest.fixture
def answer(request: pytest.FixtureRequest) -> Answer:
    """The reader's file, fresh for every test: the one beside the tests, whatever is installed."""
    tests = request.path
    return Answer(request.config.stash.get(ANSWER, tests.with_name(tests.name.removeprefix("test_"))))


def label(test: str) -> str:
    """`dW` for `test_dW`, as the result line names what is already right."""
    return test.removeprefix("test_").replace("_", " ")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A warning in a reader's code is worth a look, but it is not wrong by itself."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show a mistake as its one line, with what is right already and the way to a hint."""
    report = yield
    assert item.parent is not None
    passed = item.parent.stash.setdefault(_PASSED, [])
    if call.when == "call" and report.passed:
        passed.append(label(item.name))
    error = call.excinfo.value if call.excinfo else None
    if error is None or not report.failed:
        return report
    blank = isinstance(error, NotWritten)
    text = str(error) if isinstance(error, Mistake) else f"what came back is of no use: {error!r:.300}"
    right = "".join(f" {each} ✓" for each in passed)
    number = item.path.parent.name.partition("_")[0]
    end = "" if text.endswith("?") else "."
    line = f"{'·' if blank else '✗'} {text.rstrip('.')}{end}{right} → minidl hint {number}"
    report.user_properties += [("blank", blank), ("line", line)]
    if isinstance(error, Mistake):
        report.longrepr = line
    return report
