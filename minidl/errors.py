"""Every error that minidl raises on purpose, so that callers can catch one family.

```
MinidlError
├── ShapeError        (ValueError)       an array of the wrong rank or size
├── DTypeError        (TypeError)        an array of the wrong dtype, or no array at all
├── BackwardError     (RuntimeError)     backward() without a forward() to go back through
├── StateDictError    (ValueError)       keys or shapes that do not fit the module or the optimizer
├── BackendError      (RuntimeError)     an implementation that is not there
├── KernelError       (RuntimeError)     a GPU kernel that does what no GPU promises to bear
├── DataError         (ValueError)       a data file that is missing, damaged or lies about itself
├── WorkerError       (RuntimeError)     a process that makes batches raised, died or took too long
├── CheckpointError   (ValueError)       a checkpoint or a run folder that cannot be read
└── NonFiniteError    (ArithmeticError)  a loss that became NaN or infinite
```

Each also is the built-in error that a caller would expect, so `except ValueError` works too.
A message names who complains, what was expected and what was given.
"""

__all__ = [
    "BackendError",
    "BackwardError",
    "CheckpointError",
    "DTypeError",
    "DataError",
    "KernelError",
    "MinidlError",
    "NonFiniteError",
    "ShapeError",
    "StateDictError",
    "WorkerError",
]


class MinidlError(Exception):
    """The root: everything that minidl raises on purpose."""


class ShapeError(MinidlError, ValueError):
    """An array of the wrong rank or size."""


class DTypeError(MinidlError, TypeError):
    """An array of the wrong dtype, or something that is no array."""


class BackwardError(MinidlError, RuntimeError):
    """`backward` was called without a `forward` to go back through."""


class StateDictError(MinidlError, ValueError):
    """A state dict whose keys or shapes do not fit."""


class BackendError(MinidlError, RuntimeError):
    """An implementation was asked for that is not there."""


class KernelError(MinidlError, RuntimeError):
    """A GPU kernel that does what no GPU promises to bear: the simulator names where."""


class DataError(MinidlError, ValueError):
    """A data file that is missing, damaged, or lies about its own size."""


class WorkerError(MinidlError, RuntimeError):
    """A process that makes batches raised, died, or took too long."""


class CheckpointError(MinidlError, ValueError):
    """A checkpoint or a run folder that cannot be read."""


class NonFiniteError(MinidlError, ArithmeticError):
    """A loss that became NaN or infinite."""
