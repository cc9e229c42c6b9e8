"""Twins of hot kernels for a GPU, under the same file names. Importing them compiles nothing."""

from minidl.kernels.cuda import (
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
