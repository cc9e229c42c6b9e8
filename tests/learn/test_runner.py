"""A reader's file may do anything: loop, leave, flood, pretend. Only right code is ever read as a pass."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minidl.learn import Course, CourseError, Exercise, check, runner
from minidl.learn.stubs import solution

BODY = r"    e = np\.exp\(-np\.abs\(x\)\).*?\n    return [^\n]*\n"


def with_sigmoid(exercise: Exercise, body: str) -> str:
    """The right answer, with another body for `sigmoid`."""
    text = re.sub(BODY, lambda _: body, solution(exercise), flags=re.DOTALL)
    assert text != solution(exercise)
    return text


HOSTILE_BODIES = {
    "sys.exit in a function": ("    import sys\n    sys.exit(0)\n", "sigmoid(x (2, 3)) ended the program"),
    "os._exit in a function": ("    import os\n    os._exit(0)\n", "sigmoid(x (2, 3)) ended the program"),
    "quit": ("    raise SystemExit\n", "ended the program"),
    "nothing returned": ("    1 / (1 + np.exp(-x))\n", "got None; a function without `return`"),
    "a list": ("    return [0.5]\n", "expected a NumPy array of shape (2, 3), got a list of 1"),
    "a string": ("    return 'passed'\n", "got str"),
    "an exception": (
        "    return x / undefined\n",
        "raised NameError: name 'undefined' is not defined (sigmoid.py,",
    ),
    "pytest.skip": ("    import pytest\n    pytest.skip('done')\n", "raised Skipped"),
    "pytest.exit": ("    import pytest\n    pytest.exit('1 passed', 0)\n", "raised Exit"),
    "pytest.xfail": ("    import pytest\n    pytest.xfail('done')\n", "raised XFailed"),
    "Ctrl-C": ("    raise KeyboardInterrupt\n", "did not come to its end"),
    "endless recursion": ("    return sigmoid(x)\n", "raised RecursionError"),
    "an array that equals everything": (
        """    class Same(np.ndarray):
        def __eq__(self, other): return True
        def __sub__(self, other): return 0.0
    return np.zeros_like(x).view(Same)
""",
        "All zeros",
    ),
    "integers": ("    return np.zeros(x.shape, int)\n", "the dtype is int64, which cannot hold fractions"),
}

HOSTILE_FILES = {
    "sys.exit when read": ("import sys\nsys.exit(0)\n", "reading the file ended the program"),
    "os._exit when read": ("import os\nos._exit(0)\n", "reading the file ended the program"),
    "a real _exit": ("import posix\nposix._exit(0)\n", "your code ended the process (exit code 0)"),
    "a syntax error": ("def sigmoid(x)\n    return x\n", "sigmoid.py, line 1: Python cannot read this"),
    "a bad import": (
        "import numpie\n",
        "raised ModuleNotFoundError: No module named 'numpie' (sigmoid.py, line 1)",
    ),
    "an empty file": ("", "expected a function sigmoid(), but it is not there"),
    "a renamed function": ("def sigmiod(x):\n    return x\n", "was it renamed or deleted?"),
    "no function any more": ("sigmoid = 3\n", "it is no function any more"),
    "not text": ("\0\0", "Python cannot read this"),
    "printed results": (
        "print('8 passed in 0.1s')\nimport os\nprint('{\"token\": 1}')\nos._exit(0)\n",
        "ended the program",
    ),
    "a fake report": (
        """import ast, glob, json, os, posix, tempfile
tests = os.path.join(os.path.dirname(__file__), 'test_sigmoid.py')
names = [getattr(node, 'name', '') for node in ast.parse(open(tests).read()).body]
one = {'label': '', 'outcome': 'passed', 'message': ''}
results = [{'tests': {name: one for name in names if name.startswith('test_')}, 'finished': True}]
for place in glob.glob(os.path.join(tempfile.gettempdir(), 'minidl-check-*')):
    with open(os.path.join(place, 'report.json'), 'w') as file:
        json.dump({'token': 'guess', 'results': results, 'tampered': False}, file)
posix._exit(0)
""",
        "did not come to its end",
    ),
}

PATCHES = {
    "numpy": "np.isclose = lambda a, b, **named: np.array(True)\n",
    "pytest's outcome": """import _pytest.reports
def passed(cls, item, call):
    return cls(item.nodeid, item.location, {}, 'passed', None, call.when)
_pytest.reports.TestReport.from_item_and_call.__func__.__code__ = passed.__code__
""",
    "the checks": """import sys
for module in list(sys.modules.values()):
    if hasattr(module, 'check_array'):
        module.check_array = module.check_unchanged = lambda *arguments, **named: None
