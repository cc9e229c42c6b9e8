"""Losses with their gradients: one pass over the logits gives both.

Whether every target is what it should be is known on the device only. The answer comes home at the end, when
all else is on its way. A step that is recorded cannot wait for it: there a wrong target shows as a NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import cuda, gpu_function, gpu_kernel, int32, real
from minidl.kernels import loss
from minidl.kernels.cuda.lanes import (
    THREADS,
    block_sum,
    each,
    each_row,
    lanes_max,
    lanes_sum,
    like,
    threads_for,
)

__all__ = ["cross_entropy", "cross_entropy_with_logits", "squared_error"]

PARTS = 1024  # blocks that add up squares, at most
SQUARES = 4  # how many of them a thread adds up at least


@gpu_function
def share(c, i, label, labelled, target, weight, weighted, keep, spread):
    """The share q = (keep · t + spread) · w of class c, whose number in `target` is the i-th."""
    wanted = (real(1) if c == label else real(0)) if labelled else target[i]
    q = keep * wanted + spread
    return q * weight[c] if weighted else q


@gpu_kernel(
    "real* losses, real* dx, const real* x, const real* target, const int64* labels, const real* weight, "
    "bool labelled, bool weighted, int64 ignored, real keep, real spread, "
    "int32 classes, int32 lanes, int32 rows"
)
def cross_entropy_kernel(
    losses, dx, x, target, labels, weight, labelled, weighted, ignored, keep, spread, classes, lanes, rows
):
    """Some lanes per row. A label that is no class makes its row NaN, and nothing is read there."""
    row = cuda.grid(1) // lanes
    lane = int32(cuda.threadIdx.x % lanes)
    start = row * classes
    here = int32(classes if row < rows else 0)  # lanes without a row come too: exchanges need all of a warp
    label = ignored
    if labelled and row < rows:
        label = labels[row]
        if label == ignored:
            keep = spread = real(0)
        elif label < 0 or label >= classes:
            keep = spread = real(math.nan)

    largest = real(-math.inf)
    for c in range(lane, here, lanes):
        largest = max(largest, x[start + c])
    largest = lanes_max(largest, lanes)

    total = real(0)  # Σ e^x
    shares = real(0)  # Σ q
    for c in range(lane, here, lanes):
        total += math.exp(x[start + c] - largest)
        shares += share(c, start + c, label, labelled, target, weight, weighted, keep, spread)
    total = lanes_sum(total, lanes)
    shares = lanes_sum(shares, lanes)
    log_total = math.log(total)

    value = real(0)
    for c in range(lane, here, lanes):
        q = share(c, start + c, label, labelled, target, weight, weighted, keep, spread)
        shifted = x[start + c] - largest
        log_p = shifted - log_total  # the logarithm of eq. 15.1
        if q != real(0) or log_p != real(-math.inf):  # 0 · log 0 = 0
            value -= q * log_p  # eq. 15.2
        dx[start + c] = math.exp(shifted) / total * shares - q  # eq. 15.3
    value = lanes_sum(value, lanes)
    if lane == 0 and row < rows:
        losses[row] = value


@gpu_kernel(
    "real* report, const int64* labels, const real* weight, bool weighted, int64 ignored, int32 classes, "
    "int32 rows"
)
def check_labels_kernel(report, labels, weight, weighted, ignored, classes, rows):
    """One block: what the mean divides by, and how many labels are no classes."""
    divisor = real(0)
    wrong = real(0)
    for row in range(cuda.threadIdx.x, rows, cuda.blockDim.x):
        label = labels[row]
        if label != ignored:
            if label < 0 or label >= classes:
                wrong += real(1)
            else:
                divisor += weight[label] if weighted else real(1)
    divisor = block_sum(divisor)
    wrong = block_sum(wrong)
    if cuda.threadIdx.x == 0:
        report[0] = divisor
        report[1] = wrong


@loss.cross_entropy.register(DeviceArray)
def cross_entropy(
    x: DeviceArray,
    target: DeviceArray,
    weight: DeviceArray | None,
    ignore_index: int,
    label_smoothing: float,
) -> tuple[DeviceArray, DeviceArray, float | DeviceArray]:
    """As the reference, but for the divisor of labels, which is an array (): only the device knows it."""
    rows, classes = x.shape
    labelled, weighted = target.ndim == 1, weight is not None
    x, target = x.contiguous(), target.contiguous()
    weight = x if weight is None else weight.contiguous()
    labels = target.astype(np.int64, copy=False) if labelled else empty((0,), np.dtype(np.int64), x.device)
    losses, dx = empty((rows,), x.dtype, x.device), like(x)
    report = empty((2,), x.dtype, x.device)
    if labelled:
        threads = threads_for(rows)
        check_labels_kernel(1, threads, report, labels, weight, weighted, ignore_index, classes, rows)
    each_row(
        cross_entropy_kernel, rows, classes,
        losses, dx, x, x if labelled else target, labels, weight, labelled, weighted, ignore_index,
        1 - label_smoothing, label_smoothing / max(1, classes),
    )  # fmt: skip
    if not labelled:
        return losses, dx, float(max(rows, 1))
    if not x.device.recording and report[1].item() != 0:
        loss.check_labels(target.to_host(), classes, ignore_index)
    return losses, dx, report[0]


@gpu_kernel(
    "real* losses, real* dx, int32* wrong, const real* x, const real* target, const real* weight, "
    "const real* pos_weight, bool weighted, bool pos_weighted, int32 n"
)
def binary_kernel(losses, dx, wrong, x, target, weight, pos_weight, weighted, pos_weighted, n):
    """A thread per number. Whoever meets a target that is no probability sets `wrong`."""
    i = cuda.grid(1)
    if i < n:
        z = x[i]
        t = target[i]
        if t < real(0) or t > real(1):
            wrong[0] = 1
            t = real(math.nan)
        w = weight[i] if weighted else real(1)
        positive = (pos_weight[i] - real(1)) * t + real(1) if pos_weighted else real(1)
        e = math.exp(-abs(z))
        softplus = max(-z, real(0)) + math.log1p(e)  # log(1 + e⁻ˣ) = −log σ(x)
        losses[i] = w * ((real(1) - t) * z + positive * softplus)
        sigmoid = (real(1) if z >= real(0) else e) / (real(1) + e)
        dx[i] = w * ((real(1) - t) + positive * (sigmoid - real(1)))


@loss.cross_entropy_with_logits.register(DeviceArray)
def cross_entropy_with_logits(
    x: DeviceArray, target: DeviceArray, weight: DeviceArray | None, pos_weight: DeviceArray | None
) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    x, target = x.contiguous(), target.contiguous()
    factors: list[Any] = [x if f is None else np.broadcast_to(f, x.shape) for f in (weight, pos_weight)]
    w, v = (factor.contiguous() for factor in factors)
    losses, dx = like(x), like(x)
    wrong = empty((1,), np.dtype(np.int32), x.device)
    wrong.fill(0)
    each(
        binary_kernel, x.size,
        losses, dx, wrong, x, target, w, v, weight is not None, pos_weight is not None,
    )  # fmt: skip
    if not x.device.recording and wrong.item():
        loss.check_targets(target.to_host())
    return losses, dx


@gpu_kernel("real* error, real* parts, const real* prediction, const real* target, int32 n")
def squares_kernel(error, parts, prediction, target, n):
    """The differences, and for each block the sum of the squares of those that its threads made."""
    total = real(0)
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        difference = prediction[i] - target[i]
        error[i] = difference
        total += difference * difference
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        parts[cuda.blockIdx.x] = total


@gpu_kernel("real* total, const real* parts, int32 n")
def total_kernel(total, parts, n):
    """One block adds up n numbers."""
    value = real(0)
    for i in range(cuda.threadIdx.x, n, cuda.blockDim.x):
        value += parts[i]
    value = block_sum(value)
    if cuda.threadIdx.x == 0:
        total[0] = value


@loss.squared_error.register(DeviceArray)
def squared_error(prediction: DeviceArray, target: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    """As the reference; the sum is one of sums of sums, so that float32 serves as well."""
    prediction, target = prediction.contiguous(), target.contiguous()
    error, total = like(prediction), empty((), prediction.dtype, prediction.device)
    blocks = min(PARTS, -(-prediction.size // (THREADS * SQUARES)))
    parts = empty((blocks,), prediction.dtype, prediction.device)
    if blocks:
        squares_kernel(
            blocks, threads_for(prediction.size), error, parts, prediction, target, prediction.size
        )
    total_kernel(1, threads_for(blocks), total, parts, blocks)
    return error, total
