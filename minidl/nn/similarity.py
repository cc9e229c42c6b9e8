"""The angle between vectors, and the loss that makes it small or large: two inputs, two gradients."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from minidl import kernels
from minidl.array import Array
from minidl.errors import DTypeError, ShapeError
from minidl.nn.loss import Loss
from minidl.nn.module import Module

__all__ = ["CosineEmbeddingLoss", "CosineSimilarity"]


class CosineSimilarity(Module):
    """The cosine of the angle between vectors: `y = a · b / (max(‖a‖, ε) max(‖b‖, ε))`.

    A length below ε counts as ε, and as a constant on the way back (PyTorch takes its slope there).

    Shape:
        - inputs a, b: any two that broadcast; output: what they broadcast to, without `dim`

    Args:
        dim: the dimension along which the vectors lie.
        eps: ε, so that nothing is divided by 0.

    Raises:
        ShapeError: the inputs do not broadcast, or what they broadcast to has no dimension `dim`.
        DTypeError: the inputs have different dtypes.
    """

    dim: int
    eps: float

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        self.dim = dim
        self.eps = float(eps)

    def forward(self, a: Array, b: Array) -> Array:
        shapes = _check_two(self, a, b)
        try:
            a, b = np.broadcast_arrays(a, b)
        except ValueError as error:
            raise ShapeError(f"{self.label()}: expected inputs that broadcast, got {shapes}") from error
        self.check_dim(a, self.dim)
        a, b = np.moveaxis(a, self.dim, -1), np.moveaxis(b, self.dim, -1)
        products, *squares = kernels.pair_products(a, b)
        length_a, length_b = map(np.sqrt, squares)
        y = products / (np.maximum(length_a, self.eps) * np.maximum(length_b, self.eps))
        self.remember(a, b, products, length_a, length_b, self.dim, self.eps, shapes, output=y)
        return y

    def backward(self, dy: Array) -> tuple[Array, Array]:
        # da = dy b/(‖a‖ ‖b‖) − dy y a/‖a‖², and likewise db; without y where a length is constant
        dy, a, b, products, length_a, length_b, dim, eps, shapes = self.recall(dy)
        most_a, most_b = np.maximum(length_a, eps), np.maximum(length_b, eps)
        direct = dy / (most_a * most_b)
        turn = -direct * products  # = −dy y
        own_a = np.where(length_a > eps, turn, 0) / (most_a * most_a)
        own_b = np.where(length_b > eps, turn, 0) / (most_b * most_b)
        grads = kernels.pair_input_grads(a, b, direct, own_a, own_b)
        da, db = (np.moveaxis(grad, -1, dim) for grad in grads)
        return _sum_to(da, shapes[0]), _sum_to(db, shapes[1])

    def extra_repr(self) -> str:
        return f"dim={self.dim}, eps={self.eps}"


class CosineEmbeddingLoss(Loss):
    """Like pairs should point the same way: `loss = mean 1 − cos` where t = 1, else `max(0, cos − m)`.

    `cos = a · b / √((‖a‖² + ε) (‖b‖² + ε))` with ε = 10⁻¹², as PyTorch has it. At cos = m the slope is 1.

    Shape:
        - inputs a, b: (N, D); target t: (N,), of 1 and −1; or (D,) and ()
        - output: (), or the target's shape with `reduction="none"`

    Args:
        margin: m, from −1 to 1; 0 to 0.5 is usual.
        reduction: `"mean"`, `"sum"` or `"none"`.

    `backward` returns two gradients, of a and of b.

    Raises:
        ShapeError: shapes that do not belong together, or nothing to take the mean of.
        DTypeError: the inputs have different dtypes.
        ValueError: a target other than 1 and −1.
    """

    margin: float
    _first_input_only: ClassVar = False
    EPS = 1e-12

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        self._set_reduction(reduction)
        self.margin = float(margin)

    def forward(self, a: Array, b: Array, target: Array) -> Array:
        shapes = _check_two(self, a, b)
        self.check_array(target, "target", any_number=True)
        if a.shape != b.shape or a.ndim not in (1, 2) or target.shape != a.shape[:-1]:
            raise ShapeError(
                f"{self.label()}: expected inputs (N, D), (N, D) and target (N,), or (D,), (D,) and (), "
                f"got {shapes[0]}, {shapes[1]} and {target.shape}"
            )
        self.check_not_empty(a)
        self.check_signs(target)
        like = target == 1
        mixed, square_a, square_b = kernels.pair_products(a, b)  # (N,)
        square_a, square_b = square_a + self.EPS, square_b + self.EPS
        product = np.sqrt(square_a) * np.sqrt(square_b)
        cos = mixed / product
        loss = self._reduce(np.where(like, 1 - cos, np.maximum(cos - self.margin, 0)), target.size)
        slope = np.where(like, -1, np.where(cos >= self.margin, 1, 0)).astype(a.dtype)
        self.remember(a, b, cos, slope, square_a, square_b, product, output=loss)
        return loss

    def backward(self, dloss: Array | float | None = None) -> tuple[Array, Array]:
        # dcos = ±1/n or 0    da = dcos (b / √(‖a‖² ‖b‖²) − cos a / ‖a‖²), and likewise db
        dloss, a, b, cos, slope, square_a, square_b, product = self.recall(dloss)
        dcos = slope * self._share(dloss, slope.size)
        own = -dcos * cos
        return kernels.pair_input_grads(a, b, dcos / product, own / square_a, own / square_b)

    def extra_repr(self) -> str:
        return f"margin={self.margin}, reduction={self.reduction!r}"


def _check_two(module: Module, a: Any, b: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of two inputs, which must be arrays of one dtype."""
    module.check_array(a, "first input")
    module.check_array(b, "second input")
    if a.dtype != b.dtype:
        raise DTypeError(f"{module.label()}: expected inputs of one dtype, got {a.dtype} and {b.dtype}")
    return a.shape, b.shape


def _sum_to(dx: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of what was broadcast from `shape`: each number collects from wherever it went."""
    extra = dx.ndim - len(shape)
    stretched = [i for i, n in enumerate(dx.shape) if i < extra or (shape[i - extra] == 1 and n != 1)]
    return dx.sum(axis=tuple(stretched), keepdims=True).reshape(shape) if stretched else dx
