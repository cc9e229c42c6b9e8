"""Products of vectors with one another and with themselves: some lanes per pair, or a thread per number."""

from __future__ import annotations

from minidl.array.device_array import DeviceArray, empty
from minidl.array.gpu import cuda, gpu_kernel, int32, real, uint32
from minidl.kernels import vector_pairs as references
from minidl.kernels.cuda.lanes import each, each_row, lanes_sum, like

__all__ = ["pair_input_grads", "pair_products"]


@gpu_kernel("real* ab, real* aa, real* bb, const real* a, const real* b, int32 size, int32 lanes, int32 rows")
def pair_sums_kernel(ab, aa, bb, a, b, size, lanes, rows):
    row = cuda.grid(1) // lanes
    lane = int32(cuda.threadIdx.x % lanes)
    here = int32(size if row < rows else 0)  # lanes without a row come too: exchanges need all of a warp
    mixed = real(0)
    own_a = real(0)
    own_b = real(0)
    for i in range(lane, here, lanes):
        first = a[row * size + i]
        second = b[row * size + i]
        mixed += first * second
        own_a += first * first
        own_b += second * second
    mixed = lanes_sum(mixed, lanes)
    own_a = lanes_sum(own_a, lanes)
    own_b = lanes_sum(own_b, lanes)
    if lane == 0 and row < rows:
        ab[row] = mixed
        aa[row] = own_a
        bb[row] = own_b


@references.pair_products.register(DeviceArray)
def pair_products(a: DeviceArray, b: DeviceArray) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
    """As the reference."""
    ab, aa, bb = (empty(a.shape[:-1], a.dtype, a.device) for _ in range(3))
    each_row(pair_sums_kernel, ab.size, a.shape[-1], ab, aa, bb, a.contiguous(), b.contiguous())
    return ab, aa, bb


@gpu_kernel(
    "real* da, real* db, const real* a, const real* b, const real* mixed, const real* own_a, "
    "const real* own_b, uint32 size, int32 n"
)
def pair_input_grads_kernel(da, db, a, b, mixed, own_a, own_b, size, n):
    i = cuda.grid(1)
    if i < n:
        row = uint32(i) // size
        da[i] = mixed[row] * b[i] + own_a[row] * a[i]
        db[i] = mixed[row] * a[i] + own_b[row] * b[i]


@references.pair_input_grads.register(DeviceArray)
def pair_input_grads(
    a: DeviceArray, b: DeviceArray, mixed: DeviceArray, own_a: DeviceArray, own_b: DeviceArray
) -> tuple[DeviceArray, DeviceArray]:
    """As the reference."""
    da, db = like(a), like(a)
    arrays = (x.contiguous() for x in (a, b, mixed, own_a, own_b))
    each(pair_input_grads_kernel, a.size, da, db, *arrays, a.shape[-1])
    return da, db
