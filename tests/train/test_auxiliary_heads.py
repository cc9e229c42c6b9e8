"""Training a network of several heads: as in GoogLeNet's paper, and with all that a trainer does."""

from __future__ import annotations

import numpy as np
import pytest
from torchvision_beside import torchvision
from train.runs import figures, weights

from minidl import models, nn, optim
from minidl.array import manual_seed
from minidl.data import ArrayDataset, DataLoader
from minidl.errors import DTypeError, ShapeError
from minidl.metrics import Accuracy, accuracy
from minidl.nn.utils import clip_grad_norm_, skip_init
from minidl.train import LambdaCallback, Recorder, Trainer, load_checkpoint, save_checkpoint

HEADS = ("aux1", "aux2")


def images(count=11, size=(17, 15), seed=5):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, 3, *size)), rng.integers(0, 3, count)


def loaders(size=4, count=11):
    """Batches of which the last is smaller, and some to validate on."""
    return DataLoader(ArrayDataset(*images(count)), size), DataLoader(ArrayDataset(*images(5, seed=6)), 3)


def small_googlenet(**options):
    options = {"dropout": 0.0, "dropout_aux": 0.0, **options}
    rng = np.random.default_rng(1)
    return models.GoogLeNet(3, init_weights=False, width_mult=1 / 16, rng=rng, **options).double()


def make_trainer(callbacks=(), model=None, weights=(0.3, 0.3), reduction="mean", lr=0.05, **options):
    manual_seed(3)
    model = model or small_googlenet()
    loss = nn.AuxiliaryLoss(nn.CrossEntropyLoss(reduction=reduction), weights)
    steps = optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    return Trainer(model, loss, steps, [Accuracy()], callbacks, **options)


def test_three_steps_with_all_heads_are_those_of_a_loop_by_hand():
    """L = ℓ(logits) + 0.3 ℓ(aux2) + 0.3 ℓ(aux1): section 5 of the paper."""
    trainer, hand = make_trainer(clip_grad_norm=1.0), make_trainer()
    before = weights(trainer)
    train, val = loaders()
    history = trainer.fit(train, val)
    assert trainer.global_step == 3

    losses, norms, right = [], [], 0
    criteria = [nn.CrossEntropyLoss() for _ in range(3)]
    for x, t in loaders()[0]:
        outputs = hand.model(x)
        each = [criterion(y, t) for criterion, y in zip(criteria, outputs, strict=True)]
        losses.append(float(each[0] + 0.3 * each[1] + 0.3 * each[2]) * len(t))
        right += (outputs.logits.argmax(axis=1) == t).sum()
        hand.optimizer.zero_grad()
        dys = tuple(c.backward(weight) for c, weight in zip(criteria, (1.0, 0.3, 0.3), strict=True))
        hand.model.backward(dys)
        norms.append(clip_grad_norm_(list(hand.model.parameters()), 1.0))
        hand.optimizer.step()
    for name, values in hand.model.state_dict().items():
        np.testing.assert_allclose(trainer.model.state_dict()[name], values, 1e-10, 1e-12, err_msg=name)
    assert history["train_loss"][0] == pytest.approx(sum(losses) / 11, rel=1e-12)
    assert history["train_accuracy"][0] == right / 11
    assert trainer.grad_norm == pytest.approx(norms[-1], rel=1e-10)
    after = weights(trainer)
    for name in (
        "conv1.conv.weight",
        "fc.weight",
        *(f"{h}.{p}" for h in HEADS for p in ("fc2.bias", "conv.conv.weight")),
    ):
        assert before[name] != after[name], name

    x, t = images(5, seed=6)  # in evaluation there is one output, and its loss alone
    logits = trainer.model.eval()(x)
    assert history["val_loss"][0] == pytest.approx(float(nn.CrossEntropyLoss()(logits, t)), rel=1e-12)
    assert history["val_accuracy"][0] == accuracy(logits, t)


