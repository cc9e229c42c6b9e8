"""Large arrays from memory that was used before: a training step needs the same ones every time.

The system hands out large blocks page by page, at the first touch of each, and takes them back when they
are freed. For a network whose layers give megabytes that is up to a third of a step. So large blocks are
kept. A block is idle when nobody refers to it but this module: every array made of it, and every view of
such an array, keeps a reference to the block itself.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["empty", "kept_bytes", "rounded", "zeros"]

LARGE = 128 * 1024  # bytes from which an array is worth keeping; below, the system is quick
ALIGNED = 64  # arrays begin on a cache line
STALE = 512  # large arrays that may be made before an idle block is given back

Block: TypeAlias = tuple[NDArray[np.uint8], int, int]
"""Memory, where its first cache line begins, and the number of its last use."""

_blocks: dict[int, deque[Block]] = {}  # by size
_count = 0  # large arrays made so far


def _references_when_idle() -> int:
    """What `sys.getrefcount` says of a block that only one local variable holds (it varies with Python)."""
    block, _, _ = deque([(np.empty(1, np.uint8), 0, 0)]).popleft()
    return sys.getrefcount(block)


_has_counts = hasattr(sys, "getrefcount") and getattr(sys, "_is_gil_enabled", lambda: True)()
_idle = _references_when_idle() if _has_counts else 0


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """As `np.empty`: an array of its own, whose numbers are anything.

    Args:
        shape: of the array.
        dtype: likewise.
    """
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    if size < LARGE or not _has_counts:
        return np.empty(shape, kind)
    block, start = _take(rounded(size) + ALIGNED)
    return np.ndarray(shape, kind, block, start)


def zeros(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """As `np.zeros`."""
    made = empty(shape, dtype)
    made.fill(0)
    return made


def kept_bytes() -> int:
    """How many bytes are kept, idle or in use."""
    return sum(size * len(blocks) for size, blocks in _blocks.items())


def rounded(nbytes: int) -> int:
    """A size that is not less, of which there are few: eight steps from each power of two to the next."""
    step = 1 << max(0, (nbytes - 1).bit_length() - 4)
    return -(-nbytes // step) * step


def _take(size: int) -> tuple[NDArray[np.uint8], int]:
    """An idle block, or a new one, and where its first cache line begins.

    A block leaves the queue while it is looked at, so no two threads take the same one.
    """
    global _count
    _count += 1
    if _count % STALE == 0:
        _give_back()
    blocks = _blocks.setdefault(size, deque())
    try:
        for _ in range(len(blocks)):
            block, start, _last = blocks.popleft()
            idle = sys.getrefcount(block) == _idle
            blocks.append((block, start, _count))
            if idle:
                return block, start
    except IndexError:  # another thread is looking at the others
        pass
    block = np.empty(size, np.uint8)
    start = -block.ctypes.data % ALIGNED
    blocks.append((block, start, _count))
    return block, start


def _give_back() -> None:
    """Let go of blocks that have been idle for long."""
    for blocks in _blocks.values():
        try:
            for _ in range(len(blocks)):
                block, start, last = blocks.popleft()
                if sys.getrefcount(block) != _idle:
                    blocks.append((block, start, _count))
                elif last > _count - STALE:
                    blocks.append((block, start, last))
        except IndexError:
            continue
