"""Room 1: what an array is, how it gets to a device and back, and where random numbers come from.

An array is NumPy's `ndarray` on the host, or a `DeviceArray`, which answers NumPy's own protocols, on a
device. No layer has to know which of the two it was given.
"""

from typing import Any, TypeAlias

from numpy.typing import NDArray

from minidl.array.device import Device, get_device
from minidl.array.device_array import DeviceArray
from minidl.array.memory import empty, zeros
from minidl.array.random import default_generator, get_rng_state, manual_seed, set_rng_state
from minidl.array.transfer import (
    anywhere,
    as_like,
    convert,
    copied,
    destination,
    place_of,
    to_device,
    to_host,
)

__all__ = [
    "Array",
    "Device",
    "DeviceArray",
    "anywhere",
    "as_like",
    "convert",
    "copied",
    "default_generator",
    "destination",
    "empty",
    "get_device",
    "get_rng_state",
    "manual_seed",
    "place_of",
    "set_rng_state",
    "to_device",
    "to_host",
    "zeros",
]

Array: TypeAlias = NDArray[Any]
"""An array of any shape; each signature's docstring says which."""
