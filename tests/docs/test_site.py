"""The site's Markdown extensions: listings by name, formulas at build time, plots by the page's own code."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="needs the docs extra")
import markdown
from minidl_docs.figures import drawings
from minidl_docs.katex import FormulaError, render
from minidl_docs.listings import ListingError, listing

ROOT = Path(__file__).parents[2]


EXTENSIONS = [
    "pymdownx.highlight",
    "pymdownx.superfences",
    "minidl_docs.figures",
    "minidl_docs.listings",
    "minidl_docs.formulas",
]


def convert(text: str) -> str:
    return markdown.markdown(
        text,
        extensions=EXTENSIONS,
        extension_configs={"minidl_docs.listings": {"root": str(ROOT)}},
    )


def test_listing_is_the_source() -> None:
    found = listing("minidl.nn.Linear.backward", root=ROOT)
    lines = (ROOT / found.file).read_text(encoding="utf-8").splitlines()
    assert found.file == "minidl/nn/linear.py"
    assert lines[found.first - 1].strip() == "def backward(self, dy: Array) -> Array | None:"
    assert [line[4:] for line in lines[found.first - 1 : found.last]] == found.code.splitlines()


def test_listing_without_docstring_or_methods() -> None:
    whole = listing("minidl.nn.init.reset_parameters", root=ROOT).code
    bare = listing("minidl.nn.init.reset_parameters", ("nodoc",), ROOT).code
    assert '"""' in whole
    assert '"""' not in bare
    assert bare.splitlines()[0] == whole.splitlines()[0]
    head = listing("minidl.nn.Linear", ("head",), ROOT).code
    assert "in_features: int" in head
    assert "def " not in head


@pytest.mark.parametrize("name", ["minidl.nn.Linear.backwards", "minidl.nn.Nothing", "nothing.at.all"])
def test_listing_of_nothing_fails(name: str) -> None:
    with pytest.raises(ListingError, match=re.escape(name)):
        convert(f"@src {name}")


def test_listing_with_unknown_option_fails() -> None:
    with pytest.raises(ListingError, match="unknown option"):
        convert("@src minidl.nn.Linear.forward nodocs")


def test_listing_stays_text_inside_a_fence() -> None:
    assert "@src minidl.nn.Nothing" in convert("```text\n@src minidl.nn.Nothing\n```")


def test_formula_is_html_and_mathml() -> None:
    html = convert("Costs \\$5, `$x$`, and $a_1$.\n\n$$\nx^2 \\tag{4.1}\n$$\n")
    assert html.count('class="katex"') == 2
    assert html.count("<math ") == 2
    assert 'id="eq-4.1"' in html
    assert "Costs $5, <code" in html


@pytest.mark.parametrize("tex", [r"\frac{1", r"\nosuchcommand", "x^^2", "ä"])
def test_formula_that_does_not_parse_fails(tex: str) -> None:
    with pytest.raises(FormulaError, match="in the formula"):
        convert(f"$$\n{tex}\n$$")


def test_formula_is_the_same_from_several_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    render.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        rendered = set(pool.map(lambda _: render.__wrapped__(r"\sum_i x_i", True), range(8)))
    assert len(rendered) == 1


def test_citation_in_a_listing_leads_to_its_formula() -> None:
    page = "$$\ny \\tag{12.1}\n$$\n\n@src minidl.nn.Linear.forward\n"
    assert '<a class="eq" href="#eq-12.1">eq. 12.1</a>' in convert(page)
    assert "<a class=" not in convert("@src minidl.nn.Linear.forward")


PLOT = """```python figure="A <line>"
import matplotlib.pyplot as plt
plt.plot([0, 1], label="a")
plt.legend()
```
"""


def test_plot_follows_the_page_and_the_ink() -> None:
    html = convert(PLOT + "\n" + PLOT)
    assert html.count("<svg ") == 2
    assert html.count('aria-label="A &lt;line&gt;"') == 2
    assert "currentColor" in html
    assert "#010203" not in html
    assert "<style" not in html
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids)) > 20
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(ids)
    assert set(re.findall(r'xlink:href="#([^"]+)"', html)) <= set(ids)


def test_plot_is_the_same_bytes_every_time() -> None:
    first = drawings(PLOT)
    drawings.cache_clear()
    assert drawings(PLOT) == first


@pytest.mark.slow
def test_strict_build_and_what_breaks_it(tmp_path: Path) -> None:
    """The real site builds strictly, and one bad page stops it."""
    for name in ("mkdocs.yml", "docs", "minidl"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    pages = tmp_path / "docs" / "en"
    for chapter in (pages / "chapters").glob("[0-9]*.md"):  # their plots are drawn in .ci's own build
        chapter.write_text(re.sub(r' figure="[^"]*"', "", chapter.read_text("utf-8")), encoding="utf-8")

    def build() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    good = build()
    assert good.returncode == 0, good.stderr
    page = tmp_path / "site" / "en" / "chapters" / "04-sigmoid-and-chain-rule" / "index.html"
    assert page.read_text(encoding="utf-8").count("<math ") > 100
    start = pages / "start.md"
    text = start.read_text(encoding="utf-8")
    for bad, words in [
        ("@src minidl.nn.Linear.backwards", ["minidl.nn.Linear.backwards"]),
        ("[away](nowhere.md) [away](#no-such-heading)", ["nowhere.md", "no-such-heading"]),
    ]:
        start.write_text(f"{text}\n{bad}\n", encoding="utf-8")
        broken = build()
        assert broken.returncode != 0, f"{bad!r} did not stop the build"
        assert all(word in broken.stderr for word in words)
