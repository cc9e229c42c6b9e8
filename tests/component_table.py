"""One table of samples for every public layer, loss and network, for test_components.

All dimensions differ, so that a wrong axis cannot hide.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

from minidl import models, nn
from minidl.errors import DTypeError, ShapeError
from minidl.models.inception import Inception, InceptionAux
from minidl.models.mobilenetv2 import InvertedResidual
from minidl.models.parts import init_convolutions
from minidl.models.resnet import BasicBlock, Bottleneck
from minidl.models.resnet_cifar import PaddedShortcut, PlainBlock
from minidl.models.vgg import make_layers as vgg_layers
from minidl.testing import Sample, Wrong

BATCH_STATISTICS = "training uses the batch's statistics, evaluation the running ones"
DRAWS = "dropout drops only in training"
ONE_VALUE = "one value per channel has no variance"
EMPTY_MEAN = "the mean of nothing is no number"
ELEMENTWISE = "elementwise: any shape is right"


def torch_nn() -> Any:
    import torch

    return torch.nn


def normal(*shape: int):
    """Inputs (n, *shape) from a normal distribution."""
    return lambda rng, n: (rng.standard_normal((n, *shape)),)


def spaced(*shape: int, apart: float = 0.1):
    """Inputs that are `apart`, and half of that away from 0 and its multiples: no kink is near."""

    def make(rng, n):
        size = int(np.prod((n, *shape)))
        values = (rng.permutation(size) - size // 2 + 0.5) * apart
        return (values.reshape(n, *shape),)

    return make


def wrong(*shape: int, says: tuple[str, ...], error: type[Exception] = ShapeError, dtype: Any = np.float64):
    return Wrong(lambda: (np.ones(shape, dtype),), error, (*says, str(shape)))


def two(make_prediction, make_target):
    """Inputs of a loss."""
    return lambda rng, n: (make_prediction(rng, n), make_target(rng, n))


def pair_of(*shape: int):
    return two(
        lambda rng, n: rng.standard_normal((n, *shape)), lambda rng, n: rng.standard_normal((n, *shape))
    )


def logits_and_truths(*shape: int):
    return two(lambda rng, n: rng.standard_normal((n, *shape)), lambda rng, n: rng.random((n, *shape)))


def logits_and_labels(classes: int, *shape: int, ignored: int | None = None):
    def labels(rng, n):
        t = rng.integers(0, classes, (n, *shape))
        if ignored is not None and t.size > 2:
            t.reshape(-1)[1] = ignored
        return t

    return two(lambda rng, n: rng.standard_normal((n, classes, *shape)), labels)


def logits_and_probabilities(classes: int, *shape: int):
    def probabilities(rng, n):
        q = rng.random((n, classes, *shape))
        return q / q.sum(axis=1, keepdims=True)

    return two(lambda rng, n: rng.standard_normal((n, classes, *shape)), probabilities)


class ThreeHeads(nn.AuxiliaryLoss):
    """An AuxiliaryLoss that takes its outputs side by side, as the checks hand them over."""

    _first_input_only = False

    def forward(self, *outputs_and_target):
        *outputs, target = outputs_and_target
        return super().forward(tuple(outputs), target)


def _losses_of_heads() -> list[Sample]:
    class_weights = np.array([0.5, 2.0, 1.0, 0.25])

    def theirs(weights, **how):
        import torch

        class Theirs(torch.nn.Module):
            def __init__(self):
                super().__init__()
                make = torch.nn.CrossEntropyLoss
                self.criterion = make(torch.tensor(class_weights), **how)
                self.auxiliary = torch.nn.ModuleList(
                    make(torch.tensor(class_weights), **how) for _ in weights
                )

            def forward(self, first, *others_and_target):
                *others, target = others_and_target
                loss = self.criterion(first, target)
                for weight, criterion, output in zip(weights, self.auxiliary, others, strict=True):
                    loss = loss + weight * criterion(output, target)
                return loss

        return Theirs()

    def three(rng, n):
        return (*(rng.standard_normal((n, 4, 2)) for _ in range(3)), rng.integers(0, 4, (n, 2)))

    def number(count):
        outputs = tuple(np.ones((5, 4)) for _ in range(count))
        says = ("AuxiliaryLoss", "expected 3 outputs", f"got {count}")
        return Wrong(lambda: (outputs, np.ones((5, 4))), ShapeError, says)

    return [
        Sample(
            lambda: nn.AuxiliaryLoss(nn.MSELoss()),
            pair_of(4, 2),
            "AuxiliaryLoss of one output",
            torch=lambda: torch_nn().MSELoss(),
            wrong=(
                *map(number, (0, 1, 2, 4)),
                Wrong(
                    lambda: ((np.ones((5, 4)), np.ones((5, 4)), np.ones((5, 1))), np.ones((5, 4))),
                    ShapeError,
                    ("MSELoss", "(5, 1)", "(5, 4)"),
                ),
            ),
            refuses_none=EMPTY_MEAN,
        ),
        *(
            Sample(
                lambda r=reduction: ThreeHeads(
                    nn.CrossEntropyLoss(class_weights, reduction=r, label_smoothing=0.1), (0.3, 0.7)
                ),
                three,
                f"AuxiliaryLoss of three outputs, {reduction}",
                torch=lambda r=reduction: theirs((0.3, 0.7), reduction=r, label_smoothing=0.1),
                refuses_none=EMPTY_MEAN if reduction == "mean" else "",
            )
            for reduction in ("mean", "sum", "none")
        ),
    ]


def _layers() -> list[Sample]:
    conv_wrong = (
        wrong(2, 5, 8, 9, says=("Conv2d(4, 6)", "(N, 4, H, W)")),
        wrong(5, 8, 9, says=("Conv2d(4, 6)", "(N, 4, H, W) or (4, H, W)")),
        wrong(4, says=("Conv2d(4, 6)", "(N, 4, H, W)")),
    )
    pool_wrong = (wrong(2, 4, 1, 8, 9, says=("(N, C, H, W)",)), wrong(5, 3, says=("(N, C, H, W)",)))
    return [
        Sample(
            lambda: nn.Linear(3, 4),
            normal(3),
            torch=lambda: torch_nn().Linear(3, 4),
            wrong=(wrong(5, 4, says=("Linear(3, 4)", "(*, 3)")), wrong(says=("(*, 3)",))),
        ),
        Sample(
            lambda: nn.Linear(3, 4, bias=False),
            normal(5, 2, 3),
            "Linear on 4-D input without bias",
            torch=lambda: torch_nn().Linear(3, 4, bias=False),
        ),
        *(
            Sample(
                lambda a=args, k=kwargs: nn.Conv2d(*a, **k),
                normal(4, 7, 9),
                torch=lambda a=args, k=kwargs: torch_nn().Conv2d(*a, **k),
                wrong=conv_wrong,
            )
            for args, kwargs in (
                ((4, 6, 3), {}),
                ((4, 6, (3, 2), (2, 1), (1, 2)), {"bias": False}),
                ((4, 6, (2, 3), 1, 1, (3, 2)), {"groups": 2}),
                ((4, 6, (4, 3), (3, 2), (2, 1)), {"groups": 2, "bias": False}),
            )
        ),
        Sample(
            lambda: nn.Conv2d(4, 8, 3, padding=1, groups=4),
            normal(4, 5, 6),
            "Conv2d depthwise",
            wrong=(wrong(2, 4, 0, 9, says=("Conv2d(4, 8)", "height", "3")),),
            torch=lambda: torch_nn().Conv2d(4, 8, 3, padding=1, groups=4),
        ),
        *(
            Sample(
                lambda a=args, k=kwargs: nn.MaxPool2d(*a, **k),
                spaced(4, 7, 9),
                torch=lambda a=args, k=kwargs: torch_nn().MaxPool2d(*a, **k),
                wrong=pool_wrong,
            )
            for args, kwargs in (
                ((2,), {}),
                (((3, 2), (1, 2), (1, 1)), {}),
            )
        ),
        Sample(
            lambda: nn.MaxPool2d(3, 2, 1, 2, ceil_mode=True),
            spaced(4, 7, 9),
            torch=lambda: torch_nn().MaxPool2d(3, 2, 1, 2, ceil_mode=True),
            swallows_nan="with this padding and dilation the first pixel is in no window",
        ),
        Sample(
            lambda: nn.MaxPool2d(2, return_indices=True),
            spaced(4, 7, 9),
            "MaxPool2d with indices",
            wrong=(wrong(2, 4, 8, 1, says=("MaxPool2d", "width", "2")),),
        ),
        *(
            Sample(
                lambda a=args: nn.AvgPool2d(*a),
                normal(4, 7, 9),
                torch=lambda a=args: torch_nn().AvgPool2d(*a),
                wrong=pool_wrong,
            )
            for args in (
                (2,),
                ((3, 4), (2, 3), (1, 2)),
                (3, 2, 1, True, True),
                ((3, 2), (2, 3), 1, True, False),
                (2, 3, 0, True, True, 3),
            )
        ),
        *(
            Sample(
                lambda s=size: nn.AdaptiveAvgPool2d(s),
                normal(4, 7, 9),
                torch=lambda s=size: torch_nn().AdaptiveAvgPool2d(s),
                wrong=(
                    wrong(2, 4, 1, 8, 9, says=("AdaptiveAvgPool2d", "(N, C, H, W)")),
                    wrong(2, 4, 0, 3, says=("AdaptiveAvgPool2d", "pixels")),
                ),
            )
            for size in (1, (3, 4), (None, 2))
        ),
        Sample(
            lambda: nn.Flatten(),
            normal(2, 4, 3),
            torch=lambda: torch_nn().Flatten(),
            wrong=(wrong(5, says=("Flatten", "dimension 1")),),
        ),
        Sample(lambda: nn.Flatten(1, 2), normal(2, 4, 3), torch=lambda: torch_nn().Flatten(1, 2)),
        Sample(lambda: nn.ReLU(), spaced(4, 5), torch=lambda: torch_nn().ReLU(), any_shape=ELEMENTWISE),
        Sample(lambda: nn.Sigmoid(), normal(4, 5), torch=lambda: torch_nn().Sigmoid(), any_shape=ELEMENTWISE),
        Sample(lambda: nn.Tanh(), normal(4, 5), torch=lambda: torch_nn().Tanh(), any_shape=ELEMENTWISE),
        Sample(
            lambda: nn.Softmax(1),
            normal(4, 5),
            torch=lambda: torch_nn().Softmax(1),
            wrong=(wrong(5, says=("Softmax", "dimension 1")),),
        ),
        Sample(lambda: nn.Softmax(-1), normal(4, 5, 2), torch=lambda: torch_nn().Softmax(-1)),
        Sample(lambda: nn.Softmax(), normal(4), "Softmax of no dimension given"),
        Sample(lambda: nn.Dropout(0.3), normal(4, 5), differs_in_eval=DRAWS, any_shape=ELEMENTWISE),
        Sample(lambda: nn.Dropout(0.0), normal(4, 5), torch=lambda: torch_nn().Dropout(0.0)),
        Sample(
            lambda: nn.Dropout(1.0),
            normal(4, 5),
            differs_in_eval=DRAWS,
            torch=lambda: torch_nn().Dropout(1.0),
        ),
        Sample(
            lambda: nn.BatchNorm1d(4),
            normal(4),
            torch=lambda: torch_nn().BatchNorm1d(4),
            wrong=(
                wrong(5, 3, says=("BatchNorm1d(4)", "(N, 4)")),
                wrong(5, 3, 2, says=("BatchNorm1d(4)", "(N, 4, L)")),
                wrong(1, 4, says=("BatchNorm1d(4)", "more than 1 value")),
            ),
            differs_in_eval=BATCH_STATISTICS,
            refuses_one=ONE_VALUE,
            refuses_none=ONE_VALUE,
        ),
        Sample(
            lambda: nn.BatchNorm1d(4, eps=0.1, momentum=None),
            normal(4, 5),
            torch=lambda: torch_nn().BatchNorm1d(4, eps=0.1, momentum=None),
            differs_in_eval=BATCH_STATISTICS,
            refuses_none=ONE_VALUE,
        ),
        Sample(
            lambda: nn.BatchNorm2d(4, eps=0.5, momentum=0.3),
            normal(4, 5, 2),
            torch=lambda: torch_nn().BatchNorm2d(4, eps=0.5, momentum=0.3),
            wrong=(
                wrong(5, 3, 2, 2, says=("BatchNorm2d(4)", "(N, 4, H, W)")),
                wrong(5, 4, 2, says=("BatchNorm2d(4)", "(N, 4, H, W)")),
            ),
            differs_in_eval=BATCH_STATISTICS,
            refuses_none=ONE_VALUE,
        ),
        *(
            Sample(
                lambda k=how: nn.BatchNorm2d(4, **k),
                normal(4, 5, 2),
                torch=lambda k=how: torch_nn().BatchNorm2d(4, **k),
                refuses_none=ONE_VALUE,
                differs_in_eval="" if "track_running_stats" in how else BATCH_STATISTICS,
            )
            for how in (
                {"affine": False, "track_running_stats": False},
                {"affine": False, "momentum": None},
                {"track_running_stats": False, "momentum": None},
                {"bias": False},
            )
        ),
    ]


def same(name: str, *args: Any, inputs: Any = None, how: dict[str, Any] | None = None, **traits: Any):
    """A sample of the class that has this name here and in PyTorch, with the same arguments."""
    keywords = how or {}

    def theirs():
        import torch

        as_tensors = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in keywords.items()}
        return getattr(torch_nn(), name)(*args, **as_tensors)

    make = lambda: getattr(nn, name)(*args, **keywords)  # noqa: E731
    return Sample(make, inputs or normal(4, 5), torch=theirs, **traits)


def elementwise(name: str, *args: Any, inputs: Any = None) -> Sample:
    return same(name, *args, inputs=inputs, any_shape=ELEMENTWISE)


def _more_pools() -> list[Sample]:
    def refused(name):
        return (
            wrong(9, says=(name, "(N, C, L)")),
            wrong(2, 4, 9, 1, says=(name, "(N, C, L)")),
        )

    def refused_images(name):
        return (
            wrong(8, 9, says=(name, "(N, C, H, W) or (C, H, W)")),
            wrong(2, 4, 0, 3, says=(name, "pixels")),
        )

    return [
        *(
            same("MaxPool1d", *args, inputs=spaced(4, 11), how=how, wrong=refused("MaxPool1d"))
            for args, how in (((2,), {}), ((4, 3, 2), {"ceil_mode": True}), (((3,), 1, 1), {}))
        ),
        same(
            "MaxPool1d",
            *(3, 2, 1, 2),
            inputs=spaced(4, 11),
            swallows_nan="with this padding and dilation the first number is in no window",
            wrong=(
                wrong(2, 4, 2, says=("MaxPool1d", "length", "kernel's 5", "(2, 4, 2)")),
                wrong(2, 0, 9, 1, says=("MaxPool1d", "(N, C, L)")),
            ),
        ),
        Sample(
            lambda: nn.MaxPool1d(3, 2, return_indices=True),
            spaced(4, 11),
            "MaxPool1d with indices",
            wrong=refused("MaxPool1d"),
        ),
        *(
            same("AvgPool1d", *args, inputs=normal(4, 11), wrong=refused("AvgPool1d"))
            for args in ((2,), (4, 3, 2), (3, 2, 1, True, True), ((3,), 2, 1, True, False))
        ),
        *(
            same(
                "AdaptiveAvgPool1d",
                size,
                inputs=normal(4, 11),
                wrong=(
                    *refused("AdaptiveAvgPool1d"),
                    wrong(2, 4, 0, says=("AdaptiveAvgPool1d", "numbers")),
                ),
            )
            for size in (1, 4)
        ),
        *(
            same(
                "AdaptiveMaxPool2d",
                size,
                inputs=spaced(4, 7, 9),
                wrong=refused_images("AdaptiveMaxPool2d"),
            )
            for size in (1, (3, 4), (None, 3))
        ),
        Sample(
            lambda: nn.AdaptiveMaxPool2d((2, 3), return_indices=True),
            spaced(4, 7, 9),
            "AdaptiveMaxPool2d with indices",
            wrong=refused_images("AdaptiveMaxPool2d"),
        ),
    ]


def _normalisations() -> list[Sample]:
    def last(name, says):
        return (wrong(5, 7, says=(f"{name}({says})", f"(*, {says})")), wrong(says=(f"(*, {says})",)))

    channels = (
        wrong(2, 5, 4, says=("GroupNorm(3, 6)", "(N, 6, *)")),
        wrong(6, says=("GroupNorm(3, 6)", "(N, 6, *)")),
        wrong(2, 6, 0, says=("GroupNorm(3, 6)", "more than 1 value")),
    )
    images = (
        wrong(2, 3, 5, 4, says=("InstanceNorm2d(4)", "(N, 4, H, W)")),
        wrong(3, 5, 4, says=("InstanceNorm2d(4)", "(N, 4, H, W) or (4, H, W)")),
        wrong(2, 4, 1, 1, says=("InstanceNorm2d(4)", "more than 1 value")),
    )
    sequences = (
        wrong(5, 4, says=("LocalResponseNorm", "(N, C, L, *)")),
        wrong(5, says=("LocalResponseNorm", "(N, C, L, *)")),
    )
    return [
        *(
            same(
                "LayerNorm",
                sizes,
                inputs=normal(2, 4, 5),
                how=how,
                wrong=last("LayerNorm", says),
            )
            for sizes, says, how in (
                (5, "5", {}),
                ((4, 5), "4, 5", {"eps": 0.3}),
                ([5], "5", {"bias": False}),
                ((2, 4, 5), "2, 4, 5", {"elementwise_affine": False}),
            )
        ),
        *(
            same(
                "RMSNorm",
                sizes,
                inputs=normal(2, 4, 5),
                how=how,
                wrong=last("RMSNorm", says),
            )
            for sizes, says, how in (
                (5, "5", {}),
                ((4, 5), "4, 5", {"eps": 0.3}),
                (5, "5", {"elementwise_affine": False}),
            )
        ),
        *(
            same("GroupNorm", 3, 6, inputs=normal(6, *shape), how=how, wrong=channels)
            for shape, how in (
                *(((5, 2), {}), ((), {"eps": 0.3}), ((4,), {"affine": False}), ((7, 6), {})),
                ((4, 3), {"bias": False}),
            )
        ),
        same(
            "GroupNorm",
            *(1, 4),
            inputs=normal(4, 2),
            wrong=(wrong(1, 2, 1, says=("GroupNorm(1, 4)", "(N, 4, *)")),),
        ),
        *(
            same("InstanceNorm2d", 4, inputs=normal(4, *shape), how=how, wrong=images)
            for shape, how in (((5, 2), {}), ((7, 6), {"affine": True, "eps": 0.3}))
        ),
        *(
            same(
                "InstanceNorm2d",
                4,
                inputs=normal(4, 5, 2),
                how={"track_running_stats": True, **how},
                wrong=images,
                differs_in_eval=BATCH_STATISTICS,
            )
            for how in (
                {"affine": True, "momentum": 0.3},
                {"momentum": None},
                {"affine": True, "bias": False},
            )
        ),
        *(
            same("LocalResponseNorm", *args, inputs=normal(5, *shape), wrong=sequences)
            for args, shape in (((5,), (3, 2)), ((3, 0.7, 0.6, 2.0), (4,)), ((4, 1.3), (2, 3)), ((1,), (3,)))
        ),
        same("LocalResponseNorm", *(8, 0.9), inputs=normal(3, 4), wrong=sequences),
    ]


def _dropouts() -> list[Sample]:
    return [
        *(
            Sample(
                lambda p=p: nn.Dropout2d(p),
                normal(4, 3, 2),
                torch=None if p == 0.3 else lambda p=p: torch_nn().Dropout2d(p),
                differs_in_eval=DRAWS if p else "",
                wrong=(wrong(5, 3, says=("Dropout2d", "(N, C, H, W)")),),
            )
            for p in (0.0, 0.3, 1.0)
        ),
        *(
            Sample(
                lambda p=p: nn.AlphaDropout(p),
                normal(4, 5),
                torch=None if p == 0.3 else lambda p=p: torch_nn().AlphaDropout(p),
                differs_in_eval=DRAWS if p else "",
                any_shape=ELEMENTWISE,
            )
            for p in (0.0, 0.3, 1.0)
        ),
    ]


def _convolutions() -> list[Sample]:
    """Convolutions of signals, padding of every kind, and the ways to make images larger."""
    signal_wrong = (
        wrong(2, 5, 8, says=("Conv1d(4, 6)", "(N, 4, L)")),
        wrong(2, 4, 8, 9, says=("Conv1d(4, 6)", "(N, 4, L)")),
        wrong(2, 4, 0, says=("Conv1d(4, 6)", "length", "3")),
    )
    transposed_wrong = (
        wrong(2, 5, 8, 9, says=("ConvTranspose2d(4, 6)", "(N, 4, H, W)")),
        wrong(5, 8, 9, says=("ConvTranspose2d(4, 6)", "(N, 4, H, W) or (4, H, W)")),
        wrong(2, 4, 0, 9, says=("ConvTranspose2d(4, 6)", "pixels")),
    )

    def no_image(name):
        return wrong(8, 9, says=(name, "(*, C, H, W)"))

    def too_small(name, mode, *shape):
        return wrong(*shape, says=(name, mode, "at least"))

    return [
        same("Conv1d", 4, 6, 3, inputs=normal(4, 8), wrong=signal_wrong),
        same("Conv1d", 4, 6, 4, 2, 2, 2, 2, inputs=normal(4, 9), how={"bias": False}),
        same("Conv1d", 4, 8, 3, inputs=normal(4, 8), how={"groups": 4, "padding": "same"}),
        same("Conv1d", 4, 6, 4, inputs=normal(4, 8), how={"padding": "same", "padding_mode": "circular"}),
        same("Conv1d", 4, 6, 3, 2, (2,), inputs=normal(4, 7), how={"padding_mode": "reflect"}),
        same("Conv2d", 4, 6, (2, 3), inputs=normal(4, 5, 6), how={"padding": "same"}),
        same("Conv2d", 4, 6, (4, 2), inputs=normal(4, 5, 6), how={"padding": "same", "dilation": (1, 3)}),
        same("Conv2d", 4, 6, 3, 2, inputs=normal(4, 5, 6), how={"padding": "valid", "groups": 2}),
        same(
            "Conv2d",
            4,
            6,
            (2, 3),
            (2, 1),
            (1, 2),
            inputs=normal(4, 5, 6),
            how={"padding_mode": "reflect"},
            wrong=(wrong(2, 4, 5, 2, says=("Conv2d(4, 6)", "at least 3", "reflect")),),
        ),
        same("Conv2d", 4, 6, 3, 1, (3, 1), inputs=normal(4, 2, 5), how={"padding_mode": "replicate"}),
        same(
            "Conv2d",
            4,
            6,
            (3, 4),
            inputs=normal(4, 3, 5),
            how={"padding": "same", "padding_mode": "circular", "groups": 2},
        ),
        same("ConvTranspose2d", 4, 6, 3, inputs=normal(4, 3, 2), wrong=transposed_wrong),
        same(
            "ConvTranspose2d",
            4,
            6,
            (4, 2),
            (2, 3),
            (1, 0),
            (1, 2),
            2,
            inputs=normal(4, 3, 2),
            how={"bias": False},
        ),
        same(  # an output_padding that is larger than the stride, and what padding cut off comes back
            "ConvTranspose2d", 4, 6, (2, 3), (3, 1), 1, (1, 2), 1, True, (2, 3), inputs=normal(4, 2, 3)
        ),
        same(
            "ConvTranspose2d",
            4,
            4,
            3,
            2,
            1,
            1,
            4,
            inputs=normal(4, 3, 2),
            wrong=(wrong(2, 4, 3, 0, says=("ConvTranspose2d(4, 4)", "pixels")),),
        ),
        same(
            "ZeroPad2d",
            2,
            inputs=normal(4, 3, 5),
            wrong=(no_image("ZeroPad2d"),),
        ),
        same(
            "ZeroPad2d",
            (-1, 2, 3, -2),
            inputs=normal(4, 3, 5),
            wrong=(too_small("ZeroPad2d", "zeros", 2, 4, 1, 5),),
            swallows_nan="the first pixel is cut off",
        ),
        same(
            "ReflectionPad2d",
            (4, 1, 0, 2),
            inputs=normal(4, 3, 5),
            wrong=(no_image("ReflectionPad2d"), too_small("ReflectionPad2d", "reflect", 2, 4, 2, 5)),
        ),
        same("ReflectionPad2d", 2, inputs=normal(4, 3, 5)),
        same(
            "ReplicationPad2d",
            (4, 1, 0, 6),
            inputs=normal(4, 3, 5),
            wrong=(no_image("ReplicationPad2d"), too_small("ReplicationPad2d", "replicate", 2, 4, 0, 5)),
        ),
        same(
            "CircularPad2d",
            (5, 1, 2, 3),
            inputs=normal(4, 3, 5),
            wrong=(no_image("CircularPad2d"), too_small("CircularPad2d", "circular", 2, 4, 2, 5)),
        ),
        same(
            "PixelShuffle",
            2,
            inputs=normal(12, 2, 5),
            wrong=(
                no_image("PixelShuffle"),
                wrong(2, 6, 4, 5, says=("PixelShuffle", "upscale_factor² = 4")),
            ),
        ),
        same("PixelShuffle", 3, inputs=normal(2, 9, 2, 1)),
        Sample(lambda: nn.PixelShuffle(1), normal(2, 3, 4), "PixelShuffle of nothing"),
        Sample(  # PyTorch gives a batch of none the shape that it came in
            lambda: nn.PixelUnshuffle(2),
            normal(3, 4, 6),
            wrong=(
                no_image("PixelUnshuffle"),
                wrong(2, 3, 4, 5, says=("PixelUnshuffle", "downscale_factor = 2")),
            ),
            torch=lambda: torch_nn().PixelUnshuffle(2),
        ),
        *(
            same(
                "Upsample",
                inputs=normal(4, 3, 5),
                how=how,
                wrong=(wrong(4, 3, says=("Upsample", "(N, C, H, W)")),),
                swallows_nan="" if how.get("scale_factor") != 0.4 else "the first pixel is passed over",
            )
            for how in (
                {"scale_factor": 2},
                {"size": (5, 4)},
                {"scale_factor": (1.7, 0.6)},
                {"scale_factor": 1.7, "recompute_scale_factor": True},
                {"size": 7, "mode": "nearest-exact"},
                {"scale_factor": 2, "mode": "bilinear"},
                {"scale_factor": (2.3, 0.7), "mode": "bilinear", "align_corners": False},
                {"scale_factor": (2.3, 0.7), "mode": "bilinear", "recompute_scale_factor": True},
                {"size": (7, 1), "mode": "bilinear", "align_corners": True},
                {"scale_factor": (1.2, 2.1), "mode": "nearest"},
            )
        ),
        *(
            same(
                "Upsample",
                inputs=normal(4, 5),
                how=how,
                wrong=(wrong(4, 3, says=("Upsample", "(N, C, ")), *no_images),
            )
            for how, no_images in (
                ({"scale_factor": 2}, ()),
                ({"size": (7,), "mode": "nearest-exact"}, (wrong(2, 4, 3, 5, says=("(N, C, L) for (7,)",)),)),
                ({"scale_factor": 2, "mode": "linear"}, (wrong(2, 4, 3, 5, says=("(N, C, L)",)),)),
                ({"scale_factor": 2.3, "mode": "linear", "recompute_scale_factor": True}, ()),
                ({"size": 7, "mode": "linear", "align_corners": True}, ()),
            )
        ),
        same(
            "Upsample",
            (3, 4),
            inputs=normal(4, 3, 5),
            wrong=(wrong(2, 4, 5, says=("(N, C, H, W) for (3, 4)",)),),
        ),
        Sample(
            lambda: nn.Upsample(scale_factor=0.3),
            normal(4, 5, 4),
            wrong=(wrong(2, 4, 3, 5, says=("Upsample", "0×1")),),
        ),
    ]


def _activations() -> list[Sample]:
    steps, wide = spaced(4, 5), spaced(4, 5, apart=0.25)  # wide reaches ±7
    return [
        elementwise("Identity"),
        elementwise("ReLU6", inputs=wide),
        elementwise("LeakyReLU", inputs=steps),
        elementwise("LeakyReLU", 0.3, inputs=steps),
        elementwise("PReLU", inputs=steps),
        same(
            "PReLU",
            4,
            0.4,
            inputs=spaced(4, 5, 2),
            wrong=(
                wrong(2, 3, 5, says=("PReLU(4)", "(N, 4, *)")),
                wrong(4, says=("PReLU(4)", "(N, 4, *)")),
            ),
        ),
        elementwise("Threshold", 0.4, -2.0, inputs=steps),
        elementwise("ELU", inputs=steps),
        elementwise("ELU", 0.7, inputs=steps),
        elementwise("SELU", inputs=steps),
        elementwise("CELU", inputs=steps),
        elementwise("CELU", 0.6, inputs=steps),
        elementwise("Softplus"),
        elementwise("Softplus", 3.0, 2.0, inputs=wide),  # the kink is at ⅔
        elementwise("GELU"),
        same("GELU", how={"approximate": "tanh"}, any_shape=ELEMENTWISE),
        elementwise("SiLU"),
        elementwise("Mish"),
        elementwise("Hardswish", inputs=wide),
        same(
            "GLU",
            inputs=normal(4, 6),
            wrong=(wrong(2, 4, 5, says=("GLU", "even size in dimension -1")),),
        ),
        same("GLU", 1, inputs=normal(4, 3), wrong=(wrong(4, says=("GLU", "dimension 1")),)),
        elementwise("Softsign", inputs=steps),
        elementwise("Hardtanh", inputs=steps),
        elementwise("Hardtanh", -0.8, 2.0, inputs=steps),
        elementwise("Hardsigmoid", inputs=wide),
        elementwise("LogSigmoid"),
        elementwise("Tanhshrink"),
        elementwise("Softshrink", inputs=steps),
        elementwise("Softshrink", 1.2, inputs=steps),
        elementwise("Hardshrink", inputs=steps),
        elementwise("Hardshrink", 1.2, inputs=steps),
        same("LogSoftmax", 1, wrong=(wrong(5, says=("LogSoftmax", "dimension 1")),)),
        same("LogSoftmax", -1, inputs=normal(4, 5, 2)),
        same("Softmin", 1, wrong=(wrong(5, says=("Softmin", "dimension 1")),)),
    ]


def _losses() -> list[Sample]:
    weights, more = np.array([0.5, 2.0, 1.0, 0.25]), np.array([3.0, 1.0, 0.5, 2.0])

    def tensor(values):
        import torch

        return None if values is None else torch.tensor(values)

    samples = []
    for reduction in ("mean", "sum", "none"):
        empty = EMPTY_MEAN if reduction == "mean" else ""
        samples += [
            Sample(
                lambda r=reduction: nn.MSELoss(r),
                pair_of(4, 2),
                torch=lambda r=reduction: torch_nn().MSELoss(reduction=r),
                wrong=(
                    Wrong(
                        lambda: (np.ones((5, 4)), np.ones((5, 1))),
                        ShapeError,
                        ("MSELoss", "(5, 4)", "(5, 1)"),
                    ),
                ),
                refuses_none=empty,
            ),
            *(
                Sample(
                    lambda r=reduction, w=w, v=v: nn.BCEWithLogitsLoss(w, r, v),
                    logits_and_truths(4),
                    torch=lambda r=reduction, w=w, v=v: torch_nn().BCEWithLogitsLoss(
                        tensor(w), reduction=r, pos_weight=tensor(v)
                    ),
                    wrong=(
                        Wrong(lambda: (np.ones((5, 4)), np.ones((5,))), ShapeError, ("(5, 4)", "(5,)")),
                        Wrong(
                            lambda: (np.ones((5, 4)), np.full((5, 4), 1.5)),
                            ValueError,
                            ("between 0 and 1", "1.5"),
                        ),
                    ),
                    refuses_none=empty,
                )
                for w, v in ((None, None), (weights, more))
            ),
            *(
                Sample(
                    lambda r=reduction, w=w, i=ignored, s=smoothing: nn.CrossEntropyLoss(w, i, r, s),
                    logits_and_labels(4, *shape, ignored=ignored if shape else None),
                    torch=lambda r=reduction, w=w, i=ignored, s=smoothing: torch_nn().CrossEntropyLoss(
                        tensor(w), ignore_index=i, reduction=r, label_smoothing=s
                    ),
                    wrong=(
                        Wrong(
                            lambda: (np.ones((5, 4)), np.array([0, 1, 7, 0, 0])),
                            ValueError,
                            ("0 to 3", "7 at position 2"),
                        ),
                        Wrong(lambda: (np.ones((5, 4)), np.zeros(3, int)), ShapeError, ("(5,)", "(3,)")),
                        Wrong(lambda: (np.ones((5, 4)), np.zeros(5)), DTypeError, ("integer", "float64")),
                    ),
                    refuses_none=empty,
                )
                for w, ignored, smoothing, shape in (
                    (None, -100, 0.0, ()),
                    (weights, 2, 0.1, (2, 3)),
                )
            ),
            Sample(
                lambda r=reduction: nn.CrossEntropyLoss(weights, reduction=r, label_smoothing=0.2),
                logits_and_probabilities(4, 2),
                f"CrossEntropyLoss of probabilities, {reduction}",
                torch=lambda r=reduction: torch_nn().CrossEntropyLoss(
                    tensor(weights), reduction=r, label_smoothing=0.2
                ),
                refuses_none=empty,
            ),
        ]
    return samples


def _more_losses() -> list[Sample]:
    """Each class in all three reductions, its options in one."""
    weights = np.array([0.5, 2.0, 1.0, 0.25])

    def near(rng, n):  # the errors p − t keep away from 0 and ±1, where there are kinks
        p = rng.standard_normal((n, 4, 2))
        return p, p - spaced(4, 2)(rng, n)[0]

    def signs(rng, *shape):
        return rng.integers(0, 2, shape) * 2 - 1

    def inside(rng, *shape):
        return 0.05 + 0.9 * rng.random(shape)

    def pairs(rng, n):
        return rng.standard_normal((n, 4)), rng.standard_normal((n, 4)), signs(rng, n)

    def probabilities(rng, n):
        q = rng.random((n, 4))
        q.reshape(-1)[:1] = 0  # 0 log 0 = 0
        return q

    def refused(name, *inputs, says, error=ValueError):
        return Wrong(lambda: inputs, error, (name, *says))

    def another_shape(name):
        return refused(name, np.ones((5, 4)), np.ones((5, 1)), says=("(5, 4)", "(5, 1)"), error=ShapeError)

    def no_class(name):
        return (
            refused(name, np.ones((3, 4)), np.array([0, 4, 1]), says=("0 to 3", "4 at position 1")),
            refused(name, np.ones((3, 4)), np.zeros(2, int), says=("(3,)", "(2,)"), error=ShapeError),
            refused(name, np.ones((3, 4)), np.zeros(3), says=("integer", "float64"), error=DTypeError),
        )

    def no_sign(name):
        return refused(name, np.ones(3), np.array([1, -1, 0]), says=("1 or -1", "0 at position 2"))

    def below_0(name):
        return (refused(name, half, negative, says=("0 or above", "-0.25 at position 1")),)

    plain = two(lambda rng, n: rng.standard_normal((n, 4)), lambda rng, n: signs(rng, n, 4))
    distances = two(lambda rng, n: spaced(4)(rng, n)[0], lambda rng, n: signs(rng, n, 4))
    chances = two(lambda rng, n: inside(rng, n, 4), lambda rng, n: inside(rng, n, 4))
    labelled, many = logits_and_labels(4), logits_and_labels(4, 2, 3, ignored=2)
    distributed = two(lambda rng, n: rng.standard_normal((n, 4)), lambda rng, n: probabilities(rng, n))
    counts = two(lambda rng, n: rng.standard_normal((n, 4)), lambda rng, n: rng.poisson(2.0, (n, 4)) * 1.0)
    rates = two(lambda rng, n: 3 * inside(rng, n, 4), lambda rng, n: rng.poisson(2.0, (n, 4)) * 1.0)
    bce, poisson = {"no_extremes": "probabilities only"}, {"no_extremes": "e to the 10⁴ is ∞"}
    nll = {"swallows_nan": "only the right class's number is read"}
    half, negative = np.full(3, 0.5), np.array([0.5, -0.25, 0.5])
    not_two = (
        refused(
            "CosineEmbeddingLoss",
            np.ones((3, 4)),
            np.ones((3, 4)),
            np.ones(4),
            says=("(N, D)",),
            error=ShapeError,
        ),
        refused(
            "CosineEmbeddingLoss",
            np.ones((3, 4)),
            np.ones((3, 4), np.float32),
            np.ones(3),
            says=("float32",),
            error=DTypeError,
        ),
        refused(
            "CosineEmbeddingLoss",
            np.ones((3, 4)),
            np.ones((3, 4)),
            np.array([1, 2, -1]),
            says=("2 at position 1",),
        ),
    )
    # (class, arguments, inputs, what is refused, traits); those named once more below come with options
    each = [
        ("L1Loss", {}, near, (another_shape("L1Loss"),), {}),
        ("SmoothL1Loss", {}, near, (another_shape("SmoothL1Loss"),), {}),
        ("HuberLoss", {}, near, (another_shape("HuberLoss"),), {}),
        (
            "BCELoss",
            {},
            chances,
            (
                refused(
                    "BCELoss", negative, half, says=("predictions between 0 and 1", "-0.25 at position 1")
                ),
                refused("BCELoss", half, negative, says=("targets between 0 and 1", "-0.25 at position 1")),
            ),
            bce,
        ),
        ("SoftMarginLoss", {}, plain, (no_sign("SoftMarginLoss"),), {}),
        ("HingeEmbeddingLoss", {}, distances, (no_sign("HingeEmbeddingLoss"),), {}),
        ("NLLLoss", {}, labelled, no_class("NLLLoss"), nll),
        ("NLLLoss", {"weight": weights, "ignore_index": 2}, many, (), nll),
        ("MultiMarginLoss", {}, labelled, no_class("MultiMarginLoss"), {}),
        (
            "KLDivLoss",
            {},
            distributed,
            below_0("KLDivLoss"),
            {},
        ),
        (
            "PoissonNLLLoss",
            {},
            counts,
            below_0("PoissonNLLLoss"),
            poisson,
        ),
        ("CosineEmbeddingLoss", {"margin": -0.2}, pairs, not_two, {}),
    ]
    once = [
        ("SmoothL1Loss", {"beta": 0.6}, near, (), {}),
        ("SmoothL1Loss", {"beta": 0.0}, near, (), {}),
        ("HuberLoss", {"delta": 0.6}, near, (), {}),
        ("BCELoss", {"weight": weights}, chances, (), bce),
        ("HingeEmbeddingLoss", {"margin": 0.4}, distances, (), {}),
        ("MultiMarginLoss", {"p": 2, "margin": 0.7, "weight": weights}, labelled, (), {}),
        ("KLDivLoss", {"log_target": True}, pair_of(4), (), {}),
        ("PoissonNLLLoss", {"full": True}, counts, (), poisson),
        ("PoissonNLLLoss", {"log_input": False, "eps": 0.1}, rates, (), {"no_extremes": "rates only"}),
    ]
    return [
        *(
            same(
                name,
                inputs=inputs,
                how={**how, "reduction": reduction},
                wrong=wrong,
                refuses_none=EMPTY_MEAN if reduction in ("mean", "batchmean") else "",
                **traits,
            )
            for rows, reductions in ((each, ("mean", "sum", "none")), (once, ("mean",)))
            for name, how, inputs, wrong, traits in rows
            for reduction in (*reductions, *(("batchmean",) if name == "KLDivLoss" else ()))
        ),
        same(
            "CosineSimilarity",
            inputs=pair_of(4, 2),
            wrong=(
                refused(
                    "CosineSimilarity",
                    np.ones((3, 4)),
                    np.ones((3, 5)),
                    says=("broadcast", "(3, 5)"),
                    error=ShapeError,
                ),
                refused(
                    "CosineSimilarity", np.ones(3), np.ones(3), says=("dimension 1", "(3,)"), error=ShapeError
                ),
            ),
        ),
        same(
            "CosineSimilarity",
            how={"dim": -1},
            inputs=lambda rng, n: (rng.standard_normal((n, 4, 1, 3)), rng.standard_normal((1, 2, 3))),
        ),
        Sample(
            lambda: nn.CosineSimilarity(eps=2.0), pair_of(4), "CosineSimilarity of vectors shorter than eps"
        ),
    ]


def _branches() -> list[Sample]:
    def torch_branches(forward, **branches):
        t = torch_nn()

        class Branches(t.Module):
            def __init__(self):
                super().__init__()
                for name, branch in branches.items():
                    self.add_module(name.removeprefix("_"), branch)

            def forward(self, x):
                return forward(*(branch(x) for branch in self.children()), x)

        return Branches()

    def torch_concat():
        import torch

        t = torch_nn()
        cat = lambda a, b, c, x: torch.cat([a, b, c], 2)  # noqa: E731
        return torch_branches(cat, _0=t.Linear(3, 4), _1=t.Identity(), _2=t.Linear(3, 1))

    return [
        Sample(
            lambda: nn.Residual(nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 3))),
            normal(3),
            "Residual",
            torch=lambda: torch_branches(
                lambda y, x: y + x,
                body=torch_nn().Sequential(
                    torch_nn().Linear(3, 5), torch_nn().Tanh(), torch_nn().Linear(5, 3)
                ),
            ),
            wrong=(wrong(5, 4, says=("Linear(3, 5)", "(*, 3)")),),
        ),
        Sample(
            lambda: nn.Residual(nn.Linear(3, 4), nn.Linear(3, 4, bias=False)),
            normal(3),
            "Residual with a shortcut",
            torch=lambda: torch_branches(
                lambda y, s, x: y + s,
                body=torch_nn().Linear(3, 4),
                shortcut=torch_nn().Linear(3, 4, bias=False),
            ),
        ),
        Sample(
            lambda: nn.Concat(nn.Linear(3, 4), nn.Identity(), nn.Linear(3, 1), dim=2),
            normal(5, 3),
            "Concat",
            torch=torch_concat,
            wrong=(wrong(5, 2, 4, says=("Linear(3, 4)", "(*, 3)")),),
        ),
    ]


def _residual_networks() -> list[Sample]:
    batch = {"differs_in_eval": BATCH_STATISTICS, "refuses_none": ONE_VALUE}
    few = {**batch, "elements": 3}  # hundreds of tensors, two forwards for each number: the blocks check all

    def no_channels(name: str, channels: int):
        return (wrong(2, channels + 1, 8, 8, says=(name, f"(N, {channels}, H, W)")),)

    def projection(inplanes: int, planes: int, stride: int):
        return nn.Sequential(nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))

    return [
        Sample(lambda: BasicBlock(3, 3), normal(3, 4, 5), "BasicBlock", **batch),
        Sample(
            lambda: BasicBlock(2, 3, 2, projection(2, 3, 2)), normal(2, 5, 6), "BasicBlock, stride 2", **batch
        ),
        Sample(lambda: Bottleneck(8, 2), normal(8, 3, 4), "Bottleneck", **batch),
        Sample(
            lambda: Bottleneck(3, 2, 2, projection(3, 8, 2), groups=2, base_width=32, dilation=2),
            normal(3, 5, 6),
            "Bottleneck with all options",
            **batch,
        ),
        Sample(lambda: PlainBlock(2, 3, 2), normal(2, 5, 6), "PlainBlock", **batch),
        Sample(
            lambda: PaddedShortcut(2, 5),
            normal(2, 5, 6),
            wrong=(wrong(4, 3, 5, 6, says=("PaddedShortcut(2, 5)", "(N, 2, H, W)")),),
        ),
        *(
            Sample(
                # without batch norm, so that a few pixels suffice; test_against_torchvision has it
                lambda b=block: models.ResNet(
                    b, [2, 1, 1, 1], 3, norm_layer=nn.Identity, in_channels=2, width_mult=1 / 32
                ),
                normal(2, 9, 10),
                f"ResNet of {block.__name__}",
                wrong=no_channels("ResNet", 2),
                elements=3,
            )
            for block in (BasicBlock, Bottleneck)
        ),
        *(
            Sample(
                lambda s=shortcuts: models.CifarResNet(8, 3, s, in_channels=2, width_mult=1 / 8),
                normal(2, 8, 9),
                name,
                wrong=no_channels("CifarResNet", 2),
                **few,
            )
            for name, shortcuts in (("CifarResNet", True), ("CifarResNet without shortcuts", False))
        ),
    ]


def _convolutional_networks() -> list[Sample]:
    """Narrow ones, each on the smallest images it takes; their blocks are checked number by number.

    The largest come without batch norm, so that few pixels suffice; test_against_torchvision has it.
    """
    batch = {"differs_in_eval": BATCH_STATISTICS, "refuses_none": ONE_VALUE}
    few = {"elements": 3}  # of a hundred tensors

    def no_channels(name: str, shape: tuple[int, ...], *, least: int = 0):
        channels, *size = shape
        small = (wrong(2, channels, least - 1, least, says=(name, f"{least}×{least}")),) if least else ()
        return (wrong(2, channels + 1, *size, says=(name, f"(N, {channels}, H, W)")), *small)

    def vgg(batch_norm: bool, hidden: tuple[int, ...], dropout: float = 0.0):
        features = vgg_layers([2, "M", 3, 4, "M"], batch_norm, in_channels=2)
        return models.VGG(features, 3, dropout=dropout, hidden=hidden, grid=2)

    def googlenet():
        network = models.GoogLeNet(3, False, True, False, 0.0, 0.0, width_mult=1 / 24, norm_layer=nn.Identity)
        init_convolutions(network)  # else nothing is left of a gradient that went through all layers
        return network

    def mobilenet():
        setting = [[1, 16, 1, 1], [2, 24, 2, 2]]
        network = models.MobileNetV2(3, 0.1, setting, 2, None, nn.Identity, 0.0, in_channels=2)
        network.features[-1] = nn.Conv2d(4, 6, 1)  # 1,280 times ReLU6: some number always is at a kink
        network.classifier[1] = nn.Linear(6, 3)
        return network

    return [
        Sample(lambda: InvertedResidual(3, 3, 1, 2), normal(3, 4, 5), "InvertedResidual", **batch),
        Sample(lambda: InvertedResidual(2, 3, 2, 3), normal(2, 5, 6), "InvertedResidual, stride 2", **batch),
        Sample(lambda: InvertedResidual(3, 3, 1, 1), normal(3, 4, 5), "InvertedResidual, ratio 1", **batch),
        Sample(lambda: Inception(3, 2, 2, 3, 1, 2, 1), normal(3, 4, 5), "Inception", **batch),
        Sample(
            lambda: InceptionAux(3, 4, 0.0, width_mult=1 / 64),
            normal(3, 5, 6),
            "InceptionAux",
            **batch,
        ),
        Sample(
            lambda: models.Perceptron(12, 4),
            normal(3, 4),
            "Perceptron",
            torch=lambda: torch_nn().Sequential(
                OrderedDict(flatten=torch_nn().Flatten(), fc=torch_nn().Linear(12, 4))
            ),
            wrong=(wrong(5, 4, says=("Linear(12, 4)", "(*, 12)")),),
        ),
        Sample(
            lambda: models.AlexNet(3, 0.0, in_channels=2, width_mult=1 / 64),
            normal(2, 63, 64),
            "AlexNet",
            wrong=no_channels("AlexNet", (2, 63, 64), least=63),
            **few,
        ),
        Sample(
            lambda: vgg(False, (5, 4), 0.3),
            normal(2, 8, 9),
            "VGG with dropout",
            wrong=no_channels("VGG", (2, 8, 9), least=4),
            differs_in_eval=DRAWS,
        ),
        Sample(lambda: vgg(True, ()), normal(2, 8, 9), "VGG with batch norm", **batch),
        Sample(
            googlenet,
            normal(3, 15, 16),
            "GoogLeNet",
            wrong=no_channels("GoogLeNet", (3, 15, 16), least=15),
            elements=1,
        ),
        Sample(
            mobilenet,
            normal(2, 9, 10),
            "MobileNetV2",
            wrong=no_channels("MobileNetV2", (2, 9, 10)),
            **few,
        ),
    ]


def _networks() -> list[Sample]:
    def torch_mlp():
        t = torch_nn()

        class MLP(t.Module):
            def __init__(self):
                super().__init__()
                self.layers = t.Sequential(
                    t.Flatten(), t.Linear(12, 7), t.ReLU(), t.Linear(7, 5), t.ReLU(), t.Linear(5, 4)
                )

            def forward(self, x):
                return self.layers(x)

        return MLP()

    def torch_lenet():
        t = torch_nn()

        class LeNet5(t.Module):
            def __init__(self):
                super().__init__()
                self.conv1, self.conv2 = t.Conv2d(1, 6, 5, padding=2), t.Conv2d(6, 16, 5)
                self.fc1, self.fc2, self.fc3 = t.Linear(400, 120), t.Linear(120, 84), t.Linear(84, 10)

            def forward(self, x):
                f = t.functional
                x = f.max_pool2d(self.conv1(x).relu(), 2)
                x = f.max_pool2d(self.conv2(x).relu(), 2).flatten(1)
                return self.fc3(self.fc2(self.fc1(x).relu()).relu())

        return LeNet5()

    return [
        Sample(
            lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)),
            normal(3),
            "Sequential",
            torch=lambda: torch_nn().Sequential(
                torch_nn().Linear(3, 5), torch_nn().Tanh(), torch_nn().Linear(5, 2)
            ),
            wrong=(wrong(5, 4, says=("Linear(3, 5)", "(*, 3)")),),
        ),
        *_branches(),
        *_residual_networks(),
        *_convolutional_networks(),
        Sample(
            lambda: models.MLP(12, (7, 5), 4),
            normal(3, 4),
            "MLP",
            torch=torch_mlp,
            wrong=(wrong(5, 4, says=("Linear(12, 7)", "(*, 12)")),),
        ),
        Sample(
            lambda: models.MLP(12, (7,), 4, dropout=0.4),
            normal(12),
            "MLP with dropout",
            differs_in_eval=DRAWS,
        ),
        Sample(
            lambda: models.LeNet5(),
            normal(1, 28, 28),
            "LeNet5",
            torch=torch_lenet,
            elements=12,  # 61,706 parameters, two forwards for each: the layers' own samples check every one
            wrong=(wrong(5, 1, 32, 32, says=("LeNet5", "(N, 1, 28, 28)")),),
        ),
    ]


PADDING = "padding is looked up and learns nothing"
FREQUENT = "the gradient of a word is divided by its frequency"


def words(rows: int, *shape: int):
    """Indices (n, *shape) of rows, some of them more than once."""
    return lambda rng, n: (rng.integers(0, rows, (n, *shape)),)


def bags(rows: int, last: bool = False, weighted: bool = False, kind: type = np.int64):
    """Indices, where each of n bags begins (the second is empty), and weights for each index."""

    def make(rng, n):
        sizes = rng.integers(1, 6, n)
        sizes[1:2] = 0
        ends = np.concatenate([[0], np.cumsum(sizes)])
        x = rng.integers(0, rows, ends[-1])
        offsets = ends if last else ends[:-1]
        return (x.astype(kind), offsets.astype(kind), *([rng.standard_normal(len(x))] if weighted else []))

    return make


def _embeddings() -> list[Sample]:
    def refused(*inputs, says, error=ShapeError, name="EmbeddingBag(7, 3)"):
        return Wrong(lambda: inputs, error, (name, *says))

    def outside(name):
        return (
            refused(
                np.array([[0, 1], [6, 7]]),
                says=("from 0 to 6", "7 at position (1, 1)"),
                error=IndexError,
                name=name,
            ),
            refused(
                np.array([[-1, 7]]),
                says=("from 0 to 6", "-1 at position (0, 0)"),
                error=IndexError,
                name=name,
            ),
        )

    x, long = np.zeros((2, 3), np.int64), np.zeros(4, np.int64)
    bag_wrong = (
        *outside("EmbeddingBag(7, 3)"),
        refused(long, says=("(B, L)", "(4,)")),
        refused(x, np.array([0]), says=("(n,) with offsets (B,)", "(2, 3)")),
        refused(long, np.array([1, 2]), says=("first offset to be 0",), error=ValueError),
        refused(long, np.array([0, 3, 2]), says=("never fall",), error=ValueError),
        refused(long, np.array([0, 5]), says=("at most 4",), error=ValueError),
        refused(long, np.array([0.0]), says=("offsets of dtype int32 or int64",), error=DTypeError),
        refused(long, np.array([0]), np.ones(4), says=("only with mode='sum'", "'mean'"), error=ValueError),
    )
    sum_wrong = (
        refused(long, np.array([0]), np.ones(3), says=("per_sample_weights (4,)", "(3,)")),
        refused(long, np.array([0]), np.ones(4, np.float32), says=("float64", "float32"), error=DTypeError),
    )
    last_wrong = (
        refused(long, np.array([], np.int64), says=("offsets (B + 1,)",)),
        refused(long, np.array([0, 3]), says=("last offset to be 4",), error=ValueError),
    )
    sizes = {"num_embeddings": 7, "embedding_dim": 3}
    return [
        same(
            "Bilinear",
            3,
            4,
            2,
            inputs=lambda rng, n: (rng.standard_normal((n, 3)), rng.standard_normal((n, 4))),
            wrong=(
                refused(np.ones((5, 4)), np.ones((5, 4)), says=("(*, 3)",), name="Bilinear(3, 4, 2)"),
                refused(np.ones((5, 3)), np.ones((5, 3)), says=("(*, 4)",), name="Bilinear(3, 4, 2)"),
                refused(np.ones((5, 3)), np.ones((2, 4)), says=("leading", "(2, 4)"), name="Bilinear"),
                refused(
                    np.ones((5, 3)),
                    np.ones((5, 4), np.float32),
                    says=("float64 and float32",),
                    error=DTypeError,
                    name="Bilinear",
                ),
            ),
        ),
        same(
            "Bilinear",
            3,
            4,
            2,
            False,
            inputs=lambda rng, n: (rng.standard_normal((n, 5, 3)), rng.standard_normal((n, 5, 4))),
        ),
        same(
            "Unflatten",
            1,
            (2, 3),
            inputs=normal(6, 4),
            wrong=(
                wrong(2, 5, says=("Unflatten", "(2, 3)")),
                wrong(6, says=("Unflatten", "dimension 1")),
                wrong(says=("Unflatten", "dimension 1")),
            ),
        ),
        same("Unflatten", -1, (2, -1, 1), inputs=normal(3, 4), wrong=(wrong(2, 5, says=("(2, -1, 1)",)),)),
        same("Embedding", inputs=words(7, 5), how=sizes, wrong=outside("Embedding(7, 3)")),
        same(
            "Embedding",
            inputs=lambda rng, n: (rng.integers(0, 7, (n, 2, 4), np.int32),),
            how={**sizes, "padding_idx": -3},
            not_derivatives=PADDING,
        ),
        same(
            "Embedding",
            inputs=words(7, 5),
            how={**sizes, "scale_grad_by_freq": True},
            not_derivatives=FREQUENT,
        ),
        same("Embedding", inputs=words(7, 5), how={**sizes, "sparse": True}),
        same(
            "Embedding",
            inputs=words(7, 5),
            how={**sizes, "padding_idx": 2, "sparse": True},
            not_derivatives=PADDING,
        ),
        same("Embedding", inputs=words(7), how={**sizes, "max_norm": 100.0, "norm_type": 1.0}),
        *(
            same("EmbeddingBag", inputs=words(7, 5), how={**sizes, "mode": mode}, wrong=bag_wrong[:2])
            for mode in ("sum", "mean", "max")
        ),
        same("EmbeddingBag", inputs=words(7, 5), how={**sizes, "padding_idx": 1}),
        same("EmbeddingBag", inputs=bags(7), how=sizes, wrong=bag_wrong),
        same(
            "EmbeddingBag",
            inputs=bags(7, last=True, kind=np.int32),
            how={**sizes, "mode": "max", "include_last_offset": True, "padding_idx": 3},
            wrong=last_wrong,
        ),
        same("EmbeddingBag", inputs=bags(7), how={**sizes, "padding_idx": -1}),
        Sample(  # PyTorch 2.13 divides by the frequency of another word, see tests/nn/test_embedding.py
            lambda: nn.EmbeddingBag(7, 3, scale_grad_by_freq=True, padding_idx=2),
            bags(3),
            not_derivatives=FREQUENT,
        ),
        same(
            "EmbeddingBag",
            inputs=bags(7, weighted=True),
            how={**sizes, "mode": "sum", "padding_idx": 0},
            wrong=sum_wrong,
        ),
        same(
            "EmbeddingBag",
            inputs=bags(7, weighted=True),
            how={**sizes, "mode": "sum", "sparse": True, "padding_idx": 0},
        ),
    ]


SAMPLES = [
    *_layers(),
    *_more_pools(),
    *_normalisations(),
    *_dropouts(),
    *_convolutions(),
    *_activations(),
    *_losses(),
    *_more_losses(),
    *_losses_of_heads(),
    *_networks(),
    *_embeddings(),
]