@pytest.mark.slow
def test_three_steps_with_all_heads_are_torchvisions():
    theirs_of = torchvision("models").googlenet
    import torch

    options = {"num_classes": 3, "dropout": 0.0, "dropout_aux": 0.0, "init_weights": False}
    torch.manual_seed(0)
    theirs, ours = theirs_of(**options).double(), skip_init(models.GoogLeNet, **options).double()
    start = {name: values.numpy().copy() for name, values in theirs.state_dict().items()}
    ours.load_state_dict(start)
    trainer = make_trainer(model=ours, lr=0.005)
    trainer.fit(DataLoader(ArrayDataset(*images(12, (33, 40))), 4))
    steps = torch.optim.SGD(theirs.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for x, t in DataLoader(ArrayDataset(*images(12, (33, 40))), 4):
        first, aux2, aux1 = (
            torch.nn.functional.cross_entropy(y, torch.tensor(t)) for y in theirs(torch.tensor(x))
        )
        loss = first + 0.3 * (aux2 + aux1)
        steps.zero_grad()
        loss.backward()
        steps.step()
        losses.append(loss.item())
    assert trainer.history["train_loss"][0] == pytest.approx(np.mean(losses), rel=1e-8)
    found = ours.state_dict()
    for name, values in theirs.state_dict().items():
        largest = values.abs().max().item()  # batch norm of few pixels makes much of a rounding
        np.testing.assert_allclose(found[name], values.numpy(), 1e-7, 1e-8 * largest, err_msg=name)
        if name.startswith(HEADS) and name.endswith("weight"):
            assert not np.array_equal(found[name], start[name]), name


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_batches_put_together_are_one_large_batch(reduction):
    """Without batch norm, which looks at several samples at once."""
    plain = small_googlenet(norm_layer=nn.Identity).state_dict()
    many, one = (
        make_trainer(model=small_googlenet(norm_layer=nn.Identity), reduction=reduction, accumulate=n)
        for n in (3, 1)
    )
    many.fit(loaders(4)[0], epochs=2)
    one.fit(loaders(12)[0], epochs=2)
    for name, values in many.model.state_dict().items():
        np.testing.assert_allclose(values, one.model.state_dict()[name], rtol=1e-10, atol=1e-13)
        assert not np.array_equal(values, plain[name]) or "branch" in name, name


def test_a_state_of_any_step_gives_the_rest_of_the_run(tmp_path):
    def dropping():
        return small_googlenet(dropout=0.2, dropout_aux=0.7)

    states = []

    def keep(trainer):
        save_checkpoint(trainer.state_dict(), tmp_path / "state")
        states.append(load_checkpoint(tmp_path / "state"))

    straight = make_trainer([LambdaCallback(on_step_end=keep)], dropping())
    straight.fit(*loaders(), epochs=2)
    assert len(states) == 6
    for state in states[1::2]:
        fresh = make_trainer(model=dropping())
        train, val = loaders()
        fresh.load_state_dict(state)
        fresh.fit(train, val, epochs=2)
        assert weights(fresh) == weights(straight)
        assert figures(fresh) == figures(straight)


def test_a_recorder_sees_into_the_heads():
    recorder = Recorder()
    trainer = make_trainer([recorder])
    trainer.fit(*loaders())
    untouched = make_trainer()
    untouched.fit(*loaders())
    assert weights(trainer) == weights(untouched)
    for kind, name in (("activation", "fc2"), ("gradient", "fc2"), ("parameter", "fc2.weight")):
        names, rms = recorder.names(kind), recorder.series("rms", kind)
        for head in HEADS:
            assert (rms[:, names.index(f"{head}.{name}")] > 0).all()


class TwoHeads(nn.Module):
    """A head after one layer, the answer after two."""

    def __init__(self):
        rng = np.random.default_rng(2)
        self.first, self.second = nn.Linear(5, 4, rng=rng), nn.Linear(4, 3, rng=rng)
        self.head = nn.Linear(4, 3, rng=rng)

    def forward(self, x):
        h = self.first(x)
        return (self.second(h), self.head(h)) if self.training else self.second(h)

    def backward(self, dy):
        dy, dhead = dy
        return self.first.backward(self.second.backward(dy) + self.head.backward(dhead))


def test_on_a_device_it_is_the_same():
    rng = np.random.default_rng(3)
    batches = DataLoader(ArrayDataset(rng.standard_normal((6, 5)), rng.integers(0, 3, 6)), 3)
    here = make_trainer(model=TwoHeads().double(), weights=(0.4,))
    there = make_trainer(model=TwoHeads().double().to("sim"), weights=(0.4,))
    for one, other in zip(*(figures_of(trainer, batches) for trainer in (here, there)), strict=True):
        assert one == pytest.approx(other, rel=1e-9)
    for name, values in there.model.state_dict().items():
        np.testing.assert_allclose(values, here.model.state_dict()[name], rtol=1e-9, err_msg=name)


def figures_of(trainer, batches):
    trainer.fit(batches, batches, epochs=2)
    return figures(trainer)


def test_heads_and_losses_that_do_not_fit_are_said():
    batches = loaders()[0]
    with pytest.raises(ShapeError, match=r"AuxiliaryLoss: expected 2 outputs, .* got 3"):
        make_trainer(weights=(0.3,)).fit(batches)
    model = small_googlenet()
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(DTypeError, match=r"CrossEntropyLoss.*: expected an array .*, got GoogLeNetOutputs"):
        trainer.fit(batches)
    alone = make_trainer(model=small_googlenet(aux_logits=False))  # without heads it is the loss itself
    other = small_googlenet(aux_logits=False)
    plain = Trainer(other, nn.CrossEntropyLoss(), optim.SGD(other.parameters(), lr=0.05, momentum=0.9))
    alone.fit(batches)
    plain.fit(batches)
    assert weights(alone) == weights(plain)


@pytest.mark.parametrize("weights", [0.3, "half", ("a", "b"), None], ids=str)
def test_weights_that_are_none(weights):
    with pytest.raises(TypeError, match="AuxiliaryLoss: expected weights to be numbers, one per"):
        nn.AuxiliaryLoss(nn.MSELoss(), weights)


@pytest.mark.parametrize("weight", [-0.3, np.nan, np.inf])
def test_weights_out_of_range(weight):
    with pytest.raises(ValueError, match="expected weights to be finite and at least 0, got "):
        nn.AuxiliaryLoss(nn.MSELoss(), (0.3, weight))


def test_no_criterion():
    with pytest.raises(TypeError, match="AuxiliaryLoss: expected criterion to be a Module, got 'mse'"):
        nn.AuxiliaryLoss("mse")


def test_a_refused_gradient_loses_nothing():
    criterion = nn.AuxiliaryLoss(nn.MSELoss(), (0.5,))
    criterion((np.ones(2), np.ones(2)), np.zeros(2))
    with pytest.raises(ShapeError, match="AuxiliaryLoss"):
        criterion.backward(np.ones(3))
    assert [dy.tolist() for dy in criterion.backward()] == [[1, 1], [0.5, 0.5]]
