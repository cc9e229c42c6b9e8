"""Adagrad: weights that moved little so far move farther, which suits features that are rare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from minidl.array import Array
from minidl.nn.parameter import Parameter
from minidl.nn.row_sparse import RowSparse
from minidl.optim.optimizer import Group, Optimizer, State, check_number

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Adagrad: the gradient, divided by the root of the sum of all its squares so far.

    ```
    g ← g + λ θ                           weight decay λ
    s ← s + g²                            the sum of squares, which only grows
    θ ← θ − lr / (1 + (t − 1) η) · g / (√s + ε)     at step t = 1, 2, …, with decay of the rate η
    ```

    Duchi, Hazan and Singer 2011, "Adaptive subgradient methods for online learning and stochastic
    optimization".

    Without weight decay it takes gradients of few rows too (`Embedding(sparse=True)`): the other rows would
    not move anyway.

    Args:
        params: what to optimise; see `Optimizer`.
        lr: learning rate.
        lr_decay: η, lowers the rate beyond what s does.
        weight_decay: λ, pulls θ towards 0 as the penalty λ‖θ‖²/2 would.
        initial_accumulator_value: what s starts from.
        eps: ε, keeps the quotient finite where all gradients were 0.
        maximize: walk uphill instead.

    Raises:
        ValueError: a number below 0.
    """

    state_names: ClassVar = ("step", "sum")

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Mapping[str, Any]],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        for name in ("lr_decay", "weight_decay", "initial_accumulator_value", "eps"):
            check_number(self._name, name, options[name], at_least=0)

    def update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        lam = float(group["weight_decay"])
        s, rate, eps = self._begin(theta, state, group)
        if lam != 0:
            g = g + lam * theta
        s += g * g
        theta -= rate * (g / (np.sqrt(s) + eps))

    def refusal(self, g: Array | RowSparse, group: Group) -> str:
        if group["weight_decay"] == 0:
            return ""
        return super().refusal(g, group) and "a dense gradient with weight_decay"

    def update_rows(self, theta: Array, rows: Array, g: Array, state: State, group: Group) -> None:
        s, rate, eps = self._begin(theta, state, group)
        s[rows] += g * g
        theta[rows] -= rate * (g / (np.sqrt(s[rows]) + eps))

    def _begin(self, theta: Array, state: State, group: Group) -> tuple[Array, float, float]:
        """The sum of squares so far, this step's rate, and ε."""
        is_new = "sum" not in state
        t = state["step"] = state.get("step", 0) + 1
        s = self.buffer(state, "sum", theta)
        if is_new:
            s += float(group["initial_accumulator_value"])
        rate = float(group["lr"]) / (1 + (t - 1) * float(group["lr_decay"]))
        return s, rate, float(group["eps"])
