"""`minidl.cuda` without a GPU: what it says, and its logic over a driver that is played by Python."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import minidl
from minidl.array import cuda as cuda_module
from minidl.array import cuda_compiler
from minidl.array import device as device_module
from minidl.array.gpu import cuda, gpu_function, gpu_kernel, kernel_from_source, real
from minidl.errors import BackendError, DTypeError


@pytest.fixture(autouse=True)
def ask_again():
    cuda_module._obstacle.cache_clear()
    yield
    cuda_module._obstacle.cache_clear()


# ------------------------------------------------------------------ where there is no GPU


def unusable(monkeypatch, installed=True, libraries=None):
    """What the error says where the packages, or NVIDIA's libraries, are like this."""
    monkeypatch.setattr(cuda_module, "compiler_is_installed", lambda: installed)
    monkeypatch.setattr(cuda_module, "_libraries", libraries)
    assert minidl.cuda.is_available() is False
    assert minidl.cuda.device_count() == 0
    with pytest.raises(BackendError) as error:
        cuda_module.CudaDevice()
    return str(error.value)


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    text = unusable(monkeypatch, installed=False)
    assert 'the device "cuda" cannot be used here: the package numba-cuda is not installed' in text
    assert 'pip install "minidl[cuda13]"' in text

    def libraries():
        raise ImportError("No module named 'cuda'")

    cuda_module._obstacle.cache_clear()
    text = unusable(monkeypatch, libraries=libraries)
    assert "No module named 'cuda'" in text
    assert 'pip install "minidl[cuda13]"' in text


def test_without_a_gpu_the_error_says_what_the_driver_said(monkeypatch):
    def missing(flags):
        raise RuntimeError("the library libcuda is not there")

    driver = Driver()
    driver.cuInit = missing
    assert "the library libcuda is not there" in unusable(
        monkeypatch, libraries=lambda: SimpleNamespace(driver=driver)
    )

    cuda_module._obstacle.cache_clear()
    driver = Driver()
    driver.cuInit = lambda flags: (driver.CUresult.CUDA_ERROR_NO_DEVICE,)
    text = unusable(monkeypatch, libraries=lambda: SimpleNamespace(driver=driver))
    assert "no CUDA-capable device is detected" in text

    cuda_module._obstacle.cache_clear()
    driver = Driver()
    driver.cuDeviceGetCount = lambda: (0, 0)
    text = unusable(monkeypatch, libraries=lambda: SimpleNamespace(driver=driver))
    assert "the NVIDIA driver sees no GPU" in text


def test_nothing_of_cuda_is_imported_where_it_is_not_installed():
    """All modules of minidl, a question about GPUs and a simulated device, with CUDA's packages hidden."""
    code = """
import importlib, pkgutil, sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("cuda", "numba_cuda", "cupy"):
            asked.add(name)
            raise ImportError(name)

asked = set()
sys.meta_path.insert(0, Hide())
import minidl
for info in pkgutil.walk_packages(minidl.__path__, "minidl."):
    if not any(part in info.name for part in ("__main__", "numba_cpu", "torch_side", "learn.plugin")):
        importlib.import_module(info.name)
assert not asked, asked
assert not minidl.cuda.is_available()
assert asked == {"numba_cuda"}, asked
try:
    minidl.cuda.synchronize()
except minidl.errors.BackendError as error:
    assert "pip install" in str(error)
from minidl.array.device import get_device
get_device("sim").allocate(8)
print([name for name in sys.modules if name.split(".")[0] in ("cuda", "numba_cuda", "cupy")])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


# ------------------------------------------------------------------ a driver played by Python


class Driver:
    """As much of `cuda.bindings.driver` as minidl calls; a GPU's memory is the host's."""

    CUresult = SimpleNamespace(CUDA_SUCCESS=0, CUDA_ERROR_OUT_OF_MEMORY=2, CUDA_ERROR_NO_DEVICE=100)

    def __init__(self, memory=1 << 20):
        self.free, self.blocks, self.copies = memory, {}, 0

    def cuInit(self, flags):  # noqa: N802
        return (0,)

    def cuDeviceGetCount(self):  # noqa: N802
        return 0, 1

    def cuDriverGetVersion(self):  # noqa: N802
        return 0, 12080

    def cuGetErrorString(self, code):  # noqa: N802
        return 0, {100: b"no CUDA-capable device is detected"}.get(code, b"unknown error")

    def cuMemAlloc(self, size):  # noqa: N802
        if size > self.free:
            return 2, 0
        block = ctypes.create_string_buffer(size)
        self.blocks[ctypes.addressof(block)] = block
        self.free -= size
        return 0, ctypes.addressof(block)

    def cuMemFree(self, address):  # noqa: N802
        self.free += len(self.blocks.pop(address))
        return (0,)

    def cuMemcpyHtoDAsync(self, target, source, count, stream):  # noqa: N802
        self.copies += 1
        ctypes.memmove(target, source, count)
        return (0,)

    cuMemcpyDtoHAsync = cuMemcpyHtoDAsync  # noqa: N815

    CUfunction = staticmethod(lambda handle: handle)

    def cuLaunchKernel(self, function, *rest):  # noqa: N802
        """Read the arguments as a driver does, by what the kernel's image says of them."""
        *shape, shared, stream, where, extra = rest
        assert (shared, extra) == (0, 0)
        text, name, entry = KERNELS[function]
        addresses = (ctypes.c_void_p * len(IMAGES[entry])).from_address(where)
        args = tuple(kind.from_address(at).value for kind, at in zip(IMAGES[entry], addresses, strict=True))
        launched = (tuple(shape[:3]), tuple(shape[3:])), (text, name, entry), args
        (LAUNCHED if stream == Stream.handle else Builder.now.launched).append(launched)
        return (0,)


