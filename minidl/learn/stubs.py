"""From a solution to the blank file that a reader starts with.

A solution marks what is left to the reader:

```
def sigmoid(x):
    \"\"\"…\"\"\"
    # gap: return σ(x) for every element (eq. 4.1)
    return 1 / (1 + np.exp(-x))
    # end gap
```

In the blank file the gap's own words stay as a comment, and its lines are replaced by one that raises
NotImplementedError; it never returns something that could pass for an answer.

`python -m minidl.learn.stubs exercises` writes all blank files afresh (a file that differs is kept in
`.backup/`), and with `--check` only says which ones are out of date.
"""

from __future__ import annotations

import re
import sys

from minidl.learn.course import CourseError, Exercise, find_course
from minidl.learn.progress import back_up, write_whole

__all__ = ["main", "solution", "stub"]

_GAP = re.compile(r"^(?P<indent> *)# gap: (?P<task>.+)$")
_END = re.compile(r"^ *# end gap$")
_DEF = re.compile(r"^ *def (?P<name>\w+)\(")


def stub(exercise: Exercise) -> str:
    """The blank file: the solution with every gap emptied.

    Raises:
        CourseError: a gap does not end, or there is none.
    """
    return _cut(exercise, blank=True)


def solution(exercise: Exercise) -> str:
    """The right answer as a reader would have written it, without the marks."""
    return _cut(exercise, blank=False)


def _cut(exercise: Exercise, blank: bool) -> str:
    lines: list[str] = []
    function, gaps, inside = "", 0, False
    for line in exercise.solution.read_text(encoding="utf-8").splitlines():
        if definition := _DEF.match(line):
            function = definition["name"]
        if gap := _GAP.match(line):
            if inside:
                raise CourseError(f"{exercise.solution}: a gap inside a gap: {line.strip()}")
            inside, gaps = True, gaps + 1
            if blank:
                lines.append(f"{gap['indent']}# Your turn: {gap['task']}")
                lines.append(f'{gap["indent"]}raise NotImplementedError("{function}() is not written yet")')
        elif _END.match(line):
            inside = False
        elif not (inside and blank):
            lines.append(line)
    if inside or not gaps:
        raise CourseError(f"{exercise.solution}: expected gaps that end, got {gaps} that begin")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the blank files of a course, or with `--check` name those that differ."""
    arguments = sys.argv[1:] if arguments is None else arguments
    check = "--check" in arguments
    course = find_course(next((each for each in arguments if not each.startswith("-")), None))
    stale = [
        exercise
        for exercise in course.exercises
        if not exercise.answer.exists() or exercise.answer.read_text(encoding="utf-8") != stub(exercise)
    ]
    for exercise in stale:
        print(f"{'differs from' if check else 'written from'} its solution: {exercise.answer}")
        if not check:
            if exercise.answer.exists():
                back_up(exercise)
            exercise.folder.mkdir(exist_ok=True)
            write_whole(exercise.answer, stub(exercise))
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
