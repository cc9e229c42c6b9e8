"""Large results go past the caches: a store that is told so does not fetch first what it overwrites.

An ordinary store reads the cache line that it changes a part of, so a result that is written once costs
twice its size, and pushes out of the cache what is read next. A *streaming* store collects a whole line and
sends it to memory. It pays for results that no cache would keep; a small one is wanted again at once. And it
pays only where there is little to compute beside it, and in whole vectors, which a Numba loop cannot ask for.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minidl.array import Array
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.tile import VECTOR_BYTES, Words, at, lanes_of

__all__ = ["is_far", "stream_gradient", "stream_lines", "stream_relu"]

FAR = 4 << 20  # bytes of a result from which on it is streamed


def is_far(y: Array, run: int = VECTOR_BYTES) -> bool:
    """Whether a result is large enough to be streamed, and vectors may be streamed to where its runs begin.

    Args:
        y: the result.
        run: how many numbers of it are written at a time.
    """
    if y.nbytes < FAR:
        return False
    return y.ctypes.data % VECTOR_BYTES == 0 and run * y.itemsize % VECTOR_BYTES == 0


@jit
def stream_relu(x: Array, y: Array, positive: Array) -> None:
    """ReLU and where it is positive; y begins where a vector may be streamed.

    Streamed stores may arrive in any order. The end of a task waits for them all: it is an atomic addition.
    """
    lanes, zero = lanes_of(at(y, 0)), x.dtype.type(0)
    whole = len(y) // lanes * lanes
    for i in range(0, whole, lanes):
        _stream_relu(at(x, i), at(y, i), at(positive, i))
    for i in range(whole, len(y)):
        positive[i] = x[i] > zero
        y[i] = zero if x[i] <= zero else x[i]


@jit
def stream_gradient(
    dy: Array, x: Array, mean: float, scale: float, slope: float, shift: float, dx: Array
) -> None:
    """Batch norm's dx = dy · scale − ((x − mean) · slope + shift); dx begins as y does above."""
    lanes = lanes_of(at(dx, 0))
    whole = len(dx) // lanes * lanes
    for i in range(0, whole, lanes):
        _stream_gradient(at(dx, i), at(dy, i), at(x, i), mean, scale, slope, shift)
    for i in range(whole, len(dx)):
        dx[i] = dy[i] * scale - ((x[i] - mean) * slope + shift)


@jit
def stream_lines(x: Array, numbers: tuple[float, ...], y: Array) -> int:
    """As many of `three_lines` as fill whole vectors, and how many; y begins as y does above."""
    lanes = lanes_of(at(y, 0))
    whole = len(y) // lanes * lanes
    for i in range(0, whole, lanes):
        _stream_lines(at(x, i), at(y, i), *numbers)
    return whole


def _store(words: Words, value: Any, target: Any) -> None:
    """The streaming store: an ordinary one with a remark."""
    store = words.builder.store(value, words.address(target, 0))
    store.align = VECTOR_BYTES
    store.set_metadata("nontemporal", words.builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))


@intrinsic
def _stream_gradient(
    typing: Any, dx: Any, dy: Any, x: Any, mean: Any, scale: Any, slope: Any, shift: Any
) -> Any:
    """One vector of `stream_gradient`; arrays by their addresses."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = Words(builder, context.get_value_type(signature.args[0].dtype))
        dy, x = words.load(args[1], 0), words.load(args[2], 0)
        mean, scale, slope, shift = (words.spread(value) for value in args[3:])
        minus = builder.fneg(words.multiply_add(builder.fsub(x, mean), slope, shift))
        _store(words, words.multiply_add(dy, scale, minus), args[0])
        return context.get_dummy_value()

    return types.void(dx, dx, dx, *[dx.dtype] * 4), build


@intrinsic
def _stream_lines(
    typing: Any, x: Any, y: Any, low: Any, high: Any, s0: Any, s1: Any, s2: Any, h0: Any, h1: Any, h2: Any
) -> Any:
    """One vector's straight lines; arrays by their addresses."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = Words(builder, context.get_value_type(signature.args[0].dtype))
        value = words.load(args[0], 0)
        low, high, s0, s1, s2, h0, h1, h2 = (words.spread(number) for number in args[2:])
        below, above = builder.fcmp_ordered("<=", value, low), builder.fcmp_ordered(">=", value, high)
        slope = builder.select(below, s0, builder.select(above, s2, s1))
        height = builder.select(below, h0, builder.select(above, h2, h1))
        line = builder.fadd(builder.fmul(slope, value), height)
        level = builder.fcmp_ordered("==", slope, words.zero)
        flat = builder.and_(builder.or_(below, above), level)  # 0 · ∞ would be no number
        _store(words, builder.select(flat, height, line), args[1])
        return context.get_dummy_value()

    return types.void(x, y, *[x.dtype] * 8), build


@intrinsic
def _stream_relu(typing: Any, x: Any, y: Any, positive: Any) -> Any:
    """One vector's ReLU; all by their addresses."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = Words(builder, context.get_value_type(signature.args[0].dtype))
        value = words.load(args[0], 0)
        cut = builder.select(builder.fcmp_ordered("<=", value, words.zero), words.zero, value)  # NaN stays
        _store(words, cut, args[1])
        truth = ir.VectorType(ir.IntType(8), words.lanes)
        wins = builder.zext(builder.fcmp_ordered(">", value, words.zero), truth)
        builder.store(wins, builder.bitcast(args[2], truth.as_pointer())).align = 1
        return context.get_dummy_value()

    return types.void(x, x, positive), build
