"""Convolutions one result at a time, for groups of so few filters that a product's tiles would stay empty.

A thread computes one output (or one pixel's gradient) from the window that it needs. What it reads, its
neighbours read too, and the cache gives it to all of them. The gradient of a weight is a long sum, so a whole
block of threads adds up each.
"""

from __future__ import annotations

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import cuda, gpu_kernel, real, uint32
from minidl.kernels.cuda.lanes import block_sum, each
from minidl.kernels.cuda.multiply import add_parts
from minidl.kernels.cuda.windows import SIZES, cell, output_cell, source, tap, window

__all__ = ["forward", "input_grad", "weight_grad"]

ADDERS = 128  # threads that add up one weight's gradient, at most; always whole warps
PARTS = 64  # at most so many blocks share one weight's gradient
NUMBERS = ", ".join(f"int32 {size}" for size in SIZES.split())


@gpu_kernel(
    f"real* y, const real* weight, const real* x, const real* bias, int32 biased, {NUMBERS}, int32 size"
)
def conv2d_direct(
    y, weight, x, bias, biased, C, F, Cg, Fg, H, W, kh, kw, OH, OW, sh, sw, ph, pw, dh, dw, size
):
    """y[n,f,i,j] = b[f] + Σ_c,u,v w[f,c,u,v] · x[n, c, i·sh+u·dh−ph, j·sw+v·dw−pw]; a thread has one."""
    at = uint32(cuda.grid(1))
    if at < uint32(size):
        pixels = uint32(OH * OW)
        plane = uint32(at // pixels)
        image = uint32(plane // uint32(F))
        number = uint32(plane - image * F)  # of the filter
        group = uint32(number // uint32(Fg))
        place = window(
            group, uint32(at - plane * pixels + image * pixels), C, Cg, H, W, OH, OW, sh, sw, ph, pw
        )
        k = uint32(number * Cg * kh * kw)
        value = real(0)
        for c in range(Cg):
            for u in range(kh):
                for v in range(kw):
                    value += weight[k] * cell(x, place, (uint32(c * H * W), u * dh, v * dw), H, W)
                    k = uint32(k + 1)
        if biased:
            value += bias[number]
        y[at] = value


@gpu_kernel(f"real* dx, const real* weight, const real* dy, {NUMBERS}, int32 size")
def conv2d_input_grad_direct(
    dx, weight, dy, C, F, Cg, Fg, H, W, kh, kw, OH, OW, sh, sw, ph, pw, dh, dw, size
):
    """dx[n,c,h,w] = Σ_f,u,v w[f,c,u,v] · dy[n, f, (h+ph−u·dh)/sh, (w+pw−v·dw)/sw], where that is a window."""
    at = uint32(cuda.grid(1))
    if at < uint32(size):
        pixels = uint32(H * W)
        plane = uint32(at // pixels)
        image = uint32(plane // uint32(C))
        number = uint32(plane - image * C)  # of the channel
        group = uint32(number // uint32(Cg))
        place = source(group, uint32(at - plane * pixels + image * pixels), F, Fg, H, W, OH, OW, ph, pw)
        first = uint32((group * Fg * Cg + (number - group * Cg)) * kh * kw)
        value = real(0)
        for f in range(Fg):
            k = uint32(first + f * Cg * kh * kw)
            for u in range(kh):
                for v in range(kw):
                    step = (uint32(f * OH * OW), u * dh, v * dw)
                    value += weight[k] * output_cell(dy, place, step, OH, OW, sh, sw)
                    k = uint32(k + 1)
        dx[at] = value


@gpu_kernel(f"real* parts, const real* dy, const real* x, int32 size, int32 run, {NUMBERS}")
def conv2d_weight_grad_direct(
    parts, dy, x, size, run, C, F, Cg, Fg, H, W, kh, kw, OH, OW, sh, sw, ph, pw, dh, dw
):
    """dW[f,c,u,v] = Σ_n,i,j dy[n,f,i,j] · x[n, c, …]; a block has a weight, and `run` windows."""
    weight, part, thread = uint32(cuda.blockIdx.x), uint32(cuda.blockIdx.y), uint32(cuda.threadIdx.x)
    columns = uint32(Cg * kh * kw)
    number = uint32(weight // columns)  # of the filter
    group = uint32(number // uint32(Fg))
    place = tap(uint32(weight - number * columns), H, W, kh, kw, dh, dw)
    pixels = uint32(OH * OW)
    last = uint32(min(uint32((part + 1) * run), uint32(size)))
    value = real(0)
    for k in range(uint32(part * run + thread), last, uint32(cuda.blockDim.x)):
        image = uint32(k // pixels)
        gradient = dy[uint32((image * F + number) * pixels + (k - image * pixels))]
        value += gradient * cell(x, place, window(group, k, C, Cg, H, W, OH, OW, sh, sw, ph, pw), H, W)
    value = block_sum(value)
    if thread == 0:
        parts[uint32(part * cuda.gridDim.x + weight)] = value


def forward(
    y: DeviceArray, weight: DeviceArray, x: DeviceArray, bias: DeviceArray | None, sizes: tuple[int, ...]
) -> None:
    """Fill y = (N, F, OH, OW); all arrays are contiguous."""
    given = y if bias is None else bias.contiguous()
    each(conv2d_direct, y.size, y, weight, x, given, bias is not None, *sizes)


def input_grad(dx: DeviceArray, weight: DeviceArray, dy: DeviceArray, sizes: tuple[int, ...]) -> None:
    """Fill dx = (N, C, H, W)."""
    each(conv2d_input_grad_direct, dx.size, dx, weight, dy, *sizes)


def weight_grad(dW: DeviceArray, dy: DeviceArray, x: DeviceArray, sizes: tuple[int, ...]) -> None:
    """Fill dW = (F, Cg, kh, kw)."""
    if not dW.size:
        return
    windows = dy.shape[0] * dy.shape[2] * dy.shape[3]
    parts = max(1, min(PARTS, windows // (8 * ADDERS)))
    run = -(-windows // parts)
    partial: DeviceArray = dW if parts == 1 else empty((parts, dW.size), dW.dtype, dW.device)
    threads = min(ADDERS, max(32, 1 << (windows - 1).bit_length()))
    conv2d_weight_grad_direct((dW.size, parts), threads, partial, dy, x, windows, run, *sizes)
    if parts > 1:
        add_parts(dW, partial, parts)
