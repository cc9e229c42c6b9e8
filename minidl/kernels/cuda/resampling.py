"""Resampling on a GPU: a thread per new pixel reads the old ones that it is made of."""

from __future__ import annotations

import numpy as np

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import cuda, gpu_kernel, int32, real, uint32
from minidl.errors import ShapeError
from minidl.kernels import resampling as references
from minidl.kernels.cuda.lanes import each
from minidl.kernels.cuda.pooling import pixel_of

__all__ = ["resample"]


@gpu_kernel(
    "real* y, const real* x, const int64* rows, const real* row_weights, const int64* columns, "
    "const real* column_weights, int32 S, int32 T, int32 H, int32 W, int32 OH, int32 OW, int32 size"
)
def resample_kernel(y, x, rows, row_weights, columns, column_weights, S, T, H, W, OH, OW, size):
    at = uint32(cuda.grid(1))
    if at < uint32(size):
        plane, i, j = pixel_of(at, OH, OW)
        total = real(0)
        for s in range(S):
            row = int32(plane * H + int32(rows[s * OH + i]))
            part = real(0)
            for t in range(T):
                part += column_weights[t * OW + j] * x[uint32(row * W + int32(columns[t * OW + j]))]
            total += row_weights[s * OH + i] * part
        y[at] = total


@references.resample.register(DeviceArray)
def resample(
    x: DeviceArray,
    rows: DeviceArray,
    row_weights: DeviceArray,
    columns: DeviceArray,
    column_weights: DeviceArray,
) -> DeviceArray:
    """As the reference, but no place is checked: a GPU does not say that one is outside."""
    tables = (rows, row_weights, columns, column_weights)
    if x.ndim < 2 or rows.ndim != 2 or columns.ndim != 2 or not len(rows) or not len(columns):
        raise ShapeError(
            f"resample: expected (…, H, W), rows (S, OH) and columns (T, OW), "
            f"got {x.shape}, {rows.shape} and {columns.shape}"
        )
    if rows.shape != row_weights.shape or columns.shape != column_weights.shape:
        raise ShapeError(
            f"resample: expected as many weights as places, got {row_weights.shape} for {rows.shape} and "
            f"{column_weights.shape} for {columns.shape}"
        )
    (h, w), (oh, ow) = x.shape[-2:], (rows.shape[1], columns.shape[1])
    y = empty((*x.shape[:-2], oh, ow), x.dtype, x.device)
    places = [table.astype(np.int64, copy=False) for table in tables[::2]]
    each(
        resample_kernel, y.size, y, x.contiguous(), places[0].contiguous(), row_weights.contiguous(),
        places[1].contiguous(), column_weights.contiguous(), len(rows), len(columns), h, w, oh, ow,
    )  # fmt: skip
    return y
