"""Activations: what bends a network, so that layers on layers are more than one layer."""

from __future__ import annotations

from minidl import kernels
from minidl.array import Array
from minidl.nn.module import Module

__all__ = ["ReLU", "Sigmoid", "Softmax", "Tanh"]


class ReLU(Module):
    """The rectified linear unit: `y = max(x, 0)` (Nair & Hinton 2010).

    At 0, where there is no derivative, 0 is taken, as PyTorch does.

    Shape:
        - input: any; output: the same

    Args:
        inplace: taken for PyTorch's signature; minidl never changes its input, so it has no effect.
    """

    inplace: bool

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y, positive = kernels.relu(x)
        self.remember(positive, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy where x > 0, else 0
        dy, positive = self.recall(dy)
        return kernels.relu_input_grad(dy, positive)

    def extra_repr(self) -> str:
        return f"inplace={self.inplace}"


class Sigmoid(Module):
    """The logistic function: `y = 1 / (1 + e⁻ˣ)`, from any number into (0, 1).

    Computed from e^(−|x|), which never overflows: `1 / (1 + e⁻ˣ)` for x ≥ 0, `eˣ / (1 + eˣ)` for x < 0.

    Shape:
        - input: any; output: the same
    """

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y, kept = kernels.sigmoid(x)
        self.remember(kept, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy · y (1 − y)
        dy, y = self.recall(dy)
        return kernels.sigmoid_input_grad(dy, y)


class Tanh(Module):
    """The hyperbolic tangent: `y = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)`, from any number into (−1, 1).

    Shape:
        - input: any; output: the same
    """

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y, kept = kernels.tanh(x)
        self.remember(kept, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy (1 − y²)
        dy, y = self.recall(dy)
        return kernels.tanh_input_grad(dy, y)


class Softmax(Module):
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

    dim: int | None

    def __init__(self, dim: int | None = None) -> None:
        self.dim = dim

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        dim = (0 if x.ndim in (0, 1, 3) else 1) if self.dim is None else self.dim
        self.check_dim(x, dim)
        y, kept = kernels.softmax(x, dim)
        self.remember(kept, dim, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # ∂yᵢ/∂xⱼ = yᵢ (δᵢⱼ − yⱼ), so dx = y (dy − Σ dy y)
        dy, y, dim = self.recall(dy)
        return kernels.softmax_input_grad(dy, y, dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
