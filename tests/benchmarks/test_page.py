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

    extensions = ["admonition", "tables", "pymdownx.superfences", "minidl_docs.speed"]
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
    every = "curves growth ladder layer loss machine operation optimizer ratios summary workload"
    assert " ".join(sorted(shown)) == every
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


def gpu_figures():
    """The page's lines that show figures of a GPU."""
    return re.findall(r"^@bench\? \w+ gpu-speed\.json$", (PAGES / "gpu.md").read_text("utf-8"), re.M)


def test_where_no_gpu_was_measured_the_page_says_so_once(tmp_path):
    html = convert("\n\n".join(gpu_figures()), tmp_path)
    assert html.count("Not yet measured") == 1
    assert "@bench" not in html
    assert "<table" not in html


def test_figures_of_a_gpu_name_the_card_and_what_was_reached(tmp_path):
    values = committed().to_json()
    machine = values["machine"] | {"gpu": "NVIDIA H200", "driver": "580.95.05, CUDA 13.0"}
    row = values["results"][0] | {"ratio": 0.71, "ratio_low": 0.7, "ratio_high": 0.72}
    groups = ("workload", "graph", "memory", "operation")
    rows = [row | {"group": group, "name": f"of-{group}"} for group in groups] + [
        row | {"group": "operation", "name": "matmul-4096", "text": "a large product"}
    ]
    made = values | {"device": "cuda", "machine": machine, "results": rows}
    (tmp_path / "gpu-speed.json").write_text(json.dumps(made), "utf-8")
    html = convert("\n\n".join(gpu_figures()), tmp_path)
    assert "<strong>NVIDIA H200</strong>, driver 580.95.05, CUDA 13.0; " in html
    assert "<li>reached: a large product: 0.71 × PyTorch (goal 0.60)</li>" in html
    assert html.count("0.71 (0.70–0.72)") == len(rows)
    assert "Not yet measured" not in html
    assert "threads on each side" not in html


def test_a_line_in_a_fence_stays_text():
    assert "@bench machine speed.json" in convert("```text\n@bench machine speed.json\n```")
