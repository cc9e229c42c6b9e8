"""How far to go along a direction: far enough to be worth it, and to where the slope has flattened out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from minidl.array import Array

__all__ = ["Point", "cubic_minimum", "strong_wolfe"]

LOWER = 1e-4  # how much of the promised descent must be there (c₁)
FLATTER = 0.9  # how much of the slope may be left (c₂)
SMALLEST = 1e-9  # a change of all parameters by less is none


class Point(NamedTuple):
    """A place along the direction.

    Attributes:
        t: how far along it.
        value: of the function there.
        gradient: likewise.
        slope: of the function along the direction, gradient · direction.
    """

    t: float
    value: float
    gradient: Array
    slope: float


def cubic_minimum(a: Point, b: Point, bounds: tuple[float, float] | None = None) -> float:
    """Where the cubic through two points, with their values and slopes, has its minimum.

    Nocedal and Wright 2006, "Numerical optimization", eq. 3.59. It is kept within the bounds, which are the
    two points themselves unless told; a cubic without a minimum gives the middle between the bounds.
    """
    left, right = (a, b) if a.t <= b.t else (b, a)
    low, high = (left.t, right.t) if bounds is None else bounds
    chord = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t)
    square = chord * chord - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    root = math.sqrt(square)
    above, below = right.slope + root - chord, right.slope - left.slope + 2 * root
    if below == 0:  # as straight as a line: its minimum is at an end
        return high if right.slope < 0 else low
    return min(max(right.t - (right.t - left.t) * (above / below), low), high)


def strong_wolfe(
    look: Callable[[float], Point], start: Point, t: float, size: float, most: int
) -> tuple[Point, int]:
    """A place that meets the strong Wolfe conditions, or after `most` rounds the lowest that was found.

    ```
    value ≤ value₀ + c₁ t slope₀        it is lower by a part of what the slope promised
    |slope| ≤ c₂ |slope₀|               the slope has lost a part
    ```

    First the step grows until such places must lie between two points (Nocedal and Wright, algorithm 3.5);
    then the interval shrinks onto one (algorithm 3.6).

    Args:
        look: gives the point at t.
        start: where the search begins, t = 0, with a slope below 0.
        t: the first step to try.
        size: the direction's largest number.
        most: how many rounds there may be.

    Returns:
        The point, and how often `look` was called.
    """
    before, here = start, look(t)
    rounds, looks = 0, 1
    while rounds < most:
        if _too_high(here, start) or (rounds > 1 and here.value >= before.value):
            break
        if _flat_enough(here, start):
            return here, looks
        if here.slope >= 0:
            break
        further = (here.t + 0.01 * (here.t - before.t), 10 * here.t)
        before, here = here, look(cubic_minimum(before, here, further))
        rounds, looks = rounds + 1, looks + 1
    else:
        return (start if start.value <= here.value else here), looks
    found, more = _zoom(look, start, [before, here], size, most - rounds)
    return found, looks + more


def _zoom(
    look: Callable[[float], Point], start: Point, ends: list[Point], size: float, most: int
) -> tuple[Point, int]:
    """Shrink an interval that holds good places: its lower end is always the best point so far."""
    low = 0 if ends[0].value <= ends[1].value else 1
    was_near_an_end = False
    for looks in range(most):
        if abs(ends[1].t - ends[0].t) * size < SMALLEST:
            return ends[low], looks
        t, was_near_an_end = _away_from_ends(cubic_minimum(ends[0], ends[1]), ends, was_near_an_end)
        here = look(t)
        if _too_high(here, start) or here.value >= ends[low].value:
            ends[1 - low] = here
            low = 0 if ends[0].value <= ends[1].value else 1
            continue
        if _flat_enough(here, start):
            return here, looks + 1
        if here.slope * (ends[1 - low].t - ends[low].t) >= 0:  # uphill to the other end: the best lies behind
            ends[1 - low] = ends[low]
        ends[low] = here
    return ends[low], most


def _away_from_ends(t: float, ends: list[Point], was_near: bool) -> tuple[float, bool]:
    """A trial that is near an end for the second time, or on it, moves inside by a tenth of the interval.

    Else the interval could shrink by less and less.

    Returns:
        The trial, and whether it is near an end and was left there.
    """
    first, last = min(end.t for end in ends), max(end.t for end in ends)
    tenth = 0.1 * (last - first)
    if min(last - t, t - first) >= tenth:
        return t, False
    if not was_near and first < t < last:
        return t, True
    return (last - tenth if abs(t - last) < abs(t - first) else first + tenth), False


def _too_high(here: Point, start: Point) -> bool:
    return here.value > start.value + LOWER * here.t * start.slope


def _flat_enough(here: Point, start: Point) -> bool:
    return abs(here.slope) <= -FLATTER * start.slope
