"""Accuracy and the confusion matrix: scikit-learn's numbers, whole or in batches, and clear refusals."""

import json

import numpy as np
import pytest

from minidl.errors import DTypeError, ShapeError, StateDictError
from minidl.metrics import Accuracy, ConfusionMatrix, accuracy, confusion_matrix


def test_by_hand():
    scores = [[0.1, 0.7, 0.2], [0.5, 0.2, 0.3], [0.2, 0.3, 0.5], [0.9, 0.0, 0.1]]
    target = [1, 0, 1, 2]
    assert accuracy(scores, target) == 0.5
    # true 0 → 0; true 1 → 1 and 2; true 2 → 0
    np.testing.assert_array_equal(confusion_matrix(scores, target), [[1, 0, 0], [0, 1, 1], [1, 0, 0]])


def test_labels_and_scores_agree_and_the_first_of_equals_wins():
    scores = np.array([[1.0, 1.0], [0.0, 0.0], [-np.inf, 3.0]], np.float32)
    assert accuracy(scores, np.array([0, 0, 1])) == 1.0
    assert accuracy(scores.argmax(1), np.array([0, 0, 1])) == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_numbers_are_those_of_scikit_learn(seed):
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    count, classes = int(rng.integers(1, 200)), int(rng.integers(2, 12))
    target = rng.integers(0, classes, count)
    scores = rng.normal(size=(count, classes)).astype(np.float32)
    scores[np.arange(count), target] += 1
    predicted = scores.argmax(1)
    expected = sklearn.confusion_matrix(target, predicted, labels=range(classes))
    for prediction in (scores, predicted, predicted.astype(np.uint8)):
        assert accuracy(prediction, target) == sklearn.accuracy_score(target, predicted)
        np.testing.assert_array_equal(confusion_matrix(prediction, target, num_classes=classes), expected)


def test_numbers_are_those_of_numpy():
    rng = np.random.default_rng(1)
    target, predicted = rng.integers(0, 7, 500), rng.integers(0, 7, 500)
    matrix = confusion_matrix(predicted, target)
    assert matrix.dtype == np.int64
    for true in range(7):
        for taken in range(7):
            assert matrix[true, taken] == ((target == true) & (predicted == taken)).sum()
    assert np.trace(matrix) / matrix.sum() == accuracy(predicted, target)


def test_the_number_of_classes_by_default():
    assert confusion_matrix([0, 1], [0, 3]).shape == (4, 4)
    assert confusion_matrix([4, 1], [0, 3]).shape == (5, 5)
    assert confusion_matrix(np.zeros((2, 6)), [0, 3]).shape == (6, 6)
    assert confusion_matrix([0, 1], [0, 3], num_classes=10).shape == (10, 10)
    assert confusion_matrix([], [], num_classes=2).tolist() == [[0, 0], [0, 0]]
    # A label of a small dtype must not wrap around: 200·256 does not fit into a byte.
    assert confusion_matrix(np.uint8([200]), np.uint8([255]))[255, 200] == 1


@pytest.mark.parametrize("metric", [Accuracy(), ConfusionMatrix(5)])
@pytest.mark.parametrize("cuts", [[], [50], [1, 2, 99], [0, 30, 30, 100]])
def test_split_batches_are_the_whole(metric, cuts):
    rng = np.random.default_rng(2)
    scores, target = rng.normal(size=(100, 5)), rng.integers(0, 5, 100)
    scores_before, target_before = scores.copy(), target.copy()
    metric.reset()
    for part, true in zip(np.split(scores, cuts), np.split(target, cuts), strict=True):
        metric.update(part, true)
    whole = accuracy if isinstance(metric, Accuracy) else confusion_matrix
    np.testing.assert_array_equal(metric.compute(), whole(scores, target))
    np.testing.assert_array_equal(scores, scores_before)
    np.testing.assert_array_equal(target, target_before)


@pytest.mark.parametrize("make", [Accuracy, lambda: ConfusionMatrix(3)])
def test_a_state_saved_between_batches_goes_on(make):
    whole, first, second = make(), make(), make()
    batches = [([0, 1, 2], [0, 2, 2]), ([1, 1], [1, 0])]
    for batch in batches:
        whole.update(*batch)
    first.update(*batches[0])
    state = first.state_dict()
    first.update(*batches[1])  # must not reach into the state
    second.load_state_dict(state)
    second.update(*batches[1])
    np.testing.assert_array_equal(second.compute(), whole.compute())
    json.dumps({key: np.asarray(value).tolist() for key, value in state.items()})
    second.reset()
    second.update([0], [0])
    assert np.sum(second.compute()) == 1


