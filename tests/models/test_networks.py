"""What is special about single networks: GoogLeNet's heads, where weights start, what is refused."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

from minidl import models, nn
from minidl.errors import BackwardError, ShapeError
from minidl.models import inception
from minidl.models.mobilenetv2 import InvertedResidual
from minidl.models.resnet import BasicBlock, Bottleneck
from minidl.models.resnet_cifar import PaddedShortcut
from minidl.models.vgg import LAYERS, make_layers
from minidl.nn.utils import skip_init
from minidl.testing import Bug, planted


def small_googlenet(**options):
    make = partial(models.GoogLeNet, 3, dropout=0.0, dropout_aux=0.0, init_weights=False, width_mult=1 / 16)
    return make(rng=np.random.default_rng(1), **options).double()


def check_heads():
    """Along a random direction v, each head's outputs change by what its own gradient says: dx · v."""
    rng = np.random.default_rng(0)
    x, v, h = rng.standard_normal((3, 3, 33, 40)), rng.standard_normal((3, 3, 33, 40)), 1e-6
    network, dy = small_googlenet(), rng.standard_normal((3, 3))
    for head in range(3):
        slope = ((network(x + h * v)[head] - network(x - h * v)[head]) * dy).sum() / (2 * h)
        network(x)
        dx = network.backward(tuple(dy if i == head else 0 * dy for i in range(3)))
        np.testing.assert_allclose((dx * v).sum(), slope, rtol=1e-4)
        assert abs(slope) > 1e-3


def test_the_gradients_of_all_three_heads_come_back():
    check_heads()


@pytest.mark.parametrize(
    "bug",
    [
        Bug("the second head's is lost", models.GoogLeNet, "backward", "dd += self.aux2.", "self.aux2."),
        Bug("the first head's is lost", models.GoogLeNet, "backward", "da += self.aux1.", "self.aux1."),
        Bug("the heads exchanged", models.GoogLeNet, "backward", "daux2, daux1 =", "daux1, daux2 ="),
    ],
    ids=lambda bug: bug.name,
)
def test_a_planted_bug_in_the_heads_is_caught(bug):
    with planted(bug), pytest.raises(AssertionError):
        check_heads()


def test_googlenet_gives_three_outputs_in_training_alone():
    network, x = small_googlenet(), np.ones((2, 3, 17, 15))
    y = network(x)
    assert isinstance(y, inception.GoogLeNetOutputs)
    assert [head.shape for head in y] == [(2, 3)] * 3
    with pytest.raises(ShapeError, match=r"expected gradients of .*aux_logits1.*, got 1"):
        network.backward(np.ones((2, 3)))
    assert network.backward(tuple(y)).shape == x.shape  # a refusal loses nothing
    with pytest.raises(BackwardError, match="no forward"):
        network.backward(np.ones((2, 3)))
    y = network.eval(remember=True)(x)
    assert y.shape == (2, 3)
    with pytest.raises(ShapeError, match="of the logits alone, got 3"):
        network.backward((y, y, y))
    assert network.backward(y).shape == x.shape


def test_the_gradient_of_the_data_is_left_out_of_every_network():
    x = np.random.default_rng(0).standard_normal((2, 3, 63, 63)).astype(np.float32)
    for network in (
        models.Perceptron(3 * 63 * 63, 3),
        models.AlexNet(3, width_mult=1 / 64),
        models.VGG(make_layers([2, "M", 3]), 3, hidden=(4,), grid=2),
        small_googlenet(aux_logits=False, transform_input=True).float(),
        models.ResNet(BasicBlock, [1, 1, 1, 1], 3, width_mult=1 / 32),
        models.CifarResNet(8, 3, width_mult=1 / 8),
        models.MobileNetV2(3, 0.1),
    ):
        with network.no_input_grad():
            assert network.backward(network(x)) is None, network.label()
        assert network.backward(network(x)).shape == x.shape
        assert all(parameter.grad is not None for parameter in network.parameters()), network.label()


