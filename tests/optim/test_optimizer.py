"""Every public optimizer: it keeps the promises of all, and its first steps are those worked out by hand."""

import copy
import inspect
import json
import pickle

import numpy as np
import pytest
from optim.by_hand import STEPS, check_steps
from optim.samples import OPTIMIZERS, RATE_IS_NO_FACTOR, name, optimizer_samples

import minidl
import minidl.optim
from minidl.errors import StateDictError
from minidl.nn import Parameter
from minidl.optim import (
    ASGD,
    LBFGS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
    Rprop,
    SparseAdam,
)
from minidl.testing.optim import check_optimizer


def test_every_public_optimizer_has_samples_and_steps_worked_out_by_hand():
    public = {
        value
        for value in vars(minidl.optim).values()
        if inspect.isclass(value) and issubclass(value, Optimizer) and value is not Optimizer
    }
    public -= {LBFGS, SparseAdam}  # which take a closure, or gradients of few rows: they have their own files
    assert public == set(OPTIMIZERS)
    assert public == {cls for cls, *_ in STEPS}
    others = {"LBFGS", "SparseAdam", "Optimizer", "lr_scheduler", "swa_utils"}
    assert {cls.__name__ for cls in public} | others == set(minidl.optim.__all__)
    assert minidl.optim.__all__ == sorted(
        minidl.optim.__all__, key=lambda n: (not n.isupper(), n.islower(), n)
    )


@pytest.mark.parametrize("cls", list(OPTIMIZERS), ids=name)
def test_every_option_is_set_in_some_sample(cls):
    options = set(inspect.signature(cls).parameters) - {"params"}
    # AdamW's update of m and v is Adam's own
    sampled = set().union(
        *(row[0] for other, rows in OPTIMIZERS.items() if issubclass(cls, other) for row in rows)
    )
    assert sampled == options


@pytest.mark.parametrize(("cls", "options", "steps", "below"), optimizer_samples(), ids=name)
def test_promises(cls, options, steps, below):
    check_optimizer(
        lambda params: cls(params, **options),
        steps=steps,
        rosenbrock_below=below,
        lr_scales_steps=cls not in RATE_IS_NO_FACTOR,
    )


@pytest.mark.parametrize(("cls", "options", "start", "gradients", "expected"), STEPS, ids=name)
def test_first_steps_by_hand(cls, options, start, gradients, expected):
    check_steps(cls, options, start, gradients, expected)


@pytest.mark.parametrize(
    ("cls", "options", "error", "message"),
    [
        (SGD, {"lr": -1}, ValueError, "SGD: expected lr to be a finite number of at least 0, got -1"),
        (SGD, {"lr": float("inf")}, ValueError, "SGD: expected lr .* got inf"),
        (SGD, {"lr": None}, TypeError, "SGD: expected lr to be a number, got None"),
        (SGD, {"lr": True}, TypeError, "SGD: expected lr to be a number, got True"),
        (SGD, {"momentum": -0.1}, ValueError, "SGD: expected momentum"),
        (SGD, {"dampening": "a"}, TypeError, "SGD: expected dampening"),
        (SGD, {"weight_decay": -0.1}, ValueError, "SGD: expected weight_decay"),
        (SGD, {"nesterov": True}, ValueError, "momentum above 0 and dampening 0 .* got momentum=0"),
        (SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, ValueError, "dampening=0.1"),
        (Adam, {"lr": -1}, ValueError, "Adam: expected lr"),
        (Adam, {"betas": 0.9}, TypeError, "Adam: expected betas to be two numbers, got 0.9"),
        (Adam, {"betas": (0.9, 0.99, 0.999)}, TypeError, "two numbers"),
        (Adam, {"betas": (1.0, 0.9)}, ValueError, r"betas\[0\] to be .* at least 0 and below 1, got 1.0"),
        (Adam, {"betas": (0.9, -0.1)}, ValueError, r"betas\[1\]"),
        (Adam, {"eps": -1e-8}, ValueError, "Adam: expected eps"),
        (AdamW, {"weight_decay": -1}, ValueError, "AdamW: expected weight_decay"),
        (Adamax, {"betas": (0.9, 1)}, ValueError, r"Adamax: expected betas\[1\]"),
        (Adamax, {"eps": -1}, ValueError, "Adamax: expected eps"),
        (Adamax, {"weight_decay": -1}, ValueError, "Adamax: expected weight_decay"),
        (NAdam, {"betas": (0.9, 1)}, ValueError, r"NAdam: expected betas\[1\]"),
        (NAdam, {"momentum_decay": -1}, ValueError, "NAdam: expected momentum_decay"),
        (NAdam, {"weight_decay": -1}, ValueError, "NAdam: expected weight_decay"),
        (RAdam, {"betas": (0.9, 1)}, ValueError, r"RAdam: expected betas\[1\]"),
        (RAdam, {"eps": "a"}, TypeError, "RAdam: expected eps"),
        (RAdam, {"weight_decay": -1}, ValueError, "RAdam: expected weight_decay"),
        (Adagrad, {"lr_decay": -1}, ValueError, "Adagrad: expected lr_decay"),
        (Adagrad, {"initial_accumulator_value": -1}, ValueError, "expected initial_accumulator_value"),
        (Adadelta, {"rho": 1.1}, ValueError, "expected rho .* of at least 0 and of at most 1, got 1.1"),
        (Adadelta, {"eps": -1}, ValueError, "Adadelta: expected eps"),
        (Adadelta, {"weight_decay": -1}, ValueError, "Adadelta: expected weight_decay"),
        (RMSprop, {"alpha": -1}, ValueError, "RMSprop: expected alpha"),
        (RMSprop, {"momentum": -1}, ValueError, "RMSprop: expected momentum"),
        (Rprop, {"etas": 0.5}, TypeError, "Rprop: expected etas to be two numbers, got 0.5"),
        (Rprop, {"etas": (1.0, 1.2)}, ValueError, "one number between 0 and 1 and one above 1"),
        (Rprop, {"etas": (0.5, 1.0)}, ValueError, "one number between 0 and 1 and one above 1"),
        (Rprop, {"step_sizes": (-1, 2)}, ValueError, r"Rprop: expected step_sizes\[0\]"),
        (ASGD, {"lambd": None}, TypeError, "ASGD: expected lambd"),
        (ASGD, {"weight_decay": -1}, ValueError, "ASGD: expected weight_decay"),
    ],
    ids=name,
)
def test_bad_options(cls, options, error, message):
    with pytest.raises(error, match=message):
        cls([Parameter([1.0])], **options)


