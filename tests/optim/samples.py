"""One table: every public optimizer and schedule, each with the options that the public checks run."""

import math
import re

from minidl.optim import ASGD, SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, RAdam, RMSprop, Rprop
from minidl.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

# class: [(options, steps, what Rosenbrock's function must come below in them)]; with weight decay its bottom
# lies elsewhere, where the function itself is above 0
OPTIMIZERS = {
    SGD: [
        ({"lr": 1e-3}, 20_000, 1e-6),
        ({"lr": 1e-3, "momentum": 0.9}, 3000, 1e-10),
        ({"lr": 1e-3, "momentum": 0.9, "nesterov": True}, 3000, 1e-10),
        ({"lr": 2e-3, "momentum": 0.9, "dampening": 0.5}, 3000, 1e-10),
        ({"lr": 1e-3, "momentum": 0.9, "weight_decay": 1e-2}, 3000, 1e-3),
        ({"lr": 1e-3, "momentum": 0.9, "maximize": True}, 3000, 1e-10),
    ],
    Adam: [
        ({"lr": 0.03}, 3000, 1e-9),
        ({"lr": 0.03, "betas": (0.8, 0.99), "eps": 1e-6}, 3000, 1e-4),
        ({"lr": 0.03, "weight_decay": 1e-2}, 3000, 1e-3),
        ({"lr": 0.03, "amsgrad": True}, 3000, 1e-4),
        ({"lr": 0.03, "maximize": True}, 3000, 1e-9),
    ],
    AdamW: [
        ({"lr": 0.03, "weight_decay": 0}, 3000, 1e-9),
        ({"lr": 0.03, "weight_decay": 1e-2}, 3000, 2e-3),
        ({"lr": 0.03, "amsgrad": True}, 3000, 0.02),
        ({"lr": 0.03, "maximize": True}, 3000, 2e-3),
    ],
    Adamax: [
        ({"lr": 0.1}, 3000, 1e-5),
        ({"lr": 0.1, "betas": (0.8, 0.99), "eps": 1e-6, "maximize": True}, 3000, 1e-3),
        ({"lr": 0.1, "weight_decay": 1e-2}, 3000, 1e-3),
    ],
    NAdam: [
        ({"lr": 0.03}, 3000, 1e-3),
        ({"lr": 0.03, "betas": (0.8, 0.99), "eps": 1e-6, "momentum_decay": 1e-2}, 3000, 0.1),
        ({"lr": 0.03, "weight_decay": 1e-2, "maximize": True}, 3000, 2e-3),
        ({"lr": 0.03, "weight_decay": 1e-2, "decoupled_weight_decay": True}, 3000, 1e-2),
    ],
    # the first steps are those of plain momentum, so that the rate has to be small
    RAdam: [
        ({"lr": 2e-3}, 10_000, 1e-5),
        ({"lr": 2e-3, "betas": (0.8, 0.99), "eps": 1e-6, "maximize": True}, 10_000, 1e-5),
        ({"lr": 2e-3, "weight_decay": 1e-2}, 10_000, 1e-3),
        ({"lr": 2e-3, "weight_decay": 1e-2, "decoupled_weight_decay": True}, 10_000, 1e-3),
    ],
    Adagrad: [
        ({"lr": 0.5}, 3000, 0.1),
        ({"lr": 0.5, "lr_decay": 1e-4, "initial_accumulator_value": 0.1, "eps": 1e-8}, 3000, 0.1),
        ({"lr": 0.5, "weight_decay": 1e-2, "maximize": True}, 3000, 0.1),
    ],
    # no rate to turn up: it goes down the valley as slowly as its paper's figures do
    Adadelta: [
        ({"rho": 0.9, "eps": 1e-6}, 10_000, 1.0),
        ({"lr": 0.003, "eps": 1.0, "weight_decay": 1e-2, "maximize": True}, 10_000, 0.5),
    ],
    # with a small ε the last steps would be as long as the first: √v sinks with the gradient
    RMSprop: [
        ({"lr": 0.01, "eps": 1.0}, 20_000, 0.02),
        ({"lr": 0.01, "eps": 1.0, "alpha": 0.9, "momentum": 0.9}, 10_000, 0.01),
        ({"lr": 0.01, "eps": 1.0, "centered": True, "maximize": True}, 20_000, 0.02),
        ({"lr": 0.01, "eps": 1.0, "weight_decay": 1e-2, "momentum": 0.5, "centered": True}, 10_000, 2e-3),
    ],
    Rprop: [
        ({"lr": 0.01}, 3000, 1e-5),
        ({"lr": 0.01, "etas": (0.6, 1.1), "step_sizes": (1e-8, 1.0), "maximize": True}, 3000, 1e-5),
    ],
    ASGD: [
        ({"lr": 1e-3, "lambd": 0}, 20_000, 1e-5),
        ({"lr": 1e-3, "alpha": 0.5, "t0": 10.0, "maximize": True}, 20_000, 1e-2),
        ({"lr": 1e-3, "weight_decay": 1e-2}, 20_000, 2e-3),
    ],
}

