"""The checks of exercise 12: forward by hand, then dx, dW and db, then what is easy to forget."""

import numpy as np

from minidl.learn.checks import Mistake, check_array, check_float64, check_that, check_unchanged

N, IN, OUT = 5, 3, 4  # all different, so that no transpose can go unnoticed
RTOL = 1e-10  # a product in float32 on the way would leave about 1e-7


def case(seed, n=N):
    """Random x, W, b and a random upstream gradient dy."""
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(n, IN)),
        rng.normal(size=(OUT, IN)),
        rng.normal(size=OUT),
        rng.normal(size=(n, OUT)),
    )


def backward(answer, dy, x, W, dW, db):
    """The reader's dx, dW and db, starting from copies of what dW and db held before."""
    dW, db = dW.copy(), db.copy()
    given = {"dy": dy.copy(), "x": x.copy(), "W": W.copy()}
    try:
        dx = answer.linear_backward(*given.values(), dW, db)
    except Mistake as mistake:
        raise type(mistake)(f"{mistake}{remark(str(mistake), len(x))}") from mistake
    for name, before in (("dy", dy), ("x", x), ("W", W)):
        check_unchanged(name, given[name], before)
    check_float64("dx", dx, "dy")
    return dx, dW, db


def remark(text, n):
    """What NumPy means when a sum of dy does not fit db."""
    if (
        f"shapes ({OUT},) ({n},)" in text
        or f"shape ({OUT},) doesn't match the broadcast shape ({n},{OUT})" in text
    ):
        return f"; ({n},) has one number per sample, db has one per output: sum over the batch, axis 0"
    if f"shape ({OUT},) doesn't match the broadcast shape (1,{OUT})" in text:
        return f"; (1, {OUT}) has a dimension more than db, which is ({OUT},): leave keepdims out"
    return ""


# ------------------------------------------------------------------- forward


def test_forward_by_hand(answer):
    x = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 2.0]])
    W = np.array([[1.0, 0.0, -1.0], [2.0, 1.0, 0.0], [0.0, -3.0, 0.5], [1.0, 1.0, 1.0]])
    b = np.array([10.0, 20.0, 30.0, 40.0])
    expected = np.array([[8.0, 24.0, 25.5, 46.0], [7.0, 18.5, 29.5, 41.5]])
    check_array(
        "y",
        answer.linear(x.copy(), W.copy(), b.copy()),
        expected,
        equation="12.1",
        terms={"b": np.broadcast_to(b, expected.shape)},
    )


def test_forward(answer):
    x, W, b, _ = case(seed=1)
    got = answer.linear(x.copy(), W.copy(), b.copy())
    check_float64("y", got, "x")
    check_array("y", got, np.einsum("ni,ji->nj", x, W) + b, equation="12.1", rtol=RTOL)


# ------------------------------------------------------------------- backward, from gradients of zero


def test_dx(answer):
    x, W, b, dy = case(seed=2)
    dx, _, _ = backward(answer, dy, x, W, np.zeros_like(W), np.zeros_like(b))
    check_array("dx", dx, np.einsum("nj,ji->ni", dy, W), equation="12.4", batch=N, rtol=RTOL)


def test_dW(answer):
    x, W, b, dy = case(seed=3)
    zeros = np.zeros_like(W)
    _, dW, _ = backward(answer, dy, x, W, zeros, np.zeros_like(b))
    candidates = {
        "This is Σ x in every row: the factor dy is missing": np.broadcast_to(x.sum(axis=0), W.shape),
    }
    expected = np.einsum("nj,ni->ji", dy, x)
    check_array(
        "dW", dW, expected, equation="12.2", batch=N, previous=zeros, candidates=candidates, rtol=RTOL
    )


def test_db(answer):
    x, W, b, dy = case(seed=4)
    zeros = np.zeros_like(b)
    _, _, db = backward(answer, dy, x, W, np.zeros_like(W), zeros)
    candidates = {"This is Σ over everything: sum over the batch only (axis 0)": np.full(OUT, dy.sum())}
    check_array(
        "db",
        db,
        dy.sum(axis=0),
        equation="12.3",
        batch=N,
        previous=zeros,
        candidates=candidates,
        rtol=RTOL,
    )


# ------------------------------------------------------------------- what is easy to forget


def test_accumulates(answer):
    x, W, b, dy = case(seed=5)
    rng = np.random.default_rng(6)
    dW_before, db_before = rng.normal(size=W.shape), rng.normal(size=b.shape)
    _, dW, db = backward(answer, dy, x, W, dW_before, db_before)
    expected = dW_before + np.einsum("nj,ni->ji", dy, x)
    check_array("dW", dW, expected, equation="12.2", batch=N, previous=dW_before)
    check_array("db", db, db_before + dy.sum(axis=0), equation="12.3", batch=N, previous=db_before)


def test_two_batches(answer):
    dW, db = np.zeros((OUT, IN)), np.zeros(OUT)
    first_dW, first_db = dW, db
    for seed in (9, 10):
        x, W, _, dy = case(seed, n=N + seed % 2)  # the second batch has fewer samples
        share_dW, share_db = np.einsum("nj,ni->ji", dy, x), dy.sum(axis=0)
        kept = "The first batch is in it twice; something is kept between calls"
        dx, got_dW, got_db = backward(answer, dy, x, W, dW, db)
        when = f"after the {'first' if seed == 9 else 'second'} call"
        check_array(f"dx {when}", dx, dy @ W, equation="12.4")
        for name, got, before, share, first, equation in (
            (f"dW {when}", got_dW, dW, share_dW, first_dW, "12.2"),
            (f"db {when}", got_db, db, share_db, first_db, "12.3"),
        ):
            candidates = {kept: before + share + first} if first.any() else {}
            check_array(name, got, before + share, equation=equation, candidates=candidates)
        dW, db = got_dW, got_db
        first_dW, first_db = share_dW, share_db


def test_leaves_dy_x_W(answer):
    x, W, b, dy = case(seed=7)
    given = {"dy": dy, "x": x, "W": W}
    before = {name: array.copy() for name, array in given.items()}
    answer.linear(x, W, b)
    answer.linear_backward(dy, x, W, np.zeros_like(W), np.zeros_like(b))
    for name, array in given.items():
        check_unchanged(name, array, before[name])


def test_empty_batch(answer):
    x, W, b, dy = case(seed=8, n=0)
    dx, dW, db = backward(answer, dy, x, W, np.zeros_like(W), np.zeros_like(b))
    check_that(
        np.shape(dx) == (0, IN),
        f"dx of an empty batch: shape {np.shape(dx)}, expected (0, {IN}): N may be 0; dx then has no rows, "
        f"but still {IN} columns; a product of whole arrays gives that by itself (eq. 12.4)",
    )
    check_array("dx of an empty batch", dx, np.zeros((0, IN)), equation="12.4")
    check_array("dW of an empty batch", dW, np.zeros((OUT, IN)), equation="12.2")
    check_array("db of an empty batch", db, np.zeros(OUT), equation="12.3")
