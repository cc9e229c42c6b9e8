"""What comes out: the JSON's fields, the means, the growth, the pictures and the memory's high-water mark."""

import json
import sys

import numpy as np
import pytest
from benchmarks.fakes import WARMUP, FakeSide

from minidl.bench import CASES, Report, Settings, duel
from minidl.bench.machine import Others, describe
from minidl.bench.memory import PeakMemory
from minidl.bench.report import exponent, geometric_mean, milliseconds
from minidl.errors import MinidlError

NUMBER, COUNT = (int, float), int
ROW = {
    "name": str, "group": str, "part": str, "text": str, "minidl_ms": NUMBER, "opponent_ms": NUMBER,
    "ratio": NUMBER, "ratio_low": NUMBER, "ratio_high": NUMBER, "turns": COUNT, "flops": COUNT,
    "moved": (int, type(None)),
    "limit_ms": NUMBER, "minidl_peak_bytes": (int, type(None)), "opponent_peak_bytes": (int, type(None)),
    "minidl_first_ms": NUMBER, "opponent_first_ms": NUMBER, "difference": NUMBER,
    "curve": (list, type(None)),
}  # fmt: skip
REPORT = {
    "format": COUNT, "opponent": str, "threads": COUNT, "machine": dict, "gemm_peak_gflops": NUMBER,
    "settings": dict, "quick": bool, "results": list, "problems": list, "busy": (int, float, type(None)),
    "device": str, "date": str, "geometric_mean": (int, float, type(None)),
}  # fmt: skip


def report(**speeds):
    """A report of cases by name (`_` for `-`): minidl takes 1 ms, the opponent so many."""
    made = Report("PyTorch", 2, describe(), 200.0, Settings.quick(), busy=0.01)
    settings = Settings(turns=3, seconds=0.0, warmup=WARMUP, rest=0.0)
    for name, ms in speeds.items():
        sides = (FakeSide(side, ms, [], peak_bytes=1000) for side, ms in (("minidl", 1.0), ("torch", ms)))
        made.add(duel(CASES[name.replace("_", "-")], *sides, settings))
    return made


def test_the_file_has_these_fields():
    values = json.loads(json.dumps(report(mlp_64=2.0, relu=3.0, growth_mlp_8=1.5).to_json()))
    assert {name: isinstance(values[name], kind) for name, kind in REPORT.items()} == dict.fromkeys(
        REPORT, True
    )
    assert values.keys() == REPORT.keys()
    assert len(values["results"]) == 4
    for row in values["results"]:
        assert row.keys() == ROW.keys()
        for name, kind in ROW.items():
            assert isinstance(row[name], kind), name
    assert {"cpu", "cores", "system", "python", "numpy", "minidl", "torch"} <= values["machine"].keys()
    assert values["results"][-1]["curve"] == ["MLP 784-128-10", "batch size", 8]


def test_reading_back_gives_the_same():
    made = report(mlp_64=2.0)
    assert Report.from_json(json.loads(json.dumps(made.to_json()))) == made


@pytest.mark.parametrize("values", [{}, [], None, {"format": 2}, {"format": 1}])
def test_something_else_is_refused(values):
    with pytest.raises(MinidlError, match="Report: expected"):
        Report.from_json(values)


def test_the_mean_is_over_the_training_steps_alone():
    assert geometric_mean([2.0, 0.5]) == pytest.approx(1)
    assert report(mlp_64=2.0, lenet5_64=8.0, relu=100.0).geometric_mean == pytest.approx(4)
    assert report(relu=100.0).geometric_mean is None


def test_what_is_slower_is_named():
    assert [row["name"] for row in report(mlp_64=2.0, cnn_64=0.5).slower] == ["cnn-64"]


def test_the_ladder_is_slow_on_purpose():
    made = report(mlp_64=4.0, ladder_naive_512=0.01)
    assert (made.slower, made.geometric_mean) == ([], pytest.approx(4))
    assert [row["name"] for row in made.contest] == ["mlp-64"]
    assert [row["ratio"] for row in made.group("ladder")] == [0.01]


def test_growth():
    assert exponent((2, 10.0), (4, 20.0)) == pytest.approx(1)
    assert exponent((2, 10.0), (8, 160.0)) == pytest.approx(2)
    curves = report(growth_mlp_64=1.0, growth_mlp_8=1.0, growth_conv_4=1.0).curves()
    assert {key: [place for place, _ in points] for key, points in curves.items()} == {
        ("MLP 784-128-10", "batch size", "step"): [8, 64],
        ("Conv 3×3, 8×16×16", "channels", "forward"): [4],
        ("Conv 3×3, 8×16×16", "channels", "backward"): [4],
    }


@pytest.mark.parametrize(
    "cases",
    [
        ("mlp_64", "relu", "growth_mlp_8", "growth_mlp_64"),
        ("relu",),
        ("growth_mlp_8",),
        ("ladder_naive_512",),
        ("relu", "ladder_naive_512", "growth_mlp_8"),
    ],
)
def test_plot(cases, tmp_path):
    from minidl.bench.plots import plot_report

    figure = plot_report(report(**dict.fromkeys(cases, 2.0)))
    figure.savefig(tmp_path / "a.png")
    bars = [axes for axes in figure.get_axes() if axes.patches]
    if "relu" in cases:
        widths = [patch.get_width() for patch in bars[0].patches]
        assert widths == [1.0] * (2 + ("mlp_64" in cases))  # from 1 × to 2 ×: to the right, faster
    assert len(bars) == ("relu" in cases) + ("ladder_naive_512" in cases)


TIMES = {
    0.00005: "< 0.0001", 0.0123: "0.0123", 0.4567: "0.457", 1.5: "1.50", 12.34: "12.3", 123.4: "123",
    None: "?",
}  # fmt: skip


@pytest.mark.parametrize("value", TIMES)
def test_times_are_short(value):
    assert milliseconds(value) == TIMES[value]


def test_nothing_is_not_drawn():
    from minidl.bench.plots import plot_report

    with pytest.raises(ValueError, match="at least one result"):
        plot_report(report())


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark of elsewhere cannot be set back")
def test_peak_memory_sees_what_came_and_went():
    np.ones(12_000_000)  # 96 MB, before the mark
    mark = PeakMemory()
    held = np.ones(6_000_000)  # 48 MB
    del held
    assert 46e6 < mark.added() < 60e6


def test_our_own_work_is_not_that_of_others(monkeypatch):
    from minidl.bench import machine

    ticks, own, now = iter([1000, 1600]), iter([1.0, 4.5]), iter([10.0, 12.0])
    monkeypatch.setattr(machine, "_ticks", lambda: next(ticks))
    monkeypatch.setattr(machine.os, "sysconf", lambda name: 100)  # ticks per second
    monkeypatch.setattr(machine.os, "times", lambda: (next(own), 0.0, 0.0, 0.0, 7.0))
    monkeypatch.setattr(machine.time, "monotonic", lambda: next(now))
    # in 2 s all cores together worked for 6 s, of which 3.5 s were ours
    assert Others().cores() == pytest.approx(1.25)


def test_a_system_that_does_not_tell(monkeypatch):
    from minidl.bench import machine, memory

    monkeypatch.setattr(machine, "_ticks", lambda: None)
    assert Others().cores() is None
    monkeypatch.setattr(memory, "_status", lambda name: None)
    monkeypatch.setattr(memory, "_ru_maxrss", lambda: None)
    assert PeakMemory().added() is None