def test_a_used_up_generator_is_explained():
    parameters = (p for p in [Parameter([1.0])])
    SGD(parameters)
    with pytest.raises(ValueError, match="gives its parameters only once"):
        SGD(parameters)


def test_a_group_without_parameters_stands_beside_one_that_has_some():
    optimizer = SGD([{"params": []}, {"params": [Parameter([1.0])]}])
    assert optimizer.state_dict()["param_groups"][1]["params"] == [0]


def test_the_dicts_given_are_left_alone():
    group = {"params": [Parameter([1.0])], "lr": 0.5}
    optimizer = SGD([group])
    optimizer.param_groups[0]["lr"] = 0.1
    assert group.keys() == {"params", "lr"}
    assert group["lr"] == 0.5


def test_repr_is_like_pytorchs():
    optimizer = SGD([{"params": [Parameter([1.0])], "lr": 0.5}, {"params": [Parameter([1.0])]}], lr=0.1)
    assert repr(optimizer) == (
        "SGD (\n"
        "Parameter Group 0\n    dampening: 0\n    lr: 0.5\n    maximize: False\n    momentum: 0\n"
        "    nesterov: False\n    weight_decay: 0\n"
        "Parameter Group 1\n    dampening: 0\n    lr: 0.1\n    maximize: False\n    momentum: 0\n"
        "    nesterov: False\n    weight_decay: 0\n)"
    )


def test_every_complaint_of_a_load_comes_at_once():
    optimizer = Adam([Parameter(np.ones((2, 3))), Parameter(np.ones(2))])
    bad = optimizer.state_dict()
    bad["param_groups"][0].update(betas=(0.9, 2.0), lr=-1)
    bad["state"] = {
        0: {"step": 1, "exp_avg": np.ones((3, 2)), "exp_avg_sq": np.ones((2, 3)), "speed": 1},
        1: {"step": 1.5, "exp_avg": np.ones(2)},
        7: {},
    }
    with pytest.raises(StateDictError) as error:
        optimizer.load_state_dict(bad)
    assert str(error.value) == (
        "Adam: the state dict does not fit; nothing was changed\n"
        "  group 0: Adam: expected lr to be a finite number of at least 0, got -1\n"
        "  state of parameter 0: 'speed' is not expected\n"
        "  state of parameter 0: exp_avg: expected shape (2, 3), got (3, 2)\n"
        "  state of parameter 1: expected 'exp_avg_sq', which is missing\n"
        "  state of parameter 1: step: expected a count of steps, got 1.5\n"
        "  state: expected parameters 0 to 1, got 7"
    )


@pytest.mark.parametrize("what", [None, [], {}, {"state": 1, "param_groups": [1]}])
def test_what_is_no_state_dict_is_refused(what):
    with pytest.raises(StateDictError, match="param_groups"):
        SGD([Parameter([1.0])]).load_state_dict(what)


