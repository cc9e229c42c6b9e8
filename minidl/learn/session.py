"""The process in which a reader's code is judged: `minidl.learn.runner` starts it and reads its report.

The report is a file whose name and token came in through standard input, written only after pytest has
really ended; what the reader's code prints, and how the process exits, count for nothing. After a pass,
the known wrong answers are judged in the same process: if one of them passes too, then the reader's file
has changed NumPy or pytest themselves, and the pass is void.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from minidl.learn.plugin import ANSWER, label

__all__ = ["main"]

_leave = os._exit  # taken before a reader's file can put something else there


class Recorder:
    """A pytest plugin that notes what became of each test."""

    def __init__(self, answer: Path) -> None:
        self.answer = answer
        self.tests: dict[str, dict[str, Any]] = {}
        self.finished = False

    def pytest_configure(self, config: pytest.Config) -> None:
        """Tell the `answer` fixture which file to judge."""
        config.stash[ANSWER] = self.answer

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test passed if its call passed and nothing around it failed."""
        name = report.nodeid.rpartition("::")[2]
        if report.failed:
            outcome = "blank" if dict(report.user_properties).get("blank") else "failed"
        elif report.when == "call" or report.skipped:
            outcome = report.outcome
        else:
            return
        if self.tests.get(name, {}).get("outcome") not in ("failed", "blank"):
            message = dict(report.user_properties).get("line", "")
            self.tests[name] = {"label": label(name), "outcome": outcome, "message": message}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A test file that cannot be read is a failure of the exercise, not of the reader."""
        if report.failed:
            message = str(report.longrepr)
            self.tests["collection"] = {"label": "collection", "outcome": "failed", "message": message}

    def pytest_sessionfinish(self) -> None:
        """The session came to its own end."""
        self.finished = True


def judge(tests: Path, answer: Path) -> dict[str, Any]:
    """Run an exercise's tests on one answer."""
    recorder = Recorder(answer)
    options = ["-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:terminal", "--capture=no"]
    # Nothing from a pyproject.toml that happens to be around, and no module of the reader's by accident.
    options += ["-c", os.devnull, f"--rootdir={tests.parent.parent}", "--import-mode=importlib"]
    options += [f"--confcutdir={tests.parent.parent}"]
    code = pytest.main([*options, str(tests)], plugins=[recorder])
    ended = recorder.finished and code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    return {"tests": recorder.tests, "finished": ended}


def all_passed(result: dict[str, Any], expected: list[str]) -> bool:
    """Whether exactly the expected tests ran, and every one passed."""
    passed = [name for name, each in result["tests"].items() if each["outcome"] == "passed"]
    return result["finished"] and sorted(passed) == sorted(result["tests"]) == sorted(expected)


def main() -> None:
    """Judge what standard input asks for and write the report."""
    request = json.loads(sys.stdin.readline())
    trace = open(request["trace"], "w", encoding="utf-8")  # noqa: SIM115 - open to the end of the process
    faulthandler.dump_traceback_later(max(0.1, request["trace_at"] - time.time()), file=trace)
    tests = Path(request["tests"])
    report: dict[str, Any] = {"token": request["token"], "results": [], "tampered": False}
    for answer in request["answers"]:
        report["results"].append(judge(tests, Path(answer)))
    if all(all_passed(result, request["expected"]) for result in report["results"]):
        wrong = (judge(tests, Path(mutant)) for mutant in request["canaries"])
        report["tampered"] = any(all_passed(result, request["expected"]) for result in wrong)
    sys.stdout.flush()
    file = Path(request["report"])
    file.with_suffix(".part").write_text(json.dumps(report), encoding="utf-8")
    os.replace(file.with_suffix(".part"), file)
    _leave(0)  # no handler or thread of the reader's keeps the process alive


if __name__ == "__main__":
    main()
