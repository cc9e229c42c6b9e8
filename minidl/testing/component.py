"""One check for every component: what any layer, loss or network must do, whoever wrote it.

A `Sample` says how to build a component and what to feed it. `check_component` puts it through all of
`CHECKS`; each check is a function of one sample that raises AssertionError when its promise is broken.
They are public, so that a layer of your own can be put through them too:

```python
check_component(Sample(lambda: MyLayer(3), lambda rng, n: (rng.standard_normal((n, 3)),)))
```
"""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minidl.array import (
    Array,
    DeviceArray,
    default_generator,
    get_rng_state,
    manual_seed,
    set_rng_state,
    to_device,
    to_host,
)
from minidl.errors import BackwardError, DTypeError, ShapeError, StateDictError
from minidl.kernels.registry import use_backend
from minidl.nn import Module, RowSparse
from minidl.testing._promises import as_gradients, expect, require
from minidl.testing.gradients import GradientCheck, gradient_check

__all__ = ["CHECKS", "Sample", "Wrong", "check_component"]

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


class Run(NamedTuple):
    """What one forward and backward gave; a gradient of few rows stands as the whole table."""

    y: Array
    dxs: tuple[Array, ...]
    grads: dict[str, Array]

    @property
    def arrays(self) -> list[Array]:
        return [self.y, *self.dxs, *self.grads.values()]


def check_component(sample: Sample) -> None:
    """Put a component through every check.

    Raises:
        AssertionError: a promise is broken; the message says which.
    """
    for check in CHECKS.values():
        check(sample)


# -------------------------------------------------------------------- helpers


@contextmanager
def _seeded(seed: int = 0) -> Iterator[np.random.Generator]:
    """A seeded world, and a generator for the test's own numbers; the outer world comes back after."""
    outer = get_rng_state()
    manual_seed(seed)
    try:
        yield np.random.default_rng(seed)
    finally:
        set_rng_state(outer)


def _output(result: Any) -> Array:
    return np.asarray(result[0] if isinstance(result, tuple) else result)


def _run(module: Module, inputs: Inputs, dy: Array | None = None, seed: int = 0) -> Run:
    """Forward and backward with fixed random draws and a random upstream gradient."""
    module.zero_grad()
    with _seeded(seed) as rng:
        y = _output(module(*inputs))
        dy = np.asarray(rng.standard_normal(y.shape), y.dtype) if dy is None else dy
        dxs = as_gradients(module, module.backward(dy), inputs)
    return Run(y, dxs, _gradients_of(module))


def _gradients_of(module: Module) -> dict[str, Array]:
    """The parameters' gradients by name."""
    given = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    return {name: g.to_dense() if isinstance(g, RowSparse) else g for name, g in given.items()}


def _takes_integers(inputs: Inputs) -> bool:
    """Whether the component looks things up by number: its first input has no gradient and is never NaN."""
    return inputs[0].dtype.kind == "i"


def _cast(inputs: Inputs, dtype: Any) -> Inputs:
    return tuple(x.astype(dtype) if x.dtype.kind == "f" else x for x in inputs)


