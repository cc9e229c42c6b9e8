"""An average of the weights is kept while the model trains, and goes with its checkpoints."""

from __future__ import annotations

import numpy as np
import pytest
from train.runs import loaders, make_trainer

from minidl.errors import CheckpointError
from minidl.optim.swa_utils import AveragedModel, get_ema_avg_fn
from minidl.testing._promises import same_bits as same
from minidl.testing.planted import Bug, planted
from minidl.train import Averaging, Callback, Checkpoint, Trainer, load_checkpoint


class StopAt(Callback):
    def on_step_end(self, trainer):
        if trainer.global_step == 7:
            trainer.stop()


def averaging(every="step", start_epoch=0):
    trainer = make_trainer()
    averaged = AveragedModel(trainer.model, avg_fn=get_ema_avg_fn(0.8) if every == "step" else None)
    trainer.callbacks.append(Averaging(averaged, every, start_epoch))
    return trainer, averaged


def test_a_moving_average_is_taken_after_every_step():
    trainer, averaged = averaging(start_epoch=1)
    before = averaged.state_dict()
    train, _ = loaders()
    trainer.fit(train, epochs=1)
    assert int(averaged.n_averaged) == 0
    for name, values in averaged.state_dict().items():
        np.testing.assert_array_equal(values, before[name])
    trainer.fit(train, epochs=2)
    assert int(averaged.n_averaged) == 2 * len(train)
    assert any(
        (a.data != b.data).any()
        for a, b in zip(averaged.parameters(), trainer.model.parameters(), strict=True)
    )


def test_a_mean_is_taken_after_every_epoch():
    trainer, averaged = averaging("epoch", start_epoch=1)
    train, _ = loaders()
    seen = []
    for _ in range(3):
        trainer.fit(train, epochs=1)
        seen.append(trainer.model.state_dict()["0.weight"])
    np.testing.assert_allclose(averaged.state_dict()["module.0.weight"], (seen[1] + seen[2]) / 2, rtol=1e-5)
    assert int(averaged.n_averaged) == 2


@pytest.mark.parametrize("every", ["step", "epoch"])
def test_a_run_that_is_resumed_goes_on_with_its_average(every, tmp_path):
    whole, expected = averaging(every)
    whole.fit(loaders()[0], epochs=3)

    first, _ = averaging(every)
    first.callbacks += [Checkpoint(tmp_path / "last", seconds=1e9), StopAt()]
    first.fit(loaders()[0], epochs=3)
    resumed, averaged = averaging(every)
    train, _ = loaders()
    resumed.load_state_dict(load_checkpoint(tmp_path / "last"))
    resumed.fit(train, epochs=3)
    assert same(averaged.state_dict(), expected.state_dict())
    assert int(averaged.n_averaged) == (3 if every == "epoch" else 3 * len(loaders()[0]))


def test_an_average_that_is_not_in_the_checkpoint_is_missed_and_nothing_is_changed():
    trainer, _ = averaging()
    plain = make_trainer()
    plain.fit(loaders()[0], epochs=1)
    before = trainer.state_dict()
    with pytest.raises(CheckpointError, match="with the callbacks Averaging, got one with none"):
        trainer.load_state_dict(plain.state_dict())
    assert same(trainer.state_dict(), before)
    older = {name: part for name, part in plain.state_dict().items() if name != "callbacks"}
    make_trainer().load_state_dict(older)
    trainer.fit(loaders()[0], epochs=1)
    with pytest.raises(CheckpointError, match="with the callbacks none, got one with Averaging"):
        plain.load_state_dict(trainer.state_dict())


def test_a_checkpoint_holds_the_average_wherever_it_stands(tmp_path):
    trainer, averaged = averaging()
    trainer.callbacks.insert(0, Checkpoint(tmp_path / "last"))
    trainer.fit(loaders()[0], epochs=1)
    saved = load_checkpoint(tmp_path / "last")
    assert same(saved["callbacks"]["Averaging"], averaged.state_dict())


def test_what_is_no_average_and_no_time_is_refused():
    trainer, averaged = averaging()
    with pytest.raises(TypeError, match="Averaging: expected an AveragedModel, got Sequential"):
        Averaging(trainer.model)
    with pytest.raises(ValueError, match="every to be 'step' or 'epoch', got 'day'"):
        Averaging(averaged, "day")


BUGS = [
    Bug("averages from the start", Averaging, "on_step_end", "trainer.epoch >= self.start_epoch", "True"),
    Bug("an epoch late", Averaging, "on_epoch_end", "> self.start_epoch", "> self.start_epoch + 1"),
    Bug("steps for epochs", Averaging, "on_step_end", 'self.every == "step"', "True"),
    Bug("an average is not saved", Trainer, "state_dict", "states_of(self.callbacks)", "states_of([])"),
    Bug(
        "an average is not loaded",
        Averaging,
        "load_state_dict",
        "self.averaged.load_state_dict(state)",
        "pass",
    ),
]


def prove(tmp_path):
    test_a_moving_average_is_taken_after_every_step()
    test_a_mean_is_taken_after_every_epoch()
    test_a_run_that_is_resumed_goes_on_with_its_average("step", tmp_path)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_planted_bugs_are_caught(bug, tmp_path):
    with planted(bug), pytest.raises((AssertionError, CheckpointError)):
        prove(tmp_path)
