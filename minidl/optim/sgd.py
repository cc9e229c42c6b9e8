"""Stochastic gradient descent: walk downhill, and with momentum keep some of the speed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from minidl import kernels
from minidl.array import Array
from minidl.nn.parameter import Parameter
from minidl.nn.row_sparse import RowSparse
from minidl.optim.optimizer import Group, Optimizer, State, check_number

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum (heavy ball) or Nesterov's.

    ```
    g ← g + λ θ                           weight decay λ
    b ← μ b + (1 − τ) g                   momentum μ, dampening τ; b = g at the first step
    d = g + μ b  (Nesterov)   or   d = b  (heavy ball)   or   d = g  (μ = 0)
    θ ← θ − lr d
    ```

    Momentum: Polyak 1964; Nesterov 1983, in the form of Sutskever et al. 2013, "On the importance of
    initialization and momentum in deep learning". As in PyTorch, lr multiplies b, and is no part of it.

    Without momentum and weight decay it takes gradients of few rows too (`Embedding(sparse=True)`).

    Args:
        params: what to optimise; see `Optimizer`.
        lr: learning rate.
        momentum: μ, how much of b stays.
        dampening: τ, how much of the new gradient is left out of b.
        weight_decay: λ, pulls θ towards 0 as the penalty λ‖θ‖²/2 would.
        nesterov: take the gradient and the momentum that follows from it, together.
        maximize: walk uphill instead.

    Raises:
        ValueError: lr, momentum or weight_decay below 0; Nesterov without momentum, or with dampening.
    """

    optional_state_names: ClassVar = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Mapping[str, Any]],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        check_number(self._name, "momentum", options["momentum"], at_least=0)
        check_number(self._name, "dampening", options["dampening"])
        check_number(self._name, "weight_decay", options["weight_decay"], at_least=0)
        if options["nesterov"] and (options["momentum"] == 0 or options["dampening"] != 0):
            raise ValueError(
                f"{self._name}: expected momentum above 0 and dampening 0 with nesterov=True, "
                f"got momentum={options['momentum']} and dampening={options['dampening']}"
            )

    def update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        lr, mu = float(group["lr"]), float(group["momentum"])
        tau, lam = float(group["dampening"]), float(group["weight_decay"])
        b = None
        if mu != 0:
            if "momentum_buffer" not in state:
                tau = 0.0  # the first gradient counts in full
            b = self.buffer(state, "momentum_buffer", theta)
        kernels.sgd_step(theta, g, b, lr, mu, tau, lam, bool(group["nesterov"]))

    def refusal(self, g: Array | RowSparse, group: Group) -> str:
        if group["momentum"] == 0 and group["weight_decay"] == 0:
            return ""
        return super().refusal(g, group) and "a dense gradient with momentum or weight_decay"

    def update_rows(self, theta: Array, rows: Array, g: Array, state: State, group: Group) -> None:
        theta[rows] -= float(group["lr"]) * g
