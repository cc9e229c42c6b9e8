"""Every network by its name: the figures that are listed are right, and all are built for any images."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidl import kernels, models, nn
from minidl.errors import ShapeError
from minidl.kernels.geometry import output_sizes
from minidl.models.registry import NETWORKS, check_fits
from minidl.nn.summary import multiply_adds, summary_table
from minidl.nn.utils import skip_init


@pytest.fixture
def unmultiplied(monkeypatch):
    """The large kernels give zeros of the right shape at once: only shapes are looked at."""

    def zeros(shape):
        return np.zeros(shape, np.float32)

    def conv2d(x, weight, bias, stride, padding, dilation, groups):
        return zeros(
            (*x.shape[:1], len(weight), *output_sizes(x.shape, weight.shape[2:], stride, padding, dilation))
        )

    def max_pool2d(x, *window):
        return zeros((*x.shape[:2], *output_sizes(x.shape, *window))), None

    monkeypatch.setattr(kernels, "conv2d", conv2d)
    monkeypatch.setattr(kernels, "linear", lambda x, weight, bias: zeros((len(x), len(weight))))
    monkeypatch.setattr(kernels, "max_pool2d", max_pool2d)
    monkeypatch.setattr(kernels, "relu", lambda x: (zeros(x.shape), None))
    monkeypatch.setattr(kernels, "batch_norm_fixed", lambda x, *statistics: zeros(x.shape))
    monkeypatch.setattr(kernels, "batch_norm", lambda x, *how: (zeros(x.shape), *zeros((2, x.shape[1]))))


def built(name: str) -> nn.Module:
    options = {"aux_logits": False} if name == "googlenet" else {}
    return skip_init(models.get_model, name, **options)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_listed_figures_are_those_of_the_network(name, unmultiplied):
    network, model = NETWORKS[name], built(name)
    assert sum(parameter.size for parameter in model.parameters()) == network.parameters
    assert multiply_adds(model, (1, *network.input_shape)) == network.multiply_adds


@pytest.mark.parametrize("name", ["perceptron", "mlp", "lenet5", "resnet20", "mobilenet_v2"])
def test_what_really_runs_counts_the_same(name):
    assert multiply_adds(built(name), (1, *NETWORKS[name].input_shape)) == NETWORKS[name].multiply_adds


def test_a_batch_counts_for_each_image():
    assert multiply_adds(models.LeNet5(), (3, 1, 28, 28)) == 3 * NETWORKS["lenet5"].multiply_adds


PUBLISHED = {  # of torchvision's documentation: parameters, and giga-multiply-adds for 224×224
    "alexnet": (61_100_840, 0.71),
    "vgg11": (132_863_336, 7.61),
    "vgg13_bn": (133_053_736, 11.31),
    "vgg16": (138_357_544, 15.47),
    "vgg19": (143_667_240, 19.63),
    "googlenet": (6_624_904, 1.50),
    "resnet18": (11_689_512, 1.81),
    "resnet34": (21_797_672, 3.66),
    "resnet50": (25_557_032, 4.09),
    "resnet101": (44_549_160, 7.80),
    "resnet152": (60_192_808, 11.51),
    "mobilenet_v2": (3_504_872, 0.30),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_listed_figures_are_the_published_ones(name):
    parameters, giga = PUBLISHED[name]
    assert NETWORKS[name].parameters == parameters
    assert round(NETWORKS[name].multiply_adds / 1e9, 2) == giga


def test_the_residual_networks_for_cifar_have_the_papers_sizes():
    for depth, millions in ((20, 0.27), (32, 0.46), (56, 0.85)):  # table 6
        assert round(NETWORKS[f"resnet{depth}"].parameters / 1e6, 2) == millions
        assert NETWORKS[f"plain{depth}"].parameters == NETWORKS[f"resnet{depth}"].parameters


KEYS = {
    "alexnet": "features.0.weight features.10.bias classifier.1.weight classifier.6.bias",
    "vgg16": "features.28.weight classifier.0.weight classifier.6.bias",
    "vgg16_bn": "features.0.weight features.1.running_var features.40.weight classifier.3.bias",
    "googlenet": "conv1.conv.weight conv1.bn.num_batches_tracked inception3a.branch1.conv.weight "
    "inception4e.branch2.1.bn.weight inception5b.branch4.1.conv.weight fc.bias",
    "resnet18": "conv1.weight bn1.running_mean layer1.0.conv1.weight layer2.0.downsample.0.weight "
    "layer4.1.bn2.bias fc.weight",
    "resnet50": "layer1.0.downsample.1.bias layer3.5.conv3.weight layer4.2.bn3.weight fc.bias",
    "mobilenet_v2": "features.0.0.weight features.1.conv.0.0.weight features.1.conv.2.bias "
    "features.2.conv.1.1.running_mean features.17.conv.3.weight features.18.1.bias classifier.1.weight",
}


@pytest.mark.parametrize("name", KEYS)
def test_some_names_that_published_weights_have(name):
    model = built(name)
    here = {key for key, _ in [*model.named_parameters(), *model.named_buffers()]}
    assert set(KEYS[name].split()) <= here


@pytest.mark.parametrize("shape", [(1, 28, 28, 10), (3, 32, 32, 100)], ids=["grey", "colour"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_for_images_of_a_data_set(name, shape, unmultiplied):
    *image, classes = shape
    if not NETWORKS[name].fits(*image[1:]):
        fitting = ", ".join(other for other in NETWORKS if NETWORKS[other].fits(*image[1:]))
        with pytest.raises(ShapeError, match=rf"{name}: expected images of .*, which fit {fitting}$"):
            models.model_for_images(name, *shape)
        return
    model = skip_init(models.model_for_images, name, *shape)
    assert model(np.zeros((2, *image), np.float32)).shape == (2, classes)


def test_googlenet_has_its_heads_if_they_are_asked_for():
    model = skip_init(models.model_for_images, "googlenet", 1, 28, 28, 10, aux_logits=True)
    assert [y.shape for y in model(np.zeros((2, 1, 28, 28), np.float32))] == [(2, 10)] * 3
    with pytest.raises(ValueError, match=r"expected googlenet for auxiliary heads .*, got mlp"):
        models.model_for_images("mlp", 1, 28, 28, 10, aux_logits=True)


def test_which_networks_take_which_images():
    assert NETWORKS["lenet5"].fits(32, 32)
    assert not NETWORKS["lenet5"].fits(28, 32)
    assert not NETWORKS["lenet5"].fits(64, 64)
    with pytest.raises(ShapeError, match="vgg16: expected images of at least 32×32 pixels, got 28×28"):
        check_fits("vgg16", 28, 28)
    with pytest.raises(ShapeError, match="lenet5: expected images of 28×28 or 32×32 pixels, got 224×224"):
        check_fits("lenet5", 224, 224)


@pytest.mark.parametrize("name", [n for n in NETWORKS if NETWORKS[n].least > 1])
def test_the_least_size_is_the_least(name, unmultiplied):
    least = NETWORKS[name].least
    model = built(name).eval()
    assert model(np.zeros((1, 3, least, least), np.float32)).shape[0] == 1
    with pytest.raises(ShapeError, match=rf"at least {least}×{least} pixels"):
        model(np.zeros((1, 3, least - 1, least), np.float32))


def test_the_same_seed_builds_the_same_network():
    one, two = (
        models.model_for_images("resnet20", 3, 32, 32, 10, rng=np.random.default_rng(5)).state_dict()
        for _ in range(2)
    )
    for key, values in one.items():
        np.testing.assert_array_equal(values, two[key])


def test_unknown_names_are_refused():
    assert "resnet18" in models.list_models()
    for ask in (
        lambda: models.get_model("resnet19"),
        lambda: models.model_for_images("resnet19", 1, 28, 28, 10),
        lambda: check_fits("resnet19", 28, 28),
    ):
        with pytest.raises(ValueError, match=r"expected a network of perceptron, .*, got 'resnet19'"):
            ask()


def test_the_summary_adds_up():
    model = models.CifarResNet(8, 3)
    rows = [line.split() for line in summary_table(model, (2, 3, 8, 8)).splitlines()]
    table = {row[0]: row for row in rows[2:-2]}
    assert table["conv1"][-2:] == ["432", f"{2 * 8 * 8 * 432:,}"]
    assert table["layer2.0.conv1"][-2:] == ["4,608", f"{2 * 4 * 4 * 4608:,}"]
    assert table["bn1"][-2:] == ["32", "0"]
    assert table["fc"][-2:] == ["195", f"{2 * 64 * 3}"]
    total = sum(int(row[-1].replace(",", "")) for row in table.values())
    assert rows[-1][-2:] == [f"{total:,}", "multiply-adds"]


def test_a_layer_that_runs_twice_counts_twice():
    class Twice(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(self.layer(x))

    assert multiply_adds(Twice(), (5, 4)) == 2 * 5 * 16


def test_depthwise_and_grouped_convolutions_count_their_own_weights():
    x = (1, 4, 6, 7)
    assert multiply_adds(nn.Conv2d(4, 8, 3, padding=1), x) == 6 * 7 * math.prod((8, 4, 3, 3))
    assert multiply_adds(nn.Conv2d(4, 8, 3, padding=1, groups=4), x) == 6 * 7 * math.prod((8, 1, 3, 3))
