"""One side of the benchmark: a process that reads commands as lines of JSON, and answers each with one.

```
{"do": "compile", "case": "mlp-64"}                                    →  {}
{"do": "open", "case": "mlp-64", "memory": true, "results": "a.npz"}   →  {"flops": {…}, "peak_bytes": …}
{"do": "turn", "seconds": 0.03, "steps": 3}                            →  {"ms": {"step": 0.47}, "steps": 64}
{"do": "peak"}                                                         →  {"gflops": 205.1}
```

On a device (`cuda`, `sim`) a turn times runs of many steps, for a kernel is only asked for when its call
returns: while it runs, the host asks for the next ones. So one run is all that stands between two moments in
which the device has nothing to do, and a backward, which needs its forward before it, is timed with it:
`{"ms": {"forward": 0.1, "forward and backward": 0.3}}`.

Anything that goes wrong is `{"error": …}`. When nobody is left to write commands, the process ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.bench.cases import CASES
from minidl.bench.memory import PeakMemory

__all__ = ["SIDES", "main"]

SIDES = ("minidl", "torch", "reference")
SMALL = 2  # batch of the step that loads libraries and kernels before memory is looked at
RUNS = 8  # about how many of a device's runs are in a turn
PEAK = {"cpu": (1024, 2048), "cuda": (4096, 8192), "sim": (8,)}
"""The sizes of the products that show the arithmetic peak; a simulated GPU has none worth the name."""


def _side(name: str) -> Any:
    if name == "torch":
        from minidl.bench.torch_side import TorchSide

        return TorchSide
    from minidl.bench.minidl_side import MinidlSide, ReferenceSide

    return ReferenceSide if name == "reference" else MinidlSide


class Worker:
    """What one process does for the parent.

    Args:
        side: one of `SIDES`.
        threads: how many it may use.
        device: where both sides run; the reference stays on the host.
    """

    def __init__(self, side: str, threads: int, device: str = "cpu") -> None:
        self.side, self.device = _side(side), device
        self.side.configure(threads, device)
        self.running: Any = None
        self._steps: dict[str, int] = {}  # in a run, by what is timed

    def compile(self, case: str) -> dict[str, Any]:
        """Take a case's first step, which leaves its kernels' machine code in the cache on disk."""
        _step(self.side(CASES[case], device=self.device))
        return {}

    def open(self, case: str, memory: bool, results: str) -> dict[str, Any]:
        """Build a case, take its first steps, and write down what the first one computed."""
        self.running = None  # let go of the one before
        chosen = CASES[case]
        peak, began = None, time.perf_counter()
        if memory:
            _step(self.side(chosen, SMALL, self.device))
        running = self.side(chosen, device=self.device)
        if memory:
            added = PeakMemory().added if self.device == "cpu" else self.side.mark_memory(self.device)
        _step(running)
        first = time.perf_counter() - began
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in running.results().items()}
        np.savez(results, **arrays)
        if memory:
            for _ in range(2):
                _step(running)
            peak = added()
        flops = running.flops()
        if self.device != "cpu" and flops:
            flops = {label: sum(flops[name] for name in names) for label, names in _in_a_run(running).items()}
        self.running, self._steps = running, {}
        return {"flops": flops, "peak_bytes": peak, "first_ms": 1e3 * first, "versions": self.side.versions()}

    def turn(self, seconds: float, steps: int) -> dict[str, Any]:
        """Step for so long and so often at least; the median milliseconds of each part."""
        if self.device != "cpu":
            return self._runs(seconds, steps)
        running, clock = self.running, time.perf_counter
        parts = list(running.parts.items())
        taken: dict[str, list[float]] = {name: [] for name, _ in parts}
        end, done = clock() + seconds, 0
        while done < steps or clock() < end:
            running.clear()
            for name, part in parts:
                before = clock()
                part()
                taken[name].append(clock() - before)
            done += 1
        return {"ms": {name: 1e3 * float(np.median(times)) for name, times in taken.items()}, "steps": done}

    def _runs(self, seconds: float, steps: int) -> dict[str, Any]:
        """As `turn`, on a device. Runs become longer until about `RUNS` of them fill the time."""
        clock, labels = time.perf_counter, _in_a_run(self.running)
        taken: dict[str, list[float]] = {label: [] for label in labels}
        end, done = clock() + seconds, 0
        while done < steps or clock() < end:
            for label, names in labels.items():
                length = self._steps.setdefault(label, 1)
                whole = self._run([self.running.parts[name] for name in names], length)
                taken[label].append(whole / length)
                if whole * RUNS * len(labels) < seconds:
                    self._steps[label] = 2 * length
            done += length
        return {"ms": {label: 1e3 * float(np.median(times)) for label, times in taken.items()}, "steps": done}

    def _run(self, parts: list[Callable[[], None]], length: int) -> float:
        """The seconds of so many steps, from an idle device to an idle device."""
        running, wait, clock = self.running, self.side.synchronize, time.perf_counter
        wait(self.device)
        before = clock()
        for _ in range(length):
            running.clear()
            for part in parts:
                part()
        wait(self.device)
        return clock() - before

    def peak(self) -> dict[str, Any]:
        """The arithmetic peak: the best of a few large float32 products (on the host by NumPy's BLAS)."""
        wait, clock = self.side.synchronize, time.perf_counter
        matrices = [np.full((n, n), 0.5, np.float32) for n in PEAK[self.device]]
        factors = [self.side.put(matrix, self.device) for matrix in matrices]
        best, end = 0.0, clock() + (2.0 if self.device != "sim" else 0.0)
        while best == 0.0 or clock() < end:
            for a in factors:
                wait(self.device)
                before = clock()
                a @ a
                wait(self.device)
                best = max(best, 2 * len(a) ** 3 / (clock() - before))
        return {"gflops": best / 1e9}


def _in_a_run(side: Any) -> dict[str, list[str]]:
    """What is timed on a device, and of which parts it consists: each part with those before it."""
    names = list(side.parts)
    return {" and ".join(names[: n + 1]): names[: n + 1] for n in range(len(names))}


def _step(side: Any) -> None:
    side.clear()
    for part in side.parts.values():
        part()


def main(arguments: list[str]) -> int:
    """Serve commands from standard input until it ends: `python -m minidl.bench.worker SIDE THREADS DEVICE`.

    Args:
        arguments: the three words at the end of it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; it ends us
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    worker: Worker | None = None
    for line in sys.stdin:
        message = json.loads(line)
        try:
            if worker is None:
                worker = Worker(arguments[0], int(arguments[1]), arguments[2])
            answer = getattr(worker, message.pop("do"))(**message)
        except Exception as error:  # whatever it is, the parent tells the user
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
