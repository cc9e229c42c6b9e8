"""Padding: a border around images, of zeros or of the images' own pixels, so that windows reach the edge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np

from minidl.array import Array
from minidl.errors import ShapeError
from minidl.nn.module import Module

__all__ = [
    "MODES",
    "Border",
    "CircularPad2d",
    "ReflectionPad2d",
    "ReplicationPad2d",
    "ZeroPad2d",
    "check_border",
    "pad",
    "padded_size",
    "unpad",
]

Border: TypeAlias = tuple[int, int, int, int]
"""How many pixels are added: (left, right, top, bottom), PyTorch's order."""

MODES = ("zeros", "reflect", "replicate", "circular")


def pad(x: Array, border: Border, mode: str) -> Array:
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


def unpad(dy: Array, input_shape: tuple[int, ...], border: Border, mode: str) -> Array:
    """The transpose of `pad`: a border's gradient goes to the pixels that it shows.

    Args:
        dy: (…, H + top + bottom, W + left + right).
        input_shape: (…, H, W).
        border: as in `pad`.
        mode: as in `pad`.

    Returns:
        (…, H, W).
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
        last, rest = shape[axis] - 1, (slice(None),) * (-axis - 1)
        for place in (*range(-before, 0), *range(last + 1, last + 1 + after)):
            if mode == "reflect":
                shown = -place if place < 0 else 2 * last - place
            elif mode == "replicate":
                shown = 0 if place < 0 else last
            else:
                shown = place % (last + 1)
            yield (..., place + before, *rest), (..., shown + before, *rest)


def padded_size(shape: Sequence[int], border: Border) -> tuple[int, int]:
    """Height and width with the border."""
    left, right, top, bottom = border
    return shape[-2] + top + bottom, shape[-1] + left + right


def check_border(who: str, shape: Sequence[int], border: Border, mode: str) -> None:
    """Refuse images that are too small for what the border is to show, or of which nothing would be left.

    Raises:
        ShapeError: it names `who`, the widths, and the input's shape.
    """
    if min(padded_size(shape, border)) < (mode != "zeros"):
        raise ShapeError(
            f"{who}: expected an input with pixels left after padding {border}, got {tuple(shape)}"
        )
    for size, widths in ((shape[-2], border[2:]), (shape[-1], border[:2])):
        most = max(widths)
        needs = {"zeros": -min(0, *widths), "reflect": most + 1, "replicate": 1, "circular": max(1, most)}
        if size < needs[mode]:
            raise ShapeError(
                f"{who}: expected an input of at least {needs[mode]} pixels where padding {mode!r} adds "
                f"{widths}, got {size} in {tuple(shape)}"
            )


class _Pad2d(Module):
    """What all borders share: they differ in what they show."""

    padding: Border
    mode: ClassVar[str]
    _fitting: tuple[int, ...] = ()  # the last shape that was checked

    def __init__(self, padding: int | Sequence[int]) -> None:
        widths = tuple(padding) if isinstance(padding, tuple | list) else (padding,) * 4
        least = None if self.mode == "zeros" else 0
        if len(widths) != 4 or not all(_is_width(width, least) for width in widths):
            kind = "integer" if least is None else "integer of at least 0"
            raise ValueError(
                f"{type(self).__name__}: expected padding, an {kind}, or four of them "
                f"(left, right, top, bottom), got {padding!r}"
            )
        left, right, top, bottom = map(int, widths)
        self.padding = (left, right, top, bottom)

    def forward(self, x: Array) -> Array:
        self.check_input(x, "*", "C", "H", "W")
        if x.shape != self._fitting:  # the same few shapes come at every step
            check_border(self.label(), x.shape, self.padding, self.mode)
            self._fitting = x.shape
        y = pad(x, self.padding, self.mode)
        self.remember(x.shape, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy inside, plus what each pixel's copies in the border got
        dy, input_shape = self.recall(dy)
        return unpad(dy, input_shape, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"padding={self.padding}"


def _is_width(value: Any, least: int | None) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and (least is None or value >= least)


class ZeroPad2d(_Pad2d):
    """Zeros around every image; a negative width cuts off.

    Shape:
        - input: (*, C, H, W)
        - output: (*, C, H + top + bottom, W + left + right)

    Args:
        padding: pixels on each side, or (left, right, top, bottom).

    Raises:
        ValueError: neither one integer nor four.
        ShapeError: an input of fewer dimensions, or of which nothing would be left.
    """

    mode = "zeros"


class ReflectionPad2d(_Pad2d):
    """Every image's mirror image around it, without repeating its edge: `a b c` becomes `c b a b c b a`.

    Shape:
        - input: (*, C, H, W)
        - output: (*, C, H + top + bottom, W + left + right)

    Args:
        padding: pixels on each side, or (left, right, top, bottom).

    Raises:
        ValueError: neither one integer nor four, or one below 0.
        ShapeError: an input of fewer dimensions, or not larger than the padding.
    """

    mode = "reflect"


class ReplicationPad2d(_Pad2d):
    """Every image's edge, repeated around it: `a b c` becomes `a a a b c c c`.

    Shape:
        - input: (*, C, H, W)
        - output: (*, C, H + top + bottom, W + left + right)

    Args:
        padding: pixels on each side, or (left, right, top, bottom).

    Raises:
        ValueError: neither one integer nor four, or one below 0.
        ShapeError: an input of fewer dimensions, or without pixels.
    """

    mode = "replicate"


class CircularPad2d(_Pad2d):
    """Every image as one tile of many: its right edge stands to its left, `a b c` becomes `b c a b c a b`.

    Shape:
        - input: (*, C, H, W)
        - output: (*, C, H + top + bottom, W + left + right)

    Args:
        padding: pixels on each side, or (left, right, top, bottom).

    Raises:
        ValueError: neither one integer nor four, or one below 0.
        ShapeError: an input of fewer dimensions, or smaller than the padding.
    """

    mode = "circular"
