"""Convolution and its gradients as the register tile's three customers: they differ in what A, B and C are.

    forward          y[o, l]  = b[o] + Σ_k W[o, k] · window[k, l]
    input gradient   dx[c, l] = Σ_k Wᵀ[c, k] · window of dy[k, l]       once per phase of the stride
    weight gradient  dW[k, o] = Σ_l window[k, l] · dyᵀ[l, o]

k goes over (channel, u, v) and l over the output's pixels. `windows` lays the source out so that row k of
the window matrix is an unbroken run of memory; the tile reads it through a table of offsets, so the matrix
itself is never built.
"""

from __future__ import annotations

import functools

import numpy as np

from minidl.array import Array, empty, zeros
from minidl.kernels import conv
from minidl.kernels.geometry import Pair, output_sizes
from minidl.kernels.numba_cpu import abreast, depthwise, winograd
from minidl.kernels.numba_cpu import columns as side_by_side
from minidl.kernels.numba_cpu.arguments import flat
from minidl.kernels.numba_cpu.dots import add_dots
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.moves import transpose_padded
from minidl.kernels.numba_cpu.phases import join, phases_of
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.strips import make_rows
from minidl.kernels.numba_cpu.tasks import tasks
from minidl.kernels.numba_cpu.tile import BLANK, BY_ROW, GO_ON, VECTOR_BYTES, at, lanes_of, offset
from minidl.kernels.numba_cpu.windows import TASKS, laid_out, windows

__all__ = ["conv2d", "conv2d_input_grad", "conv2d_weight_grad"]

rows_by_window = make_rows(gather_b=True)
rows_of_windows = make_rows(gather_a=True)


