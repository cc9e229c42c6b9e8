"""Trains the networks of papers again, and puts what came out beside what the papers say.

    python docs/papers.py                       # every experiment; hours on one core
    python docs/papers.py lenet5 --seeds 3      # one of them
    python docs/papers.py residual --device cuda
    python docs/papers.py --table               # only write the table into docs/en/papers.md again

What is measured goes to docs/en/papers.json, an experiment and a seed at a time, so that a long run can be
stopped and continued: what is there already is not run again (`--again` does). The table in docs/en/papers.md
is made from it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

import minidl
from minidl import data, metrics, models, nn, optim
from minidl.array import Array
from minidl.bench.machine import describe, describe_gpu
from minidl.train import Trainer
from minidl.train.files import write_json

HERE = Path(__file__).parent / "en"
RESULTS, PAGE = HERE / "papers.json", HERE / "papers.md"
EPOCHS, MILESTONES = 8, (4, 6)
"""Of the residual networks: as in the paper the rate falls after a half and three quarters of it."""
BEGIN, END = "<!-- made by docs/papers.py -->\n", "<!-- end -->\n"


@dataclass(frozen=True)
class Experiment:
    """One figure of a paper.

    Attributes:
        title: what is trained.
        paper: whose it is.
        figure: what it measures.
        variants: name → what the paper says of it; the same network with one thing changed.
        run: (variant, seed, device) → the figure.
        digits: of the figure, after the point.
        how: what was done here, and what differs from the paper.
    """

    title: str
    paper: str
    figure: str
    variants: dict[str, str]
    run: Callable[[str, int, str], float]
    digits: int
    how: str


def mnist(size: int = 28) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Training and test images with their labels; of size 14, every 2 × 2 pixels are one."""
    sets = []
    for train in (True, False):
        digits = data.MNIST(train=train)
        images, labels = digits.fetch(np.arange(len(digits)))
        if size != 28:
            images = nn.AvgPool2d(28 // size).eval()(images)
        sets.append((images, labels))
    return sets[0], sets[1]


def train(
    model: nn.Module,
    optimizer: optim.Optimizer,
    seed: int,
    *,
    epochs: int,
    batch_size: int,
    cosine: bool = False,
    milestones: tuple[int, ...] = (),
    size: int = 28,
    samples: int | None = None,
) -> tuple[Trainer, data.ArrayDataset]:
    """Train on MNIST, or its first samples; the trainer, and the test set, which was not looked at.

    At each of the milestones, in epochs, the rate falls to a tenth.
    """
    (images, labels), test = mnist(size)
    loader = data.DataLoader(
        data.ArrayDataset(images[:samples], labels[:samples]),
        batch_size,
        shuffle=True,
        drop_last=True,
        seed=seed,
    )
    scheduler: optim.lr_scheduler.LRScheduler | None = None
    if cosine:
        scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    elif milestones:
        scheduler = optim.lr_scheduler.MultiStepLR(optimizer, milestones)
    trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, [metrics.Accuracy()], scheduler=scheduler)
    trainer.fit(loader, epochs=epochs)
    return trainer, data.ArrayDataset(*test)


def error_on(trainer: Trainer, images: data.ArrayDataset) -> float:
    """Percent of the images that the network gets wrong at the end of training."""
    return 100 * (1 - trainer.evaluate(data.DataLoader(images, 1000))["accuracy"])


def lenet5(variant: str, seed: int, device: str) -> float:
    model = models.LeNet5().to(device)
    adam = optim.Adam(model.parameters(), lr=1e-3)
    return error_on(*train(model, adam, seed, epochs=20, batch_size=64, cosine=True))


def mlp800(variant: str, seed: int, device: str) -> float:
    model = models.MLP(784, (800,), 10).to(device)
    sgd = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return error_on(*train(model, sgd, seed, epochs=30, batch_size=128, cosine=True))


def dropout(variant: str, seed: int, device: str) -> float:
    p = (0.2, 0.5) if variant == "with" else (0.0, 0.0)  # of the pixels, and of the hidden units
    layers: list[nn.Module] = [nn.Flatten(), nn.Dropout(p[0])]
    for inputs in (784, 1024, 1024):
        layers += [nn.Linear(inputs, 1024), nn.ReLU(), nn.Dropout(p[1])]
    model = nn.Sequential(*layers, nn.Linear(1024, 10)).to(device)
    sgd = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return error_on(*train(model, sgd, seed, epochs=60, batch_size=128, cosine=True))


