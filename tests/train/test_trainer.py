"""The loop does what ten lines by hand do, and can be stopped, saved and resumed anywhere without a trace."""

import copy
import math

import numpy as np
import pytest
from train.runs import OPTIMIZERS, data, figures, loaders, make_trainer, weights

from minidl import nn, optim
from minidl.array import get_rng_state, manual_seed
from minidl.data import ArrayDataset, DataLoader
from minidl.errors import CheckpointError, NonFiniteError, StateDictError
from minidl.metrics import (
    AUROC,
    Accuracy,
    ConfusionMatrix,
    F1Score,
    Mean,
    MeanSquaredError,
    Precision,
    R2Score,
    Recall,
    TopKAccuracy,
    auroc,
    r2_score,
)
from minidl.train import Callback, Trainer, load_checkpoint, save_checkpoint
from minidl.train.callbacks import EVENTS


class StopAt(Callback):
    """Ask for a stop at one global step, at one of the seams."""

    def __init__(self, step, seam="on_step_end"):
        self.step = step
        setattr(self, seam, self._look)

    def _look(self, trainer):
        if trainer.global_step == self.step:
            trainer.stop()


class Log(Callback):
    def __init__(self, name="", log=None):
        self.log = [] if log is None else log
        for event in EVENTS:
            setattr(self, event, lambda trainer, event=event: self.log.append((name, event)))


# -------------------------------------------------------------------- the loop


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_fit_is_the_loop_that_one_would_write_by_hand(optimizer):
    trainer = make_trainer(optimizer)
    train, val = loaders()
    trainer.fit(train, val, epochs=3)

    hand = make_trainer(optimizer)  # its model, optimizer and schedule; its loop is the one below
    train, _ = loaders()
    model, criterion, losses = hand.model, nn.CrossEntropyLoss(), []
    for _ in range(3):
        for x, y in train:
            loss = criterion(model(x), y)
            hand.optimizer.zero_grad()
            model.backward(criterion.backward())
            hand.optimizer.step()
            losses.append((float(loss), len(y)))
        hand.scheduler.step()

    assert weights(trainer) == weights(hand)
    for epoch, record in enumerate(trainer.history):
        of_epoch = losses[5 * epoch : 5 * epoch + 5]
        mean = sum(loss * n for loss, n in of_epoch) / sum(n for _, n in of_epoch)
        assert record["train_loss"] == pytest.approx(mean, rel=1e-12)


def test_the_history_has_a_record_per_epoch():
    trainer = make_trainer()
    train, val = loaders()
    history = trainer.fit(train, val, epochs=3)
    assert history is trainer.history
    measured = ["train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    assert history.columns == ["epoch", "lr", *measured, "seconds", "samples_per_second"]
    assert history["epoch"] == [1, 2, 3]
    assert history["lr"] == [0.02, 0.01, 0.005]  # the rate that the epoch was trained with
    assert trainer.scheduler.last_epoch == 3
    assert (trainer.epoch, trainer.step, trainer.global_step, trainer.samples) == (3, 0, 15, 66)
    assert trainer.evaluate(val) == {"loss": history["val_loss"][-1], "accuracy": history["val_accuracy"][-1]}
    assert all(seconds > 0 for seconds in history["seconds"])


@pytest.mark.parametrize("validated", [True, False])
def test_a_plateau_is_told_the_validation_loss_or_else_the_training_loss(validated):
    trainer, told = make_trainer(), []
    trainer.scheduler = optim.lr_scheduler.ReduceLROnPlateau(trainer.optimizer, patience=0, threshold=10)
    step = trainer.scheduler.step
    trainer.scheduler.step = lambda metric: told.append(metric) or step(metric)
    train, val = loaders()
    history = trainer.fit(train, val if validated else None, epochs=3)
    assert told == history["val_loss" if validated else "train_loss"]
    assert history["lr"] == [0.02, 0.02, 0.002]  # nothing is ten times better than the best


def test_metrics_are_measured_over_whole_epochs():
    """Against all predictions at once, with a rate of 0 so that they stand still."""
    model = nn.Sequential(nn.Linear(5, 3))
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.0), [Accuracy()])
    train, val = loaders()
    record = trainer.fit(train, val).records[0]
    for part, dataset in (("train", data()), ("val", data(9, 8))):
        x, y = dataset.arrays
        logits = model(x)
        assert record[f"{part}_accuracy"] == float((logits.argmax(axis=1) == y).mean())
        assert record[f"{part}_loss"] == pytest.approx(float(nn.CrossEntropyLoss()(logits, y)), rel=1e-6)