def test_another_optimizers_state_is_refused():
    parameters = [Parameter([1.0])]
    with pytest.raises(StateDictError, match="betas, eps, amsgrad"):
        Adam(parameters).load_state_dict(SGD(parameters).state_dict())
    with pytest.raises(StateDictError, match="momentum, dampening, nesterov"):
        SGD(parameters).load_state_dict(Adam(parameters).state_dict())


def test_the_options_survive_a_file_of_json():
    optimizer = Adam([Parameter([1.0])], lr=np.float64(0.25), betas=(0.5, 0.75))
    groups = json.loads(json.dumps(optimizer.state_dict()["param_groups"]))
    fresh = Adam([Parameter([1.0])])
    fresh.load_state_dict({"state": {}, "param_groups": groups})
    assert fresh.state_dict() == optimizer.state_dict()
    assert fresh.param_groups[0]["betas"] == (0.5, 0.75)


def test_a_loaded_state_takes_the_parameters_dtype():
    wide, narrow = Parameter(np.ones(2)), Parameter(np.ones(2, np.float32))
    wide.grad = np.ones(2)
    optimizer = Adam([wide])
    optimizer.step()
    resumed = Adam([narrow])
    resumed.load_state_dict(optimizer.state_dict())
    assert resumed.state[narrow]["exp_avg"].dtype == np.float32


@pytest.mark.parametrize("rate", [np.float64(0.1), np.float32(0.1), np.int64(0)])
def test_a_numpy_number_as_rate_does_not_widen_float32(rate):
    theta = Parameter(np.ones(2, np.float32))
    for optimizer in (SGD([theta], lr=rate, momentum=0.9), AdamW([theta], lr=rate)):
        theta.grad = np.ones(2, np.float32)
        optimizer.step()
        saved = optimizer.state_dict()
        assert theta.data.dtype == np.float32
        assert type(saved["param_groups"][0]["lr"]) in (int, float)
        assert all(v.dtype == np.float32 for v in saved["state"][0].values() if not isinstance(v, int))


@pytest.mark.parametrize("round_trip", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_parameters_and_optimizer_copied_together_go_on_together(round_trip):
    theta = Parameter(np.ones(2))
    optimizer = Adam([theta])
    for _ in range(2):
        theta.grad = np.array([1.0, -2.0])
        optimizer.step()
        theta, optimizer = round_trip((theta, optimizer))
    assert optimizer.state[theta]["step"] == 2
    assert optimizer.param_groups[0]["params"][0] is theta


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda a: a[::-1], lambda a: a.T.copy().T])
def test_gradients_in_any_memory_layout(layout):
    values = np.arange(6.0).reshape(2, 3)
    plain, other = Parameter(values), Parameter(values)
    for cls, options in ((SGD, {"momentum": 0.9, "nesterov": True}), (AdamW, {"amsgrad": True})):
        optimizers = [cls([p], lr=0.1, **options) for p in (plain, other)]
        for _ in range(3):
            other.grad = layout(np.cos(values))
            plain.grad = np.ascontiguousarray(other.grad)
            for optimizer in optimizers:
                optimizer.step()
    np.testing.assert_array_equal(plain.data, other.data)


def test_an_optimizer_of_ones_own_needs_only_a_rule():
    class SignDescent(Optimizer):
        def __init__(self, params, lr=0.5):
            super().__init__(params, {"lr": lr})

        def update(self, theta, g, state, group):
            theta -= group["lr"] * np.sign(g)

    theta = Parameter([1.0, -1.0])
    theta.grad = np.array([3.0, -0.1])
    SignDescent([theta]).step()
    np.testing.assert_array_equal(theta.data, [0.5, -0.5])
    with pytest.raises(NotImplementedError, match="Optimizer does not define update"):
        Optimizer([theta], {"lr": 0.1}).step()


def test_nan_stays_where_it_is():
    theta = Parameter(np.ones(3))
    for optimizer in (SGD([theta], momentum=0.9), Adam([theta])):
        theta.grad = np.array([1.0, np.nan, 1.0])
        optimizer.step()
        np.testing.assert_array_equal(np.isnan(theta.data), [False, True, False])


def test_an_option_switched_on_later_takes_effect():
    theta = Parameter(np.ones(1))
    adam, sgd = Adam([theta]), SGD([theta])
    for _ in range(2):
        theta.grad = np.ones(1)
        adam.step()
        sgd.step()
        adam.param_groups[0]["amsgrad"] = True
        sgd.param_groups[0]["momentum"] = 0.9
    assert "max_exp_avg_sq" in adam.state[theta]
    assert "momentum_buffer" in sgd.state[theta]


