"""Convolution and its gradients as matrix products whose columns are never laid out (*implicit GEMM*).

    y = W · columns        dW = dy · columnsᵀ        dx = Wᵀ · (the outputs that saw each pixel)

All three gather: a thread finds what adds up to its results, and nobody else writes them. So there are no
atomic sums, and the bits are the same every time. A product of few rows would leave most of a tile empty, so
`direct` does what has few filters or channels in a group, such as a depthwise convolution.
"""

from __future__ import annotations

import functools
import math

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import gpu_function, uint32
from minidl.errors import ShapeError
from minidl.kernels import conv
from minidl.kernels.cuda import direct
from minidl.kernels.cuda.multiply import multiply, product_kernels
from minidl.kernels.cuda.tiles import SMALL, WIDE, Matrix, offset
from minidl.kernels.cuda.windows import (
    SIZES,
    cell,
    filter_tap,
    output_cell,
    sizes_of,
    source,
    tap,
    window,
)
from minidl.kernels.geometry import Pair, output_sizes

__all__ = ["conv2d", "conv2d_input_grad", "conv2d_weight_grad"]

FEW = 8
"""Groups of fewer filters (or channels, for the gradient of the input) are computed one result at a time."""


@gpu_function
def filter_row(batch, at, Fg, depth):
    """Where a filter of a group begins."""
    return uint32((batch * Fg + at) * depth)


@gpu_function
def next_to_each_other(at):
    """Where k is in a filter."""
    return at


@gpu_function
def channel_row(batch, at, Cg, Fg, kh, kw):
    """Where the taps on one channel of a group begin."""
    return uint32((batch * Fg * Cg + at) * kh * kw)


@gpu_function
def tap_of_filter(at, Cg, kh, kw):
    """How far tap number `at` of all filters is from the first filter's first one."""
    taps = uint32(kh * kw)
    number = uint32(at // taps)
    return uint32(number * Cg * taps + (at - number * taps))


@gpu_function
def gradient_row(batch, at, Fg, OH, OW):
    """Where the gradients of one filter's outputs begin."""
    return uint32((batch * Fg + at) * OH * OW)


@gpu_function
def output(at, F, OH, OW):
    """How far window number `at` of all images is from the first one."""
    pixels = uint32(OH * OW)
    image = uint32(at // pixels)
    return uint32(image * F * pixels + (at - image * pixels))


@gpu_function
def output_column(batch, at, F, Fg, OH, OW):
    """Where the outputs of window number `at` begin: the group's first filter."""
    pixels = uint32(OH * OW)
    image = uint32(at // pixels)
    return uint32((image * F + batch * Fg) * pixels + (at - image * pixels))


@gpu_function
def pixel_column(batch, at, C, Cg, H, W):
    """Where pixel number `at` of all images is in the group's first channel."""
    pixels = uint32(H * W)
    image = uint32(at // pixels)
    return uint32((image * C + batch * Cg) * pixels + (at - image * pixels))


@gpu_function
def weight_column(batch, at, Fg, n):
    """Where column `at` of a group's filters is."""
    return uint32(batch * Fg * n + at)


FORWARD = product_kernels(
    "conv2d",
    (WIDE, SMALL),
    SIZES,
    a=Matrix(filter_row, next_to_each_other, offset, along="k"),
    b=Matrix(window, tap, cell, along="rows"),
    c=Matrix(output_column),
    bias="row",
)
INPUT_GRAD = product_kernels(
    "conv2d_input_grad",
    (WIDE, SMALL),
    SIZES,
    a=Matrix(channel_row, tap_of_filter, offset, along="k"),
    b=Matrix(source, filter_tap, output_cell, along="rows"),
    c=Matrix(pixel_column),
)
WEIGHT_GRAD = product_kernels(
    "conv2d_weight_grad",
    (WIDE, SMALL),
    SIZES,
    a=Matrix(gradient_row, output, offset, along="k"),
    b=Matrix(tap, window, cell, along="k"),
    c=Matrix(weight_column),
)


@conv.conv2d.register(DeviceArray)
def conv2d(
    x: DeviceArray,
    weight: DeviceArray,
    bias: DeviceArray | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> DeviceArray:
    """As the reference."""
    f, cg, kh, kw = weight.shape
    shape = (len(x), f, *_outputs(x.shape[2:], (kh, kw), stride, padding, dilation))
    _check_channels("conv2d", x.shape, weight.shape, groups)
    y = empty(shape, x.dtype, x.device)
    x, weight = x.contiguous(), weight.contiguous()
    sizes = sizes_of(x.shape, weight.shape, shape, stride, padding, dilation, groups)
    if f // groups < FEW:
        direct.forward(y, weight, x, bias, sizes)
        return y
    windows = math.prod(shape[2:])
    multiply(
        FORWARD, y, weight, x, (f // groups, len(x) * windows, cg * kh * kw), groups,
        sizes=sizes, c_row=windows, bias=bias, bias_every=windows,
    )  # fmt: skip
    return y


@conv.conv2d_input_grad.register(DeviceArray)
def conv2d_input_grad(
    dy: DeviceArray,
    weight: DeviceArray,
    input_shape: tuple[int, ...],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> DeviceArray:
    """As the reference."""
    f, cg, kh, kw = weight.shape
    _check_channels("conv2d_input_grad", input_shape, weight.shape, groups)
    dx = empty(tuple(input_shape), dy.dtype, dy.device)
    dy, weight = dy.contiguous(), weight.contiguous()
    sizes = sizes_of(input_shape, weight.shape, dy.shape, stride, padding, dilation, groups)
    if cg < FEW:
        direct.input_grad(dx, weight, dy, sizes)
        return dx
    pixels = math.prod(input_shape[2:])
    multiply(
        INPUT_GRAD, dx, weight, dy, (cg, input_shape[0] * pixels, f // groups * kh * kw), groups,
        sizes=sizes, c_row=pixels,
    )  # fmt: skip
    return dx


@conv.conv2d_weight_grad.register(DeviceArray)
def conv2d_weight_grad(
    dy: DeviceArray,
    x: DeviceArray,
    weight_shape: tuple[int, ...],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> DeviceArray:
    """As the reference."""
    f, cg, kh, kw = weight_shape
    _check_channels("conv2d_weight_grad", x.shape, weight_shape, groups)
    dW = empty(tuple(weight_shape), x.dtype, x.device)
    dy, x = dy.contiguous(), x.contiguous()
    sizes = sizes_of(x.shape, weight_shape, dy.shape, stride, padding, dilation, groups)
    if f // groups < FEW:
        direct.weight_grad(dW, dy, x, sizes)
        return dW
    columns = cg * kh * kw
    multiply(
        WEIGHT_GRAD, dW, dy, x, (f // groups, columns, len(x) * math.prod(dy.shape[2:])), groups,
        sizes=sizes, c_row=columns,
    )  # fmt: skip
    return dW


_outputs = functools.lru_cache(maxsize=4096)(output_sizes)  # a training step has the same shapes every time


def _check_channels(
    who: str, input_shape: tuple[int, ...], weight_shape: tuple[int, ...], groups: int
) -> None:
    """Refuse what would make threads read past the end of an array."""
    f, cg, _, _ = weight_shape
    if input_shape[1] != cg * groups or f % groups:
        raise ShapeError(
            f"{who}: expected {cg}·{groups} channels and filters that {groups} groups share equally, "
            f"got an input {tuple(input_shape)} and filters {tuple(weight_shape)}"
        )
