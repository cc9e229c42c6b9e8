"""The minidl side of a case: each kind of step, written as a user of minidl writes it.

A training step stands in `with model.no_input_grad():`, since PyTorch leaves out that gradient too.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np

import minidl
from minidl import kernels, nn, optim
from minidl.array import Array, get_device, to_device, to_host
from minidl.bench.case import Case, batch, factors, operands, upstream, weights
from minidl.bench.flops import count

__all__ = ["MinidlSide", "ReferenceSide"]


class MinidlSide:
    """One case, ready to be stepped.

    Args:
        case: what to run.
        size: another batch size than the case's own.
        device: where it runs: `"cpu"`, `"cuda"` or `"sim"`.

    Attributes:
        parts: the timed parts of a step by name, in order.
    """

    parts: dict[str, Callable[[], None]]

    def __init__(self, case: Case, size: int | None = None, device: str = "cpu") -> None:
        self.case, self.device = case, device
        self._values: dict[str, Any] = {}
        self._gradients: Any = None  # of the inputs
        self._mode = ExitStack()
        if case.network is None:
            self.parts = self._product() if case.kind == "product" else self._expression()
            return
        self.x, *self.others = (self._put(values) for values in batch(case, size))
        self.model = case.network(nn).to(device)
        named = dict(self.model.named_parameters())
        self._began = weights({name: p.shape for name, p in named.items()})
        self._begin()
        makers = {
            "train": self._train, "operation": self._operation, "loss": self._loss, "optimizer": self._update
        }  # fmt: skip
        self.parts = makers[case.kind]()

    def _begin(self) -> None:
        """Give the parameters the values that both sides start from."""
        for name, parameter in self.model.named_parameters():
            parameter.data[...] = self._put(self._began[name])

    @staticmethod
    def configure(threads: int, device: str = "cpu") -> None:
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

    @staticmethod
    def put(values: Array, device: str) -> Any:
        """A host array on the device, where it lies in memory as it does on the host."""
        if device == "cpu":
            return values
        turned = values.flags.f_contiguous and not values.flags.c_contiguous
        return to_device(values.T, device).T if turned else to_device(values, device)

    @staticmethod
    def synchronize(device: str) -> None:
        """Wait until the device has done all that it was asked for."""
        if device != "cpu":
            get_device(device).synchronize()

    @staticmethod
    def mark_memory(device: str) -> Callable[[], int]:
        """From here on; then call what this gives for the bytes that arrays added to the device's memory."""
        pool = get_device(device).pool
        before = pool.peak = pool.in_use
        return lambda: pool.peak - before

    def _put(self, values: Array) -> Any:
        return self.put(values, self.device)

    def clear(self) -> None:
        """Forget gradients between two steps of an operation; this is not timed."""
        if self.case.kind == "operation":
            self.model.zero_grad()

    def flops(self) -> dict[str, int]:
        """The arithmetic of each part."""
        if self.case.kind == "product":
            return {"step": 2 * math.prod(self.case.shape)}
        if self.case.kind == "expression":
            return {}
        return count(self.case, self.model, self.x)

    def results(self) -> dict[str, Array]:
        """What the last step computed: outputs, and every gradient (of an optimizer: every parameter)."""
        results = dict(self._values)
        if self.case.kind in ("operation", "loss"):
            found = self._gradients if isinstance(self._gradients, tuple) else (self._gradients,)
            for number, gradient in enumerate(found[: self.case.wanted], 1):
                results[f"gradient of input {number}"] = gradient
        if self.case.network is None:
            return {name: to_host(value) for name, value in results.items()}
        for name, parameter in self.model.named_parameters():
            if self.case.kind == "optimizer":
                results[name] = parameter.data
            else:
                results[f"gradient of {name}"] = parameter.grad
            if self.case.kind == "train":
                results[f"change of {name}"] = to_host(parameter.data) - self._began[name]
        return {name: to_host(value) for name, value in results.items()}

    # ---------------------------------------------------------------- the kinds of step

    def _train(self) -> dict[str, Callable[[], None]]:
        model, x, (y,), values = self.model, self.x, self.others, self._values
        criterion, optimizer = nn.CrossEntropyLoss(), self._make_optimizer()
        self._mode.enter_context(model.no_input_grad())  # the `with` block that a training loop stands in

        def step() -> None:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            model.backward(criterion.backward())
            optimizer.step()
            values["loss"] = loss

        if not self.case.graph or self.device == "cpu":
            return {"step": step}
        graph = minidl.cuda.capture(step, device=self.device)  # which takes a few steps
        self._begin()
        return {"step": graph.replay}

    def _operation(self) -> dict[str, Callable[[], None]]:
        layer, values = self.model, self._values
        inputs = [self.x, *self.others] if self.case.draw else [self.x]
        dy = self._put(upstream(layer(*inputs).shape))

        def forward() -> None:
            values["output"] = layer(*inputs)

        def backward() -> None:
            self._gradients = layer.backward(dy)

        return {"forward": forward, "backward": backward}

    def _loss(self) -> dict[str, Callable[[], None]]:
        criterion, inputs, values = self.model, [self.x, *self.others], self._values

        def forward() -> None:
            values["loss"] = criterion(*inputs)

        def backward() -> None:
            self._gradients = criterion.backward()

        return {"forward": forward, "backward": backward}

    def _product(self) -> dict[str, Callable[[], None]]:
        (a, b), values = map(self._put, factors(self.case)), self._values
        product = kernels.matmul if self.case.loop is None else self._loop(self.case.loop)

        def step() -> None:
            values["product"] = product(a, b)

        return {"step": step}

    def _expression(self) -> dict[str, Callable[[], None]]:
        (x, y), values, expression = map(self._put, operands(self.case)), self._values, self.case.expression
        assert expression is not None

        def step() -> None:
            values["result"] = expression(np, x, y)

        return {"step": step}

    @staticmethod
    def _loop(name: str) -> Callable[[Array, Array], Array]:
        from minidl.kernels.numba_cpu import ladder

        loop: Callable[[Array, Array], Array] = getattr(ladder, name)
        return loop

    def _update(self) -> dict[str, Callable[[], None]]:
        model, x, optimizer = self.model, self.x, self._make_optimizer()
        if self.case.draw:
            model.backward(self._put(upstream(model(x).shape)))
        else:
            for parameter in model.parameters():
                parameter.grad = self._put(upstream(parameter.shape))
        if not isinstance(optimizer, optim.LBFGS):
            return {"step": optimizer.step}
        criterion, (y,) = nn.CrossEntropyLoss(), self.others

        def closure() -> Any:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            model.backward(criterion.backward())
            return loss

        return {"step": lambda: optimizer.step(closure)}

    def _make_optimizer(self) -> optim.Optimizer:
        name, options = self.case.optimizer
        optimizer: optim.Optimizer = getattr(optim, name)(self.model.parameters(), **options)
        return optimizer


class ReferenceSide(MinidlSide):
    """The opponent where there is no PyTorch: the same on minidl's NumPy references, a loop's product too.

    It stays on the host, whatever the device.
    """

    def __init__(self, case: Case, size: int | None = None, device: str = "cpu") -> None:
        super().__init__(case, size)

    @staticmethod
    def configure(threads: int, device: str = "cpu") -> None:
        """Choose the references, and hold them to this many threads."""
        minidl.use_backend("numpy")
        MinidlSide.configure(threads)

    @staticmethod
    def _loop(name: str) -> Callable[[Array, Array], Array]:
        return kernels.matmul