RATE_IS_NO_FACTOR = {Rprop}  # its rate is the first step's size, whatever it becomes later

# class: [(options, the rate in epoch t for a base rate)]
SCHEDULERS = {
    StepLR: [
        ({"step_size": 3}, lambda t, base: base * 0.1 ** (t // 3)),
        ({"step_size": 1, "gamma": 0.9}, lambda t, base: base * 0.9**t),
        ({"step_size": 100, "gamma": 0.5}, lambda t, base: base),
    ],
    CosineAnnealingLR: [
        ({"T_max": 100}, lambda t, base: base * (1 + math.cos(math.pi * t / 100)) / 2),
        (
            {"T_max": 10, "eta_min": 0.01},
            lambda t, base: 0.01 + (base - 0.01) * (1 + math.cos(math.pi * t / 10)) / 2,
        ),
        ({"T_max": 1, "eta_min": 0.05}, lambda t, base: base if t % 2 == 0 else 0.05),
    ],
    LambdaLR: [({"lr_lambda": lambda t: 1 / (1 + t)}, lambda t, base: base / (1 + t))],
    MultiplicativeLR: [({"lr_lambda": lambda t: t / (t + 1)}, lambda t, base: base / (1 + t))],
    MultiStepLR: [
        ({"milestones": [9, 4, 4]}, lambda t, base: base * 0.1 ** (2 * (t >= 4) + (t >= 9))),
        ({"milestones": [0, 3], "gamma": 0.5}, lambda t, base: base * (0.25 if t >= 3 else 0.5)),
    ],
    ExponentialLR: [({"gamma": 0.9}, lambda t, base: base * 0.9**t)],
    ConstantLR: [
        ({}, lambda t, base: base if t >= 5 else base / 3),
        ({"factor": 0.5, "total_iters": 0}, lambda t, base: base / 2),  # as in PyTorch: for ever
    ],
    LinearLR: [
        ({}, lambda t, base: base * (1 / 3 + 2 / 3 * min(t / 5, 1))),
        ({"start_factor": 1, "end_factor": 0, "total_iters": 9}, lambda t, base: base * max(1 - t / 9, 0)),
    ],
    PolynomialLR: [
        ({}, lambda t, base: base * max(1 - t / 5, 0)),
        ({"total_iters": 30, "power": 2}, lambda t, base: base * (1 - t / 30) ** 2),
    ],
    CosineAnnealingWarmRestarts: [
        (
            {"T_0": 4, "eta_min": 0.01},
            lambda t, base: 0.01 + (base - 0.01) * (1 + math.cos(math.pi * (t % 4) / 4)) / 2,
        ),
        (
            {"T_0": 2, "T_mult": 3},  # restarts at 2, 8 and 26
            lambda t, base: (
                base
                * (1 + math.cos(math.pi * (t / 2 if t < 2 else (t - 2) / 6 if t < 8 else (t - 8) / 18)))
                / 2
            ),
        ),
    ],
    # these two set the first rates themselves: the bounds are made so that it is the groups' own
    CyclicLR: [
        (
            {"base_lr": [0.5, 0.1], "max_lr": [1.0, 0.2], "step_size_up": 5, "cycle_momentum": False},
            lambda t, base: base * (1 + (1 - abs(t % 10 / 5 - 1))),
        ),
        (
            {
                "base_lr": [0.5, 0.1],
                "max_lr": [1.0, 0.2],
                "step_size_up": 2,
                "step_size_down": 3,
                "mode": "triangular2",
            },
            lambda t, base: base * (1 + (0, 0.5, 1, 2 / 3, 1 / 3)[t % 5] / 2 ** (t // 5)),
        ),
        (
            {
                "base_lr": [0.5, 0.1],
                "max_lr": [1.0, 0.2],
                "step_size_up": 1,
                "mode": "exp_range",
                "gamma": 0.5,
            },
            lambda t, base: base * (1 + t % 2 * 0.5**t),
        ),
    ],
    OneCycleLR: [
        (
            {"max_lr": [12.5, 2.5], "total_steps": 41, "pct_start": 11 / 41, "anneal_strategy": "linear"},
            lambda t, base: (
                base * (1 + 24 * t / 10) if t <= 10 else base * (25 + (1e-4 - 25) * (t - 10) / 30)
            ),
        ),
        (
            {"max_lr": [2.0, 0.4], "epochs": 10, "steps_per_epoch": 3, "pct_start": 0.2, "div_factor": 4}
            | {"three_phase": True, "final_div_factor": 100, "cycle_momentum": False},
            lambda t, base: (
                base * (2.5 - 1.5 * math.cos(math.pi * t / 5))
                if t <= 10
                else base * (0.01 + 0.99 * (1 + math.cos(math.pi * (t - 10) / 19)) / 2)
            ),
        ),
    ],
    # the metric falls until epoch 5 and then stays, see `make_scheduler`
    ReduceLROnPlateau: [
        ({"patience": 3, "factor": 0.5}, lambda t, base: base * 0.5 ** max((t - 5) // 4, 0)),
        (
            {"patience": 1, "factor": 0.5, "cooldown": 2, "min_lr": 0.02},
            lambda t, base: max(base * 0.5 ** max((t - 3) // 4, 0), 0.02),
        ),
    ],
    SequentialLR: [
        (
            {"parts": [(ConstantLR, {"factor": 0.1}), (ExponentialLR, {"gamma": 0.9})], "milestones": [3]},
            lambda t, base: base * (0.1 if t < 3 else 0.9 ** (t - 3)),
        ),
        (
            {
                "parts": [
                    (LinearLR, {}),
                    (CosineAnnealingWarmRestarts, {"T_0": 4}),
                    (StepLR, {"step_size": 2}),
                ],
                "milestones": [4, 9],
            },
            lambda t, base: (
                base
                * (
                    1 / 3 + 2 / 15 * t
                    if t < 4
                    else (1 + math.cos(math.pi * ((t - 4) % 4) / 4)) / 2
                    if t < 9
                    else 0.1 ** ((t - 9) // 2)
                )
            ),
        ),
    ],
    ChainedScheduler: [
        (
            {"parts": [(ConstantLR, {"factor": 0.1}), (ExponentialLR, {"gamma": 0.9})]},
            lambda t, base: base * (0.1 if t < 5 else 1) * 0.9**t,
        ),
    ],
}


class OnAFallingMetric(ReduceLROnPlateau):
    """A schedule whose step needs no metric: it falls until step 5 and then stays at 0.2."""

    def step(self):
        super().step(1 / min(self.last_epoch + 1, 5))


def make_scheduler(cls, options):
    """What makes this schedule for an optimizer."""

    def make(optimizer):
        if cls is ReduceLROnPlateau:
            return OnAFallingMetric(optimizer, **options)
        if "parts" not in options:
            return cls(optimizer, **options)
        parts = [part(optimizer, **more) for part, more in options["parts"]]
        if cls is ChainedScheduler:
            return cls(parts, optimizer)
        return cls(optimizer, parts, options["milestones"])

    return make


def optimizer_samples():
    return [(cls, *row) for cls, rows in OPTIMIZERS.items() for row in rows]


def scheduler_samples():
    return [(cls, *row) for cls, rows in SCHEDULERS.items() for row in rows]


def name(value):
    """How a sample is called in the list of tests."""
    if isinstance(value, type):
        return value.__name__
    if not isinstance(value, dict):
        return ""
    # (an address differs in each process, which pytest -n does not take)
    text = ",".join(f"{k}={v}" for k, v in value.items())
    return re.sub(" at 0x[0-9a-f]+", "", text)
