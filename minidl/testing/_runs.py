"""What checks of a component share: a seeded world, a forward and backward in it, a comparison of two."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from minidl.array import Array, get_rng_state, manual_seed, set_rng_state
from minidl.nn import Module, RowSparse
from minidl.testing._promises import as_gradients, require
from minidl.testing.sample import Inputs, Sample

__all__ = [
    "Run",
    "cast",
    "gradients_of",
    "inputs_of",
    "module_of",
    "output_of",
    "run",
    "same",
    "seeded",
    "takes_integers",
]


class Run(NamedTuple):
    """What one forward and backward gave; a gradient of few rows stands as the whole table."""

    y: Array
    dxs: tuple[Array, ...]
    grads: dict[str, Array]

    @property
    def arrays(self) -> list[Array]:
        return [self.y, *self.dxs, *self.grads.values()]


@contextmanager
def seeded(seed: int = 0) -> Iterator[np.random.Generator]:
    """A seeded world, and a generator for the test's own numbers; the outer world comes back after."""
    outer = get_rng_state()
    manual_seed(seed)
    try:
        yield np.random.default_rng(seed)
    finally:
        set_rng_state(outer)


def output_of(result: Any) -> Array:
    return np.asarray(result[0] if isinstance(result, tuple) else result)


def run(module: Module, inputs: Inputs, dy: Array | None = None, seed: int = 0) -> Run:
    """Forward and backward with fixed random draws and a random upstream gradient."""
    module.zero_grad()
    with seeded(seed) as rng:
        y = output_of(module(*inputs))
        dy = np.asarray(rng.standard_normal(y.shape), y.dtype) if dy is None else dy
        dxs = as_gradients(module, module.backward(dy), inputs)
    return Run(y, dxs, gradients_of(module))


def gradients_of(module: Module) -> dict[str, Array]:
    """The parameters' gradients by name."""
    given = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    return {name: g.to_dense() if isinstance(g, RowSparse) else g for name, g in given.items()}


def takes_integers(inputs: Inputs) -> bool:
    """Whether the component looks things up by number: its first input has no gradient and is never NaN."""
    return inputs[0].dtype.kind == "i"


def cast(inputs: Inputs, dtype: Any) -> Inputs:
    return tuple(x.astype(dtype) if x.dtype.kind == "f" else x for x in inputs)


def same(one: Run, other: Run, what: str, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Raise unless two runs agree; with no tolerance, in every bit."""
    require(one.grads.keys() == other.grads.keys(), f"{what}: other parameters got gradients")
    names = ["y", *(f"dx{i}" for i in range(len(one.dxs))), *one.grads]
    for name, a, b in zip(names, one.arrays, other.arrays, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=f"{what}: {name}", strict=True)


def module_of(sample: Sample, seed: int = 1) -> Module:
    """The component in float64, with parameters and buffers away from their special starting values."""
    with seeded(seed) as rng:
        module = sample.make().double()
        for parameter in module.parameters():
            parameter.data += 0.1 * rng.standard_normal(parameter.shape)
        for name, buffer in module.named_buffers():
            if buffer.dtype.kind == "f" and name.rpartition(".")[2].startswith("running"):
                buffer += rng.random(buffer.shape)
    return module


def inputs_of(sample: Sample, n: int = 3, seed: int = 2) -> Inputs:
    return sample.inputs(np.random.default_rng(seed), n)
