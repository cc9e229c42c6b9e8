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


HALF = {"lr_lambda": lambda t: 0.5 ** (t % 7)}
SCHEDULES = [
    ("StepLR", {"step_size": 1}),
    ("StepLR", {"step_size": 7, "gamma": 0.7}),
    ("CosineAnnealingLR", {"T_max": 1}),
    ("CosineAnnealingLR", {"T_max": 2, "eta_min": 0.01}),
    ("CosineAnnealingLR", {"T_max": 13}),
    ("CosineAnnealingLR", {"T_max": 40, "eta_min": 0.003}),
    ("CosineAnnealingLR", {"T_max": 100}),
    ("CosineAnnealingLR", {"T_max": 300}),
    ("LambdaLR", HALF),
    ("LambdaLR", {"lr_lambda": [lambda t: 1 / (1 + t), lambda t: t + 0.5]}),
    ("MultiplicativeLR", {"lr_lambda": lambda t: 0.97 if t % 3 else 1.01}),
    ("MultiplicativeLR", {"lr_lambda": [lambda t: 0.9, lambda t: 1.1 - t / 100]}),
    ("MultiStepLR", {"milestones": [30, 6, 6, 13]}),
    ("MultiStepLR", {"milestones": [0, 41], "gamma": 0.7}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.9, "total_iters": 6}),
    ("ConstantLR", {"factor": 1, "total_iters": 0}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 1, "end_factor": 0, "total_iters": 20}),
    ("LinearLR", {"start_factor": 0.01, "end_factor": 0.7, "total_iters": 60}),
    ("ExponentialLR", {"gamma": 0.95}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 120, "power": 0.9}),
    ("PolynomialLR", {"total_iters": 14, "power": 2.5}),
    ("CosineAnnealingWarmRestarts", {"T_0": 7}),
    ("CosineAnnealingWarmRestarts", {"T_0": 1, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.01}),
    ("CyclicLR", {"base_lr": 0.02, "max_lr": 0.3, "step_size_up": 7}),
    ("CyclicLR", {"base_lr": [0.02, 0.1], "max_lr": [0.3, 0.7], "step_size_up": 4, "step_size_down": 9}),
    ("CyclicLR", {"base_lr": 0.02, "max_lr": 0.3, "step_size_up": 5, "mode": "triangular2"}),
    ("CyclicLR", {"base_lr": 0.02, "max_lr": 0.3, "step_size_up": 5, "mode": "exp_range", "gamma": 0.99}),
    (
        "CyclicLR",
        {
            "base_lr": 0.02,
            "max_lr": 0.3,
            "step_size_up": 5,
            "scale_fn": lambda x: 1 / (x + 1),
            "scale_mode": "iterations",
            "base_momentum": 0.5,
            "max_momentum": 0.6,
        },
    ),
    (
        "CyclicLR",
        {
            "base_lr": 0.1,
            "max_lr": 0.3,
            "step_size_up": 5,
            "scale_fn": lambda x: 1 / x,
            "cycle_momentum": False,
        },
    ),
    ("OneCycleLR", {"max_lr": 0.7, "total_steps": 101}),
    ("OneCycleLR", {"max_lr": [0.7, 0.2], "epochs": 11, "steps_per_epoch": 10, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 0.7, "total_steps": 130, "three_phase": True, "pct_start": 0.2}),
    (
        "OneCycleLR",
        {
            "max_lr": 0.7,
            "total_steps": 101,
            "base_momentum": 0.5,
            "max_momentum": [0.6, 0.7],
            "div_factor": 3,
            "final_div_factor": 7,
            "three_phase": True,
            "anneal_strategy": "linear",
        },
    ),
    ("OneCycleLR", {"max_lr": 0.7, "total_steps": 101, "pct_start": 0.9, "cycle_momentum": False}),
]


def libraries():
    for library, parameter in ((optim, Parameter), (torch.optim, torch.nn.Parameter)):
        yield (
            library,
            [parameter(Parameter([1.0]).data if parameter is Parameter else torch.ones(1)) for _ in "ab"],
        )


def two_groups(library, parameters, cls="SGD"):
    one, two = parameters
    more = {"momentum": 0.9} if cls == "SGD" else {}
    return getattr(library, cls)([{"params": [one], "lr": 0.5}, {"params": [two]}], lr=0.1, **more)


def both(cls, options, groups=None, optimizer_cls="SGD"):
    result = []
    for library, parameters in libraries():
        optimizer = two_groups(library, parameters, optimizer_cls)
        for group, extra in zip(optimizer.param_groups, groups or [{}, {}], strict=True):
            group.update(extra)
        result.append((optimizer, getattr(library.lr_scheduler, cls)(optimizer, **options)))
    return result


def rates(pair, steps, meddle=False, metrics=None):
    """The rates and momenta of each step; somebody else halves or doubles the rates now and then."""
    optimizer, scheduler = pair
    seen = []
    for step in range(steps + 1):
        groups = optimizer.param_groups
        assert scheduler.get_last_lr() == [group["lr"] for group in groups]
        seen.append(
            [*scheduler.get_last_lr(), *(group.get("momentum", group.get("betas")) for group in groups)]
        )
        seen[-1] = np.hstack(seen[-1])
        if step < steps:
            optimizer.step()
            if meddle and step in (17, 43):
                for group in groups:
                    group["lr"] *= 0.5 if step == 17 else 2
            scheduler.step(*([] if metrics is None else [metrics[step]]))
    return np.array(seen)


@pytest.mark.parametrize("meddle", [False, True])
@pytest.mark.parametrize(("cls", "options"), SCHEDULES, ids=name)
def test_a_hundred_epochs_of_a_schedule(cls, options, meddle):
    mine, torchs = both(cls, options)
    np.testing.assert_allclose(rates(mine, 100, meddle), rates(torchs, 100, meddle), rtol=0, atol=1e-12)


