"""What exercises there are, where their files lie, and which one a name means.

Everything is read from `exercises/info.toml`; the folder names follow from an exercise's name.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from minidl.errors import MinidlError

__all__ = ["Course", "CourseError", "Exercise", "Mutant", "find_course"]


class CourseError(MinidlError, ValueError):
    """No exercises here, no exercise of that name, or an `info.toml` that says something impossible."""


@dataclass(frozen=True)
class Mutant:
    """A wrong answer that the check must refuse, and the words that it must use.

    Attributes:
        name: the file's name in `mutants/<exercise>/`, without `.py`.
        kind: the kind of mistake; every exercise has one of each kind.
        mistake: what was done wrong, in a sentence.
        message: what the check must say about it.
    """

    name: str
    kind: str
    mistake: str
    message: str


@dataclass(frozen=True)
class Exercise:
    """One exercise and the places of its files.

    Attributes:
        name: number and topic, as the folder is called: `04_sigmoid`.
        title: a heading for people.
        chapter: the number of the chapter that it belongs to.
        page: the chapter's page, relative to `docs/en`; empty where it is not written yet.
        equations: the chapter's equations that it uses.
        minutes: how long it takes.
        numpy_only: an answer must not import minidl, which has the function already.
        hints: three, each saying more than the one before.
        mutants: the wrong answers that the check is known to refuse.
        root: the `exercises` folder.
    """

    name: str
    title: str
    chapter: int
    page: str
    equations: tuple[str, ...]
    minutes: int
    hints: tuple[str, ...]
    mutants: tuple[Mutant, ...]
    root: Path
    numpy_only: bool = False

    @property
    def number(self) -> str:
        """`04` of `04_sigmoid`."""
        return self.name.partition("_")[0]

    @property
    def topic(self) -> str:
        """`sigmoid` of `04_sigmoid`."""
        return self.name.partition("_")[2]

    @property
    def folder(self) -> Path:
        """Where the reader works."""
        return self.root / self.name

    @property
    def answer(self) -> Path:
        """The file that the reader writes in."""
        return self.folder / f"{self.topic}.py"

    @property
    def tests(self) -> Path:
        """The file that checks it."""
        return self.folder / f"test_{self.topic}.py"

    @property
    def solution(self) -> Path:
        """The one hand-edited source: the right answer with its gaps marked."""
        return self.root / "solutions" / f"{self.name}.py"

    def mutant_file(self, mutant: Mutant) -> Path:
        """Where a wrong answer lies."""
        return self.root / "mutants" / self.name / f"{mutant.name}.py"


@dataclass(frozen=True)
class Course:
    """All exercises, in the order in which they are done."""

    root: Path
    exercises: tuple[Exercise, ...]

    def find(self, name: str) -> Exercise:
        """The exercise that a reader means by `04`, `4`, `sigmoid`, `04_sigmoid` or a path to its file.

        Raises:
            CourseError: there is none; the message lists those that there are.
        """
        wanted = Path(name.strip().rstrip("/\\"))
        stems = {wanted.stem.lower(), wanted.name.lower(), wanted.parent.name.lower()} - {""}
        for exercise in self.exercises:
            if stems & {exercise.name, exercise.topic, exercise.number, str(int(exercise.number))}:
                return exercise
        names = [each.name for each in self.exercises]
        close = get_close_matches(wanted.stem.lower(), names + [e.topic for e in self.exercises], n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        raise CourseError(f"expected an exercise ({', '.join(names)}), got {name!r}{meant}")


def find_course(folder: str | Path | None = None, start: Path | None = None) -> Course:
    """The exercises of a given folder; without one, those nearest upwards, or beside the package.

    Args:
        folder: the `exercises` folder itself.
        start: where to begin looking upwards; the current directory unless told.

    Raises:
        CourseError: there are none; the message says how to get them.
    """
    if folder is not None:
        root = Path(folder)
        if not (root / "info.toml").is_file():
            raise CourseError(f"expected a folder with an info.toml, as exercises/ has, got {str(folder)!r}")
        return _read(root.resolve())
    start = (start or Path.cwd()).resolve()
    beside = Path(__file__).resolve().parents[2]  # an editable install stands beside its exercises
    for place in (start, *start.parents, beside):
        for root in (place, place / "exercises"):
            if root.name == "exercises" and (root / "info.toml").is_file():
                return _read(root)
    raise CourseError(
        f"no exercises/ folder in {start}, above it or beside the installed minidl; "
        "change to a checkout of minidl, or name the folder with --exercises DIR"
    )


def _read(root: Path) -> Course:
    file = root / "info.toml"
    try:
        entries: list[dict[str, Any]] = tomllib.loads(file.read_text(encoding="utf-8"))["exercise"]
        return Course(root, tuple(_exercise(entry, root) for entry in entries))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CourseError(f"{file}: cannot be read: {error}") from error
    except KeyError as error:
        raise CourseError(f"{file}: expected the key {error}, got none") from error


def _exercise(entry: dict[str, Any], root: Path) -> Exercise:
    if not re.fullmatch(r"\d\d_[a-z0-9_]+", entry["name"]):
        raise CourseError(f"{root / 'info.toml'}: expected a name like 04_sigmoid, got {entry['name']!r}")
    return Exercise(
        name=entry["name"],
        title=entry["title"],
        chapter=entry["chapter"],
        page=entry.get("page", ""),
        equations=tuple(entry["equations"]),
        minutes=entry["minutes"],
        hints=tuple(hint.strip() for hint in entry["hints"]),
        mutants=tuple(
            Mutant(name, each["kind"], each["mistake"], each["message"])
            for name, each in entry["mutants"].items()
        ),
        root=root,
        numpy_only=entry.get("numpy_only", False),
    )
