"""Moving elements about on a device: gather by index, join, cut, pad and flip."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from minidl.array import layout as views
from minidl.array.device_array import DeviceArray, empty
from minidl.array.elementwise import launch_size
from minidl.array.gpu import GpuKernel, kernel_from_source
from minidl.errors import BackendError, DTypeError

__all__ = ["concatenate", "flip", "moveaxis", "pad", "split", "stack", "take", "take_along_axis"]


def concatenate(arrays: Sequence[DeviceArray], axis: int | None = 0, dtype: Any = None) -> DeviceArray:
    """Arrays one after the other along an axis."""
    parts = [x.ravel() for x in arrays] if axis is None else list(arrays)
    _check_arrays("concatenate", parts)
    first = parts[0]
    along = normalize_axis_index(0 if axis is None else axis, first.ndim)
    for x in parts[1:]:
        if x.shape[:along] + x.shape[along + 1 :] != first.shape[:along] + first.shape[along + 1 :]:
            raise ValueError(
                f"concatenate: expected shapes like {first.shape} but for axis {along}, got {x.shape}"
            )
    total = sum(x.shape[along] for x in parts)
    kind = np.result_type(*(x.dtype for x in parts)) if dtype is None else np.dtype(dtype)
    made = empty((*first.shape[:along], total, *first.shape[along + 1 :]), kind, first.device)
    start = 0
    for x in parts:
        _along(made, along, slice(start, start + x.shape[along]))[...] = x
        start += x.shape[along]
    return made


def stack(arrays: Sequence[DeviceArray], axis: int = 0) -> DeviceArray:
    """Arrays of one shape along a new axis."""
    parts = list(arrays)
    _check_arrays("stack", parts)
    where = normalize_axis_index(axis, parts[0].ndim + 1)
    return concatenate([x[(slice(None),) * where + (None,)] for x in parts], where)


def split(
    x: DeviceArray, sections: int | Sequence[int], axis: int = 0, even: bool = True
) -> list[DeviceArray]:
    """Views of consecutive parts: so many, or cut before these indices.

    Raises:
        ValueError: with `even`, the axis cannot be cut into so many equal parts.
    """
    along = normalize_axis_index(axis, x.ndim)
    size = x.shape[along]
    if isinstance(sections, int | np.integer):
        if even and size % sections:
            raise ValueError(f"split: expected a size that {sections} divides, got {size} of {x.shape}")
        long, count = size % sections, size // sections
        cuts = [i * count + min(i, long) for i in range(int(sections) + 1)]
    else:
        cuts = [0, *map(int, sections), size]
    return [_along(x, along, slice(a, b)) for a, b in itertools.pairwise(cuts)]


def flip(x: DeviceArray, axis: int | Sequence[int] | None = None) -> DeviceArray:
    """A view with dimensions back to front."""
    axes = views.axes_of(axis, x.ndim)
    return x[tuple(slice(None, None, -1) if i in axes else slice(None) for i in range(x.ndim))]


def moveaxis(x: DeviceArray, source: Any, destination: Any) -> DeviceArray:
    """A view with some dimensions at other places, the rest in their order."""
    sources, places = (
        [normalize_axis_index(a, x.ndim) for a in (axes if isinstance(axes, tuple | list) else (axes,))]
        for axes in (source, destination)
    )
    order = [i for i in range(x.ndim) if i not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return x.transpose(order)


def pad(x: DeviceArray, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> DeviceArray:
    """A constant around the elements: `pad_width` as NumPy takes it."""
    if mode != "constant":
        raise BackendError(f"np.pad: expected mode 'constant' on a device, got {mode!r}")
    widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    made = empty(
        tuple(n + before + after for n, (before, after) in zip(x.shape, widths, strict=True)),
        x.dtype,
        x.device,
    )
    made.fill(constant_values)
    made[tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, widths, strict=True))] = x
    return made


def take(x: DeviceArray, indices: Any, axis: int | None = None) -> DeviceArray:
    """Elements along an axis by index, negative ones from the end.

    A device cannot refuse an index without making the host wait, so one that is outside gives NaN (0 in
    integers) where NumPy raises.
    """
    if isinstance(indices, int | np.integer) and axis is not None:
        return _along(x, normalize_axis_index(axis, x.ndim), indices).copy()
    _check_indices("take", indices)
    source = x.ravel() if axis is None else x
    along = normalize_axis_index(0 if axis is None else axis, source.ndim)
    size, inner = source.shape[along], math.prod(source.shape[along + 1 :])
    made = empty((*source.shape[:along], *indices.shape, *source.shape[along + 1 :]), x.dtype, x.device)
    _gather(made, source, indices, (indices.size, size, inner), "j")
    return made


def take_along_axis(x: DeviceArray, indices: DeviceArray, axis: int | None = -1) -> DeviceArray:
    """For each place of `indices`, the element along the axis that it names; indices as in `take`."""
    _check_indices("take_along_axis", indices)
    source = x.ravel() if axis is None else x
    along = normalize_axis_index(0 if axis is None else axis, source.ndim)
    rest = [n for i, n in enumerate(source.shape) if i != along]
    wanted = (*rest[:along], indices.shape[along], *rest[along:])
    chosen = indices.view_of(views.broadcast(indices.layout, wanted))
    made = empty(wanted, x.dtype, x.device)
    _gather(made, source, chosen, (wanted[along], source.shape[along], math.prod(wanted[along + 1 :])), "i")
    return made


def _gather(
    y: DeviceArray, x: DeviceArray, indices: DeviceArray, sizes: tuple[int, int, int], place: str
) -> None:
    if y.size:
        kernel = _gather_kernel(x.dtype, indices.dtype, place)
        kernel(*launch_size(y.size), y, x.contiguous(), indices.contiguous(), y.size, *sizes)


@functools.cache
def _gather_kernel(dtype: np.dtype[Any], index_dtype: np.dtype[Any], place: str) -> GpuKernel:
    """From x (outer, size, inner) to y (outer, count, inner).

    `place` is where an element's index is: "j", one for each of `count` rows, or "i", one for each element.
    """
    nothing = (
        f"{dtype.name}(math.nan)" if dtype.kind == "f" else "bool_(0)" if dtype == np.bool else f"{dtype}(0)"
    )
    source = f"""
