"""Training on the simulated device: the host's losses, no unasked copies, no new memory after the start."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import metrics, models, nn, optim
from minidl.array import DeviceArray, get_device, manual_seed, to_device, to_host
from minidl.data import ArrayDataset, DataLoader
from minidl.train import Callback, Trainer, load_checkpoint, save_checkpoint

STEPS = 20


def mlp():
    return models.MLP(3 * 4, (7,), 5, dropout=0.2)


def cnn():
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 2, groups=1), nn.Tanh(), nn.AvgPool2d((1, 2)), nn.Flatten(), nn.Linear(4, 5),
    )  # fmt: skip


RUNS = {
    "mlp": (mlp, (6, 3, 4), lambda p: optim.Adam(p, 0.02)),
    "cnn": (cnn, (4, 2, 5, 6), lambda p: optim.SGD(p, 0.05, momentum=0.9)),
}


@pytest.fixture
def copies(monkeypatch):
    """What was copied to the host, as numbers of bytes."""
    sizes = []
    device = get_device("sim")
    copy_to_host = device.copy_to_host

    def noted(buffer, offset, values):
        sizes.append(values.nbytes)
        copy_to_host(buffer, offset, values)

    monkeypatch.setattr(device, "copy_to_host", noted)
    return sizes


def learn(place, make_model, shape, make_optimizer):
    """The losses of a few steps on one batch, and how often the device was asked for memory by then."""
    manual_seed(4)
    rng = np.random.default_rng(5)
    x, labels = rng.standard_normal(shape).astype(np.float32), rng.integers(0, 5, shape[0])
    model, loss = make_model().to(place), nn.CrossEntropyLoss()
    if place == "sim":
        x, labels = to_device(x, "sim"), to_device(labels, "sim")
    optimizer = make_optimizer(model.parameters())
    losses, asked = [], []
    for _ in range(STEPS):
        losses.append(float(loss(model(x), labels)))
        optimizer.zero_grad()
        with model.no_input_grad():
            model.backward(loss.backward())
        optimizer.step()
        asked.append(get_device("sim").pool.allocations)
    assert all(isinstance(p.data, DeviceArray) == (place == "sim") for p in model.parameters())
    return losses, asked


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_training_gives_the_hosts_losses(run, copies):
    expected, _ = learn("cpu", *run)
    losses, asked = learn("sim", *run)
    assert copies == [4, 4] * STEPS  # whether all labels are classes, and the loss itself
    assert asked[4:] == [asked[4]] * (STEPS - 4)  # the same memory every time
    np.testing.assert_allclose(losses, expected, atol=1e-4, rtol=0)
    assert losses[-1] < losses[0] / 2


def trainer_on(place, model):
    model.to(place)
    return Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), 0.01), [metrics.Accuracy()])


def loader():
    rng = np.random.default_rng(6)
    return DataLoader(
        ArrayDataset(rng.standard_normal((11, 3, 4)).astype(np.float32), rng.integers(0, 5, 11)),
        4,
        shuffle=True,
    )


def test_a_trainer_takes_batches_to_its_model():
    records = []
    for place in ("cpu", "sim"):
        manual_seed(2)
        records.append(trainer_on(place, mlp()).fit(loader(), loader(), epochs=2).records)
    for one, other in zip(*records, strict=True):
        for name in ("train_loss", "val_loss", "train_accuracy", "val_accuracy"):
            assert one[name] == pytest.approx(other[name], abs=1e-5)


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(tmp_path):
    manual_seed(2)
    whole = trainer_on("sim", mlp())
    whole.fit(loader(), epochs=2)

    manual_seed(2)
    stopped = trainer_on("sim", mlp())
    stopped.callbacks.append(StopAfter(2))
    stopped.fit(loader(), epochs=2)
    save_checkpoint(stopped.state_dict(), tmp_path / "checkpoint")
    manual_seed(9)
    resumed, batches = trainer_on("sim", mlp()), loader()
    resumed.load_state_dict(load_checkpoint(tmp_path / "checkpoint"))
    resumed.fit(batches, epochs=2)
    assert resumed.global_step == whole.global_step
    for name, values in whole.model.state_dict().items():
        np.testing.assert_array_equal(resumed.model.state_dict()[name], values, err_msg=name)


def test_a_loss_that_is_no_number_is_blamed_on_a_layer():
    manual_seed(2)
    trainer = trainer_on("sim", mlp())
    batch = np.full((4, 3, 4), np.nan, np.float32), np.zeros(4, np.int64)
    with pytest.raises(ArithmeticError, match="the batch itself"):
        trainer.train_step(*batch)
    trainer.model.layers[1].weight.data[...] = np.inf
    with pytest.raises(ArithmeticError, match=r"parameter layers.1.weight is not finite"):
        trainer.train_step(np.ones((4, 3, 4), np.float32), np.zeros(4, np.int64))
    assert np.isinf(to_host(trainer.model.layers[1].weight.data)).all()


class StopAfter(Callback):
    """Asks the trainer to stop after so many steps."""

    def __init__(self, steps):
        self.steps = steps

    def on_step_end(self, trainer):
        if trainer.global_step == self.steps:
            trainer.stop()
