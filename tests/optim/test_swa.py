"""Averages of weights: by hand, beside PyTorch, their batch norms, their schedule, and what is refused."""

from __future__ import annotations

import copy
import itertools
import math
import pickle

import numpy as np
import pytest

from minidl import nn, to_host
from minidl.nn import Parameter
from minidl.optim import SGD, swa_utils
from minidl.optim.lr_scheduler import SequentialLR, StepLR
from minidl.optim.swa_utils import (
    SWALR,
    AveragedModel,
    get_ema_avg_fn,
    get_ema_multi_avg_fn,
    get_swa_avg_fn,
    get_swa_multi_avg_fn,
    update_bn,
)
from minidl.testing.optim import check_scheduler
from minidl.testing.planted import Bug, planted


def model(library=nn):
    made = library.Sequential(library.Linear(4, 3), library.BatchNorm1d(3), library.Linear(3, 2))
    return made.double()


def put(network, number):
    """Make all parameters and floating buffers this number, and counters its whole part."""
    for values in (*(p.data for p in network.parameters()), *network.buffers()):
        values[...] = number


def averages_by_hand():
    # the first is copied; then 1 → 4: mean 2.5; 10: mean 5     and with β = 0.75: 1.75, 3.8125
    # of a counter each is cut off: 1, 2, 2 + 8/3     and 1, 1, 3.25
    for options, expected, counts in (
        ({}, (1, 2.5, 5), (1, 2, 4)),
        ({"avg_fn": get_swa_avg_fn()}, (1, 2.5, 5), (1, 2, 4)),
        ({"multi_avg_fn": get_swa_multi_avg_fn()}, (1, 2.5, 5), (1, 2, 4)),
        ({"avg_fn": get_ema_avg_fn(0.75)}, (1, 1.75, 3.8125), (1, 1, 3)),
        ({"multi_avg_fn": get_ema_multi_avg_fn(0.75)}, (1, 1.75, 3.8125), (1, 1, 3)),
    ):
        for use_buffers in (False, True):
            network = model()
            averaged = AveragedModel(network, **options, use_buffers=use_buffers)
            for n, (number, wanted) in enumerate(zip((1, 4, 10), expected, strict=True), start=1):
                put(network, number)
                averaged.update_parameters(network)
                assert int(averaged.n_averaged) == n
                for parameter in averaged.parameters():
                    np.testing.assert_allclose(parameter.data, wanted, rtol=1e-15)
                buffers = dict(averaged.named_buffers())
                mean, count = buffers["module.1.running_mean"], buffers["module.1.num_batches_tracked"]
                np.testing.assert_allclose(mean, wanted if use_buffers else number, rtol=1e-15)
                assert count == (counts[n - 1] if use_buffers else number)
            for parameter in network.parameters():
                np.testing.assert_array_equal(parameter.data, 10)


def test_averages_by_hand():
    averages_by_hand()


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("kind", ["", "ema", "swa", "ema multi"])
def test_many_updates_beside_pytorch(kind, use_buffers):
    torch = pytest.importorskip("torch")
    from torch.optim import swa_utils as theirs

    mine, other = model(), model(torch.nn)
    which, multi = kind[:3], "_multi" if "multi" in kind else ""
    arguments = {"ema": (0.9,), "swa": (), "": ()}[which]
    both = []
    for library, network in ((swa_utils, mine), (theirs, other)):
        make = which and getattr(library, f"get_{which}{multi}_avg_fn")
        options = {"multi_avg_fn" if multi else "avg_fn": make(*arguments)} if make else {}
        both.append(library.AveragedModel(network, **options, use_buffers=use_buffers))
    ours, its = both
    rng = np.random.default_rng(0)
    for _ in range(10):
        state = mine.state_dict()
        for values in state.values():
            values[...] = (
                rng.integers(0, 100) if values.dtype.kind == "i" else rng.standard_normal(values.shape)
            )
        mine.load_state_dict(state)
        other.load_state_dict({name: torch.tensor(v) for name, v in state.items()})
        ours.update_parameters(mine)
        its.update_parameters(other)
    expected = its.state_dict()
    assert list(ours.state_dict()) == list(expected)
    for name, values in ours.state_dict().items():
        np.testing.assert_allclose(values, expected[name].numpy(), rtol=0, atol=1e-12, err_msg=name)


