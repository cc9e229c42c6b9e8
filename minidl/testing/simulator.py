"""A simulated GPU: kernels run in Python, thread by thread, and what a GPU may not forgive is an error.

```python
x = minidl.to_device(values, "sim")     # arrays, layers and kernels as on "cuda"
```

It refuses an index outside an array's buffer, writes through `const` pointers, shared memory that is read
before it is written, two threads that meet in a cell of shared memory without a barrier between, barriers
that some threads do not reach, more than 1,024 threads or 48 KB of shared memory in a block, and whole
numbers that overflow. The error names the kernel, the block, the thread, the line, the array and the index.

Memory that is new holds NaN (floats) or −1. A thread computes with Python's numbers: results are rounded to
float32 when they are stored to memory, global or shared, and not in between. So a sum in a kernel's local
variable is a little *more* accurate here than on a GPU; results agree to rounding, not to the last bit.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Generator
from types import FrameType, TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl.array.device import Device, Plan, register_device
from minidl.array.device_memory import Buffer
from minidl.array.gpu import GpuKernel
from minidl.errors import KernelError
from minidl.testing.simulator_memory import THREADS, BlockMemory, FaultError, OffsetPointer
from minidl.testing.simulator_text import BARRIERS, SUBSCRIPTS, read_kernel

__all__ = ["SimulatedDevice"]

CAST = {"bool": "?", "uint8": "B", "int32": "i", "uint32": "I", "int64": "q", "float32": "f", "float64": "d"}

Thread = Generator[tuple[Any, ...], Any, None]


class SimulatedDevice(Device):
    """A simulated GPU; `get_device("sim")` gives the one that arrays are on."""

    def __init__(self) -> None:
        super().__init__("sim")
        self._recorded: list[Callable[[], None]] = []

    def allocate(self, nbytes: int) -> Buffer:
        """Memory for an array, full of NaN, so that nobody can rely on what it holds."""
        buffer = super().allocate(nbytes)
        buffer.memory[:nbytes] = b"\xff" * nbytes
        return buffer

    def _allocate(self, size: int) -> bytearray:
        return bytearray(size)

    def _free(self, memory: Any) -> None:
        """Python does it."""

    def copy_from_host(self, buffer: Buffer, offset: int, values: NDArray[Any]) -> None:
        """Write a contiguous host array into a buffer from byte `offset` on."""
        self.refuse_while_recording("a copy from the host")
        _bytes(buffer, offset, values.nbytes)[...] = values.reshape(-1).view(np.uint8)

    def copy_to_host(self, buffer: Buffer, offset: int, values: NDArray[Any]) -> None:
        """Fill a contiguous host array from a buffer, from byte `offset` on."""
        self.refuse_while_recording("a copy to the host")
        values.reshape(-1).view(np.uint8)[...] = _bytes(buffer, offset, values.nbytes)

    def synchronize(self) -> None:
        """Nothing to wait for."""

    def plan(
        self, kernel: GpuKernel, precision: str, grid: tuple[int, int, int], block: tuple[int, int, int]
    ) -> Plan:
        """The kernel's threads, ready to run."""
        if not 1 <= math.prod(block) <= kernel.threads or block[2] > 64:
            most = f"{kernel.threads} threads (at most 64 in z)"
            raise KernelError(f"{kernel.name}: expected a block of 1 to {most}, got {block}")
        if max(grid[1:]) > 65535 or min(grid) < 0:
            raise KernelError(
                f"{kernel.name}: expected a grid of at most 65535 blocks in y and z, got {grid}"
            )

        def run(args: tuple[Any, ...]) -> None:
            bound = self._bound(kernel, precision, args)
            if self.recording:
                self._recorded.append(lambda: _run(kernel, precision, grid, block, bound))
            else:
                _run(kernel, precision, grid, block, bound)

        return run

    def start_recording(self) -> None:
        """From here on launches are written down, not run."""
        self._recorded = []
        self.recording = True

    def stop_recording(self) -> Callable[[], None]:
        """Launches run again; what is given back runs all those that were written down."""
        self.recording = False
        recorded = self._recorded

        def replay() -> None:
            for launch in recorded:
                launch()

        return replay

    def _bound(self, kernel: GpuKernel, precision: str, args: tuple[Any, ...]) -> list[Any]:
        """The arguments as a kernel takes them: pointers to this device's memory, and numbers."""
        bound: list[Any] = []
        for position, (argument, given) in enumerate(zip(kernel.arguments, args, strict=True)):
            dtype = argument.dtype(precision)
            if argument.pointer:
                if getattr(given, "dtype", None) != dtype or getattr(given, "device", None) is not self:
                    raise kernel.misfit(position, given, precision)
                bound.append(_pointer(given.buffer, given.offset, dtype, argument.const, argument.name))
            elif not isinstance(given, int | float | np.generic):
                raise kernel.misfit(position, given, precision)
            else:
                bound.append(_number(given, dtype, kernel, position))
        return bound


