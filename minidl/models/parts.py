"""What several networks share: which images they take, and where their convolutions start."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.array import Array
from minidl.errors import ShapeError
from minidl.nn import Conv2d, Linear, Module, init

__all__ = ["check_images", "init_convolutions", "init_linear", "layer_name", "scaled"]


def check_images(network: Module, x: Array, channels: int, least: int = 1) -> None:
    """Refuse what is no batch of images with these channels, of at least `least` × `least` pixels.

    Raises:
        ShapeError: it names the network, what it takes, and what it was given.
        DTypeError: the input is no array of float32 or float64.
    """
    network.check_input(x, "N", channels, "H", "W")
    if min(x.shape[2:]) < least:
        name = network.label()
        raise ShapeError(f"{name}: expected images of at least {least}×{least} pixels, got {x.shape}")


def init_convolutions(network: Module, rng: np.random.Generator | None = None) -> None:
    """Start all convolutions from a normal distribution of variance 2 / fan_out, their biases at 0.

    So that the gradient keeps its size through many layers of ReLU (He et al. 2015, "Delving deep into
    rectifiers", eq. 14).
    """
    for layer in network.modules():
        if isinstance(layer, Conv2d):
            init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", rng=rng)
            if layer.bias is not None:
                init.zeros_(layer.bias)


def init_linear(network: Module, rng: np.random.Generator | None = None) -> None:
    """Start all linear layers from a normal distribution of standard deviation 0.01, their biases at 0."""
    for layer in network.modules():
        if isinstance(layer, Linear):
            init.normal_(layer.weight, 0.0, 0.01, rng=rng)
            if layer.bias is not None:
                init.zeros_(layer.bias)


def scaled(channels: int, width_mult: float) -> int:
    """That many channels, times `width_mult`: at least one."""
    return max(1, round(channels * width_mult))


def layer_name(make: Any) -> str:
    """What `repr` calls a class or function that makes layers."""
    return getattr(make, "__name__", str(make))
