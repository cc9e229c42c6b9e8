"""DeviceArray: an array in a device's memory that answers NumPy's own protocols.

Layers are written in plain NumPy. `np.exp(x)`, `x @ w.T` and `x.sum(axis=0)` ask the array itself what to
do (NEP 13 and NEP 18), so the same text runs here. What is a view in NumPy is a view here; all else is
computed by kernels: `elementwise`, `reductions` and `movement` hold them.

Nothing is copied to the host unasked: `np.asarray(x)` and arithmetic with host arrays raise. The only ways
back are `to_host(x)`, `x.item()`, `float(x)`, `int(x)`, `bool(x)` and `repr(x)`; they wait for the device.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import DTypeLike

from minidl.array import layout as views
from minidl.array.layout import Layout
from minidl.array.methods import Axis, Methods, room
from minidl.errors import BackendError, DTypeError

if TYPE_CHECKING:
    from minidl.array.device import Device
    from minidl.array.device_memory import Buffer

__all__ = ["DeviceArray", "empty"]

DTYPES = tuple(map(np.dtype, ("bool", "uint8", "int32", "int64", "float32", "float64")))
"""What kernels can read and write."""
KNOWN = frozenset(DTYPES)
MOST = 2**31 - 1
"""Kernels count in int32."""


class Flags(NamedTuple):
    """What NumPy's `flags` say that matters here."""

    c_contiguous: bool
    writeable: bool = True


