"""Flatten: from images, or any block of dimensions, to vectors."""

from __future__ import annotations

import math

from minidl.array import Array
from minidl.errors import ShapeError
from minidl.nn.module import Module

__all__ = ["Flatten"]


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