register_device("sim", SimulatedDevice)


def _bytes(buffer: Buffer, offset: int, count: int) -> NDArray[np.uint8]:
    if not 0 <= offset <= offset + count <= buffer.nbytes:
        raise KernelError(f"a copy of bytes {offset} to {offset + count} of a buffer of {buffer.nbytes}")
    return np.frombuffer(buffer.memory, np.uint8, count, offset)


def _pointer(buffer: Buffer, offset: int, dtype: np.dtype[Any], const: bool, name: str) -> Any:
    whole = buffer.nbytes - buffer.nbytes % dtype.itemsize
    values = memoryview(buffer.memory)[:whole].cast(CAST[dtype.name])  # type: ignore[call-overload]
    if const:
        values = values.toreadonly()
    return values if offset == 0 else OffsetPointer(values, offset, name)


def _number(given: Any, dtype: np.dtype[Any], kernel: GpuKernel, position: int) -> Any:
    """A number as the kernel gets it; a whole one has to fit."""
    if dtype.kind == "f":
        return float(dtype.type(given))
    if dtype.kind == "b":
        return bool(given)
    limits = np.iinfo(dtype)
    if int(given) != given or not limits.min <= given <= limits.max:
        raise kernel.misfit(position, given, dtype.name)
    return int(given)


def _run(
    kernel: GpuKernel, precision: str, grid: tuple[int, int, int], size: tuple[int, int, int], args: list[Any]
) -> None:
    """Run every block, one after the other."""
    text = read_kernel(kernel, precision)
    threads = [(x, y, z) for z, y, x in itertools.product(*map(range, reversed(size)))]
    for z, y, x in itertools.product(*map(range, reversed(grid))):
        block = BlockMemory(len(threads))
        start = functools.partial(text.function, *args, block, *grid, *size, x, y, z)
        number = 0
        try:
            if text.waits:
                _run_together(block, [start(*thread) for thread in threads])
            else:
                for number, thread in enumerate(threads):
                    block.now = number
                    start(*thread)
        except (ArithmeticError, IndexError, TypeError, ValueError, NameError, FaultError) as error:
            number = block.now % THREADS if text.waits else number
            where = f"{kernel.name}, block {(x, y, z)}, thread {threads[number]}"
            raise KernelError(f"{where}, {_explained(error)}") from error


def _run_together(block: BlockMemory, threads: list[Thread]) -> None:
    """Run the threads of a block: each until it waits, then all that wait for the same go on."""
    resume = [thread.send for thread in threads]
    answers: list[Any] = [None] * len(threads)
    asked: list[tuple[Any, ...] | None] = [("start", "the start")] * len(threads)  # None: it has ended
    warps = [range(first, min(first + 32, len(threads))) for first in range(0, len(threads), 32)]
    while True:
        for number, warp in enumerate(warps):
            ready = [thread for thread in warp if asked[thread] is not None]
            while ready:
                mark = block.phase * THREADS
                for thread in ready:
                    block.now = mark + thread
                    try:
                        asked[thread] = resume[thread](answers[thread])
                    except StopIteration:
                        asked[thread] = None
                first = asked[warp.start]
                if (first is None or first[0] in BARRIERS) and _all_are(first, asked[warp.start : warp.stop]):
                    break
                ready = _exchange(block, number, warp, asked, answers)
        if not any(asked):
            return
        _meet(block, asked, answers)


def _all_are(first: object, asked: list[Any]) -> bool:
    """Whether all are the very same: each wait at a barrier asks by one constant."""
    return asked.count(first) == len(asked)