def test_no_validation_no_scheduler_no_metrics():
    model = nn.Linear(5, 3)
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))
    history = trainer.fit(loaders()[0], epochs=2)
    assert history.columns == ["epoch", "lr", "train_loss", "seconds", "samples_per_second"]
    assert history["train_loss"][1] < history["train_loss"][0]


def test_it_learns():
    trainer = make_trainer("sgd")
    trainer.scheduler = None  # which soon stands still
    train, val = loaders()
    history = trainer.fit(train, val, epochs=30)
    assert history["val_accuracy"][-1] > 0.8


def test_fitting_twice_trains_further():
    once = make_trainer()
    once.fit(*loaders(), epochs=5)
    twice = make_trainer()
    train, val = loaders()
    twice.fit(train, val, epochs=2)
    assert twice.fit(train, val, epochs=3)["epoch"] == [1, 2, 3, 4, 5]
    assert weights(once) == weights(twice)
    assert figures(once) == figures(twice)


def test_another_fit_may_have_another_loader():
    trainer = make_trainer()
    trainer.fit(loaders()[0], epochs=1)
    other = DataLoader(data(12, 9), batch_size=3, shuffle=True, seed=5)
    orders = []
    log = Callback()
    log.on_step_end = lambda trainer: orders.append(trainer.step)
    trainer.callbacks.append(log)
    trainer.fit(other, epochs=1)
    assert orders == [1, 2, 3, 4]
    assert other.seed == 5  # a finished fit's position is nothing to go on from


class TwoInputs(nn.Module):
    def __init__(self):
        self.left, self.right = nn.Linear(2, 3), nn.Linear(4, 3)

    def forward(self, a, b):
        return self.left(a) + self.right(b)

    def backward(self, dy):
        return self.left.backward(dy), self.right.backward(dy)


def test_a_model_may_have_several_inputs():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(10, 2)).astype(np.float32), rng.normal(size=(10, 4)).astype(np.float32)
    y = rng.normal(size=(10, 3)).astype(np.float32)
    model = TwoInputs()
    trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1))
    before = weights(trainer)
    first = trainer.train_step(a, b, y)
    assert isinstance(first, float)
    assert all(before[name] != after for name, after in weights(trainer).items())
    batches = DataLoader(ArrayDataset(a, b, y), batch_size=4, shuffle=True, seed=0)
    history = trainer.fit(batches, batches, epochs=4)
    assert history["val_loss"][-1] < first


@pytest.mark.parametrize(
    ("epochs", "error", "message"),
    [
        (-1, ValueError, "expected epochs of at least 0, got -1"),
        (1.5, TypeError, "expected epochs to be an integer, got 1.5"),
        (True, TypeError, "expected epochs to be an integer, got True"),
    ],
)
def test_wrong_epochs(epochs, error, message):
    with pytest.raises(error, match=message):
        make_trainer().fit(loaders()[0], epochs=epochs)


def test_no_epochs_do_nothing():
    trainer = make_trainer()
    before = weights(trainer)
    assert len(trainer.fit(*loaders(), epochs=0)) == 0
    assert weights(trainer) == before


def test_nothing_to_train_or_validate_on_is_said_before_the_first_step():
    trainer = make_trainer()
    before = weights(trainer)
    empty = DataLoader(data(4), batch_size=5, drop_last=True)
    with pytest.raises(ValueError, match="expected at least one batch to train on, got none"):
        trainer.fit(empty)
    with pytest.raises(ValueError, match="expected at least one batch to validate on, got none"):
        trainer.fit(loaders()[0], empty)
    assert weights(trainer) == before
    with pytest.raises(ValueError, match="evaluate: expected at least one batch, got none"):
        trainer.evaluate(iter(()))


def test_a_metric_of_many_numbers_is_refused_by_name():
    model = nn.Linear(5, 3)
    trainer = Trainer(
        model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), [ConfusionMatrix(3)]
    )
    with pytest.raises(TypeError, match=r"expected metrics of one number each, got \w+ of shape \(3, 3\)"):
        trainer.fit(loaders()[0])


