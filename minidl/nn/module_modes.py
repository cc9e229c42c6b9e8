"""How a module is at work: training or evaluating, frozen or not, in which precision and on which device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike

from minidl.array import Device, convert, destination
from minidl.errors import DTypeError
from minidl.nn.module_checks import FLOATS
from minidl.nn.module_tree import Tree

__all__ = ["Memory", "Modes"]


class Memory(NamedTuple):
    """What `remember` kept for `recall`."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    saved: tuple[Any, ...]
    alone: bool = False  # shape has a batch dimension that the input had not


class Modes(Tree):
    """The part of a Module that switches it and all below it."""

    training: bool = True
    _remembering: bool = False  # eval() keeps nothing for backward, unless asked
    _memory: Memory | None = None

    def train(self, mode: bool = True) -> Self:
        """Switch this module and all below it to training (or, with False, to evaluation)."""
        for module in self.modules():
            module.training = mode
            module._remembering = False
        return self

    def eval(self, remember: bool = False) -> Self:
        """Switch to evaluation: dropout is off, batch norm uses its running statistics.

        Args:
            remember: True keeps what `backward` needs, so that gradients can be taken in this mode.
        """
        for module in self.modules():
            module.training = False
            module._remembering = remember
            if not remember:
                module._memory = None
        return self

    @contextmanager
    def evaluating(self) -> Iterator[Self]:
        """`eval()` for one block; afterwards every module is in the mode that it was in, one by one."""
        kept = [(m, m.training, m._remembering, m._memory) for m in self.modules()]
        try:
            yield self.eval()
        finally:
            for module, training, remembering, memory in kept:
                module.training, module._remembering, module._memory = training, remembering, memory

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze all parameters here and below (with False), or let them collect gradients again."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget every parameter's gradient, or with False make it 0."""
        for parameter in self.parameters():
            parameter.zero_grad(set_to_none)

    def to(self, target: DTypeLike | Device) -> Self:
        """Convert parameters and floating buffers to a dtype, or move all of them to a device.

        Args:
            target: float32 or float64; or a device, `"cuda"` or `"sim"`, or `"cpu"` for the host.

        Raises:
            DTypeError: neither float32, float64 nor the name of a device.
            BackendError: the device is not there.
        """
        try:
            wanted = destination(target)
        except TypeError as error:
            raise DTypeError(f"{self.label()}: expected a dtype or a device, got {target!r}") from error
        dtype = wanted if isinstance(wanted, np.dtype) else None
        if dtype is not None and dtype not in FLOATS:
            raise DTypeError(f"{self.label()}: expected float32 or float64, got {dtype}")
        for parameter in self.parameters():
            parameter.to(target)
        for module in self.modules():
            for name in module._buffer_names:
                values = getattr(module, name)
                if values is not None and (dtype is None or values.dtype in FLOATS):
                    setattr(module, name, convert(values, wanted))
        return self

    def double(self) -> Self:
        """Convert to float64."""
        return self.to(np.float64)

    def float(self) -> Self:
        """Convert to float32."""
        return self.to(np.float32)

    def cpu(self) -> Self:
        """Move to the host."""
        return self.to("cpu")

    def cuda(self) -> Self:
        """Move to the GPU."""
        return self.to("cuda")
