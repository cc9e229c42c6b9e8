"""SparseAdam: Adam for large tables, of which each step uses only a few rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from minidl import kernels
from minidl.array import Array
from minidl.nn.parameter import Parameter
from minidl.nn.row_sparse import RowSparse
from minidl.optim.optimizer import Group, Optimizer, State, check_betas, check_number

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Adam that moves, and remembers, only the rows that have a gradient (`Embedding(sparse=True)`).

    ```
    for every row r with a gradient g:
        m_r ← β₁ m_r + (1 − β₁) g             mean of the gradient
        v_r ← β₂ v_r + (1 − β₂) g²            mean of its square
        θ_r ← θ_r − lr √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m_r / (√v_r + ε)     t counts all steps
    ```

    Adam itself would go on to move every row by its old mean. A row that comes seldom keeps its m and v
    meanwhile, so this is another rule, a lazy Adam, and costs as much as the rows that were used. As in
    PyTorch, ε is added before v's correction.

    Kingma and Ba 2015, "Adam: a method for stochastic optimization".

    Args:
        params: what to optimise; see `Optimizer`. Their gradients must be `RowSparse`.
        lr: learning rate.
        betas: (β₁, β₂), how slowly the two means forget.
        eps: ε, keeps the quotient finite where all gradients were 0.
        maximize: walk uphill instead.

    Raises:
        ValueError: lr or eps below 0, or a β that is not in [0, 1).
    """

    state_names: ClassVar = ("step", "exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Mapping[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    def check_options(self, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        check_betas(self._name, options["betas"])
        check_number(self._name, "eps", options["eps"], at_least=0)

    def refusal(self, g: Array | RowSparse, group: Group) -> str:
        return "" if isinstance(g, RowSparse) else "a RowSparse gradient (Adam takes others)"

    def update_rows(self, theta: Array, rows: Array, g: Array, state: State, group: Group) -> None:
        beta1, beta2 = map(float, group["betas"])
        t = state["step"] = state.get("step", 0) + 1
        m, v = self.buffer(state, "exp_avg", theta), self.buffer(state, "exp_avg_sq", theta)
        lr, eps = float(group["lr"]), float(group["eps"])
        kernels.sparse_adam_step(theta, rows, g, m, v, t, lr, beta1, beta2, eps)
