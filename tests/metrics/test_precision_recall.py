"""Precision, recall, F1 and the report: scikit-learn's numbers in every average, with classes missing."""

import warnings

import numpy as np
import pytest
from metrics.streaming import check_streaming, same

from minidl.errors import DTypeError, ShapeError, StateDictError
from minidl.metrics import (
    ClassificationReport,
    F1Score,
    Precision,
    Recall,
    classification_report,
    f1_score,
    precision,
    recall,
    report_text,
)
from minidl.metrics.precision_recall import summed_up

PAIRS = {"precision": (precision, Precision), "recall": (recall, Recall), "f1": (f1_score, F1Score)}
AVERAGES = ["micro", "macro", "weighted", "none"]


def draw(seed, count=60, classes=5):
    """Classes of unequal size; some are never true, some never predicted."""
    rng = np.random.default_rng(seed)
    true = np.minimum(rng.integers(0, classes, count), rng.integers(0, classes, count))
    predicted = np.where(rng.random(count) < 0.5, true, rng.integers(0, classes, count))
    if seed % 3 == 1:
        true[true == 2] = 1
    if seed % 3 == 2:
        predicted[predicted == 0] = 3
    if seed % 4 == 3:  # a class that nobody names
        predicted[predicted == 1], true[true == 1] = 4, 0
    return predicted, true


def theirs(name, true, predicted, **options):
    sklearn = pytest.importorskip("sklearn.metrics")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(sklearn, f"{name}_score")(true, predicted, **options)


def test_by_hand():
    # Class 0: 2 true, 1 predicted, 1 right. Class 1: 1 true, 2 predicted, 1 right. Class 2: 1 and 1, right.
    predicted, true = [0, 1, 1, 2], [0, 0, 1, 2]
    assert precision(predicted, true, None).tolist() == [1, 0.5, 1]
    assert recall(predicted, true, "none").tolist() == [0.5, 1, 1]
    same(f1_score(predicted, true, None), [2 / 3, 2 / 3, 1], 1e-15)
    assert precision(predicted, true) == pytest.approx(2.5 / 3)
    assert recall(predicted, true, "weighted") == pytest.approx((2 * 0.5 + 1 + 1) / 4)
    assert f1_score(predicted, true, "micro") == 0.75
    assert precision([1, 1, 0], [1, 0, 1], "binary") == 0.5


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("zero_division", [0.0, 1.0, np.nan])
@pytest.mark.parametrize("name", PAIRS)
def test_numbers_are_those_of_scikit_learn(name, zero_division, seed):
    function, _ = PAIRS[name]
    predicted, true = draw(seed)
    for average in AVERAGES:
        wanted = theirs(
            name, true, predicted, zero_division=zero_division,
            **({"average": None, "labels": range(5)} if average == "none" else {"average": average}),
        )  # fmt: skip
        found = function(predicted, true, average, num_classes=5, zero_division=zero_division)
        np.testing.assert_allclose(found, wanted, rtol=1e-14, equal_nan=True)


@pytest.mark.parametrize("zero_division", [0.0, 1.0, np.nan])
@pytest.mark.parametrize(
    ("predicted", "true"),
    [
        ([0, 1, 1, 0, 1], [1, 1, 0, 0, 1]),
        ([0, 0, 0], [1, 0, 1]),
        ([1, 1], [0, 0]),
        ([0, 0], [0, 0]),
        ([1], [1]),
    ],
)
@pytest.mark.parametrize("name", PAIRS)
def test_two_classes(name, predicted, true, zero_division):
    found = PAIRS[name][0](predicted, true, "binary", zero_division=zero_division)
    np.testing.assert_allclose(
        found, theirs(name, true, predicted, zero_division=zero_division), equal_nan=True
    )


@pytest.mark.parametrize("average", [*AVERAGES, "binary"])
@pytest.mark.parametrize("name", PAIRS)
def test_batches_are_the_whole(name, average, tmp_path):
    classes = 2 if average == "binary" else 5
    predicted, true = draw(2, classes=4 if classes == 5 else 2)
    predicted, true = predicted % classes, true % classes
    function, metric = PAIRS[name]
    check_streaming(
        lambda: metric(classes, average),
        predicted, true,
        lambda p, t: function(p, t, average, num_classes=classes),
        tmp_path,
    )  # fmt: skip


