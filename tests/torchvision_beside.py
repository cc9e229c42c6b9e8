"""torchvision, which networks and transforms are compared with, wherever it is installed.

Its wheel may not fit the PyTorch beside it (another build, or a CPU build without its compiled operators);
then it cannot be imported before the two operators are declared that it describes while it is imported.
Nothing here calls them.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

import pytest

__all__ = ["torchvision"]

OPERATORS = ("nms", "qnms")


def torchvision(module: str) -> Any:
    """A module of torchvision, such as `"models"`; the test is skipped where there is none."""
    torch = pytest.importorskip("torch")
    try:
        return importlib.import_module(f"torchvision.{module}")
    except ModuleNotFoundError:
        pytest.skip("no torchvision here")
    except (RuntimeError, ImportError):
        for name in OPERATORS:
            schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            with contextlib.suppress(RuntimeError):  # declared already
                torch.library.define(f"torchvision::{name}", schema)
        return importlib.import_module(f"torchvision.{module}")
