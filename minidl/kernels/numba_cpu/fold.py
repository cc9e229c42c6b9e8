"""The input gradient of a convolution that shrinks its image: multiply first, then add the columns back.

As a convolution of dy, the input gradient multiplies every tap with the zeros around dy; where the output is
much smaller than the input, that is most of the work (LeNet's second layer: half). Wᵀ · dy has no zeros in
it, and its rows are then added to where their windows stood, one image at a time, in the cache:

    dcolumns[k, l] = Σ_o W[o, k] · dy[o, l]
    dx[c, r, j] = Σ_u,v dcolumns[(c, u, v), (r + p − u, j + p − v)]
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minidl.array import Array
from minidl.kernels.geometry import Pair
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.moves import copy_run
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.strips import make_rows
from minidl.kernels.numba_cpu.tasks import tasks
from minidl.kernels.numba_cpu.tile import BLANK, VECTOR_BYTES, Words, at, lanes_of, offset

__all__ = ["input_grad", "pays"]

ROOM_BYTES = 512 * 1024  # one image's columns, in the L2 cache
GAIN = 1.3  # how many times larger than the output the input has to be

rows_of_c = make_rows()


def pays(taps: int, itemsize: int, input_size: Pair, output_size: Pair) -> bool:
    """Whether this is quicker than a convolution of dy, for a filter of so many taps (all channels)."""
    pixels = output_size[0] * output_size[1]
    return taps * pixels * itemsize <= ROOM_BYTES and input_size[0] * input_size[1] >= GAIN * pixels


def input_grad(dy: Array, weight: Array, dx: Array, padding: Pair, dilation: Pair, groups: int) -> None:
    """The gradient of a convolution of stride 1, into dx.

    Args:
        dy: (N, O, OH, OW).
        weight: (O, C/G, kh, kw).
        dx: (N, C, H, W), all C-ordered.
        padding: of the convolution.
        dilation: likewise.
        groups: G.
    """
    n, o, oh, ow = dy.shape
    _, cg, kh, kw = weight.shape
    h, w = dx.shape[2:]
    lanes = VECTOR_BYTES // dy.itemsize
    columns = cg * kh * kw * oh * ow + lanes
    shape = (o // groups, cg, kh, kw, oh, ow, h, w)
    with POOL as team:
        scratch = POOL.scratch(columns + cg * h * w + lanes, dy.dtype)
        places = np.empty((len(scratch), 2, kh * kw), np.int64)  # of each thread's runs
        _input_grad(
            dy.reshape(-1), weight.reshape(-1), dx.reshape(-1), n * groups, groups, shape, padding, dilation,
            columns, scratch, places, team,
        )  # fmt: skip


@intrinsic
def _add_runs(
    typing: Any, target: Any, base: Any, starts: Any, shifts: Any, n: Any, first: Any, width: Any
) -> Any:
    """One vector of an output row: the sum of n runs, each `width` long and shifted by its own distance.

    Lane j gets run t's number j + first + shifts[t], where there is one.
    """
    number, table = types.CPointer(target.dtype), types.CPointer(types.int64)

    def build(context: Any, make: Any, signature: Any, args: Any) -> Any:
        target, base, starts, shifts, n, first, width = args
        words = Words(make, context.get_value_type(signature.args[0].dtype))
        begin = make.block
        loop, done = (make.append_basic_block(name) for name in ("loop", "done"))
        make.cbranch(make.icmp_signed(">", n, words.word(0)), loop, done)
        make.position_at_end(loop)
        t, total = make.phi(ir.IntType(64)), make.phi(words.vector)
        shift = make.add(first, make.load(make.gep(shifts, [t])))
        words.masks = [words.lanes_between(make.neg(shift), make.sub(width, shift))]
        run = make.gep(base, [make.add(shift, make.load(make.gep(starts, [t])))])
        more = make.fadd(total, words.load(run, 0))
        following = make.add(t, words.word(1))
        t.add_incoming(words.word(0), begin)
        t.add_incoming(following, loop)
        total.add_incoming(words.zero, begin)
        total.add_incoming(more, loop)
        make.cbranch(make.icmp_signed("<", following, n), loop, done)
        make.position_at_end(done)
        result = make.phi(words.vector)
        result.add_incoming(words.zero, begin)
        result.add_incoming(more, loop)
        words.masks = None
        words.store(result, target, 0)
        return context.get_dummy_value()

    return types.void(number, number, table, table, types.intp, types.intp, types.intp), build


@tasks
def _fold_image(task, thread, dy, weight, dx, groups, shape, padding, dilation, columns, scratch, places):
    filters, channels, kh, kw, oh, ow, h, w = shape
    pixels, taps = oh * ow, kh * kw
    depth = channels * taps
    dcolumns = at(scratch, thread * scratch.shape[1])
    image = offset(dcolumns, columns)
    lanes = lanes_of(image)
    rows_of_c(
        depth, pixels, filters, at(weight, task % groups * filters * depth), 1, depth,
        at(dy, task * filters * pixels), pixels, 1, dcolumns, pixels, BLANK, dcolumns, 0,
    )  # fmt: skip
    starts, shifts = places[thread, 0], places[thread, 1]
    for c in range(channels):
        for r in range(h):
            n = 0
            for u in range(kh):
                i = r + padding[0] - u * dilation[0]
                if 0 <= i < oh:
                    for v in range(kw):
                        starts[n] = ((c * kh + u) * kw + v) * pixels + i * ow
                        shifts[n] = padding[1] - v * dilation[1]
                        n += 1
            for j in range(0, w, lanes):
                target = offset(image, (c * h + r) * w + j)
                _add_runs(target, dcolumns, at(starts, 0), at(shifts, 0), n, j, ow)
    copy_run(at(dx, task * channels * h * w), image, channels * h * w)


@jit
def _input_grad(dy, weight, dx, images, groups, shape, padding, dilation, columns, scratch, places, team):
    how = (dy, weight, dx, groups, shape, padding, dilation, columns, scratch, places)
    _fold_image(team, images, how)
