"""Sizes of convolution and pooling windows: the arithmetic that both families share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

__all__ = ["Pair", "Size2d", "output_size", "pair"]

Pair: TypeAlias = tuple[int, int]
"""(along the height, along the width)"""

Size2d: TypeAlias = int | Sequence[int]
"""What a user may write for a pair: one number for both, or two."""


def pair(value: Size2d, name: str, least: int = 0) -> Pair:
    """`value` for height and width: `3` becomes `(3, 3)`.

    Raises:
        ValueError: it is neither one integer nor two, or one is below `least`.
    """
    values = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(values) != 2 or not all(isinstance(v, int | np.integer) and v >= least for v in values):
        raise ValueError(f"{name}: expected an integer of at least {least}, or a pair of them, got {value!r}")
    return int(values[0]), int(values[1])


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
