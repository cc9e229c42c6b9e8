"""Windows of an image laid out so that every filter tap reads one unbroken row: half an im2col.

A tap (u, v) of a filter reads, for output (i, j), the source at row i·s + a(u) and column j·s' + b(v). If
the source is copied once per column shift b(v), with the columns of the output side by side and rows that
are s apart as neighbours, then the tap's numbers for all outputs l = i·width + j stand in one run:

    copy[offset(channel, u, v) + l]

The whole im2col would hold every number kh·kw times; this holds it kw times, a band of rows at a time,
small enough for the L2 cache. Stride, dilation and padding are all in the copying.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minidl.array import Array
from minidl.kernels.numba_cpu.jit import part
from minidl.kernels.numba_cpu.moves import copy_rows
from minidl.kernels.numba_cpu.tile import VECTOR_BYTES, lanes_of, offset

__all__ = ["Windows", "laid_out", "windows"]

BAND_BYTES = 384 * 1024  # of one band's copies: they stay in the L2 cache while all filters pass over them
LINE_BYTES = 64  # of a cache
TASKS = 8  # how many bands a batch should give at least


class Windows(NamedTuple):
    """How a source is laid out for one band of output rows.

    Attributes:
        band: rows of the output that one band computes.
        bands: how many bands there are.
        size: numbers that one band's copies hold.
        offsets: where (channel, u, v) begins in them, int64.
        shape: what `laid_out` needs: (channels, height, width of the source, stride of rows and columns,
            output width, rows kept per copy); 0 rows are kept where the image is read in place.
        columns: the shift b of every copy, int64.
        phases: for every remainder of a(u) by the stride, the smallest a(u), int64.
    """

    band: int
    bands: int
    size: int
    offsets: Array
    shape: tuple[int, ...]
    columns: Array
    phases: Array


@functools.lru_cache(maxsize=512)
def windows(
    batch: int,
    source: tuple[int, int, int],
    output: tuple[int, int],
    stride: tuple[int, int],
    rows: Sequence[int],
    columns: Sequence[int],
    itemsize: int,
    beside: int = 0,
) -> Windows:
    """The layout for a batch of images.

    Args:
        batch: images, or images times groups.
        source: (channels, height, width).
        output: (height, width).
        stride: between two outputs, in the source.
        rows: a(u), the source row of output row 0, for every u; may be negative.
        columns: b(v), likewise.
        itemsize: bytes of a number.
        beside: other numbers that each pixel of the band brings into the cache.
    """
    channels, height, width = source
    out_height, out_width = output
    first = {a % stride[0]: a for a in sorted(rows, reverse=True)}  # the smallest of each remainder
    phases = list(first)
    steps = [(a - first[a % stride[0]]) // stride[0] for a in rows]
    spread = max(steps)
    per_row = (channels * len(columns) * len(phases) + beside) * out_width * itemsize
    band = max(1, min(out_height, BAND_BYTES // max(1, per_row) - spread))
    if batch * -(-out_height // band) < TASKS:
        band = max(1, -(-out_height // -(-TASKS // max(1, batch))))
    bands = -(-out_height // band)
    band = -(-out_height // bands)  # all of about one size
    tile = 2 * VECTOR_BYTES // itemsize
    rows_of_tiles = tile // math.gcd(tile, out_width)
    if band >= rows_of_tiles:  # then no tile is cut off at a band's end
        band = band // rows_of_tiles * rows_of_tiles
        bands = -(-out_height // band)
    kept = band + spread
    if rows == columns == (0,) and stride == (1, 1) and (out_height, out_width) == (height, width):
        kept = 0  # 1×1: the image is its own matrix of windows
        copy = height * width
    else:
        line = LINE_BYTES // itemsize  # so that what a tile loads lies in as few of them as it can
        copy = -(-len(phases) * kept * out_width // line) * line
    offsets = [
        (channel * len(columns) + v) * copy + (phases.index(a % stride[0]) * kept + step) * out_width
        for channel in range(channels)
        for a, step in zip(rows, steps, strict=True)
        for v in range(len(columns))
    ]
    return Windows(
        band,
        bands,
        channels * len(columns) * copy if kept else 0,
        np.array(offsets, np.int64),
        (channels, height, width, stride[0], stride[1], out_width, kept),
        np.array(columns, np.int64),
        np.array(list(first.values()), np.int64),
    )


@part
def laid_out(source, room, shape, columns, phases, first_row):
    """Where the windows of the band from `first_row` on stand: in `room`, copied there from the image at
    `source`; or in the image itself, where nothing has to be moved.
    """
    channels, height, width, row_stride, column_stride, out_width, kept = shape
    if kept == 0:
        return offset(source, first_row * out_width)
    line = LINE_BYTES // VECTOR_BYTES * lanes_of(room)
    copy = -(-len(phases) * kept * out_width // line) * line
    for channel in range(channels):
        image = offset(source, channel * height * width)
        for v in range(len(columns)):
            for p in range(len(phases)):
                target = offset(room, (channel * len(columns) + v) * copy + p * kept * out_width)
                begin = -(phases[p] // row_stride) - first_row
                begin = min(kept, max(0, begin))  # the first kept row that is inside
                end = -((phases[p] - height) // row_stride) - first_row
                end = max(begin, min(kept, end))
                copy_rows(target, 0, 1, image, 0, 0, 0, 1, begin * out_width)
                here = offset(target, begin * out_width)
                first = offset(image, ((first_row + begin) * row_stride + phases[p]) * width)
                copy_rows(
                    here, out_width, end - begin, first, row_stride * width, columns[v], width, column_stride,
                    out_width,
                )  # fmt: skip
                copy_rows(offset(target, end * out_width), 0, 1, image, 0, 0, 0, 1, (kept - end) * out_width)
    return room