# -------------------------------------------------------------------- callbacks


def test_callbacks_are_told_at_every_seam_in_order():
    log = []
    trainer = make_trainer(callbacks=[Log("first", log), Log("second", log)])
    trainer.fit(*loaders(), epochs=2)
    epoch = ["on_epoch_start", *["on_step_start", "on_gradients", "on_step_end"] * 5, "on_epoch_end"]
    events = ["on_fit_start", *epoch, *epoch, "on_fit_end"]
    assert log == [(name, event) for event in events for name in ("first", "second")]


def test_callbacks_see_where_training_stands():
    seen = {}

    class Look(Callback):
        def on_fit_start(self, trainer):
            seen["plan"] = (trainer.epochs, trainer.steps_per_epoch, trainer.epoch, trainer.step)

        def on_step_end(self, trainer):
            seen.setdefault("steps", []).append((trainer.epoch, trainer.step, trainer.global_step))
            seen["running"] = trainer.running

        def on_epoch_end(self, trainer):
            seen.setdefault("ends", []).append((trainer.epoch, trainer.step, len(trainer.history)))
            seen["lr"] = trainer.optimizer.param_groups[0]["lr"]
            assert trainer.history.records[-1]["train_loss"] == seen["running"]["loss"]

    make_trainer(callbacks=[Look()]).fit(*loaders(), epochs=2)
    assert seen["plan"] == (2, 5, 0, 0)
    assert seen["steps"] == [(0, s, s) for s in range(1, 6)] + [(1, s, s + 5) for s in range(1, 6)]
    assert seen["ends"] == [(1, 0, 1), (2, 0, 2)]
    assert seen["lr"] == 0.005  # the scheduler stepped before


# -------------------------------------------------------------------- evaluate disturbs nothing


def test_evaluating_between_steps_leaves_no_trace():
    class Peek(Callback):
        def on_step_end(self, trainer):
            before = trainer.running
            trainer.model[4].eval()  # one part is frozen in its mode, and stays so
            modes = [m.training for m in trainer.model.modules()]
            rng = get_rng_state()
            assert trainer.evaluate(loaders_of_val) == trainer.evaluate(loaders_of_val)
            assert trainer.running == before
            assert [m.training for m in trainer.model.modules()] == modes
            assert get_rng_state() == rng
            assert trainer.loss.training
            trainer.model[4].train()

    loaders_of_val = DataLoader(data(9, 8), batch_size=4)
    plain = make_trainer()
    plain.fit(*loaders(), epochs=2)
    watched = make_trainer(callbacks=[Peek()])
    watched.fit(*loaders(), epochs=2)
    assert weights(plain) == weights(watched)
    assert figures(plain) == figures(watched)


def test_evaluate_keeps_nothing_for_backward_and_changes_no_buffer():
    trainer = make_trainer()
    before = weights(trainer)
    trainer.evaluate(loaders()[1])
    assert weights(trainer) == before
    assert all(m._memory is None for root in (trainer.model, trainer.loss) for m in root.modules())


def test_evaluate_that_fails_puts_everything_back():
    trainer = make_trainer()
    trainer.model.train()
    trainer.train_step(*next(iter(loaders()[0])))
    before = trainer.running
    wrong = [(np.zeros((2, 99), np.float32), np.zeros(2, np.int64))]
    with pytest.raises(ValueError, match="expected input"):
        trainer.evaluate(wrong)
    assert trainer.running == before
    assert trainer.model.training


# -------------------------------------------------------------------- stop and go on


