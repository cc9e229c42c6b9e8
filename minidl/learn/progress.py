"""What a reader has done so far, and the copies that make sure nothing they wrote is lost.

Both lie beside the exercises and are ignored by git: `.progress.json` and `.backup/`.
"""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from minidl.learn.course import Course, Exercise

__all__ = ["Progress", "back_up", "write_whole"]


class Progress:
    """Which exercises are solved and how many hints were shown.

    Args:
        course: whose progress; the file is `.progress.json` in its folder.

    Attributes:
        warning: what went wrong with the file, for the reader; empty where nothing did. A file that
            cannot be read is put aside, never overwritten; one that cannot be written loses only the ticks.
    """

    def __init__(self, course: Course) -> None:
        self.file = course.root / ".progress.json"
        self.warning = ""
        self._entries: dict[str, dict[str, Any]] = {}
        if not self.file.exists():
            return
        try:
            entries = json.loads(self.file.read_text(encoding="utf-8"))
            if not isinstance(entries, dict) or not all(isinstance(each, dict) for each in entries.values()):
                raise ValueError("expected an object of objects")
            self._entries = entries
        except (OSError, ValueError) as error:
            aside = _free(self.file.with_name(f".progress.{_now()}.json"))
            self.warning = f"{self.file} cannot be read ({error}); progress starts afresh"
            try:
                os.replace(self.file, aside)
                self.warning += f", the old file is now {aside.name}"
            except OSError:
                pass  # a folder that cannot be written to: `save` says so

    def is_solved(self, exercise: Exercise) -> bool:
        """Whether the last check passed."""
        return bool(self._entries.get(exercise.name, {}).get("solved"))

    def is_started(self, exercise: Exercise) -> bool:
        """Whether the reader has worked on it: then its file is theirs and may differ from the blank one."""
        return exercise.name in self._entries

    def hints(self, exercise: Exercise) -> int:
        """How many hints were shown."""
        count = self._entries.get(exercise.name, {}).get("hints", 0)
        return count if isinstance(count, int) else 0

    def update(self, exercise: Exercise, **values: Any) -> None:
        """Note something about an exercise and save it."""
        self._entries.setdefault(exercise.name, {}).update(values)
        self._save()

    def forget(self, exercise: Exercise) -> None:
        """Begin an exercise anew."""
        if self._entries.pop(exercise.name, None) is not None:
            self._save()

    def _save(self) -> None:
        try:
            write_whole(self.file, json.dumps(self._entries, indent=2, sort_keys=True) + "\n")
        except OSError as error:
            self.warning = f"progress cannot be saved in {self.file} ({error.strerror})"


def write_whole(file: Path, text: str) -> None:
    """Write a file so that it is the old or the new one at every moment, never half of it."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


def back_up(exercise: Exercise) -> Path:
    """Copy the reader's file into `.backup/`, under a name that is not taken.

    Returns:
        Where the copy is.
    """
    folder = exercise.root / ".backup" / exercise.name
    folder.mkdir(parents=True, exist_ok=True)
    copy = _free(folder / f"{exercise.topic}.{_now()}.py")
    shutil.copyfile(exercise.answer, copy)
    return copy


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d_%H-%M-%S")


def _free(file: Path) -> Path:
    """The name itself, or with a number where there is such a file already."""
    number, wanted = 2, file
    while file.exists():
        file = wanted.with_name(f"{wanted.stem}_{number}{wanted.suffix}")
        number += 1
    return file
