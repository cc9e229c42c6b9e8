"""minidl: a deep-learning engine that a person can read to the bottom."""

from minidl import errors, nn
from minidl.array import manual_seed

__version__ = "0.1.0"

__all__ = ["__version__", "errors", "manual_seed", "nn"]
