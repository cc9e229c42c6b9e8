"""What a recorder keeps of an array of any size: some figures and a histogram."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from minidl.array import Array

__all__ = ["FIGURES", "Summary", "signed_decades"]

FIGURES = ("mean", "std", "norm", "rms", "min", "max", "zeros", "nonfinite")


class Summary:
    """The figures of one array, or of several as if they were one.

    They are those of the finite numbers; `nonfinite` counts the others. `zeros` is the share of exact zeros,
    `norm` √Σx², and `rms` √(Σx² / count), by which arrays of different sizes can be compared.

    Args:
        edges: ascending, where one bin of the histogram ends and the next begins; what lies outside falls
            into a first and a last bin without end.
    """

    count: int
    histogram: NDArray[np.int64]  # (len(edges) + 1,)

    def __init__(self, edges: NDArray[np.float64]) -> None:
        self.edges = edges
        self.count = self._zeros = self._nonfinite = 0
        self._mean = self._spread = self._squares = 0.0  # spread: Σ (x − mean)²
        self._min, self._max = math.inf, -math.inf
        self.histogram = np.zeros(len(edges) + 1, np.int64)

    @np.errstate(all="ignore")  # float64 may overflow in a square; then the norm is infinite
    def add(self, x: Array) -> None:
        """Take in an array of the host."""
        values = np.asarray(x, np.float64).reshape(-1)
        finite = np.isfinite(values)
        if not finite.all():
            self._nonfinite += values.size - int(finite.sum())
            values = values[finite]
        if not values.size:
            return
        new, total = values.size, self.count + values.size
        mean = float(values.mean())
        apart = mean - self._mean
        self._spread += float(np.square(values - mean).sum()) + apart * apart * (self.count * new / total)
        self._mean += apart * (new / total)
        self._squares += float(np.square(values).sum())
        self._min, self._max = min(self._min, float(values.min())), max(self._max, float(values.max()))
        self._zeros += new - int(np.count_nonzero(values))
        self.histogram += np.bincount(
            np.searchsorted(self.edges, values, side="right"), minlength=len(self.histogram)
        )
        self.count = total

    def figures(self) -> list[float]:
        """In the order of `FIGURES`; without a finite number most of them are NaN."""
        if not self.count:
            return [math.nan] * (len(FIGURES) - 1) + [float(self._nonfinite)]
        return [
            self._mean,
            math.sqrt(self._spread / self.count),
            math.sqrt(self._squares),
            math.sqrt(self._squares / self.count),
            self._min,
            self._max,
            self._zeros / self.count,
            float(self._nonfinite),
        ]


def signed_decades(first: int = -12, last: int = 4, each: int = 3) -> NDArray[np.float64]:
    """Edges at powers of ten on both sides of 0, which vanishing and exploding numbers alike find room in.

    Args:
        first: the smallest magnitude, 10^first; below it, all is one bin around 0.
        last: the largest, 10^last.
        each: bins per decade.
    """
    sizes = 10.0 ** (np.arange(first * each, last * each + 1) / each)
    return np.concatenate([-sizes[::-1], sizes])
