"""Each equation's number stands on a page, at a line of source, and in a test: on all three or nowhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from minidl_docs.equations import Places, cited_in_comments, tagged_on_pages

ROOT = Path(__file__).parents[2]


def places() -> dict[str, Places]:
    return {
        "docs/en": tagged_on_pages((ROOT / "docs" / "en").rglob("*.md")),
        "minidl": cited_in_comments((ROOT / "minidl").rglob("*.py")),
        "tests": cited_in_comments((ROOT / "tests").rglob("*.py")),
    }


def orphans(sides: dict[str, Places]) -> list[str]:
    """Every number that some side has and some other side lacks."""
    lines = []
    for number in sorted(set().union(*sides.values())):
        here = ", ".join(f"{side} ({found[number][0]})" for side, found in sides.items() if number in found)
        lines += [
            f"eq. {number}: in {here}; not in {side}" for side, found in sides.items() if number not in found
        ]
    return lines


def test_every_equation_has_all_three_sides() -> None:
    sides = places()
    assert orphans(sides) == []
    assert len(sides["docs/en"]) >= 14


def test_a_missing_side_is_found() -> None:
    for side in ("docs/en", "minidl", "tests"):
        sides = places()
        del sides[side]["12.2"]
        assert [
            line
            for line in orphans(sides)
            if line.startswith("eq. 12.2:") and line.endswith(f"not in {side}")
        ]


def test_each_number_is_given_once_and_in_its_own_chapter() -> None:
    for number, where in places()["docs/en"].items():
        assert len(where) == 1, f"eq. {number} is tagged in {where}"
        assert int(where[0][:2]) == int(number.split(".")[0]), f"eq. {number} is tagged in {where[0]}"


def test_exercises_cite_equations_that_there_are() -> None:
    tagged = places()["docs/en"]
    folder = ROOT / "exercises"
    cited = {
        (path.relative_to(folder).as_posix(), number)
        for path in [*folder.rglob("*.py"), *folder.rglob("*.md")]
        for number in re.findall(r"\beqs?\. ?(\d+\.\d+)", path.read_text(encoding="utf-8"))
    }
    info = tomllib.loads((folder / "info.toml").read_text(encoding="utf-8"))
    cited |= {(exercise["name"], number) for exercise in info["exercise"] for number in exercise["equations"]}
    assert [f"{where}: eq. {number}" for where, number in sorted(cited) if number not in tagged] == []


def test_citations_are_read_from_comments_only(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text('x = "eq. 1.1"  # (N,)  eq. 1.2, eqs. 1.3\n# Glorot 2010, eq. 16\n', encoding="utf-8")
    assert set(cited_in_comments([source])) == {"1.2", "1.3"}
