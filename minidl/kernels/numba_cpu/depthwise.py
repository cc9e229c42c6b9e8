"""Depthwise convolution: every channel has filters of its own, so there is no matrix product to make of it.

    y[o, i, j] = b[o] + Σ_u,v w[o, u, v] · x[channel of o, i·s + u·d − p, j·s + v·d − p]

All channels do the same with other numbers; so lay them side by side in the lanes of a vector. A few rows of
as many channels as a vector has lanes are transposed to one vector per pixel, with zeros around them. Then a
tap is one fused multiply-add per output, whatever the stride and the dilation are: they are only distances in
memory. What comes out is transposed back. All of it stays in the cache.

The input gradient is the same with dy for x: each phase of the stride, which sees only every so many taps,
writes its own of dx's pixels. In the weight gradient each tap's sum stays in a register while the pixels run.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minidl.array import Array, empty
from minidl.kernels.numba_cpu.arguments import flat
from minidl.kernels.numba_cpu.jit import jit, part
from minidl.kernels.numba_cpu.moves import lanes_to_planes, planes_to_lanes
from minidl.kernels.numba_cpu.phases import Phase
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.tasks import tasks
from minidl.kernels.numba_cpu.tile import VECTOR_BYTES, Words, at, lanes_of, offset, put

__all__ = ["correlate", "pays", "weight_grad"]

BAND_BYTES = 128 * 1024  # of the rows of channels that are transposed at a time
TASKS = 8  # at least, of a batch with enough images
MOST = 8  # filters of a channel; with more of them a product is quicker
OUTPUTS = 8  # that are summed up at a time, so that no sum waits for itself


def pays(weight_shape: tuple[int, ...], groups: int, itemsize: int) -> bool:
    """Whether a convolution is depthwise, with few enough filters, and channels for half of the lanes."""
    few = weight_shape[1] == 1 and weight_shape[0] <= MOST * groups
    return few and groups > 1 and 2 * groups >= VECTOR_BYTES // itemsize


class Plan(NamedTuple):
    """How planes are laid out, and where every tap reads.

    Attributes:
        source: (planes of one channel, height, width).
        output: (height, width) of a plane of y.
        stride: of the reading.
        steps: phases of the output along its rows and its columns.
        band: rows of each phase that are computed at a time.
        grid: rows and columns of a band laid out, with the zeros around it.
        corner: the source's row and column that stand in the grid's corner, for the first band.
        order: for each phase, its taps (of kh·kw).
        offsets: for each phase, plane and tap, how far from its window's corner it reads, int64.
        starts: where each phase's begin in `offsets`, int64.
        places: where the grid has the source's pixels, from the source's corner on, int64.
    """

    source: tuple[int, int, int]
    output: tuple[int, int]
    stride: tuple[int, int]
    steps: tuple[int, int]
    band: int
    grid: tuple[int, int]
    corner: tuple[int, int]
    order: list[list[int]]
    offsets: Array
    starts: Array
    places: Array


@functools.lru_cache(maxsize=256)
def _plan(
    source: tuple[int, int, int],
    output: tuple[int, int],
    stride: tuple[int, int],
    vertical: tuple[Phase, ...],
    horizontal: tuple[Phase, ...],
    kernel_width: int,
    lanes: int,
) -> Plan:
    planes, _, width = source
    steps = len(vertical), len(horizontal)
    phase_rows, phase_columns = (-(-size // step) for size, step in zip(output, steps, strict=True))
    rows = [row for _, _, rows in vertical for row in rows]
    columns = [column for _, _, columns in horizontal for column in columns]
    top, span = min(rows), max(rows) - min(rows) + 1
    left = min(0, *columns)
    across = max(width, (phase_columns - 1) * stride[1] + max(columns) + 1) - left
    pixel = VECTOR_BYTES * planes
    band = BAND_BYTES // (pixel * across) - span
    band = max(1, min(phase_rows, band // stride[0]))
    down = (band - 1) * stride[0] + span
    order, offsets, starts = [], [], [0]
    for _, taps_u, rows_u in vertical:
        for _, taps_v, columns_v in horizontal:
            order.append([u * kernel_width + v for u in taps_u for v in taps_v])
            offsets += [
                ((plane * down + row - top) * across + column - left) * lanes
                for plane in range(planes)
                for row in rows_u
                for column in columns_v
            ]
            starts.append(len(offsets))
    places = (np.arange(down)[:, None] * across + np.arange(width)).reshape(-1) * lanes
    return Plan(
        source, output, stride, steps, band, (down, across), (top, left), order,
        np.array(offsets, np.int64), np.array(starts, np.int64), places.astype(np.int64),
    )  # fmt: skip


def correlate(
    x: Array,
    weight: Array,
    bias: Array | None,
    y: Array,
    stride: tuple[int, int],
    vertical: tuple[Phase, ...],
    horizontal: tuple[Phase, ...],
    kernel_width: int,
) -> None:
    """Write y, whose every pixel is a weighted sum of pixels of its channel's planes.

    Args:
        x: (N, G·planes, H, W).
        weight: (G, results, planes, kh·kw).
        bias: (G·results,) or None.
        y: (N, G·results, OH, OW), in C order.
        stride: of the reading.
        vertical: the phases of y's rows.
        horizontal: the phases of y's columns.
        kernel_width: kw.
    """
    if not all(any(taps for _, taps, _ in phases) for phases in (vertical, horizontal)):
        y[...] = 0  # all taps read nothing but padding
        return
    groups, results, planes, _ = weight.shape
    lanes = VECTOR_BYTES // x.itemsize
    how = (stride, vertical, horizontal, kernel_width, lanes)
    plan = _plan((planes, *x.shape[2:]), y.shape[2:], *how)
    taps = [weight[..., order].reshape(groups, results, -1) for order in plan.order]
    ordered = taps[0] if len(taps) == 1 else np.concatenate(taps, axis=2)  # (G, results, all phases' taps)
    down, across = plan.grid
    sizes = (
        (planes * down * across + OUTPUTS * stride[1]) * lanes,
        (plan.band * plan.steps[0] * y.shape[3] + OUTPUTS * plan.steps[1]) * lanes,
    )
    blocks = -(-groups // lanes)
    pieces = min(len(x), -(-TASKS // blocks))
    with POOL as team:
        scratch = POOL.scratch(sum(sizes) + results * (ordered.shape[2] + 1) * lanes, x.dtype)
        _correlate(
            flat(x), np.ascontiguousarray(ordered), flat(y) if bias is None else flat(bias), bias is not None,
            flat(y), len(x), (pieces, blocks), plan[:7], plan.offsets, plan.starts, plan.places, sizes,
             scratch, team,
        )  # fmt: skip


def weight_grad(
    dy: Array,
    x: Array,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    rows: tuple[int, ...],
    columns: tuple[int, ...],
) -> Array:
    """dw[o,u,v] = Σ_n,i,j dy[n,o,i,j] · x[n, c, i·s + rows[u], j·s + columns[v]]: (O, 1, kh, kw)."""
    n, o, oh, ow = dy.shape
    groups = x.shape[1]
    lanes = VECTOR_BYTES // x.itemsize
    vertical, horizontal = (0, tuple(range(kernel[0])), rows), (0, tuple(range(kernel[1])), columns)
    plan = _plan((1, *x.shape[2:]), (oh, ow), stride, (vertical,), (horizontal,), kernel[1], lanes)
    blocks = -(-groups // lanes)
    pieces = min(n, -(-TASKS // blocks))
    sums = empty((pieces, blocks, o // groups, kernel[0] * kernel[1], lanes), x.dtype)
    size = plan.grid[0] * plan.grid[1] * lanes
    with POOL as team:
        scratch = POOL.scratch(size + plan.band * ow * lanes, x.dtype)
        _weight_grad(
            flat(x), flat(dy), sums, n, groups, plan[:7], plan.offsets, plan.places,
            np.arange(plan.band * ow, dtype=np.int64) * lanes, size, scratch, team,
        )  # fmt: skip
    total = sums[0]
    for piece in sums[1:]:
        total += piece
    dw = total.transpose(0, 3, 1, 2).reshape(blocks * lanes, -1)[:groups]  # (G, O/G·kh·kw)
    return dw.reshape(o, 1, *kernel)


# -------------------------------------------------------------------- the two inner loops


def _make_sums(outputs: int) -> Any:
    """For compiled code: sums over all taps, of some outputs in a row.

    y[r · y_step] = bias + Σ_k w[k] · x[offsets[k] + r · x_step], each of them a vector.
    """

    @intrinsic
    def sums(
        typing: Any, x: Any, x_step: Any, offsets: Any, depth: Any, w: Any, bias: Any, y: Any, y_step: Any
    ) -> Any:
        number, whole, table = types.CPointer(x.dtype), types.intp, types.CPointer(types.int64)

        def build(context: Any, make: Any, signature: Any, args: Any) -> Any:
            x, x_step, offsets, depth, w, bias, y, y_step = args
            words = Words(make, context.get_value_type(signature.args[0].dtype))
            far = [make.mul(x_step, words.word(r)) for r in range(outputs)]
            first = words.load(bias, 0)
            begin = make.block
            head, loop, done = (make.append_basic_block(name) for name in ("head", "loop", "done"))
            make.branch(head)
            make.position_at_end(head)
            k, totals = make.phi(ir.IntType(64)), [make.phi(words.vector) for _ in far]
            make.cbranch(make.icmp_signed("<", k, depth), loop, done)
            make.position_at_end(loop)
            tap = words.load(make.gep(w, [make.mul(k, words.word(words.lanes))]), 0)
            place = make.gep(x, [make.load(make.gep(offsets, [k]))])
            new = [
                words.multiply_add(tap, words.load(make.gep(place, [distance]), 0), total)
                for distance, total in zip(far, totals, strict=True)
            ]
            k.add_incoming(words.word(0), begin)
            k.add_incoming(make.add(k, words.word(1)), loop)
            for total, value in zip(totals, new, strict=True):
                total.add_incoming(first, begin)
                total.add_incoming(value, loop)
            make.branch(head)
            make.position_at_end(done)
            for r, total in enumerate(totals):
                words.store(total, make.gep(y, [make.mul(y_step, words.word(r))]), 0)
            return context.get_dummy_value()

        return types.void(number, whole, table, whole, number, number, number, whole), build

    return sums


def _make_products(taps: int) -> Any:
    """For compiled code: c[t] += Σ_j dy[j] · x[offsets[t] + j · x_step] over n pixels, each a vector."""

    @intrinsic
    def products(typing: Any, dy: Any, n: Any, x: Any, x_step: Any, offsets: Any, c: Any) -> Any:
        number, whole, table = types.CPointer(x.dtype), types.intp, types.CPointer(types.int64)

        def build(context: Any, make: Any, signature: Any, args: Any) -> Any:
            dy, n, x, x_step, offsets, c = args
            words = Words(make, context.get_value_type(signature.args[0].dtype))
            word = words.word
            begin, first = make.block, [words.load(c, t) for t in range(taps)]
            rows = [make.gep(x, [make.load(make.gep(offsets, [word(t)]))]) for t in range(taps)]
            loop, done = (make.append_basic_block(name) for name in ("loop", "done"))
            make.branch(loop)
            make.position_at_end(loop)
            j, totals = make.phi(ir.IntType(64)), [make.phi(words.vector) for _ in rows]
            gradient = words.load(make.gep(dy, [make.mul(j, word(words.lanes))]), 0)
            place = make.mul(j, x_step)
            new = [
                words.multiply_add(gradient, words.load(make.gep(row, [place]), 0), total)
                for row, total in zip(rows, totals, strict=True)
            ]
            following = make.add(j, word(1))
            j.add_incoming(word(0), begin)
            j.add_incoming(following, loop)
            for total, before, value in zip(totals, first, new, strict=True):
                total.add_incoming(before, begin)
                total.add_incoming(value, loop)
            make.cbranch(make.icmp_signed("<", following, n), loop, done)
            make.position_at_end(done)
            for t, value in enumerate(new):
                words.store(value, c, t)
            return context.get_dummy_value()

        return types.void(number, whole, number, whole, table, number), build

    return products


_sums_wide, _sums_narrow = _make_sums(OUTPUTS), _make_sums(OUTPUTS // 2)
_products9, _products3, _products1 = (_make_products(taps) for taps in (9, 3, 1))

# -------------------------------------------------------------------- the loops around them


@part
def _lay_out(x, image, channel, channels, groups, plan, first, rows, places, target):
    """The pixels that `rows` rows of each phase read, from row `first` on, into the grid at `target`."""
    (planes, height, width), _, stride, _, band, (down, across), (top, left) = plan
    lanes = lanes_of(target)
    begin = first * stride[0] + top  # the source's row in the grid's first one
    end = begin + down - (band - rows) * stride[0]
    inside = min(max(begin, 0), end)
    outside = max(inside, min(end, height))
    for plane in range(planes):
        here = offset(target, plane * down * across * lanes)
        for j in range((inside - begin) * across * lanes):
            put(here, j, 0)
        number = (image * groups + channel) * planes + plane
        planes_to_lanes(
            at(x, (number * height + inside) * width), planes * height * width, channels,
            (outside - inside) * width, offset(here, ((inside - begin) * across - left) * lanes),
            at(places, 0),
        )  # fmt: skip
        below = offset(here, (outside - begin) * across * lanes)
        for j in range((end - outside) * across * lanes):
            put(below, j, 0)


@tasks
def _some_outputs(
    task, thread, x, weight, bias, biased, y, images, cut, plan, offsets, starts, places, sizes, scratch
):
    (planes, _, _), (height, width), stride, steps, band, (down, across), _ = plan
    (pieces, blocks), (groups, results, taps) = cut, weight.shape
    grid = at(scratch, thread * scratch.shape[1])
    out = offset(grid, sizes[0])
    w = offset(out, sizes[1])
    lanes = lanes_of(grid)
    b = offset(w, results * taps * lanes)
    channel, piece = task % blocks * lanes, task // blocks
    channels = min(lanes, groups - channel)
    for j in range(planes * down * across * lanes):
        put(grid, j, 0)
    for result in range(results):
        for lane in range(lanes):
            g = channel + min(lane, channels - 1)
            for k in range(taps):
                put(w, (result * taps + k) * lanes + lane, weight[g, result, k])
            put(b, result * lanes + lane, bias[g * results + result] if biased else 0)
    phase_rows = -(-height // steps[0])
    for image in range(piece * images // pieces, (piece + 1) * images // pieces):
        for first in range(0, phase_rows, band):
            rows = min(band, phase_rows - first)
            _lay_out(x, image, channel, channels, groups, plan, first, rows, places, grid)
            top, end = first * steps[0], min(height, (first + rows) * steps[0])
            for result in range(results):
                for row in range(top, end):
                    window = offset(grid, (row - top) // steps[0] * stride[0] * across * lanes)
                    for column in range(min(steps[1], width)):
                        phase = row % steps[0] * steps[1] + column
                        depth = starts[phase + 1] - starts[phase]
                        _sum_row(
                            -(-(width - column) // steps[1]), window, stride[1] * lanes,
                            at(offsets, starts[phase]), depth,
                            offset(w, (result * taps + starts[phase]) * lanes), offset(b, result * lanes),
                            offset(out, ((row - top) * width + column) * lanes), steps[1] * lanes,
                        )  # fmt: skip
                target = ((image * groups + channel) * results + result) * height + top
                lanes_to_planes(
                    out, lanes, channels, (end - top) * width, at(y, target * width), results * height * width
                )


@part
def _sum_row(n, x, x_step, offsets, depth, w, bias, y, y_step):
    """N outputs of one row and phase. Some more are written: pixels of later rows, which come later."""
    j = 0
    while j < n:
        here, there = offset(x, j * x_step), offset(y, j * y_step)
        if n - j > OUTPUTS // 2:
            _sums_wide(here, x_step, offsets, depth, w, bias, there, y_step)
            j += OUTPUTS
        else:
            _sums_narrow(here, x_step, offsets, depth, w, bias, there, y_step)
            j += OUTPUTS // 2


@jit
def _correlate(x, weight, bias, biased, y, images, cut, plan, offsets, starts, places, sizes, scratch, team):
    how = (x, weight, bias, biased, y, images, cut, plan, offsets, starts, places, sizes, scratch)
    _some_outputs(team, cut[0] * cut[1], how)


@tasks
def _some_products(task, thread, x, dy, sums, images, groups, plan, offsets, places, pixels, size, scratch):
    _, (height, width), stride, _, band, (down, across), _ = plan
    pieces, blocks, results, taps, lanes = sums.shape
    block, piece = task % blocks, task // blocks
    channel = block * lanes
    channels = min(lanes, groups - channel)
    grid = at(scratch, thread * scratch.shape[1])
    gradient = offset(grid, size)
    for j in range(down * across * lanes):
        put(grid, j, 0)
    sums[piece, block] = 0
    for image in range(piece * images // pieces, (piece + 1) * images // pieces):
        for first in range(0, height, band):
            rows = min(band, height - first)
            _lay_out(x, image, channel, channels, groups, plan, first, rows, places, grid)
            for result in range(results):
                source = ((image * groups + channel) * results + result) * height + first
                planes_to_lanes(
                    at(dy, source * width),
                    results * height * width,
                    channels,
                    rows * width,
                    gradient,
                    at(pixels, 0),
                )
                for row in range(rows):
                    here = offset(gradient, row * width * lanes)
                    window = offset(grid, row * stride[0] * across * lanes)
                    t = 0
                    while t < taps:
                        table = at(offsets, t)
                        c = at(sums, (((piece * blocks + block) * results + result) * taps + t) * lanes)
                        if taps - t >= 9:
                            _products9(here, width, window, stride[1] * lanes, table, c)
                            t += 9
                        elif taps - t >= 3:
                            _products3(here, width, window, stride[1] * lanes, table, c)
                            t += 3
                        else:
                            _products1(here, width, window, stride[1] * lanes, table, c)
                            t += 1


@jit
def _weight_grad(x, dy, sums, images, groups, plan, offsets, places, pixels, size, scratch, team):
    how = (x, dy, sums, images, groups, plan, offsets, places, pixels, size, scratch)
    _some_products(team, sums.shape[0] * sums.shape[1], how)