KERNELS = []
"""What was loaded; a kernel's handle is its number."""
IMAGES = {}
"""The types of each kernel's arguments, by the kernel's name in its PTX."""
CTYPES = {"bool": "bool", "uint8": "uint8", "float32": "float", "float64": "double"}


def image(kernel, precision):
    names = [argument.dtype(precision).name for argument in kernel.arguments]
    return [
        ctypes.c_uint64 if a.pointer else getattr(ctypes, f"c_{CTYPES.get(n, n)}")
        for a, n in zip(kernel.arguments, names, strict=True)
    ]


class Stream:
    handle = 7

    def __init__(self):
        self.waits = 0

    def sync(self):
        self.waits += 1

    def create_graph_builder(self):
        return Builder()


class Builder:
    """A graph that is being recorded; replayed, it appends its launches to a list."""

    def __init__(self):
        self.launched, self.state, self.stream = [], "new", SimpleNamespace(handle=8)

    def begin_building(self):
        self.state, Builder.now = "building", self

    def end_building(self):
        assert self.state == "building"
        return self

    def complete(self):
        return SimpleNamespace(launch=lambda stream: LAUNCHED.extend(self.launched))


LAUNCHED = []


def load(text, name, entry):
    KERNELS.append((text, name, entry))
    return SimpleNamespace(handle=len(KERNELS) - 1)


@pytest.fixture
def gpu(monkeypatch):
    """The device "cuda" over that driver; its kernels are compiled to their own names."""
    LAUNCHED.clear()
    driver, stream = Driver(), Stream()
    device = SimpleNamespace(
        name="a GPU of Python",
        set_current=lambda: None,
        create_stream=lambda: stream,
        compute_capability=(9, 0),
    )
    core = SimpleNamespace(
        Device=lambda number: device,
        ObjectCode=SimpleNamespace(
            from_ptx=lambda text, name: SimpleNamespace(get_kernel=lambda entry: load(text, name, entry))
        ),
    )
    monkeypatch.setattr(cuda_module, "compiler_is_installed", lambda: True)
    monkeypatch.setattr(cuda_module, "_libraries", lambda: SimpleNamespace(core=core, driver=driver))
    compiled = []

    def compile_kernel(kernel, precision, capability):
        compiled.append((kernel.name, precision, capability))
        entry = f"entry_of_{kernel.name}_{precision}"
        IMAGES[entry] = image(kernel, precision)
        return b"ptx", entry

    monkeypatch.setattr(cuda_module, "kept_kernel", compile_kernel)
    made = cuda_module.CudaDevice()
    made.compiled, made.driver, made.stream = compiled, driver, stream
    return made


class Flat:
    def __init__(self, device, values, offset=0):
        values = np.ascontiguousarray(values)
        self.device, self.dtype, self.shape, self.offset = device, values.dtype, values.shape, offset
        self.buffer = device.allocate(values.nbytes)
        device.copy_from_host(self.buffer, 0, values)


@gpu_kernel("real* y, const real* x, real a, bool flag, int32 n")
def scaled(y, x, a, flag, n):
    i = cuda.grid(1)
    if i < n:
        y[i] = x[i] * a if flag else real(0)


