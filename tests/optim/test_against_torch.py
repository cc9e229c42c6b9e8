"""A hundred steps beside PyTorch give PyTorch's numbers, whatever the options."""

import inspect
import itertools
from contextlib import contextmanager

import numpy as np
import pytest
from optim.samples import name

from minidl import optim
from minidl.nn import Parameter

torch = pytest.importorskip("torch")

BETAS = ((0.9, 0.999), (0.6, 0.8))
BOOL = (False, True)
CLASSES = [
    *("SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam"),
    *("Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD"),
]


def product(cls, **choices):
    """Every choice of the options with every other."""
    return [(cls, dict(zip(choices, values, strict=True))) for values in itertools.product(*choices.values())]


OPTIONS = [
    *(
        (
            "SGD",
            dict(zip(("momentum", "dampening", "weight_decay", "nesterov", "maximize"), values, strict=True)),
        )
        for values in itertools.product((0, 0.9), (0, 0.3), (0, 0.1), (False, True), (False, True))
        if not values[3] or (values[0] > 0 and values[1] == 0)
    ),
    *(
        (cls, dict(zip(("betas", "eps", "weight_decay", "amsgrad", "maximize"), values, strict=True)))
        for cls in ("Adam", "AdamW")
        for values in itertools.product(
            ((0.9, 0.999), (0.6, 0.8)), (1e-8, 1e-2), (0, 0.1), (False, True), (False, True)
        )
    ),
    *product("Adamax", betas=BETAS, eps=(1e-8, 1e-2), weight_decay=(0, 0.1), maximize=BOOL),
    *product(
        "NAdam",
        betas=BETAS,
        eps=(1e-8, 1e-2),
        weight_decay=(0, 0.1),
        momentum_decay=(4e-3, 0.1),
        decoupled_weight_decay=BOOL,
        maximize=BOOL,
    ),
    *product(
        "RAdam",
        betas=BETAS,
        eps=(1e-8, 1e-2),
        weight_decay=(0, 0.1),
        decoupled_weight_decay=BOOL,
        maximize=BOOL,
    ),
    *product(
        "Adagrad",
        lr_decay=(0, 0.1),
        weight_decay=(0, 0.1),
        initial_accumulator_value=(0, 0.5),
        eps=(1e-10, 1e-2),
        maximize=BOOL,
    ),
    *product("Adadelta", rho=(0.9, 0.5), eps=(1e-6, 1e-2), weight_decay=(0, 0.1), maximize=BOOL),
    *product(
        "RMSprop",
        alpha=(0.99, 0.6),
        eps=(1e-8, 1e-2),
        weight_decay=(0, 0.1),
        momentum=(0, 0.9),
        centered=BOOL,
        maximize=BOOL,
    ),
    *product("Rprop", etas=((0.5, 1.2), (0.7, 1.05)), step_sizes=((1e-6, 50), (0.004, 0.02)), maximize=BOOL),
    *product(
        "ASGD", lambd=(1e-4, 0.1), alpha=(0.75, 0.3), t0=(1e6, 20.0), weight_decay=(0, 0.1), maximize=BOOL
    ),
    *((cls, {}) for cls in CLASSES),
]
SHAPES = [(3, 4), (4,), (2, 1, 3), ()]


def in_groups(parameters, cls="SGD"):
    return [
        {"params": parameters[:1], "lr": 0.05},
        {"params": parameters[1:3], **({} if cls == "Rprop" else {"weight_decay": 0.2})},
        {"params": parameters[3:]},
    ]


@contextmanager
def numbers_in_float64():
    """PyTorch keeps NAdam's product and ASGD's rates in its default dtype, where float32 rounds them."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def pairs(dtype):
    """The same parameters twice, ours and PyTorch's."""
    rng = np.random.default_rng(0)
    values = [np.asarray(rng.standard_normal(shape), dtype) for shape in SHAPES]
    return [Parameter(v) for v in values], [torch.nn.Parameter(torch.tensor(v)) for v in values]


def walk(ours, theirs, my_optimizer, their_optimizer, steps, seed=1):
    """The gradient leads to 0, in noise; one parameter has none in every third step."""
    rng = np.random.default_rng(seed)
    for step in range(steps):
        for i, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            g = np.asarray(0.3 * mine.data + rng.standard_normal(mine.shape), mine.dtype)
            absent = (step + i) % 3 == 0 and i in (1, 2)
            mine.grad = None if absent else g
            other.grad = None if absent else torch.tensor(g)
        my_optimizer.step()
        their_optimizer.step()


@pytest.mark.parametrize(
    ("cls", "options", "dtype"),
    [
        *((cls, options, np.float64) for cls, options in OPTIONS),
        *((cls, options, np.float32) for cls, options in OPTIONS[::3]),  # each option's every choice is there
    ],
    ids=name,
)
def test_a_hundred_steps(cls, options, dtype):
    ours, theirs = pairs(dtype)
    options = {"lr": 0.5 if cls == "Adadelta" else 0.01} | options
    my_optimizer = getattr(optim, cls)(in_groups(ours, cls), **options)
    with numbers_in_float64():
        their_optimizer = getattr(torch.optim, cls)(in_groups(theirs, cls), **options)
        walk(ours, theirs, my_optimizer, their_optimizer, 100)
    # float64: 1e-8 by the checks' rule; float32: torch's own tolerances
    rtol, atol = (0, 1e-8) if dtype == np.float64 else (1.3e-6, 1e-5)
    if dtype == np.float32 and options.get("centered"):
        rtol = 1e-4  # v − a² of few gradients is a small difference of large numbers
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.data, other.detach().numpy(), rtol=rtol, atol=atol)
        assert mine.dtype == dtype


