"""Convolution, its input gradient and its weight gradient: the readable references.

All three are the same matrix product with other operands. `unfold` lays every window of the image out as
one column; then, with W as a matrix of one row per filter,

    y = W · columns        dW = dy · columnsᵀ        dx = fold(Wᵀ · dy)

where `fold`, the transpose of `unfold`, adds every column back to where it was read from.

Letters: N images, C channels, H×W pixels; O filters of kh×kw taps; OH×OW outputs; G groups.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minidl.array import Array
from minidl.kernels.geometry import Pair, output_sizes
from minidl.kernels.registry import kernel

__all__ = ["conv2d", "conv2d_input_grad", "conv2d_weight_grad", "fold", "unfold"]


def unfold(x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """Every window of every image, as a read-only view of the padded input.

    Args:
        x: (N, C, H, W).
        kernel_size: taps of a window; the other pairs as in `conv2d`.
        stride: cells between two windows.
        padding: zeros on both sides.
        dilation: cells between two taps.

    Returns:
        (N, C, kh, kw, OH, OW).
    """
    (ph, pw), (sh, sw), (dh, dw) = padding, stride, dilation
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw))) if ph or pw else x
    span = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel_size, strict=True))
    windows = sliding_window_view(padded, span, axis=(2, 3))  # (N, C, all rows, all columns, span, span)
    windows = windows[:, :, ::sh, ::sw, ::dh, ::dw]  # (N, C, OH, OW, kh, kw)
    return windows.transpose(0, 1, 4, 5, 2, 3)  # (N, C, kh, kw, OH, OW)


def fold(patches: Array, input_shape: tuple[int, ...], stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """The transpose of `unfold`: add every window's cells back to where they were read from.

    Args:
        patches: (N, C, kh, kw, OH, OW).
        input_shape: (N, C, H, W).
        stride: as in `unfold`; so are the others.
        padding: cells on both sides that are cut off again.
        dilation: cells between two taps.

    Returns:
        (N, C, H, W).
    """
    n, c, kh, kw, oh, ow = patches.shape
    (ph, pw), (sh, sw), (dh, dw) = padding, stride, dilation
    height, width = input_shape[2:]
    padded = np.zeros((n, c, height + 2 * ph, width + 2 * pw), patches.dtype)
    for i in range(kh):
        for j in range(kw):
            rows = slice(i * dh, i * dh + oh * sh, sh)
            columns = slice(j * dw, j * dw + ow * sw, sw)
            padded[:, :, rows, columns] += patches[:, :, i, j]
    return padded[:, :, ph : ph + height, pw : pw + width].copy()


def _columns(x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    patches = unfold(x, kernel_size, stride, padding, dilation)
    n, c, kh, kw, oh, ow = patches.shape
    return patches.reshape(n, groups, c // groups * kh * kw, oh * ow)  # (N, G, C/G·kh·kw, OH·OW)


@kernel
def conv2d(
    x: Array, weight: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """Slide every filter over every image.

    `y[n,o,i,j] = b[o] + Σ_c,u,v w[o,c,u,v] · x[n, c, i·s+u·d−p, j·s+v·d−p]`

    (The filter is not flipped: what deep learning calls convolution is cross-correlation.)

    Args:
        x: (N, C, H, W).
        weight: (O, C/G, kh, kw).
        bias: (O,) or None.
        stride: cells between two windows, along height and width.
        padding: zeros on both sides.
        dilation: cells between two taps.
        groups: G; each group of C/G channels feeds its own O/G filters.

    Returns:
        (N, O, OH, OW).
    """
    o, cg, kh, kw = weight.shape
    n = len(x)
    oh, ow = output_sizes(x.shape, (kh, kw), stride, padding, dilation)
    columns = _columns(x, (kh, kw), stride, padding, dilation, groups)  # (N, G, C/G·kh·kw, OH·OW)
    rows = weight.reshape(groups, o // groups, cg * kh * kw)  # (G, O/G, C/G·kh·kw)
    y = (rows @ columns).reshape(n, o, oh, ow)  # (N, O, OH, OW)
    return y if bias is None else y + bias.reshape(o, 1, 1)


@kernel
def conv2d_weight_grad(
    dy: Array,
    x: Array,
    weight_shape: tuple[int, ...],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Array:
    """The gradient of the filters: `dW = Σ_n dy · columnsᵀ`.

    Args:
        dy: (N, O, OH, OW).
        x: (N, C, H, W), the input of the forward.
        weight_shape: (O, C/G, kh, kw).
        stride: as in `conv2d`; so are the others.
        padding: zeros on both sides.
        dilation: cells between two taps.
        groups: G.

    Returns:
        (O, C/G, kh, kw).
    """
    o, _, kh, kw = weight_shape
    n, _, oh, ow = dy.shape
    columns = _columns(x, (kh, kw), stride, padding, dilation, groups)  # (N, G, C/G·kh·kw, OH·OW)
    dy = dy.reshape(n, groups, o // groups, oh * ow)  # (N, G, O/G, OH·OW)
    dW = (dy @ columns.swapaxes(2, 3)).sum(axis=0)  # (G, O/G, C/G·kh·kw)
    return dW.reshape(weight_shape)  # (O, C/G, kh, kw)


@kernel
def conv2d_input_grad(
    dy: Array,
    weight: Array,
    input_shape: tuple[int, ...],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Array:
    """The gradient of the input: `dx = fold(Wᵀ · dy)`.

    Args:
        dy: (N, O, OH, OW).
        weight: (O, C/G, kh, kw).
        input_shape: (N, C, H, W).
        stride: as in `conv2d`; so are the others.
        padding: zeros on both sides.
        dilation: cells between two taps.
        groups: G.

    Returns:
        (N, C, H, W).
    """
    o, cg, kh, kw = weight.shape
    n, _, oh, ow = dy.shape
    rows = weight.reshape(groups, o // groups, cg * kh * kw)  # (G, O/G, C/G·kh·kw)
    dy = dy.reshape(n, groups, o // groups, oh * ow)  # (N, G, O/G, OH·OW)
    dcolumns = rows.swapaxes(1, 2) @ dy  # (N, G, C/G·kh·kw, OH·OW)
    patches = dcolumns.reshape(n, groups * cg, kh, kw, oh, ow)  # (N, C, kh, kw, OH, OW)
    return fold(patches, input_shape, stride, padding, dilation)
