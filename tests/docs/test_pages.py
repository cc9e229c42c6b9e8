"""Every page: its code runs and prints what the page shows, and none of it is passed over."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from minidl_docs.fences import FenceError, check_output, pages, read_fences, run_fences

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "en"
PAGES = pages(SITE)
CHAPTERS = [page for page in PAGES if re.match(r"\d\d-", page.name)]

# "Anatomy of a chapter": what a reader finds in every chapter, in this order
ANATOMY = [
    "See it first",
    "Symbols and shapes",
    "Derive it",
    "By hand",
    "The code",
    "Check it",
    "Use it",
    "Break it",
    "Exercises",
    "Recall",
    "Summary and next",
]


def check(text: str) -> None:
    for run in run_fences(read_fences(text)):
        check_output(run)


def name(page: Path) -> str:
    return page.relative_to(SITE).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_fences_run_and_print_what_is_shown(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    runs = run_fences(read_fences(text), name(page))
    # counted in a second, cruder way, so that the reader of fences cannot lose one
    crude = [
        line for line in text.splitlines() if re.match(r"\s*(```|~~~)+[ {.]*(py|pycon|ipython)", line, re.I)
    ]
    assert len(runs) == len(crude), f"{len(crude)} Python fences on the page, {len(runs)} ran"
    for run in runs:
        check_output(run)
    shown = [fence for fence in read_fences(text) if fence.is_output]
    compared = [run.shown for run in runs if run.shown]
    assert len(shown) == len(compared), "an output stands after no Python fence"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_code_fits_beside_the_navigation(page: Path) -> None:
    for fence in read_fences(page.read_text(encoding="utf-8")):
        for line in fence.code.splitlines():
            assert len(line) <= 82, f"line {fence.line}: {len(line)} characters: {line}"


@pytest.mark.parametrize("page", CHAPTERS, ids=name)
def test_chapter_has_its_anatomy(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.M)
    assert [heading for heading in headings if heading in ANATOMY] == ANATOMY
    card = text[: text.index("## See it first")]
    for entry in ("You need", "Afterwards you can", "Time", "Difficulty"):
        assert f"\n{entry}\n:" in card
    recall = text[text.index("## Recall") : text.index("## Summary and next")]
    assert len(re.findall(r'^\?\?\? question "\d\. ', recall, re.M)) == 5
    exercises = text[text.index("## Exercises") : text.index("## Recall")]
    for command in re.findall(r"minidl check (\S+)", exercises):
        assert (ROOT / "exercises" / command).is_dir(), f"there is no exercise {command}"
    assert "minidl check" in exercises


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```python\nprint(1)\n```", "no output is shown"),
        ('```python\nprint(1)\n```\n```text title="output"\n2\n```', "the page shows"),
        ('```python\nx = 1\n```\n```text title="output"\n2\n```', "the page shows"),
        ("```python {.any attribute=1}\n1 / 0\n```", "line 1: ZeroDivisionError"),
        ("```py\n1\n```", "got 'py'"),
        ("```\n1\n```", "got ''"),
        ("```python\n1", "never closed"),
        ("- in a list\n\n    ~~~python\n    print(1)\n    ~~~", "no output is shown"),
        ('```python\nprint("≈ 1.0")\n```\n```text title="output"\n≈ 1.2\n```', "the page shows"),
        ('```python\nprint("a 1")\n```\n```text title="output"\nb…\n```', "the page shows"),
        ("```python\nimport matplotlib.pyplot as plt\nplt.plot([1])\n```", "has figure="),
        ('```python figure="a line"\nx = 1\n```', "has figure="),
    ],
)
def test_a_dishonest_page_is_found(text: str, message: str) -> None:
    with pytest.raises(FenceError, match=re.escape(message)):
        check(text)


@pytest.mark.parametrize(
    "text",
    [
        '```python\nprint("a 1 b")\n```\n```text title="output"\na … b\n```',
        '```python\nprint("≈ 1.03 s, then ≈ -7")\n```\n```text title="output"\n≈ 1.0 s, then ≈ -7.2\n```',
        '=== "Tab"\n\n    ```python {.x}\n    print(1)\n    ```\n    ```text title="output"\n    1\n    ```',
        "```python\nx = 2\n```\n```python\nassert x == 2\n```",
    ],
)
def test_an_honest_page_passes(text: str) -> None:
    check(text)


def test_what_a_page_imports_stays_imported() -> None:
    """Numba cannot be imported twice: a page that forgets its imports breaks whatever comes after it."""
    sys.modules.pop("wave", None)
    check("```python\nimport wave\n```")
    assert "wave" in sys.modules
    assert "__page__" not in sys.modules
