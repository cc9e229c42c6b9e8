"""The phases of a stride: in the input gradient, pixels that are a stride apart see the same taps.

For each of these phases the gradient is a convolution of dy, of stride 1, with its taps; here is which taps
those are, and how the phases' results are put together into one image again.
"""

from __future__ import annotations

import functools

from minidl.array import Array
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.moves import copy_run, interleave
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.tasks import tasks
from minidl.kernels.numba_cpu.tile import VECTOR_BYTES, at, lanes_of

__all__ = ["Phase", "join", "phases_of"]

Phase = tuple[int, tuple[int, ...], tuple[int, ...]]  # its first output, its taps, where they read for it

TASKS = 16


@functools.lru_cache(maxsize=512)
def phases_of(size: int, kernel: int, stride: int, padding: int, dilation: int) -> tuple[Phase, ...]:
    """The phases of one axis of the input: (its first row, the taps that reach it, where they read dy)."""
    phases = []
    for first in range(min(stride, size)):
        remainder = (first + padding) % stride
        taps = tuple(u for u in range(kernel) if u * dilation % stride == remainder)
        phases.append((first, taps, tuple((first + padding - u * dilation) // stride for u in taps)))
    return tuple(phases)


def join(parts: Array, dx: Array) -> None:
    """dx[…, i · A + a, j · B + b] = parts[a, b, …, i, j].

    Args:
        parts: (A, B, N, C, ⌈H/A⌉, ⌈W/B⌉), in C order, as is
        dx: (N, C, H, W).
    """
    a, b, n, c, h, w = parts.shape
    height, width = dx.shape[2:]
    lanes = VECTOR_BYTES // dx.itemsize
    with POOL as team:
        scratch = POOL.scratch(width + 2 * lanes, dx.dtype)
        _join(parts.reshape(a, b, n * c, h * w), dx.reshape(n * c, height, width), w, scratch, team)


@tasks
def _join_planes(task, thread, parts, dx, part_width, scratch):
    a, b, planes, size = parts.shape
    height, width = dx.shape[1], dx.shape[2]
    line = at(scratch, thread * scratch.shape[1])
    for plane in range(task * planes // TASKS, (task + 1) * planes // TASKS):
        for row in range(height):
            source = at(parts, ((row % a * b) * planes + plane) * size + row // a * part_width)
            target = at(dx, (plane * height + row) * width)
            if (height - 1 - row) * width >= 2 * lanes_of(line):  # what is too much, the next rows overwrite
                interleave(target, source, planes * size, b, width)
            else:
                interleave(line, source, planes * size, b, width)
                copy_run(target, line, width)


@jit
def _join(parts, dx, part_width, scratch, team):
    _join_planes(team, TASKS, (parts, dx, part_width, scratch))
