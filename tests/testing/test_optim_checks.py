"""The public checks of optimizers and schedules say what is wrong, on code that minidl did not write."""

import numpy as np
import pytest

from minidl.optim import SGD, Optimizer
from minidl.optim.lr_scheduler import LRScheduler, StepLR
from minidl.testing.optim import check_optimizer, check_scheduler


class Careful(Optimizer):
    """A learner's optimizer that does everything right."""

    state_names = ("step", "mean")

    def __init__(self, params, lr=1e-3):
        super().__init__(params, {"lr": lr})

    def update(self, theta, g, state, group):
        if not state:
            state.update(step=0, mean=np.zeros_like(theta))
        state["step"] += 1
        state["mean"] *= 0.9
        state["mean"] += g
        theta -= group["lr"] * state["mean"]


class WidensTheState(Careful):
    def update(self, theta, g, state, group):
        super().update(theta, g, state, group)
        state["mean"] = state["mean"].astype(np.float64)


class KeepsTheGradient(Optimizer):
    state_names = ("last",)

    def __init__(self, params, lr=1e-3):
        super().__init__(params, {"lr": lr})

    def update(self, theta, g, state, group):
        if "last" in state:
            g = 0.9 * state["last"] + g
        state["last"] = g
        theta -= group["lr"] * g


class ForgetsToDeclareItsState(Careful):
    state_names = ()


class Slow(Careful):
    def __init__(self, params, lr=1e-6):
        super().__init__(params, lr)


class HidesAnOption(Careful):
    def __init__(self, params, lr=1e-3, secret=1):
        super().__init__(params, lr)


class IgnoresItsGroup(Careful):
    def update(self, theta, g, state, group):
        super().update(theta, g, state, {"lr": 1e-3})


class Random(Careful):
    def update(self, theta, g, state, group):
        super().update(theta, g, state, group)
        if theta.dtype == np.float32:  # of float64 are the parabola and the valley, which it is to pass
            theta += 1e-3 * np.random.default_rng().standard_normal(theta.shape, np.float32)


def test_a_careful_optimizer_passes():
    check_optimizer(Careful)


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (WidensTheState, "mean: expected float32, got float64"),
        (KeepsTheGradient, "last: expected memory of its own"),
        (ForgetsToDeclareItsState, "not expected"),
        (Slow, "parabola: expected to come within 1e-6"),
        (HidesAnOption, "repr: expected the constructor's argument 'secret'"),
        (IgnoresItsGroup, "no change with the group's lr of 0"),
        (Random, "the same bits"),
    ],
)
def test_a_careless_optimizer_is_told(cls, message):
    with pytest.raises((AssertionError, ValueError), match=message):
        check_optimizer(cls)


def test_too_few_steps_are_told():
    with pytest.raises(AssertionError, match="Rosenbrock: expected a value below 1e-13 after 3000 steps"):
        check_optimizer(lambda params: SGD(params, lr=1e-3, momentum=0.9), rosenbrock_below=1e-13)


class Quiet(LRScheduler):
    """Holds back a number that the next rate depends on."""

    seen = 0

    def get_lr(self):
        self.__class__.seen += 1
        return [lr / (1 + self.seen) for lr in self.current_lr()]


class Overwrites(LRScheduler):
    def get_lr(self):
        for group in self.optimizer.param_groups:
            group["initial_lr"] = 0.0
        return self.current_lr()


@pytest.mark.parametrize(
    ("cls", "message"), [(Quiet, "resumed at epoch 0"), (Overwrites, "'initial_lr' to stay")]
)
def test_a_careless_schedule_is_told(cls, message):
    with pytest.raises(AssertionError, match=message):
        check_scheduler(cls)


def test_a_wrong_curve_is_told():
    with pytest.raises(AssertionError, match=r"epoch 2: expected the rate 0\.5"):
        check_scheduler(lambda o: StepLR(o, 2), closed_form=lambda t, base: base)
