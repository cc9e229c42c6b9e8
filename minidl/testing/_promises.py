"""What the public checks share: how a broken promise is told, and what counts as the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minidl.array import Array, DeviceArray
from minidl.nn import Module

__all__ = ["as_gradients", "expect", "require", "require_like", "same_bits"]


def require(promise: Any, message: str) -> None:
    """Like `assert`, but also under `python -O`."""
    if not promise:
        raise AssertionError(message)


def expect(
    error: type[Exception],
    says: str | Sequence[str],
    function: Callable[..., object],
    *arguments: Any,
    what: str = "",
) -> None:
    """The call must raise just this family of errors, and say all of these words."""
    before = f"{what}: " if what else ""
    words = (says,) if isinstance(says, str) else tuple(says)
    wanted = f"{before}expected {error.__name__} with {', '.join(repr(word) for word in words)}"
    try:
        function(*arguments)
    except error as raised:
        message = str(raised)
    except Exception as raised:
        raise AssertionError(f"{wanted}, got {raised!r}") from raised
    else:
        raise AssertionError(f"{wanted}, but nothing was raised")
    for word in words:
        require(word in message, f"{before}expected a message with {word!r}, got {message!r}")


def same_bits(a: Any, b: Any) -> bool:
    """Whether two nested things are equal, arrays in dtype and in every bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_bits(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same_bits(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return type(a) is type(b) and bool(a == b)


def as_gradients(module: Module, given: Any, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """What a backward returned, as one gradient per floating input; a loss gives only the first.

    Where all inputs are integers there is none, and backward must return None.

    Raises:
        AssertionError: there are too many or too few, or one is no array like its input.
    """
    floating = [x for x in inputs if x.dtype.kind == "f"][: 1 if module._first_input_only else None]
    n = len(floating)
    gradients = given if isinstance(given, tuple) else () if given is None and n == 0 else (given,)
    require(
        len(gradients) == n,
        f"{module.label()}: expected {n} gradient{'' if n == 1 else 's'}, one per array input, "
        f"got {'None' if given is None else len(gradients)}",
    )
    for i, (x, dx) in enumerate(zip(floating, gradients, strict=True)):
        require_like(module, "dx" if n == 1 else f"dx{i}", dx, x)
    return gradients


def require_like(module: Module, name: str, gradient: Any, values: Array) -> None:
    """A gradient is an array of the dtype and the shape of what it is the gradient of."""
    if not isinstance(gradient, np.ndarray | np.generic | DeviceArray):
        found = "None" if gradient is None else f"a {type(gradient).__name__}"
        raise AssertionError(f"{module.label()}: expected {name} to be an array, got {found}")
    for what, expected, got in (
        ("shape", values.shape, gradient.shape),
        ("dtype", values.dtype, gradient.dtype),
    ):
        require(expected == got, f"{module.label()}: expected {name} of {what} {expected}, got {got}")
