"""The page of figures is made from the file that the command wrote, and from nothing else."""

import json
import re
from pathlib import Path

import pytest

from minidl.bench import CASES, Report

PAGES = Path(__file__).parents[2] / "docs" / "en"


@pytest.fixture(autouse=True)
def docs(monkeypatch):
    monkeypatch.syspath_prepend(str(PAGES.parent))
    pytest.importorskip("markdown", reason="needs minidl's extra docs")


def convert(text, root=PAGES):
    import markdown

    extensions = ["tables", "pymdownx.superfences", "minidl_docs.speed"]
    return markdown.markdown(
        text, extensions=extensions, extension_configs={"minidl_docs.speed": {"root": str(root)}}
    )


def committed():
    return Report.from_json(json.loads((PAGES / "speed.json").read_text("utf-8")))


def test_the_committed_figures_are_of_a_whole_run_of_todays_cases():
    report = committed()
    assert not report.quick
    assert not report.problems
    assert report.opponent == "PyTorch"
    for row in report.results:
        case = CASES[row["name"]]
        curve = list(case.curve) if case.curve else None
        assert (row["text"], row["group"], row["curve"]) == (case.text, case.group, curve)
    workloads = {name for name, case in CASES.items() if case.group == "workload"}
    assert {row["name"] for row in report.group("workload")} == workloads


def test_the_page_shows_every_figure():
    page = (PAGES / "speed.md").read_text("utf-8")
    shown = re.findall(r"^@bench (\w+) speed\.json$", page, re.M)
    assert sorted(shown) == sorted(
        ["machine", "summary", "ratios", "curves", "workload", "operation", "ladder", "growth"]
    )
    html = convert(page)
    report = committed()
    tables = {row["group"] for row in report.results}
    assert html.count("<tr>") == len(report.results) + len(tables)  # each has a head
    for row in report.results:
        assert f"{row['ratio']:.2f} ({row['ratio_low']:.2f}–{row['ratio_high']:.2f})" in html
    assert report.machine["cpu"] in html
    assert report.date[:10] in html
    assert html.count("<svg ") == 1 + len(report.curves())
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_other_figures_make_another_page(tmp_path):
    values = committed().to_json()
    row = values["results"][0] | {"ratio": 7.25, "ratio_low": 7.0, "ratio_high": 7.5, "opponent_ms": 1234.0}
    (tmp_path / "a.json").write_text(json.dumps(values | {"results": [row], "busy": 1.5}), "utf-8")
    html = convert("@bench machine a.json\n\n@bench workload a.json\n\n@bench summary a.json", tmp_path)
    assert "7.25 (7.00–7.50)" in html
    assert "<strong>7.25 ×</strong>" in html
    assert "Nothing that was measured is slower" in html
    assert "other programs used 1.5 cores" in html
    (tmp_path / "a.json").write_text(json.dumps(values | {"results": [row | {"ratio": 0.5}]}), "utf-8")
    assert f"<li>{row['text']}: 0.50 ×</li>" in convert("@bench summary a.json", tmp_path)


@pytest.mark.parametrize("line", ["@bench nothing speed.json", "@bench machine none.json"])
def test_a_line_that_names_nothing_stops_the_build(line):
    from minidl_docs.speed import BenchError

    with pytest.raises(BenchError, match=re.escape(line.split()[1])):
        convert(line)


def test_a_line_in_a_fence_stays_text():
    assert "@bench machine speed.json" in convert("```text\n@bench machine speed.json\n```")
