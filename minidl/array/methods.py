"""The methods of NumPy's arrays that reduce or gather, for `DeviceArray`; their kernels are elsewhere."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["Axis", "Methods", "room"]

Axis = int | Sequence[int] | None


@functools.cache
def room(name: str) -> Any:
    """A neighbour of this file. It is made of arrays itself, so it is imported when there is one."""
    return importlib.import_module(f"minidl.array.{name}")


class Methods:
    """What a `DeviceArray` has besides its shape: arguments and results are those of NumPy's functions."""

    __slots__ = ()

    def sum(
        self,
        axis: Axis = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = None,
    ) -> Any:
        """As `np.sum`."""
        return room("reductions").reduce("add", self, axis, dtype, out, keepdims, initial)

    def prod(
        self,
        axis: Axis = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = None,
    ) -> Any:
        """As `np.prod`."""
        return room("reductions").reduce("multiply", self, axis, dtype, out, keepdims, initial)

    def max(self, axis: Axis = None, out: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
        """As `np.max`."""
        return room("reductions").reduce("maximum", self, axis, None, out, keepdims, initial)

    def min(self, axis: Axis = None, out: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
        """As `np.min`."""
        return room("reductions").reduce("minimum", self, axis, None, out, keepdims, initial)

    def all(self, axis: Axis = None, out: Any = None, keepdims: bool = False) -> Any:
        """As `np.all`."""
        return room("reductions").reduce("logical_and", self, axis, None, out, keepdims)

    def any(self, axis: Axis = None, out: Any = None, keepdims: bool = False) -> Any:
        """As `np.any`."""
        return room("reductions").reduce("logical_or", self, axis, None, out, keepdims)

    def mean(self, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Any:
        """As `np.mean`."""
        return room("reductions").mean(self, axis, dtype, keepdims)

    def var(self, axis: Axis = None, dtype: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
        """As `np.var`."""
        return room("reductions").var(self, axis, dtype, ddof, keepdims)

    def std(self, axis: Axis = None, dtype: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
        """As `np.std`."""
        variance: Any = self.var(axis, dtype, ddof, keepdims)
        return np.sqrt(variance)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Any:
        """As `np.argmax`."""
        return room("reductions").arg_extreme("maximum", self, axis, keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Any:
        """As `np.argmin`."""
        return room("reductions").arg_extreme("minimum", self, axis, keepdims)

    def take(self, indices: Any, axis: int | None = None) -> Any:
        """As `np.take`, but an index outside gives NaN (0 in integers)."""
        return room("movement").take(self, indices, axis)

    def clip(self, min: Any = None, max: Any = None) -> Any:
        """As `np.clip`."""
        x: Any = self
        return np.clip(x, min, max)
