"""First steps worked out by hand: one number goes in, one comes out, and a comment says how."""

import math

import numpy as np
from optim.samples import make_scheduler

from minidl.nn import Parameter
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

RHO = 19 - 12 * 0.9**6 / (1 - 0.9**6)

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
    # m = 1, u = max(0, 2 + 2) = 4: 1 − 0.1/0.5·1/4 = 0.95
    # m = 0.5, u = max(0.75·4, 0 + 2) = 3: 0.95 − 0.1/0.75·0.5/3
    (Adamax, {"lr": 0.1, "betas": (0.5, 0.75), "eps": 2.0}, 1.0, [2, 0], [0.95, 0.95 - 0.2 / 9]),
    # g = 1 + 0.5·2 = 2, then as above
    (Adamax, {"lr": 0.1, "betas": (0.5, 0.75), "eps": 2.0, "weight_decay": 0.5}, 2.0, [1], [1.95]),
    (Adamax, {"lr": 0.1, "betas": (0.5, 0.75), "eps": 2.0, "maximize": True}, 1.0, [-2], [0.95]),
    (Adamax, {"lr": 0.1, "betas": (0.5, 0.75), "eps": 2.0}, 1.0, [-2], [1.05]),
    # ψ = 0, so that μ = 0.5·(1 − 0.5) = 0.25 at every step; m = 1, v = 1, v̂ = 4
    # m̂ = 0.25·1/(1 − 1/16) + 0.75·2/(1 − 1/4) = 4/15 + 2 = 34/15: 1 − 0.1·(34/15)/(2 + 2)
    # m = 0.5, v = 0.75, v̂ = 12/7, M = 1/16: m̂ = 0.25·0.5/(1 − 1/64) = 8/63
    (
        NAdam,
        {"lr": 0.1, "betas": (0.5, 0.75), "eps": 2.0, "momentum_decay": 0},
        1.0,
        [2, 0],
        [1 - 0.1 * 34 / 60, 1 - 0.1 * 34 / 60 - 0.1 * (8 / 63) / (math.sqrt(12 / 7) + 2)],
    ),
    # the momentum warms up: 0.96 to the power t ψ = t/2: μ₁ = (1 − √0.96/2)/2, μ₂ = (1 − 0.96/2)/2 = 0.26
    (
        NAdam,
        {"lr": 0.1, "betas": (0.5, 0.75), "eps": 2.0, "momentum_decay": 0.5},
        1.0,
        [2],
        [1 - 0.025 * (0.26 / (1 - 0.26 * (0.5 - math.sqrt(0.96) / 4)) + 2)],
    ),
    # g = 1 + 0.5·2 = 2, then as above; decoupled: 2·(1 − 0.05) and the step with g = 2
    (
        NAdam,
        {"lr": 0.1, "betas": (0.5, 0.75), "eps": 2.0, "momentum_decay": 0, "weight_decay": 0.5},
        2.0,
        [1],
        [2 - 0.1 * 34 / 60],
    ),
    (
        NAdam,
        {
            "lr": 0.1,
            "betas": (0.5, 0.75),
            "eps": 2.0,
            "momentum_decay": 0,
            "weight_decay": 0.5,
            "decoupled_weight_decay": True,
        },
        2.0,
        [2],
        [1.9 - 0.1 * 34 / 60],
    ),
    # ρ∞ = 2/0.25 − 1 = 7, and ρ = 7 − 2·0.75/0.25 = 1 at first: momentum alone, 1 − 0.1·m̂ = 1 − 0.1·2
    # and 7 − 4·(9/16)/(7/16) = 13/7: 0.8 − 0.1·(0.5/0.75)
    (RAdam, {"lr": 0.1, "betas": (0.5, 0.75)}, 1.0, [2, 0], [0.8, 0.8 - 0.2 / 3]),
    # with β₂ = 0.9, ρ∞ = 19, and ρ > 5 first at t = 6, ρ = 19 − 12·0.9⁶/(1 − 0.9⁶); gradients 1 all along:
    # m̂ = 1, √v = √(1 − 0.9⁶)
    (
        RAdam,
        {"lr": 0.1, "betas": (0.5, 0.9), "eps": 2.0},
        1.0,
        [1, 1, 1, 1, 1, 1],
        [
            *(0.9, 0.8, 0.7, 0.6, 0.5),
            0.5
            - 0.1
            * math.sqrt((RHO - 4) * (RHO - 2) * 19 / (15 * 17 * RHO))
            * math.sqrt(1 - 0.9**6)
            / (math.sqrt(1 - 0.9**6) + 2),
        ],
    ),
    # g = 1 + 0.5·2 = 2: 2 − 0.2; decoupled: 2·0.95 − 0.2
    (RAdam, {"lr": 0.1, "weight_decay": 0.5}, 2.0, [1], [1.8]),
    # then 1.7·0.95 and m̂ = 0.9·0.2/(1 − 0.9²) = 18/19
    (
        RAdam,
        {"lr": 0.1, "weight_decay": 0.5, "decoupled_weight_decay": True},
        2.0,
        [2, 0],
        [1.7, 1.615 - 1.8 / 19],
    ),
    # s = 4: 1 − 0.1·2/(2 + 2) = 0.95     s = 4 + 12.25 = 16.25
    (Adagrad, {"lr": 0.1, "eps": 2.0}, 1.0, [2, 3.5], [0.95, 0.95 - 0.35 / (math.sqrt(16.25) + 2)]),
    # s = 5 + 4 = 9: 1 − 0.1·2/3          s = 9 + 16 = 25, the rate 0.1/(1 + 1): − 0.05·4/5
    (
        Adagrad,
        {"lr": 0.1, "lr_decay": 1.0, "initial_accumulator_value": 5.0, "eps": 0.0},
        1.0,
        [2, 4],
        [1 - 0.2 / 3, 1 - 0.2 / 3 - 0.04],
    ),
    # g = 1 + 0.5·2 = 2, then as above
    (Adagrad, {"lr": 0.1, "eps": 2.0, "weight_decay": 0.5}, 2.0, [1], [1.95]),
    # v = 0.5·4 = 2, Δ = √2/√(2 + 2)·2 = √2: 1 − 0.1·√2      u = 0.5·2 = 1
    # v = 1 + 0.5·16 = 9, Δ = √(1 + 2)/√(9 + 2)·4
    (
        Adadelta,
        {"lr": 0.1, "rho": 0.5, "eps": 2.0},
        1.0,
        [2, 4],
        [1 - 0.1 * math.sqrt(2), 1 - 0.1 * math.sqrt(2) - 0.4 * math.sqrt(3 / 11)],
    ),
    (
        Adadelta,
        {"lr": 0.1, "rho": 0.5, "eps": 2.0, "weight_decay": 0.5},
        2.0,
        [1],
        [2 - 0.1 * math.sqrt(2)],
    ),
    # v = 0.25·4 = 1: 1 − 0.1·2/(1 + 1) = 0.9      v = 0.75 + 0.25·9 = 3
    (RMSprop, {"lr": 0.1, "alpha": 0.75, "eps": 1.0}, 1.0, [2, 3], [0.9, 0.9 - 0.3 / (math.sqrt(3) + 1)]),
    # d = 1, b = 1: 0.9     d = 0, b = 0.5: 0.9 − 0.05
    (RMSprop, {"lr": 0.1, "alpha": 0.75, "eps": 1.0, "momentum": 0.5}, 1.0, [2, 0], [0.9, 0.85]),
    # a = 0.25·2 = 0.5, v − a² = 1 − 0.25: 1 − 0.1·2/(√0.75 + 1)
    (
        RMSprop,
        {"lr": 0.1, "alpha": 0.75, "eps": 1.0, "centered": True},
        1.0,
        [2],
        [1 - 0.2 / (math.sqrt(0.75) + 1)],
    ),
    (RMSprop, {"lr": 0.1, "alpha": 0.75, "eps": 1.0, "weight_decay": 0.5}, 2.0, [1], [1.9]),
    (RMSprop, {"lr": 0.1, "alpha": 0.75, "eps": 1.0, "maximize": True}, 1.0, [-2], [0.9]),
    # the first step is lr; the same sign, ·1.5; the other sign, /2 and wait; then the sign counts anew
    (
        Rprop,
        {"lr": 0.5, "etas": (0.5, 1.5)},
        1.0,
        [2, 9, -3, -3, -1],
        [0.5, -0.25, -0.25, 0.125, 0.6875],
    ),
    # within the bounds: 0.5 becomes 0.4, grows no more, shrinks to 0.3 and no less, and waits
    (
        Rprop,
        {"lr": 0.5, "step_sizes": (0.3, 0.4)},
        1.0,
        [1, 1, -1, -1],
        [0.6, 0.2, 0.2, 0.5],
    ),
    # (1 − 0.5·0.1)·1 − 0.1·2 = 0.75     η = 0.1/(1 + 0.5·0.1·1) = 2/21: 0.75·(1 − 1/21) − 4·2/21
    (ASGD, {"lr": 0.1, "lambd": 0.5, "alpha": 1.0}, 1.0, [2, 4], [0.75, 0.75 * 20 / 21 - 8 / 21]),
    # (1 − 0.5·2)·1 − 2·1 = −2     η = 2/√(1 + 0.5·2·1) = √2: −2·(1 − √2/2) − 2·√2
    (ASGD, {"lr": 2, "lambd": 0.5, "alpha": 0.5}, 1.0, [1, 2], [-2, -2 - math.sqrt(2)]),
    # g = 1 + 0.5·2: 2 − 0.2
    (ASGD, {"lr": 0.1, "lambd": 0, "weight_decay": 0.5}, 2.0, [1], [1.8]),
]

