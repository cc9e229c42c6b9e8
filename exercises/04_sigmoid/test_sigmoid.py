"""The checks of exercise 04, in the order in which the functions are written."""

import numpy as np

from minidl.learn.checks import Mistake, check_array, check_float64, check_tuple, check_unchanged

A, B = 1.7, -0.6  # the neuron's two numbers
SHAPE = (2, 5)  # of x in the gradient checks: 10 numbers that share A and B


def right_sigmoid(x):
    """What is checked against, where |x| is small: eq. 4.1 as it stands."""
    return 1.0 / (1.0 + np.exp(-x))


def case(seed):
    """A random input, its right output through the neuron, and a random upstream gradient."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=SHAPE)
    return x, right_sigmoid(A * x + B), rng.normal(size=SHAPE)


def call(function, **arrays):
    """What a function gives for copies of arrays, which must be the same bits afterwards."""
    copies = {name: array.copy() for name, array in arrays.items()}
    got = function(copies)
    for name, array in arrays.items():
        check_unchanged(name, copies[name], array)
    return got


# ------------------------------------------------------------------- forward


def test_sigmoid(answer):
    x = np.array([[-2.0, -1.0, 0.0], [1.0, 2.0, np.log(3.0)]])
    expected = np.array(  # eq. 4.1; σ(0) = 1/2 and σ(ln 3) = 3/4 can be done in the head
        [[0.11920292202211755, 0.2689414213699951, 0.5], [0.7310585786300049, 0.8807970779778823, 0.75]]
    )
    got = answer.sigmoid(x.copy())
    check_float64("sigmoid(x)", got, "x")
    check_array(
        "sigmoid(x)",
        got,
        expected,
        equation="4.1",
        candidates={"This is σ(−x): look at the sign in the exponent": 1.0 - expected},
        rtol=1e-12,  # float32 on the way would leave about 1e-7
        atol=1e-12,
    )


def test_leaves_x(answer):
    x = np.random.default_rng(0).normal(size=(3, 4))
    before = x.copy()
    answer.sigmoid(x)
    check_unchanged("x", x, before)


def test_large_x(answer):
    x = np.array([-1000.0, -50.0, 50.0, 1000.0])
    expected = np.array([0.0, 1.9287498479639178e-22, 1.0, 1.0])
    overflows = []
    with np.errstate(over="call", invalid="ignore", call=lambda kind, _: overflows.append(kind)):
        got = answer.sigmoid(x.copy())
    regions = {"x is very negative": x < -100, "x is very large": x > 100}
    check_array("sigmoid(x) for |x| up to 1000", got, expected, equation="4.2", regions=regions, atol=1e-12)
    if overflows:
        raise Mistake(
            "sigmoid(x) for |x| up to 1000: the values are right, but exp() overflowed on the way; raise e "
            "only to numbers that are not positive (eq. 4.2)"
        )


# ------------------------------------------------------------------- backward


def test_sigmoid_backward(answer):
    _, y, dy = case(seed=1)
    dx = call(lambda given: answer.sigmoid_backward(given["dy"], given["y"]), dy=dy, y=y)
    check_float64("dx", dx, "dy")
    check_array(
        "dx",
        dx,
        dy * y * (1.0 - y),
        equation="4.3",
        candidates={
            "This is dy · σ(y) (1 − σ(y)): y is σ(x) already": dy * right_sigmoid(y) * (1 - right_sigmoid(y)),
            "This is the derivative y (1 − y) alone: the chain rule multiplies it by dy": y * (1.0 - y),
            "This is dy itself: multiply it by the derivative y (1 − y)": dy,
            "This is dy · y: the factor (1 − y) is missing": dy * y,
            "This is dy · (1 − y): the factor y is missing": dy * (1.0 - y),
            "This is dy · y · 1 − y: 1 − y wants parentheses": dy * y * 1 - y,
        },
    )


def test_neuron(answer):
    x, y, _ = case(seed=2)
    got = call(lambda given: answer.neuron(given["x"], A, B), x=x)
    check_float64("neuron(x, a, b)", got, "x")
    check_array(
        "neuron(x, a, b)",
        got,
        y,
        equation="4.4",
        candidates={
            "This is σ(x): a and b are not used": right_sigmoid(x),
            "This is σ(a x): b is left out": right_sigmoid(A * x),
            "This is σ(a (x + b)): b is added after the multiplication": right_sigmoid(A * (x + B)),
            "This is a x + b: σ is left out": A * x + B,
            "This is σ(b x + a): a and b are exchanged": right_sigmoid(B * x + A),
        },
    )


def gradients(answer, seed):
    """The reader's dx, da, db beside the right ones, and dz."""
    x, y, dy = case(seed)
    dz = dy * y * (1.0 - y)
    got = call(lambda given: answer.neuron_backward(given["dy"], given["x"], A, given["y"]), dy=dy, x=x, y=y)
    dx, da, db = check_tuple("neuron_backward", got, "dx", "da", "db")
    for name, gradient in (("dx", dx), ("da", da), ("db", db)):
        check_float64(name, gradient, "dy")
    return x, dy, dz, dx, da, db


def test_dx(answer):
    _, dy, dz, dx, _, _ = gradients(answer, seed=3)
    candidates = {
        "This is dz: the inner derivative, the factor a, is missing": dz,
        "This is dy · a: the sigmoid's derivative y (1 − y) is missing": dy * A,
    }
    check_array("dx", dx, dz * A, equation="4.5", candidates=candidates)


def test_da(answer):
    x, dy, dz, _, da, db = gradients(answer, seed=4)
    exchanged = np.size(db) == 1 and np.allclose(db, (dz * x).sum())
    where = "da and db are in each other's place" if exchanged else "the factor x is missing"
    candidates = {
        f"This is db: {where}": dz.sum(),
        "This is Σ dy · x: the sigmoid's derivative y (1 − y) is missing": (dy * x).sum(),
        "This is the last element's share: add up with +=, do not overwrite with =": (dz * x).flat[-1],
    }
    check_array("da", da, (dz * x).sum(), equation="4.5", batch=x.size, candidates=candidates)


def test_db(answer):
    x, dy, dz, _, _, db = gradients(answer, seed=5)
    candidates = {
        "This is da: da and db are in each other's place": (dz * x).sum(),
        "This is Σ dy: the sigmoid's derivative y (1 − y) is missing": dy.sum(),
        "This is the last element's share: add up with +=, do not overwrite with =": dz.flat[-1],
    }
    check_array("db", db, dz.sum(), equation="4.5", batch=x.size, candidates=candidates)
