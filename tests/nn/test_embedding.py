"""Embeddings beside PyTorch where the samples do not go, and gradients of few rows."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from minidl import nn, optim, to_device, to_host
from minidl.array import manual_seed
from minidl.data import ArrayDataset, DataLoader
from minidl.errors import BackendError, DTypeError, ShapeError
from minidl.nn import Parameter, RowSparse
from minidl.train import Trainer, load_checkpoint, save_checkpoint

X = np.array([[1, 3, 1, 0], [4, 4, 2, 1]])


def pair(cls, **options):
    """The same layer here and in PyTorch, in float64."""
    torch = pytest.importorskip("torch")
    mine, theirs = (
        getattr(nn, cls)(6, 3, **options).double(),
        getattr(torch.nn, cls)(6, 3, **options).double(),
    )
    theirs.load_state_dict({"weight": torch.tensor(mine.weight.data)})
    return mine, theirs


@pytest.mark.parametrize("cls", ["Embedding", "EmbeddingBag"])
@pytest.mark.parametrize("p", [1.0, 2.0, 3.5, math.inf])
def test_rows_that_are_too_long_are_shortened_in_the_table(cls, p):
    mine, theirs = pair(cls, max_norm=1.0, norm_type=p)
    import torch

    for _ in range(2):
        y, expected = mine(X), theirs(torch.tensor(X))
        dy = np.cos(np.arange(y.size)).reshape(y.shape)
        mine.backward(dy)
        expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(mine.weight.data, theirs.weight.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(mine.weight.grad, theirs.weight.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("mode", "weighted", "padding_idx", "last", "kind"),
    [
        row
        for row in itertools.product(("sum", "mean", "max"), (False, True), (None, 1), (False, True), "iq")
        if row[0] == "sum" or not row[1]
    ],
)
def test_bags_beside_pytorch(mode, weighted, padding_idx, last, kind):
    torch = pytest.importorskip("torch")
    mine, theirs = pair("EmbeddingBag", mode=mode, padding_idx=padding_idx, include_last_offset=last)
    offsets = np.array([0, 3, 3, 7, *([8] if last else [])], kind)
    s = np.linspace(-1, 2, 8) if weighted else None
    for x, starts in ((X.reshape(8).astype(kind), offsets), (X.astype(kind), None)):
        mine.zero_grad()
        theirs.zero_grad()
        weights = None if s is None else s.reshape(x.shape)
        their_weights = None if s is None else torch.tensor(weights, requires_grad=True)
        y = mine(x, starts, weights)
        expected = theirs(torch.tensor(x), None if starts is None else torch.tensor(starts), their_weights)
        np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-12)
        dy = np.cos(np.arange(y.size)).reshape(y.shape)
        ds = mine.backward(dy)
        expected.backward(torch.tensor(dy))
        np.testing.assert_allclose(mine.weight.grad, theirs.weight.grad.numpy(), rtol=1e-12)
        if weighted:
            np.testing.assert_allclose(ds, their_weights.grad.numpy(), rtol=1e-12)
        else:
            assert ds is None


def test_a_bags_words_are_divided_by_their_own_frequency():
    """PyTorch 2.13 gives 1, 0.5 and 3 here: it divides by the frequency of other words."""
    layer = nn.EmbeddingBag(6, 1, scale_grad_by_freq=True, mode="sum").double()
    layer(np.array([[5, 5, 5, 2, 1, 1]]))
    layer.backward(np.ones((1, 1)))
    np.testing.assert_array_equal(layer.weight.grad[:, 0], [0, 1, 1, 0, 0, 1])


def test_a_pretrained_table_is_a_frozen_copy_unless_told():
    rows = np.arange(6.0).reshape(3, 2)
    for cls in (nn.Embedding, nn.EmbeddingBag):
        layer = cls.from_pretrained(rows, padding_idx=-1)
        assert not np.shares_memory(layer.weight.data, rows)
        np.testing.assert_array_equal(layer.weight.data, rows)  # the padding's row too
        assert (layer.padding_idx, layer.num_embeddings, layer.embedding_dim) == (2, 3, 2)
        layer(np.array([[0, 1]]))
        layer.backward(np.ones((1, 2) if cls is nn.EmbeddingBag else (1, 2, 2)))
        assert layer.weight.grad is None
        assert cls.from_pretrained(rows, freeze=False).weight.requires_grad
        with pytest.raises(
            ShapeError, match=rf"{cls.__name__}: expected embeddings \(rows, size\), got \(6,\)"
        ):
            cls.from_pretrained(rows.reshape(6))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Embedding(-1, 3), "Embedding: num_embeddings: expected an integer of at least 0"),
        (lambda: nn.Embedding(4, 3, 4), "Embedding: expected padding_idx from -4 to 3, got 4"),
        (lambda: nn.EmbeddingBag(4, 3, padding_idx=-5), "padding_idx from -4 to 3, got -5"),
        (lambda: nn.Embedding(4, 3, norm_type=0), "norm_type above 0, got 0"),
        (lambda: nn.Embedding(4, 3, scale_grad_by_freq=True, sparse=True), "sparse=False with scale_grad"),
        (lambda: nn.EmbeddingBag(4, 3, mode="median"), "expected mode 'sum', 'mean' or 'max', got 'median'"),
        (lambda: nn.EmbeddingBag(4, 3, mode="max", sparse=True), "sparse=False with mode='max'"),
        (lambda: nn.EmbeddingBag(4, 3, mode="max", scale_grad_by_freq=True), "scale_grad_by_freq=False with"),
        (lambda: nn.Bilinear(0, 3, 2), "Bilinear: in1_features: expected an integer of at least 1"),
        (lambda: nn.Unflatten(1, ()), r"Unflatten: unflattened_size: expected a tuple of sizes, got \(\)"),
        (lambda: nn.Unflatten(1, (2, -2)), "integer of at least -1, got -2"),
        (lambda: nn.Unflatten(1, (-1, -1)), "at most one -1"),
    ],
)  # fmt: skip
def test_what_no_layer_can_be_made_of(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_network_that_begins_with_words_runs_back_to_them():
    layers = nn.Sequential(nn.Embedding(6, 3), nn.Flatten(), nn.Linear(12, 2)).double()
    y = layers(X)
    assert layers.backward(np.ones(y.shape)) is None
    assert all(parameter.grad is not None for parameter in layers.parameters())
    with layers.no_input_grad():
        layers(X)
        assert layers.backward(np.ones(y.shape)) is None


def test_the_summary_of_a_network_that_begins_with_words(capsys):
    nn.Sequential(nn.Embedding(6, 3), nn.Flatten(), nn.Linear(12, 2)).summary((2, 4))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1:5] for line in lines[2:5]] == [
        ["Embedding", "(2,", "4,", "3)"],
        ["Flatten", "(2,", "12)", "0"],
        ["Linear", "(2,", "2)", "26"],
    ]


@pytest.mark.parametrize("cls", [optim.SGD, optim.Adagrad])
def test_a_trainer_learns_rows(cls, tmp_path):
    """Whole gradients, rows, and rows of a run that was saved and resumed lead to the same words."""
    rng = np.random.default_rng(0)
    words = rng.integers(0, 50, (40, 4))
    samples = ArrayDataset(words, (words.sum(axis=1) % 3).astype(np.int64))
    found = []
    for sparse, resumed in ((False, False), (True, False), (True, True)):
        manual_seed(0)
        model = nn.Sequential(nn.Embedding(50, 3, sparse=sparse), nn.Flatten(), nn.Linear(12, 3)).double()
        trainer = Trainer(model, nn.CrossEntropyLoss(), cls(model.parameters(), lr=0.1))
        loader = DataLoader(samples, batch_size=8, shuffle=True, seed=1)
        if resumed:
            trainer.fit(loader, epochs=2)
            save_checkpoint(trainer.state_dict(), tmp_path / "run")
            trainer = Trainer(model, nn.CrossEntropyLoss(), cls(model.parameters(), lr=9.0))
            trainer.load_state_dict(load_checkpoint(tmp_path / "run"))
            trainer.fit(loader, epochs=1)
        else:
            trainer.fit(loader, epochs=3)
        found.append(model.state_dict()["0.weight"])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-10)
    np.testing.assert_array_equal(found[2], found[1])


def test_words_and_vectors_that_nobody_looks_up():
    for rows, size in ((0, 3), (4, 0)):
        layer = nn.Embedding(rows, size)
        y = layer(np.zeros((2, 0), np.int64))
        assert y.shape == (2, 0, size)
        layer.backward(y)
        assert layer.weight.grad.shape == (rows, size)


# -------------------------------------------------------------------- gradients of few rows


def few(indices=(3, 1, 3, -1), shape=(5, 2), dtype=np.float64):
    values = np.arange(2.0 * len(indices)).reshape(-1, 2).astype(dtype)
    return RowSparse(np.array(indices), values, shape)


WHOLE = np.array([[0, 0], [2, 3], [0, 0], [4, 6], [0, 0]])
MORE = np.array([[0, 1], [0, 0], [0, 0], [0, 0], [0, 0]])


def test_few_rows_as_a_whole_table():
    g = few()
    np.testing.assert_array_equal(g.to_dense(), WHOLE)
    once = g.coalesce()
    assert once.coalesced
    assert once.coalesce() is once
    np.testing.assert_array_equal(once.indices, [1, 3])
    np.testing.assert_array_equal(once.to_dense(), WHOLE)
    np.testing.assert_array_equal((-g).to_dense(), -WHOLE)
    assert (g.size, g.dtype, repr(g)) == (10, np.float64, "RowSparse(rows=4, shape=(5, 2), dtype=float64)")


def test_few_rows_are_added():
    g, table = few(), np.ones((5, 2))
    both = g + few((0,))
    assert isinstance(both, RowSparse)
    np.testing.assert_array_equal(both.to_dense(), WHOLE + MORE)
    for total in (g + table, table + g):
        assert isinstance(total, np.ndarray)
        np.testing.assert_array_equal(total, WHOLE + 1)
    with pytest.raises(ShapeError, match=r"shape \(5, 2\) to add, got \(6, 2\)"):
        g + few(shape=(6, 2))


def test_what_are_no_rows_is_refused():
    for indices, values, shape in (
        (np.zeros(2, int), np.zeros((3, 2)), (5, 2)),
        (np.zeros((2, 1), int), np.zeros((2, 2)), (5, 2)),
        (np.zeros(2, int), np.zeros((2, 2)), (5, 3)),
        (np.zeros(2, int), np.zeros((2, 2)), (5,)),
    ):
        with pytest.raises(ShapeError, match=r"RowSparse: expected indices \(n,\)"):
            RowSparse(indices, values, shape)
    with pytest.raises(DTypeError, match="indices of integers, got float64"):
        RowSparse(np.zeros(2), np.zeros((2, 2)), (5, 2))


def test_a_parameter_collects_them_converts_them_and_takes_them_along():
    parameter = Parameter(np.zeros((5, 2), np.float32))
    g = few()
    parameter.add_grad(g)
    assert not np.shares_memory(parameter.grad.indices, g.indices)
    parameter.add_grad(few((0,), dtype=np.float32))
    assert parameter.grad.dtype == np.float32
    parameter.to(np.float64)
    assert parameter.grad.dtype == np.float64
    parameter.to("sim")
    np.testing.assert_array_equal(to_host(parameter.grad.to_dense()), WHOLE + MORE)
    with pytest.raises(BackendError, match=r"RowSparse.coalesce: expected arrays on the host"):
        parameter.grad.coalesce()
    parameter.to("cpu")
    parameter.add_grad(np.ones((5, 2)))
    np.testing.assert_array_equal(parameter.grad[4], [1, 1])
    parameter.zero_grad()
    assert parameter.grad is None
    with pytest.raises(ShapeError, match=r"expected a gradient of shape \(5, 2\), got \(6, 2\)"):
        parameter.add_grad(few(shape=(6, 2)))


def test_gradients_of_few_rows_are_clipped_as_whole_ones():
    for clip in (
        lambda parameters: nn.utils.clip_grad_norm_(parameters, 2.5),
        lambda parameters: nn.utils.clip_grad_value_(parameters, 3.5),
    ):
        dense, sparse = (Parameter(np.zeros((5, 2))) for _ in range(2))
        dense.grad, sparse.grad = WHOLE.astype(np.float64), few()
        given = sparse.grad
        assert clip([dense]) == clip([sparse])
        np.testing.assert_array_equal(sparse.grad.to_dense(), dense.grad)
        np.testing.assert_array_equal(given.to_dense(), WHOLE)


def test_on_a_device_the_same_rows_learn():
    here, there = nn.Embedding(6, 3, sparse=True), nn.Embedding(6, 3, sparse=True)
    there.load_state_dict(here.state_dict())
    there.to("sim")
    dy = np.cos(np.arange(24, dtype=np.float32)).reshape(2, 4, 3)
    here(X)
    here.backward(dy)
    there(to_device(X, "sim"))
    there.backward(to_device(dy, "sim"))
    np.testing.assert_allclose(to_host(there.weight.grad.to_dense()), here.weight.grad.to_dense(), rtol=1e-6)
    with pytest.raises(BackendError, match="on a device use sparse=False"):
        optim.SparseAdam(there.parameters()).step()


def test_an_index_outside_is_named_on_a_device_too():
    layer = nn.Embedding(6, 3).to("sim")
    with pytest.raises(
        IndexError, match=r"Embedding\(6, 3\): expected indices from 0 to 5, got 6 at position 2"
    ):
        layer(to_device(np.array([0, 1, 6]), "sim"))
