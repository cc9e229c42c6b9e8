"""The minidl side of a case: each kind of step, written as a user of minidl writes it.

A training step stands in `with model.no_input_grad():`, since PyTorch leaves out that gradient too.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import minidl
from minidl import kernels, nn, optim
from minidl.array import Array
from minidl.bench.cases import Case, batch, factors, upstream, weights
from minidl.bench.flops import count

__all__ = ["MinidlSide", "ReferenceSide"]


class MinidlSide:
    """One case, ready to be stepped.

    Args:
        case: what to run.
        size: another batch size than the case's own.

    Attributes:
        parts: the timed parts of a step by name, in order.
    """

    parts: dict[str, Callable[[], None]]

    def __init__(self, case: Case, size: int | None = None) -> None:
        self.case = case
        self._values: dict[str, Any] = {}
        self._mode = ExitStack()
        if case.kind == "product":
            self.parts = self._product()
            return
        self.x, self.target = batch(case, size)
        assert case.network is not None
        self.model = case.network(nn)
        named = dict(self.model.named_parameters())
        self._began = weights({name: p.shape for name, p in named.items()})
        for name, values in self._began.items():
            named[name].data[...] = values
        makers = {
            "train": self._train, "operation": self._operation, "loss": self._loss, "optimizer": self._update
        }  # fmt: skip
        self.parts = makers[case.kind]()

    @staticmethod
    def configure(threads: int) -> None:
        """Hold minidl to this many threads."""
        set_num_threads: Any = getattr(minidl, "set_num_threads", None)
        if set_num_threads is not None:
            set_num_threads(threads)

    @staticmethod
    def versions() -> dict[str, str]:
        """What stands behind this side's figures."""
        numba = sys.modules.get("numba")
        found = {"minidl": minidl.__version__, "backend": minidl.get_backend()}
        return found | ({"numba": numba.__version__} if numba else {})

    def clear(self) -> None:
        """Forget gradients between two steps of an operation; this is not timed."""
        if self.case.kind == "operation":
            self.model.zero_grad()

    def flops(self) -> dict[str, int]:
        """The arithmetic of each part."""
        if self.case.kind == "product":
            return {"step": 2 * math.prod(self.case.shape)}
        return count(self.case, self.model, self.x)

    def results(self) -> dict[str, Array]:
        """What the last step computed: outputs, and every gradient (of an optimizer: every parameter)."""
        results = dict(self._values)
        if self.case.kind == "product":
            return results
        for name, parameter in self.model.named_parameters():
            if self.case.kind == "optimizer":
                results[name] = parameter.data
            else:
                results[f"gradient of {name}"] = parameter.grad
            if self.case.kind == "train":
                results[f"change of {name}"] = parameter.data - self._began[name]
        return results

    # ---------------------------------------------------------------- the kinds of step

    def _train(self) -> dict[str, Callable[[], None]]:
        model, x, y, values = self.model, self.x, self.target, self._values
        criterion, optimizer = nn.CrossEntropyLoss(), self._make_optimizer()
        self._mode.enter_context(model.no_input_grad())  # the `with` block that a training loop stands in

        def step() -> None:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            model.backward(criterion.backward())
            optimizer.step()
            values["loss"] = loss

        return {"step": step}

    def _operation(self) -> dict[str, Callable[[], None]]:
        layer, x, values = self.model, self.x, self._values
        dy = upstream(layer(x).shape)

        def forward() -> None:
            values["output"] = layer(x)

        def backward() -> None:
            values["gradient of the input"] = layer.backward(dy)

        return {"forward": forward, "backward": backward}

    def _loss(self) -> dict[str, Callable[[], None]]:
        criterion, x, y, values = self.model, self.x, self.target, self._values

        def forward() -> None:
            values["loss"] = criterion(x, y)

        def backward() -> None:
            values["gradient of the input"] = criterion.backward()

        return {"forward": forward, "backward": backward}

    def _product(self) -> dict[str, Callable[[], None]]:
        (a, b), values = factors(self.case), self._values
        product = kernels.matmul if self.case.loop is None else self._loop(self.case.loop)

        def step() -> None:
            values["product"] = product(a, b)

        return {"step": step}

    @staticmethod
    def _loop(name: str) -> Callable[[Array, Array], Array]:
        from minidl.kernels.numba_cpu import ladder

        loop: Callable[[Array, Array], Array] = getattr(ladder, name)
        return loop

    def _update(self) -> dict[str, Callable[[], None]]:
        for parameter in self.model.parameters():
            parameter.grad = upstream(parameter.shape)
        return {"step": self._make_optimizer().step}

    def _make_optimizer(self) -> optim.Optimizer:
        name, options = self.case.optimizer
        optimizer: optim.Optimizer = getattr(optim, name)(self.model.parameters(), **options)
        return optimizer


class ReferenceSide(MinidlSide):
    """The opponent where there is no PyTorch: the same on minidl's NumPy references, a loop's product too."""

    @staticmethod
    def configure(threads: int) -> None:
        """Choose the references, and hold them to this many threads."""
        minidl.use_backend("numpy")
        MinidlSide.configure(threads)

    @staticmethod
    def _loop(name: str) -> Callable[[Array, Array], Array]:
        return kernels.matmul