@pytest.mark.parametrize("step", range(1, 16))
def test_stopping_at_any_step_and_fitting_again_leaves_no_trace(step):
    straight = make_trainer()
    straight.fit(*loaders(), epochs=3)

    stopped = make_trainer(callbacks=[StopAt(step)])
    train, val = loaders()
    stopped.fit(train, val, epochs=3)
    assert stopped.stopped
    assert stopped.global_step == step
    assert (stopped.epoch, stopped.step) == ((step - 1) // 5, (step - 1) % 5 + 1)
    stopped.callbacks.clear()
    stopped.fit(train, val, epochs=3)
    assert not stopped.stopped
    assert weights(stopped) == weights(straight)
    assert figures(stopped) == figures(straight)


def test_stopping_at_the_end_of_an_epoch_finishes_the_epoch():
    trainer = make_trainer(callbacks=[StopAt(5, "on_epoch_end")])
    trainer.fit(*loaders(), epochs=3)
    assert trainer.stopped
    assert (trainer.epoch, trainer.step, len(trainer.history)) == (1, 0, 1)


def test_on_fit_end_is_told_of_a_stop():
    log = Log()
    trainer = make_trainer(callbacks=[log, StopAt(7)])
    trainer.fit(*loaders(), epochs=3)
    assert [event for _, event in log.log][-2:] == ["on_step_end", "on_fit_end"]


def test_after_an_exception_fit_goes_on_where_it_broke():
    class Break(Callback):
        def on_step_end(self, trainer):
            if trainer.global_step == 7:
                trainer.callbacks.clear()
                raise ZeroDivisionError

    straight = make_trainer()
    straight.fit(*loaders(), epochs=3)
    broken = make_trainer(callbacks=[Break()])
    train, val = loaders()
    with pytest.raises(ZeroDivisionError):
        broken.fit(train, val, epochs=3)
    broken.fit(train, val, epochs=3)
    assert weights(broken) == weights(straight)
    assert figures(broken) == figures(straight)


# -------------------------------------------------------------------- save, and go on elsewhere


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_state_of_any_step_gives_the_rest_of_the_run_in_a_fresh_trainer(optimizer, tmp_path):
    """Through a file, into a trainer whose weights, generators and loader were all seeded otherwise."""
    path = tmp_path / "checkpoint.safetensors"

    class Keep(Callback):
        def __init__(self):
            self.states = []

        def keep(self, trainer):
            save_checkpoint(trainer.state_dict(), path)
            self.states.append(load_checkpoint(path))

        on_step_end = on_epoch_end = on_fit_end = keep

    keep = Keep()
    straight = make_trainer(optimizer, [keep])
    straight.fit(*loaders(), epochs=3)
    assert len(keep.states) == 15 + 3 + 1
    for state in keep.states:
        fresh = make_trainer(optimizer, seed=99, own_rng=98)
        train, val = loaders()
        fresh.load_state_dict(state)
        fresh.fit(train, val, epochs=3)
        assert weights(fresh) == weights(straight), (state["epoch"], state["step"])
        assert figures(fresh) == figures(straight)
        assert fresh.global_step == straight.global_step
        assert fresh.optimizer.param_groups[0]["lr"] == straight.optimizer.param_groups[0]["lr"]

    # What is saved after a fit goes on to the next one.
    keep.keep(straight)
    train, val = loaders()
    further = make_trainer(optimizer, seed=99).load_state_dict(keep.states[-1])
    further.fit(train, val, epochs=2)
    once = make_trainer(optimizer)
    once.fit(*loaders(), epochs=5)
    assert weights(further) == weights(once)
    assert figures(further) == figures(once)


def test_a_state_shares_no_memory_with_the_trainer():
    trainer = make_trainer()
    trainer.fit(*loaders(), epochs=1)
    state = trainer.state_dict()
    frozen = copy.deepcopy(state)
    trainer.fit(*loaders(), epochs=1)
    assert state["model"].keys() == frozen["model"].keys()
    for name, values in state["model"].items():
        np.testing.assert_array_equal(values, frozen["model"][name])
    np.testing.assert_array_equal(
        state["optimizer"]["state"][0]["exp_avg"], frozen["optimizer"]["state"][0]["exp_avg"]
    )
    assert {k: v for k, v in state.items() if k not in ("model", "optimizer")} == {
        k: v for k, v in frozen.items() if k not in ("model", "optimizer")
    }


def damaged(**changes):
    def damage(state):
        return {**state, **changes}

    return damage


def inside(key, **changes):
    def damage(state):
        return {**state, key: {**state[key], **changes}}

    return damage


DAMAGE = {
    "no epoch": (
        lambda s: {k: v for k, v in s.items() if k != "epoch"},
        CheckpointError,
        "a state with epoch",
    ),
    "nothing": (lambda s: {}, CheckpointError, "expected a state with model, optimizer"),
    "a text as epoch": (damaged(epoch="three"), CheckpointError, "expected epoch to be an integer"),
    "a negative step": (damaged(step=-1), CheckpointError, "expected step to be an integer of at least 0"),
    "no scheduler": (damaged(scheduler=None), CheckpointError, "with a scheduler, got one with no scheduler"),
    "another model": (inside("model", extra=np.ones(1)), StateDictError, "unexpected: extra"),
    "no model": (damaged(model=3), StateDictError, "got int"),
    "a ragged weight": (inside("model", **{"0.bias": [[1], [2, 3]]}), StateDictError, "0.bias"),
    "another optimizer": (damaged(optimizer={"state": {}, "param_groups": []}), StateDictError, "groups"),
    "another schedule": (damaged(scheduler={"T_max": 3}), StateDictError, "StepLR"),
    "no history": (damaged(history=None), CheckpointError, "damaged"),
    "a history of numbers": (damaged(history=[1, 2]), CheckpointError, "damaged"),
    "other figures": (damaged(measured=[]), CheckpointError, "damaged"),
    "figures of another metric": (lambda s: {**s, "measured": s["measured"][::-1]}, StateDictError, "Mean"),
    "no generator": (damaged(rng={}), CheckpointError, "damaged"),
    "another generator": (inside("rng", bit_generator="MT19937"), CheckpointError, "damaged"),
    "a module without its generator": (damaged(module_rngs={}), CheckpointError, "damaged"),
    "a state of no callback": (
        damaged(callbacks={"X": {}}),
        CheckpointError,
        "callbacks none, got one with X",
    ),
    "callbacks of a number": (damaged(callbacks=3), CheckpointError, "damaged"),
    "a loader of numbers": (damaged(loader=5), CheckpointError, "damaged"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_state_that_does_not_fit_changes_nothing(name):
    damage, error, message = DAMAGE[name]
    source = make_trainer(seed=1)
    source.fit(*loaders(), epochs=2)
    state = damage(source.state_dict())

    straight = make_trainer()
    straight.fit(*loaders(), epochs=3)
    trainer = make_trainer(callbacks=[StopAt(7)])
    train, val = loaders()
    trainer.fit(train, val, epochs=3)
    with pytest.raises(error, match=message):
        trainer.load_state_dict(state)
    trainer.callbacks.clear()
    trainer.fit(train, val, epochs=3)
    assert weights(trainer) == weights(straight)
    assert figures(trainer) == figures(straight)


def test_a_run_goes_on_with_its_own_loader_only():
    source = make_trainer(callbacks=[StopAt(7)])
    source.fit(*loaders(), epochs=3)
    trainer = make_trainer().load_state_dict(source.state_dict())
    with pytest.raises(StateDictError, match="batch_size=4, got one for batch_size=5"):
        trainer.fit(DataLoader(data(), batch_size=4, shuffle=True), epochs=3)


# -------------------------------------------------------------------- a loss that is no number


class Spoil(nn.Module):
    """Lets numbers through, until told to make one of them NaN."""

    spoilt = False

    def forward(self, x):
        y = x.copy()
        if self.spoilt:
            y[0, 0] = np.nan
        self.remember(output=y)
        return y

    def backward(self, dy):
        return self.recall(dy)[0].copy()


def spoilable():
    manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.Sequential(Spoil(), nn.ReLU()), nn.Linear(4, 3))
    return Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), [Accuracy()])


