"""Twins of hot kernels, compiled by Numba, under the same file names. Importing this registers them."""

from minidl.kernels.numba_cpu import (
    activation,
    adaptive_maxima,
    averages,
    conv,
    curves,
    embedding,
    gates,
    groups,
    lines,
    loss,
    normalization,
    optim,
    pooling,
    probabilities,
    products,
    sums,
)

__all__ = [
    "activation",
    "adaptive_maxima",
    "averages",
    "conv",
    "curves",
    "embedding",
    "gates",
    "groups",
    "lines",
    "loss",
    "normalization",
    "optim",
    "pooling",
    "probabilities",
    "products",
    "sums",
]
