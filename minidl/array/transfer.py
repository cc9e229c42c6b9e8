"""To a device and back: the only places where arrays cross, and always because somebody asked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minidl.array.device import Device, get_device
from minidl.array.device_array import DTYPES, DeviceArray, empty
from minidl.errors import DTypeError

__all__ = ["as_like", "place_of", "put", "to_device", "to_host"]


def to_device(x: ArrayLike | DeviceArray, device: str | Device = "cuda") -> Any:
    """An array with these values in a device's memory.

    ```python
    x = minidl.to_device(images)            # on the GPU
    x = minidl.to_device(images, "sim")     # on the simulated one, which every machine has
    ```

    Args:
        x: a host array, or what `np.asarray` takes; what is on this device already comes back itself.
        device: `"cuda"`, `"sim"`, or a device.

    Returns:
        A `DeviceArray`, contiguous.

    Raises:
        BackendError: there is no such device here.
        DTypeError: a dtype that kernels do not have: other than bool, uint8, int32, int64, float32, float64.
    """
    place = get_device(device)
    if isinstance(x, DeviceArray):
        if x.device is place:
            return x
        x = x.to_host()
    values = np.asarray(x)
    if values.dtype not in DTYPES:
        names = ", ".join(dtype.name for dtype in DTYPES)
        raise DTypeError(f"to_device: expected an array of {names}, got {values.dtype}")
    made = empty(values.shape, values.dtype, place)
    if values.size:
        place.copy_from_host(made.buffer, 0, np.ascontiguousarray(values))
    return made


def to_host(x: ArrayLike | DeviceArray) -> NDArray[Any]:
    """A host array with these values; a host array comes back itself.

    It waits until the device has computed them.

    Args:
        x: an array anywhere, or what `np.asarray` takes.
    """
    return x.to_host() if isinstance(x, DeviceArray) else np.asarray(x)


def place_of(x: Any) -> str | Device:
    """Where an array is: its device, or `"cpu"`."""
    return x.device if isinstance(x, DeviceArray) else "cpu"


def put(x: Any, place: str | Device) -> Any:
    """An array at a place, `"cpu"` or a device; itself where it is there already."""
    return to_host(x) if place == "cpu" else to_device(x, place)


def as_like(x: Any, other: Any) -> Any:
    """An array where another is, in the other's dtype; itself where it is both already."""
    return put(x, place_of(other)).astype(other.dtype, copy=False)
