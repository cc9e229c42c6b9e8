"""Convolution and its gradients as the register tile's three customers: they differ in what A, B and C are.

    forward          y[o, l]  = b[o] + Σ_k W[o, k] · window[k, l]
    input gradient   dx[c, l] = Σ_k Wᵀ[c, k] · window of dy[k, l]       once per phase of the stride
    weight gradient  dW[k, o] = Σ_l window[k, l] · dyᵀ[l, o]

k goes over (channel, u, v) and l over the output's pixels. `windows` lays the source out so that row k of
the window matrix is an unbroken run of memory; the tile reads it through a table of offsets, so the matrix
itself is never built.
"""

from __future__ import annotations

import numpy as np

from minidl.array import Array
from minidl.kernels import conv
from minidl.kernels.geometry import Pair, output_sizes
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.moves import transpose
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.strips import make_rows
from minidl.kernels.numba_cpu.tasks import tasks
from minidl.kernels.numba_cpu.tile import BLANK, BY_ROW, GO_ON, at, get, offset, put
from minidl.kernels.numba_cpu.windows import lay_out, windows

__all__ = ["conv2d", "conv2d_input_grad", "conv2d_weight_grad"]

rows_by_window = make_rows(gather_b=True)
rows_of_windows = make_rows(gather_a=True)


@conv.conv2d.register(np.ndarray)
def conv2d(
    x: Array, weight: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """As the reference."""
    o, cg, kh, kw = weight.shape
    n, _, h, w = x.shape
    oh, ow = output_sizes(x.shape, (kh, kw), stride, padding, dilation)
    y = np.empty((n, o, oh, ow), x.dtype)
    if y.size == 0 or weight.size == 0:
        y[...] = 0 if bias is None else bias.reshape(o, 1, 1)
        return y
    rows = tuple(u * dilation[0] - padding[0] for u in range(kh))
    columns = tuple(v * dilation[1] - padding[1] for v in range(kw))
    plan = windows(n * groups, (cg, h, w), (oh, ow), stride, rows, columns, x.itemsize)
    with POOL as team:
        _conv(
            _flat(x), _flat(weight), y.reshape(-1) if bias is None else _flat(bias), y.reshape(n * groups, o // groups, oh * ow),
            n, groups, bias is not None, plan.band, plan.bands, plan.offsets, plan.shape, plan.columns, plan.phases,
            POOL.scratch(plan.size, x.dtype), team,
        )  # fmt: skip
    return y


def _flat(x: Array) -> Array:
    return x.reshape(-1) if x.flags.c_contiguous else np.ascontiguousarray(x).reshape(-1)


@tasks
def _conv_band(task, thread, x, weight, bias, y, groups, biased, band, bands, offsets, shape, columns, phases, scratch):  # type: ignore[no-untyped-def]
    image, filters, pixels = task // bands, y.shape[1], y.shape[2]
    group = image % groups
    channels, height, width, out_width = shape[0], shape[1], shape[2], shape[5]
    first = task % bands * band
    rows = min(band, pixels // out_width - first)
    source = at(x, image * channels * height * width)
    copies = at(scratch, thread * scratch.shape[1])
    lay_out(source, copies, shape, columns, phases, first, -1)
    depth = len(offsets)
    rows_by_window(
        filters, rows * out_width, depth,
        at(weight, group * filters * depth), depth, 1,
        copies, at(offsets, 0), 1,
        at(y, image * filters * pixels + first * out_width), pixels,
        BY_ROW if biased else BLANK, at(bias, group * filters if biased else 0), 0,
    )  # fmt: skip


@jit
def _conv(x, weight, bias, y, n, groups, biased, band, bands, offsets, shape, columns, phases, scratch, team):  # type: ignore[no-untyped-def]
    how = (x, weight, bias, y, groups, biased, band, bands, offsets, shape, columns, phases, scratch)
    _conv_band(team, n * groups * bands, how)
