"""A device's memory, kept for the next array: asking the device for some stops all its work.

Blocks come in few sizes. One that is given back waits for the next array of its size, so that a training
step, which needs the same arrays every time, asks the device for nothing after the first ones.

A recorded step (a CUDA graph) uses the same addresses each time that it is replayed. So the blocks that it
used while it was recorded stay its own, in a `Reserve`, until the recording is dropped.
"""

from __future__ import annotations

import functools
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from minidl.array.memory import rounded
from minidl.errors import BackendError

__all__ = ["Block", "Buffer", "MemoryPool", "Reserve"]

SMALLEST = 512  # bytes of the smallest block


@functools.lru_cache(maxsize=4096)  # a training step asks for the same sizes every time
def block_size(nbytes: int) -> int:
    """How large a block is that has room for so many bytes."""
    return max(SMALLEST, rounded(nbytes))


class Block:
    """A piece of a device's memory.

    Attributes:
        memory: what the device calls it: an address on a GPU.
        size: in bytes.
        reserve: the recording whose own it is, if any.
    """

    __slots__ = ("memory", "reserve", "size")

    memory: Any
    size: int
    reserve: Reserve | None

    def __init__(self, memory: Any, size: int) -> None:
        self.memory = memory
        self.size = size
        self.reserve = None


class Buffer:
    """Memory for one array and its views; its block goes back to the pool when nobody refers to it any more.

    Attributes:
        device: whose memory it is.
        memory: what the device calls it: an address on a GPU.
        nbytes: how many bytes were asked for.
    """

    __slots__ = ("__weakref__", "_block", "_pool", "device", "memory", "nbytes")

    device: Any
    memory: Any
    nbytes: int

    def __init__(self, pool: MemoryPool, block: Block, nbytes: int) -> None:
        self.memory = block.memory
        self.nbytes = nbytes
        self.device = pool.device
        self._pool = pool
        self._block = block

    def __del__(self) -> None:
        self._pool.give_back(self._block)


class MemoryPool:
    """Blocks of a device's memory, in use or idle.

    Args:
        allocate: asks the device for so many bytes; `MemoryError` says that it has no more.
        free: gives them back to it.

    Attributes:
        device: whose memory it is.
        in_use: bytes in blocks that arrays have now.
        peak: the most that were in use at once; whoever measures sets it back.
        kept: bytes in all blocks, idle ones included.
        allocations: how often the device was asked.
    """

    device: Any = None
    in_use: int
    peak: int
    kept: int
    allocations: int

    def __init__(self, allocate: Callable[[int], Any], free: Callable[[Any], None]) -> None:
        self._allocate = allocate
        self._free = free
        self._idle: defaultdict[int, deque[Block]] = defaultdict(deque)
        self._recording: Reserve | None = None
        self.in_use = self.peak = self.kept = self.allocations = 0

    def take(self, nbytes: int) -> Buffer:
        """A buffer of `nbytes` bytes, whose contents are anything."""
        size = block_size(nbytes)
        block = self._recorded(size) if self._recording is not None else self._any(size)
        self.in_use += size
        if self.in_use > self.peak:
            self.peak = self.in_use
        return Buffer(self, block, nbytes)

    def _any(self, size: int) -> Block:
        try:
            return self._idle[size].popleft()
        except IndexError:
            pass
        try:
            memory = self._allocate(size)
        except MemoryError:
            self.release()  # idle blocks of other sizes may be what is missing
            memory = self._allocate(size)
        self.allocations += 1
        self.kept += size
        return Block(memory, size)

    def _recorded(self, size: int) -> Block:
        """While a step is recorded: a block of the recording, or an idle one that becomes its own."""
        assert self._recording is not None
        for idle in (self._recording.idle, self._idle):
            if idle.get(size):
                block = idle[size].popleft()
                block.reserve = self._recording
                return block
        raise BackendError(
            f"a step needs {size} more bytes while it is recorded than before: run it a few times first, "
            "with the same shapes, so that all its memory is there"
        )

    def give_back(self, block: Block) -> None:
        """A buffer's end: its block waits for the next."""
        self.in_use -= block.size
        reserve = block.reserve
        if reserve is None:
            self._idle[block.size].append(block)
        elif reserve.dropped:
            self.keep(block)
        else:
            reserve.idle.setdefault(block.size, deque()).append(block)

    def keep(self, block: Block) -> None:
        """Keep an idle block for anybody."""
        block.reserve = None
        self._idle[block.size].append(block)

    @contextmanager
    def recording(self) -> Iterator[Reserve]:
        """While the block runs, memory is taken for a recording, and none is asked of the device."""
        if self._recording is not None:
            raise BackendError("a step is recorded already; one at a time")
        self._recording = reserve = Reserve(self)
        try:
            yield reserve
        finally:
            self._recording = None

    def release(self) -> None:
        """Give idle blocks back to the device."""
        for size, blocks in self._idle.items():
            while blocks:
                self._free(blocks.popleft().memory)
                self.kept -= size


class Reserve:
    """The blocks that a recorded step keeps for itself.

    Attributes:
        idle: those which no array has now.
        dropped: whether the recording has come to its end.
    """

    idle: dict[int, deque[Block]]
    dropped: bool

    def __init__(self, pool: MemoryPool) -> None:
        self.idle = {}
        self.dropped = False
        self._pool = pool

    def release(self) -> None:
        """The recording's end: its blocks are everybody's again, those of live arrays when the arrays die."""
        self.dropped = True
        for blocks in self.idle.values():
            while blocks:
                self._pool.keep(blocks.popleft())
