"""Every public schedule: it keeps the promises of all, follows its closed form, and refuses nonsense."""

import copy
import inspect

import pytest
from optim.by_hand import RATES, check_rates
from optim.samples import SCHEDULERS, make_scheduler, name, scheduler_samples

from minidl.errors import StateDictError
from minidl.nn import Parameter
from minidl.optim import SGD, Adagrad, lr_scheduler
from minidl.optim import lr_scheduler as L
from minidl.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, StepLR
from minidl.testing.optim import check_scheduler


def sgd(lr=1.0):
    return SGD([Parameter([1.0])], lr=lr)


def test_every_public_schedule_has_samples_and_rates_worked_out_by_hand():
    public = {
        value
        for value in vars(lr_scheduler).values()
        if inspect.isclass(value) and issubclass(value, LRScheduler) and value is not LRScheduler
    }
    assert public == set(SCHEDULERS) == {cls for cls, *_ in RATES}
    assert sorted(cls.__name__ for cls in {*public, LRScheduler}) == sorted(lr_scheduler.__all__)


@pytest.mark.parametrize(("cls", "options", "curve"), scheduler_samples(), ids=name)
def test_promises_and_closed_form(cls, options, curve):
    check_scheduler(make_scheduler(cls, options), closed_form=curve)


@pytest.mark.parametrize(("cls", "options", "expected"), RATES, ids=name)
def test_rates_by_hand(cls, options, expected):
    check_rates(cls, options, expected)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda o: StepLR(o, 0), ValueError, "StepLR: expected step_size .* of at least 1, got 0"),
        (lambda o: StepLR(o, 2.5), TypeError, "StepLR: expected step_size to be a whole number, got 2.5"),
        (lambda o: StepLR(o, 3, gamma=-1), ValueError, "StepLR: expected gamma"),
        (lambda o: StepLR(o, 3, gamma="half"), TypeError, "StepLR: expected gamma"),
        (lambda o: CosineAnnealingLR(o, 0), ValueError, "CosineAnnealingLR: expected T_max"),
        (lambda o: CosineAnnealingLR(o, 10, -0.1), ValueError, "CosineAnnealingLR: expected eta_min"),
        (lambda o: StepLR(o, 3, last_epoch=-2), ValueError, "StepLR: expected last_epoch"),
        (lambda o: StepLR(o, 3, last_epoch=4), ValueError, "'initial_lr' in parameter group 0 .* epoch 4"),
        (lambda o: StepLR([o], 3), TypeError, "StepLR: expected an Optimizer, got list"),
        (lambda o: L.LambdaLR(o, 0.5), TypeError, "LambdaLR: expected lr_lambda to be a function"),
        (lambda o: L.LambdaLR(o, [abs, abs]), ValueError, "expected lr_lambda for 1 groups, got 2"),
        (lambda o: L.MultiplicativeLR(o, "x"), TypeError, "MultiplicativeLR: expected lr_lambda"),
        (lambda o: L.MultiStepLR(o, 3), TypeError, "expected milestones to be a list of epochs, got 3"),
        (lambda o: L.MultiStepLR(o, [1.5]), TypeError, "expected milestones to be a whole number, got 1.5"),
        (lambda o: L.MultiStepLR(o, [-1]), ValueError, "MultiStepLR: expected milestones"),
        (lambda o: L.ExponentialLR(o, -1), ValueError, "ExponentialLR: expected gamma"),
        (lambda o: L.ConstantLR(o, 0), ValueError, "ConstantLR: expected factor to be above 0, got 0"),
        (lambda o: L.ConstantLR(o, 1.5), ValueError, "ConstantLR: expected factor .* of at most 1, got 1.5"),
        (lambda o: L.ConstantLR(o, 1, 2.5), TypeError, "ConstantLR: expected total_iters"),
        (lambda o: L.LinearLR(o, 0), ValueError, "LinearLR: expected start_factor to be above 0"),
        (lambda o: L.LinearLR(o, 1, 1.1), ValueError, "LinearLR: expected end_factor"),
        (lambda o: L.PolynomialLR(o, -1), ValueError, "PolynomialLR: expected total_iters"),
        (lambda o: L.PolynomialLR(o, 5, -1), ValueError, "PolynomialLR: expected power"),
        (lambda o: L.CosineAnnealingWarmRestarts(o, 0), ValueError, "expected T_0 .* at least 1, got 0"),
        (lambda o: L.CosineAnnealingWarmRestarts(o, 3, 1.5), TypeError, "expected T_mult"),
        (lambda o: L.CosineAnnealingWarmRestarts(o, 3).step(-1), ValueError, "expected epoch"),
        (lambda o: L.CyclicLR(o, 0.1, [1, 2]), ValueError, "CyclicLR: expected max_lr for 1 groups, got 2"),
        (lambda o: L.CyclicLR(o, 0.1, 1, 0), ValueError, "CyclicLR: expected step_size_up"),
        (lambda o: L.CyclicLR(o, 0.1, 1, mode="x"), ValueError, "expected mode to be one of .*, got 'x'"),
        (lambda o: L.CyclicLR(Adagrad([Parameter([1.0])]), 1, 2), ValueError, "momentum or betas .* Adagrad"),
        (lambda o: L.OneCycleLR(o, 1), ValueError, "expected total_steps, or epochs and steps_per_epoch"),
        (lambda o: L.OneCycleLR(o, 1, 9, pct_start=1.5), ValueError, "OneCycleLR: expected pct_start"),
        (lambda o: L.OneCycleLR(o, 1, 9, anneal_strategy="x"), ValueError, "one of cos, linear, got 'x'"),
        (lambda o: L.OneCycleLR(o, 1, 9, div_factor=0), ValueError, "expected div_factor to be above 0"),
        (lambda o: [s.step() for s in 3 * [L.OneCycleLR(o, 1, 2)]], ValueError, "expected 2 steps in all"),
        (lambda o: L.ReduceLROnPlateau(o, "x"), ValueError, "expected mode to be one of min, max"),
        (lambda o: L.ReduceLROnPlateau(o, factor=1), ValueError, "expected factor .* below 1, got 1"),
        (lambda o: L.ReduceLROnPlateau(o, patience=-1), ValueError, "expected patience"),
        (lambda o: L.ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "one of rel, abs, got 'x'"),
        (lambda o: L.ReduceLROnPlateau(o).step(), TypeError, "metrics"),
        (lambda o: L.SequentialLR(o, [], []), ValueError, "expected at least one scheduler, got none"),
        (lambda o: L.SequentialLR(o, [StepLR(o, 3)], [1]), ValueError, "expected 0 milestones for 1 sched"),
        (
            lambda o: L.SequentialLR(o, [StepLR(o, 3) for _ in "abc"], [4, 2]),
            ValueError,
            r"expected milestones that rise, got \[4, 2\]",
        ),
        (lambda o: L.SequentialLR(o, [StepLR(sgd(), 3)], []), ValueError, "of one optimizer, .* at 0"),
        (lambda o: L.ChainedScheduler([]), ValueError, "expected at least one scheduler, got none"),
        (lambda o: L.ChainedScheduler([L.ReduceLROnPlateau(o)]), TypeError, "got ReduceLROnPlateau at 0"),
        (lambda o: L.ChainedScheduler([3]), TypeError, "expected an Optimizer, got NoneType"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make(sgd())


def test_a_rate_changed_by_somebody_else_stays_changed():
    optimizer = sgd()
    step, cosine = StepLR(optimizer, 2, gamma=0.5), CosineAnnealingLR(optimizer, 4)
    assert step.base_lrs == cosine.base_lrs == [1.0]
    for _ in range(2):
        step.step()
        cosine.step()
    # both at once: half by the steps, half by the cosine
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.25, abs=1e-15)


