"""What Upsample and the padding layers refuse, and that every size is PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import nn
from minidl.array import to_device, to_host
from minidl.errors import ShapeError


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({}, "one of size and scale_factor, got size=None, scale_factor=None"),
        ({"size": 3, "scale_factor": 2}, "one of size and scale_factor, got size=3, scale_factor=2"),
        ({"size": 0}, "size: expected an integer of at least 1, got 0"),
        ({"size": (3, 4, 5)}, r"one size or a pair of them, got \(3, 4, 5\)"),
        ({"scale_factor": (2, -1)}, r"a scale_factor above 0, got \(2, -1\)"),
        ({"scale_factor": "2"}, "a scale_factor above 0, got '2'"),
        ({"scale_factor": float("nan")}, "a scale_factor above 0, got nan"),
        ({"size": 3, "mode": "bicubic"}, "mode nearest, nearest-exact, linear, bilinear, got 'bicubic'"),
        ({"size": 3, "align_corners": False}, "mode='bilinear' or 'linear' only, got mode='nearest'"),
        ({"size": 3, "recompute_scale_factor": True}, "recompute_scale_factor with a scale_factor only"),
    ],
)
def test_wrong_arguments_are_named(how, says):
    with pytest.raises(ValueError, match=f"^Upsample.*{says}"):
        nn.Upsample(**how)


def test_images_without_pixels_are_refused():
    with pytest.raises(ShapeError, match=r"pixels, before and after, got \(1, 1, 0, 4\), of which 0×8"):
        nn.Upsample(scale_factor=2)(np.ones((1, 1, 0, 4)))


def test_one_layer_for_images_of_several_sizes_dtypes_and_places():
    layer = nn.Upsample(scale_factor=2, mode="bilinear")
    for make in (np.float32, np.float64, lambda x: to_device(np.float64(x), "sim")):
        for height in (2, 3, 2):
            x = make(np.arange(height * 3.0).reshape(1, 1, height, 3))
            y = layer(x)
            assert (type(y), y.dtype, y.shape) == (type(x), x.dtype, (1, 1, 2 * height, 6))
            np.testing.assert_allclose(to_host(y)[0, 0, 0], [0, 0.25, 0.75, 1.25, 1.75, 2], rtol=1e-6)
            assert type(layer.backward(y)) is type(x)


def test_what_is_infinite_stays_where_it_is():
    """Products with matrices of zeros would make 0 · ∞ = NaN of whole rows."""
    x = np.ones((1, 1, 4, 4))
    x[0, 0, 0, 0] = np.inf
    for mode in ("nearest", "bilinear"):
        layer = nn.Upsample(scale_factor=2, mode=mode)
        assert np.isfinite(layer(x)[0, 0, 3:, 3:]).all()
        dy = np.ones((1, 1, 8, 8))
        dy[0, 0, 0, 0] = np.inf
        assert np.isfinite(layer.backward(dy)[0, 0, 1:, 1:]).all()


@pytest.mark.parametrize("align_corners", [None, False, True])
@pytest.mark.parametrize("have", [1, 2, 5, 12])
def test_every_size_is_pytorchs(have, align_corners):
    """Rows and columns are made alike, so a row is enough."""
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((1, 1, 1, have))
    mode = "nearest" if align_corners is None else "bilinear"
    sizes = [{"size": (1, want)} for want in range(1, 40)]
    factors = [{"scale_factor": (1.0, f)} for f in (1, 1.05, 1.3, 1.5, 2, 2.04, 3, 10 / 3) if have * f >= 1]
    recomputed = [{**how, "recompute_scale_factor": True} for how in factors]
    for how in (*sizes, *factors, *recomputed):
        ours = nn.Upsample(mode=mode, align_corners=align_corners, **how)
        tx = torch.tensor(x, requires_grad=True)
        ty = torch.nn.Upsample(mode=mode, align_corners=align_corners, **how)(tx)
        y = ours(x)
        np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-12, atol=1e-13, err_msg=str(how))
        dy = np.random.default_rng(1).standard_normal(y.shape)
        ty.backward(torch.tensor(dy))
        np.testing.assert_allclose(
            ours.backward(dy), tx.grad.numpy(), rtol=1e-11, atol=1e-12, err_msg=str(how)
        )


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: nn.ReflectionPad2d(-1),
            "ReflectionPad2d: expected padding, an integer of at least 0, .* got -1",
        ),
        (lambda: nn.ReplicationPad2d((1, 2)), r"ReplicationPad2d: .* four of them .* got \(1, 2\)"),
        (lambda: nn.CircularPad2d(1.5), "CircularPad2d: .* got 1.5"),
        (lambda: nn.ZeroPad2d("1"), "ZeroPad2d: expected padding, an integer, or four of them .* got '1'"),
        (
            lambda: nn.PixelShuffle(0),
            "PixelShuffle: upscale_factor: expected an integer of at least 1, got 0",
        ),
        (lambda: nn.PixelUnshuffle(0), "PixelUnshuffle: downscale_factor: .* at least 1, got 0"),
    ],
)
def test_wrong_widths_and_factors_are_named(make, says):
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize("name", ["ZeroPad2d", "ReflectionPad2d", "ReplicationPad2d", "CircularPad2d"])
def test_borders_of_any_width_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        widths = tuple(int(n) for n in rng.integers(-2 if name == "ZeroPad2d" else 0, 5, 4))
        x = rng.standard_normal((2, 1, *rng.integers(1, 7, 2)))
        ours, tx = getattr(nn, name)(widths), torch.tensor(x, requires_grad=True)
        try:
            ty = getattr(torch.nn, name)(widths)(tx)
        except RuntimeError:
            refused += 1
            with pytest.raises(ShapeError, match=name):
                ours(x)
            continue
        y = ours(x)
        np.testing.assert_array_equal(y, ty.detach().numpy(), strict=True)
        dy = rng.standard_normal(y.shape)
        ty.backward(torch.tensor(dy))
        np.testing.assert_allclose(ours.backward(dy), tx.grad.numpy(), rtol=1e-12, atol=1e-14)
    assert refused < 55


def test_signals_are_images_of_one_row():
    x = np.random.default_rng(0).standard_normal((2, 3, 5))
    for mode, of_images in (
        ("nearest", "nearest"),
        ("nearest-exact", "nearest-exact"),
        ("linear", "bilinear"),
    ):
        signal, image = nn.Upsample(8, mode=mode), nn.Upsample((1, 8), mode=of_images)
        y = signal(x)
        np.testing.assert_array_equal(y, image(x[:, :, None])[:, :, 0], strict=True)
        dy = np.random.default_rng(1).standard_normal(y.shape)
        np.testing.assert_array_equal(
            signal.backward(dy), image.backward(dy[:, :, None])[:, :, 0], strict=True
        )


def test_one_layer_for_a_signal_and_an_image_of_the_same_size():
    layer = nn.Upsample(scale_factor=2)
    for _ in range(2):
        assert layer(np.ones((1, 1, 4))).shape == (1, 1, 8)
        assert layer(np.ones((1, 1, 1, 4))).shape == (1, 1, 2, 8)


def test_linear_values_by_hand():
    layer = nn.Upsample(scale_factor=2, mode="linear")
    np.testing.assert_allclose(layer(np.array([[[1.0, 2, 4]]])), [[[1, 1.25, 1.75, 2.5, 3.5, 4]]])
    np.testing.assert_allclose(layer.backward(np.ones((1, 1, 6))), [[[2, 2, 2]]])
