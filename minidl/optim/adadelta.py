"""Adadelta: steps in the units of the weights, so that there is no learning rate to find."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from minidl.array import Array
from minidl.nn.parameter import Parameter
from minidl.optim.optimizer import Group, Optimizer, State, check_number

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Adadelta: each gradient times the size of the steps of late, over the size of the gradients of late.

    ```
    g ← g + λ θ                           weight decay λ
    v ← ρ v + (1 − ρ) g²                  mean square of the gradient
    Δ = √(u + ε) / √(v + ε) · g           has θ's unit, where lr g has that of 1/θ
    u ← ρ u + (1 − ρ) Δ²                  mean square of the steps
    θ ← θ − lr Δ
    ```

    Zeiler 2012, "ADADELTA: an adaptive learning rate method".

    Args:
        params: what to optimise; see `Optimizer`.
        lr: scales the steps; 1 is the paper's rule.
        rho: ρ, how slowly the two means forget.
        eps: ε, the square of the first steps' size, about.
        weight_decay: λ, pulls θ towards 0 as the penalty λ‖θ‖²/2 would.
        maximize: walk uphill instead.

    Raises:
        ValueError: lr, eps or weight_decay below 0, or rho not in [0, 1].
    """

    state_names: ClassVar = ("step", "square_avg", "acc_delta")

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Mapping[str, Any]],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        check_number(self._name, "rho", options["rho"], at_least=0, at_most=1)
        check_number(self._name, "eps", options["eps"], at_least=0)
        check_number(self._name, "weight_decay", options["weight_decay"], at_least=0)

    def update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        lr, rho = float(group["lr"]), float(group["rho"])
        eps, lam = float(group["eps"]), float(group["weight_decay"])
        state["step"] = state.get("step", 0) + 1
        v, u = self.buffer(state, "square_avg", theta), self.buffer(state, "acc_delta", theta)
        if lam != 0:
            g = g + lam * theta
        v *= rho
        v += (1 - rho) * (g * g)
        delta = np.sqrt(u + eps) / np.sqrt(v + eps) * g
        u *= rho
        u += (1 - rho) * (delta * delta)
        theta -= lr * delta