def test_going_on_by_last_epoch():
    optimizer = sgd()
    scheduler = StepLR(optimizer, 3, gamma=0.5)
    for _ in range(4):
        scheduler.step()
    again = StepLR(optimizer, 3, gamma=0.5, last_epoch=4)  # goes on with epoch 5
    assert again.last_epoch == 5
    assert again.get_last_lr() == [0.5]
    again.step()
    assert again.get_last_lr() == [0.25]


def test_a_saved_schedule_brings_its_own_arguments():
    saved = CosineAnnealingLR(sgd(), 7, 0.25).state_dict()
    scheduler = CosineAnnealingLR(sgd(), 3)
    scheduler.load_state_dict(saved)
    assert repr(scheduler) == "CosineAnnealingLR(T_max=7, eta_min=0.25, last_epoch=0)"
    with pytest.raises(StateDictError, match=r"'step_size' is missing(.|\n)*'T_max' is not expected"):
        StepLR(sgd(), 3).load_state_dict(saved)


@pytest.mark.parametrize(
    "bad",
    [
        {"base_lrs": [0.1, "x"]},
        {"base_lrs": 3},
        {"_last_lr": [None]},
        {"last_epoch": 1.5},
        {"last_epoch": -1},
        {"gamma": None},
        {"step_size": 0},
    ],
)
def test_bad_values_are_refused_whole(bad):
    scheduler = StepLR(sgd(), 3)
    good = scheduler.state_dict()
    with pytest.raises(StateDictError, match=next(iter(bad))):
        scheduler.load_state_dict({**good, "last_epoch": 9, **bad})
    assert scheduler.state_dict() == good


def test_a_schedule_of_ones_own_needs_only_get_lr():
    class Halving(LRScheduler):
        def get_lr(self):
            return [lr / 2 for lr in self.current_lr()]

    check_scheduler(Halving, closed_form=lambda t, base: base / 2**t)
    with pytest.raises(NotImplementedError, match="LRScheduler does not define get_lr"):
        LRScheduler(sgd()).step()


def test_a_combined_load_that_fails_changes_nothing():
    optimizer = sgd()
    scheduler = L.ChainedScheduler([StepLR(optimizer, 3), L.ExponentialLR(optimizer, 0.5)])
    good = scheduler.state_dict()
    bad = copy.deepcopy(good)
    bad["_schedulers"][0]["last_epoch"] = 7  # fits
    bad["_schedulers"][1]["gamma"] = -1  # does not
    for wrong in (bad, {**good, "_schedulers": []}, None):
        with pytest.raises(StateDictError):
            scheduler.load_state_dict(wrong)
        assert scheduler.state_dict() == good


def test_a_plateau_sees_new_groups():
    optimizer = sgd()
    scheduler = L.ReduceLROnPlateau(optimizer)
    optimizer.add_param_group({"params": Parameter([1.0])})
    with pytest.raises(ValueError, match="1 parameter groups"):
        scheduler.step(1.0)
