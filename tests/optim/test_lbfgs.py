"""LBFGS: its steps by hand and beside PyTorch's, its line search, its state, and what it refuses."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

from minidl import nn, to_device, to_host
from minidl.errors import ShapeError, StateDictError
from minidl.kernels.registry import use_backend
from minidl.nn import Parameter, RowSparse
from minidl.optim import LBFGS, line_search
from minidl.optim import optimizer as optimizer_module
from minidl.optim.line_search import Point, cubic_minimum, strong_wolfe
from minidl.testing._promises import same_bits
from minidl.testing.planted import Bug, planted
from minidl.train import load_checkpoint, save_checkpoint


def rosenbrock(theta):
    """A closure over Rosenbrock's function of any number of numbers; its bottom is at 1, 1, …"""

    def closure():
        x, y = theta.data[:-1], theta.data[1:]
        g = np.zeros_like(theta.data)
        g[:-1] = -2 * (1 - x) - 400 * x * (y - x * x)
        g[1:] += 200 * (y - x * x)
        theta.grad = g
        return float(((1 - x) ** 2 + 100 * (y - x * x) ** 2).sum())

    return closure


def parabola(theta, a):
    """Σ a θ² / 2."""

    def closure():
        theta.grad = a * theta.data
        return float((a * theta.data**2).sum() / 2)

    return closure


def first_steps_by_hand():
    # f = θ² from 3: g = 6, t = min(1, 1/6): 3 − 1 = 2. Then y = −2, s = −1, and H = y·s / y·y = 1/2:
    # d = −4/2 = −2 with lr = 1: the bottom
    theta = Parameter(np.array([3.0]))
    optimizer = LBFGS([theta], max_iter=1)
    for expected in (2.0, 0.0):
        loss = optimizer.step(parabola(theta, 2.0))
        np.testing.assert_allclose(theta.data, [expected], atol=1e-15)
    assert loss == 4.0  # before the step
    # f = (θ₁² + 4 θ₂²)/2 from (4, 1): g = (4, 4), t = 1/8: (3.5, 0.5), and there g = (3.5, 2)
    # y = (−0.5, −2)  s = (−0.5, −0.5)  y·s = 1.25  y·y = 4.25
    # α = s·(−g)/1.25 = 2.75/1.25 = 2.2     q = −g − 2.2 y = (−3.5 + 1.1, −2 + 4.4) = (−2.4, 2.4)
    # d = 2.4·1.25/4.25·(−1, 1) = 12/17·(−1, 1)     β = y·d/1.25 = 12/17·(0.5 − 2)/1.25 = −72/85
    # d += (2.2 + 72/85)(−0.5, −0.5)
    theta = Parameter(np.array([4.0, 1.0]))
    optimizer = LBFGS([theta], max_iter=1)
    optimizer.step(parabola(theta, np.array([1.0, 4.0])))
    np.testing.assert_allclose(theta.data, [3.5, 0.5], rtol=1e-15)
    optimizer.step(parabola(theta, np.array([1.0, 4.0])))
    back = (2.2 + 72 / 85) / 2
    np.testing.assert_allclose(theta.data, [3.5 - 12 / 17 - back, 0.5 + 12 / 17 - back], rtol=1e-13)


def test_first_steps_by_hand():
    first_steps_by_hand()


def cubics_by_hand():
    def at(t, f, df):
        return Point(t, f(t), np.zeros(0), df(t))

    # x³ − 3x has its minimum at 1, a cubic through any two of its points too
    points = [at(t, lambda x: x**3 - 3 * x, lambda x: 3 * x * x - 3) for t in (0.5, 3.0)]
    assert cubic_minimum(*points) == pytest.approx(1, abs=1e-12)
    assert cubic_minimum(*points[::-1]) == pytest.approx(1, abs=1e-12)
    assert cubic_minimum(*points, bounds=(1.5, 2)) == 1.5
    # x³ + x has none: the middle
    assert cubic_minimum(*(at(t, lambda x: x**3 + x, lambda x: 3 * x * x + 1) for t in (0, 2.0))) == 1
    # neither has a line, which falls to its end
    line = [Point(t, -t, np.zeros(0), -1.0) for t in (0.0, 2.0)]
    assert cubic_minimum(*line, bounds=(2.0, 20.0)) == 20


def test_cubics_by_hand():
    cubics_by_hand()


