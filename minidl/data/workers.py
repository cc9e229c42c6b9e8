"""Processes that make batches ahead of time, so that reading and augmenting cost the training loop nothing.

Workers are started afresh ("spawn"), never forked: a fork copies a process in which Numba's and BLAS's
threads hold locks, but not the threads that would release them. So the data set is pickled and sent over.

Each worker has a pipe of its own, and nothing is shared: a worker that is killed in the middle of anything
leaves no lock behind for the others to wait for. Batches are dealt out in turn and collected in the same
order. A worker ends with its pipe, and with the process that started it.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from minidl.data.recipe import Recipe, Task
from minidl.data.worker import CUT_SHORT, receive, work
from minidl.errors import WorkerError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

__all__ = ["WorkerPool"]

PATIENCE = 1.0  # seconds that a worker has to end by itself


class _Worker(NamedTuple):
    process: SpawnProcess
    pipe: Connection[Any, Any]


class WorkerPool:
    """Worker processes that all follow one recipe.

    Args:
        recipe: how a batch is made; it must be picklable.
        num_workers: how many processes.
        prefetch: how many batches each makes ahead.
        timeout: after so many seconds without the next batch an error is raised; 0 waits for ever.

    Raises:
        TypeError: the recipe cannot be pickled.
        WorkerError: a worker raised, died, could not start, or took too long.
    """

    def __init__(self, recipe: Recipe, num_workers: int, prefetch: int, timeout: float) -> None:
        import multiprocessing  # which takes a while to load, and few need

        self.prefetch = prefetch
        self.timeout = timeout
        self._serial = 0  # of the next task
        self._delivered = False  # whether any worker ever was heard of
        parcel = _packed(recipe, num_workers)
        context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._stop = weakref.finalize(self, _stop, self._workers, os.getpid())
        try:
            for number in range(num_workers):
                pipe, far_end = context.Pipe()
                process = context.Process(
                    target=work, args=(far_end,), name=f"minidl DataLoader worker {number}", daemon=True
                )
                with _deaf_to_ctrl_c():
                    process.start()
                far_end.close()  # or the pipe would stay open when the worker ends
                self._workers.append(_Worker(process, pipe))
            for number, worker in enumerate(self._workers):  # all start up meanwhile
                self._send(number, worker, parcel)
        except BaseException:
            self.close()
            raise

    @property
    def closed(self) -> bool:
        """Whether the workers were ended."""
        return not self._stop.alive

    def close(self) -> None:
        """End the workers: at once if idle, after a second by force."""
        self._stop()

    def run(self, tasks: Iterable[Task]) -> Iterator[Any]:
        """The batches of these tasks, in their order.

        A loop that is left early leaves workers that can be used again; any error ends them.
        """
        remaining = iter(tasks)
        waiting: deque[int] = deque()  # serial numbers of tasks that were handed out
        try:
            for _ in range(self.prefetch * len(self._workers)):
                self._hand_out(remaining, waiting)
            while waiting:
                batch = self._receive(waiting.popleft())
                self._hand_out(remaining, waiting)
                yield batch
        except GeneratorExit:
            raise
        except BaseException:  # Ctrl-C too: it may have come in the middle of a message
            self.close()
            raise

    def _hand_out(self, remaining: Iterator[Task], waiting: deque[int]) -> None:
        task = next(remaining, None)
        if task is None:
            return
        number = self._serial % len(self._workers)
        self._send(number, self._workers[number], pickle.dumps((self._serial, task)))
        waiting.append(self._serial)
        self._serial += 1

    def _send(self, number: int, worker: _Worker, message: bytes) -> None:
        try:
            worker.pipe.send_bytes(message)
        except CUT_SHORT as error:
            raise self._dead(number) from error

    def _receive(self, serial: int) -> Any:
        """The batch with this number; what comes before it belongs to a loop that was left early."""
        from multiprocessing.connection import wait

        number = serial % len(self._workers)
        worker = self._workers[number]
        while True:
            ready = wait([worker.pipe, worker.process.sentinel], self.timeout or None)
            if not ready:
                raise WorkerError(
                    f"DataLoader: expected a batch within timeout={self.timeout:g} s, "
                    f"got none from worker {number}"
                )
            if worker.pipe not in ready:
                raise self._dead(number)
            try:
                came, good, value = receive(worker.pipe)
            except CUT_SHORT as error:
                raise self._dead(number) from error
            self._delivered = True
            if came == serial and good:
                return value
            if came == serial:
                text, original = value
                raise WorkerError(f"DataLoader: worker {number} raised\n{text}") from original

    def _dead(self, number: int) -> WorkerError:
        """What became of a worker that is no more."""
        process = self._workers[number].process
        process.join(PATIENCE)
        code = process.exitcode
        if code is None:
            how = "closed its pipe"
        elif code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        else:
            how = f"exited with code {code}"
        hint = "" if self._delivered else (
            "; a script that uses workers must do so below `if __name__ == '__main__':`, since each "
            "worker imports it"
        )  # fmt: skip
        return WorkerError(f"DataLoader: worker {number} (process {process.pid}) {how}{hint}")


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Start a process that ignores Ctrl-C from its first instruction on, since exec hands that down.

    Ctrl-C reaches every process of a terminal: a worker that is still importing would show a traceback.
    """
    if threading.current_thread() is not threading.main_thread():  # where handlers cannot be set
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)


def _packed(recipe: Recipe, num_workers: int) -> bytes:
    try:
        return pickle.dumps(recipe, protocol=5)
    except Exception as error:  # pickling runs the user's own methods
        name, part = next(item for item in recipe._asdict().items() if not _can_be_pickled(item[1]))
        raise TypeError(
            f"DataLoader: expected a {name} that can be pickled, to send it to {num_workers} workers, "
            f"got {part!r} ({error}); num_workers=0 needs no pickling"
        ) from error


def _can_be_pickled(part: Any) -> bool:
    try:
        pickle.dumps(part, protocol=5)
    except Exception:
        return False
    return True


def _stop(workers: list[_Worker], owner: int) -> None:
    if os.getpid() != owner:  # a fork of the process that started them, which must not wait for them
        return
    for worker in workers:
        worker.pipe.close()  # on which an idle worker ends
    end = time.monotonic() + PATIENCE
    for process, _ in workers:
        process.join(max(0.0, end - time.monotonic()))
    for force in ("terminate", "kill"):
        alive = [process for process, _ in workers if process.exitcode is None]
        for process in alive:
            getattr(process, force)()
        for process in alive:
            process.join(PATIENCE)
