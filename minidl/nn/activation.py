"""Activations: what bends a network, so that layers on layers are more than one layer.

These three are the first that one meets. The others stand in `rectifiers`, `exponential_units`, `gates`,
`squashers`, `shrinkers` and `softmax`.
"""

from __future__ import annotations

from minidl import kernels
from minidl.array import Array
from minidl.nn.module import Module

__all__ = ["ReLU", "Sigmoid", "Tanh"]


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
