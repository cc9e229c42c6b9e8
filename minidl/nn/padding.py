"""Padding: a border around images, of zeros or of the images' own pixels, so that windows reach the edge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from minidl import kernels
from minidl.array import Array
from minidl.errors import ShapeError
from minidl.kernels.padding import Border, least, padded_size
from minidl.nn.module import Module

__all__ = ["CircularPad2d", "ReflectionPad2d", "ReplicationPad2d", "ZeroPad2d", "check_border"]


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
        needed = least(widths, mode)
        if size < needed:
            raise ShapeError(
                f"{who}: expected an input of at least {needed} pixels where padding {mode!r} adds "
                f"{widths}, got {size} in {tuple(shape)}"
            )


class _Pad2d(Module):
    """What all borders share: they differ in what they show."""

    padding: Border
    mode: ClassVar[str]
    _fitting: tuple[int, ...] = ()  # the last shape that was checked

    def __init__(self, padding: int | Sequence[int]) -> None:
        widths = tuple(padding) if isinstance(padding, tuple | list) else (padding,) * 4
        smallest = None if self.mode == "zeros" else 0
        if len(widths) != 4 or not all(_is_width(width, smallest) for width in widths):
            kind = "integer" if smallest is None else "integer of at least 0"
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
        y = kernels.pad2d(x, self.padding, self.mode)
        self.remember(x.shape, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy inside, plus what each pixel's copies in the border got
        dy, input_shape = self.recall(dy)
        return kernels.pad2d_input_grad(dy, input_shape, self.padding, self.mode)

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
