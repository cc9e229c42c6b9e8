"""The benchmark on a GPU, tried where there is none: the sides on a simulated one, and the verdicts."""

import dataclasses

import numpy as np
import pytest
from benchmarks.fakes import WARMUP, FakeSide

import minidl
from minidl.array import DeviceArray, get_device
from minidl.bench import CASES, Case, Report, Settings, duel
from minidl.bench.agree import check_agreement
from minidl.bench.case import factors, operands
from minidl.bench.goals import verdicts
from minidl.bench.machine import describe, describe_gpu
from minidl.bench.minidl_side import MinidlSide, ReferenceSide
from minidl.bench.worker import Worker
from minidl.errors import MinidlError


def network(nn):
    return nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 10))


TINY = {
    "train": Case("tiny", "workload", "train", network, (6, 5), "tiny", ("SGD", {"lr": 0.5})),
    "graph": Case("tiny", "graph", "train", network, (6, 5), "tiny", ("SGD", {"lr": 0.5}), graph=True),
    "operation": Case("tiny", "operation", "operation", network, (6, 5), "tiny"),
    "loss": Case("tiny", "operation", "loss", lambda nn: nn.CrossEntropyLoss(), (6, 10), "tiny"),
    "optimizer": Case("tiny", "operation", "optimizer", network, (6, 5), "tiny", ("Adam", {"lr": 0.5})),
    "product": Case("tiny", "operation", "product", None, (5, 6, 7), "tiny", layout="tn"),
    **{
        name: dataclasses.replace(case, shape=(6, 7))
        for name, case in CASES.items()
        if case.kind == "expression"
    },
}


def stepped(side, steps=1):
    for _ in range(steps):
        side.clear()
        for part in side.parts.values():
            part()
    return side.results()


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", TINY)
def test_on_a_device_a_step_computes_what_it_does_on_the_host(name, steps):
    there, here = MinidlSide(TINY[name], device="sim"), ReferenceSide(TINY[name], device="sim")
    found, expected = stepped(there, steps), stepped(here, steps)
    assert all(isinstance(values, np.ndarray) for values in found.values())
    assert 0 <= check_agreement(found, expected) < 1e-5
    assert there.flops() == here.flops()


@pytest.mark.parametrize("name", TINY)
def test_pytorch_computes_the_same(name):
    pytest.importorskip("torch")
    from minidl.bench.torch_side import TorchSide

    check_agreement(stepped(ReferenceSide(TINY[name])), stepped(TorchSide(TINY[name])))


def test_all_arrays_of_a_step_are_on_the_device():
    side = MinidlSide(TINY["train"], device="sim")
    stepped(side)
    parameters = list(side.model.parameters())
    arrays = [side.x, *side.others, *(p.data for p in parameters), *(p.grad for p in parameters)]
    assert all(isinstance(array, DeviceArray) for array in arrays)


def test_a_graph_is_replayed_and_nothing_is_launched():
    side, device = MinidlSide(TINY["graph"], device="sim"), get_device("sim")
    launches = device.launches
    side.parts["step"]()
    assert device.launches == launches


def test_a_products_factors_lie_in_memory_as_in_a_layer():
    a, b = (MinidlSide.put(matrix, "sim") for matrix in factors(TINY["product"]))
    assert (a.shape, a.strides, b.strides) == ((5, 6), (1, 5), (7, 1))


class Slow:
    """A side by the clock of a test: a forward takes 2 s, a backward 3; a device waits where it is told."""

    def __init__(self):
        self.now, self.waits, self.asked = 0.0, 0, 0.0
        self.parts = {"forward": lambda: self.ask(2.0), "backward": lambda: self.ask(3.0)}

    def ask(self, seconds):
        self.asked += seconds  # the call returns at once

    def synchronize(self, device):
        self.now, self.asked, self.waits = self.now + self.asked, 0.0, self.waits + 1

    def clear(self):
        pass

    def configure(self, threads, device):
        pass


def test_a_devices_time_is_that_of_runs_between_two_moments_of_rest(monkeypatch):
    from minidl.bench import worker as module

    slow = Slow()
    monkeypatch.setattr(module.time, "perf_counter", lambda: slow.now)
    monkeypatch.setattr(module, "_side", lambda name: slow)
    worker = Worker("slow", 1, "sim")
    worker.running = slow
    answer = worker.turn(seconds=100, steps=1)
    assert answer["ms"] == {"forward": 2000, "forward and backward": 5000}
    # 8 runs of each fill the time: of a step, of two, and of four forwards; 7 + 14 + 5 · 18 s
    assert worker._steps == {"forward": 4, "forward and backward": 2}
    assert slow.now == 111
    assert slow.waits == 7 * 2 * 2  # before and after each run


def test_the_memory_of_a_step_is_its_peak_less_what_was_there():
    kept = minidl.to_device(np.zeros(1000, np.float32), "sim")
    added = MinidlSide.mark_memory("sim")
    one = minidl.to_device(np.zeros(1000, np.float32), "sim")
    del one
    two = minidl.to_device(np.zeros(2000, np.float32), "sim")
    assert added() == 8192
    del kept, two
    assert added() == 8192
    assert MinidlSide.mark_memory("sim")() == 0


