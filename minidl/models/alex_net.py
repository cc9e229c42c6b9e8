"""AlexNet: the network that won ImageNet by a wide margin and began the present."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.array import Array
from minidl.models.parts import check_images, scaled
from minidl.nn import AdaptiveAvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential

__all__ = ["AlexNet", "alexnet"]


class AlexNet(Module):
    """AlexNet (Krizhevsky, Sutskever & Hinton 2012; Krizhevsky 2014), as torchvision builds it.

    | layer | output for 224×224 |
    |---|---|
    | features: conv 11×11, stride 4, ReLU, max-pool 3×3 | (N, 64, 27, 27) |
    | features: conv 5×5, ReLU, max-pool 3×3 | (N, 192, 13, 13) |
    | features: conv 3×3, ReLU | (N, 384, 13, 13) |
    | features: conv 3×3, ReLU, twice, max-pool 3×3 | (N, 256, 6, 6) |
    | means over a grid of 6×6 | (N, 256, 6, 6) |
    | classifier: dropout, Linear, ReLU, twice | (N, 4096) |
    | classifier: Linear | (N, num_classes) |

    The network of 2012 stood on two GPUs, with 96 filters in the first layer and a normalisation across
    channels; this is the one of 2014 ("One weird trick", section 5) on one. Names and shapes of the
    parameters are torchvision's.

    Shape:
        - input: (N, in_channels, H, W), at least 63×63
        - output: (N, num_classes), logits

    Args:
        num_classes: size of the output.
        dropout: probability of dropping a number before each hidden layer.
        in_channels: 3 for colour, 1 for grey images.
        width_mult: all channels and hidden sizes times this.
        rng: where the initial values and the dropped numbers are drawn from.

    Raises:
        ShapeError: an input of other channels or rank, or smaller than 63×63.
    """

    features: Sequential
    classifier: Sequential

    def __init__(
        self,
        num_classes: int = 1000,
        dropout: float = 0.5,
        *,
        in_channels: int = 3,
        width_mult: float = 1.0,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.num_classes = num_classes
        self.dropout = dropout
        self.in_channels = in_channels
        self.width_mult = width_mult
        a, b, c, d, hidden = (scaled(width, width_mult) for width in (64, 192, 384, 256, 4096))
        self.features = Sequential(
            Conv2d(in_channels, a, 11, stride=4, padding=2, rng=rng),
            ReLU(),
            MaxPool2d(3, stride=2),
            Conv2d(a, b, 5, padding=2, rng=rng),
            ReLU(),
            MaxPool2d(3, stride=2),
            Conv2d(b, c, 3, padding=1, rng=rng),
            ReLU(),
            Conv2d(c, d, 3, padding=1, rng=rng),
            ReLU(),
            Conv2d(d, d, 3, padding=1, rng=rng),
            ReLU(),
            MaxPool2d(3, stride=2),
        )
        self.avgpool = AdaptiveAvgPool2d(6)
        self.flatten = Flatten()
        self.classifier = Sequential(
            Dropout(dropout, rng=rng),
            Linear(d * 6 * 6, hidden, rng=rng),
            ReLU(),
            Dropout(dropout, rng=rng),
            Linear(hidden, hidden, rng=rng),
            ReLU(),
            Linear(hidden, num_classes, rng=rng),
        )

    def forward(self, x: Array) -> Array:
        check_images(self, x, self.in_channels, 63)
        x = self.avgpool(self.features(x))  # (N, 256, 6, 6)
        x = self.flatten(x)  # (N, 9216)
        return self.classifier(x)  # (N, num_classes)

    def backward(self, dy: Any) -> Any:
        # forward, line by line, from the last to the first
        dy = self.flatten.backward(self.classifier.backward(dy))  # (N, 256, 6, 6)
        return self.features.backward(self.avgpool.backward(dy))  # (N, in_channels, H, W)

    def _data_layer(self) -> Module | None:
        return self.features._data_layer()

    def extra_repr(self) -> str:
        return (
            f"num_classes={self.num_classes}, dropout={self.dropout}, in_channels={self.in_channels}, "
            f"width_mult={self.width_mult}"
        )


def alexnet(**options: Any) -> AlexNet:
    """AlexNet: 61.1 M parameters. Options are those of `AlexNet`."""
    return AlexNet(**options)
