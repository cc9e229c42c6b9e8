"""What convolutions refuse, how their options meet, and that they agree with PyTorch, whatever is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import nn
from minidl.errors import ShapeError


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: nn.Conv2d(4, 6, 3, 2, "same"),
            r"Conv2d\(4, 6\): expected stride 1 with padding='same', got",
        ),
        (
            lambda: nn.Conv1d(4, 6, 3, padding="full"),
            r"Conv1d\(4, 6\): expected padding 'same', .* got 'full'",
        ),
        (lambda: nn.Conv2d(4, 6, 3, padding_mode="mirror"), r"Conv2d\(4, 6\): .*reflect.* got 'mirror'"),
        (
            lambda: nn.Conv1d(4, 6, (3, 3)),
            r"Conv1d: kernel_size: expected an integer of at least 1, got \(3, 3",
        ),
        (
            lambda: nn.Conv1d(4, 6, 3, groups=4),
            r"Conv1d\(4, 6\): expected groups that divide .* got groups=4",
        ),
        (lambda: nn.Conv1d(4, 6, 3, 0), "Conv1d: stride: expected an integer of at least 1, got 0"),
        (
            lambda: nn.ConvTranspose2d(4, 6, 3, groups=4),
            r"ConvTranspose2d\(4, 6\): expected groups that divide",
        ),
        (lambda: nn.ConvTranspose2d(4, 6, 3, 2, 0, 2), "output_padding below the stride .* output_padding=2"),
        (lambda: nn.ConvTranspose2d(4, 6, 3, padding_mode="reflect"), "padding_mode 'zeros', got 'reflect'"),
    ],
)
def test_wrong_arguments_are_named(make, says):
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize(
    "layer", [nn.Conv1d(2, 3, 5), nn.Conv1d(2, 3, 5, padding=1, padding_mode="circular")]
)
def test_a_signal_that_is_shorter_than_the_kernel_is_refused(layer):
    with pytest.raises(
        ShapeError, match=r"Conv1d\(2, 3\): expected an input whose length, .* the kernel's 5, got"
    ):
        layer(np.ones((1, 2, 2), np.float32))


def test_an_output_size_out_of_reach_is_refused_and_nothing_is_remembered():
    layer = nn.ConvTranspose2d(1, 1, 3, 2)
    x = np.ones((1, 1, 2, 3), np.float32)
    assert layer(x, output_size=(6, 8)).shape == layer(x, [1, 1, 6, 8]).shape == (1, 1, 6, 8)
    for wrong in ((4, 7), (5, 9), (5,), (5, 7, 1)):
        with pytest.raises(ValueError, match=r"output_size from \(5, 7\) to \(6, 8\) .* got "):
            layer(x, output_size=wrong)


def test_what_padding_takes_away_whole_is_refused():
    with pytest.raises(ShapeError, match=r"larger than what padding=\(3, 3\) cuts off, got \(1, 1, 2, 2\)"):
        nn.ConvTranspose2d(1, 1, 3, padding=3)(np.ones((1, 1, 2, 2), np.float32))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(2, 3, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(2, 3, 2, padding="same"),
        nn.ConvTranspose2d(2, 3, 3, 2),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_the_gradient_of_the_data_can_be_left_out(layer):
    x = np.ones((2, 2, 5, 4)[: 3 + (layer.weight.data.ndim == 4)], np.float32)
    model = nn.Sequential(nn.Identity(), layer)
    with model.no_input_grad():
        dy = np.ones_like(model(x))
        assert model.backward(dy) is None
    alone = layer.weight.grad
    model.zero_grad()
    model(x)
    assert model.backward(dy).shape == x.shape
    np.testing.assert_array_equal(alone, layer.weight.grad)


def test_a_transposed_convolution_undoes_the_sizes_of_a_convolution():
    """Whatever size Conv2d began with comes out again, if it is asked for."""
    for size in range(5, 12):
        smaller = nn.Conv2d(1, 1, 3, 3, 1)(np.ones((1, 1, size, size), np.float32))
        assert nn.ConvTranspose2d(1, 1, 3, 3, 1)(smaller, (size, size)).shape == (1, 1, size, size)


def draw(rng):
    """A layer's name, its arguments and an input's shape."""
    integers = lambda low, high: tuple(int(v) for v in rng.integers(low, high, 2))  # noqa: E731
    groups, kernel, stride, dilation = int(rng.integers(1, 4)), integers(1, 5), integers(1, 4), integers(1, 4)
    channels = tuple(groups * n for n in integers(1, 4))
    how = {"stride": stride, "dilation": dilation, "groups": groups, "bias": bool(rng.integers(2))}
    name = str(rng.choice(["Conv1d", "Conv2d", "ConvTranspose2d"]))
    if name == "ConvTranspose2d":
        more = tuple(int(rng.integers(0, max(s, d))) for s, d in zip(stride, dilation, strict=True))
        how |= {"padding": integers(0, 3), "output_padding": more}
        return name, (*channels, kernel), how, (2, channels[0], *integers(1, 7))
    padding = [integers(0, 4), "same", "valid"][rng.integers(3)]
    how |= {
        "padding": padding,
        "padding_mode": str(rng.choice(["zeros", "reflect", "replicate", "circular"])),
    }
    how["stride"] = (1, 1) if padding == "same" else stride
    if name == "Conv1d":
        kernel, how = kernel[:1], {k: v[:1] if isinstance(v, tuple) else v for k, v in how.items()}
    return name, (*channels, kernel), how, (2, channels[0], *integers(4, 14))[: 2 + len(kernel)]


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch tells that it pads one side by a copy
@pytest.mark.parametrize("seed", range(60))
def test_like_pytorch_with_any_options(seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    name, args, how, shape = draw(rng)
    ours, theirs = getattr(nn, name)(*args, **how).double(), getattr(torch.nn, name)(*args, **how).double()
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    x = rng.standard_normal(shape)
    tx = torch.tensor(x, requires_grad=True)
    try:
        ty = theirs(tx)
    except RuntimeError:
        with pytest.raises(ShapeError, match=name):
            ours(x)
        return
    y = ours(x)
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-9, atol=1e-11, strict=True)
    dy = rng.standard_normal(y.shape)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(ours.backward(dy), tx.grad.numpy(), rtol=1e-9, atol=1e-11, strict=True)
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(own.grad, other.grad.numpy(), rtol=1e-9, atol=1e-11, strict=True)
