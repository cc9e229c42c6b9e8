"""Public checks for optimizers and learning-rate schedules: minidl's own, and those that a reader writes."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minidl.errors import ShapeError, StateDictError
from minidl.nn.parameter import Parameter
from minidl.optim import SGD, Optimizer
from minidl.optim.lr_scheduler import LRScheduler
from minidl.testing._promises import expect, require, same_bits

__all__ = ["check_optimizer", "check_scheduler"]

MakeOptimizer = Callable[[Any], Optimizer]
MakeScheduler = Callable[[Optimizer], LRScheduler]


def check_optimizer(
    make_optimizer: MakeOptimizer,
    *,
    steps: int = 3000,
    rosenbrock_below: float = 1e-5,
    lr_scales_steps: bool = True,
) -> None:
    """Check everything that an optimizer promises, whatever its rule.

    It finds the bottom of a parabola to 1e-6 and goes far down Rosenbrock's valley; saved in the middle
    and continued, it gives the same bits; it passes by what is frozen or has no gradient; it keeps dtypes
    and only reads gradients; it refuses bad parameters, bad rates and state dicts that do not fit.

    Args:
        make_optimizer: makes it with every option set, from parameters or parameter groups, such as
            `lambda params: SGD(params, lr=1e-3, momentum=0.9)`. Where it decays weights, the parabola's
            bottom is at 0.
        steps: how many steps it may take down each of the two.
        rosenbrock_below: what Rosenbrock's function, 24.2 at the start and 0 at best, must come down to.
        lr_scales_steps: False for a rule whose rate is no factor of its steps, such as Rprop's, so that
            a rate of 0 does not stand still.

    Raises:
        AssertionError: it breaks a promise; the message says which.
    """
    _check_parabola(make_optimizer, steps)
    _check_rosenbrock(make_optimizer, steps, rosenbrock_below)
    _check_dtypes_and_memory(make_optimizer)
    _check_save_and_continue(make_optimizer)
    _check_passed_by(make_optimizer)
    if lr_scales_steps:
        _check_groups(make_optimizer)
    _check_bad_parameters(make_optimizer)
    _check_bad_state(make_optimizer)
    _check_repr(make_optimizer([Parameter(np.zeros(1))]), r"^ +{}: ", ("params",))


def check_scheduler(
    make_scheduler: MakeScheduler,
    *,
    steps: int = 25,
    closed_form: Callable[[int, float], float] | None = None,
) -> None:
    """Check everything that a learning-rate schedule promises, whatever its curve.

    The optimizer's groups have the rates that `get_last_lr` tells; saved after any step and resumed, the
    rates to come are the same; what does not fit is refused.

    Args:
        make_scheduler: makes it for an optimizer, such as `lambda optimizer: StepLR(optimizer, 3)`.
        steps: how many epochs to look at.
        closed_form: the rate in epoch t for a base rate, to be met to 1e-12.

    Raises:
        AssertionError: it breaks a promise; the message says which.
    """
    _check_rates(make_scheduler, steps, closed_form)
    _check_resume(make_scheduler, steps)
    _check_bad_scheduler(make_scheduler)
    _check_repr(make_scheduler(_two_groups()), r"\b{}=", ("optimizer",))


# ---------------------------------------------------------------- optimizers


def _check_parabola(make: MakeOptimizer, steps: int) -> None:
    # f = Σ a (θ − c)² / 2, so that df/dθ = a (θ − c)
    theta = Parameter(np.array([2.0, -2.0, 1.0]))
    optimizer = make([theta])
    decays = any(group.get("weight_decay") or group.get("lambd") for group in optimizer.param_groups)
    a, c = np.array([1.0, 4.0, 10.0]), np.array([0.0, 0.0, 0.0] if decays else [3.0, -1.0, 0.5])
    for _ in range(steps):
        theta.grad = _uphill(optimizer) * a * (theta.data - c)
        optimizer.step()
    distance = float(np.abs(theta.data - c).max())
    require(distance <= 1e-6, f"parabola: expected to come within 1e-6 of the bottom, got {distance:.1e}")


def _check_rosenbrock(make: MakeOptimizer, steps: int, below: float) -> None:
    # f = (1 − x)² + 100 (y − x²)²: a bent, narrow valley with the bottom at (1, 1)
    theta = Parameter(np.array([-1.2, 1.0]))
    optimizer = make([theta])
    for _ in range(steps):
        x, y = theta.data
        slope = np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])
        theta.grad = _uphill(optimizer) * slope
        optimizer.step()
    x, y = theta.data
    value = float((1 - x) ** 2 + 100 * (y - x * x) ** 2)
    require(value < below, f"Rosenbrock: expected a value below {below} after {steps} steps, got {value:.2e}")


def _check_save_and_continue(make: MakeOptimizer) -> None:
    rng = np.random.default_rng(1)
    parameters = _parameters()
    optimizer = make(_in_two_groups(parameters))
    _take_steps(optimizer, parameters, rng, 7)
    saved = optimizer.state_dict()
    kept = copy.deepcopy(saved)

    resumed_parameters = [Parameter(parameter.data) for parameter in parameters]
    resumed = make(_in_two_groups(resumed_parameters))
    resumed.param_groups[0]["lr"] = 123.0
    resumed.load_state_dict(saved)
    resumed_rng = copy.deepcopy(rng)
    _take_steps(optimizer, parameters, rng, 5)
    _take_steps(resumed, resumed_parameters, resumed_rng, 5)
    require(same_bits(saved, kept), "state_dict: expected copies, got arrays that later steps changed")
    for mine, theirs in zip(parameters, resumed_parameters, strict=True):
        require(
            same_bits(mine.data, theirs.data),
            "load_state_dict: expected the same bits after it as without it",
        )
    require(
        same_bits(optimizer.state_dict(), resumed.state_dict()), "load_state_dict: expected the same state"
    )


def _check_passed_by(make: MakeOptimizer) -> None:
    frozen, without, moving = (Parameter(np.ones(3)) for _ in range(3))
    optimizer = make([frozen, without, moving])
    optimizer.step()
    require(
        all(same_bits(p.data, np.ones(3)) for p in (frozen, without, moving)),
        "no gradients: expected no change",
    )
    for parameter in (frozen, moving):
        parameter.grad = np.ones(3)
    frozen.requires_grad = False
    optimizer.step()
    require(same_bits(frozen.data, np.ones(3)), "a frozen parameter: expected no change")
    require(same_bits(without.data, np.ones(3)), "a parameter without gradient: expected no change")
    require(not same_bits(moving.data, np.ones(3)), "a parameter with a gradient: expected a change")
    require(
        not {frozen, without} & set(optimizer.state), "expected no state of parameters that are passed by"
    )
    optimizer.zero_grad()
    require(moving.grad is None, "zero_grad: expected the gradient to be None")


def _check_dtypes_and_memory(make: MakeOptimizer) -> None:
    for dtype in (np.dtype(np.float32), np.dtype(np.float64)):
        for shape in ((), (0,), (2, 3)):
            parameter = Parameter(np.ones(shape, dtype))
            data = parameter.data
            optimizer = make([parameter])
            for _ in range(3):
                gradient = np.full(shape, 0.5, dtype)
                gradient.flags.writeable = False  # a write would raise
                parameter.grad = gradient
                optimizer.step()
                for name, value in optimizer.state[parameter].items():
                    if isinstance(value, int | float):
                        continue
                    require(value.dtype == dtype, f"{name}: expected {dtype}, got {value.dtype}")
                    require(value.shape == shape, f"{name}: expected shape {shape}, got {value.shape}")
                    for other in (gradient, data):
                        require(not np.shares_memory(value, other), f"{name}: expected memory of its own")
            require(parameter.data is data, "expected the values to change in place")
            require(data.dtype == dtype, f"expected values of {dtype} to stay so, got {data.dtype}")
            require(data.size == 0 or (data != 1).all(), f"shape {shape}: expected every value to change")


def _check_groups(make: MakeOptimizer) -> None:
    still, moving, late = (Parameter(np.ones(2)) for _ in range(3))
    optimizer = make([{"params": [still], "lr": 0.0}, {"params": iter([moving])}])
    optimizer.add_param_group({"params": late, "lr": 0.0})
    for parameter in (still, moving, late):
        parameter.grad = np.ones(2)
    optimizer.step()
    require(
        same_bits(still.data, np.ones(2)), "parameter groups: expected no change with the group's lr of 0"
    )
    require(same_bits(late.data, np.ones(2)), "add_param_group: expected no change with the group's lr of 0")
    require(not same_bits(moving.data, np.ones(2)), "parameter groups: expected a change with the default lr")
    require(optimizer.state_dict()["param_groups"][2]["params"] == [2], "expected indices through all groups")


def _check_bad_parameters(make: MakeOptimizer) -> None:
    one, two = Parameter(np.ones(2)), Parameter(np.ones(2))
    used_up = iter([one])
    list(used_up)
    for params, error, words in (
        ([], ValueError, "at least one parameter"),
        (used_up, ValueError, "at least one parameter"),
        ([one, one], ValueError, "already in this group"),
        ([{"params": [one]}, {"params": [two, one]}], ValueError, "already in group 0"),
        ([one, np.ones(2)], TypeError, "ndarray"),
        ([("weight", one)], TypeError, "tuple"),
        (one, TypeError, "Parameter"),
        ({one}, TypeError, "set"),
        (3, TypeError, "int"),
        ([{"lr": 0.1}], ValueError, "'params'"),
        ([{"params": [one], "learning_rate": 0.1}], ValueError, "'learning_rate'"),
        ([{"params": [one], "lr": -0.1}], ValueError, "-0.1"),
        ([{"params": [one], "lr": float("nan")}], ValueError, "nan"),
        ([{"params": [one], "lr": "fast"}], TypeError, "'fast'"),
    ):
        expect(error, words, make, params)

    optimizer = make([one, two])
    before = optimizer.state_dict()
    expect(ValueError, "already in group 0", optimizer.add_param_group, {"params": [Parameter([1.0]), one]})
    require(same_bits(before, optimizer.state_dict()), "add_param_group: expected no change after an error")
    one.grad, two.grad = np.ones(2), np.ones((2, 1))  # it would broadcast
    expect(ShapeError, "(2, 1)", optimizer.step)
    require(same_bits(one.data, np.ones(2)), "step: expected no change when a gradient does not fit")


def _check_bad_state(make: MakeOptimizer) -> None:
    parameters = _parameters()
    optimizer = make(_in_two_groups(parameters))
    _take_steps(optimizer, parameters, np.random.default_rng(2), 2)
    good = optimizer.state_dict()
    last = max(good["state"], default=2)

    def refused(words: str, change: Callable[[dict[str, Any]], object]) -> None:
        bad = copy.deepcopy(good)
        for array in (
            v for entry in bad["state"].values() for v in entry.values() if isinstance(v, np.ndarray)
        ):
            array += 1  # so that half a load would show
        bad["param_groups"][0]["lr"] = 77.0
        change(bad)
        expect(StateDictError, words, optimizer.load_state_dict, bad)
        require(same_bits(good, optimizer.state_dict()), f"load_state_dict ({words}): expected no change")

    refused("param_groups", lambda bad: bad.pop("param_groups"))
    refused("'state'", lambda bad: bad.pop("state"))
    refused("expected 2 parameter groups, got 1", lambda bad: bad["param_groups"].pop())
    refused("group 1: expected 1 parameters, got 2", lambda bad: bad["param_groups"][1]["params"].append(9))
    refused("group 1: expected 1 parameters, got 3", lambda bad: bad["param_groups"][1].update(params=3))
    refused("lr", lambda bad: bad["param_groups"][1].pop("lr"))
    refused("-1", lambda bad: bad["param_groups"][1].update(lr=-1))
    refused("99", lambda bad: bad["state"].update({99: {}}))
    refused("'mystery'", lambda bad: bad["state"].setdefault(last, {}).update(mystery=1.0))
    for name, value in good["state"].get(last, {}).items():
        wrong = -1 if isinstance(value, int | float) else np.ones((7, 7))
        refused(name, lambda bad, name=name, wrong=wrong: bad["state"][last].update({name: wrong}))  # type: ignore[misc]
        text = np.full(np.shape(value), "x")
        refused(name, lambda bad, name=name, text=text: bad["state"][last].update({name: text}))  # type: ignore[misc]


# ---------------------------------------------------------------- schedules


def _check_rates(make: MakeScheduler, steps: int, closed_form: Callable[[int, float], float] | None) -> None:
    optimizer = _two_groups()
    bases = [group["lr"] for group in optimizer.param_groups]
    scheduler = make(optimizer)
    require(scheduler.base_lrs == bases, f"base_lrs: expected {bases}, got {scheduler.base_lrs}")
    for t in range(steps):
        rates = [group["lr"] for group in optimizer.param_groups]
        require(scheduler.last_epoch == t, f"last_epoch: expected {t}, got {scheduler.last_epoch}")
        require(scheduler.get_last_lr() == rates, f"get_last_lr: expected {rates}")
        require(
            [group["initial_lr"] for group in optimizer.param_groups] == bases,
            "expected 'initial_lr' to stay",
        )
        if closed_form is not None:
            for base, rate in zip(bases, rates, strict=True):
                expected = closed_form(t, base)
                require(abs(rate - expected) <= 1e-12, f"epoch {t}: expected the rate {expected}, got {rate}")
        optimizer.step()
        scheduler.step()
    scheduler.get_last_lr()[0] = -1.0
    require(scheduler.get_last_lr()[0] != -1.0, "get_last_lr: expected a copy")


def _check_resume(make: MakeScheduler, steps: int) -> None:
    optimizer = _two_groups()
    scheduler = make(optimizer)
    saved, rates = [], []
    for _ in range(steps):
        saved.append((optimizer.state_dict(), scheduler.state_dict()))
        scheduler.step()
        rates.append(scheduler.get_last_lr())
    for load_first in (False, True):  # before the scheduler is made, or after
        for start, (optimizer_state, scheduler_state) in enumerate(saved):
            optimizer = _two_groups()
            if load_first:
                optimizer.load_state_dict(optimizer_state)
            scheduler = make(optimizer)
            optimizer.load_state_dict(optimizer_state)
            scheduler.load_state_dict(scheduler_state)
            for t in range(start, steps):
                scheduler.step()
                got = scheduler.get_last_lr()
                require(
                    got == rates[t], f"resumed at epoch {start}: expected {rates[t]} at {t + 1}, got {got}"
                )


def _check_bad_scheduler(make: MakeScheduler) -> None:
    expect(TypeError, "Optimizer", make, "no optimizer")
    optimizer = _two_groups()
    scheduler = make(optimizer)
    scheduler.step()
    good = scheduler.state_dict()
    cases: tuple[tuple[str, Callable[[dict[str, Any]], object]], ...] = (
        ("'last_epoch' is missing", lambda bad: bad.pop("last_epoch")),
        ("'mystery' is not expected", lambda bad: bad.update(mystery=1)),
        ("base_lrs to be 2 numbers", lambda bad: bad.update(base_lrs=[0.1])),
        ("last_epoch", lambda bad: bad.update(last_epoch="last")),
    )
    for words, change in cases:
        bad = copy.deepcopy(good) | {"last_epoch": 5}
        change(bad)
        expect(StateDictError, words, scheduler.load_state_dict, bad)
        require(scheduler.state_dict() == good, f"load_state_dict ({words}): expected no change")
    optimizer.add_param_group({"params": Parameter([1.0])})
    expect(ValueError, "2 parameter groups", scheduler.step)


# ---------------------------------------------------------------- small things


def _uphill(optimizer: Optimizer) -> int:
    """The sign that turns the function around for an optimizer that maximises."""
    return -1 if optimizer.param_groups[0].get("maximize") else 1


def _parameters() -> list[Parameter]:
    rng = np.random.default_rng(0)
    return [Parameter(rng.standard_normal(shape, np.float32)) for shape in ((3, 2), (4,), ())]


def _in_two_groups(parameters: list[Parameter]) -> list[dict[str, Any]]:
    return [{"params": parameters[:2], "lr": 0.02}, {"params": parameters[2:]}]


def _two_groups() -> Optimizer:
    groups: list[dict[str, Any]] = [{"params": Parameter([1.0]), "lr": 0.5}, {"params": Parameter([1.0])}]
    return SGD(groups, lr=0.1)


def _take_steps(
    optimizer: Optimizer, parameters: Iterable[Parameter], rng: np.random.Generator, steps: int
) -> None:
    for _ in range(steps):
        for parameter in parameters:
            parameter.grad = np.asarray(rng.standard_normal(parameter.shape, np.float32))
        optimizer.step()


def _check_repr(thing: Any, pattern: str, hidden: tuple[str, ...]) -> None:
    text = repr(thing)
    for name in inspect.signature(type(thing)).parameters:
        if name not in hidden:
            found = re.search(pattern.format(re.escape(name)), text, re.MULTILINE)
            require(found, f"repr: expected the constructor's argument {name!r} in {text!r}")