def gather(y, x, indices, n, count, size, inner):
    i = cuda.grid(1)
    if i < n:
        row, k = i // inner, i % inner
        outer, j = row // count, row % count
        index = indices[{place}]
        if index < 0:
            index += size
        y[i] = x[(outer * size + index) * inner + k] if 0 <= index < size else {nothing}
"""
    return kernel_from_source(
        source,
        f"{dtype}* y, const {dtype}* x, const {index_dtype}* indices, "
        "int32 n, int32 count, int32 size, int32 inner",
    )


def _along(x: DeviceArray, axis: int, item: Any) -> DeviceArray:
    return x[(*(slice(None),) * axis, item)]


def _check_arrays(who: str, arrays: Sequence[Any]) -> None:
    if not arrays:
        raise ValueError(f"{who}: expected at least one array, got none")
    for x in arrays:
        if not isinstance(x, DeviceArray):
            raise BackendError(
                f"np.{who}: expected arrays on one device, got {type(x).__name__} among them; "
                "use minidl.to_device(x)"
            )


def _check_indices(who: str, indices: Any) -> None:
    if not isinstance(indices, DeviceArray):
        raise BackendError(
            f"np.{who}: expected indices on the device, got {type(indices).__name__}; use minidl.to_device(x)"
        )
    if indices.dtype.kind not in "iu":
        raise DTypeError(f"np.{who}: expected indices of an integer dtype, got {indices.dtype}")
