"""The simulator's memory: pointers that know their buffer, and shared memory that knows who wrote a cell.

Between two barriers the threads of a block run in no order. So a cell of shared memory that one thread writes
and another one reads or writes without a barrier between them is a *race*: it may work today and fail
tomorrow. Here each cell remembers who wrote and who read it since the last barrier, and a race is an error,
even if the numbers would have been right.
"""

from __future__ import annotations

import array
import functools
import itertools
import math
from typing import Any

__all__ = ["BlockMemory", "FaultError", "OffsetPointer", "PrivateArray", "SharedArray"]

MOST_SHARED = 48 * 1024  # bytes that a block may have without asking for more
THREADS = 1024  # room for a thread's number in the mark that an access leaves
FORMATS = {
    "float32": "f",
    "float64": "d",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint8": "B",
    "bool": "B",
}


class FaultError(Exception):
    """What a thread did wrong; the runner says which thread of which kernel."""


class OffsetPointer:
    """A pointer into the middle of a buffer, from which one may go back too.

    Args:
        values: the whole buffer.
        offset: where the pointer points.
        name: of the kernel's argument.
    """

    __slots__ = ("name", "offset", "values")

    def __init__(self, values: memoryview, offset: int, name: str) -> None:
        self.values = values
        self.offset = offset
        self.name = name

    def __getitem__(self, index: int) -> Any:
        at = index + self.offset
        if at < 0:
            raise self.outside(index)
        try:
            return self.values[at]
        except IndexError:
            raise self.outside(index) from None

    def __setitem__(self, index: int, value: Any) -> None:
        at = index + self.offset
        if at < 0:
            raise self.outside(index)
        try:
            self.values[at] = value
        except IndexError:
            raise self.outside(index) from None

    def outside(self, index: int) -> FaultError:
        """The error for an index outside the buffer."""
        first, last = -self.offset, len(self.values) - self.offset - 1
        return FaultError(f"{self.name}[{index}] is outside its buffer ({first} to {last})")


