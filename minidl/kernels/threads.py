"""How many threads minidl may compute with: one number, from the program or from the environment.

There is one pool of threads at a time. With the Numba backend it is minidl's own, and NumPy's BLAS is
held to one thread beside it, because two pools that wait for each other's cores cost more than both
bring. With the NumPy backend the BLAS is the pool, and `set_num_threads` sets its size.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from minidl.kernels.registry import get_backend

__all__ = ["get_num_threads", "hold_blas", "on_change", "set_num_threads"]

MOST = 256
VARIABLES = ("MINIDL_NUM_THREADS", "OMP_NUM_THREADS")

_threads: int | None = None  # None until it is first needed or chosen
_listeners: list[Callable[[int], None]] = []


def get_num_threads() -> int:
    """How many threads minidl's kernels may use.

    Unless `set_num_threads` chose, the environment variable MINIDL_NUM_THREADS does, then
    OMP_NUM_THREADS; without either, as many as this process may use cores.

    Raises:
        ValueError: an environment variable that is no integer of at least 1.
    """
    global _threads
    if _threads is None:
        _threads = _from_environment() or _cores()
    return _threads


def set_num_threads(threads: int) -> None:
    """Choose how many threads minidl's kernels may use, as `torch.set_num_threads` does for PyTorch.

    The results do not depend on it: the same bits come out at any number of threads.

    Args:
        threads: at least 1; more than there are cores only costs time.

    Raises:
        ValueError: it is no integer from 1 to 256.
    """
    global _threads
    whole = isinstance(threads, int | np.integer) and not isinstance(threads, bool)
    if not whole or not 1 <= threads <= MOST:
        raise ValueError(f"set_num_threads: expected an integer from 1 to {MOST}, got {threads!r}")
    _threads = int(threads)
    if get_backend() == "numpy":
        hold_blas(_threads)
    for listener in _listeners:
        listener(_threads)


def on_change(listener: Callable[[int], None]) -> None:
    """Call `listener(threads)` whenever `set_num_threads` chooses anew."""
    _listeners.append(listener)


def hold_blas(threads: int) -> None:
    """Let NumPy's matrix products use this many threads, from here on."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads, user_api="blas")


def _from_environment() -> int | None:
    for name in VARIABLES:
        text = os.environ.get(name, "")
        if not text:
            continue
        first = text.split(",")[0].strip()  # OMP_NUM_THREADS may list one number per nesting level
        if not first.isdecimal() or not 1 <= int(first) <= MOST:
            if name == VARIABLES[0]:
                raise ValueError(f"{name}: expected an integer from 1 to {MOST}, got {text!r}")
            continue
        return int(first)
    return None


def _cores() -> int:
    """The cores that this process may use, a container's quota counted."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:  # "max 100000", or how many of every 100000 µs are granted
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            granted, period = file.read().split()
        available = min(available, max(1, round(int(granted) / int(period))))
    except (OSError, ValueError):
        pass
    return max(1, min(available, MOST))