def test_a_result_is_the_callers_own():
    metric = ConfusionMatrix(2)
    metric.update([0], [0])
    metric.compute()[...] = 9
    assert metric.compute().tolist() == [[1, 0], [0, 0]]


def test_names_and_looks():
    assert Accuracy().name == "accuracy"
    assert ConfusionMatrix(3).name == "confusion_matrix"
    assert repr(Accuracy()) == "Accuracy()"
    assert repr(ConfusionMatrix(3)) == "ConfusionMatrix(3)"


@pytest.mark.parametrize("use", [accuracy, confusion_matrix, Accuracy().update, ConfusionMatrix(3).update])
@pytest.mark.parametrize(
    ("prediction", "target", "error", "message"),
    [
        ([0, 1], [0, 1, 2], ShapeError, r"got \(2,\) and \(3,\)"),
        (np.zeros((2, 3)), [0, 1, 2], ShapeError, r"got \(2, 3\) and \(3,\)"),
        (np.zeros((2, 3)), np.zeros((2, 3), int), ShapeError, r"got \(2, 3\) and \(2, 3\)"),
        (np.zeros((2, 3, 1)), [0, 1], ShapeError, r"got \(2, 3, 1\) and \(2,\)"),
        (1, 1, ShapeError, r"got \(\) and \(\)"),
        ([0.0, 1.0], [0, 1], DTypeError, "integer classes, got float64"),
        ([0, 1], [0.0, 1.0], DTypeError, "target of integer classes, got float64"),
        (np.zeros((1, 3), complex), [0], DTypeError, "real numbers, got complex128"),
        (np.zeros((2, 3)), [0, 3], ValueError, "target from 0 to 2, got 3"),
        (np.zeros((2, 3)), [-1, 2], ValueError, "target from 0 to 2, got -1"),
        ([[0.0, np.nan, 1.0]], [0], ValueError, "without NaN, got 1 of them"),
    ],
)
def test_what_does_not_fit_is_refused(use, prediction, target, error, message):
    with pytest.raises(error, match=message):
        use(prediction, target)


@pytest.mark.parametrize(
    "use", [ConfusionMatrix(3).update, lambda p, t: confusion_matrix(p, t, num_classes=3)]
)
def test_a_class_out_of_range_is_refused_and_nothing_counted(use):
    with pytest.raises(ValueError, match="prediction from 0 to 2, got 3"):
        use([0, 3], [0, 1])
    with pytest.raises(ValueError, match="target from 0 to 2, got -1"):
        use([0, 1], [0, -1])


def test_a_refused_batch_changes_nothing():
    metric = ConfusionMatrix(3)
    with pytest.raises(ValueError, match="got 5"):
        metric.update([0, 5], [0, 1])
    assert metric.compute().sum() == 0
    with pytest.raises(ValueError, match="prediction from 0 to 0, got -1"):
        confusion_matrix([-1], [0])
    with pytest.raises(ValueError, match="classes of at least 0, got -1"):
        confusion_matrix([-1], [-2])


def test_nothing_to_compute_is_said():
    for use in (Accuracy().compute, lambda: accuracy([], []), lambda: accuracy(np.zeros((0, 3)), [])):
        with pytest.raises(ValueError, match="at least one sample before compute, got none"):
            use()
    with pytest.raises(ValueError, match="num_classes or at least one sample"):
        confusion_matrix([], [])


@pytest.mark.parametrize(
    ("count", "error"), [(0, ValueError), (-2, ValueError), (2.0, TypeError), (True, TypeError)]
)
def test_a_number_of_classes_that_makes_no_sense(count, error):
    with pytest.raises(error, match="ConfusionMatrix: expected num_classes"):
        ConfusionMatrix(count)


@pytest.mark.parametrize(
    ("metric", "state"),
    [
        (Accuracy(), {"right": 1}),
        (Accuracy(), {"right": 1, "seen": 2, "more": 3}),
        (Accuracy(), {"right": 3, "seen": 2}),
        (Accuracy(), {"right": -1, "seen": 2}),
        (Accuracy(), {"right": "x", "seen": 2}),
        (ConfusionMatrix(2), {}),
        (ConfusionMatrix(2), {"counts": np.zeros((3, 3), int)}),
        (ConfusionMatrix(2), {"counts": np.zeros((2, 2))}),
        (ConfusionMatrix(2), {"counts": -np.ones((2, 2), int)}),
    ],
)
def test_a_state_of_something_else_is_refused(metric, state):
    metric.reset()
    metric.update([1], [1])
    before = metric.compute()
    with pytest.raises(StateDictError, match=f"{type(metric).__name__}: expected"):
        metric.load_state_dict(state)
    np.testing.assert_array_equal(metric.compute(), before)
