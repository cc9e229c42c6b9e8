"""GoogLeNet: modules that look at their input through filters of several sizes at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minidl.array import Array
from minidl.errors import ShapeError
from minidl.models.parts import check_images, scaled
from minidl.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
    init,
)

__all__ = ["GoogLeNet", "GoogLeNetOutputs", "Inception", "InceptionAux", "googlenet"]

Norm = Callable[[int], Module]
Rng = np.random.Generator


class GoogLeNetOutputs(NamedTuple):
    """What a GoogLeNet with auxiliary heads gives in training."""

    logits: Array
    aux_logits2: Array
    aux_logits1: Array


def _batch_norm(channels: int) -> BatchNorm2d:
    return BatchNorm2d(channels, eps=0.001)


class _Convolutions:
    """Makes convolutions with what comes after them; parameters are `conv.weight`, `bn.weight`, `bn.bias`."""

    def __init__(self, norm_layer: Norm | None, rng: Rng | None) -> None:
        self.norm = norm_layer or _batch_norm
        self.rng = rng

    def __call__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0
    ) -> Sequential:
        conv = Conv2d(inputs, outputs, kernel, stride, padding, bias=False, rng=self.rng)
        return Sequential({"conv": conv, "bn": self.norm(outputs), "relu": ReLU()})


class Inception(Module):
    """Four branches on one input, their channels side by side: `y = [b₁(x), b₂(x), b₃(x), b₄(x)]`.

    | branch | channels |
    |---|---|
    | branch1: 1×1 | ch1x1 |
    | branch2: 1×1 to ch3x3red channels, 3×3 | ch3x3 |
    | branch3: 1×1 to ch5x5red channels, 3×3 | ch5x5 |
    | branch4: max-pool 3×3, 1×1 | pool_proj |

    (Szegedy et al. 2014, figure 2b.) The 1×1 convolutions before the larger ones make these cheap. The
    paper's third branch has 5×5; torchvision's has 3×3 under the same names, and this one follows it.

    Shape:
        - input: (N, in_channels, H, W)
        - output: (N, ch1x1 + ch3x3 + ch5x5 + pool_proj, H, W)

    Args:
        in_channels: of the input.
        ch1x1: channels of the first branch.
        ch3x3red: to how many channels the second reduces the input.
        ch3x3: channels of the second branch.
        ch5x5red: to how many channels the third reduces the input.
        ch5x5: channels of the third branch.
        pool_proj: channels of the fourth branch.
        norm_layer: makes the layer after a convolution from its channels; BatchNorm2d with eps 0.001 unless
            told.
        rng: where the initial values are drawn from.
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
        *,
        norm_layer: Norm | None = None,
        rng: Rng | None = None,
    ) -> None:
        conv = _Convolutions(norm_layer, rng)
        widths = (in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj)
        self._arguments = (*widths, _name(norm_layer))
        self._ends = (ch1x1, ch1x1 + ch3x3, ch1x1 + ch3x3 + ch5x5)  # where a branch's channels end
        self.out_channels = ch1x1 + ch3x3 + ch5x5 + pool_proj
        self.branch1 = conv(in_channels, ch1x1, 1)
        self.branch2 = Sequential(conv(in_channels, ch3x3red, 1), conv(ch3x3red, ch3x3, 3, padding=1))
        self.branch3 = Sequential(conv(in_channels, ch5x5red, 1), conv(ch5x5red, ch5x5, 3, padding=1))
        self.branch4 = Sequential(
            MaxPool2d(3, stride=1, padding=1, ceil_mode=True), conv(in_channels, pool_proj, 1)
        )

    def forward(self, x: Array) -> Array:
        branches = (self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x))
        y = np.concatenate(branches, axis=1)  # (N, out_channels, H, W)
        self.remember(output=y)
        return y

    def backward(self, dy: Any) -> Any:
        # dx = b₁ᵀ dy₁ + b₂ᵀ dy₂ + b₃ᵀ dy₃ + b₄ᵀ dy₄, with dy = [dy₁, dy₂, dy₃, dy₄]
        (dy,) = self.recall(dy)
        dy1, dy2, dy3, dy4 = np.split(dy, self._ends, axis=1)
        dx = self.branch1.backward(dy1)
        dx += self.branch2.backward(dy2)
        dx += self.branch3.backward(dy3)
        dx += self.branch4.backward(dy4)
        return dx

    def extra_repr(self) -> str:
        names = ("in_channels", "ch1x1", "ch3x3red", "ch3x3", "ch5x5red", "ch5x5", "pool_proj", "norm_layer")
        return ", ".join(f"{name}={value}" for name, value in zip(names, self._arguments, strict=True))


