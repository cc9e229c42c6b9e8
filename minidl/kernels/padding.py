"""Borders around images, and where their gradients go: the readable references."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from minidl.array import Array
from minidl.kernels.registry import kernel

__all__ = ["MODES", "Border", "fits", "least", "pad2d", "pad2d_input_grad", "padded_size", "shown"]

Border: TypeAlias = tuple[int, int, int, int]
"""How many pixels are added: (left, right, top, bottom), PyTorch's order."""

MODES = ("zeros", "reflect", "replicate", "circular")


@kernel
def pad2d(x: Array, border: Border, mode: str) -> Array:
    """A copy with a border around it.

    | mode | `a b c d` with two more on both sides |
    |---|---|
    | zeros | `0 0 a b c d 0 0` |
    | reflect | `c b a b c d c b` |
    | replicate | `a a a b c d d d` |
    | circular | `c d a b c d a b` |

    Args:
        x: (…, H, W).
        border: how wide; with zeros a negative width cuts off.
        mode: one of `MODES`.

    Returns:
        (…, H + top + bottom, W + left + right).
    """
    inside, seen = _inside(x.shape, border)
    shape = (*x.shape[:-2], *padded_size(x.shape, border))
    if mode == "zeros":
        y = np.zeros_like(x, order="C", shape=shape)
        y[inside] = x[seen]
        return y
    y = np.empty_like(x, order="C", shape=shape)
    y[inside] = x
    for line, source in _lines(x.shape, border, mode):
        y[line] = y[source]
    return y


@kernel
def pad2d_input_grad(dy: Array, input_shape: tuple[int, ...], border: Border, mode: str) -> Array:
    """The transpose of `pad2d`: a border's gradient goes to the pixels that it shows.

    Args:
        dy: (…, H + top + bottom, W + left + right).
        input_shape: (…, H, W).
        border: as in `pad2d`.
        mode: as in `pad2d`.

    Returns:
        dx, (…, H, W).
    """
    inside, seen = _inside(input_shape, border)
    if mode == "zeros":
        dx = np.zeros_like(dy, order="C", shape=input_shape)
        dx[seen] = dy[inside]
        return dx
    dy = dy.copy()
    for line, source in _lines(input_shape, border, mode):
        pixels = dy[source]
        pixels += dy[line]
    return dy[inside].copy()


def _inside(shape: Sequence[int], border: Border) -> tuple[Any, Any]:
    """Where the image stands in the padded one, and which part of the image that is."""
    inside, seen = [], []
    for axis, before, after in ((-2, *border[2:]), (-1, *border[:2])):
        size = shape[axis]
        seen.append(slice(max(0, -before), size - max(0, -after)))
        inside.append(slice(max(0, before), size + before + min(0, after)))
    return (..., *inside), (..., *seen)


def _lines(shape: Sequence[int], border: Border, mode: str) -> Iterator[tuple[Any, Any]]:
    """Each line of the border and the line that it shows, both as places in the padded image.

    Rows come first. Columns are as high as the padded image, so they fill the corners.
    """
    for axis, before, after in ((-2, *border[2:]), (-1, *border[:2])):
        size, rest = shape[axis], (slice(None),) * (-axis - 1)
        sources = shown(size, before, after, mode) + before
        for line in (*range(before), *range(before + size, before + size + after)):
            yield (..., line, *rest), (..., int(sources[line]), *rest)


def shown(size: int, before: int, after: int, mode: str) -> Array:
    """Which row (or column) of the image each of the padded one shows; −1 where that is none."""
    place, last = np.arange(-before, size + after), size - 1
    if mode == "zeros":
        return np.where((place < 0) | (place > last), -1, place)
    if mode == "reflect":
        return np.where(place < 0, -place, np.where(place > last, 2 * last - place, place))
    return np.clip(place, 0, last) if mode == "replicate" else place % size


def padded_size(shape: Sequence[int], border: Border) -> tuple[int, int]:
    """Height and width with the border."""
    left, right, top, bottom = border
    return shape[-2] + top + bottom, shape[-1] + left + right


def least(widths: Sequence[int], mode: str) -> int:
    """How many pixels there must be along an axis that gets so many more before and after."""
    most = max(widths)
    needs = {"zeros": -min(0, *widths), "reflect": most + 1, "replicate": 1, "circular": max(1, most)}
    return needs[mode]


def fits(shape: Sequence[int], border: Border, mode: str) -> bool:
    """Whether images are large enough for the border, as twins want to know before they trust its sizes."""
    if len(shape) < 2 or mode not in MODES or (mode != "zeros" and min(border) < 0):
        return False
    return (
        min(padded_size(shape, border)) >= 0
        and shape[-2] >= least(border[2:], mode)
        and shape[-1] >= least(border[:2], mode)
    )
