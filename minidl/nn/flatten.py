"""Flatten and Unflatten: some dimensions become one, one becomes some; the numbers stay in their order."""

from __future__ import annotations

import math
from collections.abc import Sequence

from minidl.array import Array
from minidl.errors import ShapeError
from minidl.kernels.geometry import whole
from minidl.nn.module import Module

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """Join the dimensions from `start_dim` to `end_dim` into one: (N, C, H, W) becomes (N, C·H·W).

    Shape:
        - input: any shape that has both dimensions
        - output: the same numbers, one dimension for the joined ones

    Args:
        start_dim: the first dimension to join.
        end_dim: the last one.

    Raises:
        ShapeError: the input lacks one of them, or `start_dim` comes after `end_dim`.
    """

    start_dim: int
    end_dim: int

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        self.check_dim(x, self.start_dim)
        self.check_dim(x, self.end_dim)
        rank = max(x.ndim, 1)
        start, end = self.start_dim % rank, self.end_dim % rank
        if start > end:
            raise ShapeError(
                f"{self.label()}: expected start_dim {self.start_dim} before end_dim {self.end_dim}, "
                f"got {x.shape}"
            )
        joined = math.prod(x.shape[start : end + 1])
        y = x.copy().reshape(*x.shape[:start], joined, *x.shape[end + 1 :])  # (N, C·H·W) by default
        self.remember(x.shape, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # The numbers only changed their places, so the gradients change back.
        dy, input_shape = self.recall(dy)
        return dy.copy().reshape(input_shape)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Part one dimension into several: with (2, −1) of size 12 at `dim`, it becomes two of 2 and 6.

    Shape:
        - input: any shape that has the dimension
        - output: the same numbers, several dimensions in place of one

    Args:
        dim: the dimension to part.
        unflattened_size: the sizes that it becomes; one of them may be −1, which is then worked out.

    Raises:
        ValueError: no sizes, one below −1, or more than one −1.
        ShapeError: the input lacks the dimension, or its size is not the product of the new ones.
    """

    dim: int
    unflattened_size: tuple[int, ...]

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        who = "Unflatten: unflattened_size"
        if not isinstance(unflattened_size, tuple | list) or not unflattened_size:
            raise ValueError(f"{who}: expected a tuple of sizes, got {unflattened_size!r}")
        self.dim = dim
        self.unflattened_size = tuple(whole(size, who, -1) for size in unflattened_size)
        if self.unflattened_size.count(-1) > 1:
            raise ValueError(f"{who}: expected at most one -1, got {self.unflattened_size}")

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        if x.ndim == 0:
            raise ShapeError(f"{self.label()}: expected an input that has dimension {self.dim}, got ()")
        self.check_dim(x, self.dim)
        dim = self.dim % x.ndim
        known = math.prod(size for size in self.unflattened_size if size >= 0)
        size, has_unknown = x.shape[dim], -1 in self.unflattened_size
        if (known == 0 or size % known) if has_unknown else size != known:
            raise ShapeError(
                f"{self.label()}: expected in dimension {self.dim} a size that {self.unflattened_size} "
                f"makes up, got {x.shape}"
            )
        sizes = tuple(size // known if part == -1 else part for part in self.unflattened_size)
        y = x.copy().reshape(*x.shape[:dim], *sizes, *x.shape[dim + 1 :])  # (N, C, H, W) of (N, C·H·W)
        self.remember(x.shape, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # The numbers only changed their places, so the gradients change back.
        dy, input_shape = self.recall(dy)
        return dy.copy().reshape(input_shape)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