def statistics_of_all_batches():
    rng = np.random.default_rng(0)
    batches = [rng.standard_normal((6, 4)) + i for i in range(3)]
    network = model()
    x = [network[0](batch) for batch in batches]
    network.eval()
    network[1].train()
    network[1].running_mean[...] = 77
    network[1].num_batches_tracked[...] = 5
    update_bn([(batch, None) for batch in batches], network)
    norm = network[1]
    np.testing.assert_allclose(norm.running_mean, np.mean([v.mean(axis=0) for v in x], axis=0), rtol=1e-12)
    np.testing.assert_allclose(
        norm.running_var, np.mean([v.var(axis=0, ddof=1) for v in x], axis=0), rtol=1e-12
    )
    assert int(norm.num_batches_tracked) == 3
    assert norm.momentum == 0.1
    assert [m.training for m in network.modules()] == [False, False, True, False]
    assert all(m._memory is None for m in network.modules())


def test_statistics_of_all_batches():
    statistics_of_all_batches()
    network = nn.Sequential(nn.Linear(4, 3))
    update_bn(iter([1 / 0 for _ in ()]), network)  # nothing to measure, nothing is read


def test_an_averaged_model_is_a_module_of_its_own():
    network = model()
    averaged = AveragedModel(network, avg_fn=get_ema_avg_fn(0.5))
    for mine, theirs in zip(averaged.parameters(), network.parameters(), strict=True):
        assert not np.shares_memory(mine.data, theirs.data)
    x = np.random.default_rng(0).standard_normal((5, 4))
    np.testing.assert_array_equal(averaged(x), network(x))
    dy = np.ones((5, 2))
    np.testing.assert_array_equal(averaged.backward(dy), network.backward(dy))
    for made in (copy.deepcopy(averaged), pickle.loads(pickle.dumps(averaged))):
        made.update_parameters(network)
        made.update_parameters(network)
    other = AveragedModel(model())
    averaged.update_parameters(network)
    other.load_state_dict(averaged.state_dict())
    assert int(other.n_averaged) == 1
    assert "n_averaged=1, use_buffers=False" in repr(other)


def test_averages_on_a_device():
    network = model()
    averaged, there = AveragedModel(network), AveragedModel(network, device="sim")
    moved = copy.deepcopy(network).to("sim")
    for number in (1.0, 4.0):
        for made in (network, moved):
            put(made, number)
        averaged.update_parameters(network)
        there.update_parameters(moved)
    for mine, its in zip(averaged.parameters(), there.parameters(), strict=True):
        np.testing.assert_allclose(to_host(its.data), mine.data)
    there.update_parameters(network)  # from the host to where the average is


def test_what_is_refused():
    network = model()
    with pytest.raises(ValueError, match="avg_fn or multi_avg_fn, got both"):
        AveragedModel(network, avg_fn=get_swa_avg_fn(), multi_avg_fn=get_swa_multi_avg_fn())
    for make in (get_ema_avg_fn, get_ema_multi_avg_fn):
        with pytest.raises(ValueError, match=r"get_ema_avg_fn: expected decay to be .* got 1\.1"):
            make(1.1)
    averaged = AveragedModel(network)
    averaged.update_parameters(network)
    before = averaged.state_dict()
    for other in (nn.Linear(4, 3), nn.Sequential(nn.Linear(4, 3), nn.Identity(), nn.Linear(3, 2))):
        with pytest.raises(ValueError, match="parameters and buffers of the first, got others"):
            averaged.update_parameters(other)
    for name, values in averaged.state_dict().items():
        np.testing.assert_array_equal(values, before[name])


# -------------------------------------------------------------------- the rate


def optimizer(base=(0.5, 0.1)):
    return SGD([{"params": Parameter([1.0]), "lr": lr} for lr in base], lr=0.1)


def cosine(t, anneal=10):
    return (1 - math.cos(math.pi * min(1, t / anneal))) / 2


def promises_of_the_rate():
    for options, curve in (
        ({"swa_lr": 0.05}, lambda t, base: base + cosine(t) * (0.05 - base)),
        (
            {"swa_lr": 0.2, "anneal_epochs": 4, "anneal_strategy": "linear"},
            lambda t, base: base + min(1, t / 4) * (0.2 - base),
        ),
        ({"swa_lr": 0.2, "anneal_epochs": 0}, lambda t, base: 0.2),
    ):
        check_scheduler(lambda o, options=options: SWALR(o, **options), closed_form=curve)
    scheduler = SWALR(optimizer(), [1.0, 0.3], 2, "linear")
    assert scheduler.get_last_lr() == [0.5, 0.1]
    for expected in ([0.75, 0.2], [1, 0.3], [1, 0.3]):
        scheduler.step()
        np.testing.assert_allclose(scheduler.get_last_lr(), expected, rtol=1e-15)


