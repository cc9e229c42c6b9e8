"""NAdam: Adam that looks one step ahead, as Nesterov's momentum does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from minidl.array import Array
from minidl.nn.parameter import Parameter
from minidl.optim.optimizer import Group, Optimizer, State, check_betas, check_number

__all__ = ["NAdam"]


class NAdam(Optimizer):
    """NAdam: Adam with Nesterov's momentum, and a momentum that warms up.

    ```
    g ← g + λ θ                           weight decay λ; decoupled: θ ← θ − lr λ θ, as in AdamW
    μₜ = β₁ (1 − 0.96^(t ψ) / 2)          momentum at step t: from about β₁ / 2 up to β₁
    M ← M μₜ                              the product of all μ so far
    m ← β₁ m + (1 − β₁) g                 mean of the gradient
    v ← β₂ v + (1 − β₂) g²                mean of its square
    m̂ = μₜ₊₁ m / (1 − M μₜ₊₁) + (1 − μₜ) g / (1 − M)     the mean as the next step is going to see it
    θ ← θ − lr m̂ / (√(v / (1 − β₂ᵗ)) + ε)
    ```

    Dozat 2016, "Incorporating Nesterov momentum into Adam".

    Args:
        params: what to optimise; see `Optimizer`.
        lr: learning rate: about how far a weight moves in one step.
        betas: (β₁, β₂), how slowly the two means forget.
        eps: ε, keeps the quotient finite where all gradients were 0.
        weight_decay: λ.
        momentum_decay: ψ, how fast the momentum warms up.
        decoupled_weight_decay: whether the decay shrinks θ itself, and is no part of the gradient.
        maximize: walk uphill instead.

    Raises:
        ValueError: lr, eps, weight_decay or momentum_decay below 0, or a β that is not in [0, 1).
    """

    state_names: ClassVar = ("step", "mu_product", "exp_avg", "exp_avg_sq")
    number_names: ClassVar = ("mu_product",)

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Mapping[str, Any]],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        check_betas(self._name, options["betas"])
        for name in ("eps", "weight_decay", "momentum_decay"):
            check_number(self._name, name, options[name], at_least=0)

    def update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        beta1, beta2 = map(float, group["betas"])
        lr, eps, lam = float(group["lr"]), float(group["eps"]), float(group["weight_decay"])
        psi = float(group["momentum_decay"])
        t = state["step"] = state.get("step", 0) + 1
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (step * psi)) for step in (t, t + 1))
        product = state["mu_product"] = state.get("mu_product", 1.0) * mu
        m, v = self.buffer(state, "exp_avg", theta), self.buffer(state, "exp_avg_sq", theta)

        if group["decoupled_weight_decay"]:
            theta *= 1 - lr * lam
        elif lam != 0:
            g = g + lam * theta
        m += (1 - beta1) * (g - m)
        v *= beta2
        v += (1 - beta2) * (g * g)
        ahead = (mu_next / (1 - product * mu_next)) * m + ((1 - mu) / (1 - product)) * g
        theta -= lr * ahead / (np.sqrt(v) / math.sqrt(1 - beta2**t) + eps)
