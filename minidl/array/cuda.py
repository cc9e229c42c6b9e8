"""NVIDIA GPUs: `minidl.cuda`. Nothing of CUDA is imported before somebody asks for it.

`cuda.core` loads kernels and records graphs, `cuda.bindings` has the driver's launches, memory and copies;
both are NVIDIA's, and come with `pip install "minidl[cuda13]"` (or `[cuda12]`). All work is put on one
stream, so it happens in the order in which it was asked for, and memory that an array gives back may be
another's at once.
"""

from __future__ import annotations

import ctypes
import functools
import struct
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from numpy.typing import NDArray

from minidl.array.cuda_compiler import compiler_is_installed, kept_kernel
from minidl.array.device import Device, Plan, get_device, register_device
from minidl.array.device_memory import Buffer
from minidl.array.gpu import GpuKernel
from minidl.array.graph import Graph, capture
from minidl.errors import BackendError

__all__ = [
    "CudaDevice",
    "Graph",
    "capture",
    "device_count",
    "device_name",
    "driver_version",
    "is_available",
    "memory_allocated",
    "synchronize",
]

SLOT = 8
"""Bytes between two arguments of a launch: as many as the largest has."""
CODES = {
    "bool": "?7x", "uint8": "B7x", "int32": "i4x", "uint32": "I4x", "int64": "q", "float32": "f4x",
    "float64": "d",
}  # fmt: skip
"""How `struct` writes a number into its slot."""
INSTALL = 'pip install "minidl[cuda13]" (or "minidl[cuda12]" for an older driver)'


def is_available() -> bool:
    """Whether `"cuda"` can be used: the packages are installed, and a driver sees a GPU."""
    return _obstacle() is None


def device_count() -> int:
    """How many GPUs there are; 0 without the packages or a driver."""
    if _obstacle() is not None:
        return 0
    libraries = _libraries()
    return int(_checked(libraries.driver, libraries.driver.cuDeviceGetCount()))


def device_name() -> str:
    """What the GPU that is used calls itself."""
    return _device().gpu.name


def driver_version() -> str:
    """The newest CUDA that the GPU's driver speaks, such as `"13.0"`."""
    return _device().driver_version()


def synchronize() -> None:
    """Wait until the GPU has done all that it was asked for."""
    _device().synchronize()


def memory_allocated() -> int:
    """How many bytes of the GPU's memory arrays have now."""
    return _device().memory_allocated()


def _device() -> CudaDevice:
    device = get_device("cuda")
    assert isinstance(device, CudaDevice)
    return device


def _libraries() -> SimpleNamespace:
    """NVIDIA's packages; the one place that imports them."""
    from cuda import core
    from cuda.bindings import driver

    return SimpleNamespace(core=core, driver=driver)


@functools.cache
def _obstacle() -> str | None:
    """Why there is no GPU to use, or None if there is one."""
    if not compiler_is_installed():
        return f"the package numba-cuda is not installed: {INSTALL}"
    try:
        driver = _libraries().driver
    except ImportError as error:
        return f"NVIDIA's Python packages cannot be imported ({error}): {INSTALL}"
    try:
        _checked(driver, driver.cuInit(0))
        count = _checked(driver, driver.cuDeviceGetCount())
    except RuntimeError as error:  # the driver is missing, or it says what is wrong
        return f"the NVIDIA driver cannot be used: {error}"
    return None if count else "the NVIDIA driver sees no GPU"


def _checked(driver: Any, answer: tuple[Any, ...]) -> Any:
    """What a call of the driver gave, or its error."""
    code, *values = answer
    if code == driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
        raise MemoryError("the GPU has no memory left")
    if code != driver.CUresult.CUDA_SUCCESS:
        _, text = driver.cuGetErrorString(code)
        raise BackendError(f"CUDA: {text.decode() if isinstance(text, bytes) else code} ({code})")
    return values[0] if values else None


