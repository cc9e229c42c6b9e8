"""One table: every public optimizer and schedule, each with the options that the public checks run."""

import math

from minidl.optim import ASGD, SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, RAdam, RMSprop, Rprop
from minidl.optim.lr_scheduler import CosineAnnealingLR, StepLR

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
}


def optimizer_samples():
    return [(cls, *row) for cls, rows in OPTIMIZERS.items() for row in rows]


def scheduler_samples():
    return [(cls, *row) for cls, rows in SCHEDULERS.items() for row in rows]


def name(value):
    """How a sample is called in the list of tests."""
    if isinstance(value, type):
        return value.__name__
    return ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else ""
