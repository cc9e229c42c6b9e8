"""ASGD: gradient descent with a falling rate, and beside the weights their average."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from minidl.array import Array
from minidl.nn.parameter import Parameter
from minidl.optim.optimizer import Group, Optimizer, State, check_number

__all__ = ["ASGD"]


class ASGD(Optimizer):
    """Averaged stochastic gradient descent: the average of the path is steadier than its end.

    ```
    g ← g + wd θ                          weight decay wd
    θ ← (1 − λ η) θ − η g                 η = lr at first
    a ← a + μ (θ − a)                     the average, in `state[parameter]["ax"]`; μ = 1 at first
    η ← lr / (1 + λ lr t)^α               for the next step, after step t = 1, 2, …
    μ ← 1 / max(1, t − t0)                likewise; up to step t0 + 2, the average is θ itself
    ```

    Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging"; the rate is that of
    Xu 2011, "Towards optimal one pass large scale learning with averaged stochastic gradient descent".

    Args:
        params: what to optimise; see `Optimizer`.
        lr: learning rate at first.
        lambd: λ, shrinks the weights and lowers the rate.
        alpha: α, the power with which the rate falls.
        t0: after how many steps to begin with the average.
        weight_decay: wd, pulls θ towards 0 as the penalty wd ‖θ‖²/2 would.
        maximize: walk uphill instead.

    Raises:
        ValueError: lr or weight_decay below 0.
    """

    state_names: ClassVar = ("step", "eta", "mu", "ax")
    number_names: ClassVar = ("eta", "mu")

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Mapping[str, Any]],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        for name in ("lambd", "alpha", "t0"):
            check_number(self._name, name, options[name])
        check_number(self._name, "weight_decay", options["weight_decay"], at_least=0)

    def update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        lr, decay, alpha = float(group["lr"]), float(group["lambd"]), float(group["alpha"])
        lam = float(group["weight_decay"])
        t = state["step"] = state.get("step", 0) + 1
        eta, mu = state.get("eta", lr), state.get("mu", 1.0)
        average = self.buffer(state, "ax", theta)
        if lam != 0:
            g = g + lam * theta
        theta *= 1 - decay * eta
        theta -= eta * g
        if mu == 1:
            average[...] = theta
        else:
            average += mu * (theta - average)
        state["eta"] = lr / (1 + decay * lr * t) ** alpha
        state["mu"] = 1 / max(1.0, t - float(group["t0"]))
