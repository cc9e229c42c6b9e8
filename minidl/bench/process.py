"""A worker process as its parent sees it: one question, one answer, and no silence without a name."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import Any, Self

from minidl.errors import MinidlError

__all__ = ["BenchError", "Process", "command", "environment"]

PATIENCE = 180.0
"""Seconds that an answer may take. The first step compiles; no turn is that long."""


class BenchError(MinidlError, RuntimeError):
    """A worker that died, hung, failed, or computed something else than the other side."""


def command(side: str, threads: int, device: str) -> list[str]:
    """What starts a worker."""
    return [sys.executable, "-m", "minidl.bench.worker", side, str(threads), device]


def environment(threads: int) -> dict[str, str]:
    """The parent's environment, with every thread pool held to the same size."""
    pools = ("OMP", "OPENBLAS", "MKL", "NUMBA", "MINIDL", "VECLIB_MAXIMUM")
    return {**os.environ, **{f"{pool}_NUM_THREADS": str(threads) for pool in pools}}


class Process:
    """A worker that answers lines of JSON; use it in a `with` block, which leaves no process behind.

    Args:
        name: of the side, for messages.
        words: the command.
        threads: how many it may use.
        patience: seconds that an answer may take.
    """

    def __init__(self, name: str, words: Sequence[str], threads: int = 1, patience: float = PATIENCE) -> None:
        self.name, self.patience = name, patience
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            list(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints,
            env=environment(threads), encoding="utf-8",
        )  # fmt: skip
        self._answers: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")  # the other end is closed

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """One command and its answer.

        Raises:
            BenchError: the worker died, did not answer in time, or answered with an error.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # a closed pipe: the answer below says so
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        try:
            line = self._answers.get(timeout=self.patience)
        except queue.Empty:
            raise BenchError(
                f"the {self.name} worker: expected an answer to {do!r} within {self.patience:g} s, got none"
            ) from None
        if not line:
            self._answers.put("")  # for whoever asks again
            code = self._process.wait()
            end = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            said = f": {self._last_words()}" if self._last_words() else ""
            raise BenchError(f"the {self.name} worker {end} during {do!r}{said}")
        try:
            answer = json.loads(line)
        except json.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict):
            raise BenchError(f"the {self.name} worker: expected a line of JSON, got {line.strip()!r}")
        if "error" in answer:
            raise BenchError(f"the {self.name} worker: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip() if lines else ""

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._complaints):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
