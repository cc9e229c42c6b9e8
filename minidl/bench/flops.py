"""How much arithmetic a step needs: the one place where it is counted.

One addition, multiplication, comparison, division, root or exponential counts 1, so a product's
multiply-add counts 2. What is counted is what the mathematics needs, not what an implementation does:

| layer | forward | backward |
|---|---|---|
| Linear, Conv | 2 per multiply-add, 1 per output for b | dW, dx 2 per multiply-add each, db 1 per output |
| MaxPool | k² − 1 comparisons per output | 1 per output |
| AvgPool | k² per output (its window's sum and a division) | k² + 1 per output, a division and k² sums |
| BatchNorm | 8 per number: mean 1, variance 3, x̂ 2, γx̂ + β 2 | 7 per number: dβ 1, dγ 2, dx 4 |
| LayerNorm, GroupNorm, InstanceNorm | as BatchNorm; without γ and β 6 and 4 | |
| RMSNorm | 4 per number: x² and their mean 2, x̂ 1, γx̂ 1 | 6: dγ 2, dx 4 |
| ReLU | 1 per number | 1 |
| Sigmoid | 4 per number: −x, exp, 1 +, 1 / | 3: dy · y · (1 − y) |
| LeakyReLU | 1 per number | 1 |
| Tanh | 1 per number | 3: dy · (1 − y · y) |
| Softmax | 5 per number: max, −, exp, sum, / | 4: dy · y, sum, −, · |
| LogSoftmax | 5 per number: max, −, exp, sum, − | 4: sum, exp, ·, − |
| GELU | 5 per number: /√2, erf, 1 +, ·½, · | 6: x², ·½, exp, ·, +, · |
| SiLU | 5 per number, a sigmoid and · | 5: 1 −, ·, 1 +, ·, · |
| Dropout | 2 per number | 1 |
| CrossEntropyLoss | 5 per logit, as softmax | 2 per logit |
| SGD, with momentum, Adam | 2, 4, 12 per parameter | |

A training step needs no gradient of its input, so the input gradient of the first layer that has
parameters (and of all before it) is left out.
"""

from __future__ import annotations

import math
from typing import Any

from minidl.array import Array
from minidl.bench.case import Case
from minidl.nn import watch_forward

__all__ = ["count", "layer_flops", "optimizer_flops"]

PER_NUMBER = {
    "BatchNorm1d": (8, 7),
    "BatchNorm2d": (8, 7),
    "Dropout": (2, 1),
    "Flatten": (0, 0),
    "GELU": (5, 6),
    "GroupNorm": (8, 7),
    "InstanceNorm2d": (8, 7),
    "LayerNorm": (8, 7),
    "LeakyReLU": (1, 1),
    "LogSoftmax": (5, 4),
    "RMSNorm": (4, 6),
    "ReLU": (1, 1),
    "SiLU": (5, 5),
    "Sigmoid": (4, 3),
    "Softmax": (5, 4),
    "Tanh": (1, 3),
}
"""Operations per number, forward and backward, of layers that keep the shape."""

LOSS = (5, 2)


def layer_flops(layer: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> tuple[int, int, int]:
    """The arithmetic of one layer, of minidl or of torch.

    Args:
        layer: no container.
        inputs: the input's shape.
        outputs: the output's shape.

    Returns:
        Forward; backward for the parameters alone; backward for the input alone.

    Raises:
        KeyError: a layer that the table above does not name.
    """
    kind = type(layer).__name__
    count_in, count_out = math.prod(inputs), math.prod(outputs)
    if kind in ("Linear", "Conv2d"):
        taps = math.prod(layer.weight.shape[1:])  # multiply-adds per output
        products, bias = 2 * count_out * taps, count_out * (layer.bias is not None)
        return products + bias, products + bias, products
    if kind == "MaxPool2d":
        size = layer.kernel_size
        window = size * size if isinstance(size, int) else math.prod(size)
        return (window - 1) * count_out, 0, count_out
    if kind == "AvgPool2d":
        size = layer.kernel_size
        window = size * size if isinstance(size, int) else math.prod(size)
        return window * count_out, 0, (window + 1) * count_out
    if kind == "AdaptiveAvgPool2d":  # windows that tile the image: each number is summed once
        return count_in, 0, count_in + count_out
    forward, backward = PER_NUMBER[kind]
    if kind.endswith(("Norm", "Norm1d", "Norm2d")):
        learns = getattr(layer, "weight", None) is not None
        shift = 0 if kind == "RMSNorm" else 1  # which has no β
        affine = 1 + shift if learns else 0
        return (forward - 1 - shift + affine) * count_in, (2 + shift) * learns * count_in, 4 * count_in
    return forward * count_in, 0, backward * count_in


def optimizer_flops(name: str, options: Any, parameters: int) -> int:
    """The arithmetic of one step of an optimizer."""
    each = 12 if name == "Adam" else 4 if options.get("momentum") else 2
    return each * parameters


def count(case: Case, model: Any, x: Array) -> dict[str, int]:
    """The arithmetic of each part of a case's step.

    Args:
        case: what is run.
        model: its network, of minidl.
        x: its input.
    """
    if case.group in ("layer", "loss", "optimizer"):  # more than fit the table above; they wait for memory
        return {}
    size = sum(parameter.size for parameter in model.parameters())
    update = optimizer_flops(*case.optimizer, size)
    if case.kind == "optimizer":
        return {"step": update}
    if case.kind == "loss":
        return {"forward": LOSS[0] * x.size, "backward": LOSS[1] * x.size}

    counted: list[tuple[int, int, int]] = []
    trained: list[bool] = []  # whether the layer has parameters

    def add(layer: Any, inputs: tuple[Any, ...], output: Any) -> None:
        if not list(layer.children()):
            counted.append(layer_flops(layer, inputs[0].shape, output.shape))
            trained.append(bool(list(layer.parameters())))

    with watch_forward(add):
        logits = model(x)
    forward = sum(layer[0] for layer in counted)
    backward = sum(layer[1] + layer[2] for layer in counted)
    if case.kind == "operation":
        return {"forward": forward, "backward": backward}
    spared = sum(layer[2] for layer in counted[: trained.index(True) + 1])
    return {"step": forward + backward - spared + sum(LOSS) * logits.size + update}
