"""Is a backward right? Compare it with what the forward does when each number is nudged.

The derivative is a limit, and a small step comes close to it: `∂f/∂xᵢ ≈ (f(x + h eᵢ) − f(x − h eᵢ)) / 2h`,
with an error of order h² (and, from rounding, of order ε/h). A backward that was derived by hand either
agrees with that for every number, or is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from minidl.array import Array, default_generator
from minidl.errors import DTypeError
from minidl.nn import Module, RowSparse
from minidl.testing._promises import as_gradients, require_like

__all__ = ["GradientCheck", "TensorCheck", "WrongGradientError", "gradient_check", "numerical_gradient"]


def numerical_gradient(f: Callable[[Array], Any], x: Array, h: float = 1e-5) -> Array:
    """The gradient of a scalar function by central differences, one number of x at a time.

    Args:
        f: from an array of x's shape to one number; it is given a copy and need not be a minidl module.
        x: where, float64 of any shape; it is not changed.
        h: the step for numbers up to 1 in size; beyond, it grows with the number.

    Returns:
        ∂f/∂x, of x's shape.

    Raises:
        DTypeError: x is not float64, in which alone the differences can be trusted.
    """
    x = np.array(x)
    if x.dtype != np.float64:
        raise DTypeError(f"numerical_gradient: expected x of dtype float64, got {x.dtype}")
    return _differences(lambda: f(x.copy()), x, np.arange(x.size), h).reshape(x.shape)


def _differences(f: Callable[[], Any], x: Array, elements: Array, h: float) -> Array:
    """∂f/∂xᵢ for some elements; `x` is changed in place for each and put back."""
    gradient = np.empty(len(elements))
    for place, element in enumerate(elements):
        at = np.unravel_index(element, x.shape)
        value = float(x[at])
        step = h * max(1.0, abs(value))
        x[at] = value + step
        above = float(f())
        x[at] = value - step
        below = float(f())
        x[at] = value
        gradient[place] = (above - below) / (2 * step)  # eq. 4.6
    return gradient


class TensorCheck(NamedTuple):
    """One tensor's gradient beside its numerical one."""

    name: str
    shape: tuple[int, ...]
    analytic: Array
    numerical: Array
    error: float
    ok: bool


class GradientCheck(NamedTuple):
    """What `gradient_check` found; printed, it is a table with a line per tensor."""

    module: str
    tensors: list[TensorCheck]

    @property
    def ok(self) -> bool:
        """Whether every gradient agrees."""
        return all(tensor.ok for tensor in self.tensors)

    @property
    def worst(self) -> float:
        """The largest |analytic − numerical| / max(1, |numerical|) of all tensors."""
        errors = (
            np.abs(t.analytic - t.numerical) / np.maximum(1.0, np.abs(t.numerical)) for t in self.tensors
        )
        return max((float(error.max(initial=0.0)) for error in errors), default=0.0)

    def __str__(self) -> str:
        width = max((len(f"d{t.name}") for t in self.tensors), default=0)
        lines = [
            f"{'✓' if t.ok else '✗'} {'d' + t.name:<{width}}  {t.shape!s:<16} "
            f"largest |analytic − numerical| = {t.error:.1e}"
            for t in self.tensors
        ]
        return "\n".join([f"{self.module}: backward against central differences", *lines])


class WrongGradientError(AssertionError):
    """Some gradient is wrong; `check` is what was found."""

    def __init__(self, message: str, check: GradientCheck) -> None:
        super().__init__(message)
        self.check = check


def gradient_check(
    module: Module,
    *inputs: Array,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    h: float = 1e-5,
    elements: int | None = None,
    rng: np.random.Generator | None = None,
    raise_error: bool = True,
) -> GradientCheck:
    """Compare a module's backward with central differences, for every input and every parameter.

    The upstream gradient is random: with ones, a softmax whose backward returned zeros would pass. A
    module that draws random numbers draws the same ones each time; its state is put back afterwards.

    Args:
        module: in float64 (`module.double()`).
        *inputs: what forward takes; floating ones in float64.
        rtol: how far they may differ, relative to the numerical gradient.
        atol: and how far in any case.
        h: the step of the differences.
        elements: check only this many randomly chosen numbers of each tensor; None checks all.
        rng: draws the upstream gradient and the elements.
        raise_error: False returns a failed check in place of raising.

    Returns:
        One line per tensor; `.ok` says whether all agree.

    Raises:
        AssertionError: some gradient is wrong; the message is the table. Or backward returned something
            else than one gradient per floating input, each of the input's shape and dtype.
        DTypeError: the module or an input is not float64.
    """
    rng = rng or np.random.default_rng(0)
    given = [np.array(x) for x in inputs]
    for name, dtype in [
        *((f"parameter {name}", p.dtype) for name, p in module.named_parameters()),
        *((f"input {i}", x.dtype) for i, x in enumerate(given) if x.dtype.kind == "f"),
    ]:
        if dtype != np.float64:
            raise DTypeError(f"gradient_check: expected {name} in float64 (module.double()), got {dtype}")

    with _same_draws(module) as rewind:

        def forward() -> Array:
            rewind()
            output = module(*given)
            return np.asarray(output[0] if isinstance(output, tuple) else output)

        module.zero_grad()
        y = forward()
        dy = rng.standard_normal(y.shape)
        gradients = as_gradients(module, module.backward(dy), given)
        floating = [x for x in given if x.dtype.kind == "f"][: len(gradients)]
        single = len(gradients) == 1
        tensors = [
            ("x" if single else f"x{i}", x, np.asarray(g))
            for i, (x, g) in enumerate(zip(floating, gradients, strict=True))
        ]
        for name, p in module.named_parameters():
            if p.requires_grad:
                grad: Any = np.zeros_like(p.data) if p.grad is None else p.grad
                grad = grad.to_dense() if isinstance(grad, RowSparse) else grad
                require_like(module, f"d{name}", grad, p.data)
                tensors.append((name, p.data, grad))
        checks = []
        for name, values, analytic in tensors:
            chosen = np.arange(values.size)
            if elements is not None and elements < values.size:
                chosen = rng.choice(values.size, elements, replace=False)
            numerical = _differences(lambda: (forward() * dy).sum(), values, chosen, h)
            found = analytic.reshape(-1)[chosen]
            error = float(np.abs(found - numerical).max(initial=0.0))
            ok = np.allclose(found, numerical, rtol=rtol, atol=atol)
            checks.append(TensorCheck(name, values.shape, found, numerical, error, bool(ok)))
        module.zero_grad()
    result = GradientCheck(module.label(), checks)
    if raise_error and not result.ok:
        raise WrongGradientError(f"{result}\n(rtol={rtol}, atol={atol})", result)
    return result


@contextmanager
def _same_draws(module: Module) -> Iterator[Callable[[], None]]:
    """Gives a function that rewinds every random generator in play, and puts buffers back at the end."""
    generators = [default_generator(), *(generator for _, generator in module.named_generators())]
    states = [generator.bit_generator.state for generator in generators]
    buffers = [(buffer, buffer.copy()) for buffer in module.buffers()]

    def rewind() -> None:
        for generator, state in zip(generators, states, strict=True):
            generator.bit_generator.state = state

    try:
        yield rewind
    finally:
        rewind()
        for buffer, before in buffers:
            buffer[...] = before