@conv.conv2d.register(np.ndarray)
def conv2d(
    x: Array, weight: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """As the reference, which also answers for what does not fit."""
    if not _fit(x.shape, weight.shape, groups, x, weight, bias):
        return conv.conv2d.reference(x, weight, bias, stride, padding, dilation, groups)
    o, _, kh, kw = weight.shape
    oh, ow = _output_sizes(x.shape, (kh, kw), stride, padding, dilation)
    if min(oh, ow) < 1:
        return conv.conv2d.reference(x, weight, bias, stride, padding, dilation, groups)
    y = empty((len(x), o, oh, ow), x.dtype)
    if y.size == 0 or weight.size == 0:
        y[...] = 0 if bias is None else bias.reshape(o, 1, 1)
        return y
    rows, columns = _shifts(kh, kw, padding, dilation)
    if depthwise.pays(weight.shape, groups, weight.itemsize):
        vertical, horizontal = (0, tuple(range(kh)), rows), (0, tuple(range(kw)), columns)
        filters = weight.reshape(groups, o // groups, 1, kh * kw)
        depthwise.correlate(x, filters, bias, y, stride, (vertical,), (horizontal,), kw)
        return y
    if abreast.pays(x.shape, y.shape, kw, stride, dilation, groups, x.itemsize):
        abreast.correlate(np.ascontiguousarray(x), weight, bias, y, padding, groups)
        return y
    _correlate(x, weight, bias, y, stride, rows, columns, groups)
    return y


@conv.conv2d_input_grad.register(np.ndarray)
def conv2d_input_grad(
    dy: Array,
    weight: Array,
    input_shape: tuple[int, ...],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Array:
    """As the reference.

    The input's rows fall into as many phases as the stride has steps. Rows of one phase see only every
    so many taps, and for them the gradient is a convolution of dy, of stride 1, with those taps.
    """
    o, cg, kh, kw = weight.shape
    sizes = _output_sizes(tuple(input_shape), (kh, kw), stride, padding, dilation)
    fits = _fit(input_shape, weight.shape, groups, dy, weight)
    if not fits or dy.shape != (input_shape[0], o, *sizes):
        return conv.conv2d_input_grad.reference(dy, weight, input_shape, stride, padding, dilation, groups)
    dx = empty(input_shape, dy.dtype)
    if dx.size == 0 or dy.size == 0 or weight.size == 0:
        dx[...] = 0
        return dx
    vertical = phases_of(input_shape[2], kh, stride[0], padding[0], dilation[0])
    horizontal = phases_of(input_shape[3], kw, stride[1], padding[1], dilation[1])
    if depthwise.pays(weight.shape, groups, weight.itemsize):
        filters = weight.reshape(groups, 1, o // groups, kh * kw)
        depthwise.correlate(dy, filters, None, dx, (1, 1), vertical, horizontal, kw)
        return dx
    if abreast.pays(dy.shape, dx.shape, kw, stride, dilation, groups, dy.itemsize):
        abreast.input_grad(np.ascontiguousarray(dy), weight, dx, padding, groups)
        return dx
    rows, columns = _shifts(kh, kw, padding, dilation)
    if groups == 1 and side_by_side.pays(cg, o, dx.shape[2:], dy.shape[2:], stride, rows, columns):
        dy, weight = np.ascontiguousarray(dy), np.ascontiguousarray(weight)
        side_by_side.input_grad(dy, weight, dx, stride, rows, columns)
        return dx
    turned = weight.reshape(groups, o // groups, cg, kh, kw).swapaxes(1, 2)  # (G, C/G, O/G, kh, kw)
    if len(vertical) == len(horizontal) == 1:
        parts = dx[None, None]
    else:
        h, w = -(-dx.shape[2] // len(vertical)), -(-dx.shape[3] // len(horizontal))
        parts = empty((len(vertical), len(horizontal), *dx.shape[:2], h, w), dx.dtype)
    for i, taps_u, rows in vertical:
        for j, taps_v, columns in horizontal:
            if not taps_u or not taps_v:
                parts[i, j] = 0
                continue
            taps = turned[:, :, :, taps_u[0] : taps_u[-1] + 1 : _gap(taps_u)]
            taps = taps[..., taps_v[0] : taps_v[-1] + 1 : _gap(taps_v)].reshape(
                groups * cg, o // groups, len(taps_u), len(taps_v)
            )
            _correlate(dy, taps, None, parts[i, j], (1, 1), rows, columns, groups)
    if parts.shape[:2] != (1, 1):
        join(parts, dx)
    return dx


@conv.conv2d_weight_grad.register(np.ndarray)
def conv2d_weight_grad(
    dy: Array,
    x: Array,
    weight_shape: tuple[int, ...],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Array:
    """As the reference.

    The sum over images is cut into a number of pieces that depends on the shapes only, and their results
    are added in order.
    """
    o, cg, kh, kw = weight_shape
    oh, ow = _output_sizes(x.shape, (kh, kw), stride, padding, dilation)
    if not _fit(x.shape, weight_shape, groups, dy, x) or dy.shape != (len(x), o, oh, ow):
        return conv.conv2d_weight_grad.reference(dy, x, weight_shape, stride, padding, dilation, groups)
    n, _, h, w = x.shape
    if dy.size == 0 or x.size == 0 or o * cg == 0:
        return np.zeros(weight_shape, dy.dtype)
    rows, columns = _shifts(kh, kw, padding, dilation)
    if depthwise.pays(weight_shape, groups, x.itemsize):
        return depthwise.weight_grad(dy, x, (kh, kw), stride, rows, columns)
    lanes = VECTOR_BYTES // x.itemsize
    few = o // groups < lanes  # filters: too few to fill a vector
    # blocks of channels: each transposes dy anew, so it has to be worth it
    blocks = max(1, min(cg, 8, max(cg * kh * kw // 128, -(-4 // n)))) if cg >= 32 else 1
    channels = -(-cg // blocks)
    blocks = -(-cg // channels)
    pieces = min(n, -(-8 // (blocks * groups)))
    three = _three_in_a_row(rows) == _three_in_a_row(columns) == 1
    if three and stride == (1, 1) and groups == 1 and winograd.pays(n, cg, o, oh, ow):
        return winograd.weight_grad(np.ascontiguousarray(dy), np.ascontiguousarray(x), rows[0], columns[0])
    if groups == 1 and side_by_side.pays(cg, o, (h, w), (oh, ow), stride, rows, columns):
        dy, x = np.ascontiguousarray(dy), np.ascontiguousarray(x)
        return side_by_side.weight_grad(dy, x, weight_shape, stride, rows, columns)
    plan = windows(
        TASKS, (channels, h, w), (oh, ow), stride, rows, columns, x.itemsize, 0 if few else o // groups
    )
    room = plan.size + lanes
    turned = 0 if few else -(-o // groups // lanes) * lanes * plan.band * ow  # dyᵀ of a band
    # Where filters are few, every sum is kept as a vector of partial ones.
    taps = (o // groups, cg * kh * kw, lanes) if few else (cg * kh * kw, o // groups)
    sums = (zeros if few else empty)((pieces, groups, *taps), x.dtype)
    with POOL as team:
        _weight_grad(
            flat(x), flat(dy).reshape(n, o, oh * ow), sums.reshape(-1), sums.shape[:2], few, cg * kh * kw,
            channels, blocks, plan.band, plan.bands, plan.offsets, plan.shape, plan.columns, plan.phases,
            POOL.scratch(room + turned, x.dtype), room, team,
        )  # fmt: skip
    total = sums[0]
    for piece in sums[1:]:
        total += piece
    dW = total.sum(axis=-1) if few else np.ascontiguousarray(total.swapaxes(1, 2))
    return dW.reshape(weight_shape)


def _fit(
    input_shape: tuple[int, ...], weight_shape: tuple[int, ...], groups: int, *arrays: Array | None
) -> bool:
    """Whether images and filters fit, and all arrays are of one floating dtype."""
    kinds = {array.dtype for array in arrays if array is not None}
    fits = (
        len(input_shape) == 4 and input_shape[1] == weight_shape[1] * groups and weight_shape[0] % groups == 0
    )
    bias = arrays[2] if len(arrays) == 3 else None
    fits = fits and (bias is None or bias.shape == weight_shape[:1])
    return fits and len(kinds) == 1 and kinds.pop().char in "fd"


_output_sizes = functools.lru_cache(maxsize=512)(output_sizes)


@functools.lru_cache(maxsize=512)
def _shifts(kh: int, kw: int, padding: Pair, dilation: Pair) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where each tap of the first output stands in the image: its row, its column."""
    rows = tuple(u * dilation[0] - padding[0] for u in range(kh))
    return rows, tuple(v * dilation[1] - padding[1] for v in range(kw))


def _gap(taps: tuple[int, ...]) -> int:
    return taps[1] - taps[0] if len(taps) > 1 else 1


def _correlate(
    x: Array,
    weight: Array,
    bias: Array | None,
    y: Array,
    stride: Pair,
    rows: tuple[int, ...],
    columns: tuple[int, ...],
    groups: int,
) -> None:
    """y[n,o,i,j] = b[o] + Σ_c,u,v w[o,c,u,v] · x[n, c, i·s + rows[u], j·s + columns[v]], into y."""
    n, c, h, w = x.shape
    _, o, oh, ow = y.shape
    turn = _three_in_a_row(rows), _three_in_a_row(columns)
    if all(turn) and stride == (1, 1) and groups == 1 and winograd.pays(n, c, o, oh, ow):
        weight = np.ascontiguousarray(weight[:, :, :: turn[0], :: turn[1]])
        bias = None if bias is None else np.ascontiguousarray(bias)
        winograd.correlate(np.ascontiguousarray(x), weight, bias, y, min(rows), min(columns))
        return
    if groups == 1 and side_by_side.pays(c, o, (h, w), (oh, ow), stride, rows, columns):
        bias = None if bias is None else np.ascontiguousarray(bias)
        x, weight = np.ascontiguousarray(x), np.ascontiguousarray(weight)
        side_by_side.correlate(x, weight, bias, y, stride, rows, columns)
        return
    plan = windows(n * groups, (c // groups, h, w), (oh, ow), stride, rows, columns, x.itemsize)
    with POOL as team:
        _conv(
            flat(x), flat(weight), y.reshape(-1) if bias is None else flat(bias),
            y.reshape(n * groups, o // groups, oh * ow), groups, bias is not None, plan.band, plan.bands,
            plan.offsets, plan.shape, plan.columns, plan.phases, POOL.scratch(plan.size, x.dtype), team,
        )  # fmt: skip


@functools.lru_cache(maxsize=512)
def _three_in_a_row(shifts: tuple[int, ...]) -> int:
    """1 for three neighbours, −1 for three in reverse, 0 for all else."""
    if len(shifts) != 3 or shifts[0] - shifts[1] != shifts[1] - shifts[2]:
        return 0
    return {-1: 1, 1: -1}.get(shifts[0] - shifts[1], 0)


@tasks
def _conv_band(
    task, thread, x, weight, bias, y, groups, biased, band, bands, offsets, shape, columns, phases, scratch
):
    image, filters, pixels = task // bands, y.shape[1], y.shape[2]
    group = image % groups
    channels, height, width, out_width = shape[0], shape[1], shape[2], shape[5]
    first = task % bands * band
    rows = min(band, pixels // out_width - first)
    source = at(x, image * channels * height * width)
    copies = laid_out(source, at(scratch, thread * scratch.shape[1]), shape, columns, phases, first)
    depth = len(offsets)
    rows_by_window(
        filters, rows * out_width, depth,
        at(weight, group * filters * depth), depth, 1,
        copies, at(offsets, 0), 1,
        at(y, image * filters * pixels + first * out_width), pixels,
        BY_ROW if biased else BLANK, at(bias, group * filters if biased else 0), 0,
    )  # fmt: skip


@jit
def _conv(x, weight, bias, y, groups, biased, band, bands, offsets, shape, columns, phases, scratch, team):
    how = (x, weight, bias, y, groups, biased, band, bands, offsets, shape, columns, phases, scratch)
    _conv_band(team, len(y) * bands, how)


@tasks
def _weight_grad_piece(
    task,
    thread,
    x,
    dy,
    sums,
    parts,
    few,
    taps,
    channels,
    blocks,
    band,
    bands,
    offsets,
    shape,
    columns,
    phases,
    scratch,
    room,
):
    pieces, groups = parts
    block, group, piece = task % blocks, task // blocks % groups, task // (blocks * groups)
    height, width, out_width = shape[1], shape[2], shape[5]
    images, filters, pixels = len(dy), dy.shape[1] // groups, dy.shape[2]
    all_channels = len(x) // (images * height * width)
    first_channel = block * channels
    cg = all_channels // groups
    here = min(channels, cg - first_channel)
    of_block = (here, shape[1], shape[2], shape[3], shape[4], shape[5], shape[6])
    per_channel = taps // cg
    room_here = at(scratch, thread * scratch.shape[1])
    dy_turned = offset(room_here, room)
    lanes = lanes_of(room_here)
    part = (piece * groups + group) * taps * filters
    begin = BLANK
    for image in range(piece * images // pieces, (piece + 1) * images // pieces):
        source = at(x, (image * all_channels + group * cg + first_channel) * height * width)
        for number in range(bands):
            first = number * band
            count = min(band, pixels // out_width - first) * out_width
            copies = laid_out(source, room_here, of_block, columns, phases, first)
            dy_here = at(dy, (image * groups + group) * filters * pixels + first * out_width)
            if few:
                result = at(sums, (part + first_channel * per_channel) * lanes)
                add_dots(
                    filters, here * per_channel, count, dy_here, pixels, copies, at(offsets, 0),
                    result, taps * lanes,
                )  # fmt: skip
            else:
                result = at(sums, part + first_channel * per_channel * filters)
                row = transpose_padded(dy_here, pixels, dy_turned, filters, count)
                rows_of_windows(
                    here * per_channel, filters, count, copies, at(offsets, 0), 1, dy_turned, row, 1,
                    result, filters, begin, result, 0,
                )  # fmt: skip
            begin = GO_ON


@jit
def _weight_grad(
    x,
    dy,
    sums,
    parts,
    few,
    taps,
    channels,
    blocks,
    band,
    bands,
    offsets,
    shape,
    columns,
    phases,
    scratch,
    room,
    team,
):
    how = (
        x, dy, sums, parts, few, taps, channels, blocks, band, bands, offsets, shape, columns, phases,
        scratch, room,
    )  # fmt: skip
    _weight_grad_piece(team, parts[0] * parts[1] * blocks, how)