@pytest.mark.parametrize(
    "options", [(SGD, {"momentum": 0.9}), (Adam, {"amsgrad": True}), (AdamW, {})], ids=str
)
def test_the_state_follows_a_model_that_is_converted(options):
    cls, more = options
    parameter = Parameter(np.ones((2, 3), np.float32))
    optimizer = cls([parameter], lr=0.1, **more)
    for dtype in (np.float32, np.float64, np.float32):
        parameter.to(dtype)
        parameter.zero_grad()
        parameter.add_grad(np.full((2, 3), 0.5))
        optimizer.step()
        state = optimizer.state[parameter]
        assert {v.dtype for v in [parameter.data, *state.values()] if isinstance(v, np.ndarray)} == {
            np.dtype(dtype)
        }


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_step_splits_a_large_parameter_and_changes_no_gradient(backend):
    if backend == "numba":
        pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    start, g = rng.standard_normal((2, 300, 401))
    parameter = Parameter(start)
    parameter.add_grad(g)
    with minidl.use_backend(backend):
        SGD([parameter], lr=0.1, weight_decay=0.5).step()
    np.testing.assert_allclose(parameter.data, start - 0.1 * (g + 0.5 * start), rtol=1e-13)
    np.testing.assert_array_equal(parameter.grad, g)


@pytest.mark.parametrize("cls", list(OPTIMIZERS), ids=name)
def test_the_same_steps_on_a_device(cls):
    rng = np.random.default_rng(0)
    for _, options, *_ in (row for row in optimizer_samples() if row[0] is cls):
        here, there = (Parameter(rng.standard_normal((2, 3), np.float32)) for _ in range(2))
        there.data[...] = here.data
        there.to("sim")
        mine, its = (cls([p], **options) for p in (here, there))
        for _ in range(3):
            here.grad = rng.standard_normal((2, 3), np.float32)
            there.grad = minidl.to_device(here.grad, "sim")
            mine.step()
            its.step()
        np.testing.assert_allclose(minidl.to_host(there.data), here.data, rtol=1e-6, atol=1e-7)
        saved, other = (o.state_dict()["state"].get(0, {}) for o in (mine, its))
        assert saved.keys() == other.keys()
        assert all(isinstance(v, int | float | np.ndarray) for v in other.values())


def test_asgd_keeps_the_average_of_the_path():
    theta = Parameter([0.0])
    optimizer = ASGD([theta], lr=1.0, lambd=0, t0=1.0)
    for expected in (-1.0, -2.0, -3.0, -3.5, -4.0):  # from step 4, the mean of all θ since step 3
        theta.grad = np.ones(1, np.float32)
        optimizer.step()
        assert optimizer.state[theta]["ax"] == expected


def test_centered_rmsprop_outlives_a_gradient_that_does_not_vary():
    theta = Parameter(np.zeros(1000, np.float32))
    optimizer = RMSprop([theta], lr=1e-3, alpha=0.5, eps=1.0, centered=True)
    rng = np.random.default_rng(0)
    g = rng.standard_normal(1000, np.float32)
    for _ in range(50):
        theta.grad = g
        optimizer.step()
    assert np.isfinite(theta.data).all()


def test_a_step_by_a_closure_returns_its_loss():
    theta = Parameter([1.0])
    optimizer = SGD([theta], lr=0.5)

    def closure():
        theta.grad = np.ones(1, np.float32)
        return 7.0

    assert optimizer.step(closure) == 7.0
    assert optimizer.step() is None
    assert theta.data == [0.0]


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf"), [1.0, 2.0], "x"])
def test_a_number_of_the_state_is_checked(bad):
    theta = Parameter([1.0])
    optimizer = NAdam([theta])
    theta.grad = np.ones(1, np.float32)
    optimizer.step()
    saved = optimizer.state_dict()
    saved["state"][0]["mu_product"] = bad
    with pytest.raises(StateDictError, match="mu_product: expected"):
        optimizer.load_state_dict(saved)


def test_zero_grad_can_leave_zeros_so_that_momentum_goes_on():
    coasting, waiting = Parameter(np.ones(2)), Parameter(np.ones(2))
    optimizer = minidl.optim.SGD([coasting, waiting], lr=0.1, momentum=0.5)
    coasting.grad = waiting.grad = np.ones(2)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    np.testing.assert_array_equal(coasting.grad, np.zeros(2))
    waiting.grad = None
    optimizer.step()
    np.testing.assert_allclose(coasting.data, 1 - 0.1 - 0.05)
    np.testing.assert_allclose(waiting.data, 1 - 0.1)