def test_promises_of_the_rate():
    promises_of_the_rate()


@pytest.mark.parametrize("meddle", [False, True])
@pytest.mark.parametrize(
    ("anneal_epochs", "strategy", "last_epoch"),
    list(itertools.product((0, 1, 10), ("cos", "linear"), (-1, 0, 6))),
)
def test_a_hundred_epochs_beside_pytorch(anneal_epochs, strategy, last_epoch, meddle):
    torch = pytest.importorskip("torch")
    rates = []
    for make in (
        lambda: (optimizer(), SWALR),
        lambda: (
            torch.optim.SGD([{"params": [torch.nn.Parameter(torch.ones(1))], "lr": lr} for lr in (0.5, 0.1)]),
            torch.optim.swa_utils.SWALR,
        ),
    ):
        made, cls = make()
        for group in made.param_groups:
            group["initial_lr"] = 2 * group["lr"]
        scheduler = cls(made, [0.05, 0.2], anneal_epochs, strategy, last_epoch)
        seen = [scheduler.get_last_lr()]
        for step in range(100):
            made.step()
            if meddle and step in (3, 5):
                for group in made.param_groups:
                    group["lr"] *= 0.5
            scheduler.step()
            seen.append(scheduler.get_last_lr())
        rates.append(np.array(seen, float))
    np.testing.assert_allclose(rates[0], rates[1], rtol=0, atol=1e-12)


def test_it_takes_its_turn_in_a_sequence():
    made = optimizer((1.0,))
    scheduler = SequentialLR(made, [StepLR(made, 1, 0.5), SWALR(made, 0.2, 2, "linear")], [2])
    seen = [scheduler.get_last_lr()[0]]
    for _ in range(4):
        made.step()
        scheduler.step()
        seen.append(scheduler.get_last_lr()[0])
    np.testing.assert_allclose(seen, [1, 0.5, 1, 0.6, 0.2])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-0.1,), ValueError, "SWALR: expected swa_lr"),
        (([0.1],), ValueError, "swa_lr for 2 groups, got 1"),
        ((0.1, -1), ValueError, "anneal_epochs"),
        ((0.1, 1.5), TypeError, "anneal_epochs"),
        ((0.1, 2, "cubic"), ValueError, "one of cos, linear, got 'cubic'"),
    ],
)
def test_bad_options(arguments, error, message):
    with pytest.raises(error, match=message):
        SWALR(optimizer(), *arguments)


BUGS = [
    Bug(
        "EMA: the weights swapped",
        swa_utils,
        "_ema",
        "decay * average + (1 - decay)",
        "(1 - decay) * average + decay",
    ),
    Bug("SWA: off by one", swa_utils, "_swa", "(n + 1)", "max(n, 1)"),
    Bug("the first is averaged too", AveragedModel, "update_parameters", "n == 0", "False"),
    Bug("buffers always averaged", AveragedModel, "update_parameters", "if self.use_buffers:", "if True:"),
    Bug("buffers never averaged", AveragedModel, "update_parameters", "if self.use_buffers:", "if False:"),
    Bug("nothing is counted", AveragedModel, "update_parameters", "self.n_averaged[...] = n + 1", "pass"),
    Bug("averages that are the model itself", AveragedModel, "__init__", "copy.deepcopy(model)", "model"),
    Bug("statistics with momentum", swa_utils, "update_bn", "norm.momentum = None", "pass"),
    Bug("statistics on top of the old", swa_utils, "update_bn", "getattr(norm, name)[...] = start", "pass"),
    Bug("all modules train afterwards", swa_utils, "update_bn", "module.training = training", "pass"),
    Bug("the momentum is lost", swa_utils, "update_bn", "norm.momentum = momentum", "pass"),
    Bug("SWALR: a line always", SWALR, "_share", 'self.anneal_strategy == "linear"', "True"),
    Bug("SWALR: from the rate as it is", SWALR, "get_lr", "(lr - before * goal) / (1 - before)", "lr"),
    Bug(
        "SWALR: one epoch late",
        SWALR,
        "get_lr",
        "self._share(t - 1), self._share(t)",
        "self._share(t - 2), self._share(t - 1)",
    ),
]


def prove():
    averages_by_hand()
    statistics_of_all_batches()
    promises_of_the_rate()


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_planted_bugs_are_caught(bug):
    with planted(bug), np.errstate(all="ignore"), pytest.raises((AssertionError, AttributeError)):
        prove()