def _same(one: Run, other: Run, what: str, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Raise unless two runs agree; with no tolerance, in every bit."""
    require(one.grads.keys() == other.grads.keys(), f"{what}: other parameters got gradients")
    names = ["y", *(f"dx{i}" for i in range(len(one.dxs))), *one.grads]
    for name, a, b in zip(names, one.arrays, other.arrays, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=f"{what}: {name}", strict=True)


def _module(sample: Sample, seed: int = 1) -> Module:
    """The component in float64, with parameters and buffers away from their special starting values."""
    with _seeded(seed) as rng:
        module = sample.make().double()
        for parameter in module.parameters():
            parameter.data += 0.1 * rng.standard_normal(parameter.shape)
        for name, buffer in module.named_buffers():
            if buffer.dtype.kind == "f" and name.rpartition(".")[2].startswith("running"):
                buffer += rng.random(buffer.shape)
    return module


def _inputs(sample: Sample, n: int = 3, seed: int = 2) -> Inputs:
    return sample.inputs(np.random.default_rng(seed), n)


# -------------------------------------------------------------------- gradients


def check_gradients(sample: Sample) -> GradientCheck:
    """Every gradient of every input and parameter agrees with central differences."""
    return _check_gradients(sample, _module(sample))


def check_gradients_in_eval(sample: Sample) -> GradientCheck:
    """The same in evaluation, when asked to remember."""
    return _check_gradients(sample, _module(sample).eval(remember=True))


def _check_gradients(sample: Sample, module: Module) -> GradientCheck:
    if sample.not_derivatives:
        found = gradient_check(module, *_inputs(sample), elements=sample.elements, raise_error=False)
        require(not found.ok, "the parameters' gradients are the derivative, declared not to be")
        for parameter in module.parameters():
            parameter.requires_grad = False
    return gradient_check(module, *_inputs(sample), elements=sample.elements)


def check_memory_layouts(sample: Sample) -> None:
    """Fortran order, gaps, negative strides and read-only arrays give the same."""
    module, inputs = _module(sample), _inputs(sample)
    expected = _run(module, inputs)
    with _seeded() as rng:
        dy = np.asarray(rng.standard_normal(expected.y.shape))
    layouts: dict[str, Callable[[Array], Array]] = {
        "Fortran order": lambda a: np.asfortranarray(a) if a.ndim else a,
        "gaps": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a,
        "negative strides": lambda a: np.flip(np.flip(a).copy()) if a.ndim else a,
        "read-only": _read_only,
    }
    module = _module(sample)
    for name, lay_out in layouts.items():
        module.load_state_dict(_module(sample).state_dict())
        found = _run(module, tuple(lay_out(x) for x in inputs), lay_out(dy))
        _same(found, expected, name, rtol=1e-11, atol=1e-13)


def _read_only(a: Array) -> Array:
    a = a.copy()
    a.flags.writeable = False
    return a


# -------------------------------------------------------------------- shape and dtype


def check_small_batches(sample: Sample) -> None:
    """A batch of one works, and a batch of none gives the right empty shape and zero gradients."""
    module = _module(sample)
    three = _run(module, _inputs(sample, 3)).y.shape
    for n, refusal in ((1, sample.refuses_one), (0, sample.refuses_none)):
        inputs = _inputs(sample, n)
        if refusal:
            who = "" if any(module.children()) else module.label()  # in a network some layer complains
            expect(ShapeError, who, module, *inputs, what=f"batch {n}")
            continue
        found = _run(module, inputs)
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
        found = _run(module, _cast(_inputs(sample), dtype))
        for array in [*found.arrays, *module.state_dict().values()]:
            if array.dtype.kind == "f":
                require(array.dtype == dtype, f"{np.dtype(dtype)} in, {array.dtype} out")
    for here, there in ((np.float32, np.float64), (np.float64, np.float32)):
        inputs = _inputs(sample)
        found = _run(sample.make().to(here), _cast(inputs, here if _takes_integers(inputs) else there))
        wanted = here if _takes_integers(inputs) else there  # what is looked up has the table's dtype
        for array in (found.y, *found.dxs):
            require(
                array.dtype == wanted, f"{np.dtype(there)} into a {np.dtype(here)} module, {array.dtype} out"
            )
        for grad in found.grads.values():
            require(grad.dtype == here, f"a {grad.dtype} gradient for a {np.dtype(here)} parameter")


def check_errors(sample: Sample) -> None:
    """A wrong rank, size or dtype is refused by a message with the class, the expected and the given."""
    module, inputs = _module(sample), _inputs(sample)
    for wrong in sample.wrong:
        expect(wrong.error, wrong.says, module, *wrong.make_inputs(), what="wrong input")
    first, *rest = inputs
    by_number = _takes_integers(inputs)
    right, other = ("int32 or int64", np.float64) if by_number else ("float32 or float64", np.int64)
    name, another = np.dtype(other).name, np.zeros(first.shape, other)
    complexes, booleans = first.astype(np.complex128), np.zeros(first.shape, np.bool)
    expect(DTypeError, (right, name), module, another, *rest, what=name)
    expect(DTypeError, (right, "complex128"), module, complexes, *rest, what="complex numbers")
    expect(DTypeError, (right, "bool"), module, booleans, *rest, what="booleans")
    expect(DTypeError, ("an array", "list"), module, first.tolist(), *rest, what="a list")
    y = _output(module(*inputs))
    longer = np.zeros((7, *y.shape))
    says = (str(y.shape), str(longer.shape))
    expect(ShapeError, says, module.backward, longer, what="an upstream gradient of another shape")


# -------------------------------------------------------------------- state and purity


def check_purity(sample: Sample) -> None:
    """Inputs and upstream gradients are not changed, and results share no memory with anything."""
    module, inputs = _module(sample), _inputs(sample)
    with _seeded() as rng:
        y = _output(module(*inputs))
        dy = np.asarray(rng.standard_normal(y.shape))
    before = [a.copy() for a in (*inputs, dy)]
    found = _run(module, inputs, dy)
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
    again = _run(module, inputs, dy)
    for one in found.arrays:
        for other in again.arrays:
            require(not np.shares_memory(one, other), "the results of two calls share memory")

    with _seeded() as rng:  # whoever writes into the output must not reach what backward needs
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
        with _seeded(5):
            runs.append(_run(sample.make().double(), _inputs(sample), seed=6))
    _same(runs[0], runs[1], "same seed")
    require(repr(np.random.get_state()) == legacy, "np.random's global state was touched")  # noqa: NPY002


def check_modes(sample: Sample) -> None:
    """Training and evaluation differ only where it is declared, and evaluation changes no state."""
    module, inputs = _module(sample), _inputs(sample)
    before = module.state_dict()
    rng_before = default_generator().bit_generator.state
    with_eval = _output(module.eval()(*inputs))
    require(default_generator().bit_generator.state == rng_before, "eval() drew random numbers")
    for name, values in module.state_dict().items():
        np.testing.assert_array_equal(values, before[name], err_msg=f"eval() changed {name}")
    with _seeded():
        with_train = _output(module.train()(*inputs))
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
    source, target, inputs = _module(sample, 1), _module(sample, 2), _inputs(sample)
    state = source.state_dict()
    own = [*(p.data for p in source.parameters()), *source.buffers()]
    for name, values in state.items():
        require(not any(np.shares_memory(values, o) for o in own), f"the state dict's {name} is no copy")
    target.load_state_dict(state)
    _same(_run(target, inputs), _run(source, inputs), "after load_state_dict")

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
    module, inputs = _module(sample), _inputs(sample)
    for how, other in (
        ("deepcopy", copy.deepcopy(module)),
        ("pickle", _pickled(module)),
    ):
        _same(_run(other, inputs), _run(_module(sample), inputs), how)
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
    module, inputs = _module(sample), _inputs(sample)
    dy = np.ones(_output(_module(sample)(*inputs)).shape)
    expect(BackwardError, "forward", module.backward, dy, what="backward before forward")
    once = _run(module, inputs)
    expect(BackwardError, "forward", module.backward, dy, what="backward twice")
    module.load_state_dict(_module(sample).state_dict())
    with _seeded() as rng:
        module(*inputs)
        module.backward(rng.standard_normal(once.y.shape))
    twice = _gradients_of(module)
    for name, _ in module.named_parameters():
        require(name in twice, f"no gradient for {name}")
        what = f"two rounds do not add up: {name}"
        np.testing.assert_allclose(twice[name], 2 * once.grads[name], rtol=1e-12, err_msg=what)


def check_frozen_parameters(sample: Sample) -> None:
    """A frozen parameter collects no gradient, and the inputs' gradients do not change by it."""
    expected, module = _run(_module(sample), _inputs(sample)), _module(sample)
    for parameter in module.parameters():
        parameter.requires_grad = False
    found = _run(module, _inputs(sample))
    require(not found.grads, f"frozen, and yet with a gradient: {', '.join(found.grads)}")
    _same(found, expected._replace(grads={}), "with its parameters frozen")


def check_extremes(sample: Sample) -> None:
    """A NaN comes out as NaN; inputs of ±10⁴ give finite results, without a warning.

    Where things are looked up by number, it is the parameters that are NaN, or large.
    """
    module, inputs = _module(sample), _inputs(sample)
    if _takes_integers(inputs):
        _check_extreme_parameters(sample, inputs)
        return
    first, *rest = inputs
    poisoned = first.copy()
    poisoned.reshape(-1)[0] = np.nan
    if not sample.swallows_nan:
        with np.errstate(all="ignore"), _seeded():
            require(np.isnan(_output(module.eval()(poisoned, *rest))).any(), "a NaN went in, none came out")
        module.train()
    if sample.no_extremes:
        return
    large = np.where(np.arange(first.size) % 2, 1e4, -1e4).reshape(first.shape)
    with np.errstate(all="raise", under="ignore"):
        found = _run(module, (large, *rest))
    for array in found.arrays:
        require(np.isfinite(array).all(), "inputs of ±1e4 gave something that is not finite")


def _check_extreme_parameters(sample: Sample, inputs: Inputs) -> None:
    module = _module(sample)
    for parameter in module.parameters():
        parameter.data[...] = np.nan
    with np.errstate(all="ignore"):
        require(np.isnan(_output(module.eval()(*inputs))).any(), "parameters are NaN, no NaN came out")
    module = _module(sample)
    for parameter in module.parameters():
        parameter.data[...] = np.where(np.arange(parameter.size) % 2, 1e4, -1e4).reshape(parameter.shape)
    with np.errstate(all="raise", under="ignore"):
        found = _run(module, inputs)
    for array in found.arrays:
        require(np.isfinite(array).all(), "parameters of ±1e4 gave something that is not finite")


# -------------------------------------------------------------------- agreement


def check_torch(sample: Sample) -> None:
    """PyTorch gives the same, forward and backward (nothing to do where it has no such component)."""
    if sample.torch is None:
        return
    import torch

    for dtype, rtol, atol in ((np.float64, 1e-7, 1e-9), (np.float32, 1.3e-6, 1e-5)):
        module = _module(sample).to(dtype)
        theirs = sample.torch().to(torch.float64 if dtype == np.float64 else torch.float32)
        theirs.load_state_dict({name: torch.tensor(v) for name, v in module.state_dict().items()})
        inputs = _cast(_inputs(sample), dtype)
        found = _run(module, inputs)
        with _seeded() as rng:
            dy = rng.standard_normal(found.y.shape).astype(found.y.dtype)
        tensors = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
        y = theirs(*tensors)
        y.backward(torch.tensor(dy))
        grads = [t.grad.numpy() for t in tensors if t.grad is not None][: len(found.dxs)]
        parameters = {name: p.grad.to_dense().numpy() for name, p in theirs.named_parameters()}
        expected = Run(y.detach().numpy(), tuple(grads), parameters)
        _same(found, expected, f"PyTorch in {np.dtype(dtype)}", rtol, atol)
        for name, values in theirs.state_dict().items():
            np.testing.assert_allclose(
                module.state_dict()[name], values.numpy(), rtol, atol, err_msg=f"PyTorch's {name} afterwards"
            )


def check_backends(sample: Sample) -> None:
    """The Numba backend gives what the NumPy references give, at any number of threads."""
    module, inputs = _module(sample), _inputs(sample)
    state = module.state_dict()
    with use_backend("numpy"):
        expected = _run(module, inputs)
    try:
        import numba
    except ImportError:
        return
    allowed = numba.config.NUMBA_NUM_THREADS
    runs = []
    for threads in (1, 2, 4):
        module.load_state_dict(state)
        numba.set_num_threads(min(threads, allowed))
        with use_backend("numba"):
            runs.append(_run(module, inputs))
    numba.set_num_threads(allowed)
    _same(runs[0], expected, "numba against numpy", rtol=1e-12, atol=1e-14)
    _same(runs[1], runs[0], "2 threads against 1")
    _same(runs[2], runs[0], "4 threads against 1")


def check_device(sample: Sample, device: str = "sim") -> None:
    """On a device a component gives what it gives on the host, in training and in evaluation.

    Nothing is copied to the host unasked: a `DeviceArray` refuses it. On the simulated device a network so
    large that only some of its `elements` are checked elsewhere takes one image, in float32 and in training:
    simulated threads are slow.

    Args:
        sample: the component.
        device: the simulated one, which every machine has, or `"cuda"`.
    """
    large = sample.elements is not None and device == "sim"
    # float32: the host's and the device's sums have their own order, so they differ by a few roundings (6e-8
    # each) of numbers that are larger than the result; a GPU rounds each sum, the simulator what is stored
    single = 1e-5 if device == "sim" else 1e-4
    for dtype, rtol, atol in ((np.float64, 1e-9, 1e-11), (np.float32, single, single))[large:]:
        here, there = _module(sample).to(dtype), _module(sample).to(dtype).to(device)
        inputs = _cast(_inputs(sample, 1 if large else 2), dtype)
        found = _run_on_device(there, inputs, device)
        _same(found, _run(here, inputs), f"device in {np.dtype(dtype)}", rtol, atol)
        for name, values in here.state_dict().items():
            now = there.state_dict()[name]
            np.testing.assert_allclose(now, values, rtol, atol, err_msg=f"{name} afterwards", strict=True)
        if large:
            continue
        output = to_host(_first(there.eval()(*(to_device(x, device) for x in inputs))))
        expected = _output(here.eval()(*inputs))
        np.testing.assert_allclose(output, expected, rtol, atol, err_msg="device, in eval()", strict=True)


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


def _run_on_device(module: Module, inputs: Inputs, device: str) -> Run:
    """As `_run`, with all arrays on the device but those that are given back."""
    there = tuple(to_device(x, device) for x in inputs)
    with _seeded() as rng:
        y = _first(module(*there))
        dy = to_device(np.asarray(rng.standard_normal(y.shape), y.dtype), device)
        dxs = as_gradients(module, module.backward(dy), there)
    grads = _gradients_of(module)
    for array in (y, *dxs, *grads.values()):
        require(isinstance(array, DeviceArray), f"device arrays in, {type(array).__name__} out")
    return Run(to_host(y), tuple(map(to_host, dxs)), {name: to_host(g) for name, g in grads.items()})


CHECKS: dict[str, Callable[[Sample], object]] = {
    "gradients": check_gradients,
    "gradients in eval": check_gradients_in_eval,
    "memory layouts": check_memory_layouts,
    "small batches": check_small_batches,
    "dtypes": check_dtypes,
    "errors": check_errors,
    "purity": check_purity,
    "seeds": check_seeds,
    "modes": check_modes,
    "state dict": check_state_dict,
    "copies": check_copies,
    "order of calls": check_order_of_calls,
    "frozen parameters": check_frozen_parameters,
    "extremes": check_extremes,
    "torch": check_torch,
    "backends": check_backends,
    "device": check_device,
}
"""Every check by name; those of gradients return what they found."""
