"""What losses of class indices read and write: a thread per number, or some lanes per row."""

from __future__ import annotations

import math

import numpy as np

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import cuda, gpu_kernel, int32, real, uint32
from minidl.kernels import class_loss as references
from minidl.kernels.cuda.lanes import each, each_row, lanes_sum, like

__all__ = ["multi_margin", "nll", "nll_input_grad"]


@gpu_kernel(
    "real* losses, real* w, int32* wrong, const real* x, const int64* labels, const real* weight, "
    "bool weighted, int64 ignored, int32 classes, int32 n"
)
def nll_kernel(losses, w, wrong, x, labels, weight, weighted, ignored, classes, n):
    """A thread per row. Whoever meets a label that is no class sets `wrong`, and makes a NaN."""
    row = cuda.grid(1)
    if row < n:
        label = labels[row]
        factor = real(0)
        value = real(0)
        if label != ignored:
            if label >= 0 and label < classes:
                factor = weight[label] if weighted else real(1)
                value = x[row * classes + label]
            else:
                wrong[0] = 1
                factor = real(math.nan)
        losses[row] = -factor * value
        w[row] = factor


@references.nll.register(DeviceArray)
def nll(
    x: DeviceArray, labels: DeviceArray, weight: DeviceArray | None, ignore_index: int
) -> tuple[DeviceArray, DeviceArray, bool]:
    """As the reference."""
    (rows, classes), x = x.shape, x.contiguous()
    losses, w = (empty((rows,), x.dtype, x.device) for _ in range(2))
    wrong = empty((1,), np.dtype(np.int32), x.device)
    wrong.fill(0)
    each(
        nll_kernel, rows,
        losses, w, wrong, x, labels.contiguous().astype(np.int64, copy=False),
        x if weight is None else weight.contiguous(), weight is not None, ignore_index, classes,
    )  # fmt: skip
    return losses, w, not x.device.recording and wrong.item() != 0


@gpu_kernel("real* dx, const real* dy, const int64* labels, uint32 classes, int32 n")
def nll_input_grad_kernel(dx, dy, labels, classes, n):
    i = cuda.grid(1)
    if i < n:
        row = int32(uint32(i) // classes)
        value = real(0)
        if labels[row] == i - row * int32(classes):
            value = dy[row]
        dx[i] = value


@references.nll_input_grad.register(DeviceArray)
def nll_input_grad(dy: DeviceArray, labels: DeviceArray, classes: int) -> DeviceArray:
    """As the reference."""
    dx = empty((dy.shape[0], classes), dy.dtype, dy.device)
    labels = labels.contiguous().astype(np.int64, copy=False)
    each(nll_input_grad_kernel, dx.size, dx, dy.contiguous(), labels, classes)
    return dx


@gpu_kernel(
    "real* losses, real* dx, const real* x, const int64* labels, const real* weight, bool weighted, "
    "bool squared, real margin, int32 classes, int32 lanes, int32 rows"
)
def multi_margin_kernel(losses, dx, x, labels, weight, weighted, squared, margin, classes, lanes, rows):
    """Some lanes per row. Of a label that is no class, nothing is read."""
    row = cuda.grid(1) // lanes
    lane = int32(cuda.threadIdx.x % lanes)
    start = row * classes
    here = int32(classes if row < rows else 0)  # lanes without a row come too: exchanges need all of a warp
    label = int32(-1)
    lead = margin
    factor = real(0) if weighted else real(1)
    if row < rows and labels[row] >= 0 and labels[row] < classes:
        label = int32(labels[row])
        lead = margin - x[start + label]
        if weighted:
            factor = weight[label]
    factor /= real(classes)
    loss = real(0)
    total = real(0)
    for c in range(lane, here, lanes):
        z = lead + x[start + c]
        if z <= real(0) or c == label:
            z = real(0)
        loss += z * z if squared else z
        slope = real(2) * z
        if not squared:
            slope = real(1) if z > real(0) else real(0)
        slope *= factor
        total += slope
        if c != label:
            dx[start + c] = slope
    loss = lanes_sum(loss, lanes)
    total = lanes_sum(total, lanes)
    if lane == 0 and row < rows:
        losses[row] = factor * loss
        if label >= 0:
            dx[start + label] = -total


@references.multi_margin.register(DeviceArray)
def multi_margin(
    x: DeviceArray, labels: DeviceArray, weight: DeviceArray | None, power: int, margin: float
) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    rows, classes = x.shape
    losses, dx = empty((rows,), x.dtype, x.device), like(x)
    x = x.contiguous()
    each_row(
        multi_margin_kernel, rows, classes,
        losses, dx, x, labels.contiguous().astype(np.int64, copy=False),
        x if weight is None else weight.contiguous(), weight is not None, power == 2, margin,
    )  # fmt: skip
    return losses, dx
