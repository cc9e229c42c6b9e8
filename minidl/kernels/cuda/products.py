"""Matrix products of arrays with any strides: a transposed view is read where it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import gpu_function, uint32
from minidl.array.protocol import MATMUL
from minidl.errors import DTypeError, ShapeError
from minidl.kernels import products
from minidl.kernels.cuda.multiply import multiply, product_kernels
from minidl.kernels.cuda.tiles import LARGE, SMALL, Matrix, Tile, offset

__all__ = ["batched_product", "linear", "matmul", "product"]

MOST_BATCHES = 65_535  # blocks that a grid may have along its second axis


@gpu_function
def row_of_a(batch, at, a_batch, a_row):
    """Where a row of A begins."""
    return uint32(batch * a_batch + at * a_row)


@gpu_function
def step_of_a(at, a_step):
    """How far k is from the beginning of its row."""
    return uint32(at * a_step)


@gpu_function
def column_of_b(batch, at, b_batch, b_column):
    """Where a column of B begins."""
    return uint32(batch * b_batch + at * b_column)


@gpu_function
def step_of_b(at, b_step):
    """How far k is from the beginning of its column."""
    return uint32(at * b_step)


@gpu_function
def column_of_c(batch, at, m, n):
    """Where a column of C, which is contiguous, begins."""
    return uint32(batch * m * n + at)


PRODUCT = product_kernels(
    "product",
    (LARGE, SMALL),
    "a_batch a_row a_step b_batch b_step b_column",
    a=Matrix(row_of_a, step_of_a, offset, along="either"),
    b=Matrix(column_of_b, step_of_b, offset, along="either"),
    c=Matrix(column_of_c),
)


@products.matmul.register(DeviceArray)
def matmul(a: DeviceArray, b: DeviceArray) -> DeviceArray:
    """As the reference."""
    return product(a, b)


@products.linear.register(DeviceArray)
def linear(x: DeviceArray, weight: DeviceArray, bias: DeviceArray | None) -> DeviceArray:
    """As the reference; the bias is added before a result leaves its register."""
    return product(x, weight.T, bias)


def product(
    a: DeviceArray, b: DeviceArray, bias: DeviceArray | None = None, tile: Tile | None = None
) -> DeviceArray:
    """The product of two matrices, plus a bias for each column.

    Args:
        a: (M, K), of any strides.
        b: (K, N), of any strides.
        bias: (N,) or None.
        tile: to use this one, whatever the shape.

    Returns:
        (M, N).

    Raises:
        ShapeError: the shapes do not fit.
        DTypeError: the dtypes differ.
    """
    if (
        a.ndim != 2
        or b.ndim != 2
        or a.shape[1] != b.shape[0]
        or (bias is not None and bias.shape != b.shape[1:])
    ):
        given = f"{a.shape} and {b.shape}" + ("" if bias is None else f" and a bias {bias.shape}")
        raise ShapeError(f"product: expected (M, K) and (K, N), got {given}")
    _check_dtypes(a, b, bias)
    a, b = _ahead(a), _ahead(b)
    c = empty((a.shape[0], b.shape[1]), a.dtype, a.device)
    _fill(c, a, b, (0, *a.strides, 0, *b.strides), 1, bias, tile)
    return c


def batched_product(a: DeviceArray, b: DeviceArray) -> DeviceArray:
    """What `@` of device arrays runs: (…, M, K) by (…, K, N), whose leading dimensions are broadcast."""
    if a.dtype.kind not in "f":
        raise DTypeError(f"matmul: expected float32 or float64 on a device, got {a.dtype}")
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (_one_batch(matrix, batch) for matrix in (a, b))
    c = (
        _product(a, b)
        if len(a) <= MOST_BATCHES
        else empty((len(a), a.shape[1], b.shape[2]), a.dtype, a.device)
    )
    for first in range(0, len(a) if len(a) > MOST_BATCHES else 0, MOST_BATCHES):
        some = slice(first, first + MOST_BATCHES)
        c[some] = _product(a[some], b[some])
    return c.reshape(*batch, *c.shape[1:])


MATMUL[:] = [batched_product]


def _one_batch(matrix: DeviceArray, batch: tuple[int, ...]) -> DeviceArray:
    """A view of the matrices as (batch, rows, columns); a copy where their strides allow none."""
    wide: Any = np.broadcast_to(matrix, (*batch, *matrix.shape[-2:]))
    made: DeviceArray = wide.reshape(math.prod(batch), *matrix.shape[-2:])
    return made


def _product(a: DeviceArray, b: DeviceArray) -> DeviceArray:
    """(B, M, K) · (B, K, N)."""
    _check_dtypes(a, b, None)
    a, b = _ahead(a), _ahead(b)
    c = empty((*a.shape[:2], b.shape[2]), a.dtype, a.device)
    _fill(c, a, b, (*a.strides, *b.strides), len(a))
    return c


def _check_dtypes(a: DeviceArray, b: DeviceArray, bias: DeviceArray | None) -> None:
    if a.dtype != b.dtype or (bias is not None and bias.dtype != a.dtype):
        given = f"{a.dtype} and {b.dtype}" + ("" if bias is None else f" and a bias of {bias.dtype}")
        raise DTypeError(f"product: expected arrays of one dtype, got {given}")


def _ahead(matrix: DeviceArray) -> DeviceArray:
    """The matrix, copied if it is walked through backwards: kernels count in uint32."""
    return matrix if min(matrix.strides) >= 0 else matrix.copy()


def _fill(
    c: DeviceArray,
    a: DeviceArray,
    b: DeviceArray,
    strides: tuple[int, ...],
    batch: int,
    bias: DeviceArray | None = None,
    tile: Tile | None = None,
) -> None:
    """Fill c; `strides` are A's and B's along the batch, rows and columns."""
    (m, depth), n = a.shape[-2:], b.shape[-1]
    multiply(
        PRODUCT, c, a, b, (m, n, depth), batch,
        sizes=strides, c_row=n, bias=None if bias is None else bias.contiguous(),
        along_k=(strides[2] <= strides[1], strides[4] <= strides[5]), tile=tile,
    )  # fmt: skip
