"""What a component is checked with: how it is built, what it is fed, and what is declared about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minidl.array import Array
from minidl.nn import Module

__all__ = ["Inputs", "Sample", "Wrong"]

Inputs = tuple[Array, ...]


class Wrong(NamedTuple):
    """An input that must be refused.

    Attributes:
        make_inputs: gives the inputs.
        error: what must be raised.
        says: what the message must hold, such as the class, the expected and the given shape.
    """

    make_inputs: Callable[[], tuple[Any, ...]]
    error: type[Exception]
    says: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """How to build a component, and what to feed it.

    Attributes:
        make: builds the component, float32 as users get it.
        inputs: (rng, n) → inputs for a batch of n, floating ones in float64. For functions with kinks
            the numbers must keep away from them.
        name: what a test calls it; the class and its arguments unless told.
        torch: builds the same component in PyTorch; None where PyTorch has none.
        wrong: inputs that must be refused.
        any_shape: why there is no shape to refuse, as of a layer that works on each number by itself.
        elements: check only that many numbers of each tensor against central differences.
        differs_in_eval: why training and evaluation differ; empty: they must not.
        refuses_one: why a batch of one is refused in training; empty: it must work.
        refuses_none: why a batch of none is refused; empty: it must work.
        swallows_nan: why a NaN need not come out; empty: it must.
        no_extremes: why inputs of ±10⁴ are refused or overflow; empty: they must give finite results.
        not_derivatives: why the parameters' gradients are not the derivative; empty: they must be. Those of
            inputs must be in any case.
    """

    make: Callable[[], Module]
    inputs: Callable[[np.random.Generator, int], Inputs]
    name: str = ""
    torch: Callable[[], Any] | None = None
    wrong: tuple[Wrong, ...] = ()
    any_shape: str = ""
    elements: int | None = None
    differs_in_eval: str = ""
    refuses_one: str = ""
    refuses_none: str = ""
    swallows_nan: str = ""
    no_extremes: str = ""
    not_derivatives: str = ""

    def __str__(self) -> str:
        return self.name or repr(self.make()).split("\n")[0]
