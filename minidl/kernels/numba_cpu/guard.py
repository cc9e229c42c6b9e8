"""Sizes are checked before a compiled loop trusts them: it would read past the end of a short array."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from minidl.kernels.registry import Kernel

__all__ = ["where"]

F = TypeVar("F", bound=Callable[..., Any])


def where(fits: Callable[..., bool], kernel: Kernel[Any, Any]) -> Callable[[F], F]:
    """A decorator: the twin runs where `fits(*arguments)`; all else goes to the kernel's reference.

    The reference then broadcasts, or says what is wrong.
    """

    def guard(twin: F) -> F:
        @functools.wraps(twin)
        def guarded(*args: Any) -> Any:
            return twin(*args) if fits(*args) else kernel.reference(*args)

        return guarded  # type: ignore[return-value]

    return guard
