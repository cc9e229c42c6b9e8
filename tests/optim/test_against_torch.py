"""A hundred steps beside PyTorch give PyTorch's numbers, whatever the options."""

import itertools

import numpy as np
import pytest
from optim.samples import name

from minidl import optim
from minidl.nn import Parameter

torch = pytest.importorskip("torch")

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
    ("SGD", {}),
    ("Adam", {}),
    ("AdamW", {}),
]
SHAPES = [(3, 4), (4,), (2, 1, 3), ()]


def in_groups(parameters):
    return [
        {"params": parameters[:1], "lr": 0.05},
        {"params": parameters[1:3], "weight_decay": 0.2},
        {"params": parameters[3:]},
    ]


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


@pytest.mark.parametrize(("cls", "options"), OPTIONS, ids=name)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_hundred_steps(cls, options, dtype):
    ours, theirs = pairs(dtype)
    my_optimizer = getattr(optim, cls)(in_groups(ours), **{"lr": 0.01} | options)
    their_optimizer = getattr(torch.optim, cls)(in_groups(theirs), **{"lr": 0.01} | options)
    walk(ours, theirs, my_optimizer, their_optimizer, 100)
    # float64: 1e-8 by the checks' rule; float32: torch's own tolerances
    rtol, atol = (0, 1e-8) if dtype == np.float64 else (1.3e-6, 1e-5)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.data, other.detach().numpy(), rtol=rtol, atol=atol)
        assert mine.dtype == dtype


@pytest.mark.parametrize("cls", ["SGD", "Adam", "AdamW"])
def test_same_constructor(cls):
    import inspect

    mine = inspect.signature(getattr(optim, cls)).parameters
    torchs = inspect.signature(getattr(torch.optim, cls)).parameters
    assert list(mine)[:-1] == [n for n, p in torchs.items() if n in mine and p.kind != p.KEYWORD_ONLY]
    for key, parameter in mine.items():
        assert parameter.default == torchs[key].default, key
        assert (parameter.kind == parameter.KEYWORD_ONLY) == (torchs[key].kind == parameter.KEYWORD_ONLY), key


@pytest.mark.parametrize(
    ("cls", "options"),
    [("SGD", {}), ("SGD", {"momentum": 0.9}), ("Adam", {}), ("AdamW", {"amsgrad": True})],
    ids=name,
)
def test_pytorchs_own_state_dict_is_taken_over(cls, options):
    ours, theirs = pairs(np.float64)
    their_optimizer = getattr(torch.optim, cls)(in_groups(theirs), lr=0.01, **options)
    walk(ours, theirs, optim.SGD(ours), their_optimizer, 5)
    for mine, other in zip(ours, theirs, strict=True):
        mine.data[...] = other.detach().numpy()
    my_optimizer = getattr(optim, cls)(in_groups(ours), lr=1.0)
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