def test_values_travel_to_the_device_and_back(gpu):
    values = np.arange(6, dtype="float32")
    buffer = gpu.allocate(24)
    gpu.copy_from_host(buffer, 0, values)
    back = np.empty(4, "float32")
    gpu.copy_to_host(buffer, 8, back)
    np.testing.assert_array_equal(back, values[2:])
    assert gpu.stream.waits == 1


def test_the_face_of_cuda(gpu, monkeypatch):
    monkeypatch.setitem(device_module._devices, "cuda", gpu)
    x = minidl.to_device(np.zeros(1000, "float32"), "cuda")
    assert (minidl.cuda.is_available(), minidl.cuda.device_count()) == (True, 1)
    assert (minidl.cuda.device_name(), minidl.cuda.driver_version()) == ("a GPU of Python", "12.8")
    assert minidl.cuda.memory_allocated() == 4096
    minidl.cuda.synchronize()
    assert gpu.stream.waits == 1
    del x


def test_a_launch_has_addresses_and_typed_numbers(gpu):
    y, x = Flat(gpu, np.zeros(4, "float32")), Flat(gpu, np.zeros(8, "float32"), offset=3)
    scaled(2, (32, 2), y, x, 0.5, True, 4)
    ((config, kernel, args),) = LAUNCHED
    assert config == ((2, 1, 1), (32, 2, 1))
    assert kernel == (b"ptx", "scaled", "entry_of_scaled_float32")
    assert args == (y.buffer.memory, x.buffer.memory + 12, 0.5, True, 4)


def test_numbers_arrive_as_the_kernels_types_have_them(gpu):
    kinds = ("bool", "uint8", "int32", "uint32", "int64", "float32", "float64")
    names = "abcdefg"
    signature = ", ".join(["real* y", *(f"{kind} {name}" for kind, name in zip(kinds, names, strict=True))])
    kernel = kernel_from_source(f"def all_kinds(y, {', '.join(names)}):\n    y[0] = y[0]\n", signature)
    y = Flat(gpu, np.zeros(4, "float32"))
    for given, wanted in [
        ((True, 255, -(2**31), 2**32 - 1, -(2**63), 0.1, 0.1), None),
        ((np.bool_(False), np.uint8(7), np.int64(-1), np.int32(9), np.int32(-2), np.float64(0.5), 1), None),
        ((1, 2.0, 3.7, 4.0, 5.5, np.float32(2), -np.inf), (True, 2, 3, 4, 5, 2.0, -np.inf)),  # as NumPy casts
        ((0, 0, 0, 0, 0, np.inf, "1.5"), (False, 0, 0, 0, 0, np.inf, 1.5)),
    ]:
        kernel(1, 32, y, *given)
        *_, args = LAUNCHED.pop()
        wanted = list(given if wanted is None else wanted)
        wanted[5] = float(np.float32(wanted[5]))
        assert list(args[1:]) == wanted


def test_an_array_whose_dtype_is_an_equal_object_fits(gpu):
    x = Flat(gpu, np.zeros(4, "float32"))
    x.dtype = np.dtype("float32", metadata={"unit": "m"})
    assert x.dtype is not np.dtype("float32")
    scaled(1, 32, x, x, 0.5, True, 4)
    assert LAUNCHED[0][2][0] == x.buffer.memory


def test_a_launch_that_the_driver_refuses_says_so(gpu):
    gpu.driver.cuLaunchKernel = lambda *args: (100,)
    y = Flat(gpu, np.zeros(4, "float32"))
    with pytest.raises(BackendError, match="CUDA: no CUDA-capable device"):
        scaled(1, 32, y, y, 0.5, True, 4)


def test_a_kernel_is_compiled_once_for_each_precision(gpu):
    for dtype in ("float32", "float64", "float32"):
        y = Flat(gpu, np.zeros(4, dtype))
        for grid in (1, 2, 0):
            scaled(grid, 32, y, y, 0.5, True, 4)
    assert gpu.compiled == [("scaled", "float32", (9, 0)), ("scaled", "float64", (9, 0))]
    assert len(LAUNCHED) == 6  # a grid of nothing is not launched


def test_arguments_have_to_fit(gpu):
    y, double = Flat(gpu, np.zeros(4, "float32")), Flat(gpu, np.zeros(4))
    for args, wrong in [
        ((y, double, 0.5, True, 4), "x"),
        ((y, 3, 0.5, True, 4), "x"),
        ((y, y, y, True, 4), "a"),
        ((y, y, 0.5, True, 2**31), "n"),
        ((y, y, 0.5, True, "four"), "n"),
    ]:
        with pytest.raises(DTypeError, match=f"scaled: argument '{wrong}': expected"):
            scaled(1, 32, *args)
    with pytest.raises(BackendError, match="at most 1024 threads a block, got 1056"):
        scaled(1, (32, 33), y, y, 0.5, True, 4)
    assert not LAUNCHED


