"""Rprop: only the sign of a gradient counts, and each weight's step grows while the sign stays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from minidl.array import Array
from minidl.nn.parameter import Parameter
from minidl.optim.optimizer import Group, Optimizer, State, check_number

__all__ = ["Rprop"]


class Rprop(Optimizer):
    """Resilient backpropagation: a step size for every weight, from the signs of its gradients alone.

    ```
    s = g · g'                            g' the gradient before, 0 at first
    δ ← δ η⁺ where s > 0,   δ η⁻ where s < 0,   within [δ_min, δ_max];   δ = lr at first
    g ← 0 where s < 0                     it went too far: wait one step
    θ ← θ − δ sign(g)
    ```

    For gradients of the whole training set: in batches, signs change by chance.
    Riedmiller and Braun 1993, "A direct adaptive method for faster backpropagation learning: the RPROP
    algorithm"; as in PyTorch, without the return to the weight before (iRprop−, Igel and Hüsken 2000).

    Args:
        params: what to optimise; see `Optimizer`.
        lr: the first step size of every weight; later changes of it change nothing.
        etas: (η⁻, η⁺), the factors that shrink and grow a step.
        step_sizes: (δ_min, δ_max).
        maximize: walk uphill instead.

    Raises:
        ValueError: lr below 0, η⁻ not above 0 and below 1, η⁺ not above 1.
        TypeError: etas or step_sizes are no two numbers.
    """

    state_names: ClassVar = ("step", "prev", "step_size")

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Mapping[str, Any]],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        for name in ("etas", "step_sizes"):
            pair = options[name]
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise TypeError(f"{self._name}: expected {name} to be two numbers, got {pair!r}")
            for i, number in enumerate(pair):
                check_number(self._name, f"{name}[{i}]", number, at_least=0)
        shrink, grow = options["etas"]
        if not 0 < shrink < 1 < grow:
            raise ValueError(
                f"{self._name}: expected etas to be one number between 0 and 1 and one above 1, "
                f"got {options['etas']}"
            )

    def update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        shrink, grow = map(float, group["etas"])
        smallest, largest = map(float, group["step_sizes"])
        is_new = "step_size" not in state
        state["step"] = state.get("step", 0) + 1
        prev, delta = self.buffer(state, "prev", theta), self.buffer(state, "step_size", theta)
        if is_new:
            delta += float(group["lr"])
        s = g * prev
        delta *= np.where(s > 0, grow, np.where(s < 0, shrink, 1.0)).astype(theta.dtype)
        np.minimum(np.maximum(delta, smallest), largest, out=delta)
        prev[...] = np.where(s < 0, 0.0, g)
        theta -= delta * np.sign(prev)
