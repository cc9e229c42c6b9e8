"""Copies of the course for tests to spoil: the reader's own work in exercises/ is never touched."""

import shutil
from pathlib import Path

import pytest

from minidl.learn import Course, Exercise, find_course
from minidl.learn.stubs import stub

EXERCISES = Path(__file__).parents[2] / "exercises"


@pytest.fixture(scope="session")
def course() -> Course:
    """The exercises as they stand in the repository."""
    return find_course(EXERCISES)


@pytest.fixture
def copy(tmp_path: Path) -> Course:
    """A copy of the course with every exercise blank, as after installing."""
    root = tmp_path / "exercises"
    shutil.copytree(EXERCISES, root, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    course = find_course(root)
    for exercise in course.exercises:
        exercise.answer.write_text(stub(exercise), encoding="utf-8")
    return course


@pytest.fixture
def sigmoid(copy: Course) -> Exercise:
    """The first exercise of such a copy."""
    return copy.find("sigmoid")
