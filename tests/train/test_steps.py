"""What may be in a step: several batches, clipped gradients, a schedule of steps. None of it is lost."""

import numpy as np
import pytest
from train.runs import OPTIMIZERS, data, figures, loaders, make_trainer, weights

from minidl import nn, optim
from minidl.array import manual_seed
from minidl.data import ArrayDataset, DataLoader
from minidl.nn.utils import clip_grad_norm_, clip_grad_value_
from minidl.train import (
    Callback,
    LambdaCallback,
    LearningRateMonitor,
    Trainer,
    load_checkpoint,
    save_checkpoint,
)


def one_cycle(epochs, steps):
    return lambda optimizer: optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.05, total_steps=epochs * steps, cycle_momentum=False
    )


# -------------------------------------------------------------------- several batches in a step


def plain(reduction="mean", **options):
    """A network in which every sample stands for itself."""
    manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    loss = nn.CrossEntropyLoss(reduction=reduction)
    return Trainer(model, loss, optim.SGD(model.parameters(), lr=0.05, momentum=0.9), **options)


def batches(size):
    x, y = data().arrays  # 22 samples
    return DataLoader(ArrayDataset(x.astype(np.float64), y), size)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("size", "accumulate"), [(3, 3), (2, 4), (5, 2), (4, 6), (1, 22), (7, 1)])
