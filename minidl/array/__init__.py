"""Room 1: what an array is, and where random numbers come from.

Today an array is NumPy's `ndarray` on the host. A device's array will be a second type that answers
NumPy's own protocols, so that no layer has to know which of the two it was given.
"""

from typing import Any, TypeAlias

from numpy.typing import NDArray

from minidl.array.memory import empty, zeros
from minidl.array.random import default_generator, get_rng_state, manual_seed, set_rng_state

__all__ = ["Array", "default_generator", "empty", "get_rng_state", "manual_seed", "set_rng_state", "zeros"]

Array: TypeAlias = NDArray[Any]
"""An array of any shape; each signature's docstring says which."""
