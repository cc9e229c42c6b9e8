"""Branches: graphs that are no chain, and how gradients meet where branches part."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from minidl.array import Array
from minidl.errors import ShapeError
from minidl.nn.module import Module

__all__ = ["Concat", "Residual"]


class Residual(Module):
    """What a module adds to its input: `y = body(x) + x`, or `y = body(x) + shortcut(x)`.

    Where the input parts into two branches the gradients of both add up, and the one of the shortcut
    comes back whole, however deep the network (He et al. 2015, eq. 1 and 2).

    Shape:
        - input: what the body takes
        - output: what the body gives; without a shortcut the input's shape

    Args:
        body: the branch that learns, F.
        shortcut: brings the input to the body's shape, such as a 1×1 convolution; None adds the input itself.

    Raises:
        ShapeError: the branches give different shapes.
    """

    body: Module
    shortcut: Module | None

    def __init__(self, body: Module, shortcut: Module | None = None) -> None:
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Array) -> Array:
        y = self.body(x)
        short = x if self.shortcut is None else self.shortcut(x)
        if y.shape != short.shape:
            way = "the input" if self.shortcut is None else "the shortcut"
            raise ShapeError(
                f"{self.label()}: expected the body to give the shape of {way}, {short.shape}, got {y.shape}"
            )
        y += short  # nobody else holds a module's result
        return y

    def backward(self, dy: Any) -> Any:
        # dx = bodyᵀ dy + shortcutᵀ dy
        dx = self.body.backward(dy)
        dx += dy if self.shortcut is None else self.shortcut.backward(dy)
        return dx

    def extra_repr(self) -> str:
        return "shortcut=None" if self.shortcut is None else ""


class Concat(Module):
    """Several modules on one input, their outputs side by side: `y = [f₁(x), f₂(x), …]`.

    The Inception modules of GoogLeNet look at their input through filters of several sizes at once
    (Szegedy et al. 2014). Parameters are named by position: `0.weight`, `1.weight`, …

    Shape:
        - input: what every branch takes
        - output: the branches' outputs, which differ in dimension `dim` at most, joined along it

    Args:
        *branches: the modules.
        dim: along which dimension their outputs are joined; 1 is the channels.

    Raises:
        ValueError: no branches.
        ShapeError: the outputs differ in another dimension.
    """

    dim: int

    def __init__(self, *branches: Module, dim: int = 1) -> None:
        if not branches:
            raise ValueError("Concat: expected branches, got none")
        for place, branch in enumerate(branches):
            if not isinstance(branch, Module):
                raise TypeError(f"Concat: expected modules, got {type(branch).__name__} at {place}")
            setattr(self, str(place), branch)
        self.dim = dim

    def forward(self, x: Array) -> Array:
        parts = [branch(x) for branch in self.children()]
        self._check_fit(parts)
        y = np.concatenate(parts, axis=self.dim)
        self.remember([part.shape[self.dim] for part in parts], output=y)
        return y

    def backward(self, dy: Any) -> Any:
        # dx = f₁ᵀ dy₁ + f₂ᵀ dy₂ + …, with dy = [dy₁, dy₂, …]
        dy, sizes = self.recall(dy)
        parts = np.split(dy, list(accumulate(sizes))[:-1], axis=self.dim)
        first, *others = (branch.backward(part) for branch, part in zip(self.children(), parts, strict=True))
        for dx in others:
            first += dx
        return first

    def _check_fit(self, parts: list[Array]) -> None:
        """Refuse outputs that cannot be joined."""
        self.check_dim(parts[0], self.dim)
        along = self.dim % max(parts[0].ndim, 1)
        around = [(*part.shape[:along], *part.shape[along + 1 :]) for part in parts]
        if any(shape != around[0] for shape in around):
            shapes = " and ".join(str(part.shape) for part in parts)
            raise ShapeError(
                f"{self.label()}: expected branches whose outputs differ in dimension {self.dim} only, "
                f"got {shapes}"
            )

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
