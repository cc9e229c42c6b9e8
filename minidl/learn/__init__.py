"""The exercises' workshop: it finds them, makes the blank files, runs the checks and remembers progress.

`minidl.cli.learn` is the only part of minidl that uses it; nothing here is needed to train a network.
"""

from minidl.learn.course import Course, CourseError, Exercise, find_course
from minidl.learn.runner import Outcome, check

__all__ = ["Course", "CourseError", "Exercise", "Outcome", "check", "find_course"]
