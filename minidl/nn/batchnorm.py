"""Every channel, of the batch or of each image, is brought to mean 0 and variance 1, then to learnt ones."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from minidl import kernels
from minidl.array import Array
from minidl.errors import ShapeError
from minidl.kernels.geometry import whole
from minidl.nn import init
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter

__all__ = ["BatchNorm1d", "BatchNorm2d", "InstanceNorm2d"]


class _BatchNorm(Module):
    """The formula, whatever the input's rank: channels are dimension 1, all others are averaged over.

    `holds_statistics = True` uses the running statistics in training too, and leaves them as they are: a
    frozen layer of a network that goes on to learn.
    """

    num_features: int
    eps: float
    momentum: float | None
    affine: bool
    track_running_stats: bool
    holds_statistics: bool = False
    weight: Parameter | None  # γ (C,)
    bias: Parameter | None  # β (C,)
    running_mean: Array | None  # (C,)
    running_var: Array | None  # (C,), with n − 1
    num_batches_tracked: Array | None  # ()
    _sizes: ClassVar = ("num_features",)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.num_features = whole(num_features, f"{type(self).__name__}: num_features")
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.weight = init.ones_(Parameter.empty((num_features,), dtype)) if affine else None
        self.bias = init.zeros_(Parameter.empty((num_features,), dtype)) if affine and bias else None
        track = track_running_stats
        self.register_buffer("running_mean", np.zeros(num_features, dtype) if track else None)
        self.register_buffer("running_var", np.ones(num_features, dtype) if track else None)
        self.register_buffer("num_batches_tracked", np.zeros((), np.int64) if track else None)

    def forward(self, x: Array) -> Array:
        x = self._checked(x)
        gamma, beta = self._affine(x.dtype)
        of_batch = not self._fixed
        if of_batch:
            n = x.size // self.num_features
            if n < 1 + self.training:
                least = "more than 1 value" if self.training else "a value"
                raise ShapeError(f"{self.label()}: expected {least} per channel, got input {x.shape}")
            y, mean, var = kernels.batch_norm(x, gamma, beta, self.eps)  # var with n
            if self.training:
                self._track(mean, var * (n / (n - 1)))
        else:
            assert self.running_mean is not None
            assert self.running_var is not None
            mean, var = self.running_mean.astype(x.dtype), self.running_var.astype(x.dtype)
            y = kernels.batch_norm_fixed(x, mean, var, gamma, beta, self.eps)
        self.remember(x, mean, var, of_batch, output=y)
        return self.as_given(y)

    def backward(self, dy: Array) -> Array:
        # dγ = Σ dy x̂    dβ = Σ dy    dx̂ = γ dy
        # dx = (dx̂ − mean(dx̂) − x̂ mean(dx̂ x̂)) / σ, since x moves the batch's mean and variance too;
        # dx = dx̂ / σ, where the running statistics were used
        dy, x, mean, var, of_batch = self.recall(dy)
        gamma, _ = self._affine(dy.dtype)
        dx, dgamma, dbeta = kernels.batch_norm_input_grad(dy, x, mean, var, gamma, self.eps, of_batch)
        self._collect(dgamma, dbeta)
        return dx

    @property
    def _fixed(self) -> bool:
        """Whether the running statistics are used, and stay."""
        return self.running_mean is not None and (self.holds_statistics or not self.training)

    def _affine(self, dtype: np.dtype[Any]) -> tuple[Array | None, Array | None]:
        """γ and β in this dtype; None for what is left out."""
        gamma = None if self.weight is None else self.weight.astype(dtype)
        return gamma, None if self.bias is None else self.bias.astype(dtype)

    def _collect(self, dgamma: Array, dbeta: Array) -> None:
        """Give γ and β their gradients, if they are there."""
        if self.weight is not None:
            self.weight.add_grad(dgamma, fresh=True)
        if self.bias is not None:
            self.bias.add_grad(dbeta, fresh=True)

    def _track(self, mean: Array, var: Array) -> None:
        """Count this batch, and move the running statistics towards its own."""
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
            m = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
            self._move(m, mean, var)

    def _move(self, m: float, mean: Array, var: Array) -> None:
        """Running ← (1 − m)·running + m·batch."""
        if self.running_mean is None or self.running_var is None:
            return
        kernels.move_statistics(self.running_mean, self.running_var, mean, var, m)

    def _checked(self, x: Array) -> Array:
        """The input as a batch, if this layer takes it."""
        raise NotImplementedError(f"{type(self).__name__} does not say which inputs it takes")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}, bias={self.bias is not None}"
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of vectors: `y = γ (x − mean) / √(var + eps) + β`, per channel.

    In training, mean and variance (with n) are those of the batch, and the running statistics move
    towards them by `momentum` (the running variance with n − 1, as in PyTorch); in evaluation the running
    statistics are used. (Ioffe & Szegedy 2015, algorithm 1.)

    Shape:
        - input: (N, C) or (N, C, L); output: the same
        - weight γ, bias β, running_mean, running_var: (C,)

    Args:
        num_features: C.
        eps: added to the variance, so that a constant channel does not divide by zero.
        momentum: how far the running statistics move at each step; None averages over all steps.
        affine: False leaves out γ and β.
        track_running_stats: False keeps no running statistics and always uses the batch's.
        bias: False leaves out β alone.
        dtype: of parameters and buffers; float32 unless told.

    Raises:
        ShapeError: an input of other channels or rank, or one value per channel in training.
    """

    def _checked(self, x: Array) -> Array:
        if getattr(x, "ndim", 2) == 3:
            self.check_input(x, "N", self.num_features, "L")
        else:
            self.check_input(x, "N", self.num_features)
        return x


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images: `y = γ (x − mean) / √(var + eps) + β`, per channel.

    As `BatchNorm1d`, averaging over the images and all their pixels. (Ioffe & Szegedy 2015, section 3.2.)

    Shape:
        - input: (N, C, H, W); output: the same
        - weight γ, bias β, running_mean, running_var: (C,)

    Args:
        num_features: C.
        eps: added to the variance, so that a constant channel does not divide by zero.
        momentum: how far the running statistics move at each step; None averages over all steps.
        affine: False leaves out γ and β.
        track_running_stats: False keeps no running statistics and always uses the batch's.
        bias: False leaves out β alone.
        dtype: of parameters and buffers; float32 unless told.

    Raises:
        ShapeError: an input of other channels or rank, or one value per channel in training.
    """

    def _checked(self, x: Array) -> Array:
        self.check_input(x, "N", self.num_features, "H", "W")
        return x


class InstanceNorm2d(_BatchNorm):
    """Normalisation of each channel of each image by itself: `y = γ (x − mean) / √(var + eps) + β`.

    Mean and variance (with n) are those of one image's pixels, in evaluation too. With
    `track_running_stats` training also moves running ones towards their means over the batch (of the
    variances with n − 1), and evaluation uses those. (Ulyanov, Vedaldi & Lempitsky 2016, eq. 2.)

    Shape:
        - input: (N, C, H, W) or (C, H, W); output: the same
        - weight γ, bias β, running_mean, running_var: (C,)

    Args:
        num_features: C.
        eps: added to the variance, so that a constant image does not divide by zero.
        momentum: how far the running statistics move at each step; None leaves them where they are.
        affine: True adds γ and β.
        track_running_stats: True keeps running statistics, and uses them in evaluation.
        bias: False leaves out β alone.
        dtype: of parameters and buffers; float32 unless told.

    Raises:
        ShapeError: an input of other channels or rank, or images of one pixel where they are measured.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias=bias, dtype=dtype)

    def forward(self, x: Array) -> Array:
        if self._fixed:
            return super().forward(x)  # with the running statistics, as batch norm
        x = self._checked(x)
        n = x.shape[2] * x.shape[3]
        if n < 2:
            raise ShapeError(f"{self.label()}: expected more than 1 value per channel, got input {x.shape}")
        images = x.reshape(*x.shape[:2], n)  # (N, C, H·W)
        gamma, beta = self._affine(x.dtype)
        y, mean, var = kernels.group_norm(images, gamma, beta, self.num_features, self.eps, True)
        if self.training and len(x) and self.momentum is not None:
            self._move(self.momentum, mean.mean(axis=0), var.mean(axis=0) * (n / (n - 1)))
        y = y.reshape(x.shape)
        self.remember(images, mean, var, True, output=y)
        return self.as_given(y)

    def backward(self, dy: Array) -> Array:
        # As batch norm's, but each image by itself: dx = (dx̂ − mean(dx̂) − x̂ mean(dx̂ x̂)) / σ;
        # dx = dx̂ / σ, where the running statistics were used
        dy, x, mean, var, measured = self.recall(dy)
        gamma, _ = self._affine(dy.dtype)
        given = (dy.reshape(x.shape), x, mean, var, gamma, self.eps)
        if measured:
            dx, dgamma, dbeta = kernels.group_norm_input_grad(*given, True)
        else:
            dx, dgamma, dbeta = kernels.batch_norm_input_grad(*given, False)
        self._collect(dgamma, dbeta)
        return self.as_given(dx.reshape(dy.shape))

    def _checked(self, x: Array) -> Array:
        return self.check_batch(x, "N", self.num_features, "H", "W")
