"""Starts the process that judges an answer, watches its time and its output, and reads its report."""

from __future__ import annotations

import ast
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from minidl.learn.course import CourseError, Exercise

__all__ = ["Outcome", "check", "check_all"]

TIMEOUT = 10.0
"""Seconds that one exercise may take; a right answer takes about one."""

OUTPUT_LIMIT = 20_000
"""Characters of a reader's own prints that are kept; the rest is read and dropped."""


@dataclass(frozen=True)
class Outcome:
    """What became of one answer.

    Attributes:
        solved: every expected test ran to its end and passed.
        message: the line for the reader, where it is not solved.
        passed: the labels of the tests that passed, in order.
        failed: the labels of those that did not, because the answer is wrong.
        unwritten: the labels of those that met a gap that is still blank.
        readable: whether anything could be checked; no check could begin on a file that Python cannot run.
        output: what the reader's code printed, cut to a bearable length.
    """

    solved: bool
    message: str
    passed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    unwritten: tuple[str, ...] = ()
    output: str = ""
    readable: bool = True

    @property
    def blank(self) -> bool:
        """Whether nothing is wrong, only something still to be written."""
        return bool(self.unwritten) and not self.failed


def check(exercise: Exercise, answer: Path | None = None, timeout: float = TIMEOUT) -> Outcome:
    """Judge one answer; the reader's own unless another file is given.

    Raises:
        CourseError: pytest is not installed, or the exercise's own files are not there.
    """
    answer = exercise.answer if answer is None else answer
    if not answer.is_file():
        return Outcome(
            False, f"✗ {answer.name}: the file is not there; `minidl reset {exercise.number}` brings it back"
        )
    if exercise.numpy_only and (line := _imports_minidl(answer)):
        return Outcome(False, f"✗ {answer.name}, line {line}: imports minidl; write it with NumPy only")
    canaries = [exercise.mutant_file(mutant) for mutant in exercise.mutants if mutant.kind != "other"]
    return _judge(exercise, [answer], [each for each in canaries if each.is_file()], timeout)[0]


def _imports_minidl(answer: Path) -> int | None:
    """The first line of a file that imports minidl; None also where Python cannot read the file."""
    try:
        tree = ast.parse(answer.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None  # the check itself says so in words
    lines = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Call):  # import_module("minidl.nn") and __import__("minidl")
            names = [
                each.value
                for each in node.args
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            ]
        if isinstance(node, ast.stmt | ast.expr) and any(
            name.partition(".")[0] == "minidl" for name in names
        ):
            lines.append(node.lineno)
    return min(lines, default=None)


def check_all(exercise: Exercise, answers: list[Path], timeout: float = 6 * TIMEOUT) -> list[Outcome]:
    """Judge several trusted answers in one process, as the tests of the course itself do."""
    return _judge(exercise, answers, [], timeout)


def _judge(exercise: Exercise, answers: list[Path], canaries: list[Path], timeout: float) -> list[Outcome]:
    if find_spec("pytest") is None:
        raise CourseError('the checks need pytest, which is not installed: pip install -e ".[test]"')
    expected = _test_names(exercise.tests)
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="minidl-check-") as place:
        report, trace = Path(place) / "report.json", Path(place) / "trace.txt"
        request = {
            "token": token,
            "report": str(report),
            "trace": str(trace),
            "trace_at": time.time() + timeout - min(1.0, 0.1 * timeout),
            "tests": str(exercise.tests),
            "answers": [str(answer) for answer in answers],
            "canaries": [str(canary) for canary in canaries],
            "expected": expected,
        }
        code, output = _run(request, timeout)
        if code is None:
            return [Outcome(False, _too_long(answers, trace, timeout), output=output)] * len(answers)
        result = _read(report, token)
    if result is None or len(result["results"]) != len(answers):
        message = f"✗ the check did not come to its end: your code ended the process (exit code {code})"
        return [Outcome(False, message, output=output)] * len(answers)
    if result["tampered"]:
        message = "✗ known wrong answers pass beside yours: your file changes NumPy, pytest or Python itself"
        return [Outcome(False, message, output=output)] * len(answers)
    return [_outcome(each, expected, output) for each in result["results"]]


def _outcome(result: dict[str, Any], expected: list[str], output: str) -> Outcome:
    tests: dict[str, dict[str, str]] = result["tests"]
    passed = [each["label"] for each in tests.values() if each["outcome"] == "passed"]
    wrong = [each for each in tests.values() if each["outcome"] != "passed"]
    missing = [name for name in expected if name not in tests]
    complete = bool(expected) and not missing and len(passed) == len(expected)
    solved = bool(result["finished"]) and complete and not wrong
    if wrong:
        message = wrong[0]["message"]
    elif not solved:
        message = f"✗ the check did not come to its end: {len(passed)} of {len(expected)} tests ran"
    else:
        message = ""
    unwritten = tuple(each["label"] for each in wrong if each["outcome"] == "blank")
    failed = tuple(each["label"] for each in wrong if each["outcome"] != "blank") + tuple(missing)
    # What stops every check with the very same words stopped the file before any of them began.
    stopped = len(wrong) == len(expected) > 1 and not unwritten and len({e["message"] for e in wrong}) == 1
    return Outcome(solved, message, tuple(passed), failed, unwritten, output, not stopped)


def _test_names(tests: Path) -> list[str]:
    """The tests that must pass, read from the file without running it."""
    try:
        tree = ast.parse(tests.read_text(encoding="utf-8"))
    except (OSError, SyntaxError) as error:
        raise CourseError(f"{tests}: the exercise's tests cannot be read: {error}") from error
    return [
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def _run(request: dict[str, Any], timeout: float) -> tuple[int | None, str]:
    """The exit code (None: it took too long) and the printed text."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    package = str(Path(__file__).resolve().parents[2])
    environment |= {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [package, environment.get("PYTHONPATH", "")])),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8:replace",
    }
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "minidl.learn.session"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,  # so that its children can be ended with it
    )
    assert process.stdin is not None
    assert process.stdout is not None
    kept: list[bytes] = []
    reader = threading.Thread(target=_drain, args=(process.stdout, kept), daemon=True)
    reader.start()
    try:
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.close()
    except OSError:
        pass  # it ended before it could read; the missing report says so
    code: int | None
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        code = None
    finally:
        _end(process)
        reader.join(timeout=2)
        process.stdout.close()
    return code, b"".join(kept).decode("utf-8", "replace")


def _drain(stream: IO[bytes], kept: list[bytes]) -> None:
    """Read everything, so that the process never waits, and keep the first part of it."""
    room = OUTPUT_LIMIT
    try:
        while block := os.read(stream.fileno(), 65536):
            if room > 0:
                kept.append(block[:room])
                room -= len(block)
                if room <= 0:
                    kept.append("\n… and more, left out here".encode())
    except (OSError, ValueError):
        pass  # the stream was closed under us, with the process


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it started."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass  # all of them are gone already
    process.wait()


def _read(report: Path, token: str) -> dict[str, Any] | None:
    try:
        result: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return result if result.get("token") == token else None


def _too_long(answers: list[Path], trace: Path, timeout: float) -> str:
    """What the process was doing when its time ran out."""
    text = trace.read_text(encoding="utf-8", errors="replace") if trace.exists() else ""
    for answer in answers:
        if found := re.search(rf'File "{re.escape(str(answer))}", line (\d+)', text):
            where = f"it was still in {answer.name}, line {found[1]}; a loop that never ends?"
            break
    else:
        where = "is there a loop that never ends?"
    return f"✗ stopped after {timeout:g} s: {where}"
