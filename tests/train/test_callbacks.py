"""Callbacks: who is told what and when; early stopping and the best weights, interrupted or not."""

import math

import numpy as np
import pytest
from train.runs import figures, loaders, make_trainer, weights

from minidl.errors import CheckpointError, NonFiniteError, StateDictError
from minidl.train import (
    Callback,
    Checkpoint,
    EarlyStopping,
    LambdaCallback,
    SaveBest,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from minidl.train.callbacks import EVENTS
from minidl.train.early_stopping import _Best

LOSSES = [0.9, 0.5, 0.6, math.nan, 0.45, 0.46, 0.47, 0.48, 0.1, 0.0]


class Pretend(Callback):
    """Says what was measured, so that a test knows which epoch is best."""

    def __init__(self, values=LOSSES):
        self.values = values

    def on_epoch_end(self, trainer):
        trainer.history.records[-1]["val_loss"] = self.values[trainer.epoch - 1]


class Weights(Callback):
    def __init__(self):
        self.of_epoch = []

    def on_epoch_end(self, trainer):
        self.of_epoch.append(weights(trainer))


# -------------------------------------------------------------------- plain functions, exceptions, order


def test_plain_functions_are_told():
    log = []
    functions = {event: lambda trainer, event=event: log.append(event) for event in EVENTS}
    make_trainer(callbacks=[LambdaCallback(**functions)]).fit(*loaders(), epochs=1)
    assert log[:3] == ["on_fit_start", "on_epoch_start", "on_step_start"]
    assert log[-2:] == ["on_epoch_end", "on_fit_end"]
    assert set(log) == set(EVENTS) - {"on_exception"}


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ({"on_batch": print}, "expected events among on_fit_start, .* got on_batch"),
        ({"on_fit_end": 3}, "got 3"),
    ],
)
def test_functions_for_nothing_are_refused(functions, message):
    with pytest.raises(TypeError, match=f"LambdaCallback: .*{message}"):
        LambdaCallback(**functions)


def test_an_exception_is_told_before_it_is_raised():
    log = []
    trainer = make_trainer(callbacks=[LambdaCallback(on_exception=lambda trainer: log.append(trainer.step))])
    trainer.callbacks.append(
        LambdaCallback(on_step_end=lambda t: t.model[0].weight.data.fill(np.nan) if t.step == 2 else None)
    )
    with pytest.raises(NonFiniteError):
        trainer.fit(*loaders())
    assert log == [2]


def test_who_saves_is_told_last(tmp_path):
    """Else a checkpoint of an epoch's end would hold what early stopping knew before."""
    stopping = EarlyStopping(patience=4)
    checkpoint = Checkpoint(tmp_path / "checkpoint", seconds=1e9)
    trainer = make_trainer(callbacks=[checkpoint, Pretend(), stopping])
    trainer.fit(*loaders(), epochs=3)
    saved = load_checkpoint(checkpoint.path)["callbacks"]["EarlyStopping"]
    assert (saved["best"], saved["best_epoch"], saved["wait"]) == (0.5, 2, 1)


# -------------------------------------------------------------------- early stopping


@pytest.mark.parametrize(
    ("patience", "min_delta", "epochs", "best"),
    [(1, 0.0, 3, 0.5), (2, 0.0, 4, 0.5), (3, 0.0, 8, 0.45), (3, 0.1, 5, 0.5), (9, 0.0, 10, 0.0)],
)
def test_the_fit_ends_when_nothing_becomes_better(patience, min_delta, epochs, best):
    stopping = EarlyStopping(patience=patience, min_delta=min_delta)
    trainer = make_trainer(callbacks=[Pretend(), stopping])
    history = trainer.fit(*loaders(), epochs=10)
    assert (len(history), trainer.epoch) == (epochs, epochs)
    assert stopping.best == best
    assert stopping.best_epoch == LOSSES.index(best) + 1
    assert not trainer.stopped  # it is finished


def test_the_largest_is_best_of_what_is_no_loss():
    for monitor, mode in {
        "val_loss": "min", "train_loss": "min", "val_mse": "min", "val_rmse": "min", "val_mae": "min",
        "val_error": "min", "val_accuracy": "max", "val_auroc": "max", "val_r2": "max", "val_f1": "max",
    }.items():  # fmt: skip
        assert EarlyStopping(monitor).mode == mode
    assert EarlyStopping("val_loss", mode="max").mode == "max"
    rising = EarlyStopping(patience=2, mode="max")
    trainer = make_trainer(callbacks=[Pretend([0.1, 0.3, 0.2, 0.3, 0.9]), rising])
    assert len(trainer.fit(*loaders(), epochs=5)) == 4  # as good as the best is not better
    assert rising.best == 0.3


