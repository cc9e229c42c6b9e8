"""The checks of exercise 05, from a function that can be differentiated in the head to the awkward ones."""

import numpy as np

from minidl.learn.checks import check_array, check_that, check_unchanged

H = 1e-5


def random_case(seed, shape):
    """f(x) = Σ wᵢ sin(xᵢ) + (Σ xᵢ)², in which the numbers act on one another; x; and the gradient."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=shape), rng.normal(size=shape)

    def f(z):
        return (w * np.sin(z)).sum() + z.sum() ** 2

    return f, x, w * np.cos(x) + 2 * x.sum()


def watched(f, x):
    """f, which first looks whether it was given an array like x with one number changed."""
    x, calls = x.copy(), []

    def looking(z):
        given = "a single number" if np.ndim(z) == 0 else f"an array of shape {np.shape(z)}"
        check_that(
            np.shape(z) == x.shape, f"f was given {given}, expected an array of shape {x.shape}: all of x"
        )
        calls.append(z)
        rows = (z != x).reshape(len(x), -1)
        whole = rows.shape[1] > 1 and rows.any(axis=1).sum() == 1 and rows.sum() == rows.shape[1]
        # A number that was not put back may fill a row later on; the first call tells them apart.
        check_that(
            len(calls) > 1 or not whole,
            "f: a whole row of x was changed; x[i] is a whole row; use np.ndindex(x.shape)",
        )
        return f(z)

    return looking


def test_literals(answer):
    x = np.array([2.0, -1.0, 0.5])
    zeros = (
        "All zeros: either nothing was written into it, or f saw the same x both times (up = x is no copy)"
    )
    f = watched(lambda z: z[0] ** 2 + 3.0 * z[1] * z[2], x)
    got = answer.numerical_gradient(f, x.copy())
    expected = np.array([4.0, 1.5, -3.0])  # (2 x₀, 3 x₂, 3 x₁)
    check_array(
        "∂f/∂x",
        got,
        expected,
        equation="4.6",
        candidates={
            "This is f(x + h) − f(x − h): the division by 2h is missing": expected * 2 * H,
            zeros: 0 * expected,
            "This is twice the right answer: f(x + h) and f(x − h) are 2h apart, not h": 2 * expected,
        },
        rtol=1e-4,  # how near it comes is the question of test_central
    )


def test_leaves_x(answer):
    f, x, _ = random_case(seed=1, shape=(3, 4))
    before = x.copy()
    answer.numerical_gradient(watched(f, x), x)
    check_unchanged("x", x, before)


def test_one_number_at_a_time(answer):
    _, x, _ = random_case(seed=2, shape=(2, 5))
    seen = []
    answer.numerical_gradient(lambda z: seen.append(np.array(z)) or 0.0, x.copy())
    for number, z in enumerate(seen, start=1):
        check_that(
            z.shape == x.shape,
            f"f: call {number} got an array of shape {z.shape}, expected x's shape {x.shape}",
        )
        changed = int((z != x).sum())
        check_that(
            changed <= 1,
            f"f: in call {number}, {changed} numbers differ from x, expected 1; put each number back before "
            "you nudge the next (eq. 4.6)",
        )


def test_any_shape(answer):
    f, x, expected = random_case(seed=3, shape=(2, 3, 4))
    check_array("∂f/∂x", answer.numerical_gradient(f, x.copy()), expected, equation="4.6", rtol=1e-4)


def test_central(answer):
    x = np.random.default_rng(4).normal(size=(3, 2))

    def f(z):
        return np.exp(z).sum()

    one_sided = (np.exp(x + H) - np.exp(x)) / H
    check_array(
        "∂f/∂x",
        answer.numerical_gradient(f, x.copy()),
        np.exp(x),
        equation="4.6",
        candidates={"This is the one-sided (f(x + h) − f(x)) / h: step to both sides": one_sided},
        rtol=1e-8,
    )


def test_zeros(answer):
    x = np.array([0.0, 1.5, 0.0])
    w = np.array([0.5, -2.0, 3.0])
    regions = {"x is 0": x == 0}
    got = answer.numerical_gradient(lambda z: np.sum(w * z), x.copy())
    check_array("∂f/∂x", got, w, equation="4.6", regions=regions)


def test_h(answer):
    x = np.array([[0.5, -0.25, 0.75]])
    got = answer.numerical_gradient(lambda z: (z**3).sum(), x.copy(), 0.5)
    candidates = {"This is the answer for h = 1e-5: use the h that was given": 3 * x**2}
    check_array("∂f/∂x for h = 0.5", got, 3 * x**2 + 0.25, equation="4.6", candidates=candidates)


def test_integers(answer):
    x = np.array([[1, 2, 3], [4, 5, 6]])
    w = np.array([[0.5, 1.5, -0.5], [2.5, -1.5, 0.25]])
    got = answer.numerical_gradient(lambda z: (w * z).sum(), x.copy())
    cut = "x holds integers: x[i] + h is cut off to an integer again; work on a float copy"
    candidates = {
        cut: 0 * w,
        f"{cut}, x.astype(float)": w / (2 * H),
    }  # to the same integer, or down to the one below
    check_array("∂f/∂x for an x of integers", got, w, equation="4.6", candidates=candidates)


def test_single_number(answer):
    got = answer.numerical_gradient(lambda z: float(z) ** 2, np.array(3.0))
    check_array("∂f/∂x for an x of shape ()", np.asarray(got), 6.0, equation="4.6", rtol=1e-6)
