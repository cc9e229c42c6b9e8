"""First steps worked out by hand: one number goes in, one comes out, and a comment says how."""

import math

import numpy as np

from minidl.nn import Parameter
from minidl.optim import SGD, Adam, AdamW
from minidl.optim.lr_scheduler import CosineAnnealingLR, StepLR

# (class, options, θ at the start, the gradients, θ after each)
STEPS = [
    # 1 − 0.1·2 = 0.8        0.8 − 0.1·4 = 0.4
    (SGD, {"lr": 0.1}, 1.0, [2, 4], [0.8, 0.4]),
    # uphill: 1 + 0.1·2      1.2 + 0.1·4
    (SGD, {"lr": 0.1, "maximize": True}, 1.0, [2, 4], [1.2, 1.6]),
    # b = 2: 1 − 0.1·2       b = 0.5·2 + 4 = 5: 0.8 − 0.1·5
    (SGD, {"lr": 0.1, "momentum": 0.5}, 1.0, [2, 4], [0.8, 0.3]),
    # b = 2, undamped        b = 0.5·2 + (1 − 0.25)·4 = 4: 0.8 − 0.1·4
    (SGD, {"lr": 0.1, "momentum": 0.5, "dampening": 0.25}, 1.0, [2, 4], [0.8, 0.4]),
    # b = 2, d = 2 + 0.5·2 = 3: 1 − 0.3      b = 5, d = 4 + 0.5·5 = 6.5: 0.7 − 0.65
    (SGD, {"lr": 0.1, "momentum": 0.5, "nesterov": True}, 1.0, [2, 4], [0.7, 0.05]),
    # g = 2 + 0.5·1 = 2.5: 1 − 0.25          g = 4 + 0.5·0.75 = 4.375: 0.75 − 0.4375
    (SGD, {"lr": 0.1, "weight_decay": 0.5}, 1.0, [2, 4], [0.75, 0.3125]),
    # the decay shrinks uphill too: g = −2 + 0.5·1 = −1.5: 1 + 0.15
    (SGD, {"lr": 0.1, "weight_decay": 0.5, "maximize": True}, 1.0, [2], [1.15]),
    # m = 0.5·2 = 1, m̂ = 1/0.5 = 2    v = 0.25·4 = 1, v̂ = 1/0.25 = 4    1 − 0.1·2/(√4 + 2) = 0.95
    # m = 0.5 − 1 = −0.5, m̂ = −0.5/0.75 = −2/3    v = 0.75 + 1 = 1.75, v̂ = 1.75/0.4375 = 4
    # 0.95 + 0.1·(2/3)/(√4 + 2) = 0.95 + 1/60
    (Adam, {"lr": 0.1, "betas": (0.5, 0.75), "eps": 2.0}, 1.0, [2, -2], [0.95, 0.95 + 1 / 60]),
    # the first step of Adam's defaults is almost lr, whatever the gradient: m̂/√v̂ = g/|g|, ε/|g| apart
    (Adam, {}, 1.0, [1e-3], [1 - 1e-3 / (1 + 1e-8 / 1e-3)]),
    # second gradient 0: m̂ = 0.5/0.75 = 2/3, v = 0.75, v̂ = 0.75/0.4375 = 12/7
    (
        Adam,
        {"lr": 0.1, "betas": (0.5, 0.75), "eps": 2.0},
        1.0,
        [2, 0],
        [0.95, 0.95 - 0.1 * (2 / 3) / (math.sqrt(12 / 7) + 2)],
    ),
    # the same with AMSGrad: the largest v so far is 1, and 1/0.4375 = 16/7
    (
        Adam,
        {"lr": 0.1, "betas": (0.5, 0.75), "eps": 2.0, "amsgrad": True},
        1.0,
        [2, 0],
        [0.95, 0.95 - 0.1 * (2 / 3) / (math.sqrt(16 / 7) + 2)],
    ),
    # g = 1 + 0.5·2 = 2, then as above: 2 − 0.05
    (Adam, {"lr": 0.1, "betas": (0.5, 0.75), "eps": 2.0, "weight_decay": 0.5}, 2.0, [1], [1.95]),
    # the decay beside the gradient: 2·(1 − 0.1·0.5) = 1.9, then as above with g = 2: 1.9 − 0.05
    (AdamW, {"lr": 0.1, "betas": (0.5, 0.75), "eps": 2.0, "weight_decay": 0.5}, 2.0, [2], [1.85]),
    # uphill by 0.05, while the decay still shrinks
    (
        AdamW,
        {"lr": 0.1, "betas": (0.5, 0.75), "eps": 2.0, "weight_decay": 0.5, "maximize": True},
        2.0,
        [2],
        [1.95],
    ),
    # the default decay 0.01 takes 1e-3·1e-2 of the weight; a gradient of 0 moves nothing
    (AdamW, {}, 1.0, [0], [1 - 1e-5]),
]

# (class, options, the rates in epochs 0, 1, 2, … from a base rate of 1)
RATES = [
    (StepLR, {"step_size": 2, "gamma": 0.5}, [1, 1, 0.5, 0.5, 0.25]),
    # (1 + cos 0)/2, (1 + cos 60°)/2, (1 + cos 120°)/2, (1 + cos 180°)/2, and up again
    (CosineAnnealingLR, {"T_max": 3}, [1, 0.75, 0.25, 0, 0.25, 0.75, 1]),
    # the same between 0.2 and 1: 0.2 + 0.8·…
    (CosineAnnealingLR, {"T_max": 3, "eta_min": 0.2}, [1, 0.8, 0.4, 0.2, 0.4]),
]


def check_steps(cls, options, start, gradients, expected):
    theta = Parameter(np.array([start]))
    optimizer = cls([theta], **options)
    for gradient, value in zip(gradients, expected, strict=True):
        theta.grad = np.array([float(gradient)])
        optimizer.step()
        assert abs(theta.data[0] - value) <= 1e-15, f"expected {value}, got {theta.data[0]}"


def check_rates(cls, options, expected):
    optimizer = SGD([Parameter([1.0])], lr=1.0)
    scheduler = cls(optimizer, **options)
    for value in expected:
        rate = optimizer.param_groups[0]["lr"]
        assert abs(rate - value) <= 1e-15, f"expected {value}, got {rate}"
        scheduler.step()
