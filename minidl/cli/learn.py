"""The exercises on the command line: `minidl learn`, `check`, `hint`, `watch`, `solution` and `reset`.

Exit codes: 0 solved or done, 1 not solved, 2 a wrong name or nothing to work on.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minidl.learn.course import Course, Exercise
    from minidl.learn.progress import Progress
    from minidl.learn.runner import Outcome

__all__ = ["add_commands"]


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the six commands; each sets `run`, a function of the parsed arguments to the exit code."""

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        parser = subparsers.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        parser.add_argument("--exercises", metavar="DIR", help="the exercises folder, if it is not found")
        parser.set_defaults(run=run)
        return parser

    name_help = "04, sigmoid or 04_sigmoid; without it, the next one that is not solved"
    command("learn", _learn, "list the exercises, your progress and what is next")
    command("check", _check, "check your answer").add_argument("name", nargs="?", help=name_help)
    command("hint", _hint, "show the next hint, three for each exercise").add_argument(
        "name", nargs="?", help=name_help
    )
    command("watch", _watch, "check again whenever you save, until Ctrl-C").add_argument(
        "name", nargs="?", help=name_help
    )
    solution = command("solution", _solution, "show an answer")
    solution.add_argument("name", help="04, sigmoid or 04_sigmoid")
    solution.add_argument("--yes", action="store_true", help="do not ask, even if it is not solved yet")
    command("reset", _reset, "put the blank file back; a copy of yours is kept").add_argument(
        "name", help="04, sigmoid or 04_sigmoid"
    )


# -------------------------------------------------------------------- the commands


def _learn(arguments: argparse.Namespace) -> int:
    course, progress = _open(arguments)
    solved = [each for each in course.exercises if progress.is_solved(each)]
    _say(f"{len(solved)} of {len(course.exercises)} exercises solved", "bold")
    following = _next(course, progress)
    width = max(len(each.name) for each in course.exercises)
    for each in course.exercises:
        mark, style = ("✓", "green") if each in solved else ("→", "bold") if each is following else (" ", "")
        _say(
            f"  {mark} {each.name:<{width}}  {each.title} (chapter {each.chapter}, {each.minutes} min)", style
        )
    _say_next(following)
    return 0


def _check(arguments: argparse.Namespace) -> int:
    course, progress = _open(arguments)
    exercise = course.find(arguments.name) if arguments.name else _next(course, progress)
    if exercise is None:
        _say_next(None)
        return 0
    solved = _check_one(exercise, progress)
    if solved:
        _say_next(_next(course, progress))
    return 0 if solved else 1


def _hint(arguments: argparse.Namespace) -> int:
    course, progress = _open(arguments)
    exercise = course.find(arguments.name) if arguments.name else _next(course, progress)
    if exercise is None:
        _say_next(None)
        return 0
    shown, count = progress.hints(exercise), len(exercise.hints)
    all_again = shown >= count
    for number in range(0 if all_again else shown, min(shown, count - 1) + 1):
        _say(f"{exercise.name}: hint {number + 1} of {count}", "bold")
        _say(" ".join(exercise.hints[number].split()))
    if all_again:
        _say(f"These are all. minidl solution {exercise.number} shows an answer.")
    else:
        progress.update(exercise, hints=shown + 1)
        _warn(progress)
    return 0


def _watch(arguments: argparse.Namespace) -> int:
    course, progress = _open(arguments)
    exercise = course.find(arguments.name) if arguments.name else _next(course, progress)
    try:
        while exercise is not None:
            _say(f"Watching {_path(exercise.answer)}; save it to check it, Ctrl-C ends.", "dim")
            while True:
                stamp = _stamp(exercise.answer)
                solved = _check_one(exercise, progress)
                if solved and not arguments.name:
                    break
                while _stamp(exercise.answer) == stamp:
                    time.sleep(0.2)
                _say("")
            exercise = _next(course, progress)
            _say_next(exercise)
    except KeyboardInterrupt:
        _say("\nStopped watching.")
    return 0


def _solution(arguments: argparse.Namespace) -> int:
    from minidl.learn.stubs import solution

    course, progress = _open(arguments)
    exercise = course.find(arguments.name)
    text = solution(exercise)
    if not sys.stdout.isatty():
        print(text, end="")
        return 0
    if not (arguments.yes or progress.is_solved(exercise)):
        left = len(exercise.hints) - progress.hints(exercise)
        hints = f" There are {left} hints left." if left > 0 else ""
        if not _ask(f"{exercise.name} is not solved yet.{hints} Show the answer? [y/N] "):
            return 1
    from rich.console import Console
    from rich.syntax import Syntax

    Console().print(Syntax(text, "python", background_color="default"))
    return 0