def test_a_nan_names_the_step_and_the_layer_and_changes_no_parameter():
    trainer = spoilable()

    class SpoilAt(Callback):
        def on_step_end(self, trainer):
            if trainer.global_step == 7:
                trainer.model[1][0].spoilt = True
                self.before = {name: p.data.copy() for name, p in trainer.model.named_parameters()}

    spoil = SpoilAt()
    trainer.callbacks.append(spoil)
    with pytest.raises(
        NonFiniteError, match=r"the loss became nan at epoch 2, step 3: first in the output of 1\.0 Spoil\(\)"
    ):
        trainer.fit(loaders()[0], epochs=3)
    for name, parameter in trainer.model.named_parameters():
        np.testing.assert_array_equal(parameter.data, spoil.before[name])
    assert (trainer.epoch, trainer.step, trainer.global_step) == (1, 2, 7)

    trainer.model[1][0].spoilt = False  # once the cause is gone, training goes on with the same batch
    trainer.callbacks.clear()
    trainer.fit(loaders()[0], epochs=3)
    healthy = spoilable()
    healthy.fit(loaders()[0], epochs=3)
    assert figures(trainer)[0].keys() == figures(healthy)[0].keys()
    assert trainer.global_step == 15


def test_a_nan_that_the_optimizer_made_names_the_parameter():
    trainer = spoilable()
    trainer.model[2].weight.data[1, 2] = np.nan
    with pytest.raises(NonFiniteError, match=r"epoch 1, step 1: parameter 2\.weight is not finite"):
        trainer.fit(loaders()[0])


