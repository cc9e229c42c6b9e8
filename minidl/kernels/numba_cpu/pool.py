"""minidl's one pool of threads: workers that look for tasks for a moment, then sleep."""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from minidl.array import Array
from minidl.kernels.numba_cpu.tasks import SLOTS, STOP, serve
from minidl.kernels.threads import get_num_threads, hold_blas, on_change

__all__ = ["POOL", "Pool"]

PATIENCE = 20_000  # looks before a worker sleeps: about half a millisecond
WORTH = 50_000  # operations that are worth waking a worker for: a few microseconds
ALONE = nullcontext(0)


class Pool:
    """The workers beside the thread that calls a kernel.

    ```python
    with POOL.team(operations) as team:   # one kernel at a time; other threads wait their turn
        _compiled(..., team)
    ```

    A worker looks for tasks in compiled code that holds no GIL. When it found none for a while it sleeps
    on a lock, until the next kernel that is worth it wakes it. A kernel does not wait for a worker that
    is not there yet: it does the work itself.
    """

    def __init__(self) -> None:
        self._begin()
        atexit.register(self.close)
        on_change(self._resize)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """No worker yet: at the start, and in a forked child, which has none of its parent's threads."""
        self._threads = 0
        self._memory = np.zeros(SLOTS + 8, np.int64)  # what the team shares, from a cache line's beginning
        first = -(self._memory.ctypes.data // 8) % 8
        self._address = self._memory.ctypes.data + 8 * first
        self._stop = first + STOP
        self._turn = threading.Lock()
        self._workers: list[threading.Thread] = []
        self._asleep: list[threading.Lock] = []
        self._scratch = np.empty(0, np.uint8)
        self._views: dict[tuple[int, np.dtype[Any]], Array] = {}

    def team(self, operations: float) -> AbstractContextManager[int]:
        """The team for a kernel of about so many arithmetic operations; small ones run on one thread."""
        return self if operations >= WORTH else ALONE

    def __enter__(self) -> int:
        self._turn.acquire()
        if self._threads == 0:
            try:
                self._start()
            except BaseException:  # a nonsensical environment variable, or Ctrl-C
                self._threads = 0  # the next kernel tries again
                self._turn.release()
                raise
        while self._asleep:
            self._asleep.pop().release()
        return self._address if self._threads > 1 else 0

    def __exit__(self, *error: object) -> None:
        self._turn.release()

    def scratch(self, elements: int, dtype: np.dtype[Any]) -> Array:
        """Memory for each thread, (threads, elements), kept between kernels; its numbers are anything.

        Only for a kernel that has entered the pool itself (`with POOL as team`), until it leaves it.
        """
        view = self._views.get((elements, dtype))
        return self._cut(elements, dtype) if view is None else view

    def _cut(self, elements: int, dtype: np.dtype[Any]) -> Array:
        row = -(-elements * dtype.itemsize // 64) * 64 + 64  # whole vectors may be written at the end
        size = row * self._threads + 64
        if self._scratch.size < size or len(self._views) > 200:
            self._scratch = np.empty(max(size, self._scratch.size), np.uint8)
            self._views.clear()
        first = -self._scratch.ctypes.data % 64
        whole = self._scratch[first : first + row * self._threads]
        view = whole.view(dtype).reshape(self._threads, row // dtype.itemsize)
        self._views[elements, dtype] = view
        return view

    def _start(self) -> None:
        self._threads = get_num_threads()
        self._views.clear()
        hold_blas(1)
        serve(self._address, 0, 0)  # compiled here, once, and not in every worker
        self._memory[self._stop] = 0
        for number in range(1, self._threads):
            worker = threading.Thread(target=self._live, args=(number,), name=f"minidl-{number}", daemon=True)
            try:
                worker.start()
            except RuntimeError:  # the system has no thread left; those that there are suffice
                break
            self._workers.append(worker)

    def _live(self, number: int) -> None:
        memory, stop, address, asleep = self._memory, self._stop, self._address, self._asleep
        bed = threading.Lock()
        while not memory[stop]:
            serve(address, number, PATIENCE)
            bed.acquire()
            asleep.append(bed)
            if memory[stop]:
                return
            bed.acquire()  # until somebody releases it
            bed.release()

    def _resize(self, threads: int) -> None:
        if threads != self._threads:
            self.close()

    def close(self) -> None:
        """Send the workers home; the next kernel starts new ones."""
        with self._turn:
            self._memory[self._stop] = 1
            while any(worker.is_alive() for worker in self._workers):
                while self._asleep:
                    self._asleep.pop().release()
                for worker in self._workers:
                    worker.join(0.001)
            self._workers.clear()
            self._threads = 0


POOL = Pool()
