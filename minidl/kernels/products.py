"""Matrix products: the readable references. Nearly all the arithmetic of a network is one of these."""

from __future__ import annotations

from minidl.array import Array
from minidl.kernels.registry import kernel

__all__ = ["linear", "matmul"]


@kernel
def matmul(a: Array, b: Array) -> Array:
    """The product of two matrices: `c[i,j] = Σ_k a[i,k] · b[k,j]`.

    Args:
        a: (M, K), in any memory layout: a transposed view costs no copy.
        b: (K, N), likewise, of a's dtype.

    Returns:
        (M, N).
    """
    return a @ b


@kernel
def linear(x: Array, weight: Array, bias: Array | None) -> Array:
    """Every output is a weighted sum of every input: `y = x Wᵀ + b`.

    Args:
        x: (N, in).
        weight: (out, in).
        bias: (out,) or None.

    Returns:
        (N, out).
    """
    y = x @ weight.T
    return y if bias is None else y + bias