def searches(most=25):
    """Lines of several shapes, the step that is tried first, and what the search finds there."""
    shapes = {
        "parabola": (lambda t: (t - 1) ** 2, lambda t: 2 * (t - 1)),
        "far": (lambda t: (t - 300) ** 2, lambda t: 2 * (t - 300)),
        "near": (lambda t: (t - 1e-4) ** 2, lambda t: 2 * (t - 1e-4)),
        "waves": (
            lambda t: math.cos(5 * t) - t / 5 + t * t / 20,
            lambda t: -5 * math.sin(5 * t) - 0.2 + t / 10,
        ),
        "plateau": (
            lambda t: (2 * t * t - t) / (1 + t * t),
            lambda t: (t * t + 4 * t - 1) / (1 + t * t) ** 2,
        ),
        "steep": (lambda t: -t / (t * t + 2), lambda t: (t * t - 2) / (t * t + 2) ** 2),
    }
    for name, (f, df) in shapes.items():
        for t in (0.01, 1.0, 30.0):
            start = Point(0.0, f(0.0), np.zeros(0), df(0.0))
            count = [0]

            def look(t, f=f, df=df, count=count):
                count[0] += 1
                return Point(t, f(t), np.zeros(0), df(t))

            yield name, start, strong_wolfe(look, start, t, 1.0, most), count[0]


def search_finds():
    for name, start, (found, looks), count in searches():
        assert looks == count, name
        assert looks <= 12, name
        assert found.value <= start.value + 1e-4 * found.t * start.slope, name
        assert abs(found.slope) <= 0.9 * abs(start.slope), name


def test_a_search_finds_what_wolfes_conditions_ask_for():
    search_finds()


def test_a_search_that_may_not_look_long_gives_the_lower_of_what_it_saw():
    for most in (0, 1, 2):
        for name, start, (found, looks), _ in searches(most):
            assert looks <= most + 1, name
            assert found.value <= start.value, name


def walk(search, steps=12, start=(-1.2, 1.0, 0.3, -0.5, 0.8), **options):
    theta = Parameter(np.array(start))
    optimizer = LBFGS([theta], lr=1 if search else 1e-3, line_search_fn=search, **options)
    for _ in range(steps):
        optimizer.step(rosenbrock(theta))
    return theta, optimizer


def bottom_is_found():
    theta, optimizer = walk("strong_wolfe", start=(-1.2, 1.0))
    assert rosenbrock(theta)() < 1e-8
    assert optimizer.state[theta]["func_evals"] < 100
    flat = Parameter(np.array([3.0, -2.0]))
    loss = LBFGS([flat], tolerance_change=0).step(parabola(flat, np.array([1.0, 30.0])))
    assert loss == 64.5  # before the first step
    assert np.abs(flat.data).max() < 1e-6


def test_the_bottom_of_a_bent_valley_is_found():
    bottom_is_found()


OPTIONS = [
    {},
    {"lr": 0.3, "max_iter": 5},
    {"history_size": 2, "max_iter": 4},
    {"max_iter": 7, "max_eval": 4},
    {"tolerance_grad": 1e-2, "tolerance_change": 1e-4},
]


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_many_steps_beside_pytorch(search, options):
    torch = pytest.importorskip("torch")
    start = np.array([-1.2, 1.0, 0.3, -0.5, 0.8])
    options = {**options, "line_search_fn": search}
    if not search:  # it does not know how far to go
        options["lr"] = 1e-3
    mine, theirs = Parameter(start), torch.nn.Parameter(torch.tensor(start))
    my_optimizer, their_optimizer = LBFGS([mine], **options), torch.optim.LBFGS([theirs], **options)

    def closure():  # the same gradient in every bit: such walks make much of a rounding
        here = Parameter(theirs.detach().numpy())
        loss = rosenbrock(here)()
        theirs.grad = torch.tensor(here.grad)
        return loss

    # with so short a memory PyTorch itself is 1e-8 away after 11 steps if it begins one rounding beside
    for step in range(25 if search and options.get("history_size") != 2 else 8):
        loss = my_optimizer.step(rosenbrock(mine))
        assert loss == pytest.approx(their_optimizer.step(closure), rel=1e-8, abs=1e-12)
        np.testing.assert_allclose(mine.data, theirs.detach().numpy(), rtol=0, atol=1e-8, err_msg=str(step))
    state, other = my_optimizer.state[mine], their_optimizer.state[theirs]
    assert (state["n_iter"], state["func_evals"]) == (other["n_iter"], other["func_evals"])
    assert set(state) == set(other) - {"al"}


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_a_network_beside_pytorch(search):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))
    mine = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2)).double()
    theirs.load_state_dict({name: torch.tensor(v) for name, v in mine.state_dict().items()})
    options = {"lr": 1 if search else 0.1, "max_iter": 4, "line_search_fn": search, "history_size": 5}
    my_optimizer = LBFGS(mine.parameters(), **options)
    their_optimizer = torch.optim.LBFGS(theirs.parameters(), **options)
    criterion = nn.MSELoss()

    def closure():
        my_optimizer.zero_grad()
        loss = criterion(mine(x), t)
        mine.backward(criterion.backward())
        return loss

    def their_closure():
        their_optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(theirs(torch.tensor(x)), torch.tensor(t))
        loss.backward()
        return loss

    for _ in range(12):
        my_optimizer.step(closure)
        their_optimizer.step(their_closure)
        for name, values in theirs.state_dict().items():
            np.testing.assert_allclose(mine.state_dict()[name], values.numpy(), rtol=0, atol=1e-8)


