"""Sizes of convolution and pooling windows: the arithmetic that both families share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from minidl.errors import ShapeError

__all__ = ["Pair", "Size2d", "check_fits", "output_size", "output_sizes", "pair", "single", "whole"]

Pair: TypeAlias = tuple[int, int]
"""(along the height, along the width)"""

Size2d: TypeAlias = int | Sequence[int]
"""What a user may write for a pair: one number for both, or two."""


def whole(value: int, name: str, least: int = 0) -> int:
    """`value` as a Python integer.

    Raises:
        ValueError: it is no integer, or below `least`.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}: expected an integer of at least {least}, got {value!r}")
    return int(value)


def pair(value: Size2d, name: str, least: int = 0) -> Pair:
    """`value` for height and width: `3` becomes `(3, 3)`.

    Raises:
        ValueError: it is neither one integer nor two, or one is below `least`.
    """
    values = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(values) != 2:
        raise ValueError(f"{name}: expected an integer of at least {least}, or a pair of them, got {value!r}")
    return whole(values[0], name, least), whole(values[1], name, least)


def single(value: Size2d, name: str, least: int = 0) -> tuple[int]:
    """`value` for a length: `3` becomes `(3,)`.

    Raises:
        ValueError: it is no integer, alone or in a tuple, or below `least`.
    """
    values = tuple(value) if isinstance(value, tuple | list) else (value,)
    if len(values) != 1:
        raise ValueError(f"{name}: expected an integer of at least {least}, got {value!r}")
    return (whole(values[0], name, least),)


def output_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int = 1, ceil_mode: bool = False
) -> int:
    """How many windows fit along one axis (may be ≤ 0: none does).

    A window spans `dilation·(kernel − 1) + 1` cells. With `ceil_mode` a last window may hang over the
    end, as long as it starts inside the input or its left padding.
    """
    room = size + 2 * padding - (dilation * (kernel - 1) + 1)
    if not ceil_mode:
        return room // stride + 1
    windows = -(-room // stride) + 1
    return windows - 1 if (windows - 1) * stride >= size + padding else windows


def output_sizes(
    input_shape: Sequence[int],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair = (1, 1),
    ceil_mode: bool = False,
) -> Pair:
    """`output_size` along height and width, the last two dimensions of `input_shape`."""
    height, width = (
        output_size(*axis, ceil_mode)
        for axis in zip(input_shape[-2:], kernel_size, stride, padding, dilation, strict=True)
    )
    return height, width


def check_fits(
    who: str,
    input_shape: Sequence[int],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> None:
    """Refuse images (N, C, H, W), or signals (N, C, L), that are smaller than one window.

    Raises:
        ShapeError: it names `who`, what a window needs and what there is.
    """
    names = ("height", "width") if len(kernel_size) == 2 else ("length",)
    axes = zip(names, input_shape[2:], kernel_size, stride, padding, dilation, strict=True)
    for name, size, kernel, step, pad, gap in axes:
        if output_size(size, kernel, step, pad, gap, ceil_mode) < 1:
            span = gap * (kernel - 1) + 1
            raise ShapeError(
                f"{who}: expected an input whose {name}, with padding, is at least the kernel's {span}, "
                f"got {size} + 2·{pad} in {tuple(input_shape)}"
            )
