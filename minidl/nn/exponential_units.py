"""Rectifiers whose left side is an exponential: negative numbers keep a slope, and come to an end."""

from __future__ import annotations

from minidl import kernels
from minidl.array import Array
from minidl.nn.module import Module

__all__ = ["CELU", "ELU", "SELU", "Softplus"]


class ELU(Module):
    """The exponential linear unit: `y = x` where x > 0, else `y = α (eˣ − 1)` (Clevert et al. 2016).

    At 0 the slope is α, as in PyTorch; with α = 1 there is no kink.

    Shape:
        - input: any; output: the same

    Args:
        alpha: α; far to the left y is −α.
        inplace: taken for PyTorch's signature; minidl never changes its input, so it has no effect.
    """

    alpha: float
    inplace: bool

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = float(alpha)
        self.inplace = inplace

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y, slope = kernels.elu(x, self.alpha, 1.0, 1.0)
        self.remember(slope, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy where x > 0, else α eˣ dy
        dy, slope = self.recall(dy)
        return kernels.slope_input_grad(dy, slope)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, inplace={self.inplace}"


class SELU(Module):
    """The ELU that normalises itself: `y = s x` where x > 0, else `y = s α (eˣ − 1)`.

    With these two constants, numbers of mean 0 and variance 1 keep them through layers whose weights have
    mean 0 and variance 1/fan_in (Klambauer et al. 2017). At 0 the slope is s α, as in PyTorch.

    Shape:
        - input: any; output: the same

    Args:
        inplace: taken for PyTorch's signature; minidl never changes its input, so it has no effect.
    """

    ALPHA = 1.6732632423543772
    SCALE = 1.0507009873554805
    inplace: bool

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y, slope = kernels.elu(x, self.ALPHA, self.SCALE, 1.0)
        self.remember(slope, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = s dy where x > 0, else s α eˣ dy
        dy, slope = self.recall(dy)
        return kernels.slope_input_grad(dy, slope)

    def extra_repr(self) -> str:
        return f"inplace={self.inplace}"


class CELU(Module):
    """The ELU whose slope is continuous for every α: `y = max(x, 0) + min(α (e^(x/α) − 1), 0)` (Barron 2017).

    Shape:
        - input: any; output: the same

    Args:
        alpha: α > 0; far to the left y is −α.
        inplace: taken for PyTorch's signature; minidl never changes its input, so it has no effect.

    Raises:
        ValueError: α is not above 0.
    """

    alpha: float
    inplace: bool

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        if not alpha > 0:
            raise ValueError(f"CELU: expected alpha above 0, got {alpha}")
        self.alpha = float(alpha)
        self.inplace = inplace

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y, slope = kernels.elu(x, self.alpha, 1.0, 1 / self.alpha)
        self.remember(slope, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy where x > 0, else e^(x/α) dy
        dy, slope = self.recall(dy)
        return kernels.slope_input_grad(dy, slope)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, inplace={self.inplace}"


class Softplus(Module):
    """A ReLU without a corner: `y = log(1 + e^(βx)) / β` (Dugas et al. 2001), and `y = x` where βx is large.

    Computed as `max(βx, 0) + log(1 + e^(−|βx|))`, which never overflows.

    Shape:
        - input: any; output: the same

    Args:
        beta: β; the larger, the nearer to a ReLU.
        threshold: above this βx, y is x itself.

    Raises:
        ValueError: β is 0.
    """

    beta: float
    threshold: float

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        if beta == 0:
            raise ValueError(f"Softplus: expected beta other than 0, got {beta}")
        self.beta = float(beta)
        self.threshold = float(threshold)

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y, slope = kernels.softplus(x, self.beta, self.threshold)
        self.remember(slope, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy σ(βx), and dy where y is x
        dy, slope = self.recall(dy)
        return kernels.slope_input_grad(dy, slope)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"
