"""Local response normalisation: neighbouring channels hold each other down, as neighbouring neurons do."""

from __future__ import annotations

import numpy as np

from minidl.array import Array
from minidl.errors import ShapeError
from minidl.kernels.geometry import whole
from minidl.nn.module import Module

__all__ = ["LocalResponseNorm"]


class LocalResponseNorm(Module):
    """Every number divided by what its neighbours in other channels amount to, as AlexNet does.

    `y_c = x_c / (k + α/size · Σ x_j²)^β`, over the channels j from c − ⌊size/2⌋ to c + ⌊(size − 1)/2⌋ that
    there are. As in PyTorch α is divided by the size, which the paper does not do.
    (Krizhevsky, Sutskever & Hinton 2012, section 3.3.)

    Shape:
        - input: (N, C, L, *); output: the same

    Args:
        size: how many neighbouring channels, itself among them.
        alpha: α, of their mean square.
        beta: β, the power.
        k: what the divisor starts from.

    Raises:
        ValueError: a size below 1.
        ShapeError: an input of fewer than three dimensions.
    """

    size: int
    alpha: float
    beta: float
    k: float

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self.size = whole(size, "LocalResponseNorm: size", 1)
        self.alpha, self.beta, self.k = float(alpha), float(beta), float(k)

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        if x.ndim < 3:
            raise ShapeError(f"{self.label()}: expected input (N, C, L, *), got {x.shape}")
        before, after = self.size // 2, (self.size - 1) // 2
        d = self.k + self.alpha / self.size * self._sum_around(x * x, before, after)
        factor = d**-self.beta
        y = x * factor
        self.remember(x, d, factor, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # d = k + α/size Σ x_j²    y = x d^−β, so ∂y_c/∂x_j = δ_cj d_c^−β − 2 αβ/size x_j x_c d_c^(−β−1)
        # dx_j = dy_j d_j^−β − 2 αβ/size x_j Σ dy_c x_c d_c^(−β−1), over those c that have j around them
        dy, x, d, factor = self.recall(dy)
        dx = dy * factor
        before, after = (self.size - 1) // 2, self.size // 2
        through_d = x * self._sum_around(dx * x / d, before, after)
        return dx - 2 * self.alpha * self.beta / self.size * through_d

    def _sum_around(self, x: Array, before: int, after: int) -> Array:
        """Each channel's sum with so many channels before it and after it, where there are any."""
        channels = x.shape[1]
        padded = np.pad(x, ((0, 0), (before, after), *[(0, 0)] * (x.ndim - 2)))
        total = padded[:, :channels].copy()
        for i in range(1, self.size):
            total += padded[:, i : i + channels]
        return total

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