class CudaDevice(Device):
    """The first NVIDIA GPU; `get_device("cuda")` gives it.

    Attributes:
        gpu: NVIDIA's own description of it.

    Raises:
        BackendError: there is none to use; the message says what to install, or what the driver said.
    """

    gpu: Any

    def __init__(self) -> None:
        obstacle = _obstacle()
        if obstacle:
            raise BackendError(f'the device "cuda" cannot be used here: {obstacle}')
        super().__init__("cuda")
        libraries = _libraries()
        self._core, self._driver = libraries.core, libraries.driver
        self.gpu = self._core.Device(0)
        self.gpu.set_current()
        self._stream = self.gpu.create_stream()
        self._target = self._stream.handle  # where launches go: the stream, or that of a recording
        self._builder: Any = None
        self._writing = threading.Lock()
        self._compiled: dict[tuple[GpuKernel, str], Any] = {}

    def plan(
        self, kernel: GpuKernel, precision: str, grid: tuple[int, int, int], block: tuple[int, int, int]
    ) -> Plan:
        """The compiled kernel with its grid; a launch turns the arguments into numbers and starts it."""
        if not min(grid):
            return lambda args: None
        threads = block[0] * block[1] * block[2]
        if threads > kernel.threads:
            raise BackendError(
                f"{kernel.name}: expected at most {kernel.threads} threads a block, got {threads}"
            )
        function = self._driver.CUfunction(int(self._machine_code(kernel, precision).handle))
        start, success = self._driver.cuLaunchKernel, self._driver.CUresult.CUDA_SUCCESS
        shape = (*grid, *block, 0)
        dtypes = [argument.dtype(precision) for argument in kernel.arguments]
        pointers = [
            (position, dtype, dtype.itemsize)
            for position, (argument, dtype) in enumerate(zip(kernel.arguments, dtypes, strict=True))
            if argument.pointer
        ]
        # The driver reads each argument from an address: the slots are at the same ones each time, so a
        # launch fills them with one call of `struct`, which refuses what does not fit.
        slots = ctypes.create_string_buffer(SLOT * len(dtypes))
        first = ctypes.addressof(slots)
        addresses = (ctypes.c_void_p * len(dtypes))(*(first + SLOT * i for i in range(len(dtypes))))
        codes = ("Q" if a.pointer else CODES[d.name] for a, d in zip(kernel.arguments, dtypes, strict=True))
        fill = struct.Struct("<" + "".join(codes)).pack_into
        where = ctypes.addressof(addresses)

        def run(args: tuple[Any, ...], _kept: Any = addresses) -> None:
            values = list(args)
            try:
                for position, dtype, size in pointers:
                    given = values[position]
                    if given.dtype is not dtype or given.device is not self:
                        values = self._checked_values(kernel, precision, args)
                        break
                    values[position] = given.buffer.memory + given.offset * size
            except AttributeError:
                values = self._checked_values(kernel, precision, args)
            with self._writing:  # the driver lets other threads run while it reads
                try:
                    fill(slots, 0, *values)
                except (struct.error, TypeError, ValueError, OverflowError):
                    fill(slots, 0, *self._checked_values(kernel, precision, args))
                answer = start(function, *shape, self._target, where, 0)
            if answer[0] != success:
                _checked(self._driver, answer)

        return run

    def _checked_values(self, kernel: GpuKernel, precision: str, args: tuple[Any, ...]) -> list[Any]:
        """Addresses and numbers as the kernel's types take them, one by one, so that an error names one."""
        values: list[Any] = []
        for position, (argument, given) in enumerate(zip(kernel.arguments, args, strict=True)):
            dtype = argument.dtype(precision)
            try:
                if not argument.pointer:
                    values.append(dtype.type(given))
                elif given.dtype == dtype and given.device is self:
                    values.append(given.buffer.memory + given.offset * dtype.itemsize)
                else:
                    raise kernel.misfit(position, given, precision)
            except (AttributeError, TypeError, ValueError, OverflowError):
                raise kernel.misfit(position, given, precision) from None
        return values

    def _machine_code(self, kernel: GpuKernel, precision: str) -> Any:
        key = (kernel, precision)
        if key not in self._compiled:
            major, minor = self.gpu.compute_capability
            text, entry = kept_kernel(kernel, precision, (major, minor))
            self._compiled[key] = self._core.ObjectCode.from_ptx(text, name=kernel.name).get_kernel(entry)
        return self._compiled[key]

    def copy_from_host(self, buffer: Buffer, offset: int, values: NDArray[Any]) -> None:
        """Write a contiguous host array into a buffer from byte `offset` on."""
        self.refuse_while_recording("a copy from the host")
        if values.nbytes:
            self._call(
                "cuMemcpyHtoDAsync", buffer.memory + offset, values.ctypes.data, values.nbytes, self._handle()
            )

    def copy_to_host(self, buffer: Buffer, offset: int, values: NDArray[Any]) -> None:
        """Fill a contiguous host array from a buffer, from byte `offset` on; waits for it."""
        self.refuse_while_recording("a copy to the host")
        if values.nbytes:
            self._call(
                "cuMemcpyDtoHAsync", values.ctypes.data, buffer.memory + offset, values.nbytes, self._handle()
            )
            self._stream.sync()

    def synchronize(self) -> None:
        """Wait until all that was asked for is done."""
        self.refuse_while_recording("synchronize")
        self._stream.sync()

    def driver_version(self) -> str:
        """The newest CUDA that the driver speaks, such as `"13.0"`."""
        number = int(self._call("cuDriverGetVersion"))  # 13000
        return f"{number // 1000}.{number % 1000 // 10}"

    def start_recording(self) -> None:
        """From here on launches go into a graph."""
        self._builder = self._stream.create_graph_builder()
        self._builder.begin_building()
        self._target = self._builder.stream.handle
        self.recording = True

    def stop_recording(self) -> Callable[[], None]:
        """Launches go to the GPU again; what is given back starts the graph."""
        builder, self._builder = self._builder, None
        self._target, self.recording = self._stream.handle, False
        graph = builder.end_building().complete()
        stream = self._stream
        return lambda: graph.launch(stream)

    def _handle(self) -> Any:
        return self._stream.handle

    def _call(self, name: str, *args: Any) -> Any:
        return _checked(self._driver, getattr(self._driver, name)(*args))

    def _allocate(self, size: int) -> int:
        return int(self._call("cuMemAlloc", size))

    def _free(self, memory: Any) -> None:
        self._call("cuMemFree", memory)


register_device("cuda", CudaDevice)
