"""Checks of what a component keeps and leaves alone: purity, seeds, modes, state, copies, calls, extremes."""

from __future__ import annotations

import copy
import inspect
import pickle

import numpy as np

from minidl.array import default_generator
from minidl.errors import BackwardError, StateDictError
from minidl.nn import Module, RowSparse
from minidl.testing._promises import as_gradients, expect, require
from minidl.testing._runs import (
    gradients_of,
    inputs_of,
    module_of,
    output_of,
    run,
    same,
    seeded,
    takes_integers,
)
from minidl.testing.sample import Inputs, Sample

__all__ = [
    "check_copies",
    "check_extremes",
    "check_frozen_parameters",
    "check_modes",
    "check_order_of_calls",
    "check_purity",
    "check_seeds",
    "check_state_dict",
]


def check_purity(sample: Sample) -> None:
    """Inputs and upstream gradients are not changed, and results share no memory with anything."""
    module, inputs = module_of(sample), inputs_of(sample)
    with seeded() as rng:
        y = output_of(module(*inputs))
        dy = np.asarray(rng.standard_normal(y.shape))
    before = [a.copy() for a in (*inputs, dy)]
    found = run(module, inputs, dy)
    for name, a, b in zip(
        [*(f"input {i}" for i in range(len(inputs))), "dy"], (*inputs, dy), before, strict=True
    ):
        np.testing.assert_array_equal(a, b, err_msg=f"{name} was changed")
    given = [*inputs, dy, *(p.data for p in module.parameters()), *module.buffers()]
    sparse = [p.grad for p in module.parameters() if isinstance(p.grad, RowSparse)]
    results = [*found.arrays, *(part for g in sparse for part in (g.indices, g.values))]
    for i, result in enumerate(results):
        for other in [*given, *results[:i]]:
            require(not np.shares_memory(result, other), f"result {i} shares memory with something else")
    again = run(module, inputs, dy)
    for one in found.arrays:
        for other in again.arrays:
            require(not np.shares_memory(one, other), "the results of two calls share memory")

    with seeded() as rng:  # whoever writes into the output must not reach what backward needs
        y = module(*inputs)
        y = y[0] if isinstance(y, tuple) else y
        if isinstance(y, np.ndarray):
            y[...] = np.nan
        dxs = as_gradients(module, module.backward(dy), inputs)
    for a, b in zip(dxs, found.dxs, strict=True):
        np.testing.assert_array_equal(a, b, err_msg="writing into the output changed the gradient")


def check_seeds(sample: Sample) -> None:
    """The same seed gives the same bits, and NumPy's global generator is left alone."""
    legacy = repr(np.random.get_state())  # noqa: NPY002
    runs = []
    for _ in range(2):
        with seeded(5):
            runs.append(run(sample.make().double(), inputs_of(sample), seed=6))
    same(runs[0], runs[1], "same seed")
    require(repr(np.random.get_state()) == legacy, "np.random's global state was touched")  # noqa: NPY002


def check_modes(sample: Sample) -> None:
    """Training and evaluation differ only where it is declared, and evaluation changes no state."""
    module, inputs = module_of(sample), inputs_of(sample)
    before = module.state_dict()
    rng_before = default_generator().bit_generator.state
    with_eval = output_of(module.eval()(*inputs))
    require(default_generator().bit_generator.state == rng_before, "eval() drew random numbers")
    for name, values in module.state_dict().items():
        np.testing.assert_array_equal(values, before[name], err_msg=f"eval() changed {name}")
    with seeded():
        with_train = output_of(module.train()(*inputs))
    differs = not np.array_equal(with_eval, with_train)
    require(
        differs == bool(sample.differs_in_eval),
        "train() and eval() differ, undeclared"
        if differs
        else "train() and eval() agree, declared to differ",
    )
    module.eval()(*inputs)
    expect(BackwardError, "eval", module.backward, np.zeros(1), what="backward in eval()")


def check_state_dict(sample: Sample) -> None:
    """A state dict makes another module the same; a bad one is refused whole, every key named."""
    source, target, inputs = module_of(sample, 1), module_of(sample, 2), inputs_of(sample)
    state = source.state_dict()
    own = [*(p.data for p in source.parameters()), *source.buffers()]
    for name, values in state.items():
        require(not any(np.shares_memory(values, o) for o in own), f"the state dict's {name} is no copy")
    target.load_state_dict(state)
    same(run(target, inputs), run(source, inputs), "after load_state_dict")

    before = target.state_dict()
    bad = {"no.such.key": np.zeros(1), **{name: values + 1 for name, values in state.items()}}
    named = ["unexpected: no.such.key"]
    if state:
        lost, *others = state
        del bad[lost]
        named.append(f"missing: {lost}")
        if others:
            bad[others[-1]] = np.zeros((9, 9, 9))
            named.append(f"misshapen: {others[-1]}")
    expect(StateDictError, named, target.load_state_dict, bad, what="a bad state dict")
    for name, values in target.state_dict().items():
        np.testing.assert_array_equal(values, before[name], err_msg=f"a bad state dict changed {name}")


