"""Weights and checkpoints as safetensors files: arrays and plain values, never pickled code.

A checkpoint is a tree of dicts, lists, tuples, numbers, strings and arrays (what `Trainer.state_dict`
gives). Its arrays become the file's tensors; the rest becomes JSON in the file's header, with a mark at
each place where an array, a tuple or a dict with other keys than strings was.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from minidl.array import Array
from minidl.errors import CheckpointError
from minidl.nn import Module
from minidl.train.files import write_atomically

__all__ = ["load_checkpoint", "load_weights", "save_checkpoint", "save_weights"]

FORMAT = "minidl-checkpoint-1"


def save_weights(module: Module, path: str | Path) -> None:
    """Write a module's `state_dict` to a safetensors file, atomically.

    Any safetensors reader opens it, PyTorch's among them.
    """
    write_atomically(path, _encode(module.state_dict(), {}))


def load_weights(module: Module, path: str | Path, strict: bool = True) -> None:
    """Load a safetensors file into a module, by name.

    Args:
        module: takes the weights over, each in the dtype that it has.
        path: the file.
        strict: False passes over missing and unexpected names.

    Raises:
        CheckpointError: the file is missing, damaged or no safetensors file.
        StateDictError: names or shapes do not fit; nothing was changed.
    """
    tensors, _ = _decode(path)
    module.load_state_dict(tensors, strict)


def save_checkpoint(tree: Any, path: str | Path) -> None:
    """Write a tree of plain values and arrays, atomically: afterwards the file is the old one or the new.

    Raises:
        TypeError: the tree holds something else.
    """
    tensors: dict[str, Array] = {}
    plain = _to_plain(tree, "", tensors)
    write_atomically(path, _encode(tensors, {"format": FORMAT, "tree": json.dumps(plain)}))


def load_checkpoint(path: str | Path) -> Any:
    """Read back the tree that `save_checkpoint` wrote: equal in every bit, tuples and keys included.

    Raises:
        CheckpointError: the file is missing, damaged, or no checkpoint.
    """
    tensors, metadata = _decode(path)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: expected a checkpoint of format {FORMAT}, got {metadata.get('format')}"
        )
    try:
        return _from_plain(json.loads(metadata["tree"]), tensors)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: expected a checkpoint, got a damaged one: {error}") from error


def _encode(tensors: dict[str, Array], metadata: dict[str, str]) -> bytes:
    from safetensors.numpy import save

    # A view that is not contiguous would be written with its bytes in the wrong order.
    return save({name: np.ascontiguousarray(v).reshape(v.shape) for name, v in tensors.items()}, metadata)


def _decode(path: str | Path) -> tuple[dict[str, Array], dict[str, str]]:
    from safetensors import safe_open

    if not Path(path).is_file():
        raise CheckpointError(f"{path}: expected a safetensors file, got none there")
    try:
        with safe_open(str(path), framework="numpy") as file:
            # keys() of a safetensors file is a method, and the file cannot be iterated over
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except Exception as error:  # safetensors answers a dtype that NumPy lacks with an AttributeError
        raise CheckpointError(f"{path}: expected a safetensors file, got a damaged one: {error}") from error


def _to_plain(value: Any, name: str, tensors: dict[str, Array]) -> Any:
    if isinstance(value, np.ndarray) and _is_plain(value.dtype):
        while name in tensors:  # {"a/b": x} and {"a": {"b": x}} have the same name
            name += "'"
        tensors[name] = value
        return {"$array": name}
    if isinstance(value, np.generic) and _is_plain(value.dtype):
        return value.item()
    if isinstance(value, dict):
        pairs = [(key, _to_plain(item, f"{name}/{key}", tensors)) for key, item in value.items()]
        if all(isinstance(key, str) and not key.startswith("$") for key, _ in pairs):
            return dict(pairs)
        return {"$items": [[_to_plain(key, f"{name}/{key}", tensors), item] for key, item in pairs]}
    if isinstance(value, list | tuple):
        items = [_to_plain(item, f"{name}/{i}", tensors) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"checkpoint: expected plain values and arrays, got {type(value).__name__} at {name!r}")


def _is_plain(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biuf" and dtype.itemsize <= 8  # safetensors has no longdouble


def _from_plain(value: Any, tensors: dict[str, Array]) -> Any:
    if isinstance(value, list):
        return [_from_plain(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "$array" in value:
        return tensors[value["$array"]]
    if "$tuple" in value:
        return tuple(_from_plain(item, tensors) for item in value["$tuple"])
    if "$items" in value:
        return {_from_plain(key, tensors): _from_plain(item, tensors) for key, item in value["$items"]}
    return {key: _from_plain(item, tensors) for key, item in value.items()}
