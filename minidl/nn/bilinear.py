"""The bilinear layer: how two vectors go together, a weight for every pair of their numbers."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from minidl import kernels
from minidl.array import Array
from minidl.errors import DTypeError, ShapeError
from minidl.kernels.geometry import whole
from minidl.nn import init
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter

__all__ = ["Bilinear"]


class Bilinear(Module):
    """A bilinear form for each output: `y_o = x₁ᵀ A_o x₂ + b_o`.

    Shape:
        - inputs: (*, in1_features) and (*, in2_features), the same leading dimensions
        - output: (*, out_features)
        - weight A: (out_features, in1_features, in2_features); bias: (out_features,)

    Weight and bias start uniform in ±1/√in1_features.

    Args:
        in1_features: size of each first vector.
        in2_features: size of each second one.
        out_features: size of each output vector.
        bias: False leaves out b.
        dtype: of the parameters; float32 unless told.
        rng: where the initial values are drawn from; the one generator unless told.

    `backward` returns two gradients, of x₁ and of x₂.

    Raises:
        ValueError: a size below 0, or no first numbers.
        ShapeError: a last dimension is not what was announced, or the leading ones differ.
        DTypeError: the inputs have different dtypes.
    """

    in1_features: int
    in2_features: int
    out_features: int
    weight: Parameter  # (out, in1, in2)
    bias: Parameter | None  # (out,)
    _sizes: ClassVar = ("in1_features", "in2_features", "out_features")

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.in1_features = whole(in1_features, "Bilinear: in1_features", 1)
        self.in2_features = whole(in2_features, "Bilinear: in2_features")
        self.out_features = whole(out_features, "Bilinear: out_features")
        bound = 1 / math.sqrt(self.in1_features)
        self.weight = Parameter.empty((out_features, in1_features, in2_features), dtype)
        init.uniform_(self.weight, -bound, bound, rng)
        self.bias = Parameter.empty((out_features,), dtype) if bias else None
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound, rng)

    def forward(self, x1: Array, x2: Array) -> Array:
        self.check_input(x1, "*", self.in1_features, what="first input")
        self.check_input(x2, "*", self.in2_features, what="second input")
        if x1.shape[:-1] != x2.shape[:-1]:
            raise ShapeError(
                f"{self.label()}: expected inputs of the same leading dimensions, "
                f"got {x1.shape} and {x2.shape}"
            )
        if x1.dtype != x2.dtype:
            raise DTypeError(f"{self.label()}: expected inputs of one dtype, got {x1.dtype} and {x2.dtype}")
        leading, n = x1.shape[:-1], math.prod(x1.shape[:-1])
        a, b = x1.reshape(n, self.in1_features), x2.reshape(n, self.in2_features)  # (N, in1), (N, in2)
        left = kernels.matmul(a, self._flat_weight(x1.dtype))  # x₁ᵀ A of all outputs at once
        left = left.reshape(n, self.out_features, self.in2_features)  # (N, out, in2)
        y = (left * b[:, None]).sum(axis=2)  # (N, out)
        if self.bias is not None:
            y = y + self.bias.astype(y.dtype)
        y = y.reshape(*leading, self.out_features)  # (*, out)
        self.remember(a, b, left, leading, output=y)
        return y

    def backward(self, dy: Array) -> tuple[Array, Array]:
        # dA_oij = Σ dy_o x₁_i x₂_j    db = Σ dy    dx₁ = Σ_o dy_o A_o x₂    dx₂ = Σ_o dy_o A_oᵀ x₁
        dy, a, b, left, leading = self.recall(dy)
        n, outputs = len(a), self.out_features
        dy = dy.reshape(n, outputs)  # (N, out)
        right = (dy[:, :, None] * b[:, None]).reshape(n, outputs * self.in2_features)  # (N, out·in2)
        dweight = kernels.matmul(a.T, right)
        dweight = dweight.reshape(self.in1_features, outputs, self.in2_features)  # (in1, out, in2)
        self.weight.add_grad(dweight.transpose(1, 0, 2))  # (out, in1, in2)
        if self.bias is not None:
            self.bias.add_grad(kernels.sum_rows(dy), fresh=True)
        dx1 = kernels.matmul(right, self._flat_weight(dy.dtype).T)  # (N, in1)
        dx2 = (dy[:, :, None] * left).sum(axis=1)  # (N, in2)
        return dx1.reshape(*leading, self.in1_features), dx2.reshape(*leading, self.in2_features)

    def _flat_weight(self, dtype: np.dtype[np.floating]) -> Array:
        """One matrix in place of one for each output."""
        weight = self.weight.astype(dtype).transpose(1, 0, 2)  # (in1, out, in2)
        return weight.reshape(self.in1_features, self.out_features * self.in2_features)  # (in1, out·in2)

    def _multiply_adds(self, inputs: tuple[Any, ...], output: Array) -> int:
        return output.size * math.prod(self.weight.shape[1:])

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )
