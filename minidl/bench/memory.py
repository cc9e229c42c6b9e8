"""How much memory this process holds, and how much it held at most since a moment of our choice."""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["PeakMemory"]

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """What is added from here on: `PeakMemory()`, then the work, then `added()`.

    On Linux the kernel's own high-water mark is set back first. Elsewhere the mark of the whole process
    has to do, which misses what stays below an earlier peak.
    """

    def __init__(self) -> None:
        gc.collect()
        with suppress(AttributeError, OSError, TypeError):  # where there is no glibc
            # give freed memory back, so that its reuse counts as memory of the work
            ctypes.CDLL(None).malloc_trim(0)
        with suppress(OSError):
            CLEAR.write_text("5", encoding="ascii")
        self._before = _status("VmRSS") or _ru_maxrss()

    def added(self) -> int | None:
        """Bytes at the highest moment, less the bytes before; None where the system does not tell."""
        peak = _status("VmHWM") or _ru_maxrss()
        return None if peak is None or self._before is None else max(0, peak - self._before)


def _status(name: str) -> int | None:
    """A line of /proc/self/status in bytes."""
    try:
        lines = STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None


def _ru_maxrss() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
