"""Looking on while gradients flow back, in the modules of one network and only while somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

from minidl.nn.module import Module

__all__ = ["watch_backward"]

Watcher = Callable[[Module, Any, Any], None]


@contextmanager
def watch_backward(root: Module, watcher: Watcher) -> Iterator[None]:
    """Call `watcher(module, dy, dx)` after every backward in `root` and all below it, while the block runs.

    `dy` is the gradient of the module's output, `dx` what backward gave, the gradient of its input. Whoever
    calls a layer's `backward` finds it by that name; so inside the block each module has one of its own,
    and outside nothing is there that could cost time.

    Args:
        root: the network whose modules are watched, those that it has when the block begins.
        watcher: must not change what it sees.
    """
    modules = list(root.modules())
    for module in modules:
        own = vars(module)
        own.setdefault("_backward_watchers", []).append(watcher)
        own["backward"] = MethodType(_watched_backward, module)
    try:
        yield
    finally:
        for module in modules:
            own = vars(module)
            own["_backward_watchers"].remove(watcher)
            if not own["_backward_watchers"]:
                del own["_backward_watchers"], own["backward"]


def _watched_backward(self: Module, dy: Any, *more: Any, **named: Any) -> Any:
    dx = type(self).backward(self, dy, *more, **named)
    for watcher in vars(self)["_backward_watchers"]:
        watcher(self, dy, dx)
    return dx
