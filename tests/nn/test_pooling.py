"""What pooling layers refuse: windows that hold nothing, divisors and sizes that mean nothing."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import nn
from minidl.errors import ShapeError
from minidl.kernels.registry import KERNELS


@pytest.mark.parametrize("wrong", [0, -1, (2, 2, 2), "2", 1.5, (1, None)])
def test_wrong_kernel_sizes_are_named(wrong):
    with pytest.raises((ValueError, TypeError), match="kernel_size"):
        nn.MaxPool2d(wrong)


def test_padding_beyond_half_the_kernel_is_refused():
    with pytest.raises(ValueError, match="at most half the kernel, got padding=2 for kernel_size=3"):
        nn.AvgPool2d(3, padding=2)


def test_a_divisor_of_0_is_refused():
    with pytest.raises(ValueError, match="AvgPool2d: expected a divisor_override other than 0, got 0"):
        nn.AvgPool2d(2, divisor_override=0)


@pytest.mark.parametrize("wrong", [0, -1, (2,), (1, 2, 3), (0, 2), (1, 2.5), (1, "2"), "2", 2.5])
def test_wrong_adaptive_sizes_are_named(wrong):
    with pytest.raises(ValueError, match=r"AdaptiveAvgPool2d: (expected output_size|output_size: expected)"):
        nn.AdaptiveAvgPool2d(wrong)


def test_a_dilated_window_that_steps_over_the_image_is_refused():
    """Its taps are all in the padding, so no cell could win."""
    with pytest.raises(ShapeError, match=r"a cell in every window .*dilation=\(5, 5\), got \(1, 1, 4, 4\)"):
        nn.MaxPool2d(2, 1, padding=1, dilation=5)(np.ones((1, 1, 4, 4)))


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2, 3, 5])
@pytest.mark.parametrize(("kernel", "padding"), [(2, 1), (3, 1), (4, 2)])
def test_a_window_is_refused_exactly_if_it_holds_no_cell(size, stride, dilation, kernel, padding):
    span = dilation * (kernel - 1) + 1
    starts = range(-padding, size + padding - span + 1, stride)
    if not starts:
        return
    empty = any(all(not 0 <= start + dilation * tap < size for tap in range(kernel)) for start in starts)
    pool = nn.MaxPool2d((kernel, 1), (stride, 1), (padding, 0), (dilation, 1), return_indices=True)
    x = np.arange(1.0, size + 1).reshape(1, 1, size, 1)
    if empty:
        with pytest.raises(ShapeError, match="a cell in every window"):
            pool(x)
    else:
        y, indices = pool(x)
        np.testing.assert_array_equal(x.ravel()[indices.ravel()], y.ravel())


@pytest.mark.parametrize("wrong", [0, -1, (2, 2), (), "2", 1.5, None])
@pytest.mark.parametrize("layer", [nn.MaxPool1d, nn.AvgPool1d])
def test_wrong_sizes_of_a_sequences_window_are_named(layer, wrong):
    with pytest.raises(ValueError, match=f"{layer.__name__}: kernel_size: expected an integer"):
        layer(wrong)
    with pytest.raises(ValueError, match=f"{layer.__name__}: padding: expected an integer"):
        layer(2, padding=-1)


def test_a_sequences_padding_beyond_half_the_kernel_is_refused():
    with pytest.raises(ValueError, match=r"AvgPool1d: .*half the kernel, got padding=2 for kernel_size=3"):
        nn.AvgPool1d(3, padding=2)


def test_a_dilated_window_that_steps_over_the_sequence_is_refused():
    with pytest.raises(ShapeError, match=r"MaxPool1d.*a number in every window .*got \(1, 1, 4\)"):
        nn.MaxPool1d(2, 1, padding=1, dilation=5)(np.ones((1, 1, 4)))


@pytest.mark.parametrize("wrong", [0, None, (2, 3), (0,), 2.5])
def test_wrong_adaptive_sizes_of_sequences_are_named(wrong):
    with pytest.raises(ValueError, match="AdaptiveAvgPool1d: output_size: expected"):
        nn.AdaptiveAvgPool1d(wrong)


@pytest.mark.parametrize("size", [1, (2, 3), (3, None), (7, 9), (9, 10)])
def test_adaptive_winners_are_pytorchs(size):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).integers(0, 4, (2, 3, 7, 9)).astype(np.float64)  # many ties
    y, indices = nn.AdaptiveMaxPool2d(size, return_indices=True)(x)
    wanted, positions = torch.nn.AdaptiveMaxPool2d(size, return_indices=True)(torch.tensor(x))
    np.testing.assert_array_equal(y, wanted.numpy())
    np.testing.assert_array_equal(indices, positions.numpy(), strict=True)


@pytest.mark.parametrize("how", [(2,), (3, 2, 1), (3, 2, 1, 2), (4, 1, 2, 1, True, True)])
def test_a_sequences_winners_are_pytorchs(how):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).integers(0, 4, (2, 3, 11)).astype(np.float64)
    options = dict(zip(("stride", "padding", "dilation"), how[1:], strict=False), ceil_mode=len(how) > 4)
    y, indices = nn.MaxPool1d(how[0], return_indices=True, **options)(x)
    wanted, positions = torch.nn.MaxPool1d(how[0], return_indices=True, **options)(torch.tensor(x))
    np.testing.assert_array_equal(y, wanted.numpy())
    np.testing.assert_array_equal(indices, positions.numpy(), strict=True)


@pytest.mark.parametrize("winner", [-1, 12])
def test_adaptive_winners_outside_the_image_are_refused(winner):
    scatter = KERNELS["adaptive_max_pool2d_input_grad"]
    for run in (scatter.reference, *(f for kind, f in scatter.twins.items() if kind is np.ndarray)):
        with pytest.raises(IndexError, match=f"winners from 0 to 11, got {winner}"):
            run(np.ones((1, 1, 1, 1)), np.full((1, 1, 1, 1), winner, np.int32), (1, 1, 3, 4))
