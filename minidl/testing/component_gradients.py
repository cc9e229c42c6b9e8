"""Checks of a component's numbers: gradients, memory layouts, batch sizes, dtypes, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minidl.array import Array
from minidl.errors import DTypeError, ShapeError
from minidl.nn import Module
from minidl.testing._promises import expect, require
from minidl.testing._runs import cast, inputs_of, module_of, output_of, run, same, seeded, takes_integers
from minidl.testing.gradients import GradientCheck, gradient_check
from minidl.testing.sample import Sample

__all__ = [
    "check_dtypes",
    "check_errors",
    "check_gradients",
    "check_gradients_in_eval",
    "check_memory_layouts",
    "check_small_batches",
]


def check_gradients(sample: Sample) -> GradientCheck:
    """Every gradient of every input and parameter agrees with central differences."""
    return _check_gradients(sample, module_of(sample))


def check_gradients_in_eval(sample: Sample) -> GradientCheck:
    """The same in evaluation, when asked to remember."""
    return _check_gradients(sample, module_of(sample).eval(remember=True))


def _check_gradients(sample: Sample, module: Module) -> GradientCheck:
    if sample.not_derivatives:
        found = gradient_check(module, *inputs_of(sample), elements=sample.elements, raise_error=False)
        require(not found.ok, "the parameters' gradients are the derivative, declared not to be")
        for parameter in module.parameters():
            parameter.requires_grad = False
    return gradient_check(module, *inputs_of(sample), elements=sample.elements)


def check_memory_layouts(sample: Sample) -> None:
    """Fortran order, gaps, negative strides and read-only arrays give the same."""
    module, inputs = module_of(sample), inputs_of(sample)
    expected = run(module, inputs)
    with seeded() as rng:
        dy = np.asarray(rng.standard_normal(expected.y.shape))
    layouts: dict[str, Callable[[Array], Array]] = {
        "Fortran order": lambda a: np.asfortranarray(a) if a.ndim else a,
        "gaps": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a,
        "negative strides": lambda a: np.flip(np.flip(a).copy()) if a.ndim else a,
        "read-only": _read_only,
    }
    module = module_of(sample)
    for name, lay_out in layouts.items():
        module.load_state_dict(module_of(sample).state_dict())
        found = run(module, tuple(lay_out(x) for x in inputs), lay_out(dy))
        same(found, expected, name, rtol=1e-11, atol=1e-13)


def _read_only(a: Array) -> Array:
    a = a.copy()
    a.flags.writeable = False
    return a


def check_small_batches(sample: Sample) -> None:
    """A batch of one works, and a batch of none gives the right empty shape and zero gradients."""
    module = module_of(sample)
    three = run(module, inputs_of(sample, 3)).y.shape
    for n, refusal in ((1, sample.refuses_one), (0, sample.refuses_none)):
        inputs = inputs_of(sample, n)
        if refusal:
            who = "" if any(module.children()) else module.label()  # in a network some layer complains
            expect(ShapeError, who, module, *inputs, what=f"batch {n}")
            continue
        found = run(module, inputs)
        require(found.y.shape == ((n, *three[1:]) if three else ()), f"batch {n}: output {found.y.shape}")
        if n == 0:
            require(
                all(not g.any() for g in found.grads.values()), "batch 0: a parameter's gradient is not 0"
            )
            require(
                set(found.grads) == {k for k, _ in module.named_parameters()},
                "batch 0: a gradient is missing",
            )


def check_dtypes(sample: Sample) -> None:
    """`float32` in, `float32` out; `float64` in, `float64` out; gradients, state and buffers included."""
    for dtype in (np.float32, np.float64):
        module = sample.make().to(dtype)
        found = run(module, cast(inputs_of(sample), dtype))
        for array in [*found.arrays, *module.state_dict().values()]:
            if array.dtype.kind == "f":
                require(array.dtype == dtype, f"{np.dtype(dtype)} in, {array.dtype} out")
    for here, there in ((np.float32, np.float64), (np.float64, np.float32)):
        inputs = inputs_of(sample)
        found = run(sample.make().to(here), cast(inputs, here if takes_integers(inputs) else there))
        wanted = here if takes_integers(inputs) else there  # what is looked up has the table's dtype
        for array in (found.y, *found.dxs):
            require(
                array.dtype == wanted, f"{np.dtype(there)} into a {np.dtype(here)} module, {array.dtype} out"
            )
        for grad in found.grads.values():
            require(grad.dtype == here, f"a {grad.dtype} gradient for a {np.dtype(here)} parameter")


def check_errors(sample: Sample) -> None:
    """A wrong rank, size or dtype is refused by a message with the class, the expected and the given."""
    module, inputs = module_of(sample), inputs_of(sample)
    for wrong in sample.wrong:
        expect(wrong.error, wrong.says, module, *wrong.make_inputs(), what="wrong input")
    first, *rest = inputs
    by_number = takes_integers(inputs)
    right, other = ("int32 or int64", np.float64) if by_number else ("float32 or float64", np.int64)
    name, another = np.dtype(other).name, np.zeros(first.shape, other)
    complexes, booleans = first.astype(np.complex128), np.zeros(first.shape, np.bool)
    expect(DTypeError, (right, name), module, another, *rest, what=name)
    expect(DTypeError, (right, "complex128"), module, complexes, *rest, what="complex numbers")
    expect(DTypeError, (right, "bool"), module, booleans, *rest, what="booleans")
    expect(DTypeError, ("an array", "list"), module, first.tolist(), *rest, what="a list")
    y = output_of(module(*inputs))
    longer = np.zeros((7, *y.shape))
    says = (str(y.shape), str(longer.shape))
    expect(ShapeError, says, module.backward, longer, what="an upstream gradient of another shape")