def check_copies(sample: Sample) -> None:
    """Deepcopy and pickle give an independent equal; repr shows every constructor argument."""
    module, inputs = module_of(sample), inputs_of(sample)
    for how, other in (
        ("deepcopy", copy.deepcopy(module)),
        ("pickle", _pickled(module)),
    ):
        same(run(other, inputs), run(module_of(sample), inputs), how)
        for mine, theirs in zip(module.parameters(), other.parameters(), strict=True):
            require(not np.shares_memory(mine.data, theirs.data), f"{how} shares parameters")
    shown = _items(module.extra_repr())
    for i, (name, parameter) in enumerate(inspect.signature(type(module)).parameters.items()):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or name in ("rng", "dtype"):
            continue
        by_name = any(item.startswith(f"{name}=") for item in shown)
        by_place = i < len(shown) and shown[i] == str(getattr(module, name, None))
        as_child = isinstance(getattr(module, name, None), Module)
        require(by_name or by_place or as_child, f"repr does not show {name}: {module!r}")
    require(all(item in repr(module) for item in shown), f"repr leaves out extra_repr(): {module!r}")


def _pickled(module: Module) -> Module:
    try:
        copied: Module = pickle.loads(pickle.dumps(module))
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        raise AssertionError(
            f"{module.label()}: expected it to be pickled, got {error!r}. Its class must stand at the top "
            "level of a module, not inside a function, and it must hold nothing like a lambda"
        ) from error
    return copied


def _items(text: str) -> list[str]:
    """What stands between the commas, those inside brackets left alone: `3, size=(1, 2)` are two."""
    items, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            items.append("")
        else:
            items[-1] += letter
    return [item.strip() for item in items]


def check_order_of_calls(sample: Sample) -> None:
    """Backward before forward, or twice, is refused; two rounds of forward and backward add up."""
    module, inputs = module_of(sample), inputs_of(sample)
    dy = np.ones(output_of(module_of(sample)(*inputs)).shape)
    expect(BackwardError, "forward", module.backward, dy, what="backward before forward")
    once = run(module, inputs)
    expect(BackwardError, "forward", module.backward, dy, what="backward twice")
    module.load_state_dict(module_of(sample).state_dict())
    with seeded() as rng:
        module(*inputs)
        module.backward(rng.standard_normal(once.y.shape))
    twice = gradients_of(module)
    for name, _ in module.named_parameters():
        require(name in twice, f"no gradient for {name}")
        what = f"two rounds do not add up: {name}"
        np.testing.assert_allclose(twice[name], 2 * once.grads[name], rtol=1e-12, err_msg=what)


def check_frozen_parameters(sample: Sample) -> None:
    """A frozen parameter collects no gradient, and the inputs' gradients do not change by it."""
    expected, module = run(module_of(sample), inputs_of(sample)), module_of(sample)
    for parameter in module.parameters():
        parameter.requires_grad = False
    found = run(module, inputs_of(sample))
    require(not found.grads, f"frozen, and yet with a gradient: {', '.join(found.grads)}")
    same(found, expected._replace(grads={}), "with its parameters frozen")


def check_extremes(sample: Sample) -> None:
    """A NaN comes out as NaN; inputs of ±10⁴ give finite results, without a warning.

    Where things are looked up by number, it is the parameters that are NaN, or large.
    """
    module, inputs = module_of(sample), inputs_of(sample)
    if takes_integers(inputs):
        _check_extreme_parameters(sample, inputs)
        return
    first, *rest = inputs
    poisoned = first.copy()
    poisoned.reshape(-1)[0] = np.nan
    if not sample.swallows_nan:
        with np.errstate(all="ignore"), seeded():
            require(np.isnan(output_of(module.eval()(poisoned, *rest))).any(), "a NaN went in, none came out")
        module.train()
    if sample.no_extremes:
        return
    large = np.where(np.arange(first.size) % 2, 1e4, -1e4).reshape(first.shape)
    with np.errstate(all="raise", under="ignore"):
        found = run(module, (large, *rest))
    for array in found.arrays:
        require(np.isfinite(array).all(), "inputs of ±1e4 gave something that is not finite")


def _check_extreme_parameters(sample: Sample, inputs: Inputs) -> None:
    module = module_of(sample)
    for parameter in module.parameters():
        parameter.data[...] = np.nan
    with np.errstate(all="ignore"):
        require(np.isnan(output_of(module.eval()(*inputs))).any(), "parameters are NaN, no NaN came out")
    module = module_of(sample)
    for parameter in module.parameters():
        parameter.data[...] = np.where(np.arange(parameter.size) % 2, 1e4, -1e4).reshape(parameter.shape)
    with np.errstate(all="raise", under="ignore"):
        found = run(module, inputs)
    for array in found.arrays:
        require(np.isfinite(array).all(), "parameters of ±1e4 gave something that is not finite")
