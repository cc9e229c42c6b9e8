"""Every exercise is proved: blank it fails, solved it passes, each wrong answer is told its own mistake."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from minidl import nn, optim
from minidl.learn import Exercise, Outcome, find_course
from minidl.learn.answer import Answer
from minidl.learn.course import Mutant
from minidl.learn.progress import Progress
from minidl.learn.runner import check_all
from minidl.learn.stubs import solution, stub

ROOT = Path(__file__).parents[2]
COURSE = find_course(ROOT / "exercises")
OWN = Path(__file__).parent / "own"
KINDS = {"sign", "transpose", "mean", "derivative", "overwrite", "broadcast", "nan"}

each_exercise = pytest.mark.parametrize("exercise", COURSE.exercises, ids=lambda each: each.name)
each_mutant = pytest.mark.parametrize(
    ("exercise", "mutant"),
    [(exercise, mutant) for exercise in COURSE.exercises for mutant in exercise.mutants],
    ids=lambda each: each.name,
)


@cache
def outcomes(exercise: Exercise) -> dict[str, Outcome]:
    """The solution and every wrong answer of one exercise, judged in one process."""
    files = [exercise.solution] + [exercise.mutant_file(mutant) for mutant in exercise.mutants]
    names = ["the solution"] + [mutant.name for mutant in exercise.mutants]
    return dict(zip(names, check_all(exercise, files), strict=True))


@each_exercise
def test_the_blank_file_is_the_solution_with_its_gaps_emptied(exercise: Exercise) -> None:
    same = exercise.answer.read_text(encoding="utf-8") == stub(exercise)
    # Where somebody works through the course, the file is theirs. CI has no progress file.
    assert same or Progress(COURSE).is_started(exercise), (
        f"{exercise.answer} differs from its solution: run python -m minidl.learn.stubs exercises "
        f"(or, if it is your own work on the exercise, minidl check {exercise.number} once, which notes that)"
    )


@each_exercise
def test_a_blank_file_fails_only_as_not_written(exercise: Exercise, tmp_path: Path) -> None:
    blank = tmp_path / exercise.answer.name
    blank.write_text(stub(exercise), encoding="utf-8")
    (outcome,) = check_all(exercise, [blank])
    assert outcome.blank
    assert not outcome.solved
    assert outcome.passed == ()
    tests = ast.parse(exercise.tests.read_text(encoding="utf-8")).body
    assert len(outcome.unwritten) == sum(getattr(node, "name", "").startswith("test_") for node in tests)
    assert re.match(
        r"· \w+\(\) is not written yet \(\w+\.py, line \d+\)\. → minidl hint \d\d$", outcome.message
    )


@each_exercise
def test_the_solution_passes(exercise: Exercise) -> None:
    outcome = outcomes(exercise)["the solution"]
    assert outcome.solved, outcome.message
    assert outcome.failed == ()


@each_mutant
def test_a_wrong_answer_is_refused_in_its_own_words(exercise: Exercise, mutant: Mutant) -> None:
    outcome = outcomes(exercise)[mutant.name]
    assert not outcome.solved
    assert mutant.message in outcome.message
    others = [each for each in exercise.mutants if each.name != mutant.name]
    assert not any(each.message == mutant.message for each in others), "two wrong answers share one message"


OTHER_WAYS = {
    "tanh": (
        "sigmoid",
        "return np.where(x >= 0, 1.0, e) / (1.0 + e)",
        "return 0.5 * (1 + np.tanh(x / 2))",
    ),
    "zero_grad twice": (
        "training_loop",
        "optimizer.step()\n",
        "optimizer.step()\n    optimizer.zero_grad()\n",
    ),
    "forward by name": ("training_loop", "criterion(model(x), y)", "criterion.forward(model.forward(x), y)"),
    "the model's zero_grad": ("training_loop", "    optimizer.zero_grad()\n", "    model.zero_grad()\n"),
    "each parameter's zero_grad": (
        "training_loop",
        "    optimizer.zero_grad()\n",
        "    model.train()\n    for parameter in model.parameters():\n        parameter.zero_grad()\n",
    ),
}


@pytest.mark.parametrize("way", OTHER_WAYS)
def test_another_right_way_passes(way: str, tmp_path: Path) -> None:
    name, usual, other = OTHER_WAYS[way]
    exercise = COURSE.find(name)
    head, found, tail = solution(exercise).rpartition(usual)
    assert found
    answer = tmp_path / exercise.answer.name
    answer.write_text(head + other + tail, encoding="utf-8")
    (outcome,) = check_all(exercise, [answer])
    assert outcome.solved, outcome.message


def test_a_sum_along_the_wrong_axis_is_explained(tmp_path: Path) -> None:
    exercise = COURSE.find("linear_backward")
    for usual, wrong, words in [
        (
            "axis=0",
            "axis=1",
            "; (5,) has one number per sample, db has one per output: sum over the batch, axis 0",
        ),
        ("axis=0", "axis=1, keepdims=True", "; (5,) has one number per sample, db has one per output"),
        ("axis=0", "axis=0, keepdims=True", "; (1, 4) has a dimension more than db, which is (4,)"),
        (
            "x @ W.T",
            "x @ W",
            "; the inner sizes of a product must agree: 3 and 4 do not, so one factor wants .T",
        ),
        (
            "x @ W.T",
            "x.dot(W)",
            "; the inner sizes of a product must agree: 3 and 4 do not, so one factor wants",
        ),
        (
            "dy @ W ",
            "dy @ W.T",
            "; the inner sizes of a product must agree: 4 and 3 do not, so one factor wants",
        ),
        (
            "    db += dy.sum(axis=0)",
            "",
            "db: shape (4,) correct, values wrong. Nothing was added. Either the line",
        ),
        ("return dy @ W", "W -= dW\n    return dy @ W", "W: was changed by the call, in 12 of 12 places"),
    ]:
        assert usual in solution(exercise)
        answer = tmp_path / exercise.answer.name
        answer.write_text(solution(exercise).replace(usual, wrong), encoding="utf-8")
        (outcome,) = check_all(exercise, [answer])
        assert words in outcome.message


GRADIENT_BODIES = {
    "up = x": (
        (
            "up = x\n    down = x\n    g = np.zeros(x.shape)\n    for i in np.ndindex(x.shape):\n"
            "        up[i] += h\n        down[i] -= h\n        g[i] = (f(up) - f(down)) / (2 * h)\n"
            "    return g\n"
        ),
        "All zeros: either nothing was written into it, or f saw the same x both times (up = x is no copy)",
    ),
    "rows": (
        (
            "x = x.astype(float)\n    g = np.zeros(x.shape)\n    for i in range(len(x)):\n"
            "        up, down = x.copy(), x.copy()\n        up[i] += h\n        down[i] -= h\n"
            "        g[i] = (f(up) - f(down)) / (2 * h)\n    return g\n"
        ),
        "x[i] is a whole row; use np.ndindex(x.shape)",
    ),
    "one number": (
        "return np.array([(f(x[i] + h) - f(x[i] - h)) / (2 * h) for i in np.ndindex(x.shape)])\n",
        "f was given a single number, expected an array of shape (3,)",
    ),
    "integers": (
        (
            "g = np.zeros(x.shape)\n    for i in np.ndindex(x.shape):\n        kept = x[i].copy()\n"
            "        x[i] = kept + h\n        up = f(x)\n        x[i] = kept - h\n        down = f(x)\n"
            "        x[i] = kept\n        g[i] = (up - down) / (2 * h)\n    return g\n"
        ),
        "x holds integers: x[i] + h is cut off to an integer again; work on a float copy",
    ),
    "h = 1e-2": (
        (
            "g, h, x = np.zeros(x.shape), 1e-2, x.astype(float)\n    for i in np.ndindex(x.shape):\n"
            "        e = np.zeros(x.shape)\n        e[i] = h\n"
            "        g[i] = (f(x + e) - f(x - e)) / (2 * h)\n"
            "    return g\n"
        ),
        "Nearly right: the largest relative error is 2e-05, so a formula of too low an order",
    ),
}


@pytest.mark.parametrize("name", GRADIENT_BODIES)
def test_a_wrong_numerical_gradient_is_explained(name: str, tmp_path: Path) -> None:
    body, words = GRADIENT_BODIES[name]
    exercise = COURSE.find("numerical_gradient")
    answer = tmp_path / exercise.answer.name
    answer.write_text(
        f"import numpy as np\n\n\ndef numerical_gradient(f, x, h=1e-5):\n    {body}", encoding="utf-8"
    )
    (outcome,) = check_all(exercise, [answer])
    assert words in outcome.message


@each_exercise
def test_the_wrong_answers_are_of_every_kind(exercise: Exercise) -> None:
    assert {mutant.kind for mutant in exercise.mutants} >= KINDS
    files = {file.stem for file in (exercise.root / "mutants" / exercise.name).glob("*.py")}
    assert files == {mutant.name for mutant in exercise.mutants}


@pytest.mark.parametrize("own", sorted(OWN.glob("*.py")), ids=lambda file: file.stem)
def test_minidl_itself_passes_where_it_has_the_function(own: Path) -> None:
    (outcome,) = check_all(COURSE.find(own.stem), [own])
    assert outcome.solved, outcome.message


def test_the_training_loop_trains_what_minidl_is_made_of() -> None:
    loop = Answer(COURSE.find("training_loop").solution)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3)).astype(np.float32)
    y = (x[:, 0] > 0) + 2 * (x[:, 1] > 0)
    model = nn.Sequential(nn.Linear(3, 8, rng=rng), nn.ReLU(), nn.Linear(8, 4, rng=rng))
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    history = loop.train(model, nn.CrossEntropyLoss(), optimizer, x, y, epochs=20, batch_size=16, rng=rng)
    assert len(history) == 20
    assert history[-1] < 0.3 * history[0]


@each_exercise
def test_an_exercise_says_all_that_a_reader_needs(exercise: Exercise) -> None:
    readme = (exercise.folder / "README.md").read_text(encoding="utf-8")
    assert len(exercise.hints) == 3
    assert all(len(hint) > 80 for hint in exercise.hints)
    assert 5 <= exercise.minutes <= 60
    assert f"minidl check {exercise.number}" in readme
    for text in (readme, exercise.solution.read_text(encoding="utf-8")):
        assert all(f"({equation})" in readme or f"eq. {equation}" in text for equation in exercise.equations)
    for function in [node for node in ast.parse(stub(exercise)).body if isinstance(node, ast.FunctionDef)]:
        assert ast.get_docstring(function), f"{function.name} has no docstring"


@each_exercise
def test_cited_equations_are_those_of_its_chapter(exercise: Exercise) -> None:
    cited = set()
    for file in (exercise.solution, exercise.tests):
        text = file.read_text(encoding="utf-8")
        cited |= set(re.findall(r"eq\. (\d+\.\d+)", text)) | set(re.findall(r'equation="(\d+\.\d+)"', text))
    assert cited == set(exercise.equations)
    if exercise.page:
        page = (ROOT / "docs" / "en" / exercise.page).read_text(encoding="utf-8")
        missing = [equation for equation in cited if not re.search(rf"\\tag\{{{equation}\}}", page)]
        assert missing == [], f"{exercise.page} has no such equations"


def test_the_program_after_the_training_loop_runs(tmp_path: Path) -> None:
    exercise = COURSE.find("training_loop")
    readme = (exercise.folder / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    small = program.replace("mnist.labels\n", "mnist.labels\nx, y = x[:3000], y[:3000]\n")
    assert small != program
    (tmp_path / exercise.answer.name).write_text(solution(exercise), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-c", small], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    right = re.fullmatch(r"loss \d\.\d{3}, right (\d+\.\d)% of the time\n", run.stdout)
    assert right
    assert float(right[1]) > 70
