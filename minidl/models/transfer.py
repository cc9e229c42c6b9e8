"""What a network learnt on many images, taken over for a task with few: freeze, a new head, rates by part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minidl.array import place_of
from minidl.models.inception_blocks import InceptionAux
from minidl.nn import Linear, Module, Parameter

__all__ = ["freeze", "parameter_groups", "replace_head", "unfreeze"]


def freeze(module: Module, *names: str, hold_statistics: bool = False) -> list[str]:
    """Keep parameters as they are: they collect no gradient, and optimizers pass them by.

    Only parameters are meant, as by PyTorch's `requires_grad_(False)`. A batch norm in training mode still
    normalises by its batch, and its running mean and variance still move; with `hold_statistics` it uses them
    as in evaluation and leaves them, so that a frozen part gives the same numbers before and after. Dropout
    goes on. A Sequential that begins with frozen layers does not run back through them inside
    `no_input_grad`, where a Trainer's steps are.

    Args:
        module: the network.
        *names: of modules or parameters, with all below them: `"features"`, `"layer1"`, `"conv1.weight"`;
            none for the whole network.
        hold_statistics: batch norms among them keep their running statistics too.

    Returns:
        The names of the parameters, all of which are frozen now.

    Raises:
        ValueError: a name that the network does not have; then nothing was changed.
    """
    return _set_frozen("freeze", module, names, True, hold_statistics)


def unfreeze(module: Module, *names: str) -> list[str]:
    """Let parameters learn (again), and the running statistics of batch norms among them move.

    Args:
        module: the network.
        *names: as for `freeze`.

    Returns:
        The names of the parameters, all of which learn now.

    Raises:
        ValueError: a name that the network does not have; then nothing was changed.
    """
    return _set_frozen("unfreeze", module, names, False, False)


def replace_head(
    model: Module, num_classes: int, *, head: str | None = None, rng: np.random.Generator | None = None
) -> list[str]:
    """Put a new Linear layer in the place of the last, for other classes; all else stays, bit for bit.

    It has the old one's inputs, dtype, device and mode, and a bias if that had one, and it learns, even
    where the old one was frozen. Where it lies: `fc` in ResNet and GoogLeNet, `fc3` in LeNet-5,
    `classifier.6` in VGG and AlexNet, `classifier.1` in MobileNetV2; the last layer of a Sequential. The
    auxiliary heads of a GoogLeNet are replaced with it.

    Args:
        model: the network, which is changed.
        num_classes: size of the new output.
        head: the name of the layer, where it is not the last one with parameters.
        rng: where the new weights are drawn from; the one generator unless told.

    Returns:
        The names of the new parameters.

    Raises:
        ValueError: `num_classes` below 1; the last layer with parameters, or the one named, is no Linear.
    """
    if num_classes < 1:
        raise ValueError(f"replace_head: expected at least 1 class, got {num_classes}")
    auxiliary = [module for module in model.modules() if isinstance(module, InceptionAux)]
    heads: list[tuple[Module, Linear]] = [(owner, _last_linear(owner)) for owner in auxiliary]
    heads.append((model, _last_linear(model) if head is None else _named_linear(model, head)))
    new_ones = set()
    for owner, old in heads:
        new = Linear(old.in_features, num_classes, old.bias is not None, dtype=old.weight.dtype, rng=rng)
        new.to(place_of(old.weight.data) or "cpu")
        new.training, new._remembering = old.training, old._remembering
        for holder, name in _places(model, old):
            setattr(holder, name, new)
        for size in ("num_classes", "out_features"):  # what repr shows
            if vars(owner).get(size) == old.out_features:
                setattr(owner, size, num_classes)
        new_ones |= {id(parameter) for parameter in new.parameters()}
    return [name for name, parameter in model.named_parameters() if id(parameter) in new_ones]


def parameter_groups(model: Module, options: Mapping[str, float | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Groups for an optimizer, by the first part of the parameters' names: a learning rate for each.

    ```python
    groups = models.parameter_groups(model, {"features": 1e-4, "classifier": 1e-2})
    optimizer = optim.SGD(groups, lr=1e-3, momentum=0.9)
    ```

    Every parameter that is not frozen comes once, in the group of the longest name that fits. Those that no
    name fits make a last group, with the optimizer's own options. A group without parameters is left out.

    Args:
        model: the network.
        options: name of a module or parameter → its learning rate, or a dict of options such as
            `{"lr": 1e-2, "weight_decay": 0}`.

    Raises:
        ValueError: a name that the network does not have, or a network that is frozen as a whole.
    """
    for name in options:
        _check_name("parameter_groups", model, name)
    longest: dict[int, str] = {}
    for full, parameter in model._named_parameters():  # one that is held twice has two names
        fitting = [name for name in options if _is_below(full, name)]
        longest[id(parameter)] = max([longest.get(id(parameter), ""), *fitting], key=len)
    groups: list[dict[str, Any]] = []
    for name, given in (*options.items(), ("", {})):  # last, what no name fits
        own = dict(given) if isinstance(given, Mapping) else {"lr": given}
        learning = [p for p in model.parameters() if p.requires_grad and longest[id(p)] == name]
        if learning:
            groups.append({**own, "params": learning})
    if not groups:
        raise ValueError(f"parameter_groups: expected a parameter of {model.label()} that is not frozen")
    return groups


