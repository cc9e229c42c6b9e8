"""The exercises' commands as a reader types them: real processes, their output and their exit codes."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from minidl.learn import Course, Exercise
from minidl.learn.stubs import solution, stub

MINIDL = [sys.executable, "-m", "minidl"]


def minidl(course: Course, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One command, run inside the copied exercises folder."""
    return subprocess.run(
        [*MINIDL, *words], cwd=cwd or course.root, capture_output=True, text=True, timeout=60
    )


def solve(exercise: Exercise) -> None:
    exercise.answer.write_text(solution(exercise), encoding="utf-8")


def test_a_first_exercise_from_list_to_solved(copy: Course, sigmoid: Exercise) -> None:
    listed = minidl(copy, "learn")
    assert listed.returncode == 0
    assert "0 of 4 exercises solved" in listed.stdout
    assert "→ 04_sigmoid" in listed.stdout
    assert "Next: read 04_sigmoid/README.md, write in 04_sigmoid/sigmoid.py, then" in listed.stdout
    assert "\x1b" not in listed.stdout

    blank = minidl(copy, "check")
    assert blank.returncode == 1
    assert "· sigmoid() is not written yet (sigmoid.py, line" in blank.stdout
    assert "0 of 8 checks passed" in blank.stdout

    solve(sigmoid)
    solved = minidl(copy, "check")
    assert solved.returncode == 0, solved.stdout
    assert "✓ 04_sigmoid solved: 8 of 8 checks passed." in solved.stdout
    assert "minidl check 05" in solved.stdout

    assert "1 of 4 exercises solved" in minidl(copy, "learn").stdout
    assert "05_numerical_gradient" in minidl(copy, "hint").stdout


def test_a_mistake_is_one_line_with_what_is_right_already(copy: Course) -> None:
    exercise = copy.find("12")
    wrong = solution(exercise).replace("dy.T @ x", "dy.T @ x * len(x)")
    exercise.answer.write_text(wrong, encoding="utf-8")
    run = minidl(copy, "check", "linear_backward")
    assert run.returncode == 1
    assert (
        "✗ dW: shape (4, 3) correct, values wrong. Yours / expected = 5.00 everywhere; the batch is 5, so "
        "you probably summed where the loss averages (eq. 12.2). "
        "forward by hand ✓ forward ✓ dx ✓ → minidl hint 12\n"
    ) in run.stdout


@pytest.mark.parametrize("name", ["04", "4", "sigmoid", "04_sigmoid", "04_sigmoid/", "04_sigmoid/sigmoid.py"])
def test_an_exercise_goes_by_many_names(copy: Course, name: str) -> None:
    assert copy.find(name).name == "04_sigmoid"


def test_a_wrong_name_or_folder_is_one_line_and_exit_code_2(copy: Course, tmp_path: Path) -> None:
    for words, message in [
        (["check", "sigmiod"], "got 'sigmiod'; did you mean sigmoid?"),
        (["hint", "99"], "expected an exercise (04_sigmoid, "),
        (["solution"], "the following arguments are required: name"),
        (["learn", "--exercises", str(tmp_path)], "expected a folder with an info.toml"),
    ]:
        run = minidl(copy, *words)
        assert run.returncode == 2
        assert run.stdout == ""
        assert run.stderr.startswith(f"minidl {words[0]}: ")
        assert run.stderr.count("\n") == 1
        assert message in run.stderr


def test_every_hint_comes_once_and_then_all_together(copy: Course, sigmoid: Exercise) -> None:
    texts = [" ".join(hint.split()) for hint in sigmoid.hints]
    for number, text in enumerate(texts):
        run = minidl(copy, "hint", "04")
        assert run.returncode == 0
        assert f"hint {number + 1} of 3" in run.stdout
        assert [each in run.stdout for each in texts] == [each == text for each in texts]
    last = minidl(copy, "hint", "04").stdout
    assert all(text in last for text in texts)
    assert "minidl solution 04 shows an answer" in last


def test_a_solution_shown_is_a_solution_that_passes(copy: Course, sigmoid: Exercise) -> None:
    run = minidl(copy, "solution", "sigmoid")
    assert run.returncode == 0
    assert "# gap" not in run.stdout
    sigmoid.answer.write_text(run.stdout, encoding="utf-8")
    assert minidl(copy, "check", "04").returncode == 0


def test_reset_gives_the_blank_file_and_keeps_every_copy(copy: Course, sigmoid: Exercise) -> None:
    works = ["# my first try\n", "# my second try, é\r\n", "syntax error ("]
    for work in works:
        sigmoid.answer.write_bytes(work.encode())
        run = minidl(copy, "reset", "04")
        assert run.returncode == 0
        assert sigmoid.answer.read_text(encoding="utf-8") == stub(sigmoid)
        assert "Your file is kept as .backup" in run.stdout
    kept = sorted((copy.root / ".backup" / "04_sigmoid").iterdir())
    assert sorted(file.read_bytes() for file in kept) == sorted(work.encode() for work in works)
    assert "blank already" in minidl(copy, "reset", "04").stdout
    assert len(list((copy.root / ".backup" / "04_sigmoid").iterdir())) == 3


def test_reset_brings_back_a_deleted_file(copy: Course, sigmoid: Exercise) -> None:
    sigmoid.answer.unlink()
    assert minidl(copy, "reset", "04").returncode == 0
    assert sigmoid.answer.read_text(encoding="utf-8") == stub(sigmoid)


