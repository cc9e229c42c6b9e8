"""Wrong training, planted one bug at a time: what holds for groups, clipping, schedules and stops must not hold then."""

import pytest
from train import test_callbacks as callbacks
from train import test_steps as steps

from minidl.testing import Bug, planted
from minidl.train import Checkpoint, EarlyStopping, LearningRateMonitor, Trainer, early_stopping

BUGS = [
    ("groups", Bug("batches count alike", Trainer, "_shares", "size / sum(sizes)", "size * 0 + 1 / len(sizes)")),
    ("groups", Bug("batches add up", Trainer, "_shares", "size / sum(sizes)", "None")),
    ("groups", Bug("a sum is averaged", Trainer, "_shares", '"mean") == "sum"', '"mean") == "add"')),
    ("groups", Bug("an incomplete group is left out", Trainer, "_groups", "if batches:", "if False:")),
    ("groups", Bug("gradients are forgotten within a group", Trainer, "_step", "if not seen:", "if True:")),
    ("resumed", Bug("the loader is asked too late", Trainer, "_groups", "yield batches, position\n                batches = []", "yield batches, {**position, 'batch': 0}\n                batches = []")),
    ("rates", Bug("a schedule of steps moves once an epoch", Trainer, "_step", 'self.scheduler_interval == "step"', "self.step == 0")),
    ("clip", Bug("gradients are not clipped", Trainer, "_clip", "if self.clip_grad_norm is not None", "if False")),
    ("clip", Bug("the norm is cut like a value", Trainer, "_clip", "clip_grad_value_(parameters", "clip_grad_norm_(parameters")),
    ("rates", Bug("the rate after the step is noted", LearningRateMonitor, "on_gradients", 'group["lr"]', 'group["initial_lr"]')),
    ("stop", Bug("equal is better", early_stopping._Best, "_improved", "gain > self.min_delta", "gain >= self.min_delta")),
    ("stop", Bug("a best epoch does not start the count anew", EarlyStopping, "on_epoch_end", "self.wait = 0", "pass")),
    ("interrupted", Bug("the count is not saved", EarlyStopping, "load_state_dict", "self.wait = wait", "pass")),
    ("interrupted", Bug("enough is not enough after a resume", EarlyStopping, "on_fit_start", "if self.wait >= self.patience:", "if False:")),
    ("interrupted", Bug("a resumed fit begins anew", early_stopping._Best, "on_fit_start", "if not trainer.resumed:", "if True:")),
    ("interrupted", Bug("every fit goes on", Trainer, "fit", "> (self._fit_from, 0)", ">= (0, 0)")),
]  # fmt: skip


def check_groups(folder):
    for reduction in ("mean", "sum"):
        for size, accumulate in ((3, 3), (5, 2)):
            steps.test_batches_put_together_are_one_large_batch(size, accumulate, reduction)


def check_stop(folder):
    for row in ((1, 0.0, 3, 0.5), (3, 0.0, 8, 0.45)):
        callbacks.test_the_fit_ends_when_nothing_becomes_better(*row)
    callbacks.test_the_largest_is_best_of_what_is_no_loss()


def check_interrupted(folder):
    callbacks.test_interrupted_anywhere_it_ends_at_the_same_epoch_with_the_same_bits(True, True, folder)
    callbacks.test_the_next_fit_begins_anew()
    callbacks.test_a_finished_run_that_is_loaded_begins_anew()


CHECKS = {
    "groups": check_groups,
    "resumed": lambda folder: steps.test_a_state_of_any_step_gives_the_rest_of_the_run("all", "sgd", folder),
    "clip": lambda folder: [steps.test_gradients_are_clipped_before_the_step(k) for k in ("norm", "value")],
    "rates": lambda folder: steps.test_a_schedule_of_steps_moves_after_every_step(),
    "stop": check_stop,
    "interrupted": check_interrupted,
}


@pytest.mark.parametrize("name", CHECKS)
def test_honest_training_passes(name, tmp_path):
    CHECKS[name](tmp_path)


@pytest.mark.parametrize(("name", "bug"), BUGS, ids=[bug.name for _, bug in BUGS])
def test_a_planted_bug_is_found(name, bug, tmp_path):
    with planted(bug), pytest.raises((AssertionError, ValueError)):
        CHECKS[name](tmp_path)


def test_a_checkpoint_that_is_told_first_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoint, "last", False)
    with pytest.raises(AssertionError):
        check_interrupted(tmp_path)
