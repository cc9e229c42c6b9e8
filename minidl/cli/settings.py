"""What `minidl train` trains: a run's settings, the objects they stand for, and the folder it leaves."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minidl
from minidl import models, optim
from minidl.cli.datasets import DATASETS
from minidl.errors import CheckpointError
from minidl.models.registry import check_fits, check_heads
from minidl.nn import AuxiliaryLoss, CrossEntropyLoss, Module
from minidl.optim import Optimizer
from minidl.train.checkpoint import load_checkpoint, load_weights
from minidl.train.files import write_json

__all__ = ["MODELS", "OPTIMIZERS", "RunFolder", "Settings"]

MODELS = models.list_models()
EPOCHS = {"mlp": 8, "lenet5": 5}
"""Enough for each model to come close to its best on MNIST."""
OTHER_EPOCHS = 10

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "sgd": lambda parameters, lr: optim.SGD(parameters, lr=lr, momentum=0.9),
}
LEARNING_RATES = {"adam": 2e-3, "adamw": 2e-3, "sgd": 0.05}
BATCH_SIZE = 64
DEVICES = ("cpu", "cuda", "sim")
MOST = 2**31 - 1
"""No setting is larger: what is, was a slip of the finger."""


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run's bits, as `config.json` keeps it."""

    dataset: str
    model: str
    epochs: int
    batch_size: int
    lr: float
    optimizer: str
    seed: int
    backend: str
    device: str = "cpu"
    samples: int = 0  # of each of the two sets; 0 is all
    root: str = ""  # the folder with the data set's files; "" is minidl's own
    aux_logits: bool = False  # whether GoogLeNet has its auxiliary heads
    minidl: str = minidl.__version__

    def make_model(self) -> Module:
        """The untrained model for the data set's images, on the host."""
        shape = DATASETS[self.dataset].image_shape
        return models.model_for_images(self.model, *shape, self._classes(), aux_logits=self.aux_logits)

    def make_loss(self) -> Module:
        """Cross-entropy, of all heads where there are several."""
        return AuxiliaryLoss(CrossEntropyLoss()) if self.aux_logits else CrossEntropyLoss()

    def check_model(self) -> None:
        """Refuse a model that does not take the data set's images, or has no heads where they are wanted.

        Raises:
            ShapeError: it says which models take them.
            CheckpointError: the heads of another model than GoogLeNet.
        """
        _, height, width = DATASETS[self.dataset].image_shape
        check_fits(self.model, height, width)
        try:
            check_heads(self.model, self.aux_logits)
        except ValueError as error:
            raise CheckpointError(f"--aux-logits: {error}") from error

    def _classes(self) -> int:
        return len(DATASETS[self.dataset].classes)

    def make_optimizer(self, model: Module) -> Optimizer:
        """The optimizer of a model's parameters."""
        return OPTIMIZERS[self.optimizer](model.parameters(), lr=self.lr)

    @classmethod
    def from_json(cls, values: Any) -> Settings:
        """Check what a file holds.

        Raises:
            ValueError: a setting is missing or of the wrong type, or names a model that there is not.
        """
        if not isinstance(values, dict):
            raise ValueError(f"expected settings, got {type(values).__name__}")
        later = {"device": "cpu", "samples": 0, "root": "", "aux_logits": False}
        values = {**later, **values}  # earlier versions did not have all
        kinds = {"int": int, "float": float, "str": str, "bool": bool}
        for field in dataclasses.fields(cls):
            value = values.get(field.name)
            if type(value) is not kinds[str(field.type)]:
                raise ValueError(f"expected {field.name} ({field.type}), got {value!r}")
        choices: dict[str, Collection[str]] = {"model": MODELS, "optimizer": OPTIMIZERS}
        choices |= {"dataset": DATASETS, "device": DEVICES}
        for name, known in choices.items():
            if values[name] not in known:
                raise ValueError(f"expected {name} to be one of {', '.join(known)}, got {values[name]!r}")
        for name, least in (("epochs", 1), ("batch_size", 1), ("seed", 0), ("samples", 0)):
            if not least <= values[name] <= MOST:
                raise ValueError(f"expected {name} from {least} to {MOST}, got {values[name]}")
        if not 0 < values["lr"] < math.inf:
            raise ValueError(f"expected lr above 0, got {values['lr']}")
        check_heads(values["model"], values["aux_logits"])
        return cls(**{field.name: values[field.name] for field in dataclasses.fields(cls)})


class RunFolder:
    """The folder of one run, and the names of what is in it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.history = self.path / "history.json"
        self.weights = self.path / "weights.safetensors"
        self.checkpoint = self.path / "checkpoint.safetensors"
        self.curves = self.path / "curves.png"
        self.confusion = self.path / "confusion.png"
        self.mistakes = self.path / "mistakes.png"

    @classmethod
    def new(cls, out: str | None, settings: Settings) -> RunFolder:
        """Make the folder of a new run: `out`, or the next free number under `runs/`.

        Raises:
            CheckpointError: `out` holds a run already.
        """
        if out is not None:
            folder = cls(out)
            if folder.config.exists():
                raise CheckpointError(
                    f"{out}: expected a folder without a run, got one with config.json; "
                    f"go on with it by --resume {out}, or give another --out"
                )
            folder.path.mkdir(parents=True, exist_ok=True)
        else:
            number = 1
            while True:
                folder = cls(Path("runs") / f"{settings.dataset}-{settings.model}-{number}")
                try:
                    folder.path.mkdir(parents=True)
                    break
                except FileExistsError:
                    number += 1
        write_json(folder.config, dataclasses.asdict(settings))
        return folder

    def settings(self) -> Settings:
        """Read `config.json`.

        Raises:
            CheckpointError: there is no run here, or its settings are damaged.
        """
        if not self.config.is_file():
            raise CheckpointError(
                f"{self.path}: expected the folder of a run, with config.json, got none there"
            )
        try:
            return Settings.from_json(json.loads(self.config.read_text(encoding="utf-8")))
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{self.config}: expected the settings of a run: {error}") from error

    def trained_model(self) -> Module:
        """The model with its weights: those of the end, or of the last checkpoint while there is no end.

        Raises:
            CheckpointError: there are none yet, or the file is damaged.
        """
        settings = self.settings()
        model = settings.make_model()
        path = self.weights if self.weights.exists() else self.checkpoint
        if not path.exists():
            raise CheckpointError(
                f"{self.path}: expected weights.safetensors, got none; finish it by "
                f"minidl train {settings.dataset} --resume {self.path}"
            )
        try:
            if path == self.weights:
                load_weights(model, path)
            else:
                state = load_checkpoint(path)
                if not isinstance(state, dict) or not isinstance(state.get("model"), dict):
                    raise ValueError("got something else")
                model.load_state_dict(state["model"])
        except CheckpointError:
            raise
        except ValueError as error:
            raise CheckpointError(f"{path}: expected the weights of {settings.model}: {error}") from error
        return model.eval()
