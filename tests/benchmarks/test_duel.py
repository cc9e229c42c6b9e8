"""Turns and ratios, with sides whose speed is known; and workers that fail in every way."""

import re
import signal

import numpy as np
import pytest
from benchmarks.fakes import WARMUP, FakeSide, talker

from minidl.bench import CASES, BenchError, Settings, duel
from minidl.bench.agree import check_agreement
from minidl.bench.report import rows

CASE = CASES["mlp-64"]
SETTINGS = Settings(turns=5, seconds=0.01, warmup=WARMUP, rest=0.0)


def ratio_of(ours, theirs, case=CASE):
    log = []
    found = duel(case, FakeSide("minidl", ours, log), FakeSide("torch", theirs, log), SETTINGS)
    return rows(found, peak_gflops=100.0), log


def test_above_one_means_that_minidl_is_faster():
    (row,), _ = ratio_of(ours=2.0, theirs=6.0)
    assert (row["minidl_ms"], row["opponent_ms"], row["ratio"]) == (2.0, 6.0, 3.0)
    (row,), _ = ratio_of(ours=6.0, theirs=2.0)
    assert row["ratio"] == pytest.approx(1 / 3, rel=1e-4)


def test_sides_take_turns_after_warming_up():
    _, log = ratio_of(1.0, 1.0)
    once = ["minidl", "torch"]
    assert [name for name, _ in log] == once + once + 5 * once
    assert [do for _, do in log] == ["open"] * 2 + ["turn"] * 12


def test_the_ratio_is_the_median_of_neighbours_not_of_times():
    # a machine that slows down fourfold halfway: each pair of turns still says 2
    (row,), _ = ratio_of([1.0, 1.0, 4.0, 4.0, 4.0], [2.0, 2.0, 8.0, 8.0, 80.0])
    assert (row["ratio"], row["ratio_low"], row["ratio_high"]) == (2.0, 2.0, 2.0)
    (row,), _ = ratio_of([1.0] * 5, [3.0, 1.0, 5.0, 2.0, 4.0])
    assert (row["ratio_low"], row["ratio"], row["ratio_high"]) == (2.0, 3.0, 4.0)
    assert row["turns"] == 5


def test_the_limit_is_arithmetic_at_the_peak():
    (row,), _ = ratio_of(1.0, 1.0)
    assert row["flops"] == 4_000_000
    assert row["limit_ms"] == pytest.approx(4e6 / 100e9 * 1e3, rel=1e-4)  # 4 MFLOP at 100 GFLOP/s


def test_an_operation_has_two_parts():
    found, _ = ratio_of(1.0, 2.0, CASES["relu"])
    assert [row["part"] for row in found] == ["forward", "backward"]


def test_a_budget_ends_the_turns_but_for_the_least():
    log = []
    settings = Settings(turns=50, seconds=0.0, warmup=WARMUP, budget=0.0, least=3, rest=0.0)
    found = duel(CASE, FakeSide("minidl", 1.0, log), FakeSide("torch", 1.0, log), settings)
    assert len(found.turns["step"]) == 3


# -------------------------------------------------------------------- agreement