def dropout_of_few(variant: str, seed: int, device: str) -> float:
    model = models.MLP(784, (800, 800), 10, dropout=0.5 if variant == "with" else 0.0).to(device)
    sgd = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return error_on(*train(model, sgd, seed, epochs=200, batch_size=128, cosine=True, samples=5000))


def batch_norm(variant: str, seed: int, device: str) -> float:
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs in (784, 100, 100):
        layers.append(nn.Linear(inputs, 100))
        layers += [nn.BatchNorm1d(100)] if variant == "with" else []
        layers.append(nn.Sigmoid())
    model = nn.Sequential(*layers, nn.Linear(100, 10))
    for layer in model:
        if isinstance(layer, nn.Linear):  # "small random Gaussian values", as the paper says
            nn.init.normal_(layer.weight, 0.0, 0.1)
            nn.init.zeros_(layer.bias)
    sgd = optim.SGD(model.to(device).parameters(), lr=0.1)
    return error_on(*train(model, sgd, seed, epochs=10, batch_size=60))


def initialisation(variant: str, seed: int, device: str) -> float:
    """The training loss of the epoch: log 10 = 2.30 is that of a network that says nothing."""
    sizes = [784, *[128] * 29, 10]
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes):
        layer = nn.Linear(inputs, outputs)
        if variant == "He":
            nn.init.kaiming_normal_(layer.weight)
        else:
            nn.init.xavier_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    sgd = optim.SGD(model.to(device).parameters(), lr=0.01, momentum=0.9)
    trainer, _ = train(model, sgd, seed, epochs=1, batch_size=128)
    return trainer.history["train_loss"][-1]


def residual(variant: str, seed: int, device: str) -> float:
    """The error on the images that it was trained with, at the end of training."""
    model = getattr(models, variant)(num_classes=10, in_channels=1).to(device)
    sgd = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    trainer, _ = train(model, sgd, seed, epochs=EPOCHS, batch_size=128, milestones=MILESTONES, size=14)
    return error_on(trainer, data.ArrayDataset(*mnist(14)[0]))


EXPERIMENTS = {
    "lenet5": Experiment(
        "LeNet-5", "LeCun et al. 1998", "test error, %", {"": "0.95"}, lenet5, 2,
        "20 epochs as in the paper; Adam and a cosine schedule for its second-order steps, ReLU for its tanh",
    ),
    "mlp800": Experiment(
        "MLP 784-800-10, cross-entropy", "Simard et al. 2003", "test error, %", {"": "1.6"}, mlp800, 2,
        "30 epochs of SGD with momentum and a cosine schedule, no distorted images",
    ),
    "dropout": Experiment(
        "MLP of three layers of 1024 ReLU, dropout", "Srivastava et al. 2014", "test error, %",
        {"without": "1.60", "with": "1.25"}, dropout, 2,
        "60 epochs; p = 0.2 of the pixels and 0.5 of the hidden units as in the paper, which also limits the "
        "norms of weights and trains for longer; here it gains nothing with all 60,000 images. The paper's "
        "figure without dropout is of a network of two layers of 800",
    ),
    "dropout5000": Experiment(
        "MLP 784-800-800-10 with 5,000 images, dropout", "Srivastava et al. 2014", "test error, %",
        {"without": "higher", "with": "lower"}, dropout_of_few, 2,
        "200 epochs of the first 5,000 images, which a network overfits; the paper shows curves (figure 10)",
    ),
    "batchnorm": Experiment(
        "MLP of three sigmoid layers of 100, with batch norm", "Ioffe & Szegedy 2015", "test error, %",
        {"without": "higher", "with": "lower, sooner"}, batch_norm, 2,
        "10,000 steps of 60 images, SGD; the paper shows a curve (figure 1a), no number",
    ),
    "initialisation": Experiment(
        "30 layers of ReLU", "He et al. 2015 (Delving Deep)", "training loss",
        {"Xavier": "stalls", "He": "learns"}, initialisation, 3,
        "1 epoch; fully connected layers of 128, where the paper's are convolutions (figure 3)",
    ),
    "residual": Experiment(
        "ResNets against plain networks of the same layers", "He et al. 2015 (Deep Residual Learning)",
        "training error, %",
        {
            "plain20": "lower than plain-56", "plain56": "higher than plain-20",
            "resnet20": "higher than ResNet-56", "resnet56": "lower than ResNet-20",
        },
        residual, 2,
        f"{EPOCHS} epochs of MNIST at 14 × 14; the rate of 0.1 falls to a tenth after a half and three "
        "quarters of them, as in the paper, which trains 164 epochs of CIFAR-10 (figure 6). With "
        "depth the plain network's error grows fourteenfold, that of the one with shortcuts fourfold: "
        "ResNet-56 has not passed ResNet-20 by then, as it does in the paper. Six runs shared the card",
    ),
}  # fmt: skip


