"""The kernels of reductions, written for the operation, the dtypes and the number of dimensions.

In each round a thread joins a run of `RUN` elements; where elements are neighbours in memory, a block's
threads walk through them side by side and then join what they have, half of them with the other half.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from minidl.array.elementwise import index_text
from minidl.array.formulas import formula
from minidl.array.gpu import GpuKernel, kernel_from_source
from minidl.errors import BackendError

__all__ = ["RUN", "THREADS", "reduction_kernel", "winner_kernel"]

RUN = 64  # elements that one thread joins
THREADS = 256  # of a block that walks through neighbours side by side


def _place(kept: int, reduced: int) -> tuple[list[str], str, list[str], str]:
    """Text that finds element `r` of output `o`: lines and the sum for `o`, then those for `r`."""
    start = index_text("o", [f"n{k}" for k in range(kept)], "o")
    inner = index_text("r", [f"m{k}" for k in range(reduced)], "r")
    base = " + ".join(f"o{k} * s{k}" for k in range(kept))
    step = " + ".join(f"r{k} * t{k}" for k in range(reduced))
    return start, base, inner, step


def _dims_text(kept: int, reduced: int) -> list[str]:
    return [
        f"{letter}{k}"
        for letter, n in (("n", kept), ("s", kept), ("m", reduced), ("t", reduced))
        for k in range(n)
    ]


@functools.cache
def reduction_kernel(
    name: str, dtype: np.dtype[Any], result: np.dtype[Any], neighbours: bool, kept: int, reduced: int
) -> GpuKernel:
    """The kernel of a round: each thread has one run, or each block with its threads side by side."""
    joined = formula(name, result)
    if joined is None:
        raise BackendError(f"np.{name}.reduce: there is no kernel for {result} on a device")
    kind = "bool_" if result == np.bool else result.name
    joined = joined.replace("T(", f"{kind}(")
    start, base, inner, step = _place(kept, reduced)
    element = f"{kind}(x[base + {step}])"
    if neighbours:
        lines = [
            f"part = cuda.shared.array({THREADS}, {kind})",
            "thread, width = cuda.threadIdx.x, cuda.blockDim.x",
            "o, run = cuda.blockIdx.x // runs, cuda.blockIdx.x % runs",
            *start,
            f"base = {base}",
            "a, r = identity, run * length + thread",
            "last = min(run * length + length, count)",
            "while r < last:",
            f"    b = {kind}(x[base + r])",
            f"    a = {joined}",
            "    r += width",
            "part[thread] = a",
            "while width > 1:",
            "    width //= 2",
            "    cuda.syncthreads()",
            "    if thread < width:",
            "        a, b = part[thread], part[thread + width]",
            f"        part[thread] = {joined}",
            "if thread == 0:",
            "    y[cuda.blockIdx.x] = part[0]",
        ]
    else:
        lines = [
            "i = cuda.grid(1)",
            "if i < threads:",
            *(
                f"    {line}"
                for line in [
                    "run, o = i // outputs, i % outputs",  # neighbouring threads, neighbouring outputs
                    *start,
                    f"base, r = {base}, run * length",
                    *inner,
                    f"a = {element}",
                    "for r in range(run * length + 1, min(run * length + length, count)):",
                    *(f"    {line}" for line in inner),
                    f"    b = {element}",
                    f"    a = {joined}",
                    "y[o * runs + run] = a",
                ]
            ),
        ]
    counts = ["threads", "outputs", "runs", "length", "count", *_dims_text(kept, reduced)]
    first = [f"{result} identity"] if neighbours else []
    signature = [f"{result}* y", f"const {dtype}* x", *first, *(f"int32 {count}" for count in counts)]
    return _from_lines(f"{name}_reduce", signature, lines)


@functools.cache
def winner_kernel(name: str, dtype: np.dtype[Any], kept: int, reduced: int, again: bool) -> GpuKernel:
    """The kernel of a round of argmax or argmin: each thread finds the winner of a run.

    The first round looks at all elements, the others at the winners of the round before (`again`).
    """
    start, base, inner, step = _place(kept, reduced)
    candidate = "r = int32(found[o * count + k])" if again else "r = k"
    better = f"b {'>' if name == 'maximum' else '<'} a or (b != b and a == a)"
    lines = [
        "i = cuda.grid(1)",
        "if i < threads:",
        *(
            f"    {line}"
            for line in [
                "run, o = i // outputs, i % outputs",
                *start,
                f"base, k = {base}, run * {RUN}",
                candidate,
                *inner,
                f"winner, a = r, x[base + {step}]",
                f"for k in range(run * {RUN} + 1, min(run * {RUN} + {RUN}, count)):",
                f"    {candidate}",
                *(f"    {line}" for line in inner),
                f"    b = x[base + {step}]",
                f"    if {better}:",
                "        winner, a = r, b",
                "y[o * runs + run] = winner",
            ]
        ),
    ]
    counts = ["threads", "outputs", "runs", "count", *_dims_text(kept, reduced)]
    pointers = ["int64* y", *(["const int64* found"] if again else []), f"const {dtype}* x"]
    return _from_lines(f"{name}_winner", [*pointers, *(f"int32 {count}" for count in counts)], lines)


def _from_lines(name: str, signature: list[str], lines: list[str]) -> GpuKernel:
    names = ", ".join(part.split()[-1] for part in signature)
    source = "\n".join([f"def {name}({names}):", *(f"    {line}" for line in lines)])
    return kernel_from_source(source + "\n", ", ".join(signature))
