"""The PyTorch side of a case, eager, as a user of PyTorch writes it. Nothing else here imports torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from minidl.array import Array
from minidl.bench.case import Case, batch, factors, operands, upstream, weights
from minidl.errors import BackendError

__all__ = ["TorchSide"]


def place_of(device: str) -> str:
    """What PyTorch calls minidl's device; a simulated one it does not have."""
    return "cuda" if device == "cuda" else "cpu"


class TorchSide:
    """One case, ready to be stepped; see `MinidlSide`, whose twin this is.

    The input of a training step wants no gradient, as in everybody's training loop, so PyTorch leaves out
    the first layer's input gradient. The input of a single operation wants one.
    """

    parts: dict[str, Callable[[], None]]

    def __init__(self, case: Case, size: int | None = None, device: str = "cpu") -> None:
        self.case = case
        self._values: dict[str, Any] = {}
        self._device = device
        if case.network is None:
            self.parts = self._product() if case.kind == "product" else self._expression()
            return
        self.x, *self.others = (self._put(values) for values in batch(case, size))
        self.model = case.network(torch.nn).to(place_of(device))
        named = dict(self.model.named_parameters())
        self._began = weights({name: tuple(p.shape) for name, p in named.items()})
        with torch.no_grad():
            for name, values in self._began.items():
                named[name].copy_(torch.from_numpy(values))
        makers = {
            "train": self._train, "operation": self._operation, "loss": self._loss, "optimizer": self._update
        }  # fmt: skip
        self.parts = makers[case.kind]()

    @staticmethod
    def configure(threads: int, device: str = "cpu") -> None:
        """Hold PyTorch to this many threads, and a GPU to float32: no TF32, which has 10 bits of its 23.

        Raises:
            BackendError: PyTorch sees no GPU where one is asked for.
        """
        torch.set_num_threads(threads)
        if place_of(device) == "cuda" and not torch.cuda.is_available():
            raise BackendError(f"PyTorch {torch.__version__} sees no GPU: install one built for CUDA")
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False

    @staticmethod
    def versions() -> dict[str, str]:
        """What stands behind this side's figures."""
        return {"torch": torch.__version__}

    @staticmethod
    def put(values: Array, device: str) -> Any:
        """A host array as a tensor that lies in memory as it does."""
        return torch.from_numpy(values).to(place_of(device))

    @staticmethod
    def synchronize(device: str) -> None:
        """Wait until the device has done all that it was asked for."""
        if place_of(device) == "cuda":
            torch.cuda.synchronize()

    @staticmethod
    def mark_memory(device: str) -> Callable[[], int]:
        """From here on; then call what this gives for the bytes that tensors added to the GPU's memory."""
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        return lambda: int(torch.cuda.max_memory_allocated() - before)

    def _put(self, values: Array) -> Any:
        return self.put(values, self._device)

    def clear(self) -> None:
        """Forget gradients between two steps of an operation; this is not timed."""
        if self.case.kind in ("operation", "loss"):
            self.model.zero_grad()
            for x in (self.x, *self.others):
                x.grad = None

    def flops(self) -> dict[str, int]:
        """Counted on minidl's side, which runs the same network."""
        return {}

    def results(self) -> dict[str, Array]:
        """What the last step computed, under the same names as minidl's."""
        results = dict(self._values)
        if self.case.network is None:
            return {name: value.cpu().numpy() for name, value in results.items()}
        if self.case.kind in ("operation", "loss"):
            for number, x in enumerate([self.x, *self.others][: self.case.wanted], 1):
                results[f"gradient of input {number}"] = x.grad
        for name, parameter in self.model.named_parameters():
            if self.case.kind == "optimizer":
                results[name] = parameter
            else:
                results[f"gradient of {name}"] = parameter.grad
            if self.case.kind == "train":
                results[f"change of {name}"] = parameter - self._put(self._began[name])
        return {name: value.detach().cpu().numpy() for name, value in results.items()}

    # ---------------------------------------------------------------- the kinds of step

    def _train(self) -> dict[str, Callable[[], None]]:
        model, x, (y,), values = self.model, self.x, self.others, self._values
        criterion, optimizer = torch.nn.CrossEntropyLoss(), self._make_optimizer()

        def step() -> None:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            values["loss"] = loss.detach()

        return {"step": step}

    def _operation(self) -> dict[str, Callable[[], None]]:
        layer, values = self.model, self._values
        inputs = self._wanted([self.x, *self.others] if self.case.draw else [self.x])
        dy = self._put(upstream(tuple(layer(*inputs).shape)))

        def forward() -> None:
            values["output"] = layer(*inputs)

        def backward() -> None:
            values["output"].backward(dy)

        return {"forward": forward, "backward": backward}

    def _loss(self) -> dict[str, Callable[[], None]]:
        criterion, inputs, values = self.model, self._wanted([self.x, *self.others]), self._values

        def forward() -> None:
            values["loss"] = criterion(*inputs)

        def backward() -> None:
            values["loss"].backward()

        return {"forward": forward, "backward": backward}

    def _product(self) -> dict[str, Callable[[], None]]:
        a, b = (self._put(matrix) for matrix in factors(self.case))
        values = self._values

        def step() -> None:
            values["product"] = a @ b

        return {"step": step}

    def _expression(self) -> dict[str, Callable[[], None]]:
        x, y = (self._put(array) for array in operands(self.case))
        values, expression = self._values, self.case.expression
        assert expression is not None

        def step() -> None:
            values["result"] = expression(torch, x, y)

        return {"step": step}

    def _update(self) -> dict[str, Callable[[], None]]:
        model, x, optimizer = self.model, self.x, self._make_optimizer()
        if self.case.draw:
            y = model(x)
            y.backward(self._put(upstream(tuple(y.shape))))
        else:
            for parameter in model.parameters():
                parameter.grad = self._put(upstream(tuple(parameter.shape)))
        if not isinstance(optimizer, torch.optim.LBFGS):
            return {"step": optimizer.step}
        criterion, (target,) = torch.nn.CrossEntropyLoss(), self.others

        def closure() -> Any:
            optimizer.zero_grad()
            loss = criterion(model(x), target)
            loss.backward()
            return loss

        return {"step": lambda: optimizer.step(closure)}

    def _wanted(self, inputs: list[Any]) -> list[Any]:
        """The inputs, of which so many want a gradient."""
        return [x.requires_grad_() if number < self.case.wanted else x for number, x in enumerate(inputs)]

    def _make_optimizer(self) -> Any:
        name, options = self.case.optimizer
        return getattr(torch.optim, name)(self.model.parameters(), **options)
