"""Where duels are held: starts the two workers, fresh ones where memory is looked at, and ends them."""

from __future__ import annotations

from typing import Self

from minidl.bench.case import Case
from minidl.bench.duel import Duel, Settings, duel
from minidl.bench.process import PATIENCE, BenchError, Process, command

__all__ = ["Ring"]


class Ring:
    """minidl's worker and the opponent's; use it in a `with` block, which leaves no process behind.

    On the host each workload gets two fresh processes, so that the peak of their memory is its own. All other
    cases share two, since to load PyTorch takes longer than to measure a ReLU. A GPU's memory is counted from
    any moment on, so there all cases share two.

    Args:
        opponent: `"torch"` or `"reference"`.
        threads: of each side.
        device: where both run, `"cpu"`, `"cuda"` or `"sim"`; the reference stays on the host.
        patience: seconds that a worker may take for an answer.
    """

    def __init__(self, opponent: str, threads: int, device: str = "cpu", patience: float = PATIENCE) -> None:
        self.opponent, self.threads, self.device, self.patience = opponent, threads, device, patience
        self._pair: tuple[Process, Process] | None = None

    def peak(self) -> float:
        """The arithmetic peak in GFLOP/s, with as many threads as the sides get, or of a GPU.

        Raises:
            BenchError: whoever computes the products cannot.
        """
        who = "reference" if self.device == "cpu" else self.opponent if self.opponent == "torch" else "minidl"
        with self._start(who) as worker:
            return float(worker.ask("peak")["gflops"])

    def duel(self, case: Case, settings: Settings) -> Duel:
        """Run one case.

        Raises:
            BenchError: a worker failed, or the two computed different things; the next case gets new ones.
        """
        memory = case.group == "workload"  # a graph's was all taken when it was recorded
        if self.device != "cpu" and self.opponent != "torch":
            memory = False  # the reference uses another one
        fresh = memory and self.device == "cpu"
        if fresh or self._pair is None:
            self.close()
            if fresh:
                with self._start("minidl") as worker:  # what a compiler takes is no memory of the step
                    worker.ask("compile", case=case.name)
            self._pair = (self._start("minidl"), self._start(self.opponent))
        try:
            return duel(case, *self._pair, settings, memory)
        except BenchError:
            self.close()
            raise

    def _start(self, side: str) -> Process:
        return Process(side, command(side, self.threads, self.device), self.threads, self.patience)

    def close(self) -> None:
        """End the workers."""
        pair, self._pair = self._pair, None
        for process in pair or ():
            process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
