"""RAdam: Adam that waits with its own step sizes until it has seen enough gradients to trust them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from minidl.array import Array
from minidl.nn.parameter import Parameter
from minidl.optim.optimizer import Group, Optimizer, State, check_betas, check_number

__all__ = ["RAdam"]


class RAdam(Optimizer):
    """RAdam: Adam, with steps shortened by how uncertain the mean square still is.

    ```
    g ← g + λ θ                           weight decay λ; decoupled: θ ← θ − lr λ θ, as in AdamW
    m ← β₁ m + (1 − β₁) g                 mean of the gradient;     m̂ = m / (1 − β₁ᵗ)
    v ← β₂ v + (1 − β₂) g²                mean of its square;       v̂ = v / (1 − β₂ᵗ)
    ρ∞ = 2 / (1 − β₂) − 1                 how many gradients v is a mean of, in the long run
    ρ = ρ∞ − 2 t β₂ᵗ / (1 − β₂ᵗ)          and at step t
    r = √((ρ − 4)(ρ − 2) ρ∞ / ((ρ∞ − 4)(ρ∞ − 2) ρ))
    θ ← θ − lr r m̂ / (√v̂ + ε / √(1 − β₂ᵗ))     where ρ > 5
    θ ← θ − lr m̂                                else: momentum alone
    ```

    Of few gradients, 1/√v varies without bound: the reason why Adam is often warmed up by hand.
    Liu et al. 2020, "On the variance of the adaptive learning rate and beyond". As in PyTorch, ε is added
    before v's correction.

    Args:
        params: what to optimise; see `Optimizer`.
        lr: learning rate: about how far a weight moves in one step.
        betas: (β₁, β₂), how slowly the two means forget.
        eps: ε, keeps the quotient finite where all gradients were 0.
        weight_decay: λ.
        decoupled_weight_decay: whether the decay shrinks θ itself, and is no part of the gradient.
        maximize: walk uphill instead.

    Raises:
        ValueError: lr, eps or weight_decay below 0, or a β that is not in [0, 1).
    """

    state_names: ClassVar = ("step", "exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Mapping[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        check_betas(self._name, options["betas"])
        check_number(self._name, "eps", options["eps"], at_least=0)
        check_number(self._name, "weight_decay", options["weight_decay"], at_least=0)

    def update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        beta1, beta2 = map(float, group["betas"])
        lr, eps, lam = float(group["lr"]), float(group["eps"]), float(group["weight_decay"])
        t = state["step"] = state.get("step", 0) + 1
        m, v = self.buffer(state, "exp_avg", theta), self.buffer(state, "exp_avg_sq", theta)

        if group["decoupled_weight_decay"]:
            theta *= 1 - lr * lam
        elif lam != 0:
            g = g + lam * theta
        m += (1 - beta1) * (g - m)
        v *= beta2
        v += (1 - beta2) * (g * g)
        rate, correction = lr / (1 - beta1**t), 1 - beta2**t
        in_all = 2 / (1 - beta2) - 1
        rho = in_all - 2 * t * beta2**t / correction
        if rho > 5:
            r = math.sqrt((rho - 4) * (rho - 2) * in_all / ((in_all - 4) * (in_all - 2) * rho))
            theta -= (rate * r * math.sqrt(correction)) * m / (np.sqrt(v) + eps)
        else:
            theta -= rate * m
