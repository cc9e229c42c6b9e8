"""The networks of the benchmark, each written once, for both sides.

Every function takes the namespace `nn` to build from: `minidl.nn` or `torch.nn`. The names are the same
in both, and so are the parameters' names and shapes; `cases.weights` fills them with the same numbers.
"""

from __future__ import annotations

from typing import Any

__all__ = ["cnn", "lenet5", "mlp", "vgg_small"]


def mlp(nn: Any) -> Any:
    """784 → 128 → 10 with a ReLU, of images laid flat: (N, 784) → (N, 10)."""
    return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


def lenet5(nn: Any) -> Any:
    """LeNet-5 as `minidl.models.LeNet5` builds it: (N, 1, 28, 28) → (N, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),  # (N, 6, 28, 28)
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 6, 14, 14)
        nn.Conv2d(6, 16, 5),  # (N, 16, 10, 10)
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 16, 5, 5)
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def cnn(nn: Any) -> Any:
    """Two 3×3 convolutions of 32 and 64 channels, each with a pool: (N, 1, 28, 28) → (N, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),  # (N, 32, 28, 28)
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 32, 14, 14)
        nn.Conv2d(32, 64, 3, padding=1),  # (N, 64, 14, 14)
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 64, 7, 7)
        nn.Flatten(),
        nn.Linear(3136, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def vgg_small(nn: Any) -> Any:
    """Four 3×3 convolutions with batch norm, 64-64-pool-128-128-pool: (N, 3, 32, 32) → (N, 10)."""
    layers: list[Any] = []
    for inputs, outputs, pool in ((3, 64, False), (64, 64, True), (64, 128, False), (128, 128, True)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] * pool  # it has no state, and comes once per list
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 8 * 8, 10))
