"""minidl: a deep-learning engine that a person can read to the bottom.

Its rooms (`minidl.nn`, `minidl.optim`, …) are imported when they are first used, so that `import minidl`
stays quick.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from minidl import errors, kernels
from minidl.array import manual_seed, to_device, to_host
from minidl.kernels.registry import get_backend, use_backend
from minidl.kernels.threads import get_num_threads, set_num_threads

__version__ = "0.1.0"

_ROOMS = ("data", "metrics", "models", "nn", "optim", "testing", "train")

__all__ = [
    "__version__",
    "cuda",
    "data",
    "errors",
    "get_backend",
    "get_num_threads",
    "kernels",
    "manual_seed",
    "metrics",
    "models",
    "nn",
    "optim",
    "set_num_threads",
    "testing",
    "to_device",
    "to_host",
    "train",
    "use_backend",
]


def __getattr__(name: str) -> ModuleType:
    if name in _ROOMS:
        return importlib.import_module(f"minidl.{name}")
    if name == "cuda":
        return importlib.import_module("minidl.array.cuda")
    raise AttributeError(f"module 'minidl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
