"""Adam and AdamW: every weight gets a step size of its own, from how its gradient behaved so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from minidl import kernels
from minidl.array import Array
from minidl.nn.parameter import Parameter
from minidl.optim.optimizer import Group, Optimizer, State, check_betas, check_number

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Adam: momentum, divided by the root of the gradient's mean square.

    ```
    g ← g + λ θ                           weight decay λ, as a penalty in the loss
    m ← β₁ m + (1 − β₁) g                 mean of the gradient
    v ← β₂ v + (1 − β₂) g²                mean of its square; AMSGrad: from here on the largest v so far
    m̂ = m / (1 − β₁ᵗ)    v̂ = v / (1 − β₂ᵗ)     at step t = 1, 2, …: m and v start at 0, which pulls them down
    θ ← θ − lr m̂ / (√v̂ + ε)
    ```

    Kingma and Ba 2015, "Adam: a method for stochastic optimization"; AMSGrad: Reddi et al. 2018, "On the
    convergence of Adam and beyond", which as in PyTorch takes the largest v before its correction.

    Args:
        params: what to optimise; see `Optimizer`.
        lr: learning rate: about how far a weight moves in one step.
        betas: (β₁, β₂), how slowly the two means forget.
        eps: ε, keeps the quotient finite where all gradients were 0.
        weight_decay: λ.
        amsgrad: divide by the largest v so far, so that step sizes never grow back.
        maximize: walk uphill instead.

    Raises:
        ValueError: lr, eps or weight_decay below 0, or a β that is not in [0, 1).
    """

    state_names: ClassVar = ("step", "exp_avg", "exp_avg_sq")
    optional_state_names: ClassVar = ("max_exp_avg_sq",)
    _decoupled: ClassVar = False  # whether the weight decay is no part of the gradient

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Mapping[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        check_betas(self._name, options["betas"])
        check_number(self._name, "eps", options["eps"], at_least=0)
        check_number(self._name, "weight_decay", options["weight_decay"], at_least=0)

    def update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        beta1, beta2 = group["betas"]
        t = state["step"] = state.get("step", 0) + 1
        m, v = self.buffer(state, "exp_avg", theta), self.buffer(state, "exp_avg_sq", theta)
        largest = self.buffer(state, "max_exp_avg_sq", theta) if group["amsgrad"] else None
        lr, eps, lam = float(group["lr"]), float(group["eps"]), float(group["weight_decay"])
        kernels.adam_step(
            theta, g, m, v, largest, t, lr, float(beta1), float(beta2), eps, lam, self._decoupled
        )


class AdamW(Adam):
    """AdamW: Adam with decoupled weight decay, which shrinks every weight at the same rate.

    ```
    θ ← θ − lr λ θ                        weight decay λ, beside the gradient and not in it
    θ ← Adam's step by g, with λ = 0
    ```

    In Adam, λ θ is a part of g, and is divided by √v̂ like the rest: weights with large gradients
    hardly decay. Loshchilov and Hutter 2019, "Decoupled weight decay regularization".

    Args:
        params: what to optimise; see `Optimizer`.
        lr: learning rate: about how far a weight moves in one step.
        betas: (β₁, β₂), how slowly the two means forget.
        eps: ε, keeps the quotient finite where all gradients were 0.
        weight_decay: λ; each step takes the part lr λ from every weight.
        amsgrad: divide by the largest v so far, so that step sizes never grow back.
        maximize: walk uphill instead; the decay still shrinks.

    Raises:
        ValueError: lr, eps or weight_decay below 0, or a β that is not in [0, 1).
    """

    _decoupled: ClassVar = True

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Mapping[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
