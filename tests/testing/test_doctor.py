"""Each explanation of the gradient doctor is given for the mistake that it is meant for."""

import numpy as np
import pytest

from minidl.testing.doctor import diagnose

N, D, M = 5, 3, 4
RNG = np.random.default_rng(0)
RIGHT = RNG.normal(size=(M, D))
SQUARE = RNG.normal(size=(3, 3))
VECTOR = RNG.normal(size=M)
BATCH = RNG.normal(size=(N, M))
PLACES = np.arange(12).reshape(M, D)
WITH_NAN = np.where(PLACES == 5, np.nan, RIGHT)
ONE_WRONG = np.where(PLACES == 7, 7.0, RIGHT)
BEFORE = RNG.normal(size=(M, D))

CASES = {
    "summed": (RIGHT * N, RIGHT, "Yours / expected = 5.00 everywhere; the batch is 5, so you probably"),
    "averaged": (RIGHT / N, RIGHT, "= 0.20 everywhere; the batch is 5, so you probably averaged where a sum"),
    "sign": (-RIGHT, RIGHT, "Yours / expected = −1.00 everywhere; the sign is reversed"),
    "sign and factor": (-N * RIGHT, RIGHT, "summed where the loss averages; the sign is reversed, too"),
    "twice": (2 * RIGHT, RIGHT, "= 2.00 everywhere; counted twice"),
    "half": (RIGHT / 2, RIGHT, "= 0.50 everywhere; half is missing"),
    "rows": (RIGHT * M, RIGHT, "= 4.00 everywhere; axis 0 has 4 entries, so a division by it is missing"),
    "some factor": (RIGHT * 0.0125, RIGHT, "= 0.0125 everywhere; one constant factor is wrong"),
    "one number summed": (np.float64(2.5), np.float64(0.5), "Yours / expected = 5.00 everywhere; the batch"),
    "one number wrong": (2.4, np.float64(0.5), "Yours is 2.40, expected 0.50"),
    "transpose": (RIGHT.T, RIGHT, "shape (3, 4), expected (4, 3): the values are right, but it is the"),
    "transposed shape": (RIGHT.T + 1, RIGHT, "shape (3, 4), expected (4, 3): the shape of the transpose"),
    "square transpose": (SQUARE.T, SQUARE, "It is the transpose of the right answer"),
    "not summed": (BATCH, BATCH.sum(axis=0), "its sum over axis 0 (of size 5, the batch) is right"),
    "kept": (BATCH.sum(axis=0, keepdims=True), BATCH.sum(axis=0), "a dimension of size 1 too many"),
    "wrong axis": (BATCH.sum(axis=1), BATCH.sum(axis=0), "the sum ran over the wrong axis; the batch is"),
    "too far": (BATCH.sum(), BATCH.sum(axis=0), "it is the sum over axis 0, which should have been kept"),
    "broadcast square": (VECTOR[:, None] + VECTOR, VECTOR, "(4, 1) and (4,) were broadcast against each"),
    "flat": (RIGHT.ravel(), RIGHT, "the values are right; reshape to (4, 3)"),
    "other shape": (RIGHT.ravel() + 1, RIGHT, "as many numbers, in another shape"),
    "total": (np.full(M, VECTOR.sum()), VECTOR, "The same along axis 0: the sum over it was broadcast back"),
    "mean": (np.full(M, VECTOR.mean()), VECTOR, "The same along axis 0: the mean over it was broadcast back"),
    "constant": (np.ones((M, D)), RIGHT, "The same along axes 0 and 1, where the right one varies"),
    "zeros": (np.zeros((M, D)), RIGHT, "All zeros"),
    "nan": (WITH_NAN, RIGHT, "shape (4, 3) correct, but not finite: NaN in 1 of 12 places, first at [1, 2]"),
    "inf": (RIGHT + np.inf, RIGHT, "not finite: inf everywhere; a division by 0 or an exp() of a large"),
    "integers": (RIGHT.astype(int), RIGHT, "the dtype is int64, which cannot hold fractions; expected"),
    "offset": (RIGHT - 1, RIGHT, "Yours − expected = −1.00 everywhere; a constant was added or forgotten"),
    "reversed": (RIGHT[::-1], RIGHT, "The right numbers in the wrong order: reversed along axis 0"),
    "permuted": (RIGHT[[1, 0, 3, 2]], RIGHT, "The right numbers in the wrong places"),
    "axis factor": (RIGHT * [1, 2, 3], RIGHT, "Yours / expected depends on axis 1 only"),
    "nearly": (RIGHT + 1e-5 * RIGHT**2, RIGHT, "Nearly right: the largest relative error"),
    "nearly, by one factor": (RIGHT * (1 + 1e-5), RIGHT, "Nearly right: the largest relative error is 1e-05"),
    "nearly, in float32": (
        (RIGHT * (1 + 1e-5)).astype(np.float32),
        RIGHT,
        "Nearly right: the largest relative error is 1e-05; the dtype is float32, and float64 holds more",
    ),
    "one place": (ONE_WRONG, RIGHT, "Right in 11 of 12 places: e.g. at [2, 1] yours"),
    "everywhere": (RNG.normal(size=(M, D)), RIGHT, "Wrong everywhere: e.g. at [0, 0] yours is"),
    "not summed, kept": (BATCH, BATCH.sum(axis=0, keepdims=True), "its sum over axis 0 is right, so that"),
    "other ones": (VECTOR[None, :, None], VECTOR[None, None], "dimensions of size 1 differ; reshape to"),
    "averaged over an axis": (RIGHT / M, RIGHT, "= 0.25 everywhere; axis 0 has 4 entries, so it was"),
    "a small factor": (RIGHT * 1e-5, RIGHT, "Yours / expected = 1.0e−05 everywhere; one constant factor"),
    "equal rows, both": (RIGHT[[0] * 4], RIGHT[[1] * 4], "Yours / expected depends on axis 1 only"),
    "no idea": (np.ones(7), RIGHT, "dW: shape (7,), expected (4, 3) (eq. 12.2)."),
    "zero expected": (2.4, np.float64(0), "Yours is 2.40, expected 0 (eq"),
    "none": (None, RIGHT, "expected an array, got None; a function without `return` gives None"),
    "list": ([1.0], RIGHT, "expected a NumPy array of shape (4, 3), got a list of 1"),
    "number": (1.0, RIGHT, "expected a NumPy array of shape (4, 3), got float"),
    "text": (np.array(["a"]), RIGHT, "expected an array of real numbers, got one of dtype <U1"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", CASES)
def test_a_mistake_is_named(mistake: str) -> None:
    got, expected, words = CASES[mistake]
    explanation = diagnose("dW", got, expected, batch=N, equation="12.2")
    assert explanation is not None
    assert explanation.startswith("dW: ")
    assert explanation.endswith(" (eq. 12.2).")
    assert "\n" not in explanation
    assert words in explanation


@pytest.mark.parametrize("right", [RIGHT, RIGHT.astype(np.float32), np.empty((0, 3)), np.array(2.0)])
def test_what_is_right_needs_no_doctor(right: np.ndarray) -> None:
    assert diagnose("dW", right.copy(), right) is None
    assert diagnose("dW", right * (1 + 1e-8), right) is None
    assert diagnose("y", 2.0, np.array(2.0)) is None


def test_infinite_where_it_should_be_is_right() -> None:
    right = np.array([np.inf, np.nan, 1.0])
    assert diagnose("y", right.copy(), right) is None
    assert diagnose("y", np.array([np.inf, np.nan, 2.0]), right) is not None


@pytest.mark.parametrize(
    ("got", "words"),
    [
        (RIGHT - BEFORE, "The gradient that was there before is lost: add to it with +="),
        (BEFORE, "Nothing was added. Either the line is missing, or `dW = dW + …` makes a new array"),
        (BEFORE - (RIGHT - BEFORE), "The share was subtracted"),
        (BEFORE + N * (RIGHT - BEFORE), "What was added / expected = 5.00 everywhere; the batch is 5"),
    ],
)
def test_accumulating_has_its_own_mistakes(got: np.ndarray, words: str) -> None:
    assert words in str(diagnose("dW", got, RIGHT, batch=N, previous=BEFORE))


@pytest.mark.parametrize(
    ("times", "words"),
    [(0, "The term λW is missing"), (2, "The term λW is counted twice"), (-1, "λW has the wrong sign")],
)
def test_a_term_is_named(times: float, words: str) -> None:
    term = RNG.normal(size=(M, D))
    assert words in str(diagnose("dW", RIGHT + times * term, RIGHT + term, terms={"λW": term}))


def test_a_term_of_what_was_added_is_named() -> None:
    term = RNG.normal(size=(M, D))
    explanation = diagnose("dW", RIGHT - term, RIGHT, previous=BEFORE, terms={"λW": term})
    assert "The term λW is missing" in str(explanation)


def test_a_known_wrong_answer_is_named_before_any_guess() -> None:
    explanation = diagnose("dx", -RIGHT, RIGHT, candidates={"This is the sigmoid of −x": -RIGHT})
    assert explanation == "dx: shape (4, 3) correct, values wrong. This is the sigmoid of −x."


def test_a_region_says_where_it_went_wrong() -> None:
    regions = {"x < 0": RIGHT < 0}
    wrong = np.where(RIGHT < 0, 7.0, RIGHT)
    assert "Right except where x < 0: e.g. at [" in str(diagnose("dx", wrong, RIGHT, regions=regions))
    nan = np.where(RIGHT < 0, np.nan, RIGHT)
    assert "NaN where x < 0" in str(diagnose("dx", nan, RIGHT, regions=regions))


def test_the_line_of_the_course() -> None:
    assert diagnose("dW", 5 * RIGHT, RIGHT, batch=5, equation="4.7") == (
        "dW: shape (4, 3) correct, values wrong. Yours / expected = 5.00 everywhere; the batch is 5, so you "
        "probably summed where the loss averages (eq. 4.7)."
    )
