"""What a device is: memory, copies from and to the host, and kernels that run one after the other.

Two kinds answer to this: a GPU (`minidl.array.cuda`) and the simulator of one (`minidl.testing.simulator`).
Both are imported when somebody asks for them by name, not before.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias

from numpy.typing import NDArray

from minidl.array.device_memory import Buffer, MemoryPool
from minidl.array.gpu import GpuKernel, Size
from minidl.errors import BackendError

__all__ = ["Device", "Plan", "get_device", "register_device", "three"]

Plan: TypeAlias = Callable[[tuple[Any, ...]], None]
"""A kernel that is ready to start: it takes the arguments, and finds out nothing else again."""


def three(size: Size) -> tuple[int, int, int]:
    """A size of a grid or a block with its three numbers."""
    given = size if isinstance(size, tuple) else (size,)
    x, y, z = (*(int(number) for number in given), 1, 1, 1)[:3]
    return x, y, z


class Device(ABC):
    """A device: kernels, copies and waiting happen in the order in which they are asked for.

    Attributes:
        name: `"cuda"` or `"sim"`.
        pool: its memory.
        launches: how many kernels were started so far.
        recording: whether launches are written down now, not run.
    """

    name: str
    pool: MemoryPool
    launches: int
    recording: bool

    def __init__(self, name: str) -> None:
        self.name = name
        self.pool = MemoryPool(self._allocate, self._free)
        self.pool.device = self
        self.launches = 0
        self.recording = False
        self._plans: dict[Any, Plan] = {}

    def allocate(self, nbytes: int) -> Buffer:
        """Memory for an array; its contents are anything."""
        return self.pool.take(nbytes)

    def memory_allocated(self) -> int:
        """How many bytes arrays have on this device now (in blocks of the pool's sizes)."""
        return self.pool.in_use

    def launch(self, kernel: GpuKernel, grid: Size, block: Size, args: tuple[Any, ...]) -> None:
        """Start a kernel; `GpuKernel.__call__` is the way to it."""
        real = kernel.first_real
        try:
            plan = self._plans[kernel, None if real is None else args[real].dtype, grid, block]
        except (KeyError, AttributeError):
            plan = self.ready(kernel, grid, block, args)
        self.launches += 1
        plan(args)

    def ready(self, kernel: GpuKernel, grid: Size, block: Size, args: tuple[Any, ...]) -> Plan:
        """The plan of a launch, for whoever keeps it: calling it counts as no launch."""
        precision, real = kernel.precision(args), kernel.first_real
        key = (kernel, None if real is None else args[real].dtype, grid, block)
        if key not in self._plans:
            self._plans[key] = self.plan(kernel, precision, three(grid), three(block))
        return self._plans[key]

    @abstractmethod
    def plan(
        self, kernel: GpuKernel, precision: str, grid: tuple[int, int, int], block: tuple[int, int, int]
    ) -> Plan:
        """All of a launch that is the same for any arguments: a compiled kernel, a checked grid."""

    @abstractmethod
    def copy_from_host(self, buffer: Buffer, offset: int, values: NDArray[Any]) -> None:
        """Write a contiguous host array into a buffer from byte `offset` on."""

    @abstractmethod
    def copy_to_host(self, buffer: Buffer, offset: int, values: NDArray[Any]) -> None:
        """Fill a contiguous host array from a buffer, from byte `offset` on; waits for it."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until all that was asked for is done."""

    @abstractmethod
    def start_recording(self) -> None:
        """From here on launches are written down, not run (`minidl.array.graph` is the way to it)."""

    @abstractmethod
    def stop_recording(self) -> Callable[[], None]:
        """Launches run again; what is given back runs all those that were written down."""

    def refuse_while_recording(self, what: str) -> None:
        """The host takes part in nothing that is recorded.

        Raises:
            BackendError: a step is recorded now.
        """
        if self.recording:
            raise BackendError(f"{what}: a recorded step runs without the host; do this outside of it")

    @abstractmethod
    def _allocate(self, size: int) -> Any: ...

    @abstractmethod
    def _free(self, memory: Any) -> None: ...

    def __repr__(self) -> str:
        return f"device {self.name}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Device:
        return self  # there is one of it

    def __reduce__(self) -> tuple[Callable[[str], Device], tuple[str]]:
        return get_device, (self.name,)


HOMES = {"cuda": "minidl.array.cuda", "sim": "minidl.testing.simulator"}
"""The module that registers a device, imported when the device is first asked for."""

_makers: dict[str, Callable[[], Device]] = {}
_devices: dict[str, Device] = {}


def register_device(name: str, make: Callable[[], Device]) -> None:
    """Say how the device of this name is made; it is made once, when somebody asks for it."""
    _makers[name] = make


def get_device(device: str | Device) -> Device:
    """The device of that name.

    Args:
        device: `"cuda"`, `"sim"`, or a device, which is given back.

    Raises:
        BackendError: there is no device of that name, or it cannot be had here.
    """
    if isinstance(device, Device):
        return device
    if device not in _devices:
        if device in HOMES:
            importlib.import_module(HOMES[device])
        if device not in _makers:
            names = " or ".join(map(repr, sorted({*HOMES, *_makers})))
            raise BackendError(f"get_device: expected {names}, got {device!r}")
        _devices[device] = _makers[device]()
    return _devices[device]