def test_where_weights_start():
    def spread(parameter):
        return float(parameter.data.std())

    resnet = models.ResNet(Bottleneck, [1, 1, 1, 1], 5, rng=np.random.default_rng(0))
    for conv in (resnet.conv1, resnet.layer2[0].conv2, resnet.layer4[0].conv3):
        fan_out = conv.out_channels * math.prod(conv.kernel_size)
        np.testing.assert_allclose(spread(conv.weight), math.sqrt(2 / fan_out), rtol=0.02)
    assert np.abs(resnet.fc.weight.data).max() <= 1 / math.sqrt(2048)  # a linear layer's own
    assert (resnet.layer1[0].bn3.weight.data == 1).all()
    zero = models.ResNet(Bottleneck, [1, 1, 1, 1], 5, True, width_mult=1 / 32)
    assert not zero.layer3[0].bn3.weight.data.any()
    assert zero.layer3[0].bn2.weight.data.all()
    assert (
        not models.ResNet(BasicBlock, [1, 1, 1, 1], 5, True, width_mult=1 / 32)
        .layer1[0]
        .bn2.weight.data.any()
    )

    vgg = models.VGG(make_layers(LAYERS[11][:4]), 5, hidden=(64,), rng=np.random.default_rng(0))
    np.testing.assert_allclose(spread(vgg.features[3].weight), math.sqrt(2 / (128 * 9)), rtol=0.02)
    np.testing.assert_allclose(spread(vgg.classifier[0].weight), 0.01, rtol=0.02)
    assert not any(p.data.any() for name, p in vgg.named_parameters() if name.endswith("bias"))

    mobile = models.mobilenet_v2(rng=np.random.default_rng(0))
    np.testing.assert_allclose(spread(mobile.features[18][0].weight), math.sqrt(2 / 1280), rtol=0.02)
    np.testing.assert_allclose(
        spread(mobile.features[4].conv[1][0].weight), math.sqrt(2 / (144 * 9)), rtol=0.1
    )
    np.testing.assert_allclose(spread(mobile.classifier[1].weight), 0.01, rtol=0.02)

    google = models.GoogLeNet(5, width_mult=0.5, rng=np.random.default_rng(0))
    for parameter in (google.conv3[0].weight, google.aux1.fc1.weight, google.fc.weight):
        np.testing.assert_allclose(spread(parameter), 0.01, rtol=0.05)


def test_skip_init_draws_nothing_and_leaves_constants():
    before = nn.Linear(3, 4, rng=np.random.default_rng(0)).weight.data
    network = skip_init(models.resnet18, num_classes=3)
    assert not network.fc.weight.data.any()
    assert (network.bn1.weight.data == 1).all()
    after = nn.Linear(3, 4, rng=np.random.default_rng(0)).weight.data
    np.testing.assert_array_equal(after, before)  # drawing is on again
    with pytest.raises(ZeroDivisionError):
        skip_init(lambda: 1 / 0)
    assert nn.Linear(3, 4).weight.data.any()


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"CifarResNet: expected a depth of 6n \+ 2, .*, got 21"):
        models.CifarResNet(21)
    with pytest.raises(ValueError, match=r"four layers .*, got \[1, 1\]"):
        models.ResNet(BasicBlock, [1, 1])
    with pytest.raises(ValueError, match="BasicBlock: expected groups=1"):
        models.resnet18(groups=2)
    with pytest.raises(ValueError, match="dilation=2"):
        models.resnet18(replace_stride_with_dilation=[False, True, True])
    with pytest.raises(ValueError, match="PaddedShortcut: expected at least as many planes"):
        PaddedShortcut(4, 3)
    with pytest.raises(ValueError, match="VGG: expected features with convolutions"):
        models.VGG(nn.Sequential(nn.ReLU()))
    with pytest.raises(ValueError, match="LeNet5: expected image_size 28 or 32, got 30"):
        models.LeNet5(image_size=30)
    with pytest.raises(ValueError, match="InvertedResidual: expected a stride of 1 or 2, got 3"):
        InvertedResidual(2, 2, 3, 1)
    with pytest.raises(ValueError, match=r"rows of four numbers t, c, n, s, got \[\]"):
        models.MobileNetV2(inverted_residual_setting=[])
    with pytest.raises(ValueError, match="GoogLeNet: expected 3 channels for transform_input, got 1"):
        models.GoogLeNet(transform_input=True, in_channels=1)


def test_lenet5_takes_images_of_the_papers_size():
    model = models.LeNet5(10, 3, 32)
    assert model.backward(model(np.ones((2, 3, 32, 32)))).shape == (2, 3, 32, 32)
    with pytest.raises(ShapeError, match=r"LeNet5\(\): expected input \(N, 3, 32, 32\)"):
        model(np.ones((2, 3, 28, 28)))


def test_a_plain_network_is_the_residual_one_without_its_shortcuts():
    """The last block's output, from its own input: F(x) here, F(x) + x there, with the same weights."""
    residual, plain = (
        models.CifarResNet(8).double().eval(),
        models.CifarResNet(8, shortcuts=False).double().eval(),
    )
    plain.load_state_dict(residual.state_dict())
    x = np.random.default_rng(0).standard_normal((1, 16, 4, 4))
    block = residual.layer1[0]
    inside = block.bn2(block.conv2(block.relu1(block.bn1(block.conv1(x)))))
    np.testing.assert_array_equal(plain.layer1[0](x), np.maximum(inside, 0))
    np.testing.assert_array_equal(residual.layer1[0](x), np.maximum(inside + x, 0))


def test_a_padded_shortcut_by_hand():
    layer = PaddedShortcut(1, 2)
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    np.testing.assert_array_equal(layer(x), [[[[0, 2], [6, 8]], [[0, 0], [0, 0]]]])
    dx = layer.backward(np.arange(1.0, 9).reshape(1, 2, 2, 2))
    np.testing.assert_array_equal(dx[0, 0], [[1, 0, 2], [0, 0, 0], [3, 0, 4]])
