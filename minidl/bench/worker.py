"""One side of the benchmark: a process that reads commands as lines of JSON, and answers each with one.

```
{"do": "compile", "case": "mlp-64"}                                    →  {}
{"do": "open", "case": "mlp-64", "memory": true, "results": "a.npz"}   →  {"flops": {…}, "peak_bytes": …}
{"do": "turn", "seconds": 0.03, "steps": 3}                            →  {"ms": {"step": 0.47}, "steps": 64}
{"do": "peak"}                                                         →  {"gflops": 205.1}
```

Anything that goes wrong is `{"error": …}`. When nobody is left to write commands, the process ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

import numpy as np

from minidl.bench.cases import CASES
from minidl.bench.memory import PeakMemory

__all__ = ["SIDES", "main"]

SIDES = ("minidl", "torch", "reference")
SMALL = 2  # batch of the step that loads libraries and kernels before memory is looked at


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
    """

    def __init__(self, side: str, threads: int) -> None:
        self.side = _side(side)
        self.side.configure(threads)
        self.running: Any = None

    def compile(self, case: str) -> dict[str, Any]:
        """Take a case's first step, which leaves its kernels' machine code in the cache on disk."""
        _step(self.side(CASES[case]))
        return {}

    def open(self, case: str, memory: bool, results: str) -> dict[str, Any]:
        """Build a case, take its first steps, and write down what the first one computed."""
        self.running = None  # let go of the one before
        chosen = CASES[case]
        peak, began = None, time.perf_counter()
        if memory:
            _step(self.side(chosen, SMALL))
        running = self.side(chosen)
        if memory:
            mark = PeakMemory()
        _step(running)
        first = time.perf_counter() - began
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in running.results().items()}
        np.savez(results, **arrays)
        if memory:
            for _ in range(2):
                _step(running)
            peak = mark.added()
        flops = running.flops()
        self.running = running
        return {"flops": flops, "peak_bytes": peak, "first_ms": 1e3 * first, "versions": self.side.versions()}

    def turn(self, seconds: float, steps: int) -> dict[str, Any]:
        """Step for so long and so often at least; the median milliseconds of each part."""
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

    def peak(self) -> dict[str, Any]:
        """The arithmetic peak: the best of a few large float32 products, by NumPy's BLAS."""
        best, end = 0.0, time.perf_counter() + 2.0
        factors = [np.full((2, n, n), 0.5, np.float32) for n in (1024, 2048)]
        while time.perf_counter() < end:
            for a, b in factors:
                before = time.perf_counter()
                a @ b
                best = max(best, 2 * len(a) ** 3 / (time.perf_counter() - before))
        return {"gflops": best / 1e9}


def _step(side: Any) -> None:
    side.clear()
    for part in side.parts.values():
        part()


def main(arguments: list[str]) -> int:
    """Serve commands from standard input until it ends: `python -m minidl.bench.worker SIDE THREADS`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; it ends us
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    worker: Worker | None = None
    for line in sys.stdin:
        message = json.loads(line)
        try:
            if worker is None:
                worker = Worker(arguments[0], int(arguments[1]))
            answer = getattr(worker, message.pop("do"))(**message)
        except Exception as error:  # whatever it is, the parent tells the user
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