def saved_and_continued(path=None):
    for search in (None, "strong_wolfe"):
        theta, optimizer = walk(search, 3, max_iter=3, history_size=4)
        saved = optimizer.state_dict()
        if path is not None:
            save_checkpoint(saved, path)
        other = Parameter(theta.data)
        resumed = LBFGS([other], lr=1.0)
        resumed.load_state_dict(saved if path is None else load_checkpoint(path))
        kept = copy.deepcopy(saved)
        for _ in range(3):
            optimizer.step(rosenbrock(theta))
            resumed.step(rosenbrock(other))
        assert same_bits(theta.data, other.data)
        assert same_bits(optimizer.state_dict(), resumed.state_dict())
        assert same_bits(saved, kept)


def test_saved_in_the_middle_and_continued_it_gives_the_same_bits(tmp_path):
    saved_and_continued()
    saved_and_continued(tmp_path / "state")


def test_pytorchs_state_is_taken_over():
    torch = pytest.importorskip("torch")
    start = np.array([2.0, -1.0])
    theirs = torch.nn.Parameter(torch.tensor(start))
    optimizer = torch.optim.LBFGS([theirs], max_iter=3)

    def closure():
        optimizer.zero_grad()
        loss = (theirs**4).sum()
        loss.backward()
        return loss

    def my_closure():
        mine.grad = 4 * mine.data**3
        return (mine.data**4).sum()

    optimizer.step(closure)
    mine = Parameter(theirs.detach().numpy())
    resumed = LBFGS([mine])
    resumed.load_state_dict(
        {
            "state": optimizer.state_dict()["state"],
            "param_groups": LBFGS([mine], max_iter=3).state_dict()["param_groups"],
        }
    )
    optimizer.step(closure)
    resumed.step(my_closure)
    np.testing.assert_allclose(mine.data, theirs.detach().numpy(), rtol=1e-12)


def test_a_state_that_does_not_fit_is_refused_whole():
    _, optimizer = walk("strong_wolfe", 2)
    good = optimizer.state_dict()

    def refused(words, **changes):
        bad = copy.deepcopy(good)
        bad["param_groups"][0]["lr"] = 77.0
        for name, value in changes.items():
            if value is None:
                del bad["state"][0][name]
            else:
                bad["state"][0][name] = value
        with pytest.raises(StateDictError, match=words):
            optimizer.load_state_dict(bad)
        assert same_bits(optimizer.state_dict(), good)

    refused("expected 'd', which is missing", d=None)
    refused("'mystery' is not expected", mystery=1)
    refused(r"d: expected shape \(5,\), got \(4,\)", d=np.zeros(4))
    refused(r"old_dirs.*one length", ro=[1.0])
    refused("old_stps: expected a list", old_stps=3)
    refused("n_iter: expected a count, got -1", n_iter=-1)
    refused("t: expected a finite number", t=math.inf)
    refused("prev_loss: expected numbers", prev_loss="low")
    for state, words in (([], "dict of dicts"), ({3: {}}, "only that of parameter 0")):
        with pytest.raises(StateDictError, match=words):
            optimizer.load_state_dict({**good, "state": state})
    assert same_bits(optimizer.state_dict(), good)
    optimizer.load_state_dict({**good, "state": {}})
    assert not optimizer.state