class DeviceArray(Methods, np.lib.mixins.NDArrayOperatorsMixin):
    """A view of a device's memory: element (i, j, …) is at `offset + i·stride₀ + j·stride₁ + …`.

    Made by `minidl.to_device`, `empty`, and every operation on another one. Operators and NumPy's functions
    work as on an `ndarray`, with its result shapes and dtypes.

    Attributes:
        buffer: the memory, which a view shares with what it is a view of.
        device: whose memory it is.
        shape: as NumPy's.
        strides: of each dimension, in elements (NumPy counts bytes).
        offset: of the first element, in elements.
        dtype: bool, uint8, int32, int64, float32 or float64.
        size: number of elements.
    """

    __slots__ = ("buffer", "device", "dtype", "offset", "shape", "size", "strides")

    buffer: Buffer
    device: Device
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    dtype: np.dtype[Any]
    size: int

    def __init__(
        self,
        buffer: Buffer,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        offset: int,
        dtype: np.dtype[Any],
    ) -> None:
        self.buffer = buffer
        self.device = buffer.device
        self.shape = shape
        self.strides = strides
        self.offset = offset
        self.dtype = dtype
        self.size = math.prod(shape)

    # ---------------------------------------------------------------- what it is

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.dtype.itemsize

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    @property
    def layout(self) -> Layout:
        """Shape, strides and offset together."""
        return Layout(self.shape, self.strides, self.offset)

    @property
    def flags(self) -> Flags:
        """Whether the elements lie one after the other in C order."""
        dense = views.dense(self.shape)
        return Flags(
            self.strides == dense
            or self.size == 0
            or all(n == 1 or s == d for n, s, d in zip(self.shape, self.strides, dense, strict=True))
        )

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a DeviceArray without dimensions")
        return self.shape[0]

    def __iter__(self) -> Iterator[DeviceArray]:
        return (self[i] for i in range(len(self)))

    # ---------------------------------------------------------------- views

    def view_of(self, layout: Layout) -> DeviceArray:
        """Another view of the same memory."""
        return DeviceArray(self.buffer, *layout, self.dtype)

    @property
    def T(self) -> DeviceArray:  # noqa: N802
        """All dimensions in reverse."""
        return DeviceArray(self.buffer, self.shape[::-1], self.strides[::-1], self.offset, self.dtype)

    def transpose(self, *axes: Any) -> DeviceArray:
        """The dimensions in another order; reversed unless told."""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return self.view_of(views.permute(self.layout, order)) if order else self.T

    def swapaxes(self, axis1: int, axis2: int) -> DeviceArray:
        """Two dimensions exchanged."""
        order = list(range(self.ndim))
        order[axis1], order[axis2] = order[axis2], order[axis1]
        return self.transpose(order)

    def squeeze(self, axis: Axis = None) -> DeviceArray:
        """Without dimensions of size 1."""
        drop = (
            [i for i, n in enumerate(self.shape) if n == 1]
            if axis is None
            else views.axes_of(axis, self.ndim)
        )
        if any(self.shape[i] != 1 for i in drop):
            raise ValueError(f"squeeze: expected dimensions of size 1 at {axis}, got {self.shape}")
        return self[tuple(0 if i in drop else slice(None) for i in range(self.ndim))]

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> DeviceArray:
        """The same elements in another shape: a view where that is possible, else a copy."""
        if order != "C":
            raise BackendError(f"DeviceArray.reshape: expected order 'C', got {order!r}")
        sizes = shape[0] if len(shape) == 1 and not isinstance(shape[0], int | np.integer) else shape
        wanted = views.resolved(sizes, self.size)
        layout = views.reshape(self.layout, wanted)
        if layout is None or copy:
            return DeviceArray(self.copy().buffer, wanted, views.dense(wanted), 0, self.dtype)
        return self.view_of(layout)

    def ravel(self) -> DeviceArray:
        """All elements in one dimension: a view where that is possible."""
        return self.reshape(-1)

    def flatten(self) -> DeviceArray:
        """All elements in one dimension: a copy."""
        return self.copy().reshape(-1)

    def __getitem__(self, key: Any) -> DeviceArray:
        if isinstance(key, DeviceArray):
            return room("movement").take(self, key, axis=0)
        return self.view_of(views.index(self.layout, key))

    def __setitem__(self, key: Any, value: Any) -> None:
        if key is Ellipsis and value is self:  # what `x[...] += y` ends with
            return
        copy_into = room("elementwise").copy_into
        copy_into(self if key is Ellipsis else self.view_of(views.index(self.layout, key)), value)

    # ---------------------------------------------------------------- copies

    def copy(self, order: str = "C") -> DeviceArray:
        """A contiguous copy."""
        return self.astype(self.dtype)

    def astype(self, dtype: DTypeLike, copy: bool = True, **how: Any) -> DeviceArray:
        """A copy in another dtype; with `copy=False` the array itself where it has it already."""
        wanted = np.dtype(dtype)
        if not copy and wanted == self.dtype:
            return self
        made = empty(self.shape, wanted, self.device)
        room("elementwise").copy_into(made, self)
        return made

    def contiguous(self) -> DeviceArray:
        """Itself where its elements lie one after the other in C order, else a copy."""
        if self.strides == views.dense(self.shape):  # the usual case, made short
            return self
        return self if self.flags.c_contiguous else self.copy()

    def fill(self, value: Any) -> None:
        """Set every element."""
        self[...] = value

    # ---------------------------------------------------------------- to the host, waiting for the device

    def to_host(self) -> np.ndarray[Any, Any]:
        """A host array with the same values; waits until the device has computed them."""
        flat = np.empty(self.size, self.dtype)
        if self.size:
            dense = self.contiguous()
            self.device.copy_to_host(dense.buffer, dense.offset * dense.itemsize, flat)
        return flat.reshape(self.shape)

    def item(self) -> Any:
        """The only element, as a Python number."""
        if self.size != 1:
            raise ValueError(f"DeviceArray: expected one element to make a number of, got {self.shape}")
        return self.to_host().item()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"DeviceArray: expected integers as an index, got {self.dtype}")
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __repr__(self) -> str:
        values = np.array2string(self.to_host(), separator=", ", prefix="DeviceArray(")
        return f"DeviceArray({values}, dtype={self.dtype}, device={self.device.name!r})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __reduce__(self) -> tuple[Any, ...]:
        from minidl.array.transfer import to_device

        return to_device, (self.to_host(), self.device.name)

    def __deepcopy__(self, memo: Any) -> DeviceArray:
        return self.copy()

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise BackendError(
            f"DeviceArray {self.shape} on {self.device.name!r}: nothing is copied to the host unasked; "
            "use minidl.to_host(x)"
        )

    # ---------------------------------------------------------------- NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **how: Any) -> Any:
        return room("protocol").run_ufunc(ufunc, method, inputs, how)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return room("protocol").run_function(function, args, kwargs, self.device)


def empty(shape: tuple[int, ...], dtype: DTypeLike, device: Device) -> DeviceArray:
    """A contiguous array on a device, whose numbers are anything.

    Raises:
        DTypeError: a dtype that kernels do not have.
        ValueError: more elements than kernels can count.
    """
    kind = np.dtype(dtype)
    if kind not in KNOWN:
        names = ", ".join(known.name for known in DTYPES)
        raise DTypeError(f"DeviceArray: expected a dtype of {names}, got {kind}")
    size = math.prod(shape)
    if size > MOST:
        raise ValueError(f"DeviceArray: expected at most {MOST} elements, got {shape}")
    return DeviceArray(device.allocate(size * kind.itemsize), shape, views.dense(shape), 0, kind)
