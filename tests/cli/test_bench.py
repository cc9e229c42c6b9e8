"""`minidl bench`: what it prints and writes, what it refuses, and that nothing of it stays behind."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from cli.shell import minidl, one_line, start

import minidl as package
from minidl.bench import Report, select
from minidl.cli.main import main


def children(pid):
    """The processes that `pid` has started and that are there."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:  # it has ended
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def test_a_run_prints_a_table_and_writes_its_files(tmp_path):
    words = ("--quick", "--only", "mlp-64", "relu-small", "growth-mlp-8", "--against", "reference")
    done = minidl("bench", *words, "--json", "a.json", "--plot", "a.png", "--threads", 1, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for part in (
        "minidl on its NumPy references, in turn, 1 thread each",
        "arithmetic peak",
        "MLP 784-128-10, batch 64",
        "ReLU, 64×128, forward",
        "NumPy reference ms",
        "quartiles",
        "limit ms",
        "peak MB",
        "grows as",
        "geometric mean of 1 training step:",
    ):
        assert part in done.stdout, part
    report = Report.from_json(json.loads((tmp_path / "a.json").read_text("utf-8")))
    assert (report.opponent, report.threads, report.quick) == ("NumPy reference", 1, True)
    assert [(row["name"], row["part"]) for row in report.results] == [
        ("mlp-64", "step"),
        ("relu-small", "forward"),
        ("relu-small", "backward"),
        ("growth-mlp-8", "step"),
    ]
    assert all(row["minidl_ms"] > 0 and row["opponent_ms"] > 0 for row in report.results)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    named = {row["name"] for row in report.slower}
    assert ("slower than NumPy reference:" in done.stdout) == bool(named)


def test_the_ladder_has_a_table_and_no_verdict(tmp_path):
    pytest.importorskip("numba")
    words = ("--quick", "--only", "ladder-reordered-512", "--against", "reference", "--threads", 1)
    done = minidl("bench", *words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "loop reordered i, k, j, 1 thread" in done.stdout
    for verdict in ("slower than", "geometric mean"):
        assert verdict not in done.stdout


def test_the_list(tmp_path):
    done = minidl("bench", "--list", cwd=tmp_path)
    assert [line.split()[0] for line in done.stdout.splitlines()] == [case.name for case in select()]
    done = minidl("bench", "--list", "--device", "cuda", cwd=tmp_path)
    names = {line.split()[0] for line in done.stdout.splitlines()}
    assert {"matmul-4096", "launch", "lenet5-64-graph", "lenet5-64", "relu"} <= names
    assert not any(name.startswith("ladder") for name in names)


def test_the_device_is_simulated_and_all_else_is_as_on_a_gpu(tmp_path):
    words = ("--quick", "--device", "sim", "--only", "launch", "relu-small", "--threads", 1)
    done = minidl("bench", *words, "--json", "a.json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for part in (
        "minidl on its NumPy references, which stay on the host, in turn, float32\n",
        "simulated GPU, driver none; ",
        "memory is not looked at",
        "ReLU, 64×128, forward and backward",
        "x + y of 16 numbers: a launch",
    ):
        assert part in done.stdout, part
    report = Report.from_json(json.loads((tmp_path / "a.json").read_text("utf-8")))
    assert (report.device, report.machine["gpu"], report.problems) == ("sim", "simulated GPU", [])
    parts = [("launch", "step"), ("relu-small", "forward"), ("relu-small", "forward and backward")]
    assert sorted((row["name"], row["part"]) for row in report.results) == parts
    assert all(row["ratio"] < 1 and row["difference"] < 1e-5 for row in report.results)
    launch = next(row for row in report.results if row["name"] == "launch")
    assert f"a launch: {1e3 * launch['minidl_ms']:.1f} µs (goal 12)" in done.stdout


def test_a_gpu_that_is_not_there_is_one_line_before_anything_runs(tmp_path):
    if package.cuda.is_available():
        pytest.skip("there is a GPU here")
    words = ("--quick", "--device", "cuda", "--json", "a.json")
    one_line(minidl("bench", *words, cwd=tmp_path), 'the device "cuda" cannot be used here')
    assert not list(tmp_path.iterdir())


WRONG = {
    "a pattern that fits nothing": (("--only", "mlp", "conv-x*"), "got 'conv-x*'"),
    "no pattern": (("--only",), "--only: expected at least one argument"),
    "no such opponent": (("--against", "jax"), "'jax'"),
    "no threads": (("--threads", "0"), "expected an integer from 1 to 999, got '0'"),
    "threads that are no number": (("--threads", "two"), "got 'two'"),
    "a picture of no known kind": (("--plot", "a.gif"), "ends in .png or .svg or .pdf, got 'a.gif'"),
    "a file that is no JSON": (("--json", "a.txt"), "ends in .json, got 'a.txt'"),
    "a folder that is not there": (("--json", "none/a.json"), "a folder that exists, got 'none/a.json'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_line_before_anything_runs(name, tmp_path):
    words, part = WRONG[name]
    one_line(minidl("bench", *words, cwd=tmp_path), part)
    assert not list(tmp_path.iterdir())


def test_without_pytorch_the_opponent_is_numpy(monkeypatch):
    from minidl.cli import bench
    from minidl.errors import MinidlError

    monkeypatch.setattr(bench.importlib.util, "find_spec", lambda name: None)
    assert bench._opponent(None) == "reference"
    assert bench._opponent("reference") == "reference"
    assert bench._opponent("torch", "sim") == "reference"
    with pytest.raises(MinidlError, match="PyTorch is not installed"):
        bench._opponent("torch")


def test_a_worker_that_dies_is_named_and_the_rest_goes_on(monkeypatch, capsys):
    from minidl.bench import ring

    real = ring.command

    def command(side, threads, device):
        started.append(side)
        dead = len(started) in (2, 3)  # after the one that measures the peak
        return (
            [sys.executable, "-c", "raise SystemError('out of luck')"]
            if dead
            else real(side, threads, device)
        )

    started = []
    monkeypatch.setattr(ring, "command", command)
    words = ["--quick", "--only", "relu-small", "sgd-mlp", "--against", "reference", "--threads", "1"]
    assert main(["bench", *words]) == 1
    printed = capsys.readouterr().out
    assert "not timed:\n  relu-small: the minidl worker ended with exit code 1" in printed
    assert "SystemError: out of luck" in printed
    assert "SGD, parameters of mlp" in printed


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_nothing_stays_behind(kind, tmp_path):
    running = start("bench", "--only", "relu", "--against", "reference", cwd=tmp_path)
    end = time.monotonic() + 60
    while len(children(running.pid)) < 2:  # both sides are there
        assert running.poll() is None, running.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.02)
    workers = children(running.pid)
    running.send_signal(kind)
    _, complaint = running.communicate(timeout=30)
    if kind == signal.SIGINT:
        assert (running.returncode, complaint) == (130, "minidl bench: stopped\n")
    end = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{pid}") and not gone(pid) for pid in workers):
        assert time.monotonic() < end, f"{workers} are still there"
        time.sleep(0.05)


def gone(pid):
    """A process that has ended, even if nobody has asked for its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True