GOOD = {
    "loss": np.float32(2.0),
    "gradient of w": np.array([1.0, -2.0, 3.0], np.float32),
    "change of w": np.array([0.1, 0.2, -0.3], np.float32),
}
DIFFERENT = {
    "another loss": {"loss": np.float32(2.001)},
    "another gradient": {"gradient of w": np.array([1.0, -2.0, 3.3], np.float32)},
    "a scaled gradient": {"gradient of w": 2 * GOOD["gradient of w"]},
    "no gradient": {"gradient of w": np.zeros(3, np.float32)},
    "NaN": {"gradient of w": np.array([1.0, np.nan, 3.0], np.float32)},
    "another shape": {"gradient of w": np.array([[1.0, -2.0, 3.0]], np.float32)},
    "another dtype": {"gradient of w": np.array([1.0, -2.0, 3.0])},
    "a step twice as long": {"change of w": np.array([0.2, 0.4, -0.6], np.float32)},
    "one more": {"gradient of b": np.float32(1.0)},
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_is_not_timed(name):
    log = []
    sides = FakeSide("minidl", 1.0, log, GOOD | DIFFERENT[name]), FakeSide("torch", 1.0, log, GOOD)
    with pytest.raises(BenchError, match=r"loss|gradient|change"):
        duel(CASE, *sides, SETTINGS)
    assert {do for _, do in log} == {"open"}


def test_rounding_is_no_difference():
    rounded = {name: (values * np.float32(1 + 2e-6)).astype(np.float32) for name, values in GOOD.items()}
    assert 0 < check_agreement(rounded, GOOD) < 1e-5


def test_a_gradient_that_is_nothing_but_rounding_is_not_compared_with_itself():
    nothing = {"gradient of b": np.array([1e-8, -1e-8], np.float32)}
    opposite = {"gradient of b": np.array([-1e-8, 1e-8], np.float32)}
    check_agreement(GOOD | nothing, GOOD | opposite)
    with pytest.raises(BenchError, match="gradient of b"):
        check_agreement(nothing, opposite)


def test_random_numbers_are_compared_where_both_kept_them():
    ours, theirs = ({"output": np.array(values, np.float32)} for values in ([0, 4, 6, 0], [2, 4, 0, 0]))
    check_agreement(ours, theirs, random=True)
    with pytest.raises(BenchError, match="output"):
        check_agreement(ours, theirs)


# -------------------------------------------------------------------- workers that fail

FAILURES = {
    "it exits": ("import sys; sys.exit(3)", "ended with exit code 3 during 'turn'"),
    "it raises": ("input(); raise ValueError('no such layer')", "exit code 1 .*: ValueError: no such layer"),
    "it is killed": ("import os; input(); os.kill(os.getpid(), 9)", "killed by signal 9 during 'turn'"),
    "it says something else": ("input(); print('hello')", "expected a line of JSON, got 'hello'"),
    "it says a number": ("input(); print(5)", "expected a line of JSON, got '5'"),
    "it reports": (
        """input(); print('{"error": "ShapeError: too wide"}')""",
        "fake worker: ShapeError: too wide",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_worker_that_fails_is_named(name):
    code, message = FAILURES[name]
    with talker(code) as worker, pytest.raises(BenchError, match=message):
        worker.ask("turn")


def test_a_worker_that_hangs_is_ended():
    with talker("import time; time.sleep(600)", patience=0.3) as worker:
        with pytest.raises(BenchError, match=re.escape("within 0.3 s, got none")):
            worker.ask("turn")
        process = worker._process
    assert process.returncode == -signal.SIGKILL


def test_a_worker_that_has_ended_says_so_again():
    with talker("import sys; sys.exit(3)") as worker:
        for _ in range(2):
            with pytest.raises(BenchError, match="exit code 3"):
                worker.ask("turn")


def test_the_threads_are_the_same_everywhere():
    from minidl.bench.process import environment

    code = "import os; input(); print('{\"omp\": ' + os.environ['OMP_NUM_THREADS'] + '}')"
    with talker(code) as worker:
        assert worker.ask("turn") == {"omp": 1}
    made = environment(3)
    names = ("OMP", "OPENBLAS", "MKL", "MINIDL", "NUMBA")
    assert {made[f"{name}_NUM_THREADS"] for name in names} == {"3"}


def test_the_next_case_gets_new_workers(monkeypatch):
    from minidl.bench import ring

    started = []

    def command(side, threads, device):
        import sys

        started.append(side)
        return [sys.executable, "-c", "import sys; sys.exit(3)"]

    monkeypatch.setattr(ring, "command", command)
    with ring.Ring("torch", 1) as held:
        for _ in range(2):
            with pytest.raises(BenchError, match="minidl worker ended with exit code 3"):
                held.duel(CASES["relu"], SETTINGS)
    assert started == ["minidl", "torch"] * 2


def test_a_workload_is_compiled_before_its_memory_is_looked_at(monkeypatch):
    from minidl.bench import ring

    log = []

    class Worker(FakeSide):
        def ask(self, do, **arguments):
            return log.append((self.name, do)) or {} if do == "compile" else super().ask(do, **arguments)

        def close(self):
            log.append((self.name, "close"))

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            self.close()

    monkeypatch.setattr(ring.Ring, "_start", lambda self, side: Worker(side, 1.0, log))
    with ring.Ring("torch", 1) as held:
        held.duel(CASES["mlp-64"], SETTINGS)
        held.duel(CASES["relu"], SETTINGS)
    assert log[:3] == [("minidl", "compile"), ("minidl", "close"), ("minidl", "open")]
    assert log.count(("minidl", "compile")) == 1  # of other cases nobody asks what they take


def test_a_real_worker_answers():
    import sys
    import tempfile

    from minidl.bench.process import Process, command

    with tempfile.TemporaryDirectory() as folder, Process("minidl", command("reference", 1, "cpu")) as worker:
        with pytest.raises(BenchError, match="KeyError: 'mlp-65'"):
            worker.ask("open", case="mlp-65", memory=False, results=f"{folder}/a.npz")
        answer = worker.ask("open", case="mlp-64", memory=True, results=f"{folder}/a.npz")
        with np.load(f"{folder}/a.npz") as results:
            assert "gradient of 0.weight" in results
        turn = worker.ask("turn", seconds=0.01, steps=3)
        assert worker.ask("compile", case="mlp-64") == {}
    assert answer["flops"]["step"] > 26e6
    assert answer["versions"]["backend"] == "numpy"
    if sys.platform == "linux":
        assert answer["peak_bytes"] > 100_352 * 4  # the first layer's gradient, at least
    assert turn["steps"] >= 3
    assert turn["ms"]["step"] > 0
