"""Every other layer, loss and optimizer of minidl, each beside PyTorch's once or twice.

`cases` measures at length what the course trains; here stands the rest, so that no class is slow unseen.
Only the host is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from minidl.array import Array
from minidl.bench import networks
from minidl.bench.case import Case, Draw

__all__ = ["cases"]

IMAGE = (32, 64, 28, 28)
SIGNAL = (32, 64, 256)
ROWS = (512, 1000)
FEW = (64, 10)
"""Of a loss that mostly costs its calls."""
WORDS, TABLE = (256, 32), (10_000, 64)


def cases() -> Iterator[Case]:
    """All of them, in the order of the tables."""
    yield from _activations()
    yield from _layers()
    yield from _losses()
    yield from _optimizers()


def _layer(
    name: str, text: str, make: Callable[[Any], Any], shape: tuple[int, ...], draw: Draw | None = None,
    **more: Any,
) -> Case:  # fmt: skip
    return Case(
        name, "layer", "operation", make, shape, f"{text}, {_by(shape)}", draw=draw, devices="host", **more
    )


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _made(nn: Any, name: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    return getattr(nn, name)(*arguments, **options)


def _of(name: str, *arguments: Any, **options: Any) -> Callable[[Any], Any]:
    """Builds that class from `minidl.nn` or `torch.nn`."""
    return partial(_made, name=name, arguments=arguments, options=options)


# -------------------------------------------------------------------- layers


def _activations() -> Iterator[Case]:
    for name in (
        "ReLU6", "LeakyReLU", "PReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Softplus", "Softsign",
        "Hardtanh", "Hardsigmoid", "Hardswish", "LogSigmoid", "Tanhshrink", "Softshrink", "Hardshrink",
    ):  # fmt: skip
        yield _layer(f"{name.lower()}-image", name, _of(name), IMAGE)
    yield _layer("gelu-tanh", "GELU by tanh", _of("GELU", approximate="tanh"), IMAGE)
    yield _layer("threshold", "Threshold", _of("Threshold", 0.1, 0.0), IMAGE)
    yield _layer("glu", "GLU", _of("GLU", 1), IMAGE)
    yield _layer("softmin", "Softmin", _of("Softmin", 1), ROWS)


def _layers() -> Iterator[Case]:
    image, small = (32, 64, 32, 32), (32, 64, 14, 14)
    yield from _convolutions()
    for side in ("Zero", "Reflection", "Replication", "Circular"):
        yield _layer(f"{side.lower()}pad", f"{side}Pad2d 1", _of(f"{side}Pad2d", 1), image)
    for name, text, make, shape in (
        ("pixelshuffle", "PixelShuffle 2", _of("PixelShuffle", 2), image),
        ("pixelunshuffle", "PixelUnshuffle 2", _of("PixelUnshuffle", 2), image),
        ("upsample-nearest", "Upsample 2", _of("Upsample", scale_factor=2), small),
        ("upsample-bilinear", "Upsample 2, bilinear", _of("Upsample", None, 2, "bilinear"), small),
        ("maxpool1d", "MaxPool1d 2", _of("MaxPool1d", 2), SIGNAL),
        ("avgpool1d", "AvgPool1d 2", _of("AvgPool1d", 2), SIGNAL),
        ("adaptive-avgpool1d", "AdaptiveAvgPool1d to 10", _of("AdaptiveAvgPool1d", 10), SIGNAL),
        ("adaptive-avgpool", "AdaptiveAvgPool2d to 5×5", _of("AdaptiveAvgPool2d", 5), image),
        ("adaptive-maxpool", "AdaptiveMaxPool2d to 5×5", _of("AdaptiveMaxPool2d", 5), image),
        ("local-response-norm", "LocalResponseNorm 5", _of("LocalResponseNorm", 5), small),
    ):
        yield _layer(name, text, make, shape)
    yield _layer("dropout2d", "Dropout2d", _of("Dropout2d", 0.5), image, random=True)
    make = _of("Bilinear", 64, 32, 16)
    yield _layer("bilinear", "Bilinear 64, 32 → 16", make, (256, 64), _two(32), wanted=2)
    yield _layer("cosine", "CosineSimilarity", _of("CosineSimilarity"), ROWS, _two(1000), wanted=2)
    yield _layer("embedding", "Embedding 10,000 of 64", _of("Embedding", *TABLE), WORDS, _words, wanted=0)
    for mode in ("sum", "mean", "max"):
        name, text = f"embedding-bag-{mode}", f"EmbeddingBag 10,000 of 64, {mode}"
        yield _layer(name, text, _of("EmbeddingBag", *TABLE, mode=mode), WORDS, _words, wanted=0)


def _convolutions() -> Iterator[Case]:
    one = partial(_of, "Conv1d", 64, 64, 3, padding=1)
    yield _layer("conv1d", "Conv1d 64→64, 3", one(), SIGNAL)
    yield _layer("conv1d-depthwise", "Conv1d 64→64, 3, depthwise", one(groups=64), SIGNAL)
    make = _of("Conv2d", 16, 16, 3, padding=1, padding_mode="reflect")
    yield _layer("conv-reflect", "Conv2d 16→16, 3×3, reflect", make, (8, 16, 32, 32))
    make = _of("ConvTranspose2d", 64, 32, 4, 2, 1)
    yield _layer("conv-transpose", "ConvTranspose2d 64→32, 4×4, stride 2", make, (8, 64, 16, 16))


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.standard_normal(shape, np.float32)


def _two(size: int) -> Draw:
    """Rows, and as many of another length."""
    return lambda rng, shape: (_normal(rng, shape), _normal(rng, (shape[0], size)))


def _words(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, ...]:
    return (rng.integers(0, TABLE[0], shape),)


# -------------------------------------------------------------------- losses


def _losses() -> Iterator[Case]:
    like: dict[str, tuple[Callable[[Any], Any], Draw]] = {
        "MSELoss": (_of("MSELoss"), _numbers),
        "L1Loss": (_of("L1Loss"), _numbers),
        "SmoothL1Loss": (_of("SmoothL1Loss"), _numbers),
        "HuberLoss": (_of("HuberLoss"), _numbers),
        "BCELoss": (_of("BCELoss"), _probabilities),
        "BCEWithLogitsLoss": (_of("BCEWithLogitsLoss"), _shares),
        "KLDivLoss": (_of("KLDivLoss", reduction="batchmean"), _log_probabilities),
        "PoissonNLLLoss": (_of("PoissonNLLLoss"), _counts),
        "SoftMarginLoss": (_of("SoftMarginLoss"), _signs),
        "HingeEmbeddingLoss": (_of("HingeEmbeddingLoss"), _signs),
        "NLLLoss": (_of("NLLLoss"), _classes),
        "MultiMarginLoss": (_of("MultiMarginLoss"), _classes),
        "CrossEntropyLoss, smoothed": (_of("CrossEntropyLoss", label_smoothing=0.1), _classes),
        "CrossEntropyLoss, of probabilities": (_of("CrossEntropyLoss"), _distributions),
        "CosineEmbeddingLoss": (_of("CosineEmbeddingLoss"), _pairs),
    }
    for text, (make, draw) in like.items():
        for shape in (FEW, ROWS):
            name = f"{text.replace(',', '').replace(' ', '-').lower()}-{shape[0]}x{shape[1]}"
            wanted = 2 if draw is _pairs else 1
            yield Case(
                name, "loss", "loss", make, shape, f"{text} {_by(shape)}", draw=draw, wanted=wanted,
                devices="host",
            )  # fmt: skip


def _numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, ...]:
    return _normal(rng, shape), _normal(rng, shape)


def _shares(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, ...]:
    return _normal(rng, shape), rng.random(shape, np.float32)


def _probabilities(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, ...]:
    return 0.98 * rng.random(shape, np.float32) + np.float32(0.01), rng.random(shape, np.float32)


def _softmax(x: Array) -> Array:
    e = np.exp(x)
    return e / e.sum(axis=1, keepdims=True)


def _log_probabilities(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, ...]:
    return np.log(_softmax(_normal(rng, shape))), _softmax(_normal(rng, shape))


def _distributions(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, ...]:
    return _normal(rng, shape), _softmax(_normal(rng, shape))


def _counts(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, ...]:
    return _normal(rng, shape), rng.poisson(2, shape).astype(np.float32)


def _signs(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, ...]:
    return _normal(rng, shape), rng.choice(np.array([-1, 1], np.float32), shape)


def _classes(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, ...]:
    return _normal(rng, shape), rng.integers(0, shape[1], shape[0])


def _pairs(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, ...]:
    return _normal(rng, shape), _normal(rng, shape), rng.choice(np.array([-1, 1], np.float32), shape[0])


# -------------------------------------------------------------------- optimizers


def _optimizers() -> Iterator[Case]:
    rules: dict[str, tuple[str, Mapping[str, Any]]] = {
        "nesterov": ("SGD", {"lr": 1e-3, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4}),
        "amsgrad": ("Adam", {"lr": 1e-3, "amsgrad": True}),
        **{
            name.lower(): (name, {"lr": 1e-3})
            for name in (
                "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD"
            )
        },
    }  # fmt: skip
    for model, network, shape in (
        ("lenet5", networks.lenet5, (2, 1, 28, 28)),
        ("vgg-small", networks.vgg_small, (2, 3, 32, 32)),
    ):
        for name, rule in rules.items():
            what = {"nesterov": "SGD with Nesterov's momentum", "amsgrad": "Adam with AMSGrad"}.get(
                name, rule[0]
            )
            yield _rule(f"{name}-{model}", f"{what}, parameters of {model}", network, shape, rule)
    yield _rule(
        "sparse-adam", "SparseAdam, Embedding 10,000 of 64 with 8,192 words",
        _of("Embedding", *TABLE, sparse=True), WORDS, ("SparseAdam", {"lr": 1e-3}), _words,
    )  # fmt: skip
    for name, search in (("lbfgs", None), ("lbfgs-wolfe", "strong_wolfe")):
        options = {"lr": 0.1, "max_iter": 2, "line_search_fn": search}
        text = f"LBFGS{' with strong Wolfe' if search else ''}, 2 iterations, MLP 784-128-10, batch 64"
        yield _rule(name, text, networks.mlp, (64, 784), ("LBFGS", options))


def _rule(
    name: str, text: str, network: Callable[[Any], Any], shape: tuple[int, ...],
    rule: tuple[str, Mapping[str, Any]], draw: Draw | None = None,
) -> Case:  # fmt: skip
    return Case(name, "optimizer", "optimizer", network, shape, text, rule, draw=draw, devices="host")
