"""Dropout: train a different thinned network at every step, and use all of it afterwards."""

from __future__ import annotations

import math

import numpy as np

from minidl import kernels
from minidl.array import Array, convert, default_generator, place_of
from minidl.errors import ShapeError
from minidl.kernels.activation import dropout_scale
from minidl.nn.module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout2d"]


class _Dropout(Module):
    """A probability, and where the masks are drawn from."""

    p: float
    inplace: bool
    rng: np.random.Generator | None

    def __init__(
        self, p: float = 0.5, inplace: bool = False, *, rng: np.random.Generator | None = None
    ) -> None:
        if not isinstance(p, int | float) or not 0 <= p <= 1:
            name = type(self).__name__
            raise ValueError(f"{name}: expected a probability p between 0 and 1, got {p!r}")
        self.p = p
        self.inplace = inplace
        self.rng = rng

    def _draws(self, x: Array, shape: tuple[int, ...]) -> Array:
        """Numbers from 0 to 1, where x is; in float32 always, so that both precisions drop the same."""
        return convert((self.rng or default_generator()).random(shape, dtype=np.float32), place_of(x))

    def _mask(self, x: Array, shape: tuple[int, ...]) -> Array:
        """1 with probability 1 − p, else 0, in x's dtype and at its place."""
        return (self._draws(x, shape) >= self.p).astype(x.dtype)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
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

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        if not self.training or self.p == 0:
            y = x.copy()
            self.remember(None, self.p, output=y)
            return y
        y, kept = kernels.dropout(x, self._draws(x, x.shape), self.p)
        self.remember(kept, self.p, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy · m / (1 − p)
        dy, kept, p = self.recall(dy)
        return dy.copy() if kept is None else kernels.dropout_input_grad(dy, kept, p)


class Dropout2d(_Dropout):
    """Dropout of whole channels: `y = x · m / (1 − p)`, with one m for all pixels of a channel.

    Neighbouring pixels say nearly the same, so dropping single ones takes little away (Tompson et al. 2015).

    Shape:
        - input: (N, C, H, W) or (N, C, L); output: the same

    Args:
        p: probability of being dropped, from 0 to 1.
        inplace: taken for PyTorch's signature; minidl never changes its input, so it has no effect.
        rng: where the mask is drawn from; the one generator unless told.

    Raises:
        ValueError: p is not between 0 and 1.
        ShapeError: the input has another rank.
    """

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        if x.ndim not in (3, 4):
            raise ShapeError(f"{self.label()}: expected input (N, C, H, W) or (N, C, L), got {x.shape}")
        if not self.training or self.p == 0:
            y = x.copy()
            self.remember(None, output=y)
            return y
        factor = self._mask(x, x.shape[:2]) * dropout_scale(self.p)  # (N, C)
        y = kernels.scale_channels(x, factor)
        self.remember(factor, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy · m / (1 − p)
        dy, factor = self.recall(dy)
        return dy.copy() if factor is None else kernels.scale_channels(dy, factor)


class AlphaDropout(_Dropout):
    """Dropout for networks of `SELU`: `y = a (x m + α (1 − m)) + b`; what is dropped becomes α, not 0.

    α = −1.758… is what a SELU gives far to the left. With `a = 1 / √((1 − p) (1 + p α²))` and `b = −a p α`,
    numbers of mean 0 and variance 1 keep both (Klambauer et al. 2017). With p = 1 all is 0, as in PyTorch.

    Shape:
        - input: any; output: the same

    Args:
        p: probability of being dropped, from 0 to 1.
        inplace: taken for PyTorch's signature; minidl never changes its input, so it has no effect.
        rng: where the mask is drawn from; the one generator unless told.

    Raises:
        ValueError: p is not between 0 and 1.
    """

    ALPHA = -1.7580993408473766

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        if not self.training or self.p == 0:
            y = x.copy()
            self.remember(None, output=y)
            return y
        if self.p == 1:
            y = 0 * x
            self.remember(np.zeros_like(x), output=y)
            return y
        a = 1 / math.sqrt((1 - self.p) * (1 + self.p * self.ALPHA**2))
        m = self._mask(x, x.shape)
        y = a * (x * m + self.ALPHA * (1 - m)) - a * self.p * self.ALPHA
        self.remember(a * m, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy a m
        dy, slope = self.recall(dy)
        return dy.copy() if slope is None else dy * slope