def test_pytorch_without_a_gpu_says_so():
    torch = pytest.importorskip("torch")
    from minidl.bench.torch_side import TorchSide

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(MinidlError, match="sees no GPU: install one built for CUDA"):
        TorchSide.configure(torch.get_num_threads(), "cuda")


def test_pytorchs_gpu_is_waited_for_and_held_to_float32(monkeypatch):
    torch = pytest.importorskip("torch")
    from minidl.bench.torch_side import TorchSide

    waits, bytes_now = [], iter([1000, 9000])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: waits.append("wait"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: waits.append("reset"))
    for name in ("memory_allocated", "max_memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda: next(bytes_now))
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    try:
        products.allow_tf32 = convolutions.allow_tf32 = True
        TorchSide.configure(torch.get_num_threads(), "cuda")
        assert (products.allow_tf32, convolutions.allow_tf32) == (False, False)
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before
    for device in ("cpu", "sim", "cuda"):
        TorchSide.synchronize(device)
    assert waits == ["wait"]
    assert TorchSide.mark_memory("cuda")() == 8000
    assert waits == ["wait", "wait", "reset"]


def test_memory_is_looked_at_where_both_sides_are_on_the_gpu(monkeypatch):
    from minidl.bench import ring

    asked = []

    class Worker:
        close = staticmethod(lambda: None)

    monkeypatch.setattr(ring.Ring, "_start", lambda self, side: asked.append(side) or Worker())
    monkeypatch.setattr(ring, "duel", lambda case, ours, theirs, settings, memory: asked.append(memory))
    for opponent, device, names in (
        ("torch", "cuda", ("mlp-64", "mlp-64-graph", "relu")),
        ("reference", "sim", ("mlp-64",)),
    ):
        with ring.Ring(opponent, 1, device) as held:
            for name in names:
                held.duel(CASES[name], Settings())
    assert asked == ["minidl", "torch", True, False, False, "minidl", "reference", False]


def test_an_expression_moves_as_many_bytes_as_it_says():
    for case in (case for case in CASES.values() if case.moved):
        small = dataclasses.replace(case, shape=(4, 8))
        x, y = operands(small)
        result = np.asarray(case.expression(np, x, y))
        read = 2 if case.name == "memory-add" else 1
        size = CASES["memory-max"].moved  # of one array
        alone = case.moved - read * size
        assert alone in (0, size, 4 * case.shape[0], 4 * case.shape[1])
        assert result.shape == {0: (), size: (4, 8), 4 * 4096: (4,), 4 * 8192: (8,)}[alone]


# ------------------------------------------------------------------ verdicts


def report(opponent="PyTorch", **speeds):
    """A report of cases by name (`_` for `-`): minidl takes 1 ms, the opponent so many."""
    made = Report(opponent, 1, {**describe(), **describe_gpu("sim")}, 50e3, Settings(), device="cuda")
    settings = Settings(turns=3, seconds=0.0, warmup=WARMUP, rest=0.0)
    for name, ms in speeds.items():
        sides = (FakeSide(side, ms, []) for side, ms in (("minidl", 1.0), ("torch", ms)))
        made.add(duel(CASES[name.replace("_", "-")], *sides, settings))
    return made


def test_the_verdicts_are_about_what_was_measured():
    assert verdicts(report(relu=1.0)) == []
    lines = verdicts(
        report(matmul_4096=0.61, lenet5_64_graph=0.99, memory_add=0.9, memory_sum=0.74, launch=1)
    )
    assert [line.split(":")[0] for line in lines] == ["reached", "missed", "missed", "missed"]
    assert "product, 4096×4096 · 4096×4096: 0.61 × PyTorch (goal 0.60)" in lines[0]
    assert "as a graph: 0.99 × PyTorch (goal 1.00)" in lines[1]
    assert "sum of all, 4096×8192: 0.74 × PyTorch (goal 0.75), slowest of 2, 134 : 181 GB/s" in lines[2]
    assert lines[3] == "missed: a launch: 1000.0 µs (goal 12)"
    lines = verdicts(report(matmul_4096=0.59, lenet5_64_graph=1.0, memory_add=0.75))
    assert [line.split(":")[0] for line in lines] == ["missed", "reached", "reached"]


def test_beside_numpy_nothing_is_said_of_pytorch():
    (line,) = verdicts(report("NumPy reference", matmul_4096=0.61, memory_add=0.9, launch=1))
    assert line.startswith("missed: a launch")


# ------------------------------------------------------------------ the driver


def test_the_driver_is_named_as_the_system_names_it(monkeypatch, tmp_path):
    from minidl.array import cuda
    from minidl.bench import machine

    monkeypatch.setattr(cuda, "device_name", lambda: "NVIDIA H200")
    monkeypatch.setattr(cuda, "driver_version", lambda: "13.0")
    said = tmp_path / "version"
    monkeypatch.setattr(machine, "DRIVER", said)
    assert describe_gpu("cuda") == {"gpu": "NVIDIA H200", "driver": "CUDA 13.0"}
    said.write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Release Build\nGCC version: 13.3\n"
    )
    assert describe_gpu("cuda") == {"gpu": "NVIDIA H200", "driver": "580.95.05, CUDA 13.0"}
