"""Activations that are curves: the readable references.

Each gives `y = f(x)` and the slope f'(x) at once, for both are made of the same exponential. The gradient is
then one product, `slope_input_grad`. Only hardswish's slope is cheaper to work out on the way back than
to write down and to read.
"""

from __future__ import annotations

import math

import numpy as np

from minidl.array import Array
from minidl.kernels.activation import erf, sigmoid, tanh
from minidl.kernels.registry import kernel

__all__ = [
    "elu",
    "gelu",
    "hardswish",
    "hardswish_input_grad",
    "log_sigmoid",
    "mish",
    "silu",
    "slope_input_grad",
    "softplus",
    "softsign",
    "tanhshrink",
]


@kernel
def slope_input_grad(dy: Array, slope: Array) -> Array:
    """`dx = dy f'(x)`.

    Args:
        dy: of any shape.
        slope: f'(x), of the same shape.

    Returns:
        dx, of the same shape.
    """
    return dy * slope


@kernel
def gelu(x: Array, by_tanh: bool) -> tuple[Array, Array]:
    """`y = x Φ(x)`, where Φ(x) = ½ (1 + erf(x/√2)) is the share of a normal distribution below x.

    By tanh, `Φ(x) ≈ ½ (1 + tanh u)` and `u = √(2/π) (x + 0.044715 x³)`.

    Args:
        x: of any shape.
        by_tanh: whether to take the approximation.

    Returns:
        y and its slope `Φ + x Φ'`, of x's shape.
    """
    if by_tanh:
        t, _ = tanh.reference(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))
        share = 0.5 * (1 + t)
        # Φ' = ½ (1 − t²) u'    u' = √(2/π) (1 + 3 · 0.044715 x²)
        density = 0.5 * (1 - t * t) * (math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x))
    else:
        share = 0.5 * (1 + erf.reference(x * math.sqrt(0.5)))
        density = math.sqrt(0.5 / math.pi) * np.exp(-0.5 * x * x)  # Φ' = e^(−x²/2) / √(2π)
    return x * share, share + x * density


@kernel
def silu(x: Array) -> tuple[Array, Array]:
    """`y = x σ(x)`.

    Args:
        x: of any shape.

    Returns:
        y and its slope `σ (1 + x (1 − σ))`, of x's shape.
    """
    s, _ = sigmoid.reference(x)
    return x * s, s * (1 + x * (1 - s))


@kernel
def mish(x: Array) -> tuple[Array, Array]:
    """`y = x t`, where `t = tanh(log(1 + eˣ))`.

    Args:
        x: of any shape.

    Returns:
        y and its slope `t + x (1 − t²) σ(x)`, of x's shape: the softplus has the slope σ.
    """
    t = np.tanh(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))
    s, _ = sigmoid.reference(x)
    return x * t, t + x * (1 - t * t) * s


@kernel
def elu(x: Array, alpha: float, scale: float, rate: float) -> tuple[Array, Array]:
    """`y = s x` where x > 0, else `y = s α (e^(r x) − 1)`.

    Args:
        x: of any shape.
        alpha: α; far to the left y is −s α.
        scale: s.
        rate: r, how fast y comes to that.

    Returns:
        y and its slope, s or `s α r e^(r x)`, of x's shape.
    """
    left = rate * np.minimum(x, 0)  # e to a large x must not overflow
    y = np.where(x > 0, scale * x, scale * alpha * np.expm1(left))
    return y, np.where(x > 0, scale, scale * alpha * rate * np.exp(left))


@kernel
def softplus(x: Array, beta: float, threshold: float) -> tuple[Array, Array]:
    """`y = log(1 + e^(βx)) / β`, as `max(βx, 0) + log(1 + e^(−|βx|))` over β; x itself where βx is large.

    Args:
        x: of any shape.
        beta: β, not 0.
        threshold: above this βx, y = x.

    Returns:
        y and its slope, σ(βx) or 1, of x's shape.
    """
    z = beta * x
    linear = z > threshold
    s, _ = sigmoid.reference(z)
    y = np.where(linear, x, (np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))) / beta)
    return y, np.where(linear, 1, s)


@kernel
def log_sigmoid(x: Array) -> tuple[Array, Array]:
    """`y = log σ(x) = min(x, 0) − log(1 + e^(−|x|))`.

    Args:
        x: of any shape.

    Returns:
        y and its slope `1 − σ(x) = σ(−x)`, of x's shape.
    """
    s, _ = sigmoid.reference(-x)
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))), s


@kernel
def softsign(x: Array) -> tuple[Array, Array]:
    """`y = x / (1 + |x|)`.

    Args:
        x: of any shape.

    Returns:
        y and its slope `1 / (1 + |x|)²`, of x's shape.
    """
    scale = 1 + np.abs(x)
    return x / scale, 1 / scale / scale  # a square could overflow


@kernel
def tanhshrink(x: Array) -> tuple[Array, Array]:
    """`y = x − tanh x`.

    Args:
        x: of any shape.

    Returns:
        y and its slope `tanh² x`, of x's shape.
    """
    t = np.tanh(x)
    return x - t, t * t


@kernel
def hardswish(x: Array) -> Array:
    """`y = x min(max(x + 3, 0), 6) / 6`.

    Args:
        x: of any shape.

    Returns:
        y, of x's shape.
    """
    return x * np.clip(x + 3, 0, 6) / 6


@kernel
def hardswish_input_grad(dy: Array, x: Array) -> Array:
    """`dx = s dy`, where the slope s is 0 for x ≤ −3, 1 for x ≥ 3, else `(2x + 3) / 6`.

    Args:
        dy: of any shape.
        x: the input, of the same shape.

    Returns:
        dx, of the same shape.
    """
    return dy * np.where(x <= -3, 0, np.where(x >= 3, 1, (2 * x + 3) / 6))