def test_batches_put_together_are_one_large_batch(size, accumulate, reduction):
    """Whole groups, groups with a smaller batch, and an epoch's last group with fewer of them."""
    many = plain(reduction, accumulate=accumulate)
    seen = []
    many.callbacks.append(LambdaCallback(on_step_end=lambda t: seen.append((t.step, t.samples))))
    history = many.fit(batches(size), epochs=3)
    one = plain(reduction)
    expected = one.fit(batches(size * accumulate), epochs=3)
    for name, values in many.model.state_dict().items():
        np.testing.assert_allclose(values, one.model.state_dict()[name], rtol=1e-11, atol=1e-13)
    if reduction == "mean":
        np.testing.assert_allclose(history["train_loss"], expected["train_loss"], rtol=1e-12)
    steps = -(-22 // (size * accumulate))
    assert many.steps_per_epoch == one.steps_per_epoch == steps
    assert (many.global_step, many.samples) == (3 * steps, 66)
    first = [(i + 1, min(22, (i + 1) * size * accumulate)) for i in range(steps)]
    assert seen[:steps] == first


def test_one_batch_a_step_has_the_bits_that_it_always_had():
    one = make_trainer()
    one.fit(*loaders(), epochs=2)
    other = make_trainer(accumulate=1)
    other.fit(*loaders(), epochs=2)
    assert weights(one) == weights(other)


def test_a_nan_within_a_group_changes_no_parameter_and_no_figure():
    trainer = plain(accumulate=3)
    x, y = batches(22).dataset.arrays
    x = x.copy()
    x[17] = np.nan
    before = weights(trainer)
    with pytest.raises(ArithmeticError, match="epoch 1, step 2: the batch itself"):
        trainer.fit(DataLoader(ArrayDataset(x, y), 4))
    assert trainer.step == 1
    after = plain(accumulate=3)
    after.fit(DataLoader(ArrayDataset(x[:12], y[:12]), 4))
    assert weights(trainer) == weights(after) != before
    assert trainer.running["loss"] == after.history["train_loss"][0]


# -------------------------------------------------------------------- clipping


def by_hand(clip, epochs=2):
    hand = make_trainer("sgd")
    train, _ = loaders()
    criterion = nn.CrossEntropyLoss()
    norms = []
    for _ in range(epochs):
        for x, y in train:
            criterion(hand.model(x), y)
            hand.optimizer.zero_grad()
            hand.model.backward(criterion.backward())
            norms.append(clip(list(hand.model.parameters())))
            hand.optimizer.step()
        hand.scheduler.step()
    return hand, norms


@pytest.mark.parametrize("kind", ["norm", "value", "both", "none"])
def test_gradients_are_clipped_before_the_step(kind):
    norm = {"clip_grad_norm": 0.3} if kind in ("norm", "both") else {}
    value = {"clip_grad_value": 0.05} if kind in ("value", "both") else {}
    seen = []
    log = LambdaCallback(on_step_end=lambda trainer: seen.append(trainer.grad_norm))
    trainer = make_trainer("sgd", [log], **norm, **value)
    trainer.fit(*loaders(), epochs=2)

    def clip(parameters):
        if value:
            clip_grad_value_(parameters, 0.05)
        return clip_grad_norm_(parameters, 0.3) if norm else None

    hand, norms = by_hand(clip)
    assert weights(trainer) == weights(hand)
    assert seen == norms
    if kind != "none":
        assert weights(trainer) != weights(by_hand(lambda parameters: None)[0])


def test_a_callback_sees_gradients_before_they_are_clipped_and_may_change_them():
    def double(trainer):
        for parameter in trainer.model.parameters():
            parameter.grad *= 2

    norms = [[], []]
    for log, change in zip(norms, (double, lambda trainer: None), strict=True):
        keep = LambdaCallback(on_step_end=lambda trainer, log=log: log.append(trainer.grad_norm))
        trainer = make_trainer("sgd", [LambdaCallback(on_gradients=change), keep], clip_grad_norm=1e-9)
        trainer.fit(loaders()[0])
    assert norms[0][0] == pytest.approx(2 * norms[1][0])


# -------------------------------------------------------------------- schedules of steps


def test_a_schedule_of_steps_moves_after_every_step():
    monitor = LearningRateMonitor()
    trainer = make_trainer("sgd", [monitor], schedule=one_cycle(3, 5), scheduler_interval="step")
    history = trainer.fit(*loaders(), epochs=3)
    other = make_trainer("sgd", schedule=one_cycle(3, 5))
    rates = []
    for _ in range(15):
        rates.append([other.optimizer.param_groups[0]["lr"]])
        other.scheduler.step()
    assert monitor.rates == rates
    assert monitor.steps == list(range(1, 16))
    assert history["lr"] == [rates[5][0], rates[10][0], other.optimizer.param_groups[0]["lr"]]
    assert 0.04 < max(rates)[0] < 0.05  # the top lies between two steps


def test_train_step_by_hand_moves_a_schedule_of_steps_only():
    batch = next(iter(loaders()[0]))
    for interval, moved in (("step", 1), ("epoch", 0)):
        trainer = make_trainer(scheduler_interval=interval)
        trainer.model.train()
        trainer.train_step(*batch)
        assert trainer.scheduler.last_epoch == moved


# -------------------------------------------------------------------- resumed

OPTIONS = {
    "groups": {"accumulate": 2},
    "groups of three, clipped": {"accumulate": 3, "clip_grad_norm": 0.5},
    "a schedule of steps": {"schedule": one_cycle(3, 5), "scheduler_interval": "step"},
    "all": {
        "accumulate": 2,
        "clip_grad_value": 0.1,
        "schedule": one_cycle(3, 3),
        "scheduler_interval": "step",
    },
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", OPTIONS)
def test_a_state_of_any_step_gives_the_rest_of_the_run(name, optimizer, tmp_path):
    states = []

    class Keep(Callback):
        def keep(self, trainer):
            save_checkpoint(trainer.state_dict(), tmp_path / "state")
            states.append(load_checkpoint(tmp_path / "state"))

        on_step_end = on_epoch_end = keep

    straight = make_trainer(optimizer, [Keep()], **OPTIONS[name])
    straight.fit(*loaders(), epochs=3)
    assert len(states) == straight.global_step + 3
    for state in states:
        fresh = make_trainer(optimizer, seed=99, own_rng=98, **OPTIONS[name])
        train, val = loaders()
        fresh.load_state_dict(state)
        fresh.fit(train, val, epochs=3)
        assert weights(fresh) == weights(straight), (state["epoch"], state["step"])
        assert figures(fresh) == figures(straight)
        assert fresh.global_step == straight.global_step


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("step", [1, 2, 3, 5, 6])
def test_stopping_at_any_step_and_going_on_leaves_no_trace(step, name):
    straight = make_trainer(**OPTIONS[name])
    straight.fit(*loaders(), epochs=3)
    stopped = make_trainer(**OPTIONS[name])
    stopped.callbacks.append(
        LambdaCallback(on_step_end=lambda t: t.stop() if t.global_step == step else None)
    )
    train, val = loaders()
    stopped.fit(train, val, epochs=3)
    assert stopped.global_step == step
    stopped.fit(train, val, epochs=3)
    assert weights(stopped) == weights(straight)
    assert figures(stopped) == figures(straight)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"accumulate": 0}, ValueError, "accumulate of at least 1, got 0"),
        ({"accumulate": 2.0}, TypeError, "accumulate to be an integer, got 2.0"),
        ({"accumulate": True}, TypeError, "accumulate to be an integer, got True"),
        ({"scheduler_interval": "batch"}, ValueError, "scheduler_interval epoch or step, got 'batch'"),
        ({"clip_grad_norm": -1}, ValueError, "clip_grad_norm to be a finite number of at least 0, got -1"),
        ({"clip_grad_value": "1"}, TypeError, "clip_grad_value to be a number, got '1'"),
        (
            {"schedule": optim.lr_scheduler.ReduceLROnPlateau, "scheduler_interval": "step"},
            ValueError,
            "ReduceLROnPlateau with scheduler_interval='epoch', got 'step'",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_options_that_make_no_sense(options, error, message):
    with pytest.raises(error, match=f"Trainer: expected {message}"):
        make_trainer(**options)
