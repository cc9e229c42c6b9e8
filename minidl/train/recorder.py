"""Seeing inside: what every layer's activations, gradients and parameters do while a network learns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minidl.array import Array, to_host
from minidl.nn import Module, watch_backward, watch_forward
from minidl.train.callbacks import Callback
from minidl.train.recording import KINDS, Recording, Row
from minidl.train.summary import Summary

if TYPE_CHECKING:
    from minidl.train.trainer import Trainer

__all__ = ["Recorder"]


class Recorder(Recording, Callback):
    """Notes figures and a histogram of every layer's numbers, step by step, and draws them.

    ```python
    recorder = train.Recorder()
    train.Trainer(model, loss, optimizer, callbacks=[recorder]).fit(batches)
    recorder.series("rms", "gradient")           # (steps, layers)
    recorder.plot("norms", "gradient", path="gradients.png")
    ```

    Without a trainer, `step()` says when a step is over:

    ```python
    with recorder.watch(model):
        for x, y in batches:
            ...                                  # forward, backward, optimizer.step()
            recorder.step()
    ```

    There are four kinds of numbers: `"activation"`, a layer's output; `"gradient"`, the loss's gradient with
    respect to it; `"parameter"` and `"parameter_gradient"`. Of each there are `mean`, `std`, `norm` √Σx²,
    `rms` √(Σx² / count), `min`, `max`, `zeros` (the share of exact zeros) and `nonfinite` (how many are NaN
    or infinite; the other figures leave them out). Of activations also `dead`, the share of units that were
    0 for every sample of the last steps; of parameters also `update`, the norm of the step as a part of
    their own.

    It only looks on: no bit of the training changes, and steps that are not recorded cost nothing. Only
    forwards in training mode count; of several outputs, the first. What it holds is no part of a checkpoint.

    Args:
        every: record every so-many-th step, the first included.
        layers: names of layers, with `*` for anything, such as `"layers.*"` or `["0", "3"]`; or a function
            of name and module that says whether to record it. None records all that hold no other module.
        kinds: which of the four kinds to record.
        bins: where the histogram's bins end, ascending; by default three to a power of ten, on both sides
            of 0.
        most: when so many steps are recorded, every other one is dropped, and `every` doubles. So memory is
            bounded, and what is left still covers the whole run.
        dead_after: a unit (an index along the second dimension) is dead that gave nothing but zeros for so
            many recorded steps in a row.

    Raises:
        ValueError: a number below 1, an unknown kind, or bins that do not ascend.
        TypeError: no integers.
    """

    every: int
    most: int

    def __init__(
        self,
        every: int = 1,
        layers: str | Sequence[str] | Callable[[str, Module], bool] | None = None,
        *,
        kinds: Sequence[str] = KINDS,
        bins: ArrayLike | None = None,
        most: int = 200,
        dead_after: int = 5,
    ) -> None:
        for name, number, least in (("every", every, 1), ("most", most, 2), ("dead_after", dead_after, 1)):
            if not isinstance(number, int | np.integer) or isinstance(number, bool):
                raise TypeError(f"Recorder: expected {name} to be an integer, got {number!r}")
            if number < least:
                raise ValueError(f"Recorder: expected {name} of at least {least}, got {number}")
        super().__init__(kinds, bins, dead_after)
        self.every, self.most = int(every), int(most)
        self.layers = [layers] if isinstance(layers, str) else layers
        self._watched = ExitStack()
        self._recording = False
        self._step = 0

    # ---------------------------------------------------------------- when

    @contextmanager
    def watch(self, model: Module) -> Iterator[Self]:
        """Record the model inside the block; `step()` ends each. Their numbers go on from earlier ones."""
        self._model = model
        try:
            self._begin(model, self._step)
            yield self
        finally:
            self._let_go()

    def step(self) -> None:
        """The step is over: call it after `optimizer.step()`, before gradients are forgotten."""
        self._end()
        self._step += 1
        self._begin(self._model, self._step)

    def on_step_start(self, trainer: Trainer) -> None:  # noqa: D102
        self._begin(trainer.model, trainer.global_step)

    def on_gradients(self, trainer: Trainer) -> None:  # noqa: D102
        if self._recording:
            self._see_parameter_gradients()

    def on_step_end(self, trainer: Trainer) -> None:  # noqa: D102
        self._end()

    def on_exception(self, trainer: Trainer) -> None:
        """The step that failed is recorded as far as it came: it may be the most interesting one."""
        self._end()

    def _begin(self, model: Module, step: int) -> None:
        self._let_go()
        self._step = step
        if step % self.every:
            return
        self._model, self._recording = model, True
        self._layers = self._chosen(model)
        self._seen: dict[str, dict[str, Summary]] = {kind: {} for kind in KINDS}
        self._alive: dict[str, NDArray[np.bool_]] = {}
        owners = None if self.layers is None else set(self._layers.values())
        self._parameters = [
            (name, parameter)
            for name, parameter in model.named_parameters()
            if owners is None or (name.rpartition(".")[0] or type(model).__name__) in owners
        ]
        if "parameter" in self.kinds:
            self._before = {name: to_host(p.data.copy()) for name, p in self._parameters}
        if "activation" in self.kinds:
            self._watched.enter_context(watch_forward(self._see_forward))
        if "gradient" in self.kinds:
            self._watched.enter_context(watch_backward(model, self._see_backward))
        for kind in KINDS[:2]:
            self._keep_order(kind, list(self._layers.values()))
        for kind in KINDS[2:]:
            self._keep_order(kind, [name for name, _ in self._parameters])

    def _keep_order(self, kind: str, names: list[str]) -> None:
        if kind in self.kinds:
            self._names[kind] = list(dict.fromkeys([*self._names[kind], *names]))

    def _let_go(self) -> None:
        self._watched.close()
        self._recording = False

    def _end(self) -> None:
        if not self._recording:
            return
        self._let_go()
        self._see_parameters()
        self.steps.append(self._step)
        self._rows.append({kind: self._row(kind) for kind in self.kinds})
        if len(self.steps) >= self.most:
            self.steps, self._rows = self.steps[::2], self._rows[::2]
            self.every *= 2

    def _chosen(self, model: Module) -> dict[int, str]:
        """The names of the layers to record, by identity; a network that is one layer has its class's."""
        chosen: dict[int, str] = {}
        for path, module in model.named_modules():
            name = path or type(model).__name__
            if self.layers is None:
                wanted = not any(True for _ in module.children())
            elif callable(self.layers):
                wanted = bool(self.layers(name, module))
            else:
                wanted = any(fnmatchcase(name, pattern) for pattern in self.layers)
            if wanted:
                chosen[id(module)] = name
        return chosen

    # ---------------------------------------------------------------- what

    def _see(self, kind: str, name: str, x: Any) -> Array | None:
        """Add an array to what the step has of it; what is no array of floats is passed over."""
        if isinstance(x, tuple | list) and x:
            x = x[0]
        if getattr(getattr(x, "dtype", None), "kind", "") != "f":
            return None
        x = to_host(x)
        self._seen[kind].setdefault(name, Summary(self.edges)).add(x)
        return x

    def _see_forward(self, module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        name = self._layers.get(id(module))
        if name is None or not self._model.training:
            return
        x = self._see("activation", name, output)
        if x is not None and x.ndim > 1:
            alive = (x != 0).any(axis=(0, *range(2, x.ndim)))  # (units,)
            before = self._alive.get(name)
            self._alive[name] = alive if before is None or before.shape != alive.shape else before | alive

    def _see_backward(self, module: Module, dy: Any, dx: Any) -> None:
        if (name := self._layers.get(id(module))) is not None:
            self._see("gradient", name, dy)

    def _see_parameter_gradients(self) -> None:
        if "parameter_gradient" in self.kinds and not self._seen["parameter_gradient"]:
            for name, parameter in self._parameters:
                self._see("parameter_gradient", name, parameter.grad)

    def _see_parameters(self) -> None:
        self._see_parameter_gradients()
        if "parameter" in self.kinds:
            for name, parameter in self._parameters:
                self._see("parameter", name, parameter.data)

    def _row(self, kind: str) -> Row:
        row: Row = {}
        for name, summary in self._seen[kind].items():
            figures = summary.figures()
            if kind == "activation":
                figures.append(self._dead(name))
            elif kind == "parameter":
                after = to_host(dict(self._parameters)[name].data)
                figures.append(_ratio(after - self._before[name], self._before[name]))
            row[name] = (figures, summary.histogram)
        return row

    def _dead(self, name: str) -> float:
        """The share of units that slept long enough, this step included."""
        alive = self._alive.get(name)
        if alive is None:
            return math.nan
        asleep = self._asleep.get(name)
        if asleep is None or asleep.shape != alive.shape:
            asleep = np.zeros(alive.shape, np.int64)
        self._asleep[name] = asleep = np.where(alive, 0, asleep + 1)
        return float((asleep >= self.dead_after).mean())


def _ratio(change: Array, size: Array) -> float:
    """The norm of a change, as a part of the norm of what was changed."""
    norm = float(np.linalg.norm(size.astype(np.float64)))
    return float(np.linalg.norm(change.astype(np.float64))) / norm if norm else math.nan
