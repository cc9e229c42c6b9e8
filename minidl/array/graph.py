"""A step that is recorded once and replayed many times: the host starts it as a whole, not kernel by kernel.

A small network's training step is a hundred short kernels, and starting one takes the host longer than the
GPU needs to run it. Recorded, all of them start with one call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from minidl.array.device import Device, get_device
from minidl.array.device_memory import Reserve

__all__ = ["Graph", "capture"]

R = TypeVar("R")


class Graph(Generic[R]):
    """A recorded step; `capture` makes one.

    Attributes:
        result: what the step returned when it was recorded. Each replay writes the arrays in it anew.
    """

    result: R

    def __init__(
        self, step: Callable[[], R], replayed: Callable[[], None], result: R, reserve: Reserve
    ) -> None:
        self._step = step  # it refers to the arrays outside that the recording reads and writes
        self._replayed = replayed
        self._reserve = reserve
        self.result = result

    def replay(self) -> R:
        """Run the step again, on what its arrays hold now; the host does not wait."""
        self._replayed()
        return self.result

    def __del__(self) -> None:
        self._reserve.release()


def capture(step: Callable[[], R], *, device: str | Device = "cuda", warmup: int = 3) -> Graph[R]:
    """Run a step a few times, record it, and replay the recording once.

    What the device does in the step is recorded: kernels, at fixed addresses. What Python does is not: a
    number that was computed on the host (a learning rate, a random mask, the count of Adam's steps) stays
    what it was at the recording. So the step reads its batch from arrays that stay the same, it changes
    parameters in place, and it copies nothing from or to the host.

    ```python
    x, labels = minidl.to_device(first_x), minidl.to_device(first_labels)
    graph = minidl.cuda.capture(lambda: train_step(model, x, labels))
    for batch in loader:
        x[...], labels[...] = map(minidl.to_device, batch)
        loss = graph.replay()
    ```

    Args:
        step: takes nothing; its shapes are the same each time.
        device: whose kernels are recorded.
        warmup: how often the step runs before it is recorded, so that all kernels are compiled and all memory
            is there. With the recording's own replay the step has run `warmup + 1` times when this returns.

    Raises:
        BackendError: the step copies from or to the host, or needs more memory than it did before.
    """
    on = get_device(device)
    for _ in range(warmup):
        step()
    with on.pool.recording() as reserve:
        on.start_recording()
        try:
            result = step()
        except BaseException:
            on.stop_recording()
            reserve.release()
            raise
        replayed = on.stop_recording()
    graph = Graph(step, replayed, result, reserve)
    graph.replay()
    return graph
