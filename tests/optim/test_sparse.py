"""Optimizers and gradients of few rows: SparseAdam, SGD and Adagrad take them, and all others say no."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from optim.samples import OPTIMIZERS, name

from minidl import nn, optim
from minidl.errors import ShapeError
from minidl.kernels import optim as kernels_optim
from minidl.kernels.registry import use_backend
from minidl.nn import Parameter, RowSparse
from minidl.optim import SGD, Adagrad, Optimizer, SparseAdam
from minidl.testing.planted import Bug, planted


def of_rows(indices, values, rows=4):
    return RowSparse(np.array(indices), np.array(values, float), (rows, len(values[0])))


def steps_by_hand():
    # as Adam's in by_hand.py, but that ε comes before v's correction, and a row that is absent waits
    # m = 0.5·2 = 1, v = 0.25·4 = 1: 1 − 0.1·√0.25/0.5·1/(1 + 2)
    # absent, and the step counts: then m = 0.5 − 1, v = 0.75 + 1 = 1.75, with 1 − 0.75³ and 1 − 0.5³
    theta = Parameter(np.ones((4, 1)))
    optimizer = SparseAdam([theta], lr=0.1, betas=(0.5, 0.75), eps=2.0)
    theta.grad = of_rows([2, 2], [[0.5], [1.5]])
    optimizer.step()
    first = 1 - 0.1 / 3
    np.testing.assert_allclose(theta.data[:, 0], [1, 1, first, 1], rtol=1e-15)
    theta.grad = of_rows([0], [[2]])
    optimizer.step()
    at_zero = 1 - 0.1 * np.sqrt(1 - 0.75**2) / 0.75 / 3
    np.testing.assert_allclose(theta.data[:, 0], [at_zero, 1, first, 1], rtol=1e-15)
    theta.grad = of_rows([2], [[-2]])
    optimizer.step()
    third = first + 0.1 * np.sqrt(1 - 0.75**3) / (1 - 0.5**3) * 0.5 / (np.sqrt(1.75) + 2)
    np.testing.assert_allclose(theta.data[:, 0], [at_zero, 1, third, 1], rtol=1e-15)
    up, down = (Parameter(np.ones((4, 1))) for _ in range(2))
    for parameter, value, maximize in ((up, 2, True), (down, -2, False)):
        parameter.grad = of_rows([2], [[value]])
        SparseAdam([parameter], maximize=maximize).step()
        assert parameter.data[2, 0] > 1
    np.testing.assert_array_equal(up.data, down.data)


def test_steps_by_hand():
    steps_by_hand()


def rows_as_whole_gradients():
    """SGD's and Adagrad's numbers do not depend on how the gradient is kept."""
    for cls, options in (
        (SGD, {"lr": 0.1}),
        (SGD, {"lr": 0.1, "maximize": True}),
        (Adagrad, {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.2}),
    ):
        rng = np.random.default_rng(0)
        dense, sparse = (Parameter(np.ones((6, 3))) for _ in range(2))
        mine, other = cls([dense], **options), cls([sparse], **options)
        for _ in range(20):
            sparse.grad = RowSparse(rng.integers(-1, 6, 5), rng.standard_normal((5, 3)), (6, 3))
            dense.grad = sparse.grad.to_dense()
            mine.step()
            other.step()
            np.testing.assert_allclose(sparse.data, dense.data, rtol=1e-13)


def test_rows_as_whole_gradients():
    rows_as_whole_gradients()


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # PyTorch warns of its own Adagrad
@pytest.mark.parametrize(
    ("cls", "options"),
    [
        *(
            ("SparseAdam", {"lr": 0.05, "betas": betas, "eps": eps, "maximize": maximize})
            for betas, eps, maximize in itertools.product(
                ((0.9, 0.999), (0.6, 0.8)), (1e-8, 1e-2), (False, True)
            )
        ),
        ("SparseAdam", {}),
        ("SGD", {"lr": 0.05}),
        ("Adagrad", {"lr": 0.05, "lr_decay": 0.1, "initial_accumulator_value": 0.5}),
    ],
    ids=str,
)
def test_a_hundred_steps_of_an_embedding_beside_pytorch(cls, options):
    torch = pytest.importorskip("torch")
    mine = nn.Embedding(9, 4, padding_idx=3, sparse=True).double()
    theirs = torch.nn.Embedding(9, 4, padding_idx=3, sparse=True).double()
    theirs.load_state_dict({"weight": torch.tensor(mine.weight.data)})
    my_optimizer = getattr(optim, cls)(mine.parameters(), **options)
    their_optimizer = getattr(torch.optim, cls)(theirs.parameters(), **options)
    rng = np.random.default_rng(1)
    for step in range(100):
        my_optimizer.zero_grad()
        their_optimizer.zero_grad()
        for _ in range(1 + step % 2):  # two rounds add up
            x, dy = rng.integers(0, 9, (2, 3)), rng.standard_normal((2, 3, 4))
            mine(x)
            mine.backward(dy)
            theirs(torch.tensor(x)).backward(torch.tensor(dy))
        my_optimizer.step()
        their_optimizer.step()
    np.testing.assert_allclose(mine.weight.data, theirs.weight.detach().numpy(), rtol=0, atol=1e-8)
    state = my_optimizer.state[mine.weight]
    for key, values in their_optimizer.state[theirs.weight].items():
        np.testing.assert_allclose(state[key], np.asarray(values), rtol=1e-8, atol=1e-12, err_msg=key)


def promises():
    theta = Parameter(np.array([[2.0], [-2.0], [1.0]]))
    optimizer = SparseAdam([theta], lr=0.03)
    for step in range(6000):  # a parabola, of which each step sees one or two rows
        rows = np.array([step % 3, step * 7 % 3])
        theta.grad = RowSparse(rows, theta.data[rows] - 0.5, (3, 1))
        optimizer.step()
    assert np.abs(theta.data - 0.5).max() < 1e-6

    saved = optimizer.state_dict()
    other = Parameter(theta.data)
    resumed = SparseAdam([other], lr=9.0)
    resumed.load_state_dict(saved)
    for _ in range(3):
        for parameter, its in ((theta, optimizer), (other, resumed)):
            parameter.grad = of_rows([1, 1], [[0.5], [0.25]], 3)
            its.step()
    np.testing.assert_array_equal(theta.data, other.data)
    assert saved["state"][0]["step"] == 6000

    for dtype in (np.float32, np.float64):
        parameter = Parameter(np.ones((4, 2), dtype))
        its = SparseAdam([parameter])
        gradient = of_rows([1], [[1, 2]])
        gradient.values.flags.writeable = gradient.indices.flags.writeable = False
        parameter.grad = gradient
        its.step()
        assert {parameter.dtype, *(v.dtype for n, v in its.state[parameter].items() if n != "step")} == {
            np.dtype(dtype)
        }
        parameter.grad = of_rows([-1, -1], [[1, 2], [3, 4]])  # padding alone
        before = parameter.data.copy()
        its.step()
        np.testing.assert_array_equal(parameter.data, before)


def test_promises():
    promises()


def refusals():
    theta, first = Parameter(np.ones((4, 2))), Parameter(np.ones(2))
    for cls in (*OPTIMIZERS, SGD):
        options = {"momentum": 0.9} if cls is SGD else {"weight_decay": 0.1} if cls is Adagrad else {}
        first.grad, theta.grad = np.ones(2), of_rows([1], [[1, 2]])
        with pytest.raises(
            TypeError, match=rf"{cls.__name__}: expected a dense gradient .*RowSparse.*\(4, 2\)"
        ):
            cls([first, theta], **options).step()
        np.testing.assert_array_equal(first.data, [1, 1])  # nothing was changed
    theta.grad = np.ones((4, 2))
    with pytest.raises(TypeError, match=r"SparseAdam: expected a RowSparse gradient .*got a dense one"):
        SparseAdam([theta]).step()
    theta.grad = of_rows([1], [[1, 2]], 5)
    with pytest.raises(ShapeError, match=r"SGD: expected a gradient of shape \(4, 2\), got \(5, 2\)"):
        SGD([theta]).step()


def test_all_others_refuse_by_name():
    refusals()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lr": -1}, ValueError, "SparseAdam: expected lr"),
        ({"betas": (0.9, 1)}, ValueError, r"SparseAdam: expected betas\[1\]"),
        ({"eps": "a"}, TypeError, "SparseAdam: expected eps"),
    ],
    ids=name,
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        SparseAdam([Parameter([1.0])], **options)


BUGS = [
    Bug("SparseAdam: mean grows", kernels_optim, "sparse_adam_step", "(g - mean)", "g"),
    Bug(
        "SparseAdam: square not squared",
        kernels_optim,
        "sparse_adam_step",
        "(g * g - square)",
        "(abs(g) - square)",
    ),
    Bug(
        "SparseAdam: eps after the correction",
        kernels_optim,
        "sparse_adam_step",
        "+ eps",
        "+ eps * math.sqrt(1 - beta2**t)",
    ),
    Bug(
        "SparseAdam: all rows forget",
        kernels_optim,
        "sparse_adam_step",
        "m[rows], v[rows] = mean, square",
        "m *= beta1; m[rows], v[rows] = mean, square",
    ),
    Bug("SparseAdam: no correction", kernels_optim, "sparse_adam_step", " / (1 - beta1**t)", ""),
    Bug(
        "SparseAdam: nothing is remembered",
        kernels_optim,
        "sparse_adam_step",
        "m[rows], v[rows] = mean, square",
        "pass",
    ),
    Bug("SGD: rows of the wrong sign", SGD, "update_rows", "-= float", "+= float"),
    Bug("SGD: momentum passed by", SGD, "refusal", 'group["momentum"] == 0 and', ""),
    Bug("Adagrad: rows without a sum", Adagrad, "update_rows", "s[rows] += g * g", "s[rows] = g * g"),
    Bug("Adagrad: decay passed by", Adagrad, "refusal", 'group["weight_decay"] == 0', "True"),
    Bug(
        "rows that come twice move once",
        Optimizer,
        "_due",
        "g.coalesce() if isinstance(g, RowSparse) else g",
        "g",
    ),
    Bug("anything is taken", Optimizer, "refusal", "if isinstance(g, RowSparse)", "if False"),
    Bug("padding is a row", RowSparse, "coalesce", "self.indices >= 0", "self.indices >= -1"),
]


def prove():
    steps_by_hand()
    rows_as_whole_gradients()
    refusals()


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_planted_bugs_are_caught(bug):
    wrong = pytest.raises((AssertionError, NotImplementedError, pytest.fail.Exception, AttributeError))
    with planted(bug), use_backend("numpy"), wrong:
        prove()
