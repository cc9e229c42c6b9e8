"""Normalisation of every position or image by itself: the batch plays no part, in training or later."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minidl import kernels
from minidl.array import Array
from minidl.errors import ShapeError
from minidl.kernels.geometry import whole
from minidl.nn import init
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter

__all__ = ["GroupNorm", "LayerNorm", "RMSNorm"]


class _GroupNorm(Module):
    """What the layers share: the input as (N, C, P), whose channels are divided into groups."""

    eps: float | None
    weight: Parameter | None  # γ
    bias: Parameter | None = None  # β
    _centred = True  # False: the mean is taken as 0

    def _forward(self, x: Array, shape: tuple[int, int, int], groups: int) -> Array:
        eps = float(np.finfo(x.dtype).eps) if self.eps is None else self.eps
        rows = x.reshape(shape)  # (N, C, P)
        gamma, beta = (
            None if parameter is None else parameter.astype(x.dtype).reshape(-1)  # (C,)
            for parameter in (self.weight, self.bias)
        )
        y, mean, var = kernels.group_norm(rows, gamma, beta, groups, eps, self._centred)
        y = y.reshape(x.shape)
        self.remember(rows, mean, var, gamma, eps, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dγ = Σ dy x̂    dβ = Σ dy    dx̂ = γ dy
        # dx = (dx̂ − mean(dx̂) − x̂ mean(dx̂ x̂)) / σ, since x moves its group's mean and variance too
        dy, x, mean, var, gamma, eps = self.recall(dy)
        dx, dgamma, dbeta = kernels.group_norm_input_grad(
            dy.reshape(x.shape), x, mean, var, gamma, eps, self._centred
        )
        for parameter, gradient in ((self.weight, dgamma), (self.bias, dbeta)):
            if parameter is not None:
                parameter.add_grad(gradient.reshape(parameter.shape), fresh=True)
        return dx.reshape(dy.shape)


class _LastDimensions(_GroupNorm):
    """Layer norm and RMS norm: the last dimensions, of `normalized_shape`, are one group."""

    normalized_shape: tuple[int, ...]
    elementwise_affine: bool

    def _set_shape(
        self, normalized_shape: int | Sequence[int], elementwise_affine: bool, dtype: DTypeLike
    ) -> None:
        name = f"{type(self).__name__}: normalized_shape"
        sizes: Any = normalized_shape if isinstance(normalized_shape, tuple | list) else [normalized_shape]
        self.normalized_shape = tuple(whole(size, name, 1) for size in sizes)
        if not self.normalized_shape:
            raise ValueError(f"{name}: expected at least one size, got {normalized_shape!r}")
        self.elementwise_affine = elementwise_affine
        given = Parameter.empty(self.normalized_shape, dtype)
        self.weight = init.ones_(given) if elementwise_affine else None

    def label(self) -> str:
        """The class and the sizes that it normalises: `LayerNorm(4, 5)`."""
        return f"{type(self).__name__}({', '.join(map(str, self.normalized_shape))})"

    def forward(self, x: Array) -> Array:
        self.check_input(x, "*", *self.normalized_shape)
        features = math.prod(self.normalized_shape)
        return self._forward(x, (x.size // features, features, 1), 1)


class LayerNorm(_LastDimensions):
    """Layer normalisation: `y = γ (x − mean) / √(var + eps) + β`, over the last dimensions.

    Mean and variance (with n) are those of one position alone, so training and evaluation do the same, and
    a batch of one will do. (Ba, Kiros & Hinton 2016, eq. 3 and 4.)

    Shape:
        - input: (*, *normalized_shape); output: the same
        - weight γ, bias β: normalized_shape

    Args:
        normalized_shape: the sizes of the last dimensions; one number for the last one alone.
        eps: added to the variance, so that equal numbers do not divide by zero.
        elementwise_affine: False leaves out γ and β.
        bias: False leaves out β.
        dtype: of the parameters; float32 unless told.

    Raises:
        ValueError: no sizes, or one below 1.
        ShapeError: an input whose last dimensions have other sizes.
    """

    eps: float

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self._set_shape(normalized_shape, elementwise_affine, dtype)
        self.eps = eps
        has_bias = elementwise_affine and bias
        self.bias = init.zeros_(Parameter.empty(self.normalized_shape, dtype)) if has_bias else None

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(_LastDimensions):
    """Layer normalisation without the mean: `y = γ x / √(mean(x²) + eps)`, over the last dimensions.

    (Zhang & Sennrich 2019, eq. 4.)

    Shape:
        - input: (*, *normalized_shape); output: the same
        - weight γ: normalized_shape

    Args:
        normalized_shape: the sizes of the last dimensions; one number for the last one alone.
        eps: added to the mean square; None is the smallest step from 1 of the input's dtype, 2⁻²³ or 2⁻⁵².
        elementwise_affine: False leaves out γ.
        dtype: of the parameter; float32 unless told.

    Raises:
        ValueError: no sizes, or one below 1.
        ShapeError: an input whose last dimensions have other sizes.
    """

    _centred = False

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self._set_shape(normalized_shape, elementwise_affine, dtype)
        self.eps = eps

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(_GroupNorm):
    """Normalisation of some channels of an image together: `y = γ (x − mean) / √(var + eps) + β`.

    Mean and variance (with n) are those of one group of neighbouring channels of one image, over all pixels;
    γ and β belong to the channels. With one group it is layer norm of the image, with as many as there are
    channels instance norm. (Wu & He 2018, eq. 1 to 3.)

    Shape:
        - input: (N, C, *); output: the same
        - weight γ, bias β: (C,)

    Args:
        num_groups: into how many groups the channels are divided.
        num_channels: C, a multiple of `num_groups`.
        eps: added to the variance, so that equal numbers do not divide by zero.
        affine: False leaves out γ and β.
        bias: False leaves out β alone.
        dtype: of the parameters; float32 unless told.

    Raises:
        ValueError: sizes below 1, or channels that are no multiple of the groups.
        ShapeError: an input of other channels, without pixels, or with one value per group in all.
    """

    num_groups: int
    num_channels: int
    eps: float
    affine: bool
    _sizes = ("num_groups", "num_channels")

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.num_groups = whole(num_groups, "GroupNorm: num_groups", 1)
        self.num_channels = whole(num_channels, "GroupNorm: num_channels", 1)
        if num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: expected num_channels to be a multiple of num_groups, "
                f"got {num_channels} and {num_groups}"
            )
        self.eps = eps
        self.affine = affine
        self.weight = init.ones_(Parameter.empty((num_channels,), dtype)) if affine else None
        self.bias = init.zeros_(Parameter.empty((num_channels,), dtype)) if affine and bias else None

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ShapeError(f"{self.label()}: expected input (N, {self.num_channels}, *), got {x.shape}")
        pixels = math.prod(x.shape[2:])
        if pixels == 0 or x.size == self.num_groups:
            raise ShapeError(f"{self.label()}: expected more than 1 value per group, got input {x.shape}")
        return self._forward(x, (len(x), self.num_channels, pixels), self.num_groups)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )
