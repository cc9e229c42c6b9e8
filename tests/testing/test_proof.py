"""`python -m minidl.testing` tells right components from wrong ones, and caught bugs from others."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

from minidl.testing.__main__ import main
from minidl.testing.proof import OWN_TABLE, Table

TABLE = """
    import numpy as np
    from minidl.nn import Module
    from minidl.testing import Sample

    class Cube(Module):
        def forward(self, x):
            self.check_array(x)
            self.remember(x, output=x)
            return x**3

        def backward(self, dy):
            dy, x = self.recall(dy)
            return 3 * x**2 * dy

    class Square(Cube):
        def forward(self, x):
            self.check_array(x)
            self.remember(x, output=x)
            return x**2

        def backward(self, dy):
            dy, x = self.recall(dy)
            return 2.001 * x * dy

    def inputs(rng, n):
        return (rng.standard_normal((n, 3)),)

    SAMPLES = [Sample(Cube, inputs), Sample(Cube, inputs, "another"), Sample(Square, inputs)]
    """
BY_HAND = """
    import numpy as np
    from powers import Cube

    def two_cubed():
        assert Cube()(np.array([2.0])) == 8

    BY_HAND = {Cube: [two_cubed]}
    """
BUGS = """
    from powers import Cube
    from minidl.testing import Bug

    LAYER_BUGS = [
        (Cube, Bug("a cube whose slope is lost", Cube, "backward", "3 * x**2", "3 * x")),
        (Cube, Bug("a cube that does the same in other words", Cube, "forward", "x**3", "x * x**2")),
    ]
    """


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "powers.py"
    for file, text in (("powers", TABLE), ("by_hand", BY_HAND), ("layer_bugs", BUGS)):
        (tmp_path / f"{file}.py").write_text(dedent(text), encoding="utf-8")
    return path


def prove(*arguments):
    """The command in a process of its own, as a user starts it: its exit status, its lines, its errors."""
    command = [sys.executable, "-m", "minidl.testing", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_a_right_class_passes_every_check_and_a_wrong_one_is_named(table):
    status, lines, _ = prove("--all", "--table", table, "--jobs", 2)
    cube, square = (next(line.split() for line in lines if line.startswith(c)) for c in ("Cube", "Square"))
    assert status == 1
    assert cube[1] == "2"
    assert cube[2] == cube[4], "\n".join(lines)
    assert float(cube[5]) < 1e-8
    assert int(square[2]) < int(square[4])
    assert 1e-4 < float(square[5]) < 1e-2, "2.001 x dy is off by 0.001 x dy"
    assert any("✗ gradients: Square()" in line for line in lines)
    assert any(line.startswith("2 classes, 3 samples") for line in lines)


def test_one_class_alone_with_its_numbers_by_hand(table):
    status, with_hand, _ = prove("Cube", "--table", table)
    table.with_name("by_hand.py").unlink()
    _, without, _ = prove("Cube", "--table", table)
    assert status == 0
    assert not any("Square" in line for line in with_hand)
    assert int(with_hand[1].split()[2]) == int(without[1].split()[2]) + 1


def test_a_bug_that_gets_away_is_told(table):
    status, lines, _ = prove("--all", "--planted", "--table", table)
    assert status == 1
    assert lines == [
        "✓ Cube: a cube whose slope is lost: caught by 'gradients'",
        "✗ Cube: a cube that does the same in other words: NOT CAUGHT",
        "2 planted bugs, 1 caught",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["Cubic"], "expected samples of Cubic"),
        (["--all", "--table", "nowhere.py"], "nowhere.py: expected a file with a list SAMPLES"),
        (["--all", "--table", "no_samples.py"], "no_samples.py: expected a list SAMPLES"),
    ],
)
def test_what_is_not_there_is_named(arguments, says, tmp_path, monkeypatch, capsys):
    (tmp_path / "no_samples.py").write_text("SAMPLES = [1]", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


def test_without_a_class_the_command_explains_itself(capsys):
    assert main([]) == 2
    assert "--all" in capsys.readouterr().out


def test_the_own_table_is_found():
    assert len(Table(OWN_TABLE).names()) > 40