""",
}


@pytest.mark.parametrize("name", HOSTILE_BODIES)
def test_what_a_function_does_never_passes(sigmoid: Exercise, name: str) -> None:
    body, message = HOSTILE_BODIES[name]
    sigmoid.answer.write_text(with_sigmoid(sigmoid, body), encoding="utf-8")
    outcome = check(sigmoid)
    assert not outcome.solved
    assert message in outcome.message


@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_what_a_file_does_never_passes(sigmoid: Exercise, name: str) -> None:
    text, message = HOSTILE_FILES[name]
    sigmoid.answer.write_text(text, encoding="utf-8")
    outcome = check(sigmoid)
    assert not outcome.solved
    assert message in outcome.message


@pytest.mark.parametrize("name", PATCHES)
def test_changing_the_tools_never_passes(sigmoid: Exercise, name: str) -> None:
    wrong = with_sigmoid(sigmoid, "    return 0 * x + 0.25\n")
    sigmoid.answer.write_text(f"{wrong}\n\n{PATCHES[name]}", encoding="utf-8")
    outcome = check(sigmoid)
    assert not outcome.solved
    assert "known wrong answers pass beside yours" in outcome.message


@pytest.mark.parametrize(
    "line",
    [
        "import minidl",
        "from minidl.nn import Sigmoid",
        "import importlib; importlib.import_module('minidl.nn')",
    ],
)
def test_minidl_itself_is_no_answer_where_numpy_is_asked_for(
    sigmoid: Exercise, copy: Course, line: str
) -> None:
    sigmoid.answer.write_text(f"{line}\n{solution(sigmoid)}", encoding="utf-8")
    outcome = check(sigmoid)
    assert not outcome.solved
    assert outcome.message == "✗ sigmoid.py, line 1: imports minidl; write it with NumPy only"
    loop = copy.find("training_loop")  # asks for something that minidl does not have
    loop.answer.write_text(f"{line}\n{solution(loop)}", encoding="utf-8")
    assert check(loop).solved


def test_the_right_answer_passes(sigmoid: Exercise) -> None:
    sigmoid.answer.write_text(solution(sigmoid) + "\nprint('hello from the answer')\n", encoding="utf-8")
    outcome = check(sigmoid)
    assert outcome.solved, outcome.message
    assert "hello from the answer" in outcome.output


@pytest.mark.parametrize(
    ("line", "message"),
    [("yield from order", ""), ("yield order[1 / 0]", "raised ZeroDivisionError"), ("yield exit()", "ended")],
)
def test_a_generator_runs_under_guard(copy: Course, line: str, message: str) -> None:
    exercise = copy.find("training_loop")
    body = (
        solution(exercise)
        .replace("return [order", "order = [order")
        .replace(", batch_size)]\n", f", batch_size)]\n    {line}\n")
    )
    exercise.answer.write_text(body, encoding="utf-8")
    outcome = check(exercise)
    assert outcome.solved == (message == "")
    assert message in outcome.message


def test_an_endless_loop_is_stopped_and_named(sigmoid: Exercise) -> None:
    body = "    while True:\n        x = x + 1\n"
    sigmoid.answer.write_text(with_sigmoid(sigmoid, body), encoding="utf-8")
    begin = time.monotonic()
    outcome = check(sigmoid, timeout=3)
    assert time.monotonic() - begin < 8
    assert not outcome.solved
    assert re.search(r"stopped after 3 s: it was still in sigmoid\.py, line \d+", outcome.message)


def test_children_of_an_endless_answer_are_ended_too(sigmoid: Exercise, tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    child = (
        f"import time, pathlib\nwhile True:\n    pathlib.Path({str(mark)!r}).touch()\n    time.sleep(0.05)\n"
    )
    sigmoid.answer.write_text(
        f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {child!r}])\nwhile True: pass\n",
        encoding="utf-8",
    )
    assert not check(sigmoid, timeout=3).solved
    assert mark.exists()
    time.sleep(0.3)
    mark.unlink()
    time.sleep(0.5)
    assert not mark.exists()


def test_a_flood_of_output_is_cut(sigmoid: Exercise) -> None:
    flood = "for _ in range(200):\n    print('x' * 100_000)\n"
    sigmoid.answer.write_text(solution(sigmoid) + flood, encoding="utf-8")
    outcome = check(sigmoid)
    assert outcome.solved, outcome.message
    assert len(outcome.output) < runner.OUTPUT_LIMIT + 100
    assert outcome.output.endswith("and more, left out here")


def test_a_file_that_is_gone_is_said_so(sigmoid: Exercise) -> None:
    sigmoid.answer.unlink()
    outcome = check(sigmoid)
    assert not outcome.solved
    assert "sigmoid.py: the file is not there; `minidl reset 04` brings it back" in outcome.message


def test_a_second_save_in_the_same_second_is_seen(sigmoid: Exercise) -> None:
    # Same length, same second: Python's own cache of compiled files would not notice.
    right = solution(sigmoid)
    sigmoid.answer.write_text(right.replace("1.0 - y", "1.0 + y"), encoding="utf-8")
    assert not check(sigmoid).solved
    sigmoid.answer.write_text(right, encoding="utf-8")
    assert check(sigmoid).solved


def test_a_file_beside_it_cannot_stand_in_for_numpy_or_minidl(
    sigmoid: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sigmoid.folder)
    for name in ("numpy", "minidl", "pytest"):
        (sigmoid.folder / f"{name}.py").write_text("raise SystemExit(0)\n", encoding="utf-8")
    sigmoid.answer.write_text(solution(sigmoid), encoding="utf-8")
    assert check(sigmoid).solved


def test_without_pytest_one_line_says_how_to_get_it(
    sigmoid: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "find_spec", lambda name: None)
    with pytest.raises(CourseError, match=r'pip install -e "\.\[test\]"'):
        check(sigmoid)


@pytest.mark.parametrize(
    "text", ["import os\nos._exit(0)\n", "import sys\nsys.exit(0)\n", "import pytest\npytest.exit('', 0)"]
)
def test_plain_pytest_does_not_pass_either(sigmoid: Exercise, text: str) -> None:
    sigmoid.answer.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(sigmoid.folder)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=sigmoid.root)
    assert run.returncode == 1
    assert "✗ reading the file" in run.stdout
    assert "8 failed" in run.stdout


def test_plain_pytest_passes_a_right_answer(sigmoid: Exercise) -> None:
    sigmoid.answer.write_text(solution(sigmoid), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(sigmoid.folder)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=sigmoid.root)
    assert run.returncode == 0, run.stdout
