"""Wrong metrics, planted one at a time: the comparison with scikit-learn must see every one."""

import numpy as np
import pytest
from metrics import test_precision_recall as classes
from metrics import test_ranking as scores
from metrics import test_regression as numbers

from minidl.metrics import MeanSquaredError, R2Score, TopKAccuracy, precision_recall, ranking
from minidl.testing import Bug, planted

BUGS = [
    ("classes", Bug("the mean over all classes", precision_recall, "summed_up", "> 0) | all_classes", ">= 0) | all_classes")),
    ("classes", Bug("weights by what was predicted", precision_recall, "summed_up", "weights = true[known] if", "weights = counts.sum(axis=0)[known] if")),
    ("classes", Bug("a 0 / 0 that is NaN spoils the mean", precision_recall, "summed_up", "known = met & ~np.isnan(values)", "known = met")),
    ("classes", Bug("binary is class 0", precision_recall, "summed_up", "float(values[1])", "float(values[-2])")),
    ("classes", Bug("rows and columns change places", precision_recall, "ratios", "counts.sum(axis=0), counts.sum(axis=1)", "counts.sum(axis=1), counts.sum(axis=0)")),
    ("classes", Bug("micro is class 0", precision_recall, "ratios", "part.sum(keepdims=True)", "part[:1]")),
    ("classes", Bug("F1 counts hits once", precision_recall, "ratios", "(2 * hits,", "(hits,")),
    ("classes", Bug("0 / 0 is 0 whatever is asked", precision_recall, "ratios", "part.shape, zero_division", "part.shape, 0.0")),
    ("scores", Bug("equals pass one by one", ranking, "_curve", "scores[1:] != scores[:-1]", "scores[1:] == scores[1:]")),
    ("scores", Bug("the lowest come first", ranking, "_curve", '"stable")[::-1]', '"stable")')),
    ("scores", Bug("rectangles instead of trapezoids", ranking, "_area", "(hits + np.append(0, hits[:-1]))", "(hits + hits)")),
    ("scores", Bug("corners are left out", ranking, "roc", "(np.diff(hits, 2) != 0) | (", "(np.diff(hits, 2) != 0) & (")),
    ("scores", Bug("of equals all win", TopKAccuracy, "update", "((scores == own) & later)", "((scores > own) & later)")),
    ("numbers", Bug("the means of batches are forgotten", R2Score, "_add", "np.square(apart) *", "0 * np.square(apart) *")),
    ("numbers", Bug("a batch's mean counts like all others", R2Score, "_add", "apart * (new / total)", "apart / 2")),
    ("numbers", Bug("the sum is of the last batch", MeanSquaredError, "_add", 'self._state.get("errors", 0) +', "0 +")),
    ("numbers", Bug("the root is never taken", MeanSquaredError, "_each", "mean if self.squared else np.sqrt(mean)", "mean")),
]  # fmt: skip


def check_classes(sklearn, folder):
    for seed in range(4):
        for name in classes.PAIRS:
            for zero_division in (0.0, 1.0, np.nan):
                classes.test_numbers_are_those_of_scikit_learn(name, zero_division, seed)
                classes.test_two_classes(name, [0, 0, 0, 1], [1, 0, 1, 0], zero_division)


def check_scores(sklearn, folder):
    scores.test_top_k_is_scikit_learns_ties_included(2, 1, sklearn)
    for seed in range(3):
        scores.test_roc_is_scikit_learns(seed, True, 4, sklearn)
        scores.test_the_area_is_scikit_learns_and_the_share_of_pairs(seed, 4, sklearn)


def check_numbers(sklearn, folder):
    numbers.test_numbers_are_those_of_scikit_learn((30,), "uniform_average")
    for name in numbers.METRICS:
        numbers.test_batches_are_the_whole(name, "uniform_average", (40,), folder)


CHECKS = {"classes": check_classes, "scores": check_scores, "numbers": check_numbers}


@pytest.mark.filterwarnings("ignore:.*ill-defined")
@pytest.mark.parametrize("name", CHECKS)
def test_honest_metrics_pass(name, tmp_path):
    CHECKS[name](pytest.importorskip("sklearn.metrics"), tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "bug"), BUGS, ids=[bug.name for _, bug in BUGS])
def test_a_planted_bug_is_found(name, bug, tmp_path):
    sklearn = pytest.importorskip("sklearn.metrics")
    with planted(bug), pytest.raises(AssertionError):
        CHECKS[name](sklearn, tmp_path)
