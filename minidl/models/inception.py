"""GoogLeNet: modules that look at their input through filters of several sizes at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minidl.array import Array
from minidl.errors import ShapeError
from minidl.models.inception_blocks import Convolutions, Inception, InceptionAux, Norm
from minidl.models.parts import check_images, layer_name, scaled
from minidl.nn import (
    AdaptiveAvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    init,
)

__all__ = ["GoogLeNet", "GoogLeNetOutputs", "Inception", "InceptionAux", "googlenet"]

Rng = np.random.Generator


class GoogLeNetOutputs(NamedTuple):
    """What a GoogLeNet with auxiliary heads gives in training."""

    logits: Array
    aux_logits2: Array
    aux_logits1: Array


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
        conv = Convolutions(norm_layer, rng)
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
            f"width_mult={self.width_mult}, norm_layer={layer_name(self.norm_layer)}"
        )


def googlenet(**options: Any) -> GoogLeNet:
    """GoogLeNet: 6.6 M parameters, 13.0 M with its auxiliary heads. Options are those of `GoogLeNet`."""
    return GoogLeNet(**options)
