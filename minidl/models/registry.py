"""Every network by its name: how it is built for given images, whose it is, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minidl.errors import ShapeError
from minidl.models import alex_net, inception, mobilenetv2, resnet, resnet_cifar, vgg
from minidl.models.lenet5 import LeNet5
from minidl.models.mlp import MLP
from minidl.models.perceptron import Perceptron
from minidl.nn import Module

__all__ = ["NETWORKS", "Network", "check_fits", "check_heads", "get_model", "list_models", "model_for_images"]

Rng = np.random.Generator


class Network(NamedTuple):
    """One network's entry.

    Attributes:
        make: builds it; its options are those of the function or class of the same name.
        paper: who described it.
        year: and when.
        input_shape: of one image, (channels, height, width), for which the next two figures hold.
        parameters: how many; without auxiliary heads.
        multiply_adds: how many for one image, as `module.summary()` counts them.
        least: the smallest height and width that it takes.
        sizes: the only heights and widths that it takes, if not all from `least` on.
    """

    make: Callable[..., Module]
    paper: str
    year: int
    input_shape: tuple[int, int, int]
    parameters: int
    multiply_adds: int
    least: int = 1
    sizes: tuple[int, ...] = ()

    def fits(self, height: int, width: int) -> bool:
        """Whether it takes images of this size."""
        if self.sizes:
            return height == width and height in self.sizes
        return min(height, width) >= self.least


GREY, SMALL, PHOTO = (1, 28, 28), (3, 32, 32), (3, 224, 224)
HE, VERY_DEEP = "He, Zhang, Ren, Sun", "Simonyan, Zisserman"

# That the figures are right is a test, which builds every network and counts.
NETWORKS: dict[str, Network] = {
    "perceptron": Network(Perceptron, "Rosenblatt", 1958, GREY, 7_850, 7_840),
    "mlp": Network(MLP, "Rumelhart, Hinton, Williams", 1986, GREY, 101_770, 101_632),
    "lenet5": Network(LeNet5, "LeCun, Bottou, Bengio, Haffner", 1998, GREY, 61_706, 416_520, sizes=(28, 32)),
    "alexnet": Network(
        alex_net.alexnet, "Krizhevsky, Sutskever, Hinton", 2012, PHOTO, 61_100_840, 714_188_480, 63
    ),
    "vgg11": Network(vgg.vgg11, VERY_DEEP, 2014, PHOTO, 132_863_336, 7_609_090_048, 32),
    "vgg11_bn": Network(vgg.vgg11_bn, VERY_DEEP, 2014, PHOTO, 132_868_840, 7_609_090_048, 32),
    "vgg13": Network(vgg.vgg13, VERY_DEEP, 2014, PHOTO, 133_047_848, 11_308_466_176, 32),
    "vgg13_bn": Network(vgg.vgg13_bn, VERY_DEEP, 2014, PHOTO, 133_053_736, 11_308_466_176, 32),
    "vgg16": Network(vgg.vgg16, VERY_DEEP, 2014, PHOTO, 138_357_544, 15_470_264_320, 32),
    "vgg16_bn": Network(vgg.vgg16_bn, VERY_DEEP, 2014, PHOTO, 138_365_992, 15_470_264_320, 32),
    "vgg19": Network(vgg.vgg19, VERY_DEEP, 2014, PHOTO, 143_667_240, 19_632_062_464, 32),
    "vgg19_bn": Network(vgg.vgg19_bn, VERY_DEEP, 2014, PHOTO, 143_678_248, 19_632_062_464, 32),
    "vgg11_cifar": Network(vgg.vgg11_cifar, VERY_DEEP, 2014, SMALL, 9_231_114, 152_769_536, 32),
    "vgg16_cifar": Network(vgg.vgg16_cifar, VERY_DEEP, 2014, SMALL, 14_728_266, 313_201_664, 32),
    "googlenet": Network(
        inception.googlenet, "Szegedy and others", 2014, PHOTO, 6_624_904, 1_498_376_192, 15
    ),
    "resnet18": Network(resnet.resnet18, HE, 2015, PHOTO, 11_689_512, 1_814_073_344),
    "resnet34": Network(resnet.resnet34, HE, 2015, PHOTO, 21_797_672, 3_663_761_408),
    "resnet50": Network(resnet.resnet50, HE, 2015, PHOTO, 25_557_032, 4_089_184_256),
    "resnet101": Network(resnet.resnet101, HE, 2015, PHOTO, 44_549_160, 7_801_405_440),
    "resnet152": Network(resnet.resnet152, HE, 2015, PHOTO, 60_192_808, 11_513_626_624),
    "resnet20": Network(resnet_cifar.resnet20, HE, 2015, SMALL, 269_722, 40_551_040),
    "resnet32": Network(resnet_cifar.resnet32, HE, 2015, SMALL, 464_154, 68_862_592),
    "resnet56": Network(resnet_cifar.resnet56, HE, 2015, SMALL, 853_018, 125_485_696),
    "plain20": Network(resnet_cifar.plain20, HE, 2015, SMALL, 269_722, 40_551_040),
    "plain32": Network(resnet_cifar.plain32, HE, 2015, SMALL, 464_154, 68_862_592),
    "plain56": Network(resnet_cifar.plain56, HE, 2015, SMALL, 853_018, 125_485_696),
    "mobilenet_v2": Network(
        mobilenetv2.mobilenet_v2, "Sandler and others", 2018, PHOTO, 3_504_872, 300_774_272
    ),
}


def list_models() -> list[str]:
    """The names of all networks, those of one paper together, the oldest first."""
    return list(NETWORKS)


def get_model(name: str, **config: Any) -> Module:
    """Build a network by its name.

    Args:
        name: one of `list_models()`.
        **config: its options, such as `num_classes`.

    Raises:
        ValueError: there is no network of this name.
    """
    return _entry(name).make(**config)


def check_fits(name: str, height: int, width: int) -> None:
    """Refuse a network that does not take images of this size.

    Raises:
        ValueError: there is no network of this name.
        ShapeError: it says what the network takes, and which networks take these images.
    """
    network = _entry(name)
    if network.fits(height, width):
        return
    sizes = " or ".join(f"{size}×{size}" for size in network.sizes)
    takes = sizes or f"at least {network.least}×{network.least}"
    others = ", ".join(other for other in NETWORKS if NETWORKS[other].fits(height, width))
    raise ShapeError(f"{name}: expected images of {takes} pixels, got {height}×{width}, which fit {others}")


def check_heads(name: str, aux_logits: bool) -> None:
    """Refuse auxiliary heads of a network that has none.

    Raises:
        ValueError: they are wanted of another network than GoogLeNet.
    """
    if aux_logits and name != "googlenet":
        raise ValueError(f"expected googlenet for auxiliary heads (aux_logits), got {name}")


def model_for_images(
    name: str,
    channels: int,
    height: int,
    width: int,
    num_classes: int,
    *,
    aux_logits: bool = False,
    rng: Rng | None = None,
) -> Module:
    """Build a network for these images: their channels and size go in, one logit for each class comes out.

    Every network gives one array, unless GoogLeNet is asked for its auxiliary heads. They are meant for
    images of 224×224, of which they see 14×14 places; of 28×28 and 32×32 there are 2×2 left.

    Args:
        name: one of `list_models()`.
        channels: 1 for grey images, 3 for colour.
        height: of an image.
        width: of an image.
        num_classes: size of the output.
        aux_logits: True builds GoogLeNet with its auxiliary heads, to be trained by `nn.AuxiliaryLoss`.
        rng: where the initial values are drawn from.

    Raises:
        ValueError: there is no network of this name, or it has no auxiliary heads.
        ShapeError: it does not take images of this size.
    """
    check_fits(name, height, width)
    check_heads(name, aux_logits)
    make = _entry(name).make
    if name in ("perceptron", "mlp"):
        return make(in_features=channels * height * width, out_features=num_classes, rng=rng)
    options: dict[str, Any] = {"lenet5": {"image_size": height}, "googlenet": {"aux_logits": aux_logits}}
    return make(num_classes=num_classes, in_channels=channels, rng=rng, **options.get(name, {}))


def _entry(name: str) -> Network:
    if name not in NETWORKS:
        raise ValueError(f"expected a network of {', '.join(NETWORKS)}, got {name!r}")
    return NETWORKS[name]