def test_the_best_weights_come_back():
    kept, stopping = Weights(), EarlyStopping(patience=3, restore_best=True)
    trainer = make_trainer(callbacks=[Pretend(), stopping, kept])
    trainer.fit(*loaders(), epochs=10)
    assert weights(trainer) == kept.of_epoch[4] != kept.of_epoch[7]
    without = make_trainer(callbacks=[Pretend(), EarlyStopping(patience=3)])
    without.fit(*loaders(), epochs=10)
    assert weights(without) == kept.of_epoch[7]
    early = make_trainer(callbacks=[Pretend(), EarlyStopping(patience=3, restore_best=True)])
    early.fit(*loaders(), epochs=4)  # over before patience is
    assert weights(early) == kept.of_epoch[1]


def test_the_next_fit_begins_anew():
    stopping = EarlyStopping(patience=1)
    trainer = make_trainer(callbacks=[Pretend(), stopping])
    train, val = loaders()
    trainer.fit(train, val, epochs=10)
    assert trainer.epoch == 3
    trainer.fit(train, val, epochs=10)  # 0.6 was not good enough, but NaN is not better than nothing
    assert trainer.epoch == 4
    trainer.fit(train, val, epochs=10)
    assert (trainer.epoch, stopping.best) == (6, 0.45)


def test_a_finished_run_that_is_loaded_begins_anew():
    first = make_trainer(callbacks=[Pretend(), EarlyStopping(patience=1)])
    first.fit(*loaders(), epochs=10)
    again = make_trainer(callbacks=[Pretend(), EarlyStopping(patience=1)])
    train, val = loaders()
    again.load_state_dict(first.state_dict())
    again.fit(train, val, epochs=10)
    assert not again.resumed
    assert again.epoch == 4
    with pytest.raises(ZeroDivisionError):
        make_trainer(callbacks=[LambdaCallback(on_fit_start=lambda t: 1 / t.resumed)]).fit(train)


@pytest.mark.parametrize("restore_best", [False, True])
@pytest.mark.parametrize("checkpoint_first", [True, False])
def test_interrupted_anywhere_it_ends_at_the_same_epoch_with_the_same_bits(
    checkpoint_first, restore_best, tmp_path
):
    states = []

    class Keep(Checkpoint):
        def save(self, trainer):
            super().save(trainer)
            states.append(load_checkpoint(self.path))

    def callbacks(*more):
        own = [Pretend(), EarlyStopping(patience=3, restore_best=restore_best)]
        return [*more, *own] if checkpoint_first else [*own, *more]

    straight = make_trainer(callbacks=callbacks(Keep(tmp_path / "state", seconds=0)))
    straight.fit(*loaders(), epochs=10)
    assert (straight.epoch, len(states)) == (8, 8 * 5 + 8)
    for state in states:
        fresh = make_trainer(callbacks=callbacks(), seed=99, own_rng=98)
        train, val = loaders()
        fresh.load_state_dict(state)
        fresh.fit(train, val, epochs=10)
        assert fresh.epoch == 8, (state["epoch"], state["step"])
        assert weights(fresh) == weights(straight)
        for one, other in zip(figures(fresh), figures(straight), strict=True):
            np.testing.assert_equal(one, other)  # a NaN is one


def test_an_interruption_keeps_the_weights_of_the_moment():
    def stop(trainer):
        if trainer.global_step == 17:
            trainer.stop()

    straight = make_trainer(callbacks=[Pretend(), EarlyStopping(restore_best=True)])
    straight.fit(*loaders(), epochs=10)
    stopped = make_trainer(
        callbacks=[Pretend(), EarlyStopping(restore_best=True), LambdaCallback(on_step_end=stop)]
    )
    train, val = loaders()
    stopped.fit(train, val, epochs=10)
    assert stopped.stopped
    stopped.fit(train, val, epochs=10)
    assert stopped.epoch == straight.epoch
    assert weights(stopped) == weights(straight)


