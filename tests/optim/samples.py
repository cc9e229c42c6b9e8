"""One table: every public optimizer and schedule, each with the options that the public checks run."""

import math

from minidl.optim import SGD, Adam, AdamW
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
}

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