# (class, options, the rates in epochs 0, 1, 2, … from a base rate of 1)
RATES = [
    (StepLR, {"step_size": 2, "gamma": 0.5}, [1, 1, 0.5, 0.5, 0.25]),
    # (1 + cos 0)/2, (1 + cos 60°)/2, (1 + cos 120°)/2, (1 + cos 180°)/2, and up again
    (CosineAnnealingLR, {"T_max": 3}, [1, 0.75, 0.25, 0, 0.25, 0.75, 1]),
    # the same between 0.2 and 1: 0.2 + 0.8·…
    (CosineAnnealingLR, {"T_max": 3, "eta_min": 0.2}, [1, 0.8, 0.4, 0.2, 0.4]),
    (LambdaLR, {"lr_lambda": lambda t: t + 2}, [2, 3, 4, 5]),
    (MultiplicativeLR, {"lr_lambda": lambda t: t / 2}, [1, 0.5, 0.5, 0.75]),
    (MultiStepLR, {"milestones": [3, 1, 3], "gamma": 0.5}, [1, 0.5, 0.5, 0.125, 0.125]),
    (ExponentialLR, {"gamma": 0.5}, [1, 0.5, 0.25]),
    (ConstantLR, {"factor": 0.5, "total_iters": 2}, [0.5, 0.5, 1, 1]),
    (LinearLR, {"start_factor": 0.5, "total_iters": 2}, [0.5, 0.75, 1, 1]),
    (PolynomialLR, {"total_iters": 2, "power": 2}, [1, 0.25, 0, 0]),
    # T_i = 1, 2, 4: the top at 0, 1 and 3
    (CosineAnnealingWarmRestarts, {"T_0": 1, "T_mult": 2}, [1, 1, 0.5, 1, 0.5 + math.sqrt(0.125), 0.5]),
    # two steps up from 1 to 5, one down; then half as high
    (
        CyclicLR,
        {
            "base_lr": 1,
            "max_lr": 5,
            "step_size_up": 2,
            "step_size_down": 1,
            "mode": "triangular2",
            "cycle_momentum": False,
        },
        [1, 3, 5, 1, 2, 3, 1, 1.5],
    ),
    # from 1 to 4 in the first 3 of 6 steps, then down to 1/2 in three
    (
        OneCycleLR,
        {
            "max_lr": 4,
            "total_steps": 6,
            "pct_start": 0.5,
            "div_factor": 4,
            "final_div_factor": 2,
            "anneal_strategy": "linear",
            "cycle_momentum": False,
        },
        [1, 2.5, 4, 4 - 3.5 / 3, 4 - 7 / 3, 0.5],
    ),
    # the metric is best at step 5; steps 6 and 7 are one too many
    (ReduceLROnPlateau, {"patience": 1, "factor": 0.5}, [1, 1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.25]),
    (
        SequentialLR,
        {"parts": [(ConstantLR, {"factor": 0.5}), (ExponentialLR, {"gamma": 0.5})], "milestones": [2]},
        [0.5, 0.5, 1, 0.5, 0.25],
    ),
    # the first has no rate of its own to begin with: it takes the group's, and not what the second made of it
    (
        SequentialLR,
        {
            "parts": [(MultiplicativeLR, {"lr_lambda": lambda t: 0.5}), (ConstantLR, {"factor": 0.25})],
            "milestones": [2],
        },
        [0.5, 0.25, 0.25, 0.25],
    ),
    (
        ChainedScheduler,
        {"parts": [(ConstantLR, {"factor": 0.5, "total_iters": 2}), (ExponentialLR, {"gamma": 0.5})]},
        [0.5, 0.25, 0.25, 0.125],
    ),
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
    scheduler = make_scheduler(cls, options)(optimizer)
    for epoch, value in enumerate(expected):
        if epoch > 0:
            scheduler.step()
        rate = optimizer.param_groups[0]["lr"]
        assert abs(rate - value) <= 2e-15, f"expected {value}, got {rate}"
