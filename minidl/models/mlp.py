"""The multilayer perceptron: linear layers with a bend between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minidl.array import Array
from minidl.nn import Dropout, Flatten, Linear, Module, ReLU, Sequential

__all__ = ["MLP"]


class MLP(Module):
    """Flatten, then linear layers with ReLU (and dropout) between them (Rumelhart et al. 1986).

    `MLP(784, (128,), 10)` is 784 → 128 → 10: the network of the chapter "Train MNIST".

    Shape:
        - input: (N, …) with in_features numbers each, such as (N, 1, 28, 28)
        - output: (N, out_features), logits

    Args:
        in_features: numbers of one input.
        hidden: sizes of the hidden layers; one number for one layer.
        out_features: size of the output, such as the number of classes.
        dropout: probability of dropping each hidden number in training; 0 leaves dropout out.
        rng: where the initial values and the dropped numbers are drawn from.

    Raises:
        ShapeError: an input of another size.
    """

    in_features: int
    hidden: tuple[int, ...]
    out_features: int
    dropout: float
    layers: Sequential

    def __init__(
        self,
        in_features: int = 784,
        hidden: int | Sequence[int] = (128,),
        out_features: int = 10,
        dropout: float = 0.0,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.in_features = in_features
        self.hidden = (hidden,) if isinstance(hidden, int) else tuple(hidden)
        self.out_features = out_features
        self.dropout = dropout
        self.layers = Sequential(Flatten())
        width = in_features
        for size in self.hidden:
            self.layers.append(Linear(width, size, rng=rng)).append(ReLU())
            if dropout:
                self.layers.append(Dropout(dropout, rng=rng))
            width = size
        self.layers.append(Linear(width, out_features, rng=rng))

    def forward(self, x: Array) -> Array:
        return self.layers(x)

    def backward(self, dy: Array) -> Array:
        return self.layers.backward(dy)

    def _data_layer(self) -> Module | None:
        return self.layers._data_layer()

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, hidden={self.hidden}, out_features={self.out_features}, "
            f"dropout={self.dropout}"
        )
