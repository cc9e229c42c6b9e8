"""Where the exercises are found, and what an info.toml or a solution must not say."""

from pathlib import Path

import pytest

from minidl.learn import Course, CourseError, Exercise, course, find_course, stubs

GAP = "def f(x):\n    # gap: return x\n    return x\n    # end gap\n"


def test_no_exercises_anywhere_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        course, "__file__", str(tmp_path / "site-packages" / "minidl" / "learn" / "course.py")
    )
    with pytest.raises(CourseError, match=r"no exercises/ folder in .*--exercises DIR"):
        find_course(start=tmp_path)


def test_beside_an_editable_install_they_are_found_from_anywhere(tmp_path: Path) -> None:
    assert find_course(start=tmp_path).root == Path(__file__).resolve().parents[2] / "exercises"


def test_the_nearest_folder_wins(copy: Course) -> None:
    assert find_course(start=copy.root / "04_sigmoid").root == copy.root
    assert find_course(start=copy.root.parent).root == copy.root


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[exercise]\n", "cannot be read"),
        ("title = 'no exercises'\n", "expected the key 'exercise'"),
        ("[[exercise]]\nname = '04_sigmoid'\n", "expected the key 'title'"),
        ("[[exercise]]\nname = '../04'\n", r"expected a name like 04_sigmoid, got '\.\./04'"),
    ],
)
def test_a_bad_info_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "info.toml").write_text(text, encoding="utf-8")
    with pytest.raises(CourseError, match=message):
        find_course(tmp_path)


def test_a_gap_becomes_one_line_that_raises(sigmoid: Exercise) -> None:
    sigmoid.solution.write_text(GAP, encoding="utf-8")
    assert stubs.stub(sigmoid) == (
        'def f(x):\n    # Your turn: return x\n    raise NotImplementedError("f() is not written yet")\n'
    )
    assert stubs.solution(sigmoid) == "def f(x):\n    return x\n"


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return x\n",
        GAP.replace("    # end gap\n", ""),
        GAP.replace("    return", "    # gap: a\n    return"),
    ],
)
def test_a_solution_without_sound_gaps_is_refused(sigmoid: Exercise, text: str) -> None:
    sigmoid.solution.write_text(text, encoding="utf-8")
    with pytest.raises(CourseError, match="gap"):
        stubs.stub(sigmoid)


def test_regenerating_says_what_is_stale_and_keeps_what_it_replaces(
    copy: Course, sigmoid: Exercise, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stubs.main([str(copy.root), "--check"]) == 0
    sigmoid.answer.write_text("# work\n", encoding="utf-8")
    assert stubs.main(["--check", str(copy.root)]) == 1
    assert "differs from its solution" in capsys.readouterr().out
    assert sigmoid.answer.read_text(encoding="utf-8") == "# work\n"
    assert stubs.main([str(copy.root)]) == 0
    assert stubs.main([str(copy.root), "--check"]) == 0
    (kept,) = (copy.root / ".backup" / "04_sigmoid").iterdir()
    assert kept.read_text(encoding="utf-8") == "# work\n"
