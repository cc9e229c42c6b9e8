"""Checks that a component gives the same everywhere: as PyTorch's, compiled by Numba, and on a device."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.array import DeviceArray, to_device, to_host
from minidl.kernels.registry import use_backend
from minidl.nn import Module
from minidl.testing._promises import as_gradients, require
from minidl.testing._runs import Run, cast, gradients_of, inputs_of, module_of, output_of, run, same, seeded
from minidl.testing.sample import Inputs, Sample

__all__ = ["check_backends", "check_device", "check_torch"]


def check_torch(sample: Sample) -> None:
    """PyTorch gives the same, forward and backward (nothing to do where it has no such component)."""
    if sample.torch is None:
        return
    import torch

    for dtype, rtol, atol in ((np.float64, 1e-7, 1e-9), (np.float32, 1.3e-6, 1e-5)):
        module = module_of(sample).to(dtype)
        theirs = sample.torch().to(torch.float64 if dtype == np.float64 else torch.float32)
        theirs.load_state_dict({name: torch.tensor(v) for name, v in module.state_dict().items()})
        inputs = cast(inputs_of(sample), dtype)
        found = run(module, inputs)
        with seeded() as rng:
            dy = rng.standard_normal(found.y.shape).astype(found.y.dtype)
        tensors = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
        y = theirs(*tensors)
        y.backward(torch.tensor(dy))
        grads = [t.grad.numpy() for t in tensors if t.grad is not None][: len(found.dxs)]
        parameters = {name: p.grad.to_dense().numpy() for name, p in theirs.named_parameters()}
        expected = Run(y.detach().numpy(), tuple(grads), parameters)
        same(found, expected, f"PyTorch in {np.dtype(dtype)}", rtol, atol)
        for name, values in theirs.state_dict().items():
            np.testing.assert_allclose(
                module.state_dict()[name], values.numpy(), rtol, atol, err_msg=f"PyTorch's {name} afterwards"
            )


def check_backends(sample: Sample) -> None:
    """The Numba backend gives what the NumPy references give, at any number of threads."""
    module, inputs = module_of(sample), inputs_of(sample)
    state = module.state_dict()
    with use_backend("numpy"):
        expected = run(module, inputs)
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
            runs.append(run(module, inputs))
    numba.set_num_threads(allowed)
    same(runs[0], expected, "numba against numpy", rtol=1e-12, atol=1e-14)
    same(runs[1], runs[0], "2 threads against 1")
    same(runs[2], runs[0], "4 threads against 1")


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
        here, there = module_of(sample).to(dtype), module_of(sample).to(dtype).to(device)
        inputs = cast(inputs_of(sample, 1 if large else 2), dtype)
        found = _run_on_device(there, inputs, device)
        same(found, run(here, inputs), f"device in {np.dtype(dtype)}", rtol, atol)
        for name, values in here.state_dict().items():
            now = there.state_dict()[name]
            np.testing.assert_allclose(now, values, rtol, atol, err_msg=f"{name} afterwards", strict=True)
        if large:
            continue
        output = to_host(_first(there.eval()(*(to_device(x, device) for x in inputs))))
        expected = output_of(here.eval()(*inputs))
        np.testing.assert_allclose(output, expected, rtol, atol, err_msg="device, in eval()", strict=True)


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


def _run_on_device(module: Module, inputs: Inputs, device: str) -> Run:
    """As `run`, with all arrays on the device but those that are given back."""
    there = tuple(to_device(x, device) for x in inputs)
    with seeded() as rng:
        y = _first(module(*there))
        dy = to_device(np.asarray(rng.standard_normal(y.shape), y.dtype), device)
        dxs = as_gradients(module, module.backward(dy), there)
    grads = gradients_of(module)
    for array in (y, *dxs, *grads.values()):
        require(isinstance(array, DeviceArray), f"device arrays in, {type(array).__name__} out")
    return Run(to_host(y), tuple(map(to_host, dxs)), {name: to_host(g) for name, g in grads.items()})
