"""What is done to all gradients together, between backward and step; and modules without a start."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from minidl.array import Array
from minidl.errors import NonFiniteError
from minidl.nn.init import no_draws
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter
from minidl.nn.row_sparse import RowSparse

__all__ = ["clip_grad_norm_", "clip_grad_value_", "get_total_norm", "skip_init"]

Made = TypeVar("Made", bound=Module)


def get_total_norm(
    tensors: Array | Iterable[Array], norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> float:
    """The norm of all arrays together, as if they were one long vector: `(Σ |g|^p)^(1/p)`.

    Args:
        tensors: arrays of any shapes, or one.
        norm_type: p; infinity takes the largest absolute value.
        error_if_nonfinite: raise where the norm is infinite or NaN.

    Raises:
        ValueError: p is not above 0.
        NonFiniteError: with `error_if_nonfinite`, the norm is infinite or NaN.
    """
    p = float(norm_type)
    if not p > 0:
        raise ValueError(f"get_total_norm: expected norm_type above 0, got {norm_type}")
    norms = [_norm(array, p) for array in _as_list(tensors) if array.size]
    # put together in float64, by their share of the largest, so that this adds no overflow
    largest = max(norms, key=lambda norm: math.inf if math.isnan(norm) else norm, default=0.0)
    total = largest
    if 0 < largest < math.inf and p < math.inf:
        total = largest * math.fsum((norm / largest) ** p for norm in norms) ** (1 / p)
    if error_if_nonfinite and not math.isfinite(total):
        raise NonFiniteError(f"get_total_norm: expected a finite norm of order {p:g}, got {total}")
    return total


def _as_list(tensors: Any) -> list[Array]:
    return [tensors] if hasattr(tensors, "dtype") else list(tensors)


def _norm(array: Array, p: float) -> float:
    size = np.abs(array)
    if p == math.inf:
        return float(size.max())
    return float((size**p).sum()) ** (1 / p)


def clip_grad_norm_(
    parameters: Parameter | Iterable[Parameter],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> float:
    """Shorten all gradients by one factor, so that their norm together is at most `max_norm`.

    ```
    g ← g min(1, max_norm / (‖g‖ + 1e-6))     ‖g‖ over all parameters: the direction stays
    ```

    Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural networks".

    Args:
        parameters: whose `grad` to shorten; those without one are passed by.
        max_norm: the longest that is let through.
        norm_type: the norm's p; infinity takes the largest absolute value.
        error_if_nonfinite: raise where the norm is infinite or NaN, and change nothing.

    Returns:
        The norm before.

    Raises:
        ValueError: `norm_type` is not above 0.
        NonFiniteError: with `error_if_nonfinite`, the norm is infinite or NaN.
        TypeError: something that is no parameter.
    """
    with_grad = _with_grad("clip_grad_norm_", parameters)
    total = get_total_norm([_numbers(g) for _, g in with_grad], norm_type, error_if_nonfinite)
    factor = float(max_norm) / (total + 1e-6)
    if not factor >= 1:  # NaN too: the gradients show it, as in PyTorch
        for parameter, g in with_grad:
            parameter.grad = g.copy()  # somebody else may hold the long one
            numbers = _numbers(parameter.grad)
            numbers *= factor
    return total


def clip_grad_value_(parameters: Parameter | Iterable[Parameter], clip_value: float) -> None:
    """Cut every element of every gradient to `[−clip_value, clip_value]`; the direction changes.

    Args:
        parameters: whose `grad` to cut; those without one are passed by.
        clip_value: the largest absolute value that is let through.

    Raises:
        TypeError: something that is no parameter.
    """
    limit = float(clip_value)
    for parameter, g in _with_grad("clip_grad_value_", parameters):
        parameter.grad = g.copy()
        numbers = _numbers(parameter.grad)
        np.minimum(np.maximum(numbers, -limit), limit, out=numbers)


def skip_init(make: Callable[..., Made], *args: Any, **kwargs: Any) -> Made:
    """Build a module without drawing its initial values: what is to be loaded over them anyway.

    `skip_init(models.vgg16)` takes a moment instead of seconds, and no memory until the parameters are
    written. What would be drawn at random is 0; zeros and ones are set as usual.

    Args:
        make: a class of modules, or a function that builds one.
        *args: its arguments.
        **kwargs: likewise.
    """
    with no_draws():
        return make(*args, **kwargs)


def _with_grad(
    owner: str, parameters: Parameter | Iterable[Parameter]
) -> list[tuple[Parameter, Array | RowSparse]]:
    """The parameters that have a gradient, with it; one of few rows has each row once."""
    given = [parameters] if isinstance(parameters, Parameter) else list(parameters)
    for parameter in given:
        if not isinstance(parameter, Parameter):
            raise TypeError(f"{owner}: expected parameters, got {type(parameter).__name__}")
    gradients = [(parameter, parameter.grad) for parameter in given if parameter.grad is not None]
    return [(p, g.coalesce() if isinstance(g, RowSparse) else g) for p, g in gradients]


def _numbers(g: Array | RowSparse) -> Array:
    """All numbers of a gradient that need not be 0."""
    return g.values if isinstance(g, RowSparse) else g