def test_memory_goes_back_to_the_pool_and_is_used_again(gpu):
    first = gpu.allocate(1000)
    address = first.memory
    assert gpu.memory_allocated() == 1024
    del first
    assert gpu.memory_allocated() == 0
    again = gpu.allocate(990)
    assert (again.memory, gpu.pool.allocations, gpu.pool.kept) == (address, 1, 1024)


def test_where_memory_runs_out_idle_blocks_are_given_back(gpu):
    del_me = gpu.allocate(900_000)
    del del_me
    other = gpu.allocate(500_000)  # there is room for it only without the idle block
    assert len(gpu.driver.blocks) == 1
    with pytest.raises(MemoryError, match="the GPU has no memory left"):
        gpu.allocate(1_000_000)
    assert other.nbytes == 500_000


def test_errors_of_the_driver_say_what_it_said(gpu):
    gpu.driver.cuMemAlloc = lambda size: (100, 0)
    with pytest.raises(BackendError, match=r"CUDA: no CUDA-capable device is detected \(100\)"):
        gpu.allocate(8)


def test_a_captured_step_is_replayed_as_a_whole(gpu):
    x = Flat(gpu, np.ones(4, "float32"))

    def step():
        y = Flat.__new__(Flat)
        y.device, y.dtype, y.offset, y.buffer = gpu, x.dtype, 0, gpu.allocate(16)
        scaled(1, 32, y, x, 0.5, True, 4)
        return y

    graph = minidl.cuda.capture(step, device=gpu, warmup=2)
    assert len(LAUNCHED) == 3  # two to warm up, and the recording's first replay
    LAUNCHED.clear()
    assert graph.replay() is graph.result
    ((_, _, args),) = LAUNCHED
    assert args[0] == graph.result.buffer.memory


def test_a_captured_step_does_without_the_host(gpu):
    x = Flat(gpu, np.ones(4, "float32"))
    with pytest.raises(BackendError, match="a copy to the host: a recorded step runs without the host"):
        minidl.cuda.capture(lambda: gpu.copy_to_host(x.buffer, 0, np.empty(4, "float32")), device=gpu)
    with pytest.raises(BackendError, match="a copy from the host"):
        minidl.cuda.capture(lambda: gpu.copy_from_host(x.buffer, 0, np.empty(4, "float32")), device=gpu)
    assert not gpu.recording
    scaled(1, 32, x, x, 0.5, True, 4)  # launches go to the stream again
    assert len(LAUNCHED) == 1


def test_compiled_kernels_are_kept_on_disk(monkeypatch, tmp_path):
    compiled = []

    def compile_kernel(kernel, precision, capability):
        compiled.append(kernel.name)
        return f".visible .entry entry{len(compiled)}(\n)".encode(), f"entry{len(compiled)}"

    monkeypatch.setattr(cuda_compiler, "compile_kernel", compile_kernel)
    monkeypatch.setattr(cuda_compiler.importlib.metadata, "version", lambda name: "0.30.4")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def kept(text="y[0] = factor", registers=64, precision="float32", **names):
        kernel = kernel_from_source(f"def k(y):\n    {text}\n", "real* y", registers=registers, names=names)
        return cuda_compiler.kept_kernel(kernel, precision, (9, 0))[1]

    @gpu_function
    def one(x):
        return x

    @gpu_function
    def two(x):
        return x + x

    calls = "y[0] = f(y[1])"
    ways = [
        {"factor": 1.0},
        {"factor": 2.0},
        {"factor": 1.0, "registers": 32},
        {"factor": 1.0, "precision": "float64"},
        {"text": calls, "f": one},
        {"text": calls, "f": two},
    ]
    entries = [kept(**way) for way in ways]
    assert entries == [f"entry{i}" for i in range(1, 7)]
    assert [kept(**way) for way in ways] == entries
    assert len(compiled) == 6
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")  # where nothing can be written
    assert kept(factor=1.0) == "entry7"


def test_generated_kernels_run_too(gpu):
    y = Flat(gpu, np.zeros(4))
    kernel_from_source("def fill(y):\n    y[cuda.grid(1)] = 1.0\n", "float64* y")(1, 4, y)
    assert gpu.compiled == [("fill", "float32", (9, 0))]
