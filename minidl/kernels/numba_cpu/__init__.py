"""The kernels again, compiled by Numba: same file names, same results. Importing this registers them."""

from minidl.kernels.numba_cpu import pooling

__all__ = ["pooling"]
