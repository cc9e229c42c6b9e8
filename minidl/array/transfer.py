"""To a device and back: the only places where arrays cross, and always because somebody asked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from minidl.array.device import HOMES, Device, get_device
from minidl.array.device_array import DTYPES, DeviceArray, empty
from minidl.errors import DTypeError

__all__ = ["anywhere", "as_like", "convert", "copied", "destination", "place_of", "to_device", "to_host"]


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


def destination(target: DTypeLike | Device) -> np.dtype[Any] | Device | None:
    """What `model.to(target)` names: a dtype, a device, or None for the host's memory, `"cpu"`.

    Raises:
        BackendError: a device that is not there.
        TypeError: nothing of the three.
    """
    if isinstance(target, str) and target == "cpu":
        return None
    if isinstance(target, Device) or (isinstance(target, str) and target in HOMES):
        return get_device(target)
    return np.dtype(target)


def convert(x: Any, where: np.dtype[Any] | Device | None) -> Any:
    """An array in a dtype, on a device, or (None) on the host; itself where it is so already."""
    if isinstance(where, np.dtype):
        return x.astype(where, copy=False)
    if where is None:
        return x.to_host() if isinstance(x, DeviceArray) else x
    return to_device(x, where)


def as_like(x: Any, other: Any) -> Any:
    """An array where another is and in its dtype; itself where it is so already."""
    placed = convert(x, place_of(other))
    return placed if placed.dtype == other.dtype else placed.astype(other.dtype)


def place_of(x: Any) -> Device | None:
    """The device that an array is on; None for the host."""
    return x.device if isinstance(x, DeviceArray) else None


def copied(x: ArrayLike | DeviceArray) -> Any:
    """A copy of an array where it is; anything else as `np.array` takes it."""
    return x.copy() if isinstance(x, DeviceArray) else np.array(x)


def anywhere(mask: Any) -> bool:
    """Whether any element is true: one of the places that wait for a device.

    While a device records a step, nobody can wait: the answer is then False, and what is wrong shows in the
    numbers.
    """
    if isinstance(mask, DeviceArray) and mask.device.recording:
        return False
    return bool(mask.any())