def test_what_is_refused():
    one, two = Parameter(np.ones(2)), Parameter(np.ones(2))
    with pytest.raises(TypeError, match=r"LBFGS: expected step\(closure\), .* got none"):
        LBFGS([one]).step()
    with pytest.raises(ValueError, match="LBFGS: expected one parameter group"):
        LBFGS([{"params": [one]}, {"params": [two]}])
    for options, words in (
        ({"lr": -1}, "lr"),
        ({"max_iter": 0}, "max_iter to be a finite number of at least 1"),
        ({"max_eval": 0}, "max_eval"),
        ({"history_size": 0}, "history_size"),
        ({"tolerance_grad": -1}, "tolerance_grad"),
        ({"tolerance_change": math.nan}, "tolerance_change"),
        ({"line_search_fn": "armijo"}, "None or 'strong_wolfe', got 'armijo'"),
    ):
        with pytest.raises(ValueError, match=words):
            LBFGS([one], **options)

    def misshapen():
        one.grad, two.grad = np.ones(2), np.ones((2, 1))
        return 1.0

    with pytest.raises(ShapeError, match=r"expected a gradient of shape \(2,\), got \(2, 1\)"):
        LBFGS([one, two]).step(misshapen)
    np.testing.assert_array_equal(one.data, [1, 1])


def test_a_closure_that_fails_on_the_way_leaves_the_parameters_where_they_were():
    theta = Parameter(np.array([3.0]))
    calls = [0]

    def closure():
        calls[0] += 1
        if calls[0] == 2:
            raise RuntimeError("lost")
        return parabola(theta, 2.0)()

    with pytest.raises(RuntimeError, match="lost"):
        LBFGS([theta], line_search_fn="strong_wolfe").step(closure)
    np.testing.assert_array_equal(theta.data, [3])


def test_what_is_frozen_or_has_no_gradient_stays():
    frozen, without, moving = (Parameter(np.array([3.0])) for _ in range(3))
    frozen.requires_grad = False

    def closure():
        frozen.grad = np.ones(1)
        return parabola(moving, 2.0)()

    LBFGS([frozen, without, moving], line_search_fn="strong_wolfe").step(closure)
    np.testing.assert_array_equal([frozen.data, without.data], [[3], [3]])
    assert abs(moving.data[0]) < 1e-6
    late, other = Parameter(np.array([1.0, 1.0])), Parameter(np.array([2.0]))

    def of_both():
        bent = (late.data.sum() + other.data[0]) ** 3
        late.grad, other.grad = 4 * bent * np.ones(2) + late.data, 4 * bent * np.ones(1)
        return float(bent * (late.data.sum() + other.data[0]) + (late.data**2).sum() / 2)

    optimizer = LBFGS([late, other], max_iter=3, line_search_fn="strong_wolfe")
    optimizer.step(of_both)
    late.requires_grad, before = False, late.data.copy()
    optimizer.step(of_both)
    np.testing.assert_array_equal(late.data, before)


def test_a_gradient_of_few_rows_is_taken_as_a_whole_one():
    dense, sparse = (Parameter(np.arange(6.0).reshape(3, 2)) for _ in range(2))
    target = np.array([[0.5, 1], [7, 7]])

    def of(parameter, make):
        def closure():
            error = parameter.data[[0, 2]] - target
            parameter.grad = make(error)
            return float((error**2).sum() / 2)

        return closure

    def whole(error):
        g = np.zeros((3, 2))
        g[[0, 2]] = error
        return g

    LBFGS([dense], max_iter=3).step(of(dense, whole))
    LBFGS([sparse], max_iter=3).step(of(sparse, lambda e: RowSparse(np.array([0, 2]), e, (3, 2))))
    np.testing.assert_array_equal(dense.data, sparse.data)


def test_float32_stays_and_follows_a_conversion():
    theta = Parameter(np.array([3.0, -2.0], np.float32))
    optimizer = LBFGS([theta], max_iter=2, line_search_fn="strong_wolfe")
    for dtype in (np.float32, np.float64):
        theta.to(dtype)
        optimizer.step(parabola(theta, np.array([1, 30], dtype)))
        state = optimizer.state[theta]
        assert {theta.dtype, state["d"].dtype, *(v.dtype for v in state["old_dirs"])} == {np.dtype(dtype)}


