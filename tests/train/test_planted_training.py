"""Wrong training, planted one bug at a time: what holds for groups, clipping, schedules and stops must not hold then."""

import numpy as np
import pytest
from train import test_auxiliary_heads as heads
from train import test_callbacks as callbacks
from train import test_recorder as seen
from train import test_steps as steps

from minidl import nn
from minidl.nn import module as module_file
from minidl.testing import Bug, planted
from minidl.train import Checkpoint, EarlyStopping, LearningRateMonitor, Recorder, Trainer, early_stopping
from minidl.train.measured import Measured
from minidl.train.summary import Summary

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
    ("heads", Bug("metrics see the last head", Measured, "update", "prediction[0]", "prediction[-1]")),
    ("heads", Bug("in evaluation the heads' loss is that of three", nn.AuxiliaryLoss, "forward", "if several else (prediction,)", "if several else (prediction,) * 3")),
    ("heads", Bug("the heads' gradients do not count", nn.AuxiliaryLoss, "backward", "weight * criterion", "0 * criterion")),
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
    "heads": lambda folder: heads.test_three_steps_with_all_heads_are_those_of_a_loop_by_hand(),
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


RECORDER_BUGS = [
    Bug("several batches: the last alone", Summary, "add", "self._squares += ", "self._squares = "),
    Bug("the mean of parts is theirs", Summary, "add", "apart * (new / total)", "apart / 2"),
    Bug("the spread between parts is lost", Summary, "add", "apart * apart *", "0 *"),
    Bug("zeros are those that are not", Summary, "add", "new - int(np.count_nonzero(values))", "int(np.count_nonzero(values))"),
    Bug("an edge belongs to the bin below", Summary, "add", 'side="right"', 'side="left"'),
    Bug("NaN is passed over", Summary, "add", "self._nonfinite += ", "self._nonfinite = 0 * "),
    Bug("std of a sample", Summary, "figures", "math.sqrt(self._spread / self.count)", "math.sqrt(self._spread / max(1, self.count - 1))"),
    Bug("the gradient of the input", Recorder, "_see_backward", "name, dy)", "name, dx)"),
    Bug("gradients after they are clipped", Recorder, "on_gradients", "self._see_parameter_gradients()", "pass"),
    Bug("a step relative to what came out", Recorder, "_row", "after - self._before[name], self._before[name]", "after - self._before[name], after"),
    Bug("parameters are those before", Recorder, "_see_parameters", "name, parameter.data)", "name, self._before[name])"),
    Bug("evaluations count", Recorder, "_see_forward", "not self._model.training", "False"),
    Bug("a sleeper counts on", Recorder, "_dead", "np.where(alive, 0, asleep + 1)", "asleep + ~alive"),
    Bug("one dead sample is a dead unit", Recorder, "_see_forward", ".any(axis=", ".all(axis="),
    Bug("looking goes on", Recorder, "_let_go", "self._watched.close()", "pass"),
    Bug("every step", Recorder, "_begin", "if step % self.every:", "if False:"),
    Bug("memory without end", Recorder, "_end", "if len(self.steps) >= self.most:", "if False:"),
]  # fmt: skip


def check_recorder():
    seen.test_a_summary_is_what_numpy_says((40,))
    edge = np.array([-1.0, 0.0, 1.0])
    summary = Summary(edge)
    summary.add(edge)
    assert summary.histogram.tolist() == [0, 1, 1, 1]
    seen.test_what_is_not_finite_is_counted_and_left_out()
    seen.test_a_summary_of_parts_is_that_of_the_whole()
    seen.test_the_numbers_of_a_step_are_those_of_a_step_by_hand()
    seen.test_gradients_are_seen_before_they_are_clipped()
    seen.test_between_recorded_steps_nobody_looks()
    seen.test_without_a_trainer()
    seen.test_dead_units_are_those_that_stay_zero()
    seen.test_a_channel_is_a_unit_of_a_convolution()
    seen.test_memory_is_bounded_and_the_whole_run_is_covered()


def test_an_honest_recorder_passes():
    check_recorder()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("bug", RECORDER_BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_in_the_recorder_is_found(bug):
    try:
        with planted(bug), pytest.raises((AssertionError, KeyError)):
            check_recorder()
    finally:
        module_file._watchers.clear()