def measured(path: Path = RESULTS) -> list[dict[str, Any]]:
    """What was measured so far."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def key(result: dict[str, Any]) -> tuple[str, str, int]:
    """What a result is of: experiment, variant, seed."""
    return result["experiment"], result["variant"], result["seed"]


def run(names: list[str], seeds: int, again: bool, device: str, path: Path) -> None:
    """Run what is missing, and keep each figure as soon as it is there."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    machine = f"one core of {describe()['cpu']}" if device == "cpu" else describe_gpu(device)["gpu"]
    for seed in range(seeds):
        for name in names:
            for variant in EXPERIMENTS[name].variants:
                if not again and (name, variant, seed) in map(key, measured(path)):
                    continue
                minidl.manual_seed(seed)
                started = clock()
                figure = EXPERIMENTS[name].run(variant, seed, device)
                minutes = (clock() - started) / 60
                result = {"experiment": name, "variant": variant, "seed": seed}
                result |= {"figure": round(figure, 4), "minutes": round(minutes, 2), "machine": machine}
                kept = [
                    r for r in measured(path) if key(r) != key(result)
                ]  # read anew: others may run beside
                write_json(path, sorted([*kept, result], key=key))
                print(f"{name} {variant} seed {seed}: {figure:.4f} ({minutes:.1f} minutes)", flush=True)


def rows() -> Iterator[str]:
    """The table, a line at a time."""
    yield "| network | paper | measured | the paper says | minidl | seeds | minutes |"
    yield "|---|---|---|---|---|---|---|"
    results = measured()
    marks = dict(zip(dict.fromkeys(r["machine"] for r in results), "ᵃᵇᶜᵈᵉ", strict=False))
    for name, experiment in EXPERIMENTS.items():
        for variant, says in experiment.variants.items():
            of = [r for r in results if (r["experiment"], r["variant"]) == (name, variant)]
            if not of:
                continue
            figures = [r["figure"] for r in of]
            ours = f"**{mean(figures):.{experiment.digits}f}**"
            if len(figures) > 1:
                ours += f" ({min(figures):.{experiment.digits}f}–{max(figures):.{experiment.digits}f})"
            title = f"{experiment.title}{f': {variant}' if variant else ''}"
            taken = {mark: [r["minutes"] for r in of if r["machine"] == m] for m, mark in marks.items()}
            minutes = ", ".join(f"{mean(those):.1f} {mark}" for mark, those in taken.items() if those)
            cells = (title, experiment.paper, experiment.figure, says, ours, str(len(of)), minutes)
            yield f"| {' | '.join(cells)} |"
    yield ""
    yield f"Minutes: {'; '.join(f'{mark} {machine}' for machine, mark in marks.items())}."
    yield ""
    for experiment in EXPERIMENTS.values():
        yield f"- **{experiment.title}**: {experiment.how}."


def with_table(page: str) -> str:
    """The page with the table as the results make it."""
    made = BEGIN + "\n" + "\n".join(rows()) + "\n\n" + END
    return re.sub(re.escape(BEGIN) + ".*" + re.escape(END), lambda _: made, page, flags=re.DOTALL)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="EXPERIMENT", help=f"of {', '.join(EXPERIMENTS)}; all")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from 0 on (1)")
    parser.add_argument("--again", action="store_true", help="also what is measured already")
    parser.add_argument("--device", choices=("cpu", "cuda", "sim"), default="cpu", metavar="{cpu,cuda}")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where figures are kept (%(default)s)")
    parser.add_argument("--table", action="store_true", help="run nothing, write the table")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in EXPERIMENTS]
    if unknown:
        parser.error(f"expected experiments of {', '.join(EXPERIMENTS)}, got {', '.join(unknown)}")
    if not options.table:
        minidl.set_num_threads(1)  # core minutes are then comparable, and two runs share two cores
        run(options.names or list(EXPERIMENTS), options.seeds, options.again, options.device, options.json)
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
