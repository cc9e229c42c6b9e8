"""The linear layer: every output is a weighted sum of every input."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from minidl import kernels
from minidl.array import Array
from minidl.kernels.geometry import whole
from minidl.nn import init
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter

__all__ = ["Linear"]


class Linear(Module):
    """A linear (affine, fully connected, dense) layer: `y = x Wᵀ + b`.

    Shape:
        - input: (*, in_features), any number of leading dimensions
        - output: (*, out_features)
        - weight: (out_features, in_features); bias: (out_features,)

    Weight and bias start uniform in ±1/√in_features (He et al. 2015, with a = √5, as PyTorch has it).

    Args:
        in_features: size of each input vector.
        out_features: size of each output vector.
        bias: False leaves out b.
        dtype: of the parameters; float32 unless told.
        rng: where the initial values are drawn from; the one generator unless told.

    Raises:
        ValueError: a size below 0.
        ShapeError: the input's last dimension is not `in_features`.
    """

    in_features: int
    out_features: int
    weight: Parameter  # (out_features, in_features)
    bias: Parameter | None  # (out_features,)
    _sizes: ClassVar = ("in_features", "out_features")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.in_features = whole(in_features, "Linear: in_features")
        self.out_features = whole(out_features, "Linear: out_features")
        self.weight = Parameter.empty((out_features, in_features), dtype)
        self.bias = Parameter.empty((out_features,), dtype) if bias else None
        init.reset_parameters(self.weight, self.bias, rng)

    def forward(self, x: Array) -> Array:
        self.check_input(x, "*", self.in_features)
        weight = self.weight.astype(x.dtype)
        bias = None if self.bias is None else self.bias.astype(x.dtype)
        y = kernels.linear(self._rows(x), weight, bias)  # x Wᵀ + b  eq. 12.1
        y = y.reshape(*x.shape[:-1], self.out_features)  # (*, out)
        self.remember(x, output=y)
        return y

    def backward(self, dy: Array) -> Array | None:
        # dW = dyᵀ x    db = Σ dy    dx = dy W
        dy, x = self.recall(dy)
        dy, x2 = self._rows(dy), self._rows(x)  # (N, out), (N, in)
        if self.weight.requires_grad:
            self.weight.add_grad(kernels.matmul(dy.T, x2), fresh=True)  # (out, in)  eq. 12.2
        if self.bias is not None:
            self.bias.add_grad(kernels.sum_rows(dy), fresh=True)  # (out,)  eq. 12.3
        if not self._input_grad:
            return None
        return kernels.matmul(dy, self.weight.astype(dy.dtype)).reshape(x.shape)  # (*, in)  eq. 12.4

    @staticmethod
    def _rows(x: Array) -> Array:
        """All leading dimensions are one batch."""
        return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])  # (N, features)

    def _data_layer(self) -> Module:
        return self

    def _multiply_adds(self, inputs: tuple[Any, ...], output: Array) -> int:
        return output.size * self.in_features

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
        )