def _reset(arguments: argparse.Namespace) -> int:
    from minidl.learn.progress import back_up, write_whole
    from minidl.learn.stubs import stub

    course, progress = _open(arguments)
    exercise = course.find(arguments.name)
    blank = stub(exercise)
    if exercise.answer.is_file() and exercise.answer.read_bytes() == blank.encode():
        _say(f"{_path(exercise.answer)} is blank already; nothing to put back.")
    else:
        if exercise.answer.exists():
            _say(f"Your file is kept as {_path(back_up(exercise))}.")
        exercise.folder.mkdir(parents=True, exist_ok=True)
        write_whole(exercise.answer, blank)
        _say(f"{_path(exercise.answer)} is blank again.", "green")
    progress.forget(exercise)
    _warn(progress)
    return 0


# -------------------------------------------------------------------- what they share


def _open(arguments: argparse.Namespace) -> tuple[Course, Progress]:
    from minidl.learn.course import find_course
    from minidl.learn.progress import Progress

    course = find_course(arguments.exercises)
    progress = Progress(course)
    _warn(progress)
    return course, progress


def _next(course: Course, progress: Progress) -> Exercise | None:
    return next((each for each in course.exercises if not progress.is_solved(each)), None)


def _check_one(exercise: Exercise, progress: Progress) -> bool:
    """Judge the reader's file, say what became of it, and note it."""
    from minidl.learn.runner import check

    waiting = "checking …" if sys.stdout.isatty() else ""
    print(waiting, end="", flush=True)
    outcome = check(exercise)
    print("\r" + " " * len(waiting) + "\r" if waiting else "", end="", flush=True)
    if outcome.output.strip():
        _say("Your code printed:", "dim")
        _say(outcome.output.rstrip()[:2000], "dim")
    total = len(outcome.passed) + len(outcome.failed) + len(outcome.unwritten)
    if outcome.solved:
        _say(f"✓ {exercise.name} solved: {total} of {total} checks passed.", "bold green")
    else:
        _say_message(exercise, outcome)
        if not outcome.readable:
            _say(f"  {exercise.name}: nothing could be checked")
        elif total:
            wrong = f"; wrong: {', '.join(outcome.failed)}" if outcome.failed else ""
            blank = f"; not written yet: {', '.join(outcome.unwritten)}" if outcome.unwritten else ""
            _say(f"  {exercise.name}: {len(outcome.passed)} of {total} checks passed{wrong}{blank}")
    progress.update(exercise, solved=outcome.solved)
    _warn(progress)
    return outcome.solved


def _say_message(exercise: Exercise, outcome: Outcome) -> None:
    """What is wrong; on a terminal with what is right and the way to a hint on lines of their own."""
    style = "yellow" if outcome.blank else "red"
    hint = f" → minidl hint {exercise.number}"
    if not (sys.stdout.isatty() and outcome.message.endswith(hint)):
        _say(outcome.message, style)
        return
    verdict = outcome.message.removesuffix(hint)
    for count in range(len(outcome.passed), 0, -1):  # those that had passed before this one failed
        right = "".join(f" {each} ✓" for each in outcome.passed[:count])
        if verdict.endswith(right):
            _say(verdict.removesuffix(right), style)
            _say(f" {right}", "green")
            break
    else:
        _say(verdict, style)
    _say(f" {hint}")


def _say_next(exercise: Exercise | None) -> None:
    if exercise is None:
        _say("All exercises are solved.", "bold green")
        return
    _say(f"Next: read {_path(exercise.folder / 'README.md')}, write in {_path(exercise.answer)}, then")
    _say(f"      minidl check {exercise.number}")


def _warn(progress: Progress) -> None:
    if progress.warning:
        print(f"minidl: {progress.warning}", file=sys.stderr)
        progress.warning = ""


def _stamp(file: Path) -> tuple[int, int, int] | None:
    """What changes when a file is saved; None while it is not there."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _path(file: Path) -> str:
    """A file as one would type it here."""
    relative = os.path.relpath(file)
    return str(file) if relative.startswith(os.path.join("..", "..")) else relative


def _ask(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _say(text: str, style: str = "") -> None:
    """One line; on a terminal coloured, and broken between words where it is too narrow."""
    if not sys.stdout.isatty():
        print(text, flush=True)
        return
    from rich.console import Console
    from rich.text import Text

    Console().print(Text(text, style=style), highlight=False)
