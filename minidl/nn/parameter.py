"""A parameter: an array that training changes, and the gradient that says how."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from minidl.array import Array, Device, convert, copied, destination
from minidl.errors import DTypeError, ShapeError
from minidl.nn.row_sparse import RowSparse

__all__ = ["Parameter"]


class Parameter:
    """A trainable array with its gradient.

    Args:
        data: the initial values; floats stay in their dtype, anything else becomes float32.
        requires_grad: False freezes the parameter: it collects no gradient and optimizers pass it by.

    Attributes:
        data: the values.
        grad: the gradient, of `data`'s shape and dtype; None until a `backward` fills it. An embedding with
            `sparse=True` makes it a `RowSparse`.
        requires_grad: whether `backward` adds to `grad`.
    """

    data: Array
    grad: Array | RowSparse | None
    requires_grad: bool

    def __init__(self, data: ArrayLike, requires_grad: bool = True) -> None:
        values = copied(data)
        self.data = values if values.dtype in (np.float32, np.float64) else values.astype(np.float32)
        self.grad = None
        self.requires_grad = requires_grad

    @classmethod
    def empty(cls, shape: tuple[int, ...], dtype: DTypeLike) -> Parameter:
        """A parameter whose values an initialiser is going to fill.

        Raises:
            DTypeError: a dtype other than float32 and float64.
        """
        return cls(np.empty(shape, _floating(dtype)))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `data`."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """The dtype of `data`: float32 or float64."""
        return self.data.dtype

    @property
    def size(self) -> int:
        """How many numbers `data` holds."""
        return self.data.size

    @property
    def ndim(self) -> int:
        """How many dimensions `data` has."""
        return self.data.ndim

    def numel(self) -> int:
        """How many numbers `data` holds, as PyTorch calls it."""
        return self.size

    def requires_grad_(self, requires_grad: bool = True) -> Parameter:
        """Freeze the parameter (with False), or let it collect gradients again."""
        self.requires_grad = requires_grad
        return self

    def astype(self, dtype: DTypeLike) -> Array:
        """The values in `dtype`: `data` itself where it already has it, else a converted copy."""
        return self.data.astype(dtype, copy=False)

    def add_grad(self, gradient: Array | RowSparse, *, fresh: bool = False) -> None:
        """Add to `grad`; a frozen parameter takes nothing.

        A parameter that is used twice, or a second backward before `zero_grad`, adds up, because the
        derivative of a sum of uses is the sum of their derivatives.

        Args:
            gradient: of the parameter's shape.
            fresh: True says that the array was just made and nobody else holds it, as what a kernel
                returns; then it becomes `grad` itself. Any other array is copied, since it may be
                somebody else's, such as the upstream gradient.

        Raises:
            ShapeError: `gradient` does not have the parameter's shape.
        """
        if not self.requires_grad:
            return
        if gradient.shape != self.data.shape:
            raise ShapeError(f"Parameter: expected a gradient of shape {self.shape}, got {gradient.shape}")
        # A sum is a new array too: whoever kept the first gradient finds it as it was.
        total: Any = gradient if self.grad is None else self.grad + gradient
        self.grad = total.astype(self.data.dtype, copy=self.grad is None and not fresh)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradient, or with False make it 0, where there is one.

        A parameter without a gradient is passed by in a step; with one of 0 it still decays and coasts.
        """
        dense = self.grad is not None and not isinstance(self.grad, RowSparse)
        self.grad = np.zeros_like(self.data) if dense and not set_to_none else None

    def to(self, target: DTypeLike | Device) -> None:
        """Convert values and gradient to float32 or float64, or move them to a device, in this same object.

        Args:
            target: a dtype, `"cpu"`, or a device: `"cuda"` or `"sim"`.

        Raises:
            DTypeError: any other dtype.
            BackendError: the device is not there.
        """
        wanted = destination(target)
        if isinstance(wanted, np.dtype):
            _floating(wanted)
        self.data = convert(self.data, wanted)
        if isinstance(self.grad, RowSparse):
            self.grad = self.grad.converted(wanted)
        elif self.grad is not None:
            self.grad = convert(self.grad, wanted)

    def __repr__(self) -> str:
        frozen = "" if self.requires_grad else ", requires_grad=False"
        return f"Parameter(shape={self.shape}, dtype={self.dtype}{frozen})"


def _floating(dtype: DTypeLike) -> np.dtype[Any]:
    wanted = np.dtype(dtype)
    if wanted not in (np.float32, np.float64):
        raise DTypeError(f"Parameter: expected float32 or float64, got {wanted}")
    return wanted
