"""What normalisation layers do over several steps, with large means, and which arguments they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import nn
from minidl.errors import ShapeError
from minidl.kernels.registry import use_backend

BACKENDS = ["numpy", "numba"]


@pytest.fixture(params=BACKENDS)
def backend(request):
    if request.param == "numba":
        pytest.importorskip("numba")
    with use_backend(request.param):
        yield request.param


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(
    ("momentum", "track"), [(0.1, True), (0.0, True), (1.0, True), (None, True), (0.1, False), (None, False)]
)
@pytest.mark.parametrize("name", ["BatchNorm1d", "BatchNorm2d", "InstanceNorm2d"])
def test_running_statistics_are_pytorchs_over_many_steps(name, momentum, track, affine):
    """Training, evaluation and training again, forward and backward, and the state after each."""
    torch = pytest.importorskip("torch")
    how = {"momentum": momentum, "affine": affine, "track_running_stats": track}
    ours, theirs = getattr(nn, name)(3, **how).double(), getattr(torch.nn, name)(3, **how).double()
    rng = np.random.default_rng(0)
    for step in range(9):
        training = step % 3 != 2
        ours.train() if training else ours.eval(remember=True)
        theirs.train(training)
        x = rng.normal(2, 3, (4, 3) if name == "BatchNorm1d" else (4, 3, 2, 5))
        dy, tensor = rng.standard_normal(x.shape), torch.tensor(x, requires_grad=True)
        y = theirs(tensor)
        y.backward(torch.tensor(dy))
        np.testing.assert_allclose(ours(x), y.detach().numpy(), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(ours.backward(dy), tensor.grad.numpy(), rtol=1e-10, atol=1e-12)
        state = ours.state_dict()
        assert list(state) == list(theirs.state_dict())
        for key, values in theirs.state_dict().items():
            np.testing.assert_allclose(state[key], values.numpy(), rtol=1e-12, err_msg=key)
        for key, parameter in theirs.named_parameters():
            mine = dict(ours.named_parameters())[key].grad
            np.testing.assert_allclose(mine, parameter.grad.numpy(), rtol=1e-10)


LAST = [  # the layer for so many features, and the shape of its input
    (lambda n: nn.LayerNorm(n, elementwise_affine=False), lambda n: (5, n)),
    (lambda n: nn.GroupNorm(2, 4, affine=False), lambda n: (5, 4, n // 2)),
    (lambda n: nn.InstanceNorm2d(3), lambda n: (5, 3, n, 1)),
    (lambda n: nn.RMSNorm(n, elementwise_affine=False), lambda n: (5, n)),
]


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("features", [8, 300, 5000])
@pytest.mark.parametrize(("make", "shape"), LAST, ids=["layer", "group", "instance", "rms"])
def test_float32_is_as_good_as_float64_though_the_mean_is_large(make, shape, features):
    """The mean of squares less the square of the mean would lose all digits: 10⁶ against 1."""
    rng = np.random.default_rng(0)
    x = (1000 + rng.standard_normal(shape(features))).astype(np.float32)
    dy = rng.standard_normal(x.shape).astype(np.float32)
    single, double = make(features), make(features)
    y, wanted = single(x), double(x.astype(np.float64))
    assert y.dtype == np.float32
    # the mean is rounded to float32, by up to 3e-5, and then once more
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-4)
    dx, wanted = single.backward(dy), double.backward(dy.astype(np.float64))
    np.testing.assert_allclose(dx, wanted, rtol=1e-4, atol=2e-4)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(("make", "shape"), LAST, ids=["layer", "group", "instance", "rms"])
@pytest.mark.parametrize("features", [8, 1000])
def test_a_nan_spoils_its_own_group_alone(make, shape, features):
    x = np.random.default_rng(0).standard_normal(shape(features))
    x.reshape(5, -1)[3, 0] = np.nan
    layer = make(features)
    y = layer(x)
    assert np.isnan(y.reshape(5, -1)[3]).any()
    assert np.isfinite(np.delete(y, 3, axis=0)).all()
    dx = layer.backward(np.ones_like(x))
    assert np.isnan(dx.reshape(5, -1)[3]).any()
    assert np.isfinite(np.delete(dx, 3, axis=0)).all()


@pytest.mark.usefixtures("backend")
def test_the_sums_of_many_rows_keep_their_digits():
    """In float32 one after the other, 100,000 times 0.1 would end 0.01 off for every 1."""
    layer = nn.LayerNorm(2, eps=0.0)
    x = np.tile(np.array([-1, 1], np.float32), (100_000, 1))
    layer(x)
    layer.backward(np.full_like(x, 0.1))
    np.testing.assert_allclose(layer.bias.grad, [1e4, 1e4], rtol=3e-7)
    np.testing.assert_allclose(layer.weight.grad, [-1e4, 1e4], rtol=3e-7)


def test_one_group_is_layer_norm_and_as_many_as_channels_instance_norm():
    x = np.random.default_rng(0).standard_normal((2, 4, 3, 5))
    np.testing.assert_array_equal(nn.GroupNorm(1, 4)(x), nn.LayerNorm((4, 3, 5))(x))
    np.testing.assert_array_equal(nn.GroupNorm(4, 4)(x), nn.InstanceNorm2d(4)(x))


@pytest.mark.parametrize("wrong", [0, -1, (), (3, 0), "3", 2.5, None, (3, None)])
@pytest.mark.parametrize("layer", [nn.LayerNorm, nn.RMSNorm])
def test_wrong_normalized_shapes_are_named(layer, wrong):
    with pytest.raises(ValueError, match=f"{layer.__name__}: normalized_shape: expected"):
        layer(wrong)


@pytest.mark.parametrize(("groups", "channels"), [(0, 4), (3, 0), (2.0, 4), ("2", 4)])
def test_groups_and_channels_are_whole_numbers(groups, channels):
    with pytest.raises(ValueError, match=r"GroupNorm: num_(groups|channels): expected an integer"):
        nn.GroupNorm(groups, channels)


def test_channels_are_a_multiple_of_the_groups():
    with pytest.raises(ValueError, match="num_channels to be a multiple of num_groups, got 4 and 3"):
        nn.GroupNorm(3, 4)


def test_local_response_norm_has_a_size():
    with pytest.raises(ValueError, match="LocalResponseNorm: size: expected an integer of at least 1, got 0"):
        nn.LocalResponseNorm(0)


def test_one_value_per_group_is_refused_as_pytorch_does():
    """PyTorch looks at the whole batch: two images of one value per group pass, and give 0."""
    with pytest.raises(ShapeError, match=r"GroupNorm\(4, 4\): expected more than 1 value"):
        nn.GroupNorm(4, 4)(np.ones((1, 4)))
    np.testing.assert_array_equal(nn.GroupNorm(4, 4)(np.ones((2, 4))), np.zeros((2, 4)))


def test_one_pixel_is_refused_where_it_is_measured():
    x, layer = np.ones((2, 3, 1, 1)), nn.InstanceNorm2d(3, track_running_stats=True)
    with pytest.raises(ShapeError, match=r"InstanceNorm2d\(3\): expected more than 1 value"):
        layer(x)
    np.testing.assert_array_equal(layer.running_mean, np.zeros(3))
    assert layer.eval()(x).shape == x.shape
    with pytest.raises(ShapeError, match=r"InstanceNorm2d\(3\): expected more than 1 value"):
        nn.InstanceNorm2d(3).eval()(x)


def test_no_images_leave_the_running_statistics_alone():
    layer = nn.InstanceNorm2d(3, track_running_stats=True)
    assert layer(np.ones((0, 3, 2, 2))).shape == (0, 3, 2, 2)
    np.testing.assert_array_equal(layer.running_mean, np.zeros(3))
    np.testing.assert_array_equal(layer.running_var, np.ones(3))


@pytest.mark.parametrize(
    "make",
    [
        lambda **how: nn.BatchNorm1d(4, **how),
        lambda **how: nn.BatchNorm2d(4, **how),
        lambda **how: nn.InstanceNorm2d(4, affine=True, **how),
        lambda **how: nn.GroupNorm(2, 4, **how),
    ],
    ids=["BatchNorm1d", "BatchNorm2d", "InstanceNorm2d", "GroupNorm"],
)
def test_beta_alone_can_be_left_out(make):
    layer, whole = make(bias=False), make()
    assert layer.bias is None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert "bias=False" in repr(layer)
    x = np.random.default_rng(0).standard_normal((3, 4) if "1d" in repr(layer) else (3, 4, 5, 2))
    dy = np.random.default_rng(1).standard_normal(x.shape)
    for module in (layer, whole):
        module.weight.data[...] = [0.5, 2, -1, 3]
    np.testing.assert_array_equal(layer(x), whole(x))
    np.testing.assert_array_equal(layer.backward(dy), whole.backward(dy))
    np.testing.assert_array_equal(layer.weight.grad, whole.weight.grad)
