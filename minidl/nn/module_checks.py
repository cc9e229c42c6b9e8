"""What a module refuses: each complaint names who complains, what was expected and what was given."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import numpy as np

from minidl.array import Array
from minidl.errors import DTypeError, ShapeError

__all__ = ["FLOATS", "Checks"]

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Checks:
    """The part of a Module that refuses what does not fit, and names the module in its messages."""

    _sizes: ClassVar[tuple[str, ...]] = ()  # the constructor arguments that name this layer in messages
    _alone: bool = False  # what is worked on is one sample without a batch dimension: `check_batch`

    def label(self) -> str:
        """The class and its sizes, as messages name it: `Conv2d(3, 16)`."""
        return f"{type(self).__name__}({', '.join(str(getattr(self, name)) for name in self._sizes)})"

    def check_array(self, x: Any, what: str = "input", any_number: bool = False) -> None:
        """Refuse what is no array of float32 or float64 (with `any_number`: of real numbers).

        Raises:
            DTypeError: it names this module, the dtypes that it takes, and the one it was given.
        """
        if type(x) is np.ndarray and (x.dtype in FLOATS or (any_number and x.dtype.kind in "fiub")):
            return  # the usual case, made short
        masked = isinstance(x, np.ma.MaskedArray)  # its products and sums leave out what is masked
        if masked or not isinstance(getattr(x, "dtype", None), np.dtype):
            raise DTypeError(f"{self.label()}: expected an array as {what}, got {type(x).__name__}")
        if x.dtype not in FLOATS and not (any_number and x.dtype.kind in "fiub"):
            raise DTypeError(f"{self.label()}: expected {what} of dtype float32 or float64, got {x.dtype}")

    def check_input(self, x: Any, *expected: int | str, what: str = "input") -> None:
        """Refuse an input whose shape does not match, such as `("N", 3, "H", "W")`.

        A number must be met, a letter stands for any size, and a leading `"*"` for any dimensions.

        Raises:
            ShapeError: it names this module, the shape that it takes, and the one it was given.
            DTypeError: the input is no array of float32 or float64.
        """
        self.check_array(x, what)
        if not _fits(x.shape, expected):
            raise ShapeError(f"{self.label()}: expected {what} {_named(expected)}, got {x.shape}")

    def check_batch(self, x: Any, *expected: int | str) -> Array:
        """As `check_input`, but one sample alone, without the leading `"N"`, is taken as a batch of one.

        `recall` then gives `dy` as a batch of one too, and results go back through `as_given`.

        Raises:
            ShapeError: it names this module, the shapes that it takes, and the one it was given.
            DTypeError: the input is no array of float32 or float64.
        """
        self.check_array(x)
        alone = x.ndim == len(expected) - 1
        if not _fits(x.shape, expected[alone:]):
            both = f"{_named(expected)} or {_named(expected[1:])}"
            raise ShapeError(f"{self.label()}: expected input {both}, got {x.shape}")
        self._alone = alone
        return x[None] if alone else x

    def as_given(self, batch: Array) -> Array:
        """A result without the batch dimension that `check_batch` added, if it did."""
        return batch[0] if self._alone else batch

    def check_dim(self, x: Array, dim: int) -> None:
        """Refuse a dimension that the input does not have.

        Raises:
            ShapeError: `dim` is not in −rank … rank−1.
        """
        if not -x.ndim <= dim < x.ndim and not (x.ndim == 0 and dim in (0, -1)):
            raise ShapeError(f"{self.label()}: expected an input that has dimension {dim}, got {x.shape}")


@functools.lru_cache(maxsize=1024)  # the same few shapes come at every step
def _fits(shape: tuple[int, ...], expected: tuple[int | str, ...]) -> bool:
    """Whether a shape is what `check_input` expects."""
    any_rank = expected[0] == "*"
    sizes = expected[1:] if any_rank else expected
    given = shape[-len(sizes) :] if any_rank else shape
    return len(given) == len(sizes) and all(
        isinstance(size, str) or size == has for size, has in zip(sizes, given, strict=True)
    )


def _named(expected: tuple[int | str, ...]) -> str:
    """A shape as messages have it."""
    return f"({', '.join(map(str, expected))}{',' if len(expected) == 1 else ''})"