def _meet(block: BlockMemory, asked: list[tuple[Any, ...] | None], answers: list[Any]) -> None:
    """All threads of a block wait: at one barrier, or something is wrong."""
    first = asked[0]
    if not _all_are(first, asked) and len(sites := _sites(asked)) > 1:
        block.run(next(i for i, request in enumerate(asked) if request))
        places = " and at ".join(sorted(sites))
        raise FaultError(f"a barrier that not all threads of the block reach: they wait at {places}")
    assert first is not None
    answer = None
    if first[0] != "syncthreads":
        said = [bool(request[2]) for request in asked if request]
        answer = {"syncthreads_count": sum(said), "syncthreads_and": all(said), "syncthreads_or": any(said)}[
            first[0]
        ]
    answers[:] = [answer] * len(answers)
    block.barrier()


def _sites(asked: list[tuple[Any, ...] | None]) -> set[str]:
    """Where threads wait."""
    return {request[1] if request else "the end" for request in asked}


def _exchange(
    block: BlockMemory, number: int, warp: range, asked: list[tuple[Any, ...] | None], answers: list[Any]
) -> list[int]:
    """Threads of a warp that wait for each other and all are there; they get their answers and go on."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for thread in warp:
        request = asked[thread]
        if request is not None and request[0] not in BARRIERS:
            mask = request[2] if len(request) > 2 else 0xFFFFFFFF
            groups.setdefault((request[0], request[1], mask), []).append(thread)
    ready: list[int] = []
    for (operation, _site, mask), group in groups.items():
        if group == [thread for thread in warp if mask >> (thread - warp.start) & 1]:
            lanes = {thread - warp.start: asked[thread] for thread in group}
            for lane, request in lanes.items():
                answers[warp.start + lane] = _answer(operation, lane, request, lanes)
            if operation == "syncwarp":
                block.warp_barrier(number)
            ready += group
    if groups and not ready:
        (_, site, mask), group = next(iter(groups.items()))
        block.run(group[0])
        raise FaultError(
            f"{site}: its mask {mask:#x} names threads that do not come; lanes {[t % 32 for t in group]} did"
        )
    return ready


def _answer(operation: str, lane: int, request: Any, lanes: dict[int, Any]) -> Any:
    """What one lane gets from an exchange of a warp."""
    if operation == "syncwarp":
        return None
    if operation == "ballot_sync":
        return sum(1 << other for other, said in lanes.items() if said[3])
    if operation == "all_sync":
        return all(said[3] for said in lanes.values())
    if operation == "any_sync":
        return any(said[3] for said in lanes.values())
    source = {
        "shfl_sync": lambda: request[4] % 32,
        "shfl_up_sync": lambda: lane - request[4],
        "shfl_down_sync": lambda: lane + request[4],
        "shfl_xor_sync": lambda: lane ^ request[4],
    }[operation]()
    if not 0 <= source < 32:
        return request[3]
    return lanes[source][3] if source in lanes else math.nan  # of a lane that is not there comes anything


def _explained(error: Exception) -> str:
    """An error of Python's in words about kernels, with the line of the kernel's text."""
    frame, place = _place(error.__traceback__)
    line = f"line {place[0]}: " if place[0] else ""
    if isinstance(error, FaultError):
        return f"{line}{error}"
    if isinstance(error, IndexError) and frame is not None and place in frame.f_globals[SUBSCRIPTS]:
        name, index = frame.f_globals[SUBSCRIPTS][place]
        pointer = frame.f_locals[name]
        number = frame.f_locals.get(index, index)  # a name, or the number itself
        return f"{line}{name}[{number}] is outside its buffer (0 to {len(pointer) - 1})"
    if isinstance(error, TypeError) and "read-only" in str(error):
        return f"{line}writes through a const pointer"
    return f"{line}{type(error).__name__}: {error}"


def _place(trace: TracebackType | None) -> tuple[FrameType | None, tuple[int | None, ...]]:
    """Where in a kernel an error came up: the innermost function, and the place in its text."""
    frame: FrameType | None = None
    place: tuple[int | None, ...] = (None,) * 4
    while trace is not None:
        if SUBSCRIPTS in trace.tb_frame.f_globals:
            frame = trace.tb_frame
            place = next(itertools.islice(frame.f_code.co_positions(), trace.tb_lasti // 2, None))
        trace = trace.tb_next
    return frame, place