@pytest.mark.parametrize("last_epoch", [0, 5, 6, 12, 13, 40])
@pytest.mark.parametrize(
    ("cls", "options"),
    # PyTorch's warm restarts go on in the first stretch, whatever T_mult is
    [row for row in SCHEDULES if "T_mult" not in row[1]],
    ids=name,
)
def test_going_on_by_last_epoch(cls, options, last_epoch):
    groups = [{"initial_lr": 0.5, "lr": 0.25}, {"initial_lr": 0.1, "lr": 0.04}]
    if cls == "OneCycleLR":  # PyTorch takes the bounds from the groups, we from the arguments
        highest = options["max_lr"] if isinstance(options["max_lr"], list) else [options["max_lr"]] * 2
        tops = np.broadcast_to(options.get("max_momentum", 0.95), 2)
        for group, high, top in zip(groups, highest, tops, strict=True):
            group["initial_lr"] = high / options.get("div_factor", 25)
            lowest = group["initial_lr"] / options.get("final_div_factor", 1e4)
            group.update(max_lr=high, min_lr=lowest, max_momentum=float(top))
            group.update(base_momentum=options.get("base_momentum", 0.85))
    if cls == "CyclicLR":  # likewise
        for group, low in zip(groups, np.broadcast_to(options["base_lr"], 2).tolist(), strict=True):
            group["initial_lr"] = low
            group["base_momentum"] = options.get("base_momentum", 0.8)
            group["max_momentum"] = options.get("max_momentum", 0.9)
    mine, torchs = both(cls, {**options, "last_epoch": last_epoch}, groups)
    np.testing.assert_allclose(rates(mine, 50), rates(torchs, 50), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("cls", "options"), [row for row in SCHEDULES if row[0] in ("CyclicLR", "OneCycleLR")], ids=name
)
def test_adams_beta_as_momentum(cls, options):
    mine, torchs = both(cls, options, optimizer_cls="Adam")
    np.testing.assert_allclose(rates(mine, 100), rates(torchs, 100), rtol=0, atol=1e-12)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"patience": 0, "factor": 0.9},
        {"patience": 2, "cooldown": 3, "factor": 0.5, "min_lr": [0.1, 0.001]},
        {"patience": 1, "threshold": 0.1, "factor": 0.7, "min_lr": 0.01, "eps": 0.01},
    ],
    ids=name,
)
def test_a_hundred_epochs_on_a_plateau(mode, threshold_mode, options):
    rng, lowered = np.random.default_rng(0), []
    for sign in (1, -1):
        metrics = sign * (np.exp(-np.arange(100) / 30) + 0.1 * rng.random(100))
        metrics[50] = np.nan
        options = {**options, "mode": mode, "threshold_mode": threshold_mode}
        mine, torchs = (
            rates(pair, 100, metrics=metrics.tolist()) for pair in both("ReduceLROnPlateau", options)
        )
        np.testing.assert_allclose(mine, torchs, rtol=0, atol=1e-12)
        lowered.append(mine[-1, 0] < mine[0, 0])
    assert any(lowered)


PARTS = [
    [("ConstantLR", {"factor": 0.1, "total_iters": 3}), ("ExponentialLR", {"gamma": 0.9})],
    [("LinearLR", {"total_iters": 11}), ("CosineAnnealingLR", {"T_max": 25}), ("StepLR", {"step_size": 3})],
    [("MultiStepLR", {"milestones": [2, 5]}), ("MultiplicativeLR", {"lr_lambda": lambda t: 0.99})],
    [("PolynomialLR", {}), ("LambdaLR", HALF), ("ConstantLR", {}), ("LinearLR", {})],
    [("ExponentialLR", {"gamma": 0.9}), ("CosineAnnealingWarmRestarts", {"T_0": 5, "T_mult": 2})],
]


@pytest.mark.parametrize("parts", PARTS, ids=lambda parts: "-".join(cls for cls, _ in parts))
@pytest.mark.parametrize("how", ["SequentialLR", "ChainedScheduler"])
def test_a_hundred_epochs_of_several(how, parts):
    seen = []
    for library, parameters in libraries():
        optimizer = two_groups(library, parameters)
        schedulers = [getattr(library.lr_scheduler, cls)(optimizer, **options) for cls, options in parts]
        if how == "SequentialLR":
            milestones = [7, 31, 60][: len(parts) - 1]
            scheduler = library.lr_scheduler.SequentialLR(optimizer, schedulers, milestones)
        else:
            scheduler = library.lr_scheduler.ChainedScheduler(schedulers, optimizer)
        seen.append(rates((optimizer, scheduler), 100))
    np.testing.assert_allclose(seen[0], seen[1], rtol=0, atol=1e-12)


def test_warm_restarts_at_a_given_epoch():
    mine, torchs = both("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2})
    for epoch in (0.5, 2.9, 3.1, None, None, 11, 20.75, None, 5.5, None, 0):
        for _, scheduler in (mine, torchs):
            scheduler.step(epoch)
        np.testing.assert_allclose(mine[1].get_last_lr(), torchs[1].get_last_lr(), rtol=0, atol=1e-12)
        assert mine[1].last_epoch == torchs[1].last_epoch


@pytest.mark.parametrize("cls", optim.lr_scheduler.__all__)
def test_same_constructor_of_a_schedule(cls):
    mine = inspect.signature(getattr(optim.lr_scheduler, cls)).parameters
    torchs = inspect.signature(getattr(torch.optim.lr_scheduler, cls)).parameters
    assert [(n, p.default) for n, p in mine.items()] == [(n, p.default) for n, p in torchs.items()]