# -------------------------------------------------------------------- names and places


def _set_frozen(
    caller: str, module: Module, names: tuple[str, ...], frozen: bool, hold_statistics: bool
) -> list[str]:
    for name in names:
        _check_name(caller, module, name)

    def meant(full: str) -> bool:
        return not names or any(_is_below(full, name) for name in names)

    for full, below in module._walk():
        if meant(full) and hasattr(below, "holds_statistics"):
            below.holds_statistics = hold_statistics if frozen else False
    parameters = [(full, parameter) for full, parameter in module._named_parameters() if meant(full)]
    for _, parameter in parameters:
        parameter.requires_grad = not frozen
        if frozen:
            parameter.zero_grad()  # else what it collected before would count in the gradients' norm
    return [full for full, _ in parameters]


def _is_below(full: str, name: str) -> bool:
    """Whether `full` is that name or begins with it, part by part: below `fc` is `fc.weight`, not `fc1`."""
    return full == name or full.startswith(f"{name}.")


def _check_name(caller: str, module: Module, name: str) -> None:
    known = {full for full, _ in (*module._walk(), *module._named_parameters()) if full}
    if name not in known:
        children = ", ".join(child for child, _ in module.named_children())
        raise ValueError(
            f"{caller}: expected the name of a module or parameter of {module.label()}, "
            f"which has {children}; got {name!r}"
        )


def _last_linear(model: Module) -> Linear:
    """The last layer with parameters of its own, if it is a Linear."""
    layers = [
        (name, module)
        for name, module in model.named_modules()
        if any(isinstance(value, Parameter) for value in vars(module).values())
    ]
    name, last = layers[-1] if layers else ("", None)
    if isinstance(last, Linear) and name:
        return last
    found = f"{name!r}, {last.label()}" if last is not None and name else f"{model.label()} alone"
    raise ValueError(
        f"replace_head: expected {type(model).__name__} to hold a Linear as its last layer with parameters, "
        f"got {found}; where it is another layer, name it with head="
    )


def _named_linear(model: Module, head: str) -> Linear:
    _check_name("replace_head", model, head)
    found = dict(model._walk()).get(head)
    if not isinstance(found, Linear):
        kind = "a parameter" if found is None else found.label()
        raise ValueError(f"replace_head: expected a Linear named {head!r}, got {kind}")
    return found


def _places(model: Module, layer: Module) -> list[tuple[Module, str]]:
    """Who holds this layer, and under which name: more than one, where it is shared."""
    holders = list(model.modules())
    return [(holder, name) for holder in holders for name, child in holder.named_children() if child is layer]
