"""Top-k, the ROC curve and its area: scikit-learn's numbers, with ties, missing classes and any batches."""

import itertools
import math
import warnings

import numpy as np
import pytest
from metrics.streaming import check_streaming, same

from minidl.errors import DTypeError, ShapeError, StateDictError
from minidl.metrics import AUROC, ROC, TopKAccuracy, accuracy, auc, auroc, roc, top_k_accuracy


@pytest.fixture
def sklearn():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield pytest.importorskip("sklearn.metrics")


def draw(seed, levels):
    """Scores and targets of two classes; few levels make many ties."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 80))
    true = rng.integers(0, 2, count)
    true[:2] = 0, 1
    scores = rng.normal(size=count) + true
    return (np.round(scores * levels) / levels if levels else scores), true


# -------------------------------------------------------------------- top-k


def test_top_k_by_hand():
    scores = [[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.4, 0.35, 0.25]]
    assert top_k_accuracy(scores, [0, 1, 2], 1) == 1 / 3
    assert top_k_accuracy(scores, [0, 1, 2], 2) == 2 / 3
    assert top_k_accuracy(scores, [0, 1, 2], 3) == 1
    assert top_k_accuracy([[1, 1, 1]], [1], 1) == 0  # of equals, the last class comes first
    assert top_k_accuracy([[1, 1, 1]], [1], 2) == 1


@pytest.mark.parametrize("levels", [0, 1, 2])
@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_top_k_is_scikit_learns_ties_included(k, levels, sklearn):
    rng = np.random.default_rng(k)
    scores, true = rng.normal(size=(200, 6)).astype(np.float32), rng.integers(0, 6, 200)
    scores = np.round(scores * levels) if levels else scores
    wanted = sklearn.top_k_accuracy_score(true, scores, k=k, labels=range(6))
    assert top_k_accuracy(scores, true, k) == wanted
    if k == 1 and not levels:
        assert accuracy(scores, true) == wanted


def test_top_k_in_batches(tmp_path):
    rng = np.random.default_rng(1)
    scores, true = rng.normal(size=(40, 6)), rng.integers(0, 6, 40)
    check_streaming(lambda: TopKAccuracy(2), scores, true, lambda p, t: top_k_accuracy(p, t, 2), tmp_path)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: TopKAccuracy(0), ValueError, "k of at least 1, got 0"),
        (lambda: TopKAccuracy(2.0), TypeError, "k to be an integer, got 2.0"),
        (lambda: top_k_accuracy(np.ones((2, 3)), [0, 1]), ShapeError, r"at least 5 classes, got \(2, 3\)"),
        (lambda: top_k_accuracy([0, 1], [0, 1], 1), ShapeError, r"scores \(N, C\)"),
        (lambda: top_k_accuracy(np.ones((2, 3)), [0, 3], 1), ValueError, "target from 0 to 2, got 3"),
        (lambda: top_k_accuracy([[np.nan, 1]], [0], 1), ValueError, "without NaN"),
        (
            lambda: TopKAccuracy(3).load_state_dict(TopKAccuracy(2).state_dict()),
            StateDictError,
            "expected k=3",
        ),
        (
            lambda: TopKAccuracy(3).load_state_dict({"k": 3, "right": 2, "seen": 1}),
            StateDictError,
            "right ≤ seen",
        ),
        (
            lambda: TopKAccuracy(3).load_state_dict({"k": 3, "right": "x", "seen": 1}),
            StateDictError,
            "numbers",
        ),
    ],
)
def test_top_k_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()
    assert (TopKAccuracy(3).name, repr(TopKAccuracy(3))) == ("top3_accuracy", "TopKAccuracy(3)")


# -------------------------------------------------------------------- the curve and its area


def test_roc_by_hand():
    curve = roc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    assert curve.fpr.tolist() == [0, 0, 0.5, 0.5, 1]
    assert curve.tpr.tolist() == [0, 0.5, 0.5, 1, 1]
    assert curve.thresholds.tolist() == [math.inf, 0.8, 0.4, 0.35, 0.1]
    assert auroc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.75  # three of four pairs are sorted right
    assert auroc([1, 1, 1], [0, 1, 0]) == 0.5
    assert auc([0, 1, 3], [0, 2, 2]) == auc([3, 1, 0], [2, 2, 0]) == 5


@pytest.mark.parametrize("levels", [0, 1, 4])
@pytest.mark.parametrize("drop", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_roc_is_scikit_learns(seed, drop, levels, sklearn):
    scores, true = draw(seed, levels)
    for given in (scores, scores.astype(np.float32)):
        wanted = sklearn.roc_curve(true, given, drop_intermediate=drop)
        for ours, other in zip(roc(given, true, drop), wanted, strict=True):
            np.testing.assert_allclose(ours, other, rtol=1e-14)


@pytest.mark.parametrize("levels", [0, 1, 4])
@pytest.mark.parametrize("seed", range(6))
def test_the_area_is_scikit_learns_and_the_share_of_pairs(seed, levels, sklearn):
    scores, true = draw(seed, levels)
    area = auroc(scores, true)
    assert area == pytest.approx(sklearn.roc_auc_score(true, scores), rel=1e-13)
    curve = roc(scores, true)
    assert auc(curve.fpr, curve.tpr) == pytest.approx(area, rel=1e-13)
    pairs = [np.sign(p - n) / 2 + 0.5 for p, n in itertools.product(scores[true == 1], scores[true == 0])]
    assert area == pytest.approx(np.mean(pairs), rel=1e-13)
    assert auroc(-scores, true) == pytest.approx(1 - area, rel=1e-13)


@pytest.mark.parametrize("average", ["macro", "weighted", None])
@pytest.mark.parametrize("levels", [0, 2])
def test_many_classes_are_one_against_the_rest(average, levels, sklearn):
    rng = np.random.default_rng(3)
    true = np.minimum(rng.integers(0, 4, 90), rng.integers(0, 4, 90))
    scores = rng.random((90, 4)) + np.eye(4)[true]
    scores = np.round(scores * levels) + 0.1 if levels else scores
    scores /= scores.sum(axis=1, keepdims=True)  # scikit-learn wants probabilities
    wanted = sklearn.roc_auc_score(true, scores, average=average, multi_class="ovr")
    np.testing.assert_allclose(auroc(scores, true, average), wanted, rtol=1e-13)


@pytest.mark.parametrize("true", [0, 1])
def test_with_one_class_alone_a_rate_is_nan(true, sklearn):
    scores = [0.2, 0.7, 0.5]
    same(list(roc(scores, [true] * 3)), list(sklearn.roc_curve([true] * 3, scores)))
    assert math.isnan(auroc(scores, [true] * 3))
    each = auroc(np.eye(3), [0, 0, 1], None)  # nothing is of class 2
    assert np.isnan(each).tolist() == [False, False, True]
    assert math.isnan(auroc(np.eye(3), [0, 0, 1]))


@pytest.mark.parametrize("make", [AUROC, lambda: AUROC("weighted"), lambda: AUROC(None)])
@pytest.mark.parametrize("classes", [1, 3])
def test_areas_in_batches(make, classes, tmp_path):
    rng = np.random.default_rng(5)
    true = rng.integers(0, max(classes, 2), 50)
    scores = np.round(rng.normal(size=(50, classes)), 1).astype(np.float32)
    scores = scores if classes > 1 else scores[:, 0]
    check_streaming(make, scores, true, lambda p, t: auroc(p, t, make().average), tmp_path)


def test_curves_in_batches(tmp_path):
    scores, true = draw(4, 3)
    check_streaming(ROC, scores, true, roc, tmp_path)
    check_streaming(lambda: ROC(False), scores, true, lambda p, t: roc(p, t, False), tmp_path)


def test_one_output_of_a_network_is_taken_as_it_comes():
    scores, true = draw(1, 0)
    column = scores.astype(np.float32)[:, None], true.astype(np.float32)[:, None]
    assert auroc(*column) == auroc(column[0][:, 0], true)
    assert auroc(scores, true == 1) == auroc(scores, true)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: roc([0.1], [0, 1]), ShapeError, r"roc: expected .* got \(1,\) and \(2,\)"),
        (lambda: roc(np.ones((2, 2)), np.ones((2, 2))), ShapeError, r"got \(2, 2\) and \(2, 2\)"),
        (lambda: roc([0.1, 0.2], [0, 2]), ValueError, "roc: expected a target of 0 and 1, got 2"),
        (lambda: roc([0.1, np.nan], [0, 1]), ValueError, "without NaN, got 1 of them"),
        (lambda: roc(["a"], [0]), DTypeError, "scores of real numbers"),
        (lambda: roc([], []), ValueError, "roc: expected at least one sample, got none"),
        (lambda: auroc([0.1], [0.5]), ValueError, "AUROC: expected a target of 0 and 1, got 0.5"),
        (lambda: auroc(np.ones((2, 3)), [0, 3]), ValueError, "target from 0 to 2, got 3"),
        (
            lambda: auroc(np.ones((2, 3)), [0, 1], "micro"),
            ValueError,
            "one of macro, weighted, none, got 'micro'",
        ),
        (lambda: auc([0], [1]), ShapeError, "at least two points"),
        (lambda: auc([0, 1], [1]), ShapeError, r"got \(2,\) and \(1,\)"),
        (lambda: auc([0, 2, 1], [1, 1, 1]), ValueError, "does both"),
        (
            lambda: AUROC().load_state_dict({"scores": [1.0], "target": None}),
            StateDictError,
            "AUROC: expected",
        ),
        (
            lambda: ROC().load_state_dict({"scores": [1.0], "target": [4]}),
            StateDictError,
            "ROC: expected scores",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_batches_of_another_kind_are_refused_and_nothing_changes():
    metric = AUROC()
    metric.update([0.1, 0.9], [0, 1])
    with pytest.raises(ShapeError, match="as in the batches before"):
        metric.update(np.ones((2, 3)), [0, 1])
    with pytest.raises(StateDictError):
        metric.load_state_dict({"scores": np.ones(3), "target": np.ones(2)})
    assert metric.compute() == 1
    assert (metric.name, repr(metric), repr(ROC())) == (
        "auroc", "AUROC(average='macro')", "ROC(drop_intermediate=True)",
    )  # fmt: skip


def test_what_was_taken_in_is_the_metrics_own():
    metric, scores, true = AUROC(), np.array([0.1, 0.9]), np.array([0, 1])
    metric.update(scores, true)
    scores[:], true[:] = 0.5, 0
    assert metric.compute() == 1
