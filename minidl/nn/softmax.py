"""Numbers into probabilities, and their logarithms: activations that look along a dimension."""

from __future__ import annotations

import math

from minidl import kernels
from minidl.array import Array
from minidl.nn.module import Module

__all__ = ["LogSoftmax", "Softmax", "Softmin"]


class _AlongDim(Module):
    """A module with PyTorch's `dim`, and its old rule where none is given."""

    dim: int | None

    def __init__(self, dim: int | None = None) -> None:
        self.dim = dim

    def _dim_of(self, x: Array) -> int:
        self.check_array(x)
        dim = (0 if x.ndim in (0, 1, 3) else 1) if self.dim is None else self.dim
        self.check_dim(x, dim)
        return dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_AlongDim):
    """Numbers into probabilities: `yᵢ = e^xᵢ / Σⱼ e^xⱼ` along one dimension.

    The largest x is subtracted first: it changes nothing in the quotient, and no exponential overflows.

    Shape:
        - input: any; output: the same, summing to 1 along `dim`

    Args:
        dim: the dimension to sum along. None takes PyTorch's old rule: 0 for inputs of rank 0, 1 and 3,
            else 1.

    Raises:
        ShapeError: the input has no dimension `dim`.
    """

    def forward(self, x: Array) -> Array:
        dim = self._dim_of(x)
        y, kept = kernels.softmax(x, dim)
        self.remember(kept, dim, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # ∂yᵢ/∂xⱼ = yᵢ (δᵢⱼ − yⱼ), so dx = y (dy − Σ dy y)
        dy, y, dim = self.recall(dy)
        return kernels.softmax_input_grad(dy, y, dim)


class Softmin(_AlongDim):
    """The softmax of −x, in which the smallest number weighs most: `yᵢ = e^(−xᵢ) / Σⱼ e^(−xⱼ)`.

    Shape:
        - input: any; output: the same, summing to 1 along `dim`

    Args:
        dim: the dimension to sum along. None takes PyTorch's old rule: 0 for inputs of rank 0, 1 and 3,
            else 1.

    Raises:
        ShapeError: the input has no dimension `dim`.
    """

    def forward(self, x: Array) -> Array:
        dim = self._dim_of(x)
        y, kept = kernels.softmax(negative(x), dim)
        self.remember(kept, dim, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = −y (dy − Σ dy y) = y (−dy − Σ (−dy) y)
        dy, y, dim = self.recall(dy)
        return kernels.softmax_input_grad(negative(dy), y, dim)


class LogSoftmax(_AlongDim):
    """Log-probabilities: `yᵢ = xᵢ − log Σⱼ e^xⱼ` along one dimension.

    More exact than the logarithm of a softmax, whose small probabilities round to 0. As there, the largest
    x is subtracted first.

    Shape:
        - input: any; output: the same, whose exponentials sum to 1 along `dim`

    Args:
        dim: the dimension to sum along. None takes PyTorch's old rule: 0 for inputs of rank 0, 1 and 3,
            else 1.

    Raises:
        ShapeError: the input has no dimension `dim`.
    """

    def forward(self, x: Array) -> Array:
        dim = self._dim_of(x)
        y, kept = kernels.log_softmax(x, dim)
        self.remember(kept, dim, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # ∂yᵢ/∂xⱼ = δᵢⱼ − e^yⱼ, so dx = dy − e^y Σ dy
        dy, y, dim = self.recall(dy)
        return kernels.log_softmax_input_grad(dy, y, dim)


def negative(x: Array) -> Array:
    """−x, which is a line: by all threads, into memory that was used before, as NumPy's is not."""
    return kernels.three_lines(x, -math.inf, math.inf, (-1, -1, -1), (0, 0, 0))