def test_a_nan_in_the_data_names_the_batch():
    trainer = spoilable()
    x, y = (array.copy() for array in data().arrays)
    x[12, 3] = np.inf
    batches = DataLoader(ArrayDataset(x, y), batch_size=5)
    with pytest.raises(
        NonFiniteError, match="epoch 1, step 3: the batch itself holds numbers that are not finite"
    ):
        trainer.fit(batches)


def test_a_nan_in_the_loss_says_so():
    class Bad(nn.MSELoss):
        def forward(self, prediction, target):
            return super().forward(prediction, target) * np.float32(np.inf)

    model = nn.Linear(5, 5)
    trainer = Trainer(model, Bad(), optim.SGD(model.parameters(), lr=0.1))
    x = data().arrays[0]
    with pytest.raises(NonFiniteError, match="the loss became inf at epoch 1, step 1: in the loss itself"):
        trainer.train_step(x, x)


def test_a_nan_in_validation_stops_as_well():
    trainer = spoilable()
    x, y = (array.copy() for array in data(9, 8).arrays)
    x[5] = np.nan
    with pytest.raises(
        NonFiniteError, match="batch 2 of an evaluation after epoch 0, step 5: the batch itself"
    ):
        trainer.fit(loaders()[0], DataLoader(ArrayDataset(x, y), batch_size=4))
    assert math.isfinite(trainer.running["loss"])


def test_a_rate_that_is_far_too_high_is_caught():
    manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3))
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=1e30))
    with pytest.raises(NonFiniteError, match=r"epoch 1, step \d"):
        trainer.fit(loaders()[0], epochs=3)


def test_a_metric_of_ones_own_is_measured_like_any_other():
    """Anything with the five methods of `Metric`."""

    class Largest(Mean):
        def update(self, prediction, target):
            super().update(float(np.max(prediction)), len(target))

    model = nn.Linear(5, 3)
    trainer = Trainer(
        model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), [Largest("largest")]
    )
    assert "val_largest" in trainer.fit(*loaders()).columns


def test_metrics_of_scores_and_of_numbers_are_measured_like_any_other():
    x, labels = data().arrays
    yes = (labels == 1).astype(np.float32)[:, None]
    model = nn.Linear(5, 1)
    trainer = Trainer(
        model, nn.BCEWithLogitsLoss(), optim.SGD(model.parameters(), lr=0.2), [AUROC(), AUROC(name="again")]
    )
    batches = DataLoader(ArrayDataset(x, yes), 4)
    record = trainer.fit(batches, batches, epochs=3).records[-1]
    assert record["val_auroc"] == auroc(model(x), yes) == record["val_again"]

    model = nn.Linear(5, 2)
    trainer = Trainer(
        model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.01), [R2Score(), MeanSquaredError()]
    )
    batches = DataLoader(ArrayDataset(x, x[:, 1:3]), 4)
    record = trainer.fit(batches, batches, epochs=3).records[-1]
    assert record["val_mse"] == pytest.approx(record["val_loss"], rel=1e-6)
    assert record["val_r2"] == pytest.approx(r2_score(model(x), x[:, 1:3]), rel=1e-9)

    model = nn.Linear(5, 3)
    measured = [Precision(3), Recall(3), F1Score(3, "weighted"), TopKAccuracy(2)]
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), measured)
    record = trainer.fit(*loaders(), epochs=2).records[-1]
    for name in ("precision", "recall", "f1", "top2_accuracy"):
        assert 0 <= record[f"val_{name}"] <= 1
