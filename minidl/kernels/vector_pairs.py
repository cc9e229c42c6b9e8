"""Products of vectors with one another and with themselves: what an angle is made of. The references."""

from __future__ import annotations

from minidl.array import Array
from minidl.kernels.registry import kernel

__all__ = ["pair_input_grads", "pair_products"]


@kernel
def pair_products(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """The sums `Σ a b`, `Σ a²` and `Σ b²` over the last dimension.

    Args:
        a: (…, D).
        b: of the same shape and dtype.

    Returns:
        Three arrays (…).
    """
    return (a * b).sum(axis=-1), (a * a).sum(axis=-1), (b * b).sum(axis=-1)


@kernel
def pair_input_grads(a: Array, b: Array, mixed: Array, own_a: Array, own_b: Array) -> tuple[Array, Array]:
    """What goes back through these products: `da = m b + o_a a` and `db = m a + o_b b`.

    Args:
        a: (…, D).
        b: of the same shape and dtype.
        mixed: m (…), the gradient of Σ a b.
        own_a: o_a (…), twice the gradient of Σ a².
        own_b: o_b (…), twice the gradient of Σ b².

    Returns:
        da and db, of a's shape.
    """
    m, o_a, o_b = mixed[..., None], own_a[..., None], own_b[..., None]  # (…, 1)
    return m * b + o_a * a, m * a + o_b * b
