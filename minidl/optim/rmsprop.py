"""RMSprop: divide the gradient by its size of late, so that steep and flat directions move alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from minidl.array import Array
from minidl.nn.parameter import Parameter
from minidl.optim.optimizer import Group, Optimizer, State, check_number

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """RMSprop: the gradient, divided by the root of its mean square.

    ```
    g ← g + λ θ                           weight decay λ
    v ← α v + (1 − α) g²                  mean of the gradient's square
    a ← α a + (1 − α) g                   centered: its mean; then v − a² is its variance
    d = g / (√v + ε)   or   g / (√(v − a²) + ε)  (centered)
    b ← μ b + d                           with momentum μ; d = b from here on
    θ ← θ − lr d
    ```

    Tieleman and Hinton 2012, "Lecture 6.5: rmsprop", Coursera; centered: Graves 2013, "Generating sequences
    with recurrent neural networks". As in PyTorch, ε stands outside the root. Where rounding takes v − a²
    below 0, as it does once a gradient hardly varies, it counts as 0 here; PyTorch's weight becomes NaN.

    Args:
        params: what to optimise; see `Optimizer`.
        lr: learning rate.
        alpha: α, how slowly the means forget.
        eps: ε, keeps the quotient finite where all gradients were 0.
        weight_decay: λ, pulls θ towards 0 as the penalty λ‖θ‖²/2 would.
        momentum: μ, how much of b stays.
        centered: divide by the gradient's deviation from its mean.
        maximize: walk uphill instead.

    Raises:
        ValueError: a number below 0.
    """

    state_names: ClassVar = ("step", "square_avg")
    optional_state_names: ClassVar = ("momentum_buffer", "grad_avg")

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Mapping[str, Any]],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        for name in ("alpha", "eps", "weight_decay", "momentum"):
            check_number(self._name, name, options[name], at_least=0)

    def update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        lr, alpha, mu = float(group["lr"]), float(group["alpha"]), float(group["momentum"])
        eps, lam = float(group["eps"]), float(group["weight_decay"])
        state["step"] = state.get("step", 0) + 1
        v = self.buffer(state, "square_avg", theta)
        if lam != 0:
            g = g + lam * theta
        v *= alpha
        v += (1 - alpha) * (g * g)
        variance = v
        if group["centered"]:
            a = self.buffer(state, "grad_avg", theta)
            a += (1 - alpha) * (g - a)
            variance = np.maximum(v - a * a, 0.0)  # rounding may take it below 0
        d = g / (np.sqrt(variance) + eps)
        if mu > 0:
            b = self.buffer(state, "momentum_buffer", theta)
            b *= mu
            b += d
            d = b
        theta -= lr * d
