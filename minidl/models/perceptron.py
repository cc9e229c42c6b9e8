"""The perceptron: one layer of weights, and the first machine that learnt to see."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.array import Array
from minidl.nn import Flatten, Linear, Module

__all__ = ["Perceptron"]


class Perceptron(Module):
    """One linear layer on the numbers of the input (Rosenblatt 1958).

    | layer | output |
    |---|---|
    | flatten | (N, in_features) |
    | fc | (N, out_features) |

    A unit of Rosenblatt's fires where `w·x + b` is above 0; a step has no slope, so what is given here are
    the sums before it: train them by any loss, and fire where they are above 0 (or take the largest for
    the class). What a line cannot part, such as XOR, it cannot learn (Minsky & Papert 1969).

    Shape:
        - input: (N, …) with in_features numbers each, such as (N, 1, 28, 28)
        - output: (N, out_features), logits

    Args:
        in_features: numbers of one input.
        out_features: size of the output, such as the number of classes.
        rng: where the initial values are drawn from.

    Raises:
        ShapeError: an input of another size.
    """

    in_features: int
    out_features: int
    fc: Linear

    def __init__(
        self, in_features: int = 784, out_features: int = 10, *, rng: np.random.Generator | None = None
    ) -> None:
        self.in_features = in_features
        self.out_features = out_features
        self.flatten = Flatten()
        self.fc = Linear(in_features, out_features, rng=rng)

    def forward(self, x: Array) -> Array:
        return self.fc(self.flatten(x))

    def backward(self, dy: Any) -> Any:
        dy = self.fc.backward(dy)
        if dy is None:  # fc met the data: `no_input_grad`
            self.flatten.forget()
            return None
        return self.flatten.backward(dy)

    def _data_layer(self) -> Module:
        return self.fc

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"
