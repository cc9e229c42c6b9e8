"""Compile kernels to machine code and say what came out: run as a script, it prints one JSON line per kernel.

It takes two numbers, `part` and `parts`, and compiles every `parts`-th signature from `part` on, so that a
few processes share the work: the compiler uses one core and lets nobody else in.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import json
import pkgutil
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import minidl.kernels.cuda
from minidl.array.cuda_compiler import compile_kernel
from minidl.array.device import Device
from minidl.array.device_array import DeviceArray
from minidl.array.gpu import GPU_KERNELS

GPUS = ("sm_80", "sm_90")  # A100, H100


def signatures():
    """Every kernel with every precision by a name that says which: those listed, and some generated ones."""
    for module in pkgutil.iter_modules(minidl.kernels.cuda.__path__, "minidl.kernels.cuda."):
        importlib.import_module(module.name)
    found = {}
    for name, kernel in sorted(GPU_KERNELS.items()):
        if name.startswith("minidl."):
            for precision in kernel.precisions if kernel.first_real is not None else ("float32",):
                found[f"{name.removeprefix('minidl.')}-{precision}"] = (kernel, precision)
    for kernel, precision in generated():
        types = "_".join(dict.fromkeys(argument.dtype(precision).name for argument in kernel.arguments))
        name = f"array.{kernel.name}-{types}"
        while name in found and found[name][0] is not kernel:
            name += "+"
        found[name] = (kernel, precision)
    return found


class Listener(Device):
    """A device that runs nothing, and keeps which kernels it was to run."""

    def __init__(self):
        super().__init__("listener")
        self.heard = {}

    def plan(self, kernel, precision, grid, block):
        self.heard[kernel, precision] = None
        return lambda args: None

    def _allocate(self, size):
        return bytearray(size)

    def _free(self, memory):
        pass

    copy_from_host = copy_to_host = synchronize = start_recording = stop_recording = _free


def generated():
    """The kernels behind a list of expressions: each ufunc, and one of every form of the other generators."""
    device = Listener()
    for dtype in map(np.dtype, ("float32", "float64")):

        def array(*shape, dtype=dtype):
            strides = tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
            return DeviceArray(device.allocate(4096), shape, strides, 0, dtype)

        x, matrix, square, cube = array(60), array(6, 10), array(10, 6), array(3, 4, 5)
        whole, flags = array(60, dtype=np.dtype("int64")), array(60, dtype=np.dtype("bool"))
        for ufunc in UNARY:
            ufunc(x)
        for ufunc in BINARY:
            ufunc(x, x)
        for value in (x + 1, 2 / x, matrix.T + square, matrix[:, ::-2] * matrix[:, :5], matrix + matrix[0]):
            assert value.dtype == dtype
        np.add(cube.transpose(2, 0, 1), cube[0, 0, 0])
        np.where(flags, x, 0)
        np.take(matrix, whole[:3], axis=0)
        np.concatenate([matrix, matrix], axis=1)
        x.astype(np.float32 if dtype == np.float64 else np.float64)
        flags.astype(dtype)
        whole.astype(dtype)
        for axis in (None, 0, 1):
            for reduction in (np.sum, np.max, np.min, np.mean, np.var, np.argmax):
                reduction(matrix, axis=axis)
    return list(device.heard)


UNARY = [np.negative, np.absolute, np.sign, np.sqrt, np.square, np.exp, np.log, np.log1p, np.expm1, np.tanh]
UNARY += [np.isnan, np.isfinite]
BINARY = [np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum, np.minimum]
BINARY += [np.less, np.less_equal, np.equal, np.not_equal, np.greater]


def tool(name):
    """A program of the CUDA toolkit, from its wheel; None if it is not installed."""
    found = importlib.util.find_spec("nvidia")
    for place in found.submodule_search_locations if found else ():
        for path in Path(place).glob(f"cu*/bin/{name}"):
            return str(path)
    return None


DOUBLE = re.compile(r"^\s+(?!\.reg)\S*\.f64", re.MULTILINE)
"""An instruction that works on float64."""


def assembled(kernel, precision, text, gpu, folder):
    """A kernel's PTX as machine code, and what is to be said of it."""
    ptx, cubin = folder / "kernel.ptx", folder / "kernel.cubin"
    ptx.write_bytes(text)
    done = subprocess.run(
        [tool("ptxas"), "-v", "-O3", f"-arch={gpu}", str(ptx), "-o", str(cubin)],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    said = done.stderr + done.stdout
    if done.returncode:
        return {"error": said}
    body = text.decode().split("\n{", 1)[1]
    dtypes = {argument.dtype(precision).name for argument in kernel.arguments}
    report = {
        "registers": int(re.search(r"Used (\d+) registers", said)[1]),
        "spills": sum(map(int, re.findall(r"(\d+) bytes spill", said))),
        "stack": int(re.search(r"(\d+) bytes stack frame", said)[1]),
        "doubles": 0 if "float64" in dtypes else len(DOUBLE.findall(body)),
        "shared": int((re.search(r"(\d+) bytes smem", said) or [0, 0])[1]),
    }
    return report | (hot_loop(cubin) if "product" in kernel.name else {})


def hot_loop(cubin):
    """What share of the instructions between two barriers multiplies and adds, at best."""
    if tool("nvdisasm") is None:
        return {}
    text = subprocess.run(
        [tool("nvdisasm"), str(cubin)], capture_output=True, text=True, check=True, timeout=100
    ).stdout
    names = re.findall(r"/\*[0-9a-f]{4,5}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]+)", text)
    barriers = [i for i, name in enumerate(names) if name.startswith("BAR")]
    loops = [names[i + 1 : j] for i, j in itertools.pairwise(barriers)]
    hottest = max(loops, key=lambda loop: sum(name in FMA for name in loop), default=[])
    return {
        "instructions": len(names),
        "fma": round(sum(n in FMA for n in hottest) / max(1, len(hottest)), 3),
    }


FMA = ("FFMA", "FFMA2", "DFMA")


def main(part, parts):
    with tempfile.TemporaryDirectory() as folder:
        for name, (kernel, precision) in list(signatures().items())[part::parts]:
            began = time.perf_counter()
            for gpu in GPUS:
                report = {"name": name, "gpu": gpu, "limit": kernel.registers, "seconds": 0.0, "error": ""}
                try:
                    if gpu == GPUS[0]:
                        text, _ = compile_kernel(kernel, precision)
                        report["seconds"] = round(time.perf_counter() - began, 2)
                    report |= assembled(kernel, precision, text, gpu, Path(folder))
                except Exception as error:
                    report["error"] = str(error)
                print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
