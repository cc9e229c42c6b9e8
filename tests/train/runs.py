"""A small run with everything in it that could be forgotten when it is saved: what the train tests share."""

import numpy as np

from minidl import nn, optim
from minidl.array import manual_seed
from minidl.data import ArrayDataset, DataLoader
from minidl.metrics import Accuracy
from minidl.train import Trainer

__all__ = ["OPTIMIZERS", "data", "figures", "loaders", "make_trainer", "weights"]

OPTIMIZERS = {
    "adam": lambda parameters: optim.Adam(parameters, lr=0.02),
    "sgd": lambda parameters: optim.SGD(parameters, lr=0.05, momentum=0.9, nesterov=True),
}


def data(count=22, seed=7):
    """Three clouds of points in five dimensions; (x, y)."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    x = rng.normal(size=(count, 5)) + 4 * np.eye(3, 5)[y]
    return ArrayDataset(x.astype(np.float32), y)


def loaders():
    """Five batches of which the last is smaller, dealt anew each epoch; and some to validate on."""
    return DataLoader(data(), batch_size=5, shuffle=True, drop_last=False), DataLoader(
        data(9, 8), batch_size=4
    )


def make_trainer(optimizer="adam", callbacks=(), seed=3, own_rng=11, schedule=None, **options):
    """Dropout of the one generator and of its own, batch norm's running figures, momentum, a schedule."""
    manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(5, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Dropout(0.2, rng=np.random.default_rng(own_rng))),
        nn.Linear(6, 3),
    )
    steps = OPTIMIZERS[optimizer](model.parameters())
    scheduler = schedule(steps) if schedule else optim.lr_scheduler.StepLR(steps, step_size=1, gamma=0.5)
    loss = nn.CrossEntropyLoss()
    return Trainer(model, loss, steps, [Accuracy()], callbacks, scheduler=scheduler, **options)


def weights(trainer):
    """The bits of all parameters and buffers."""
    return {name: values.tobytes() for name, values in trainer.model.state_dict().items()}


def figures(trainer):
    """The history without what a clock measured."""
    clock = ("seconds", "samples_per_second")
    return [
        {name: value for name, value in record.items() if name not in clock} for record in trainer.history
    ]
