"""Adamax: Adam, dividing by the largest gradient of late in place of the root of its mean square."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from minidl.array import Array
from minidl.nn.parameter import Parameter
from minidl.optim.optimizer import Group, Optimizer, State, check_betas, check_number

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """Adamax: Adam with the largest absolute gradient, which fades, for the mean square.

    ```
    g ← g + λ θ                           weight decay λ
    m ← β₁ m + (1 − β₁) g                 mean of the gradient
    u ← max(β₂ u, |g| + ε)                the largest of late; starting at 0 does not pull it down
    θ ← θ − lr / (1 − β₁ᵗ) · m / u        at step t = 1, 2, …
    ```

    √v of Adam is a norm ‖·‖₂ over past gradients; this is ‖·‖∞. No step is longer than about lr.
    Kingma and Ba 2015, "Adam: a method for stochastic optimization", section 7.1.

    Args:
        params: what to optimise; see `Optimizer`.
        lr: learning rate, which bounds the step.
        betas: (β₁, β₂), how slowly the mean and the largest forget.
        eps: ε, keeps the quotient finite where all gradients were 0.
        weight_decay: λ, pulls θ towards 0 as the penalty λ‖θ‖²/2 would.
        maximize: walk uphill instead.

    Raises:
        ValueError: lr, eps or weight_decay below 0, or a β that is not in [0, 1).
    """

    state_names: ClassVar = ("step", "exp_avg", "exp_inf")

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Mapping[str, Any]],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
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
        m, u = self.buffer(state, "exp_avg", theta), self.buffer(state, "exp_inf", theta)
        if lam != 0:
            g = g + lam * theta
        m += (1 - beta1) * (g - m)
        np.maximum(beta2 * u, np.abs(g) + eps, out=u)
        theta -= lr / (1 - beta1**t) * (m / u)