@pytest.mark.parametrize("cls", CLASSES)
def test_same_constructor(cls):
    mine = inspect.signature(getattr(optim, cls)).parameters
    torchs = inspect.signature(getattr(torch.optim, cls)).parameters
    given_by_place = [n for n, p in mine.items() if p.kind != p.KEYWORD_ONLY]
    assert list(torchs)[: len(given_by_place)] == given_by_place
    for key, parameter in mine.items():
        assert parameter.default == torchs[key].default, key
    # by keyword alone: what is so there too, or stands behind an argument that we lack
    lacking = next((i for i, n in enumerate(torchs) if n not in mine), len(torchs))
    for key in set(mine) - set(given_by_place):
        assert torchs[key].kind == inspect.Parameter.KEYWORD_ONLY or list(torchs).index(key) > lacking, key
    # how PyTorch computes, and Adam's switch to what is AdamW
    ours_lack = {"foreach", "differentiable", "capturable", "fused"}
    ours_lack |= {"decoupled_weight_decay"} if cls == "Adam" else set()
    assert set(torchs) - set(mine) == ours_lack & set(torchs)


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        *((cls, {}) for cls in CLASSES),
        ("SGD", {"momentum": 0.9}),
        ("AdamW", {"amsgrad": True}),
        ("RMSprop", {"momentum": 0.9, "centered": True}),
        ("ASGD", {"t0": 3}),
        ("RAdam", {"betas": (0.9, 0.9)}),
    ],
    ids=name,
)
def test_pytorchs_own_state_dict_is_taken_over(cls, options):
    ours, theirs = pairs(np.float64)
    with numbers_in_float64():
        their_optimizer = getattr(torch.optim, cls)(in_groups(theirs, cls), lr=0.01, **options)
        walk(ours, theirs, optim.SGD(ours), their_optimizer, 5)
        for mine, other in zip(ours, theirs, strict=True):
            mine.data[...] = other.detach().numpy()
        my_optimizer = getattr(optim, cls)(in_groups(ours, cls), lr=1.0)
        my_optimizer.load_state_dict(their_optimizer.state_dict())
        walk(ours, theirs, my_optimizer, their_optimizer, 20, seed=2)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.data, other.detach().numpy(), rtol=0, atol=1e-10)

    saved, torchs = my_optimizer.state_dict(), their_optimizer.state_dict()
    assert saved.keys() == torchs.keys()
    assert saved["state"].keys() == torchs["state"].keys()
    assert [g["params"] for g in saved["param_groups"]] == [g["params"] for g in torchs["param_groups"]]
    for index, state in torchs["state"].items():
        assert saved["state"][index].keys() == {key for key, value in state.items() if value is not None}


SCHEDULES = [
    ("StepLR", {"step_size": 1}),
    ("StepLR", {"step_size": 7, "gamma": 0.7}),
    ("CosineAnnealingLR", {"T_max": 1}),
    ("CosineAnnealingLR", {"T_max": 2, "eta_min": 0.01}),
    ("CosineAnnealingLR", {"T_max": 13}),
    ("CosineAnnealingLR", {"T_max": 40, "eta_min": 0.003}),
    ("CosineAnnealingLR", {"T_max": 100}),
    ("CosineAnnealingLR", {"T_max": 300}),
]


def both(cls, options, groups=None):
    result = []
    for library, parameter in ((optim, Parameter([1.0])), (torch.optim, torch.nn.Parameter(torch.ones(1)))):
        other = type(parameter)(parameter.data)
        optimizer = library.SGD([{"params": [parameter], "lr": 0.5}, {"params": [other]}], lr=0.1)
        for group, extra in zip(optimizer.param_groups, groups or [{}, {}], strict=True):
            group.update(extra)
        result.append((optimizer, getattr(library.lr_scheduler, cls)(optimizer, **options)))
    return result


def rates(pair, steps, meddle=False):
    """The rates of each step; somebody else halves or doubles them now and then."""
    optimizer, scheduler = pair
    seen = [scheduler.get_last_lr()]
    for step in range(steps):
        optimizer.step()
        if meddle and step in (17, 43):
            for group in optimizer.param_groups:
                group["lr"] *= 0.5 if step == 17 else 2
        scheduler.step()
        seen.append(scheduler.get_last_lr())
        assert seen[-1] == [group["lr"] for group in optimizer.param_groups]
    return np.array(seen)


@pytest.mark.parametrize("meddle", [False, True])
@pytest.mark.parametrize(("cls", "options"), SCHEDULES, ids=name)
def test_a_hundred_epochs_of_a_schedule(cls, options, meddle):
    mine, torchs = both(cls, options)
    np.testing.assert_allclose(rates(mine, 100, meddle), rates(torchs, 100, meddle), rtol=0, atol=1e-12)


@pytest.mark.parametrize("last_epoch", [0, 5, 6, 12, 13, 40])
@pytest.mark.parametrize(("cls", "options"), SCHEDULES, ids=name)
def test_going_on_by_last_epoch(cls, options, last_epoch):
    groups = [{"initial_lr": 0.5, "lr": 0.25}, {"initial_lr": 0.1, "lr": 0.04}]
    mine, torchs = both(cls, {**options, "last_epoch": last_epoch}, groups)
    np.testing.assert_allclose(rates(mine, 50), rates(torchs, 50), rtol=0, atol=1e-12)
