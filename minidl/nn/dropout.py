"""Dropout: train a different thinned network at every step, and use all of it afterwards."""

from __future__ import annotations

import numpy as np

from minidl import kernels
from minidl.array import Array, convert, default_generator, place_of
from minidl.nn.module import Module

__all__ = ["Dropout"]


class Dropout(Module):
    """In training, drop each number with probability p and scale the others: `y = x · m / (1 − p)`.

    m is 0 with probability p, else 1. The division keeps the expected value of y at x, so evaluation,
    `y = x`, needs no correction (Srivastava et al. 2014, in its inverted form).

    Shape:
        - input: any; output: the same

    Args:
        p: probability of being dropped, from 0 to 1.
        inplace: taken for PyTorch's signature; minidl never changes its input, so it has no effect.
        rng: where the mask is drawn from; the one generator unless told.

    Raises:
        ValueError: p is not between 0 and 1.
    """

    p: float
    inplace: bool
    rng: np.random.Generator | None

    def __init__(
        self, p: float = 0.5, inplace: bool = False, *, rng: np.random.Generator | None = None
    ) -> None:
        if not isinstance(p, int | float) or not 0 <= p <= 1:
            raise ValueError(f"Dropout: expected a probability p between 0 and 1, got {p!r}")
        self.p = p
        self.inplace = inplace
        self.rng = rng

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        if not self.training or self.p == 0:
            y = x.copy()
            self.remember(None, self.p, output=y)
            return y
        # Drawn in float32 whatever x is, so that both precisions drop the same numbers.
        draws = (self.rng or default_generator()).random(x.shape, dtype=np.float32)
        y, kept = kernels.dropout(x, convert(draws, place_of(x)), self.p)
        self.remember(kept, self.p, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy · m / (1 − p)
        dy, kept, p = self.recall(dy)
        return dy.copy() if kept is None else kernels.dropout_input_grad(dy, kept, p)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"
