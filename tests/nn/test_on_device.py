"""Modules, losses and optimizers go to the simulated device, come back, and name what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import nn, optim
from minidl.array import DeviceArray, get_device, manual_seed, to_device, to_host
from minidl.errors import BackendError, DTypeError, StateDictError
from minidl.train import load_checkpoint, load_weights, save_checkpoint, save_weights


def norm(features=5):
    """A layer with parameters, floating buffers and a counter."""
    layer = nn.BatchNorm1d(features)
    rng = np.random.default_rng(1)
    layer.weight.data[...] = rng.standard_normal(features)
    layer.running_mean[...] = rng.standard_normal(features)
    return layer


def arrays_of(module):
    return [*(p.data for p in module.parameters()), *module.buffers()]


def test_a_module_goes_to_a_device_and_back():
    layer = norm()
    layer.weight.grad = np.ones(5, np.float32)
    before, weight = layer.state_dict(), layer.weight
    assert layer.to("sim") is layer
    assert layer.weight is weight
    assert all(isinstance(a, DeviceArray) and a.device is get_device("sim") for a in arrays_of(layer))
    assert isinstance(weight.grad, DeviceArray)
    assert layer.num_batches_tracked.dtype == np.int64
    layer.to(get_device("sim")).to(np.float64).to("cpu")
    assert all(isinstance(a, np.ndarray) for a in arrays_of(layer))
    assert weight.grad.dtype == np.float64
    for name, values in layer.to(np.float32).state_dict().items():
        np.testing.assert_array_equal(values, before[name], strict=True)


def test_what_is_no_place_is_refused():
    with pytest.raises(DTypeError, match=r"BatchNorm1d\(5\).*a dtype or a device, got 'nowhere'"):
        norm().to("nowhere")


def test_parameters_made_of_device_arrays_stay_there():
    values = to_device(np.arange(3, dtype=np.float32), "sim")
    parameter = nn.Parameter(values)
    assert isinstance(parameter.data, DeviceArray)
    assert not np.shares_memory(parameter.data, values)


def test_a_state_dict_is_on_the_host_and_goes_into_modules_anywhere():
    source, here, there = norm().to("sim"), nn.BatchNorm1d(5), nn.BatchNorm1d(5).double().to("sim")
    state = source.state_dict()
    assert all(type(values) is np.ndarray for values in state.values())
    here.load_state_dict(state)
    there.load_state_dict({name: to_device(values, "sim") for name, values in state.items()})
    for name, values in state.items():
        np.testing.assert_array_equal(here.state_dict()[name], values, strict=True)
        np.testing.assert_array_equal(there.state_dict()[name], values)
    assert isinstance(there.weight.data, DeviceArray)
    assert there.weight.dtype == np.float64
    with pytest.raises(StateDictError, match=r"misshapen: weight: expected \(5,\), got \(4,\)"):
        there.load_state_dict({**state, "bias": state["bias"] + 1, "weight": np.zeros(4)})
    np.testing.assert_array_equal(there.state_dict()["bias"], state["bias"])


def test_weights_and_checkpoints_are_files_as_of_any_model(tmp_path):
    source, target = norm().to("sim"), nn.BatchNorm1d(5).to("sim")
    save_weights(source, tmp_path / "weights")
    load_weights(target, tmp_path / "weights")
    save_checkpoint({"model": source.state_dict()}, tmp_path / "checkpoint")
    for state in (target.state_dict(), load_checkpoint(tmp_path / "checkpoint")["model"]):
        for name, values in source.state_dict().items():
            np.testing.assert_array_equal(state[name], values, strict=True)


HOST = np.ones((3, 5), np.float32)


@pytest.mark.parametrize(("place", "x"), [("sim", "cpu"), ("cpu", "sim")])
def test_a_module_and_its_input_must_be_at_one_place(place, x):
    given = HOST if x == "cpu" else to_device(HOST, "sim")
    with pytest.raises(
        BackendError, match=r"kernel kernels.normalization.batch_norm: .*DeviceArray and ndarray"
    ):
        norm().to(place)(given)


def test_a_loss_and_its_target_must_be_at_one_place():
    with pytest.raises(BackendError, match="DeviceArray and ndarray"):
        nn.MSELoss()(to_device(HOST, "sim"), HOST)


def test_a_kernel_without_a_twin_is_named(monkeypatch):
    from minidl import kernels

    kernels.relu.implementation(to_device(HOST, "sim"))  # its twins are registered now
    monkeypatch.delitem(kernels.relu.twins, DeviceArray)
    with pytest.raises(
        BackendError, match=r"kernel kernels.activation.relu: .* no implementation for DeviceArray"
    ):
        nn.ReLU()(to_device(HOST, "sim"))


def test_dropout_drops_the_same_numbers():
    manual_seed(3)
    expected = nn.Dropout(0.4)(HOST)
    manual_seed(3)
    found = nn.Dropout(0.4)(to_device(HOST, "sim"))
    assert 0 < np.count_nonzero(expected) < expected.size
    np.testing.assert_array_equal(to_host(found), expected)


def test_a_loss_starts_backward_on_its_device():
    rng = np.random.default_rng(5)
    p, t = rng.standard_normal((4, 3)).astype("f4"), rng.standard_normal((4, 3)).astype("f4")
    for reduction in ("mean", "sum", "none"):
        here, there = nn.MSELoss(reduction), nn.MSELoss(reduction)
        expected, found = here(p, t), there(to_device(p, "sim"), to_device(t, "sim"))
        np.testing.assert_allclose(to_host(found), expected, rtol=1e-6)
        np.testing.assert_allclose(to_host(there.backward()), here.backward(), rtol=1e-6)
        here(p, t), there(to_device(p, "sim"), to_device(t, "sim"))
        upstream = np.full(expected.shape, 0.5, np.float32)
        found = there.backward(to_device(upstream, "sim"))
        np.testing.assert_allclose(to_host(found), here.backward(upstream), rtol=1e-6)


def test_a_loss_shows_its_weights_wherever_they_are():
    loss = nn.CrossEntropyLoss([1.0, 2.5])
    shown = repr(loss)
    assert "[1. , 2.5]" in shown
    assert repr(loss.to("sim")) == shown


# -------------------------------------------------------------------- optimizers

OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    "adam": lambda p: optim.Adam(p, 0.1, amsgrad=True, weight_decay=0.01),
    "adamw, uphill": lambda p: optim.AdamW(p, 0.1, maximize=True),
}


def steps(parameter, optimizer, number, place, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(number):
        g = rng.standard_normal(parameter.shape)
        parameter.grad = to_device(g, "sim") if place == "sim" else g
        optimizer.step()


def start():
    return nn.Parameter(np.random.default_rng(7).standard_normal((3, 5)))


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizers_step_on_the_device_as_on_the_host(make):
    here, there = start(), start()
    there.to("sim")
    optimizer, other = make([here]), make([there])
    steps(here, optimizer, 4, "cpu")
    steps(there, other, 4, "sim")
    np.testing.assert_allclose(to_host(there.data), here.data, rtol=1e-12)
    assert all(isinstance(v, DeviceArray) for v in other.state[there].values() if not isinstance(v, int))


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize(("first", "then"), [("cpu", "sim"), ("sim", "cpu")])
def test_an_optimizer_follows_its_model(make, first, then):
    stays, moves = start(), start()
    moves.to(first)
    optimizer, other = make([stays]), make([moves])
    steps(stays, optimizer, 2, "cpu")
    steps(moves, other, 2, first)
    moves.to(then)
    steps(stays, optimizer, 2, "cpu", seed=1)
    steps(moves, other, 2, then, seed=1)
    np.testing.assert_allclose(to_host(moves.data), stays.data, rtol=1e-12)


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_optimizers_state_goes_through_a_file(make, tmp_path):
    one, other = start(), start()
    one.to("sim"), other.to("sim")
    source, target = make([one]), make([other])
    steps(one, source, 2, "sim")
    save_checkpoint(source.state_dict(), tmp_path / "state")
    other.data[...] = one.data
    target.load_state_dict(load_checkpoint(tmp_path / "state"))
    steps(one, source, 2, "sim", seed=1)
    steps(other, target, 2, "sim", seed=1)
    np.testing.assert_array_equal(to_host(other.data), to_host(one.data))


def test_clipping_and_scaling_are_plain_numpy():
    parameter = start()
    parameter.to("sim")
    parameter.add_grad(to_device(np.ones((3, 5)), "sim"))
    parameter.add_grad(to_device(np.ones((3, 5)), "sim"))
    norm_of_grad = np.sqrt(np.square(parameter.grad).sum())
    parameter.grad *= 1 / norm_of_grad
    np.testing.assert_allclose(to_host(parameter.grad), 1 / np.sqrt(15))
