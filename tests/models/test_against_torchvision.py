"""The networks give what torchvision's give: names and shapes, outputs, and every gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torchvision_beside import torchvision

from minidl import models, nn
from minidl.nn import Module
from minidl.nn.utils import skip_init

SAME_NAMES = (
    "alexnet",
    "googlenet",
    "mobilenet_v2",
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")),
)


@pytest.mark.parametrize("name", SAME_NAMES)
def test_parameters_and_buffers_have_torchvisions_names_shapes_and_order(name):
    theirs_of = getattr(torchvision("models"), name)
    import torch

    options = {"init_weights": False} if name == "googlenet" else {}  # else it warns
    with torch.device("meta"):  # shapes without numbers
        theirs = theirs_of(**options).state_dict()
    ours = skip_init(getattr(models, name))
    assert shapes(ours) == {key: tuple(value.shape) for key, value in theirs.items()}
    assert list(shapes(ours)) == list(theirs)


def shapes(module: Module) -> dict[str, tuple[int, ...]]:
    found = {name: p.shape for name, p in module.named_parameters()}
    found |= {name: buffer.shape for name, buffer in module.named_buffers()}
    return {name: found[name] for name in keys(module)}


def keys(module: Module, prefix: str = "") -> list[str]:
    """The names of a state dict, in its order, without a copy of all that it would hold."""
    own = [name for name, value in vars(module).items() if type(value).__name__ == "Parameter"]
    own += [name for name in module._buffer_names if getattr(module, name) is not None]
    below = [key for name, child in module.named_children() for key in keys(child, f"{prefix}{name}.")]
    return [f"{prefix}{name}" for name in own] + below


# (name, options of both, image size): every size takes all paths, and no two dimensions are the same
AGREE: list[tuple[str, dict[str, Any], tuple[int, int]]] = [
    ("alexnet", {"num_classes": 7, "dropout": 0.0}, (63, 70)),
    ("vgg11_bn", {"num_classes": 7, "dropout": 0.0}, (32, 33)),
    ("googlenet", {"num_classes": 7, "dropout": 0.0, "dropout_aux": 0.0}, (33, 40)),
    ("googlenet", {"num_classes": 7, "aux_logits": False, "transform_input": True, "dropout": 0.0}, (65, 33)),
    ("mobilenet_v2", {"num_classes": 7, "dropout": 0.0}, (33, 64)),
    ("mobilenet_v2", {"num_classes": 7, "width_mult": 0.35, "round_nearest": 4, "dropout": 0.0}, (34, 64)),
    ("resnet18", {"num_classes": 7}, (33, 47)),
    ("resnet50", {"num_classes": 7}, (33, 40)),
    ("resnet50", {"num_classes": 3, "replace_stride_with_dilation": [False, True, True]}, (33, 34)),
]


HEADS = {"alexnet": (1, 4, 6), "vgg11_bn": (0, 3, 6)}
"""Which layers of these classifiers become small: a hundred million weights take minutes in float64."""


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(
    ("name", "options", "size"), AGREE, ids=[f"{name}-{i}" for i, (name, *_) in enumerate(AGREE)]
)
def test_outputs_and_all_gradients_are_torchvisions(name, options, size, training):
    theirs_of = getattr(torchvision("models"), name)
    import torch

    more = {"init_weights": False} if name == "googlenet" else {}
    with torch.device("meta"):
        theirs = theirs_of(**options, **more)
    ours = skip_init(getattr(models, name), **options)
    sizes = [ours.classifier[i].in_features for i in HEADS.get(name, ())[:1]] + [9, 8, options["num_classes"]]
    for i, inputs, outputs in zip(HEADS.get(name, ()), sizes, sizes[1:], strict=False):
        theirs.classifier[i], ours.classifier[i] = (
            torch.nn.Linear(inputs, outputs),
            nn.Linear(inputs, outputs),
        )
    theirs, ours = theirs.to_empty(device="cpu").double().train(training), ours.double()
    ours = ours.train() if training else ours.eval(remember=True)
    rng = np.random.default_rng(0)
    state = {key: start(key, value.numpy(), rng) for key, value in theirs.state_dict().items()}
    theirs.load_state_dict({key: torch.tensor(value) for key, value in state.items()})
    ours.load_state_dict(state)

    images = rng.standard_normal((2, 3, *size))
    tensor = torch.tensor(images, requires_grad=True)
    expected, found = as_tuple(theirs(tensor)), as_tuple(ours(images))
    dys = tuple(rng.standard_normal(y.shape) for y in found)
    torch.autograd.backward(expected, tuple(torch.tensor(dy) for dy in dys))
    dx = ours.backward(dys if len(dys) > 1 else dys[0])

    for y, t in zip(found, expected, strict=True):
        assert_close(y, t.detach().numpy(), "output")
    assert_close(dx, tensor.grad.numpy(), "dx")
    gradients = dict(theirs.named_parameters())
    for key, parameter in ours.named_parameters():
        if parameter.grad is None:  # the auxiliary heads, in evaluation
            assert gradients[key].grad is None
            continue
        assert_close(parameter.grad, gradients[key].grad.numpy(), f"d{key}")
    for key, buffer in ours.named_buffers():
        assert_close(buffer, theirs.state_dict()[key].numpy(), key)


def start(key: str, value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Numbers that keep what goes through in a middling range, no scale, mean or variance being special."""
    if "num_batches" in key:
        return np.zeros_like(value)
    if value.ndim > 1:
        return rng.standard_normal(value.shape) * np.sqrt(2 / np.prod(value.shape[1:]))
    return (
        0.1 * rng.standard_normal(value.shape)
        if "bias" in key or "mean" in key
        else 0.5 + rng.random(value.shape)
    )


def as_tuple(output: Any) -> tuple[Any, ...]:
    return output if isinstance(output, tuple) else (output,)


def assert_close(found: Any, expected: np.ndarray, what: str) -> None:
    """Equal up to 1e-7 of the largest number, or of each: some gradients of a deep network are near 0."""
    np.testing.assert_allclose(
        found, expected, rtol=1e-7, atol=1e-8 * (np.abs(expected).max(initial=0) + 1e-3), err_msg=what
    )
