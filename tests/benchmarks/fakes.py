"""Sides that only pretend, so that what is measured is known."""

import sys

import numpy as np

from minidl.bench.process import Process

__all__ = ["FakeSide", "talker"]


class FakeSide:
    """A worker in this process: every step takes `ms` milliseconds, by its own account.

    `log` collects who was asked for what; `results` are what the first step computed.
    """

    def __init__(self, name, ms, log, results=None, peak_bytes=None):
        self.name, self.log, self.peak_bytes = name, log, peak_bytes
        self.ms = iter(ms) if isinstance(ms, list) else None
        self.always = ms
        self.results = {"loss": np.float32(2.5)} if results is None else results

    def ask(self, do, **arguments):
        self.log.append((self.name, do))
        if do == "open":
            np.savez(arguments["results"], **self.results)
            self.parts = {"train": ["step"], "product": ["step"], "expression": ["step"]}.get(
                self._kind(arguments["case"])
            )
            self.parts = self.parts or ["forward", "backward"]
            return {
                "flops": dict.fromkeys(self.parts, 4_000_000) if self.name == "minidl" else {},
                "peak_bytes": self.peak_bytes,
                "first_ms": 100.0,
                "versions": {self.name: "1.0"},
            }
        warmup = arguments["seconds"] == WARMUP
        ms = self.always if self.ms is None else 0.0 if warmup else next(self.ms)
        return {"ms": dict.fromkeys(self.parts, ms), "steps": 3}

    @staticmethod
    def _kind(case):
        from minidl.bench import CASES

        return CASES[case].kind


WARMUP = 0.125  # the seconds by which a fake knows that a turn is only for warming up


def talker(code, *words, patience=20.0):
    """A worker process that runs `code`."""
    return Process("fake", [sys.executable, "-c", code, *words], patience=patience)
