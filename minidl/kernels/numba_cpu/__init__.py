"""Twins of hot kernels, compiled by Numba, under the same file names. Importing this registers them."""

from minidl.kernels.numba_cpu import conv, pooling, products, sums

__all__ = ["conv", "pooling", "products", "sums"]
