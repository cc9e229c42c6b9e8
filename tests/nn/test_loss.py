"""What is particular to losses: extremes, labels, reductions, and the scalar that backward starts from."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidl import nn, to_device
from minidl.errors import DTypeError, ShapeError


def test_backward_without_an_upstream_gradient_starts_from_one():
    criterion = nn.CrossEntropyLoss()
    x, t = np.random.default_rng(0).standard_normal((5, 3)), np.array([0, 1, 2, 1, 0])
    criterion(x, t)
    one = criterion.backward()
    criterion(x, t)
    np.testing.assert_allclose(criterion.backward(2.0), 2 * one)


@pytest.mark.parametrize("labels", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
def test_class_indices_of_any_integer_type(labels):
    assert nn.CrossEntropyLoss()(np.zeros((2, 4)), np.array([3, 0], labels)) == pytest.approx(math.log(4))


@pytest.mark.parametrize(("label", "named"), [(4, "4 at position 1"), (-1, "-1 at position 1")])
def test_a_label_outside_the_classes_is_named(label, named):
    with pytest.raises(ValueError, match=f"class indices from 0 to 3 .*ignore_index -100.*got {named}"):
        nn.CrossEntropyLoss()(np.zeros((2, 4)), np.array([0, label]))


def test_booleans_and_floats_are_no_class_indices():
    for wrong in (np.array([True, False]), np.array([0.0, 1.0])):
        with pytest.raises(DTypeError, match="integer class indices"):
            nn.CrossEntropyLoss()(np.zeros((2, 4)), wrong)


def test_integers_of_the_predictions_shape_are_no_probabilities():
    with pytest.raises(DTypeError, match="floating probabilities, got int64"):
        nn.CrossEntropyLoss()(np.zeros((2, 4)), np.zeros((2, 4), np.int64))


def test_probabilities_cannot_be_ignored():
    with pytest.raises(ValueError, match="ignore_index 2, got probabilities"):
        nn.CrossEntropyLoss(ignore_index=2)(np.zeros((2, 4)), np.full((2, 4), 0.25))


def test_a_weight_of_another_length_is_refused():
    with pytest.raises(ShapeError, match=r"expected weight \(4,\), got \(3,\)"):
        nn.CrossEntropyLoss(weight=[1.0, 2.0, 3.0])(np.zeros((2, 4)), np.zeros(2, int))
    with pytest.raises(ShapeError, match=r"pos_weight to broadcast to \(2, 4\), got \(3,\)"):
        nn.BCEWithLogitsLoss(pos_weight=[1.0, 2.0, 3.0])(np.zeros((2, 4)), np.zeros((2, 4)))


def test_one_prediction_without_a_batch():
    criterion = nn.CrossEntropyLoss()
    assert criterion(np.zeros(4), np.array(2)) == pytest.approx(math.log(4))
    np.testing.assert_allclose(criterion.backward(), [0.25, 0.25, -0.75, 0.25])


def test_probability_zero_is_no_trouble():
    x = np.array([[0.0, -1e6]])
    assert nn.CrossEntropyLoss()(x, np.array([[1.0, 0.0]])) == 0
    assert nn.CrossEntropyLoss()(x, np.array([1])) == pytest.approx(1e6)


@pytest.mark.parametrize("criterion", [nn.MSELoss, nn.BCEWithLogitsLoss, nn.CrossEntropyLoss])
def test_an_unknown_reduction_is_refused(criterion):
    with pytest.raises(ValueError, match=f"{criterion.__name__}: .* 'mean', 'sum' or 'none', got 'average'"):
        criterion(reduction="average")


def test_label_smoothing_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"between 0 and 1, got 1\.5"):
        nn.CrossEntropyLoss(label_smoothing=1.5)


def test_a_target_that_would_broadcast_is_refused():
    with pytest.raises(ShapeError, match=r"MSELoss\(\): .*shape \(4, 1\), got \(4,\)"):
        nn.MSELoss()(np.zeros((4, 1)), np.zeros(4))


def test_binary_targets_may_be_integers_or_booleans():
    x = np.zeros(2)
    for target in (np.array([0, 1]), np.array([False, True])):
        assert nn.BCEWithLogitsLoss()(x, target) == pytest.approx(math.log(2))


def test_where_every_target_is_ignored_the_mean_is_nan_without_a_warning_and_the_gradient_0():
    x, t = np.random.default_rng(0).standard_normal((3, 4)), np.full(3, -100)
    criterion = nn.CrossEntropyLoss()
    assert np.isnan(criterion(x, t))
    np.testing.assert_array_equal(criterion.backward(), np.zeros((3, 4)))
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(x, requires_grad=True)
    loss = torch.nn.CrossEntropyLoss()(tensor, torch.tensor(t))
    loss.backward()
    assert loss.isnan()
    np.testing.assert_array_equal(tensor.grad.numpy(), np.zeros((3, 4)))


def test_nll_where_every_target_is_ignored_as_well():
    x, t = np.random.default_rng(0).standard_normal((3, 4)), np.full(3, -100)
    for dtype in (np.float32, np.float64):
        criterion = nn.NLLLoss()
        assert np.isnan(criterion(x.astype(dtype), t))
        np.testing.assert_array_equal(criterion.backward(), np.zeros((3, 4)))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: nn.HuberLoss(delta=0), "HuberLoss: expected delta above 0, got 0"),
        (lambda: nn.SmoothL1Loss(beta=-1), "SmoothL1Loss: expected beta of 0 or above, got -1"),
        (lambda: nn.MultiMarginLoss(3), "MultiMarginLoss: expected a power p of 1 or 2, got 3"),
        (lambda: nn.L1Loss("max"), "L1Loss: expected reduction 'mean', 'sum' or 'none', got 'max'"),
        (lambda: nn.KLDivLoss("max"), "KLDivLoss: expected reduction 'mean', 'batchmean', 'sum' or 'none'"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_wrong_targets_on_a_device_are_named_too():
    x, t = to_device(np.zeros((3, 4)), "sim"), to_device(np.array([0, 3, 4]), "sim")
    with pytest.raises(ValueError, match=r"class indices from 0 to 3 .* got 4 at position 2"):
        nn.NLLLoss()(x, t)
    with pytest.raises(ValueError, match=r"expected targets of 1 or -1, got 0.0 at position 0"):
        nn.SoftMarginLoss()(x, x)


@pytest.mark.parametrize("name", ["NLLLoss", "MultiMarginLoss"])
def test_one_decision_needs_no_batch(name):
    torch = pytest.importorskip("torch")
    x = np.array([0.3, -0.4, 0.1])
    criterion, theirs = getattr(nn, name)(), getattr(torch.nn, name)()
    tensor = torch.tensor(x, requires_grad=True)
    expected = theirs(tensor, torch.tensor(1))
    expected.backward()
    np.testing.assert_allclose(criterion(x, np.array(1)), expected.item(), rtol=1e-14)
    np.testing.assert_allclose(criterion.backward(), tensor.grad.numpy(), rtol=1e-14)


def test_a_cosine_of_single_vectors():
    torch = pytest.importorskip("torch")
    a, b = np.array([0.3, -0.4, 0.1]), np.array([1.0, 2.0, 3.0])
    criterion = nn.CosineEmbeddingLoss()
    tensors = [torch.tensor(x, requires_grad=True) for x in (a, b)]
    expected = torch.nn.CosineEmbeddingLoss()(*tensors, torch.tensor(1))
    expected.backward()
    np.testing.assert_allclose(criterion(a, b, np.array(1)), expected.item(), rtol=1e-12)
    for found, tensor in zip(criterion.backward(), tensors, strict=True):
        np.testing.assert_allclose(found, tensor.grad.numpy(), rtol=1e-12)
