"""Where a convolution finds its numbers: the index arithmetic of the reference's `unfold`, without the array.

The reference lays every window out as a column and multiplies matrices. Here they are never made: functions
say where in memory the number at row or column `at` and at k would have come from. A place has two parts,
one that the column gives and one that k gives, so that most of the arithmetic is done once per column.

Letters: N images, C channels, H×W pixels; F filters (the reference's O, which reads like a zero) of kh×kw
taps; OH×OW outputs; Cg and Fg channels and filters of one group; steps sh×sw between windows, padding
ph×pw, dh×dw between taps. A `batch` is a group. All are uint32 but coordinates, which may be negative, and
are int32.
"""

from __future__ import annotations

from typing import Any

from minidl.array.gpu import gpu_function, int32, real, uint32

__all__ = [
    "SIZES",
    "cell",
    "filter_tap",
    "output_cell",
    "sizes_of",
    "source",
    "tap",
    "window",
]

SIZES = "C F Cg Fg H W kh kw OH OW sh sw ph pw dh dw"
"""What every kernel of a convolution gets, as int32."""


def sizes_of(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> tuple[int, ...]:
    """The numbers that `SIZES` names."""
    _, c, h, w = input_shape
    o, cg, kh, kw = weight_shape
    return c, o, cg, o // groups, h, w, kh, kw, *output_shape[2:], *stride, *padding, *dilation


# ------------------------------------------------------------------ x, seen as columns of windows


@gpu_function
def window(batch, at, C, Cg, H, W, OH, OW, sh, sw, ph, pw):
    """Window number `at` of all images: where its group's channels begin, and its first row and column."""
    pixels = uint32(OH * OW)
    image = uint32(at // pixels)
    pixel = uint32(at - image * pixels)
    i = uint32(pixel // uint32(OW))
    j = uint32(pixel - i * OW)
    top = int32(int32(i * sh) - int32(ph))
    left = int32(int32(j * sw) - int32(pw))
    return uint32((image * C + batch * Cg) * H * W), top, left


@gpu_function
def tap(at, H, W, kh, kw, dh, dw):
    """Tap number `at` of a window: where its channel begins, how far down and how far right it is."""
    taps = uint32(kh * kw)
    channel = uint32(at // taps)
    left_over = uint32(at - channel * taps)
    u = uint32(left_over // uint32(kw))
    v = uint32(left_over - u * kw)
    return uint32(channel * H * W), int32(u * dh), int32(v * dw)


@gpu_function
def cell(pointer, place, step, H, W):
    """The image's number under one tap of one window; the padding is 0."""
    value = real(0)
    row = int32(place[1] + step[1])
    column = int32(place[2] + step[2])
    if row >= 0 and row < int32(H) and column >= 0 and column < int32(W):
        value = pointer[uint32(place[0] + step[0] + uint32(row) * W + uint32(column))]
    return value


# ------------------------------------------------------------------ dy, seen from pixels of x


@gpu_function
def source(batch, at, F, Fg, H, W, OH, OW, ph, pw):
    """Pixel number `at` of all images: where its group begins in dy, its row and column in the padding."""
    pixels = uint32(H * W)
    image = uint32(at // pixels)
    pixel = uint32(at - image * pixels)
    i = uint32(pixel // uint32(W))
    j = uint32(pixel - i * W)
    return uint32((image * F + batch * Fg) * OH * OW), int32(i + ph), int32(j + pw)


@gpu_function
def filter_tap(at, kh, kw, OH, OW, dh, dw):
    """Tap number `at` of all filters: where its filter begins in dy, how far down and how far right it is."""
    taps = uint32(kh * kw)
    number = uint32(at // taps)
    left_over = uint32(at - number * taps)
    u = uint32(left_over // uint32(kw))
    v = uint32(left_over - u * kw)
    return uint32(number * OH * OW), int32(u * dh), int32(v * dw)


@gpu_function
def output_cell(pointer, place, step, OH, OW, sh, sw):
    """The output that has this pixel under this tap; 0 if there is none, as windows have steps."""
    value = real(0)
    row = int32(place[1] - step[1])
    column = int32(place[2] - step[2])
    if row >= 0 and column >= 0:
        i = uint32(row)
        j = uint32(column)
        if sh != 1:  # a division costs more than all the rest
            i = uint32(i // uint32(sh))
        if sw != 1:
            j = uint32(j // uint32(sw))
        # compared as uint32 (numba compares uint64 with int32 as float64)
        if uint32(i * sh) == uint32(row) and uint32(j * sw) == uint32(column) and i < OH and j < OW:
            value = pointer[uint32(place[0] + step[0] + i * OW + j)]
    return value
