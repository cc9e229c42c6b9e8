"""LeNet-5: the convolutional network that read cheques."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.array import Array
from minidl.nn import Conv2d, Flatten, Linear, MaxPool2d, Module, ReLU

__all__ = ["LeNet5"]


class LeNet5(Module):
    """LeNet-5 (LeCun, Bottou, Bengio & Haffner 1998, section II-B), as it is built today.

    | layer | output |
    |---|---|
    | conv1 5×5, padding 2, ReLU | (N, 6, 28, 28) |
    | max-pool 2×2 | (N, 6, 14, 14) |
    | conv2 5×5, ReLU | (N, 16, 10, 10) |
    | max-pool 2×2 | (N, 16, 5, 5) |
    | fc1, ReLU | (N, 120) |
    | fc2, ReLU | (N, 84) |
    | fc3 | (N, num_classes) |

    What differs from the paper: ReLU for its scaled tanh, max-pooling for its trained average, every
    filter of conv2 sees all six maps, and a linear layer gives the logits in place of distances to drawn
    letters. The padding of 2 stands for the paper's 32×32 images; images of that size get none.

    Shape:
        - input: (N, in_channels, image_size, image_size)
        - output: (N, num_classes), logits

    Args:
        num_classes: size of the output.
        in_channels: 1 for grey images, 3 for colour.
        image_size: 28, or 32.
        rng: where the initial values are drawn from.

    Raises:
        ValueError: another image_size.
        ShapeError: an input of another size.
    """

    num_classes: int
    in_channels: int
    image_size: int
    conv1: Conv2d
    conv2: Conv2d
    fc1: Linear
    fc2: Linear
    fc3: Linear

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: int = 28,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        if image_size not in (28, 32):
            raise ValueError(f"LeNet5: expected image_size 28 or 32, got {image_size}")
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.image_size = image_size
        self.conv1 = Conv2d(in_channels, 6, 5, padding=2 if image_size == 28 else 0, rng=rng)
        self.relu1 = ReLU()
        self.pool1 = MaxPool2d(2)
        self.conv2 = Conv2d(6, 16, 5, rng=rng)
        self.relu2 = ReLU()
        self.pool2 = MaxPool2d(2)
        self.flatten = Flatten()
        self.fc1 = Linear(16 * 5 * 5, 120, rng=rng)
        self.relu3 = ReLU()
        self.fc2 = Linear(120, 84, rng=rng)
        self.relu4 = ReLU()
        self.fc3 = Linear(84, num_classes, rng=rng)

    def forward(self, x: Array) -> Array:
        self.check_input(x, "N", self.in_channels, self.image_size, self.image_size)
        x = self.pool1(self.relu1(self.conv1(x)))  # (N, 6, 14, 14)
        x = self.pool2(self.relu2(self.conv2(x)))  # (N, 16, 5, 5)
        x = self.flatten(x)  # (N, 400)
        x = self.relu3(self.fc1(x))  # (N, 120)
        x = self.relu4(self.fc2(x))  # (N, 84)
        return self.fc3(x)  # (N, num_classes)

    def backward(self, dy: Any) -> Any:
        # forward, line by line, from the last to the first
        dy = self.fc3.backward(dy)  # (N, 84)
        dy = self.fc2.backward(self.relu4.backward(dy))  # (N, 120)
        dy = self.fc1.backward(self.relu3.backward(dy))  # (N, 400)
        dy = self.flatten.backward(dy)  # (N, 16, 5, 5)
        dy = self.conv2.backward(self.relu2.backward(self.pool2.backward(dy)))  # (N, 6, 14, 14)
        return self.conv1.backward(self.relu1.backward(self.pool1.backward(dy)))  # (N, in_channels, 28, 28)

    def _data_layer(self) -> Module:
        return self.conv1

    def extra_repr(self) -> str:
        return f"num_classes={self.num_classes}, in_channels={self.in_channels}, image_size={self.image_size}"
