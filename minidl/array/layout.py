"""Where the elements of a view lie: shapes, strides and offsets, and nothing of what is in memory.

A view of a flat buffer is a shape, a stride for each dimension, and the offset of its first element, all
counted in elements: element (i, j, …) lies at `offset + i·stride₀ + j·stride₁ + …`. Transposing, slicing,
reshaping and broadcasting only change these numbers, so they cost nothing on a device.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

__all__ = [
    "Layout",
    "axes_of",
    "broadcast",
    "collapse",
    "dense",
    "index",
    "permute",
    "reshape",
    "resolved",
    "span",
]

Ints = tuple[int, ...]


class Layout(NamedTuple):
    """Where the elements of an array lie in its buffer, counted in elements."""

    shape: Ints
    strides: Ints
    offset: int


@functools.lru_cache(maxsize=4096)
def dense(shape: Ints) -> Ints:
    """The strides of a C-contiguous array: the last dimension's neighbours are neighbours in memory."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def span(layout: Layout) -> tuple[int, int]:
    """The first element that a layout reaches, and the one after its last."""
    shape, strides, offset = layout
    if 0 in shape:
        return offset, offset
    reach = [(size - 1) * stride for size, stride in zip(shape, strides, strict=True)]
    low, high = sum(min(r, 0) for r in reach), sum(max(r, 0) for r in reach)
    return offset + low, offset + high + 1


def axes_of(axis: int | Sequence[int] | None, ndim: int) -> Ints:
    """Which dimensions an `axis` argument means, in ascending order; None means all."""
    return tuple(range(ndim)) if axis is None else tuple(sorted(normalize_axis_tuple(axis, ndim)))


def permute(layout: Layout, axes: Sequence[int]) -> Layout:
    """The dimensions in another order.

    Raises:
        ValueError: `axes` is no order of all dimensions.
    """
    shape, strides, offset = layout
    order = [normalize_axis_index(axis, len(shape)) for axis in axes]
    if sorted(order) != list(range(len(shape))):
        raise ValueError(f"DeviceArray: expected axes in some order of {len(shape)} dimensions, got {axes}")
    return Layout(tuple(shape[a] for a in order), tuple(strides[a] for a in order), offset)


def broadcast(layout: Layout, shape: Ints) -> Layout:
    """Repeat along dimensions of size 1 and new leading ones: stride 0 reads the same element again.

    Raises:
        ValueError: the shape does not broadcast to `shape`.
    """
    if layout.shape == shape:
        return layout
    new = len(shape) - len(layout.shape)
    if new < 0 or any(have not in (1, want) for have, want in zip(layout.shape, shape[new:], strict=True)):
        raise ValueError(f"DeviceArray: expected a shape that broadcasts to {shape}, got {layout.shape}")
    repeated = (0 if have == 1 else stride for have, stride in zip(layout.shape, layout.strides, strict=True))
    return Layout(shape, (0,) * new + tuple(repeated), layout.offset)


def index(layout: Layout, key: Any) -> Layout:
    """What `x[key]` shows, for a key of integers, slices, `None` and `...`, as in NumPy.

    Raises:
        IndexError: an index outside its dimension, too many of them, or one of another kind.
    """
    if type(key) is int and layout.shape and -layout.shape[0] <= key < layout.shape[0]:  # made short
        start = layout.offset + layout.strides[0] * (key % layout.shape[0])
        return Layout(layout.shape[1:], layout.strides[1:], start)
    items = list(key) if isinstance(key, tuple) else [key]
    indexed = sum(item is not None and item is not Ellipsis for item in items)
    ellipses = sum(item is Ellipsis for item in items)
    if indexed > len(layout.shape) or ellipses > 1:
        raise IndexError(f"DeviceArray: expected indices of {len(layout.shape)} dimensions, got {key}")
    where = next((i for i, item in enumerate(items) if item is Ellipsis), len(items))
    items[where : where + ellipses] = [slice(None)] * (len(layout.shape) - indexed)

    dims = iter(zip(layout.shape, layout.strides, strict=True))
    shape, strides, offset = [], [], layout.offset
    for item in items:
        if item is None:
            shape.append(1)
            strides.append(0)
            continue
        size, stride = next(dims)
        if isinstance(item, slice):
            start, stop, step = item.indices(size)
            count = len(range(start, stop, step))
            shape.append(count)
            strides.append(stride * step)
            offset += stride * start if count else 0
        elif isinstance(item, int | np.integer) and not isinstance(item, bool):
            if not -size <= item < size:
                raise IndexError(f"DeviceArray: expected an index from {-size} to {size - 1}, got {item}")
            offset += stride * (int(item) % size)
        else:
            raise IndexError(
                "DeviceArray: expected integers, slices, None and ... as indices, or one array of integers, "
                f"got {type(item).__name__}"
            )
    return Layout(tuple(shape), tuple(strides), offset)


@functools.lru_cache(maxsize=4096)  # a training step reshapes the same arrays every time
def reshape(layout: Layout, wanted: Ints) -> Layout | None:
    """The same elements in the same order in another shape; None where only a copy could show that.

    Raises:
        ValueError: another number of elements.
    """
    size = math.prod(layout.shape)
    if math.prod(wanted) != size:
        raise ValueError(
            f"DeviceArray: expected a shape for {size} elements like {layout.shape}, got {wanted}"
        )
    if size == 0 or layout.strides == dense(layout.shape):
        return Layout(wanted, dense(wanted), layout.offset)
    # A run is what has one stride: wanted dimensions must be cut from single runs, the last ones first.
    sizes, (runs,) = collapse(layout.shape, [layout.strides])
    left, strides = list(zip(sizes, runs, strict=True)), []
    count, stride = left.pop()
    for dim in reversed(wanted):
        if count == 1 and dim > 1 and left:
            count, stride = left.pop()
        if count % dim:
            return None
        strides.append(stride)
        count, stride = count // dim, stride * dim
    return Layout(wanted, tuple(reversed(strides)), layout.offset)


def resolved(shape: Sequence[int], size: int) -> Ints:
    """A shape in which −1 stands for whatever is left of `size` elements.

    Raises:
        ValueError: more than one −1, or nothing that fits.
    """
    known = math.prod(n for n in shape if n != -1)
    unknown = sum(n == -1 for n in shape)
    if unknown > 1 or (unknown and (known == 0 or size % known)):
        raise ValueError(f"DeviceArray: expected a shape for {size} elements, got {tuple(shape)}")
    return tuple(size // known if n == -1 else int(n) for n in shape)


def collapse(shape: Ints, strides: Sequence[Ints]) -> tuple[Ints, list[Ints]]:
    """Join neighbouring dimensions that every one of several arrays walks through in one stride.

    Fewer dimensions are fewer divisions in a kernel: contiguous arrays of any rank become one dimension.

    Args:
        shape: of all the arrays.
        strides: of each array.

    Returns:
        The joined shape, of at least one dimension, and each array's strides.
    """
    dims: list[tuple[int, Ints]] = []
    for size, *steps in zip(shape, *strides, strict=True):
        if size == 1:
            continue
        if dims and all(outer == size * inner for outer, inner in zip(dims[-1][1], steps, strict=True)):
            dims[-1] = (dims[-1][0] * size, tuple(steps))
        else:
            dims.append((size, tuple(steps)))
    if not dims:
        dims = [(1, (0,) * len(strides))]
    return tuple(size for size, _ in dims), [tuple(d[1][i] for d in dims) for i in range(len(strides))]