def test_scores_are_taken_like_their_largest():
    rng = np.random.default_rng(0)
    scores, true = rng.normal(size=(30, 4)), rng.integers(0, 4, 30)
    for function, metric in PAIRS.values():
        assert function(scores, true) == function(scores.argmax(1), true, num_classes=4)
        streaming = metric(4)
        streaming.update(scores, true)
        assert streaming.compute() == function(scores, true)


def test_names_and_looks():
    assert [metric(3).name for _, metric in PAIRS.values()] == ["precision", "recall", "f1"]
    assert Recall(3, "micro", name="found").name == "found"
    assert repr(F1Score(3, None)) == "F1Score(3, average='none')"
    assert repr(ClassificationReport(3)) == "ClassificationReport(3)"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Precision(3, "mean"), ValueError, "macro, weighted, none, got 'mean'"),
        (lambda: Precision(3, "binary"), ValueError, "Precision: expected two classes .* got 3"),
        (lambda: Recall(3, zero_division=0.5), ValueError, "zero_division to be 0, 1 or NaN, got 0.5"),
        (lambda: F1Score(0), ValueError, "F1Score: expected num_classes of at least 1, got 0"),
        (lambda: F1Score(2.0), TypeError, "F1Score: expected num_classes to be an integer"),
        (lambda: precision([0, 2], [0, 1], "binary"), ValueError, "precision: .* from 0 to 1, got 2"),
        (lambda: precision([0], [0], "binary", num_classes=3), ValueError, "two classes .* got 3"),
        (lambda: recall([], [], num_classes=2), ValueError, "recall: expected at least one sample, got none"),
        (lambda: f1_score([0], [0, 1]), ShapeError, r"f1_score: expected .* got \(1,\) and \(2,\)"),
        (lambda: f1_score([0.5], [0]), DTypeError, "integer classes, got float64"),
        (lambda: Recall(2).update([0, 3], [0, 1]), ValueError, "Recall: .* from 0 to 1, got 3"),
        (lambda: Recall(2).load_state_dict({"counts": np.eye(3)}), StateDictError, "Recall: expected"),
        (lambda: classification_report([0], [0], ["a"], num_classes=2), ValueError, "2 names, got 1"),
        (lambda: classification_report([], [], ["a"]), ValueError, "expected at least one sample, got none"),
        (lambda: ClassificationReport(2, ["a"]), ValueError, "ClassificationReport: expected 2 names, got 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


# -------------------------------------------------------------------- the report


@pytest.mark.parametrize("names", [None, ["cat", "a dog with a rather long name", "cow", "emu", "fox"]])
@pytest.mark.parametrize("digits", [2, 4])
@pytest.mark.parametrize("zero_division", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_the_report_is_scikit_learns_to_the_letter(seed, zero_division, digits, names):
    sklearn = pytest.importorskip("sklearn.metrics")
    predicted, true = draw(seed)
    options = {} if names is None else {"labels": range(5), "target_names": names}
    options |= {"zero_division": zero_division}
    wanted = sklearn.classification_report(true, predicted, digits=digits, **options)
    assert classification_report(predicted, true, names, digits=digits, zero_division=zero_division) == wanted
    numbers = classification_report(predicted, true, names, zero_division=zero_division, output_dict=True)
    same(numbers, sklearn.classification_report(true, predicted, output_dict=True, **options), 1e-14)
    assert report_text(numbers, digits) == wanted


def test_the_report_batch_by_batch(tmp_path):
    predicted, true = draw(4)
    check_streaming(
        lambda: ClassificationReport(5),
        predicted, true,
        lambda p, t: classification_report(p, t, output_dict=True),
        tmp_path,
    )  # fmt: skip


def test_all_classes_count_where_they_are_asked_for():
    counts = np.array([[2, 0, 0], [0, 2, 0], [0, 0, 0]])
    assert summed_up(counts, "f1", "macro", 0.0) == 1
    assert summed_up(counts, "f1", "macro", 0.0, all_classes=True) == pytest.approx(2 / 3)
