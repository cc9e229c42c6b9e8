"""`minidl train`, `evaluate` and `predict`: a run from its first step to reading a picture of your own."""

from __future__ import annotations

import argparse
import dataclasses
import math
import re
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import minidl
from minidl.array import Array, convert, get_device, manual_seed, place_of, to_host
from minidl.cli.datasets import DATASETS, TITLES, check_files, fetch_files, load_dataset
from minidl.cli.settings import (
    BATCH_SIZE,
    DEVICES,
    EPOCHS,
    LEARNING_RATES,
    MODELS,
    MOST,
    OPTIMIZERS,
    OTHER_EPOCHS,
    RunFolder,
    Settings,
)
from minidl.data import DataLoader, Dataset, Subset, random_split, read_digit
from minidl.data.images import ImageDataset
from minidl.errors import CheckpointError
from minidl.kernels.registry import get_backend, use_backend
from minidl.metrics import Accuracy, confusion_matrix
from minidl.nn import Conv2d, Module, Softmax
from minidl.optim.lr_scheduler import CosineAnnealingLR
from minidl.train import Callback, Checkpoint, History, Trainer, load_checkpoint, save_weights

__all__ = ["add_commands"]

VALIDATION = 5_000  # images of the training set that are kept to measure on after every epoch
TEST_BATCH = 1_000


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the three commands; each sets `run`, a function of the parsed arguments to the exit code."""
    train = subparsers.add_parser(
        "train",
        help="train a model and show what it got",
        description="Train a model on MNIST, which ships with minidl, or on a data set whose files you "
        "have or let it download, and show what it got.",
    )
    train.add_argument("dataset", choices=list(DATASETS), help="what to train on")
    train.add_argument(
        "--model", choices=MODELS, metavar="NAME", help="which network of `minidl models` (mlp)"
    )
    train.add_argument(
        "--aux-logits",
        action="store_true",
        default=None,
        help="give googlenet its two auxiliary heads, whose losses count 0.3 each",
    )
    epochs = f"times through the data ({_listed(EPOCHS)}, others {OTHER_EPOCHS})"
    train.add_argument("--epochs", type=_at_least(1), metavar="N", help=epochs)
    train.add_argument("--batch-size", type=_at_least(1), metavar="N", help=f"images per step ({BATCH_SIZE})")
    train.add_argument("--lr", type=_positive, metavar="X", help=f"learning rate ({_listed(LEARNING_RATES)})")
    train.add_argument(
        "--optimizer", choices=list(OPTIMIZERS), help="how to step (adam; sgd has momentum 0.9)"
    )
    train.add_argument("--seed", type=_at_least(0), metavar="N", help="same seed, same weights (0)")
    train.add_argument("--out", metavar="DIR", help="folder for what is written (runs/DATASET-MODEL-1, …)")
    train.add_argument("--resume", metavar="DIR", help="go on with a run that was stopped, with its settings")
    train.add_argument(
        "--backend", choices=["numpy", "numba"], help="what runs the kernels (numba if installed)"
    )
    train.add_argument(
        "--device", choices=DEVICES, help="where to train: cuda is a GPU, sim a simulated one (cpu)"
    )
    train.add_argument(
        "--samples", type=_at_least(2), metavar="N", help="the first N images only, as for --device sim (all)"
    )
    train.add_argument("--download", action="store_true", help="fetch the data set's files first")
    train.add_argument("--root", metavar="DIR", help="folder with the data set's files (minidl's own)")
    train.set_defaults(run=_train)

    evaluate = subparsers.add_parser(
        "evaluate",
        help="measure a trained model on the test images",
        description="Measure a trained model on its data set's test images.",
    )
    evaluate.add_argument("folder", metavar="RUN", help="folder of a run")
    evaluate.add_argument("--root", metavar="DIR", help="folder with the data set's files (as in training)")
    evaluate.set_defaults(run=_evaluate)

    predict = subparsers.add_parser(
        "predict",
        help="read a picture of a digit",
        description="Read pictures of one digit each: PNG or JPEG, dark on light or light on dark, any size.",
    )
    predict.add_argument("folder", metavar="RUN", help="folder of a run")
    predict.add_argument("images", metavar="IMAGE", nargs="+", help="a PNG or JPEG file")
    predict.set_defaults(run=_predict)


def _listed(defaults: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in defaults.items())


def _at_least(least: int) -> Any:
    def integer(text: str) -> int:
        if not re.fullmatch("[0-9]{1,10}", text) or not least <= int(text) <= MOST:
            raise argparse.ArgumentTypeError(f"expected an integer from {least} to {MOST}, got {text!r}")
        return int(text)

    return integer


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


# -------------------------------------------------------------------- train


def _train(options: argparse.Namespace) -> int:
    folder, settings = _begun(options) if options.resume is None else _resumed(options)
    try:
        return _run(folder, settings)
    except KeyboardInterrupt:
        print(f"minidl train: stopped at once; go on from the last checkpoint with\n  {_resume(folder)}")
        return 130


def _run(folder: RunFolder, settings: Settings) -> int:
    use_backend(settings.backend)
    from minidl.cli.display import Display

    kernels = f"{settings.backend if settings.device == 'cpu' else settings.device} kernels"
    what = f"{settings.model} on {TITLES[settings.dataset]}, {kernels}, in {folder.path}"
    print(f"minidl {minidl.__version__}: {what}", flush=True)
    manual_seed(settings.seed)
    images = _first(load_dataset(settings.dataset, True, settings.root), settings.samples)
    kept = min(VALIDATION, -(-len(images) // 12))
    training, validation = random_split(images, [len(images) - kept, kept])
    model = settings.make_model().to(settings.device)
    optimizer = settings.make_optimizer(model)
    display = Display()
    trainer = Trainer(
        model,
        settings.make_loss(),
        optimizer,
        [Accuracy()],
        [Checkpoint(folder.checkpoint), _HistoryFile(folder), display],
        scheduler=CosineAnnealingLR(optimizer, settings.epochs),
    )
    loader = DataLoader(training, settings.batch_size, shuffle=True)
    size = sum(parameter.size for parameter in model.parameters())
    print(
        f"{size:,} parameters; {len(training):,} images to learn from, {kept:,} to validate on\n"
        f"{settings.epochs} epochs of {len(loader):,} steps, {settings.optimizer} at {settings.lr:g}"
    )
    if folder.checkpoint.exists():
        _load_into(trainer, folder)
        done = trainer.epoch == settings.epochs
        at = "at the end" if done else f"in epoch {trainer.epoch + 1} after step {trainer.step:,}"
        print(f"going on {at}")
    if settings.device == "cpu":
        _announce_compilation(model, settings.backend)
    try:
        with _stopping(trainer), _one_blas_thread():
            trainer.fit(loader, DataLoader(validation, TEST_BATCH), settings.epochs)
    finally:
        display.close()
    if trainer.stopped:
        epoch, step = trainer.epoch, trainer.step
        where = f"in epoch {epoch + 1} after step {step:,}" if step else f"after epoch {epoch}"
        print(f"stopped {where}, nothing is lost; go on with\n  {_resume(folder)}")
        return 130
    _report(folder, model, trainer.history, settings)
    return 0


def _first(images: ImageDataset, samples: int) -> Dataset:
    """The first images only, where so many were asked for."""
    return Subset(images, range(min(samples, len(images)))) if samples else images


def _announce_compilation(model: Module, backend: str) -> None:
    """Say why the first batch will take seconds, where it will."""
    if backend != "numba":
        return
    try:
        from minidl.kernels.numba_cpu.jit import is_cached
    except ImportError:  # of which the first kernel that is called warns
        return
    family = "conv" if any(isinstance(module, Conv2d) for module in model.modules()) else "products"
    cached = is_cached(family)
    if not cached:
        once = "there is no folder to keep them in" if cached is None else "only the first run does that"
        print(f"compiling the kernels for this machine, some ten seconds; {once}", flush=True)


def _resume(folder: RunFolder) -> str:
    return f"minidl train {folder.settings().dataset} --resume {shlex.quote(str(folder.path))}"


def _begun(options: argparse.Namespace) -> tuple[RunFolder, Settings]:
    if options.backend:
        use_backend(options.backend)
    model = options.model or "mlp"
    optimizer = options.optimizer or "adam"
    settings = Settings(
        dataset=options.dataset,
        model=model,
        epochs=options.epochs or EPOCHS.get(model, OTHER_EPOCHS),
        batch_size=options.batch_size or BATCH_SIZE,
        lr=options.lr or LEARNING_RATES[optimizer],
        optimizer=optimizer,
        seed=options.seed or 0,
        backend=get_backend(),
        device=options.device or "cpu",
        samples=options.samples or 0,
        root=_absolute(options.root),
        aux_logits=bool(options.aux_logits),
    )
    settings.check_model()
    if options.download:
        fetch_files(settings.dataset, settings.root)
    check_files(settings.dataset, settings.root)
    if settings.device != "cpu":
        get_device(settings.device)  # is there one? It is asked before there is a folder
    return RunFolder.new(options.out, settings), settings


def _resumed(options: argparse.Namespace) -> tuple[RunFolder, Settings]:
    folder = RunFolder(options.resume)
    settings = folder.settings()
    for name, own in {**dataclasses.asdict(settings), "out": options.resume}.items():
        wanted = getattr(options, name, None)
        if name != "root" and wanted is not None and wanted != own:
            option = f"--{name.replace('_', '-')}"
            raise CheckpointError(f"{option}: a resumed run keeps its settings: expected {own}, got {wanted}")
    if options.root:  # the files may have moved
        settings = dataclasses.replace(settings, root=_absolute(options.root))
    if options.download:
        fetch_files(settings.dataset, settings.root)
    return folder, settings


def _absolute(root: str | None) -> str:
    return str(Path(root).resolve()) if root else ""


def _load_into(trainer: Trainer, folder: RunFolder) -> None:
    state = load_checkpoint(folder.checkpoint)
    if not isinstance(state, dict):
        raise CheckpointError(f"{folder.checkpoint}: expected a trainer's checkpoint, got something else")
    try:
        trainer.load_state_dict(state)
    except ValueError as error:
        raise CheckpointError(f"{folder.checkpoint}: {error}") from error


class _HistoryFile(Callback):
    """Keeps `history.json` up to date, for whoever looks while the run goes on."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def on_epoch_end(self, trainer: Trainer) -> None:
        trainer.history.save(self.folder.history)


