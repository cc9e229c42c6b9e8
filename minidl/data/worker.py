"""What runs in a worker process, and how its batches travel to the loop that wants them."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import threading
import traceback
from typing import TYPE_CHECKING, Any

from minidl.data.recipe import Recipe, Task
from minidl.errors import WorkerError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["CUT_SHORT", "receive", "work"]

CUT_SHORT = (EOFError, OSError)
"""What a pipe raises whose other end is gone."""


def work(pipe: Connection[Any, Any]) -> None:
    """The life of a worker: the recipe, then one batch per task until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever loops over the batches decides
    outbox: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
    threading.Thread(target=_send_all, args=(pipe, outbox), daemon=True).start()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    recipe: Recipe | None = None
    failure: tuple[str, BaseException] | None = None
    try:
        try:
            recipe = pickle.loads(pipe.recv_bytes())
        except EOFError:
            raise
        except Exception as error:
            failure = _report(error)
        while True:
            serial, task = pickle.loads(pipe.recv_bytes())
            outbox.put(_answer(serial, recipe, task, failure))
    except CUT_SHORT:  # nobody is there any more
        return


def _answer(
    serial: int, recipe: Recipe | None, task: Task, failure: tuple[str, BaseException] | None
) -> list[Any]:
    """What is sent back: a batch, or what went wrong."""
    if recipe is not None:
        try:
            return _message(serial, True, recipe.make(task))
        except Exception as error:  # sys.exit() and the like end the worker, as they ask
            failure = _report(error)
    try:
        return _message(serial, False, failure)
    except Exception:  # the error itself cannot be pickled: its text can
        assert failure is not None
        return _message(serial, False, (failure[0], None))


def _report(error: BaseException) -> tuple[str, BaseException]:
    return "".join(traceback.format_exception(error)).rstrip(), error


def _send_all(pipe: Connection[Any, Any], outbox: queue.SimpleQueue[list[Any]]) -> None:
    """Send what is ready, while the next batch is being made: a pipe holds far less than one."""
    try:
        while True:
            for part in outbox.get():
                pipe.send_bytes(part)
    except CUT_SHORT:
        os._exit(0)


def _end_with_parent() -> None:
    """End also in the middle of a batch when the process that wants it is gone, however it went."""
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


# ---------------------------------------------------------------- messages


def _message(serial: int, good: bool, value: Any) -> list[Any]:
    """The parts of a message: arrays go as they lie in memory, not through pickle's own copies."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps((serial, good, value), protocol=5, buffer_callback=buffers.append)
    raw = [buffer.raw() for buffer in buffers]
    return [pickle.dumps([part.nbytes for part in raw]), body, *raw]


def receive(pipe: Connection[Any, Any]) -> tuple[int, bool, Any]:
    """A task's number, whether it went well, and the batch or what went wrong."""
    sizes = pickle.loads(pipe.recv_bytes())
    body = pipe.recv_bytes()
    buffers = [bytearray(size) for size in sizes]
    for buffer in buffers:
        pipe.recv_bytes_into(buffer)
    try:
        return pickle.loads(body, buffers=buffers)
    except Exception as error:
        raise WorkerError(f"DataLoader: expected a batch that can be unpickled, got {error!r}") from error
