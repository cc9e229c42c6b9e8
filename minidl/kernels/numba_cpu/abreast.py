"""Convolutions of many small images abreast, one in each vector lane; and their input gradients.

    y[o, r, j] = b[o] + Σ_u,v,c W[o, c, u, v] · x[c, r + u − p, j + v − p]

Each pixel of y gets a product of its own, with just the taps that meet the image. For one u the v that do are
neighbours, and so are their pixels if the image stands as (row, column, channel) and the taps as (u, v,
channel): that is one product without gaps, of the filters with the images.

An input gradient is a convolution of dy with the taps turned round. Where dx is much larger than dy, most of
that convolution multiplies with the zeros around dy (LeNet's second layer: half). Here there are none.
"""

from __future__ import annotations

import numpy as np

from minidl.array import Array
from minidl.kernels.geometry import Pair
from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.moves import lanes_to_planes, planes_to_lanes
from minidl.kernels.numba_cpu.pool import POOL
from minidl.kernels.numba_cpu.strips import make_rows
from minidl.kernels.numba_cpu.tasks import tasks
from minidl.kernels.numba_cpu.tile import BLANK, BY_ROW, GO_ON, at, lanes_of, offset, put

__all__ = ["correlate", "input_grad", "pays"]

ABREAST_BYTES = 64  # of one number of all images that go abreast: 16 in float32
ROOM_BYTES = 768 * 1024  # their x and y, in the L2 cache
GAIN = 1.3  # how many times larger than the other image one of them has to be
ROW = 24  # taps and channels in a row of a filter: less is not worth a product

rows_of_c = make_rows()


def pays(
    x_shape: tuple[int, ...],
    y_shape: tuple[int, ...],
    kernel_width: int,
    stride: Pair,
    dilation: Pair,
    groups: int,
    itemsize: int,
) -> bool:
    """Whether a convolution of x, of x or dy, is quicker like this."""
    n, c, h, w = x_shape
    _, o, oh, ow = y_shape
    room = (c * h * w + o * oh * ow) // groups * ABREAST_BYTES
    if stride != (1, 1) or dilation != (1, 1) or n * itemsize < ABREAST_BYTES or room > ROOM_BYTES:
        return False
    return kernel_width * c >= ROW * groups and max(h * w, oh * ow) >= GAIN * min(h * w, oh * ow)


def correlate(x: Array, weight: Array, bias: Array | None, y: Array, padding: Pair, groups: int) -> None:
    """A convolution of stride and dilation 1, into y.

    Args:
        x: (N, C, H, W).
        weight: (O, C/G, kh, kw).
        bias: (O,).
        y: (N, O, OH, OW); x and y C-ordered.
        padding: zeros around x.
        groups: G.
    """
    o, cg, kh, kw = weight.shape
    taps = weight.reshape(groups, o // groups, cg, kh, kw).transpose(0, 1, 3, 4, 2)  # (G, O/G, kh, kw, C/G)
    _run(x, taps, bias, y, (-padding[0], -padding[1]))


def input_grad(dy: Array, weight: Array, dx: Array, padding: Pair, groups: int) -> None:
    """The gradient of such a convolution, into dx.

    Args:
        dy: (N, O, OH, OW).
        weight: (O, C/G, kh, kw).
        dx: (N, C, H, W); dy and dx C-ordered.
        padding: zeros around x.
        groups: G.
    """
    o, cg, kh, kw = weight.shape
    turned = weight.reshape(groups, o // groups, cg, kh, kw)[..., ::-1, ::-1]
    taps = turned.transpose(0, 2, 3, 4, 1)  # (G, C/G, kh, kw, O/G)
    _run(dy, taps, None, dx, (padding[0] - kh + 1, padding[1] - kw + 1))


def _run(x: Array, taps: Array, bias: Array | None, y: Array, first: Pair) -> None:
    """y[o, r, j] = b[o] + Σ_u,v,c taps[o, u, v, c] · x[c, r + u + first[0], j + v + first[1]]."""
    n, (h, w), (oh, ow) = len(x), x.shape[2:], y.shape[2:]
    groups, filters, kh, kw, channels = taps.shape
    abreast = ABREAST_BYTES // x.itemsize
    with POOL as team:
        scratch = POOL.scratch((channels * h * w + filters * oh * ow) * abreast, x.dtype)
        places = np.arange(h * w) * (channels * abreast)  # of x's pixels in the scratch
        _correlate(
            x.reshape(-1), np.ascontiguousarray(taps).reshape(-1),
            np.zeros(1, x.dtype) if bias is None else np.ascontiguousarray(bias), bias is not None,
            y.reshape(-1), n, groups, abreast, (filters, channels, kh, kw, h, w, oh, ow), first, places,
            scratch, team,
        )  # fmt: skip


@tasks
def _some_images(
    task, thread, x, taps, bias, biased, y, n, groups, abreast, shape, first, places, scratch
):  # fmt: skip
    filters, channels, kh, kw, h, w, oh, ow = shape
    group, image = task % groups, task // groups * abreast
    depth = kh * kw * channels
    xs = at(scratch, thread * scratch.shape[1])  # (h, w, channels, abreast)
    ys = offset(xs, channels * h * w * abreast)  # (filters, oh · ow, abreast)
    lanes = lanes_of(xs)
    bias_here = at(bias, group * filters if biased else 0)
    for some in range(0, min(abreast, n - image), lanes):
        for c in range(channels):
            source = at(x, (((image + some) * groups + group) * channels + c) * h * w)
            target = offset(xs, c * abreast + some)
            images = min(lanes, n - image - some)
            planes_to_lanes(source, groups * channels * h * w, images, h * w, target, at(places, 0))
    for r in range(oh):
        for j in range(ow):
            column = max(0, j + first[1])  # the first pixel that meets a tap, and how many do
            count = min(w, j + first[1] + kw) - column
            here = offset(ys, (r * ow + j) * abreast)
            begin = BY_ROW if biased else BLANK
            for u in range(kh):
                row = r + first[0] + u
                if 0 <= row < h and count > 0:
                    tap = u * kw + column - (j + first[1])
                    rows_of_c(
                        filters, abreast, count * channels,
                        at(taps, group * filters * depth + tap * channels), depth, 1,
                        offset(xs, (row * w + column) * channels * abreast), abreast, 1,
                        here, oh * ow * abreast, begin, bias_here, 0,
                    )  # fmt: skip
                    begin = GO_ON
            if begin != GO_ON:  # no tap meets the image
                for o in range(filters):
                    for i in range(abreast):
                        put(here, o * oh * ow * abreast + i, bias[group * filters + o] if biased else 0)
    for some in range(0, min(abreast, n - image), lanes):
        for o in range(filters):
            target = at(y, (((image + some) * groups + group) * filters + o) * oh * ow)
            images = min(lanes, n - image - some)
            source = offset(ys, o * oh * ow * abreast + some)
            lanes_to_planes(source, abreast, images, oh * ow, target, groups * filters * oh * ow)


@jit
def _correlate(x, taps, bias, biased, y, n, groups, abreast, shape, first, places, scratch, team):
    how = (x, taps, bias, biased, y, n, groups, abreast, shape, first, places, scratch)
    _some_images(team, -(-n // abreast) * groups, how)
