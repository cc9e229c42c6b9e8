"""One image or signal without a batch dimension: what PyTorch takes, these layers take."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import nn
from minidl.array import to_device, to_host
from minidl.errors import BackwardError, ShapeError
from minidl.testing import Bug, planted

IMAGE, SIGNAL = (4, 7, 6), (4, 9)
LAYERS = {
    "Conv2d": (lambda lib: lib.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2), IMAGE),
    "Conv2d with a border": (lambda lib: lib.Conv2d(4, 6, 3, padding=2, padding_mode="reflect"), IMAGE),
    "ConvTranspose2d": (lambda lib: lib.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2), IMAGE),
    "MaxPool2d": (lambda lib: lib.MaxPool2d(3, 2, 1, ceil_mode=True), IMAGE),
    "AvgPool2d": (lambda lib: lib.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGE),
    "AdaptiveAvgPool2d": (lambda lib: lib.AdaptiveAvgPool2d((3, 4)), IMAGE),
    "AdaptiveMaxPool2d": (lambda lib: lib.AdaptiveMaxPool2d((3, 4)), IMAGE),
    "InstanceNorm2d": (lambda lib: lib.InstanceNorm2d(4, affine=True, track_running_stats=True), IMAGE),
    "Conv1d": (lambda lib: lib.Conv1d(4, 6, 3, padding=1), SIGNAL),
    "MaxPool1d": (lambda lib: lib.MaxPool1d(3, 2), SIGNAL),
    "AvgPool1d": (lambda lib: lib.AvgPool1d(3, 2, 1), SIGNAL),
    "AdaptiveAvgPool1d": (lambda lib: lib.AdaptiveAvgPool1d((4,)), SIGNAL),
}
INDICES = {
    "MaxPool2d": (lambda lib: lib.MaxPool2d(3, 2, 1, return_indices=True), IMAGE),
    "AdaptiveMaxPool2d": (lambda lib: lib.AdaptiveMaxPool2d(3, return_indices=True), IMAGE),
    "MaxPool1d": (lambda lib: lib.MaxPool1d(3, 2, return_indices=True), SIGNAL),
}

each = pytest.mark.parametrize(("make", "shape"), LAYERS.values(), ids=LAYERS)


def both_ways(layer, x, dy):
    """Output, gradients of the input and of the parameters, and buffers."""
    layer.zero_grad()
    y = layer(x)
    dx = layer.backward(dy)
    return [y, dx, *(p.grad for p in layer.parameters()), *layer.buffers()]


def numbers(layer, shape, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return x, rng.standard_normal(layer(x).shape)


@each
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_one_alone_is_a_batch_of_one(make, shape, training):
    layer = make(nn).double()
    x, dy = numbers(layer, shape)
    state = layer.state_dict()
    results = []
    for add in (False, True):
        layer.load_state_dict(state)
        layer.train() if training else layer.eval(remember=True)
        results.append(both_ways(layer, x[None] if add else x, dy[None] if add else dy))
    (y, dx, *rest), (batch_y, batch_dx, *batch_rest) = results
    for alone, batch in ((y, batch_y), (dx, batch_dx)):
        np.testing.assert_array_equal(alone, batch[0], strict=True)
    for alone, batch in zip(rest, batch_rest, strict=True):
        np.testing.assert_array_equal(alone, batch, strict=True)


@each
def test_numbers_are_pytorchs(make, shape):
    torch = pytest.importorskip("torch")
    layer, theirs = make(nn).double(), make(torch.nn).double()
    layer.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal(shape)
    given = torch.tensor(x, requires_grad=True)
    y = theirs(given)
    dy = np.random.default_rng(1).standard_normal(tuple(y.shape))
    y.backward(torch.tensor(dy))
    expected = [y.detach(), given.grad, *(p.grad for p in theirs.parameters()), *theirs.buffers()]
    for ours, wanted in zip(both_ways(layer, x, dy), expected, strict=True):
        np.testing.assert_allclose(ours, wanted.numpy(), rtol=1e-12, atol=1e-12, strict=True)


@pytest.mark.parametrize(("make", "shape"), INDICES.values(), ids=INDICES)
def test_positions_of_the_winners_lose_the_batch_dimension_too(make, shape):
    layer = make(nn)
    x = np.random.default_rng(0).standard_normal(shape)
    (y, places), (batch_y, batch_places) = layer(x), layer(x[None])
    np.testing.assert_array_equal(y, batch_y[0], strict=True)
    np.testing.assert_array_equal(places, batch_places[0], strict=True)


@each
def test_the_same_on_a_device(make, shape):
    layer = make(nn)
    x, dy = numbers(layer, shape)
    x, dy = x.astype(np.float32), dy.astype(np.float32)
    state = layer.state_dict()
    y, dx, *_ = both_ways(layer, x, dy)
    layer.load_state_dict(state)
    layer.to("sim")
    there_y, there_dx, *_ = both_ways(layer, to_device(x, "sim"), to_device(dy, "sim"))
    np.testing.assert_allclose(to_host(there_y), y, rtol=1e-5, atol=1e-6, strict=True)
    np.testing.assert_allclose(to_host(there_dx), dx, rtol=1e-5, atol=1e-6, strict=True)


@each
def test_results_are_not_the_arguments_memory(make, shape):
    layer = make(nn).double()
    x, dy = numbers(layer, shape)
    y = layer(x)
    dx = layer.backward(dy)
    assert not np.shares_memory(y, x)
    assert not np.shares_memory(dx, dy)


@each
def test_other_shapes_are_refused_and_both_expected_ones_named(make, shape):
    layer = make(nn)
    letters = (
        r"\(N, (C|4), H, W\) or \((C|4), H, W\)" if len(shape) == 3 else r"\(N, (C|4), L\) or \((C|4), L\)"
    )
    for given in (shape[2:], (1, 1, *shape)):
        with pytest.raises(ShapeError, match=letters + rf", got \({', '.join(map(str, given))},?\)"):
            layer(np.ones(given))
    y = layer(np.ones(shape))
    with pytest.raises(ShapeError, match="expected an upstream gradient of shape"):
        layer.backward(np.ones((1, *y.shape)))
    layer.backward(np.ones(y.shape))


def test_channels_are_checked_without_a_batch_dimension_too():
    with pytest.raises(ShapeError, match=r"Conv2d\(4, 6\): expected input .* got \(5, 7, 6\)"):
        nn.Conv2d(4, 6, 3)(np.ones((5, 7, 6)))


def test_a_refused_input_leaves_what_was_remembered():
    layer = nn.MaxPool2d(3)
    y = layer(np.ones((2, 4, 6, 6)))
    with pytest.raises(ShapeError, match="at least"):
        layer(np.ones((4, 2, 2)))  # one alone, too small for the window
    assert layer.backward(np.ones(y.shape)).shape == (2, 4, 6, 6)
    with pytest.raises(BackwardError):
        layer.backward(np.ones(y.shape))


def test_one_image_then_a_batch_then_one_image():
    layer = nn.Conv2d(4, 6, 3)
    for shape in ((4, 5, 5), (2, 4, 5, 5), (4, 5, 5)):
        assert layer.backward(np.ones(layer(np.ones(shape)).shape)).shape == shape


def test_transposed_convolution_takes_the_output_size_of_one_image():
    layer = nn.ConvTranspose2d(4, 6, 3, stride=2)
    for size in ((16, 14), (6, 16, 14)):
        assert layer(np.ones(IMAGE), output_size=size).shape == (6, 16, 14)
    with pytest.raises(ValueError, match="expected output_size"):
        layer(np.ones(IMAGE), output_size=(1, 6, 16, 14))


BUGS = [
    Bug("a gradient without its batch", nn.Module, "recall", "dy[None] if memory.alone else dy", "dy"),
    Bug("a batch that stays", nn.Module, "as_given", "if self._alone else batch", ""),
    Bug("always alone", nn.Module, "as_given", "if self._alone else batch", "if True else batch"),
    Bug("what was refused is kept in mind", nn.Module, "recall", "!= memory.alone", "is None"),
    Bug("any shape of a gradient", nn.Module, "recall", "if dy.shape != shape:", "if False:"),
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_planted_bugs_are_caught(bug):
    def all_that_holds():
        for name in ("Conv2d", "AvgPool1d"):
            test_one_alone_is_a_batch_of_one(*LAYERS[name], True)
            test_other_shapes_are_refused_and_both_expected_ones_named(*LAYERS[name])
        test_a_refused_input_leaves_what_was_remembered()

    all_that_holds()
    with planted(bug), pytest.raises((AssertionError, IndexError, ValueError, pytest.fail.Exception)):
        all_that_holds()
