"""A gradient that is 0 but in a few rows: what an embedding of a large table gives, if asked for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minidl import kernels
from minidl.array import Array, Device, convert, place_of
from minidl.errors import BackendError, DTypeError, ShapeError

__all__ = ["RowSparse"]

TABLE_PER_INDEX = 16  # rows of a table for each index, up to which looking at all of them is quicker


class RowSparse:
    """A table (R, D) of which only some rows are kept: row `indices[j]` holds `values[j]`, all others 0.

    An index may come more than once; its rows then count together. So adding two of them only lays them one
    after the other, and `coalesce` adds up what belongs together. A negative index is no row.

    Args:
        indices: (n,), integers below R.
        values: (n, D).
        shape: (R, D).

    Attributes:
        coalesced: whether every index comes once, in rising order.

    Raises:
        ShapeError: the three do not belong together.
        DTypeError: indices that are no integers.
    """

    __array_ufunc__ = None  # an array + this asks this: see __radd__

    indices: Array
    values: Array
    shape: tuple[int, int]
    coalesced: bool

    def __init__(
        self, indices: Array, values: Array, shape: tuple[int, ...], *, coalesced: bool = False
    ) -> None:
        if len(shape) != 2 or indices.ndim != 1 or values.shape != (len(indices), shape[1]):
            raise ShapeError(
                f"RowSparse: expected indices (n,), values (n, D) and shape (R, D), "
                f"got {indices.shape}, {values.shape} and {shape}"
            )
        if indices.dtype.kind not in "iu":
            raise DTypeError(f"RowSparse: expected indices of integers, got {indices.dtype}")
        self.indices, self.values = indices, values
        self.shape = (shape[0], shape[1])
        self.coalesced = coalesced

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of `values`."""
        return self.values.dtype

    @property
    def size(self) -> int:
        """How many numbers the whole table would have."""
        return math.prod(self.shape)

    def to_dense(self) -> Array:
        """The whole table, (R, D)."""
        return kernels.scatter_rows(self.values, self.indices, self.shape[0])

    def coalesce(self) -> RowSparse:
        """The same with every index once, in rising order, and no negative ones.

        Raises:
            BackendError: it is on a device, where nobody knows how many different indices there are.
        """
        if self.coalesced:
            return self
        if place_of(self.indices) is not None:
            raise BackendError(
                "RowSparse.coalesce: expected arrays on the host, got DeviceArrays; "
                "on a device use sparse=False, or to_dense()"
            )
        kept = self.indices >= 0
        if self.shape[0] > TABLE_PER_INDEX * len(self.indices):
            rows, places = np.unique(self.indices[kept], return_inverse=True)
        else:  # marks in a list of all rows are quicker than a sort
            used = np.zeros(self.shape[0], np.bool_)
            used[self.indices[kept]] = True
            rows, places = np.flatnonzero(used), (np.cumsum(used) - 1)[self.indices[kept]]
        values = kernels.scatter_rows(self.values[kept], places, len(rows))
        return RowSparse(rows, values, self.shape, coalesced=True)

    def with_values(self, values: Array) -> RowSparse:
        """The same rows with other values."""
        return RowSparse(self.indices, values, self.shape, coalesced=self.coalesced)

    def astype(self, dtype: DTypeLike, copy: bool = True) -> RowSparse:
        """As an array's: with values of another dtype; a copy, unless told that it need not be."""
        made = self.with_values(self.values.astype(dtype, copy=copy))
        made.indices = self.indices.copy() if copy else self.indices
        return made

    def copy(self) -> RowSparse:
        """One with arrays of its own."""
        return self.astype(self.dtype)

    def converted(self, where: np.dtype[Any] | Device | None) -> RowSparse:
        """In another dtype, or at another place, as `minidl.array.convert` says."""
        indices = self.indices if isinstance(where, np.dtype) else convert(self.indices, where)
        return RowSparse(indices, convert(self.values, where), self.shape, coalesced=self.coalesced)

    def __add__(self, other: Any) -> Any:
        if self.shape != other.shape:
            raise ShapeError(f"RowSparse: expected another of shape {self.shape} to add, got {other.shape}")
        if not isinstance(other, RowSparse):
            return other + self.to_dense()
        indices = np.concatenate([self.indices, other.indices])
        return RowSparse(indices, np.concatenate([self.values, other.values]), self.shape)

    __radd__ = __add__

    def __neg__(self) -> RowSparse:
        return self.with_values(-self.values)

    def __repr__(self) -> str:
        return f"RowSparse(rows={len(self.indices)}, shape={self.shape}, dtype={self.dtype})"
