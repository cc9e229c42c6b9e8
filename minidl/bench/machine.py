"""The machine under the figures: a time without it says nothing."""

from __future__ import annotations

import os
import platform
import re
import time
from pathlib import Path

import numpy as np

__all__ = ["Others", "cores", "describe", "describe_gpu"]

DRIVER = Path("/proc/driver/nvidia/version")


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Others:
    """How much of the machine other programs take, from here on: `Others()`, then later `cores()`."""

    def __init__(self) -> None:
        self._began = self._now()

    def cores(self) -> float | None:
        """The cores that they used on average; None where the system does not tell.

        Our own workers count as ours once they have ended.
        """
        before, after = self._began, self._now()
        if before is None or after is None or after[1] == before[1]:
            return None
        return max(0.0, (after[0] - before[0]) / (after[1] - before[1]))

    @staticmethod
    def _now() -> tuple[float, float] | None:
        """Seconds that all cores worked for others, and seconds that have passed."""
        ticks = _ticks()
        if ticks is None:
            return None
        own = sum(os.times()[:4])  # of this process and of its children that have ended
        return ticks / os.sysconf("SC_CLK_TCK") - own, time.monotonic()


def _ticks() -> int | None:
    """How long all cores together have been in use, in the kernel's clock ticks."""
    try:
        words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
    except OSError:
        return None
    times = [int(word) for word in words[1:9]]  # user, nice, system, idle, iowait, irq, softirq, steal
    return sum(times) - times[3] - times[4]


def describe() -> dict[str, str | int]:
    """The processor, the system and the versions that both sides share."""
    return {
        "cpu": _processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def describe_gpu(device: str) -> dict[str, str]:
    """The card and its driver.

    Args:
        device: `"cuda"`, or `"sim"`, which is none.
    """
    if device == "sim":
        return {"gpu": "simulated GPU", "driver": "none"}
    from minidl.array import cuda

    return {"gpu": cuda.device_name(), "driver": f"{_driver()}CUDA {cuda.driver_version()}"}


def _driver() -> str:
    """The driver's own version, where the system tells."""
    try:
        words = DRIVER.read_text(encoding="utf-8").split("\n", 1)[0].split()
    except OSError:
        return ""
    return next((f"{word}, " for word in words if re.fullmatch(r"\d+\.\d+[.\d]*", word)), "")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    fields = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    known = {name.strip(): value.strip() for name, value in fields.items()}
    name = known.get("model name", platform.machine())
    # virtual machines often hide the model's name, and tell only its numbers
    numbers = [f"{word} {known[word]}" for word in ("cpu family", "model") if word in known]
    vectors = [flag for flag in ("avx2", "avx512f", "neon") if flag in known.get("flags", "").split()]
    extra = ", ".join([*numbers, *vectors[-1:]])
    return f"{name} ({extra})" if extra else name