def _one_blas_thread() -> AbstractContextManager[Any]:
    """Hold NumPy's matrix products to one thread.

    A step's products are too small to gain from a second one, and where another program wants the
    machine too, threads that wait for each other cost far more than they bring: on two busy cores an
    epoch took 1.4 s with one thread and 7 to 43 s with two. The bits of a run then do not depend on the
    number of cores either.
    """
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1, user_api="blas")
    return limits


@contextmanager
def _stopping(trainer: Trainer) -> Iterator[None]:
    """Ctrl-C (or a polite kill) ends training after the current step; a second one ends it at once."""

    def stop(number: int, frame: Any) -> None:
        trainer.stop()
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.default_int_handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _report(folder: RunFolder, model: Module, history: History, settings: Settings) -> None:
    """Measure on the test images, write what is left to write, and show it all."""
    from minidl.train.plots import plot_confusion_matrix, plot_mistakes

    save_weights(model, folder.weights)
    history.save(folder.history)
    classes = DATASETS[settings.dataset].classes
    images, labels, probabilities = _test(model, settings)
    matrix = _show_test(labels, probabilities, classes)
    predicted = probabilities.argmax(axis=1)
    wrong = predicted != labels
    history.plot(folder.curves)
    plot_confusion_matrix(matrix, classes).savefig(folder.confusion)
    plot_mistakes(
        images[wrong], labels[wrong], predicted[wrong], probabilities[wrong].max(axis=1), classes
    ).savefig(folder.mistakes)
    print("written:")
    for path, what in (
        (folder.config, "settings"),
        (folder.history, "what each epoch measured"),
        (folder.weights, "the trained weights"),
        (folder.checkpoint, "everything needed to go on"),
        (folder.curves, "loss and accuracy over the epochs"),
        (folder.confusion, "the confusion matrix"),
        (folder.mistakes, f"the {'digits' if settings.dataset == 'mnist' else 'images'} it got wrong"),
    ):
        print(f"  {path!s:<44} {what}")
    if settings.dataset == "mnist":
        print(f"try it on a picture of your own: minidl predict {shlex.quote(str(folder.path))} IMAGE")


