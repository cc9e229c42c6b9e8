"""The API reference names every public name once, and nothing that is not there."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

import minidl

API = Path(__file__).parents[2] / "docs" / "en" / "api"
ROOMS = ["array", "cuda", "data", "errors", "kernels", "metrics", "models", "nn", "optim", "testing", "train"]
MODULES = {"cuda": "array.cuda"}  # where a room's page finds its names, if not in the module of that name
MODULES_BELOW = {
    "array": ["gpu"],
    "data": ["transforms"],
    "nn": ["init", "utils"],
    "optim": ["lr_scheduler", "swa_utils"],
}
TYPES = {"bool_", "int32", "int64", "uint8", "uint32", "float32", "float64"}  # one line names all of them


@pytest.mark.parametrize("room", ROOMS)
def test_room_is_complete(room: str) -> None:
    module = MODULES.get(room, room)
    listed = re.findall(rf"^::: minidl\.{module}\.(\S+)$", (API / f"{room}.md").read_text("utf-8"), re.M)
    below = MODULES_BELOW.get(room, [])
    public = [n for n in importlib.import_module(f"minidl.{module}").__all__ if n not in below]
    for name in below:
        inside = set(importlib.import_module(f"minidl.{room}.{name}").__all__)
        public += [f"{name}.{n}" for n in inside - (TYPES if name == "gpu" else set())]
    assert sorted(listed) == sorted(public)


def test_the_top_is_complete() -> None:
    page = (API / "index.md").read_text("utf-8")
    for name in minidl.__all__:
        if inspect.isfunction(getattr(minidl, name)):
            assert len(re.findall(rf"^::: minidl\.{name}$|`minidl\.{name}`", page, re.M)) == 1, name


def test_every_room_has_its_page() -> None:
    assert sorted(page.stem for page in API.glob("*.md")) == sorted([*ROOMS, "index"])
