"""Twins of hot kernels for a GPU, under the same file names. Importing them compiles nothing."""

from minidl.kernels.cuda import (
    activation,
    averages,
    conv,
    curves,
    embedding,
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
    "averages",
    "conv",
    "curves",
    "embedding",
    "lines",
    "loss",
    "normalization",
    "optim",
    "pooling",
    "probabilities",
    "products",
    "sums",
]