class InceptionAux(Module):
    """An auxiliary head: it classifies from the middle of the network, so that gradients arrive there too.

    Means over a grid of 4×4, a 1×1 convolution, Linear, ReLU, dropout, Linear (section 5 of the paper).

    Shape:
        - input: (N, in_channels, H, W)
        - output: (N, num_classes), logits

    Args:
        in_channels: of the input.
        num_classes: size of the output.
        dropout: probability of dropping a number before the last layer.
        width_mult: its channels and hidden size times this.
        norm_layer: makes the layer after the convolution from its channels; BatchNorm2d with eps 0.001
            unless told.
        rng: where the initial values and the dropped numbers are drawn from.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        dropout: float = 0.7,
        *,
        width_mult: float = 1.0,
        norm_layer: Norm | None = None,
        rng: Rng | None = None,
    ) -> None:
        self._arguments = (in_channels, num_classes, dropout, width_mult, _name(norm_layer))
        width, hidden = scaled(128, width_mult), scaled(1024, width_mult)
        self.pool = AdaptiveAvgPool2d(4)
        self.conv = _Convolutions(norm_layer, rng)(in_channels, width, 1)
        self.flatten = Flatten()
        self.fc1 = Linear(width * 4 * 4, hidden, rng=rng)
        self.relu = ReLU()
        self.drop = Dropout(dropout, rng=rng)
        self.fc2 = Linear(hidden, num_classes, rng=rng)

    def forward(self, x: Array) -> Array:
        x = self.flatten(self.conv(self.pool(x)))  # (N, 2048)
        return self.fc2(self.drop(self.relu(self.fc1(x))))  # (N, num_classes)

    def backward(self, dy: Any) -> Any:
        dy = self.fc2.backward(dy)  # (N, 1024)
        dy = self.relu.backward(self.drop.backward(dy))
        dy = self.fc1.backward(dy)  # (N, 2048)
        dy = self.flatten.backward(dy)  # (N, 128, 4, 4)
        return self.pool.backward(self.conv.backward(dy))  # (N, in_channels, H, W)

    def extra_repr(self) -> str:
        names = ("in_channels", "num_classes", "dropout", "width_mult", "norm_layer")
        return ", ".join(f"{name}={value}" for name, value in zip(names, self._arguments, strict=True))


class GoogLeNet(Module):
    """GoogLeNet (Szegedy et al. 2014, table 1), as torchvision builds it.

    | layer | output for 224×224 |
    |---|---|
    | conv1 7×7, stride 2, max-pool 3×3 | (N, 64, 56, 56) |
    | conv2 1×1, conv3 3×3, max-pool 3×3 | (N, 192, 28, 28) |
    | inception3a, 3b, max-pool 3×3 | (N, 480, 14, 14) |
    | inception4a; aux1 looks on | (N, 512, 14, 14) |
    | inception4b, 4c, 4d; aux2 looks on | (N, 528, 14, 14) |
    | inception4e, max-pool 2×2 | (N, 832, 7, 7) |
    | inception5a, 5b | (N, 1024, 7, 7) |
    | mean over all pixels, dropout, fc | (N, num_classes) |

    What differs from the paper, so that torchvision's weights load by name: batch norm with eps 0.001 after
    every convolution, in place of a normalisation across channels; 3×3 where the paper has 5×5.

    Shape:
        - input: (N, in_channels, H, W), at least 15×15
        - output: (N, num_classes), logits; in training with `aux_logits` three of them, as GoogLeNetOutputs,
          and `backward` takes the tuple of their three gradients

    Args:
        num_classes: size of the output.
        aux_logits: False leaves out the two auxiliary heads.
        transform_input: True takes images normalised by ImageNet's means and deviations, as torchvision's
            weights need it, and turns them into (x − 0.5) / 0.5.
        init_weights: False leaves the layers' own initial values; True draws weights with standard
            deviation 0.01.
        dropout: probability of dropping a number before fc.
        dropout_aux: the same in the auxiliary heads.
        in_channels: 3 for colour, 1 for grey images.
        width_mult: all channels times this.
        norm_layer: makes the layer after a convolution from its channels; BatchNorm2d with eps 0.001 unless
            told.
        rng: where the initial values and the dropped numbers are drawn from.

    Raises:
        ValueError: `transform_input` with other than 3 channels.
        ShapeError: an input of other channels or rank, or smaller than 15×15.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool = True,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
        *,
        in_channels: int = 3,
        width_mult: float = 1.0,
        norm_layer: Norm | None = None,
        rng: Rng | None = None,
    ) -> None:
        if transform_input and in_channels != 3:
            raise ValueError(f"GoogLeNet: expected 3 channels for transform_input, got {in_channels}")
        self.num_classes = num_classes
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.init_weights = init_weights
        self.dropout = dropout
        self.dropout_aux = dropout_aux
        self.in_channels = in_channels
        self.width_mult = width_mult
        self.norm_layer = norm_layer
        conv = _Convolutions(norm_layer, rng)
        how: dict[str, Any] = {"norm_layer": norm_layer, "rng": rng}

        def inception(inputs: int, *channels: int) -> Inception:
            return Inception(inputs, *(scaled(width, width_mult) for width in channels), **how)

        stem, wide = scaled(64, width_mult), scaled(192, width_mult)
        self.conv1 = conv(in_channels, stem, 7, stride=2, padding=3)
        self.maxpool1 = MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = conv(stem, stem, 1)
        self.conv3 = conv(stem, wide, 3, padding=1)
        self.maxpool2 = MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = inception(wide, 64, 96, 128, 16, 32, 32)
        self.inception3b = inception(self.inception3a.out_channels, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = inception(self.inception3b.out_channels, 192, 96, 208, 16, 48, 64)
        self.inception4b = inception(self.inception4a.out_channels, 160, 112, 224, 24, 64, 64)
        self.inception4c = inception(self.inception4b.out_channels, 128, 128, 256, 24, 64, 64)
        self.inception4d = inception(self.inception4c.out_channels, 112, 144, 288, 32, 64, 64)
        self.inception4e = inception(self.inception4d.out_channels, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = MaxPool2d(2, stride=2, ceil_mode=True)
        self.inception5a = inception(self.inception4e.out_channels, 256, 160, 320, 32, 128, 128)
        self.inception5b = inception(self.inception5a.out_channels, 384, 192, 384, 48, 128, 128)
        self.aux1: InceptionAux | None = None
        self.aux2: InceptionAux | None = None
        if aux_logits:
            how["width_mult"] = width_mult
            self.aux1 = InceptionAux(self.inception4a.out_channels, num_classes, dropout_aux, **how)
            self.aux2 = InceptionAux(self.inception4d.out_channels, num_classes, dropout_aux, **how)
        self.avgpool = AdaptiveAvgPool2d(1)
        self.flatten = Flatten()
        self.drop = Dropout(dropout, rng=rng)
        self.fc = Linear(self.inception5b.out_channels, num_classes, rng=rng)
        if init_weights:
            for layer in self.modules():
                if isinstance(layer, Conv2d | Linear):
                    init.trunc_normal_(layer.weight, std=0.01, rng=rng)

    def forward(self, x: Array) -> Array | GoogLeNetOutputs:
        check_images(self, x, self.in_channels, 15)
        if self.transform_input:
            scale, shift = self._transform(x)
            x = x * scale + shift
        x = self.maxpool1(self.conv1(x))  # (N, 64, H/4, W/4)
        x = self.maxpool2(self.conv3(self.conv2(x)))  # (N, 192, H/8, W/8)
        x = self.maxpool3(self.inception3b(self.inception3a(x)))  # (N, 480, H/16, W/16)
        a = self.inception4a(x)  # (N, 512, H/16, W/16)
        d = self.inception4d(self.inception4c(self.inception4b(a)))  # (N, 528, H/16, W/16)
        x = self.maxpool4(self.inception4e(d))  # (N, 832, H/32, W/32)
        x = self.inception5b(self.inception5a(x))  # (N, 1024, H/32, W/32)
        x = self.drop(self.flatten(self.avgpool(x)))  # (N, 1024)
        logits = self.fc(x)  # (N, num_classes)
        heads = self.training and self.aux1 is not None and self.aux2 is not None
        self.remember(heads, output=logits)
        if self.training and self.aux1 is not None and self.aux2 is not None:
            return GoogLeNetOutputs(logits, self.aux2(d), self.aux1(a))
        return logits

    def backward(self, dy: Any) -> Any:
        # the auxiliary heads branch off after 4d and 4a: there their gradients add to what comes back
        dlogits, daux2, daux1 = self._gradients(dy)
        dy, _ = self.recall(dlogits)
        dy = self.fc.backward(dy)  # (N, 1024)
        dy = self.flatten.backward(self.drop.backward(dy))  # (N, 1024, 1, 1)
        dy = self.avgpool.backward(dy)  # (N, 1024, H/32, W/32)
        dy = self.inception5a.backward(self.inception5b.backward(dy))  # (N, 832, H/32, W/32)
        dd = self.inception4e.backward(self.maxpool4.backward(dy))  # (N, 528, H/16, W/16)
        if self.aux2 is not None and daux2 is not None:
            dd += self.aux2.backward(daux2)
        da = self.inception4c.backward(self.inception4d.backward(dd))
        da = self.inception4b.backward(da)  # (N, 512, H/16, W/16)
        if self.aux1 is not None and daux1 is not None:
            da += self.aux1.backward(daux1)
        dy = self.maxpool3.backward(self.inception4a.backward(da))  # (N, 480, H/8, W/8)
        dy = self.inception3a.backward(self.inception3b.backward(dy))  # (N, 192, H/8, W/8)
        dy = self.conv2.backward(self.conv3.backward(self.maxpool2.backward(dy)))  # (N, 64, H/4, W/4)
        dx = self.conv1.backward(self.maxpool1.backward(dy))  # (N, in_channels, H, W)
        return dx * self._transform(dx)[0] if self.transform_input and dx is not None else dx

    def _gradients(self, dy: Any) -> Any:
        """The three upstream gradients; without auxiliary heads, one and nothing."""
        heads = self._memory is not None and self._memory.saved[0]
        given = tuple(dy) if isinstance(dy, tuple) else (dy,)
        if len(given) != (3 if heads else 1):
            expected = "(logits, aux_logits2, aux_logits1)" if heads else "the logits alone"
            raise ShapeError(f"{self.label()}: expected gradients of {expected}, got {len(given)}")
        return given if heads else (dy, None, None)

    @staticmethod
    def _transform(x: Array) -> tuple[Array, Array]:
        """Scale and shift of each channel: from (p − mean) / deviation to (p − 0.5) / 0.5."""
        means, deviations = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        scale, shift = np.zeros_like(x, shape=(1, 3, 1, 1)), np.zeros_like(x, shape=(1, 3, 1, 1))
        for c, (mean, deviation) in enumerate(zip(means, deviations, strict=True)):
            scale[:, c] = deviation / 0.5
            shift[:, c] = (mean - 0.5) / 0.5
        return scale, shift

    def _data_layer(self) -> Module | None:
        return self.conv1._data_layer()

    def extra_repr(self) -> str:
        return (
            f"num_classes={self.num_classes}, aux_logits={self.aux_logits}, "
            f"transform_input={self.transform_input}, init_weights={self.init_weights}, "
            f"dropout={self.dropout}, dropout_aux={self.dropout_aux}, in_channels={self.in_channels}, "
            f"width_mult={self.width_mult}, norm_layer={_name(self.norm_layer)}"
        )


def _name(norm_layer: Norm | None) -> str:
    return getattr(norm_layer, "__name__", str(norm_layer))


def googlenet(**options: Any) -> GoogLeNet:
    """GoogLeNet: 6.6 M parameters, 13.0 M with its auxiliary heads. Options are those of `GoogLeNet`."""
    return GoogLeNet(**options)