def test_a_damaged_progress_file_is_put_aside(copy: Course) -> None:
    file = copy.root / ".progress.json"
    file.write_text('{"04_sigmoid": tru', encoding="utf-8")
    run = minidl(copy, "learn")
    assert run.returncode == 0
    assert "0 of 4" in run.stdout
    assert "progress starts afresh" in run.stderr
    (aside,) = copy.root.glob(".progress.2*.json")
    assert aside.read_text(encoding="utf-8") == '{"04_sigmoid": tru'


def test_an_answer_that_breaks_later_is_not_solved_any_more(copy: Course, sigmoid: Exercise) -> None:
    solve(sigmoid)
    assert minidl(copy, "check", "04").returncode == 0
    sigmoid.answer.write_text("def sigmoid(x): return x\n", encoding="utf-8")
    assert minidl(copy, "check", "04").returncode == 1
    assert json.loads((copy.root / ".progress.json").read_text())["04_sigmoid"]["solved"] is False


def test_the_folder_is_found_from_below_and_from_above(copy: Course) -> None:
    for cwd in (copy.root / "12_linear_backward", copy.root.parent):
        assert "0 of 4" in minidl(copy, "learn", cwd=cwd).stdout


def test_what_the_code_prints_is_shown_apart(copy: Course, sigmoid: Exercise) -> None:
    sigmoid.answer.write_text("print('[bold]8 of 8 checks passed')\n", encoding="utf-8")
    run = minidl(copy, "check", "04")
    assert run.returncode == 1
    assert run.stdout.startswith("Your code printed:\n[bold]8 of 8 checks passed\n")


def until(process: subprocess.Popen[str], text: str) -> str:
    """What the process prints, up to and with a line that holds `text`."""
    assert process.stdout is not None
    too_long = threading.Timer(30, process.kill)  # readline waits for as long as nothing comes
    too_long.start()
    seen = ""
    while text not in seen and (line := process.stdout.readline()):
        seen += line
    too_long.cancel()
    assert text in seen
    return seen


def test_watch_checks_at_every_save_and_goes_on_to_the_next(copy: Course, sigmoid: Exercise) -> None:
    with subprocess.Popen([*MINIDL, "watch"], cwd=copy.root, stdout=subprocess.PIPE, text=True) as process:
        until(process, "0 of 8 checks passed")
        wrong = solution(sigmoid).replace(").sum()", ").mean()").replace("dz.sum()", "dz.mean()")
        sigmoid.answer.write_text(wrong, encoding="utf-8")
        assert "averaged where a sum belongs" in until(process, "6 of 8 checks passed; wrong: da, db")
        solve(sigmoid)
        until(process, "04_sigmoid solved")
        assert "Watching 05_numerical_gradient" in until(process, "Watching")
        until(process, "0 of 9 checks passed")
        process.send_signal(signal.SIGINT)
        until(process, "Stopped watching.")
        assert process.wait(10) == 0


def test_on_a_terminal_there_is_colour_and_a_question(copy: Course) -> None:
    main, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [*MINIDL, "solution", "04"],
        cwd=copy.root,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment,
    )
    os.close(terminal)
    question = read_terminal(main, "[y/N] ")
    assert "04_sigmoid is not solved yet. There are 3 hints left." in question
    os.write(main, b"y\n")
    shown = read_terminal(main, "end of file")
    assert process.wait(20) == 0
    os.close(main)
    assert "\x1b[" in shown
    assert "sigmoid_backward" in shown


def test_on_a_narrow_terminal_lines_break_between_words(copy: Course) -> None:
    exercise = copy.find("12")
    exercise.answer.write_text(solution(exercise).replace("dy.T @ x", "dy.T @ x * len(x)"), encoding="utf-8")
    main, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "60", "NO_COLOR": "1"}
    process = subprocess.Popen(
        [*MINIDL, "check", "12"],
        cwd=copy.root,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment,
    )
    os.close(terminal)
    shown = read_terminal(main, "wrong: dW")
    assert process.wait(20) == 1
    os.close(main)
    assert "checking …" in shown
    lines = [line.rpartition("\r")[2].rstrip() for line in shown.replace("\r\n", "\n").splitlines()]
    assert max(map(len, lines)) <= 60
    assert "  forward by hand ✓ forward ✓ dx ✓" in lines
    assert "  → minidl hint 12" in lines
    assert "probably summed where the loss averages (eq. 12.2)." in " ".join(lines)


def test_a_file_that_python_cannot_read_lists_no_checks(copy: Course, sigmoid: Exercise) -> None:
    for text in ("def sigmoid(x)\n", "import numpie\n"):
        sigmoid.answer.write_text(text, encoding="utf-8")
        run = minidl(copy, "check", "04")
        assert "  04_sigmoid: nothing could be checked\n" in run.stdout
        assert "wrong: " not in run.stdout
    sigmoid.answer.write_text("def sigma(x): return x\n", encoding="utf-8")
    assert "was it renamed or deleted? → minidl hint 04\n" in minidl(copy, "check", "04").stdout


def read_terminal(main: int, text: str) -> str:
    seen = ""
    while text not in seen and select.select([main], [], [], 20)[0]:
        try:
            block = os.read(main, 4096)
        except OSError:  # Linux's way of saying that the other side is closed
            break
        if not block:
            break
        seen += block.decode(errors="replace")
    return seen


def test_help_and_checks_do_not_load_what_they_do_not_need() -> None:
    heavy = ("rich", "pytest", "numba", "matplotlib")
    code = f"import sys, minidl.cli.learn; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "[]\n"