def test_what_is_not_measured_cannot_be_monitored():
    trainer = make_trainer(callbacks=[EarlyStopping()])
    with pytest.raises(
        ValueError, match=r"EarlyStopping: expected to monitor one of epoch, .* got 'val_loss'"
    ):
        trainer.fit(loaders()[0])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: EarlyStopping(patience=0), ValueError, "EarlyStopping: expected patience"),
        (lambda: EarlyStopping(patience=1.5), TypeError, "EarlyStopping: expected patience"),
        (lambda: EarlyStopping(min_delta=-1), ValueError, "min_delta to be a finite number of at least 0"),
        (lambda: SaveBest("x", min_delta="1"), TypeError, "SaveBest: expected min_delta to be a number"),
        (
            lambda: SaveBest("x", mode="best"),
            ValueError,
            "SaveBest: expected mode auto, min or max, got 'best'",
        ),
    ],
)
def test_options_that_make_no_sense(make, error, message):
    with pytest.raises(error, match=message):
        make()


# -------------------------------------------------------------------- states of callbacks


def test_a_run_goes_on_with_its_callbacks_only():
    source = make_trainer(callbacks=[EarlyStopping(), EarlyStopping("train_loss")])
    source.fit(*loaders(), epochs=1)
    state = source.state_dict()
    assert list(state["callbacks"]) == ["EarlyStopping", "EarlyStopping 2"]
    for callbacks, here in (([], "none"), ([EarlyStopping()], "EarlyStopping,")):
        with pytest.raises(CheckpointError, match=f"callbacks {here}"):
            make_trainer(callbacks=callbacks).load_state_dict(state)
    other = make_trainer(callbacks=[EarlyStopping("train_loss"), EarlyStopping()])
    with pytest.raises(StateDictError, match="expected the best train_loss and its epoch, got 'val_loss'"):
        other.load_state_dict(state)
    assert other.callbacks[0].best is None
    with pytest.raises(CheckpointError, match="callbacks EarlyStopping, got one with none"):
        make_trainer(callbacks=[EarlyStopping()]).load_state_dict(make_trainer().state_dict())


@pytest.mark.parametrize(
    "change",
    [
        {"wait": -1}, {"wait": 1.0}, {"best": "low"}, {"best_epoch": -1}, {"monitor": "x"}, {"weights": None},
        {"weights": 3}, {"more": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_damaged_state_changes_nothing(change):
    stopping = EarlyStopping(restore_best=True, patience=4)
    trainer = make_trainer(callbacks=[Pretend(), stopping])
    trainer.fit(*loaders(), epochs=4)
    before = stopping.state_dict()
    with pytest.raises(StateDictError, match="EarlyStopping: expected"):
        EarlyStopping(restore_best=True).load_state_dict(before | change)
    with pytest.raises(StateDictError, match="EarlyStopping: expected"):
        stopping.load_state_dict(before | change)
    assert stopping.state_dict() == before
    for other in ({}, 3, None):
        with pytest.raises(StateDictError, match="EarlyStopping: expected"):
            stopping.load_state_dict(other)
        with pytest.raises(StateDictError, match="SaveBest: expected"):
            SaveBest("x").load_state_dict(other)
    with pytest.raises(StateDictError, match="restore_best=False with epochs to wait, got some weights"):
        EarlyStopping().load_state_dict(before)


# -------------------------------------------------------------------- the best weights in a file


def test_the_best_weights_are_saved(tmp_path):
    kept, best = Weights(), SaveBest(tmp_path / "best.safetensors")
    trainer = make_trainer(callbacks=[Pretend(LOSSES[:8]), best, kept])
    trainer.fit(*loaders(), epochs=8)
    assert (best.best, best.best_epoch) == (0.45, 5)
    load_weights(trainer.model, best.path)
    assert weights(trainer) == kept.of_epoch[4]


def test_a_resumed_run_does_not_save_what_is_worse(tmp_path):
    path = tmp_path / "best.safetensors"
    first = make_trainer(callbacks=[Pretend(), SaveBest(path)])
    first.callbacks.append(LambdaCallback(on_step_end=lambda t: t.stop() if t.global_step == 12 else None))
    first.fit(*loaders(), epochs=4)
    save_checkpoint(first.state_dict(), tmp_path / "state")
    content = path.read_bytes()
    resumed = make_trainer(callbacks=[Pretend(), SaveBest(path)])
    resumed.load_state_dict(load_checkpoint(tmp_path / "state")).fit(*loaders(), epochs=4)
    assert resumed.epoch == 4
    assert path.read_bytes() == content  # the second epoch's: 0.6 and NaN are no better
    assert issubclass(SaveBest, _Best)
