"""LBFGS: Newton's method from memory, for smooth functions whose gradient is exact (all the data at once)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from minidl.array import Array, as_like, to_host
from minidl.errors import ShapeError
from minidl.nn.parameter import Parameter
from minidl.nn.row_sparse import RowSparse
from minidl.optim.line_search import Point, strong_wolfe
from minidl.optim.optimizer import Optimizer, State, check_number

__all__ = ["LBFGS"]

CURVED = 1e-10  # a step whose y·s is not above tells nothing of the curvature

COUNTS = ("func_evals", "n_iter")
NUMBERS = ("t", "H_diag", "prev_loss")
VECTORS = ("d", "prev_flat_grad")
LISTS = ("old_dirs", "old_stps")  # PyTorch's names for the y and the s


class LBFGS(Optimizer):
    """Limited-memory BFGS: Newton's direction, from the last steps and how the gradient changed.

    ```
    s = θ − θ₋   y = g − g₋      of each of the last steps; ρ = 1 / (y · s)
    d = −H g                     H ≈ the inverse of the second derivatives, never written down:
        q ← −g;  newest to oldest:  α = ρ s · q,  q ← q − α y
        d ← q (y · s) / (y · y);  oldest to newest:  d ← d + (α − ρ y · d) s
    θ ← θ + t d                  t = lr, or found by a line search
    ```

    A call of `step` makes up to `max_iter` such steps. All parameters are one vector; there are no groups.

    ```python
    def closure():
        optimizer.zero_grad()
        loss = criterion(model(x), target)
        model.backward(criterion.backward())
        return loss

    optimizer.step(closure)
    ```

    Nocedal and Wright 2006, "Numerical optimization", algorithm 7.4; Liu and Nocedal 1989, "On the limited
    memory BFGS method for large scale optimization".

    Args:
        params: what to optimise, without groups; see `Optimizer`.
        lr: t, or the first t that the line search tries.
        max_iter: how many steps a call of `step` makes at most.
        max_eval: how often it calls the closure at most; 5/4 of `max_iter` unless told.
        tolerance_grad: it stops where no number of the gradient is larger.
        tolerance_change: or where no parameter, or the loss, changes by more.
        history_size: how many steps are remembered.
        line_search_fn: None, or `"strong_wolfe"`.

    Raises:
        ValueError: a number out of its range, another line search, or more than one group.
    """

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Mapping[str, Any]],
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        for name in ("max_iter", "max_eval", "history_size"):
            check_number(self._name, name, options[name], at_least=1)
        for name in ("tolerance_grad", "tolerance_change"):
            check_number(self._name, name, options[name], at_least=0)
        if options["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(
                f"{self._name}: expected line_search_fn to be None or 'strong_wolfe', "
                f"got {options['line_search_fn']!r}"
            )

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Take the only group.

        Raises:
            ValueError: there is one already; and as `Optimizer`.
        """
        if self.param_groups:
            raise ValueError(
                f"{self._name}: expected one parameter group, since all are one vector, got more"
            )
        super().add_param_group(param_group)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to `max_iter` steps, with as many calls of the closure or more.

        Args:
            closure: computes the loss and the gradients anew, and returns the loss.

        Returns:
            The loss before the first step.

        Raises:
            TypeError: no closure.
            ShapeError: a gradient's shape is not its parameter's.
        """
        if closure is None:
            raise TypeError(
                f"{self._name}: expected step(closure), whose closure computes loss and gradients, got none"
            )
        group = self.param_groups[0]
        lr, most, search = float(group["lr"]), group["max_eval"], group["line_search_fn"]
        enough, tiny = float(group["tolerance_grad"]), float(group["tolerance_change"])
        state = self.state.setdefault(group["params"][0], {"func_evals": 0, "n_iter": 0})

        first = closure()
        loss, g = float(first), self._gradient()
        self._convert(state, g)
        looks = 1
        state["func_evals"] += 1
        if _largest(g) <= enough:
            return first
        for step in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            d = self._direction(state, g, group["history_size"])
            t = lr if state["n_iter"] > 1 else lr * min(1.0, 1.0 / float(np.abs(g).sum()))
            before, slope = loss, _dot(g, d)
            state |= {"d": d, "t": t, "prev_flat_grad": g, "prev_loss": loss}
            if slope > -tiny:
                break
            more = 0
            if search is not None:
                look = functools.partial(self._look, closure, d)
                here = Point(0.0, loss, g, slope)
                found, more = strong_wolfe(look, here, t, _largest(d), most - looks)
                t, loss, g = found.t, found.value, found.gradient
                state["t"] = t
                self._move(t, d)
            else:
                self._move(t, d)
                if step < group["max_iter"]:  # whoever calls next looks there anyway
                    loss, g, more = float(closure()), self._gradient(), 1
            looks += more
            state["func_evals"] += more
            if looks >= most or _largest(g) <= enough or _largest(d * t) <= tiny or abs(loss - before) < tiny:
                break
        return first

    # ---------------------------------------------------------------- the algorithm's parts

    def _direction(self, state: State, g: Array, history_size: int) -> Array:
        """−H g by the two loops, after the last step has been added to what is remembered."""
        if state["n_iter"] == 1:
            state |= {"old_dirs": [], "old_stps": [], "ro": [], "H_diag": 1.0}
            return -g
        ys, ss, rhos = state["old_dirs"], state["old_stps"], state["ro"]
        y, s = g - state["prev_flat_grad"], state["d"] * state["t"]
        curvature = _dot(y, s)
        if curvature > CURVED:
            if len(ys) == history_size:
                for memory in (ys, ss, rhos):
                    memory.pop(0)
            ys.append(y)
            ss.append(s)
            rhos.append(1 / curvature)
            state["H_diag"] = curvature / _dot(y, y)
        d, alphas = -g, []
        for y, s, rho in zip(reversed(ys), reversed(ss), reversed(rhos), strict=True):
            alphas.append(_dot(s, d) * rho)
            d -= alphas[-1] * y
        d *= state["H_diag"]
        for y, s, rho, alpha in zip(ys, ss, rhos, reversed(alphas), strict=True):
            d += (alpha - _dot(y, d) * rho) * s
        return d

    def _look(self, closure: Callable[[], Any], d: Array, t: float) -> Point:
        """What the function is at θ + t d; afterwards θ is what it was."""
        kept = [parameter.data.copy() for parameter in self._parameters()]
        try:
            self._move(t, d)
            value, g = float(closure()), self._gradient()
        finally:
            for parameter, values in zip(self._parameters(), kept, strict=True):
                parameter.data[...] = values
        return Point(t, value, g, _dot(g, d))

    def _gradient(self) -> Array:
        """All gradients as one vector; 0 where there is none."""
        parts = []
        for parameter in self._parameters():
            g, theta = parameter.grad, parameter.data
            if g is None or not parameter.requires_grad:
                g = np.zeros_like(theta)
            elif isinstance(g, RowSparse):
                g = g.to_dense()
            if g.shape != theta.shape:
                raise ShapeError(f"{self._name}: expected a gradient of shape {theta.shape}, got {g.shape}")
            parts.append(g.astype(theta.dtype, copy=False).reshape(theta.size))
        return np.concatenate(parts)

    def _move(self, t: float, d: Array) -> None:
        """θ ← θ + t d."""
        end = 0
        for parameter in self._parameters():
            start, end = end, end + parameter.size
            if parameter.requires_grad:
                step = t * d[start:end].reshape(parameter.shape)
                theta = parameter.data
                theta += step.astype(theta.dtype, copy=False)

    # ---------------------------------------------------------------- what is remembered

    def _convert(self, state: State, g: Array) -> None:
        """Take what is remembered to where the parameters are now, and to their dtype."""
        for name in set(VECTORS) & state.keys():
            state[name] = as_like(state[name], g)
        for name in set(LISTS) & state.keys():
            state[name] = [as_like(values, g) for values in state[name]]

    def _read_state(self, state_dict: Mapping[str, Any], problems: list[str]) -> dict[Parameter, State]:
        saved = state_dict.get("state") if isinstance(state_dict, Mapping) else None
        if not isinstance(saved, Mapping) or not all(isinstance(entry, Mapping) for entry in saved.values()):
            problems.append("expected 'state' to be a dict of dicts")
            return {}
        if not saved:
            return {}
        if set(saved) != {0}:
            problems.append(f"state: expected only that of parameter 0, got {', '.join(map(repr, saved))}")
            return {}
        entry = {name: value for name, value in saved[0].items() if name != "al"}  # PyTorch's scratch paper
        known = (*COUNTS, *NUMBERS, *VECTORS, *LISTS, "ro")
        wanted = known if len(entry) > len(COUNTS) else COUNTS
        problems += [f"state: expected {name!r}, which is missing" for name in wanted if name not in entry]
        problems += [f"state: {name!r} is not expected" for name in entry if name not in known]
        first = self._parameters()[0]
        state = {
            name: self._read_entry(name, entry[name], first, problems) for name in known if name in entry
        }
        counts = {len(state[name]) for name in (*LISTS, "ro") if isinstance(state.get(name), list)}
        if len(counts) > 1:
            problems.append(f"state: expected {', '.join(LISTS)} and ro of one length, got {sorted(counts)}")
        return {first: state}

    def _read_entry(self, name: str, value: Any, like: Parameter, problems: list[str]) -> Any:
        if name in (*LISTS, "ro"):
            if not isinstance(value, list | tuple):
                problems.append(f"state: {name}: expected a list, got {type(value).__name__}")
                return None
            part = "H_diag" if name == "ro" else "d"
            return [self._read_entry(part, item, like, problems) for item in value]
        values, size = to_host(value), sum(parameter.size for parameter in self._parameters())
        if values.dtype.kind not in "fiu":
            problems.append(f"state: {name}: expected numbers, got {values.dtype}")
        elif name in VECTORS:
            if values.shape == (size,):
                return as_like(values.copy(), like.data)
            problems.append(f"state: {name}: expected shape ({size},), got {values.shape}")
        elif values.size != 1 or not math.isfinite(values.item()):
            problems.append(f"state: {name}: expected a finite number, got {value!r}")
        elif name in COUNTS:
            if values >= 0 and values % 1 == 0:
                return int(values.item())
            problems.append(f"state: {name}: expected a count, got {value!r}")
        else:
            return float(values.item())
        return None


def _largest(values: Array) -> float:
    return float(np.abs(values).max(initial=0))


def _dot(a: Array, b: Array) -> float:
    return float(a @ b)