# -------------------------------------------------------------------- evaluate and predict


def _evaluate(options: argparse.Namespace) -> int:
    folder = RunFolder(options.folder)
    settings = folder.settings()
    if options.root:
        settings = dataclasses.replace(settings, root=_absolute(options.root))
    _, labels, probabilities = _test(folder.trained_model(), settings)
    _show_test(labels, probabilities, DATASETS[settings.dataset].classes)
    return 0


def _predict(options: argparse.Namespace) -> int:
    folder = RunFolder(options.folder)
    dataset = folder.settings().dataset
    if dataset != "mnist":
        raise CheckpointError(
            f"{folder.path}: expected a run on mnist, since predict reads digits, got one on {dataset}"
        )
    model = folder.trained_model()
    failed = 0
    for path in options.images:
        try:
            image = read_digit(path)
        except (minidl.errors.DataError, OSError) as error:
            print(f"minidl predict: {error}", file=sys.stderr)
            failed = 2
            continue
        probabilities = Softmax(1).eval()(model(image))[0]
        first, *others = np.argsort(-probabilities, kind="stable")[:3]
        less = ", ".join(f"{digit} {probabilities[digit]:.1%}" for digit in others)
        print(f"{path}: {first}  ({probabilities[first]:.1%}; then {less})")
    return failed


def _test(model: Module, settings: Settings) -> tuple[Array, Array, Array]:
    """The test images, their labels, and what the model makes of them: (N, C, H, W), (N,), (N, classes)."""
    dataset = _first(load_dataset(settings.dataset, False, settings.root), settings.samples)
    place = place_of(next(model.parameters()).data)
    batches = []
    softmax = Softmax(1).eval()
    model.eval()
    for images, labels in DataLoader(dataset, TEST_BATCH):
        batches.append((images, labels, to_host(softmax(model(convert(images, place))))))
    images, labels, probabilities = (np.concatenate(part) for part in zip(*batches, strict=True))
    return images, labels, probabilities


def _show_test(labels: Array, probabilities: Array, classes: Sequence[str]) -> Array:
    from minidl.cli.display import print_confusion

    matrix = confusion_matrix(probabilities, labels, num_classes=len(classes))
    print(f"test accuracy {np.trace(matrix) / matrix.sum():.2%} ({matrix.sum():,} images)")
    print_confusion(matrix, classes)
    return matrix
