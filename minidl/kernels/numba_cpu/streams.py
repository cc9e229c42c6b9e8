"""Large results go past the caches: a store that is told so does not fetch first what it overwrites.

An ordinary store reads the cache line that it changes a part of, so a result that is written once costs
twice its size, and pushes out of the cache what is read next. A *streaming* store collects a whole line and
sends it to memory. It pays for results that no cache would keep; a small one is wanted again at once. And it
pays only where there is little to compute beside it, as in ReLU, and in whole vectors, which a Numba loop
cannot ask for.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minidl.array import Array
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.tile import VECTOR_BYTES, Words, at, lanes_of

__all__ = ["is_far", "stream_relu"]

FAR = 4 << 20  # bytes of a result from which on it is streamed


def is_far(y: Array) -> bool:
    """Whether a result is large enough to be streamed, and begins where a vector may be streamed to."""
    return y.nbytes >= FAR and y.ctypes.data % VECTOR_BYTES == 0


@jit
def stream_relu(x: Array, y: Array, positive: Array) -> None:
    """ReLU and where it is positive; y begins where a vector may be streamed to.

    Streamed stores may arrive in any order. The end of a task waits for them all: it is an atomic addition.
    """
    lanes, zero = lanes_of(at(y, 0)), x.dtype.type(0)
    whole = len(y) // lanes * lanes
    for i in range(0, whole, lanes):
        _stream_relu(at(x, i), at(y, i), at(positive, i))
    for i in range(whole, len(y)):
        positive[i] = x[i] > zero
        y[i] = zero if x[i] <= zero else x[i]


@intrinsic
def _stream_relu(typing: Any, x: Any, y: Any, positive: Any) -> Any:
    """One vector's ReLU; all by their addresses."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = Words(builder, context.get_value_type(signature.args[0].dtype))
        value = words.load(args[0], 0)
        cut = builder.select(builder.fcmp_ordered("<=", value, words.zero), words.zero, value)  # NaN stays
        store = builder.store(cut, words.address(args[1], 0))
        store.align = VECTOR_BYTES
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        truth = ir.VectorType(ir.IntType(8), words.lanes)
        wins = builder.zext(builder.fcmp_ordered(">", value, words.zero), truth)
        builder.store(wins, builder.bitcast(args[2], truth.as_pointer())).align = 1
        return context.get_dummy_value()

    return types.void(x, x, positive), build
