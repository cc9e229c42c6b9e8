"""Whether two sides computed the same: there is no point in timing two different things."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minidl.array import Array
from minidl.bench.process import BenchError

__all__ = ["check_agreement"]

TOLERANCE = {"one layer": 1e-4, "network": 2e-2}
"""Of float32 results, relative, in the root mean square.

Rounding alone is 1e-6. But deep in a network, where an input of a ReLU or two cells of a pool are closer
than that, the two sides take different branches; one such number in a million is 1e-3 of the root mean
square of all, and VGG-small has a few. That the layers are right is proved elsewhere, in float64.
"""
NOTHING = 1e-3
"""A gradient this far below the others is 0 but for rounding (a bias in front of a batch norm).

What a step changed is the difference of two float32 values, so it is measured by the largest change.
"""


def check_agreement(
    ours: Mapping[str, Array], theirs: Mapping[str, Array], random: bool = False, of: str = "one layer"
) -> float:
    """Refuse results that differ by more than float32's rounding.

    Args:
        ours: minidl's results by name.
        theirs: the opponent's.
        random: both drew random numbers (dropout): then only what neither dropped is compared.
        of: what was computed, a key of `TOLERANCE`; a loss is held to that of one layer either way.

    Returns:
        The largest difference, relative.

    Raises:
        BenchError: it names the first result that differs, and by how much.
    """
    if sorted(ours) != sorted(theirs):
        raise BenchError(f"expected results {sorted(theirs)} as the opponent's, got {sorted(ours)}")
    # what a difference is measured by at least: (how names begin, a part of the largest of these)
    floors = {
        start: part * max((_rms(theirs[name]) for name in theirs if name.startswith(start)), default=0.0)
        for start, part in (("gradient of", NOTHING), ("change of", 1.0))
    }
    worst = 0.0
    for name, wanted in theirs.items():
        got = ours[name]
        if got.shape != wanted.shape or got.dtype != wanted.dtype:
            raise BenchError(
                f"{name}: expected {wanted.dtype} {wanted.shape} as the opponent's, "
                f"got {got.dtype} {got.shape}"
            )
        if random:
            both = (got != 0) & (wanted != 0)
            got, wanted = got[both], wanted[both]
        floor = max((floor for start, floor in floors.items() if name.startswith(start)), default=0.0)
        scale = max(_rms(wanted), floor, 1e-30)
        error = _rms(np.subtract(got, wanted, dtype=np.float64)) / scale
        allowed = TOLERANCE["one layer" if name == "loss" else of]
        if not error <= allowed:  # a NaN is no agreement
            raise BenchError(f"{name}: expected the opponent's to {allowed:g} relative, got {error:.3g}")
        worst = max(worst, error)
    return worst


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) if values.size else 0.0