def test_the_same_steps_on_a_device():
    here, there = Parameter(np.array([3.0, -2.0])), Parameter(to_device(np.array([3.0, -2.0]), "sim"))
    a = np.array([1.0, 30.0])
    LBFGS([here], max_iter=3, line_search_fn="strong_wolfe").step(parabola(here, a))
    optimizer = LBFGS([there], max_iter=3, line_search_fn="strong_wolfe")
    optimizer.step(parabola(there, to_device(a, "sim")))
    np.testing.assert_allclose(to_host(there.data), here.data, rtol=1e-9, atol=1e-12)
    assert isinstance(optimizer.state_dict()["state"][0]["old_dirs"][0], np.ndarray)


BUGS = [
    Bug("LBFGS: uphill", LBFGS, "_direction", "d, alphas = -g, []", "d, alphas = g.copy(), []"),
    Bug("LBFGS: y is the gradient", LBFGS, "_direction", 'y, s = g - state["prev_flat_grad"]', "y, s = g"),
    Bug(
        "LBFGS: the second loop backwards",
        LBFGS,
        "_direction",
        "zip(ys, ss, rhos, reversed(alphas)",
        "zip(ys[::-1], ss[::-1], rhos[::-1], alphas",
    ),
    Bug("LBFGS: no β", LBFGS, "_direction", "(alpha - _dot(y, d) * rho)", "alpha"),
    Bug("LBFGS: no scale", LBFGS, "_direction", "curvature / _dot(y, y)", "1.0"),
    Bug("LBFGS: remembers the newest alone", LBFGS, "_direction", "len(ys) == history_size", "len(ys) == 1"),
    Bug(
        "LBFGS: the first step of full length", LBFGS, "step", "min(1.0, 1.0 / float(np.abs(g).sum()))", "1.0"
    ),
    Bug(
        "LBFGS: the loss after the step",
        LBFGS,
        "step",
        "break\n        return first",
        "break\n        return loss",
    ),
    Bug("LBFGS: stays where it looked", LBFGS, "_look", "parameter.data[...] = values", "pass"),
    Bug(
        "LBFGS: moves all by the first numbers",
        LBFGS,
        "_move",
        "start, end = end, end + parameter.size",
        "start, end = 0, parameter.size",
    ),
    Bug("LBFGS: moves what is frozen", LBFGS, "_move", "if parameter.requires_grad:", "if True:"),
    Bug(
        "LBFGS: saved lists are shared", optimizer_module, "_copy", "[_copy(item) for item in value]", "value"
    ),
    Bug(
        "search: the first place is good enough",
        line_search,
        "_flat_enough",
        "<= -FLATTER",
        "<= -9 * FLATTER",
    ),
    Bug("search: too high is good enough", line_search, "_too_high", "LOWER * here.t * start.slope", "9.0"),
    Bug("search: grows slowly", line_search, "strong_wolfe", "10 * here.t", "1.02 * here.t"),
    Bug(
        "search: zooms into the wrong half",
        line_search,
        "_zoom",
        "* (ends[1 - low].t - ends[low].t) >= 0",
        "* (ends[1 - low].t - ends[low].t) < 0",
    ),
    Bug("search: keeps the high end", line_search, "_zoom", "ends[1 - low] = here\n", "pass\n"),
    Bug(
        "cubic: chord without its 3",
        line_search,
        "cubic_minimum",
        "3 * (a.value - b.value)",
        "(a.value - b.value)",
    ),
    Bug(
        "cubic: left for right",
        line_search,
        "cubic_minimum",
        "right.slope + root - chord",
        "left.slope + root - chord",
    ),
    Bug(
        "cubic: out of bounds",
        line_search,
        "cubic_minimum",
        "return min(max(right.t - (right.t - left.t) * (above / below), low), high)",
        "return right.t - (right.t - left.t) * (above / below)",
    ),
]


def prove():
    first_steps_by_hand()
    cubics_by_hand()
    search_finds()
    bottom_is_found()
    saved_and_continued()
    test_a_closure_that_fails_on_the_way_leaves_the_parameters_where_they_were()
    test_what_is_frozen_or_has_no_gradient_stays()


def test_the_honest_code_passes():
    prove()


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_planted_bugs_are_caught(bug):
    wrong = pytest.raises((AssertionError, ValueError, OverflowError, RecursionError))
    with planted(bug), use_backend("numpy"), np.errstate(all="ignore"), wrong:
        prove()