class BlockMemory:
    """What the threads of one block share, and which of them runs.

    Attributes:
        now: the mark of the running thread: the phase of the block · 1024 + the thread's number. Each barrier
            begins a phase.
        start: marks below this one are of before the last barrier of the block.
        warp_starts: the same for the last `syncwarp` of each warp.
    """

    now: int
    start: int
    warp_starts: list[int]

    def __init__(self, threads: int) -> None:
        self.phase = 0
        self.now = 0
        self.start = 0
        self.warp_starts = [0] * -(-threads // 32)
        self.arrays: dict[str, SharedArray] = {}
        self.bytes = 0

    def run(self, thread: int) -> None:
        """This thread runs next."""
        self.now = self.phase * THREADS + thread

    def barrier(self) -> None:
        """All threads of the block have met."""
        self.phase += 1
        self.start = self.phase * THREADS

    def warp_barrier(self, warp: int) -> None:
        """The threads of this warp have met."""
        self.phase += 1
        self.warp_starts[warp] = self.phase * THREADS

    def before_now(self, mark: int) -> bool:
        """Whether what left this mark certainly happened before what the running thread does now."""
        thread, other = self.now % THREADS, mark % THREADS
        if mark < self.start or other == thread:
            return True
        return other // 32 == thread // 32 and mark < self.warp_starts[thread // 32]

    def shared(self, site: str, shape: Any, dtype: Any) -> SharedArray:
        """`cuda.shared.array`: the same one for every thread."""
        if site not in self.arrays:
            made = self.arrays[site] = SharedArray(site, shape, dtype, self)
            self.bytes += made.nbytes
            if self.bytes > MOST_SHARED:
                raise FaultError(f"{self.bytes} bytes of shared memory, a block has at most {MOST_SHARED}")
        return self.arrays[site]

    def local(self, site: str, shape: Any, dtype: Any) -> PrivateArray:
        """`cuda.local.array`: one for each thread."""
        return PrivateArray(site, shape, dtype)


@functools.cache
def _places(shape: tuple[int, ...]) -> dict[Any, int]:
    """The position in memory of each index: to look it up takes less time than to check and compute it."""
    if len(shape) == 1:
        return {i: i for i in range(shape[0])}
    return {index: at for at, index in enumerate(itertools.product(*map(range, shape)))}


class PrivateArray:
    """An array of one thread: a cell has to be written before it is read."""

    def __init__(self, site: str, shape: Any, dtype: Any) -> None:
        self.name, self.line = site.split(", ")
        self.shape = tuple(shape) if isinstance(shape, tuple) else (int(shape),)
        size = math.prod(self.shape)
        poison = math.nan if dtype.dtype.kind == "f" else 0
        self.values = array.array(FORMATS[dtype.dtype.name], [poison]) * size
        self.writers = [-1] * size
        self.nbytes = size * dtype.dtype.itemsize
        self.whole = dtype.dtype.kind != "f"
        self.places = _places(self.shape)

    def outside(self, index: Any) -> FaultError:
        """The error for an index that has no place."""
        return FaultError(f"{self.text(index)} is outside its shape {self.shape}")

    def text(self, index: Any) -> str:
        """An element as the kernel writes it."""
        inner = ", ".join(map(str, index)) if isinstance(index, tuple) else index
        return f"{self.name}[{inner}]"

    def __getitem__(self, index: Any) -> Any:
        at = self.places.get(index)
        if at is None:
            raise self.outside(index)
        if self.writers[at] < 0:
            raise FaultError(f"{self.text(index)} is read, but was never written")
        return self.values[at]

    def __setitem__(self, index: Any, value: Any) -> None:
        at = self.places.get(index)
        if at is None:
            raise self.outside(index)
        self.writers[at] = 0
        self.values[at] = value


class SharedArray(PrivateArray):
    """An array of a block, which notices when two threads meet in a cell without a barrier between."""

    def __init__(self, site: str, shape: Any, dtype: Any, block: BlockMemory) -> None:
        super().__init__(site, shape, dtype)
        self.block = block
        self.readers: list[list[int] | None] = [None] * len(self.values)

    def __getitem__(self, index: Any) -> Any:
        at = self.places.get(index)
        if at is None:
            raise self.outside(index)
        block = self.block
        writer, start, now = self.writers[at], block.start, block.now
        if not 0 <= writer < start:
            if writer < 0:
                raise FaultError(f"{self.text(index)} is read, but was never written")
            if not block.before_now(writer):
                raise self.race(index, "reads", writer, "wrote")
        readers = self.readers[at]
        if readers is None or readers[-1] < start:
            self.readers[at] = [now]
        elif readers[-1] != now:
            readers.append(now)
        return self.values[at]

    def __setitem__(self, index: Any, value: Any) -> None:
        at, block = self.places.get(index), self.block
        if at is None:
            raise self.outside(index)
        if self.writers[at] >= block.start and not block.before_now(self.writers[at]):
            raise self.race(index, "writes", self.writers[at], "wrote")
        readers = self.readers[at]
        if readers is not None and readers[-1] >= block.start:
            for reader in readers:
                if not block.before_now(reader):
                    raise self.race(index, "writes", reader, "read")
        self.writers[at] = block.now
        self.values[at] = value

    def atomic_add(self, index: Any, value: int) -> Any:
        """`cuda.atomic.add`: races are allowed, sums of floats are not, as their order would show."""
        if not self.whole:
            raise FaultError(f"an atomic sum of floats in {self.text(index)} comes out differently each time")
        at = self.places.get(index)
        if at is None:
            raise self.outside(index)
        if self.writers[at] < 0:
            raise FaultError(f"{self.text(index)} is added to, but was never written")
        before = self.values[at]
        self.values[at] = before + value
        return before

    def race(self, index: Any, does: str, mark: int, did: str) -> FaultError:
        """The error for two threads in one cell."""
        other = f"thread number {mark % THREADS} {did} it since the last barrier"
        return FaultError(f"{does} {self.text(index)}, but {other}: a race")
