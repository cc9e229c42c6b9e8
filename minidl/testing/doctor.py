"""The gradient doctor: an array is wrong, and this file guesses which mistake made it so.

Each guess is one small function that looks at the wrong array beside the right one and either explains
the difference in a sentence or says nothing. They are asked from the most particular to the most
general, and the first that speaks is believed: twice the right answer is "a factor of 2" before it is
"wrong in 12 of 12 places".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np

from minidl.array import Array

__all__ = ["diagnose"]


def diagnose(
    name: str,
    got: Any,
    expected: Any,
    *,
    batch: int | None = None,
    equation: str | None = None,
    terms: Mapping[str, Any] | None = None,
    candidates: Mapping[str, Any] | None = None,
    regions: Mapping[str, Any] | None = None,
    previous: Any = None,
    rtol: float = 1e-6,
    atol: float = 1e-9,
) -> str | None:
    """What is wrong with an array, in one line; None where nothing is.

    The order is that of looking: is it an array, has it the shape, are its numbers finite, are they right.

    Args:
        name: what the array is called: `"dW"`.
        got: the answer to judge; anything at all.
        expected: the right array.
        batch: the number of samples, so that a factor of just that size is explained by it.
        equation: where to read on: `"12.3"`.
        terms: summands of the right answer by name; one that is missing, doubled or negated is named.
        candidates: well-known wrong answers by their description; an equal one is named.
        regions: masks of `expected`'s shape by description (`"x < 0"`), to say where it went wrong.
        previous: what the gradient held before, when `expected` is `previous` plus this one's share.
        rtol: how far apart, as a part of `expected`, still counts as equal.
        atol: how far apart, absolutely, still counts as equal.

    Example:
        >>> diagnose("db", np.array([5.0, 10.0]), np.array([1.0, 2.0]), batch=5)
        'db: shape (2,) correct, values wrong. Yours / expected = 5.00 everywhere; the batch is 5, ...'
    """
    right = np.asarray(expected)
    case = _Case(
        name=name,
        right=right,
        batch=batch,
        terms={key: np.asarray(value) for key, value in (terms or {}).items()},
        candidates={key: np.asarray(value) for key, value in (candidates or {}).items()},
        regions={key: np.asarray(value) for key, value in (regions or {}).items()},
        previous=None if previous is None else np.asarray(previous),
        rtol=rtol,
        atol=atol,
    )
    where = f" (eq. {equation})" if equation else ""

    if problem := _not_an_array(got, right):
        return f"{name}: {problem}{where}."
    case.got = np.asarray(got)
    with np.errstate(all="ignore"):  # the doctor computes with whatever it is given, infinities included
        return _judge(case, where)


def _judge(case: _Case, where: str) -> str | None:
    name, right = case.name, case.right
    if case.got.shape != right.shape:
        reason = _first(case, _SHAPE_GUESSES)
        return f"{name}: shape {case.got.shape}, expected {right.shape}{reason}{where}."
    shape = f"shape {right.shape} correct"
    if right.dtype.kind == "f" and case.got.dtype.kind in "iub":
        return (
            f"{name}: {shape}, but the dtype is {case.got.dtype}, which cannot hold fractions; expected "
            f"{right.dtype}. Make the array with np.zeros(shape), not np.zeros_like of integers{where}."
        )
    if problem := _not_finite(case):
        return f"{name}: {shape}, {problem}{where}."
    if case.same(case.got, right):
        return None
    return f"{name}: {shape}, values wrong. {_first(case, _VALUE_GUESSES)}{where}."


@dataclass
class _Case:
    """One wrong array and all that is known about the right one."""

    name: str
    right: Array
    batch: int | None
    terms: dict[str, Array]
    candidates: dict[str, Array]
    regions: dict[str, Array]
    previous: Array | None
    rtol: float
    atol: float
    got: Array = field(default_factory=lambda: np.empty(0))

    def same(self, a: Array, b: Array) -> bool:
        """Whether two arrays are equal up to the tolerances; NaN equals NaN."""
        return a.shape == b.shape and bool(
            np.isclose(a, b, rtol=self.rtol, atol=self.atol, equal_nan=True).all()
        )

    def wrong(self) -> Array:
        """Where the answer is wrong, as a mask."""
        return ~np.isclose(self.got, self.right, rtol=self.rtol, atol=self.atol, equal_nan=True)


_Guess = Callable[[_Case], str | None]


def _first(case: _Case, guesses: list[_Guess]) -> str:
    return next((text for guess in guesses if (text := guess(case))), "")


# -------------------------------------------------------------------- is it an array, is it finite


def _not_an_array(got: Any, right: Array) -> str | None:
    if got is None:
        return "expected an array, got None; a function without `return` gives None"
    if isinstance(got, np.ndarray | np.generic):
        if got.dtype.kind not in "fiub":
            return f"expected an array of real numbers, got one of dtype {got.dtype}"
        return None
    if isinstance(got, bool | int | float) and right.ndim == 0:
        return None
    if isinstance(got, list | tuple):
        return f"expected a NumPy array of shape {right.shape}, got a {type(got).__name__} of {len(got)}"
    return f"expected a NumPy array of shape {right.shape}, got {type(got).__name__}"


def _not_finite(case: _Case) -> str | None:
    bad = ~np.isfinite(case.got) & np.isfinite(case.right)
    if not bad.any():
        return None
    count, size = int(bad.sum()), bad.size
    nan = bool(np.isnan(case.got[bad]).any())
    what = "NaN" if nan else "inf"
    cause = (
        "inf / inf, 0 / 0 and inf − inf make one"
        if nan
        else "a division by 0 or an exp() of a large number makes one"
    )
    places = "everywhere" if count == size else f"in {count} of {size} places, first at {_place(bad)}"
    for label, mask in case.regions.items():
        if count < size and np.array_equal(bad, mask):
            places = f"where {label}"
    return f"but not finite: {what} {places}; {cause}"


# -------------------------------------------------------------------- wrong shapes


def _transposed(case: _Case) -> str | None:
    if case.got.ndim < 2 or case.got.shape != case.right.shape[::-1]:
        return None
    if case.same(case.got.T, case.right):
        return ": the values are right, but it is the transpose"
    return ": the shape of the transpose"


def _not_summed(case: _Case) -> str | None:
    got, right = case.got, case.right
    for axes in _some_axes(got.ndim):
        if got.ndim - len(axes) == right.ndim and case.same(got.sum(axis=axes), right):
            sizes = " × ".join(str(got.shape[axis]) for axis in axes)
            batch = ", the batch" if case.batch is not None and sizes == str(case.batch) else ""
            return f": its sum over {_axes(axes)} (of size {sizes}{batch}) is right, so that sum is missing"
        if got.ndim == right.ndim and case.same(got.sum(axis=axes, keepdims=True), right):
            return f": its sum over {_axes(axes)} is right, so that sum is missing"
    return None


def _extra_ones(case: _Case) -> str | None:
    got, right = case.got, case.right
    if [n for n in got.shape if n != 1] != [n for n in right.shape if n != 1]:
        return None
    values = "the values are right" if case.same(got.reshape(right.shape), right) else "the sizes fit"
    if got.ndim > right.ndim:
        return f": {values}, but there is a dimension of size 1 too many (keepdims=True, or x[:, None])"
    return f": {values}, but dimensions of size 1 differ; reshape to {right.shape}"


def _broadcast_square(case: _Case) -> str | None:
    got, right = case.got, case.right
    if right.ndim == 1 and got.shape == right.shape * 2:
        n = right.size
        return f": ({n}, 1) and ({n},) were broadcast against each other into ({n}, {n})"
    return None


def _wrong_axis(case: _Case) -> str | None:
    if case.batch is None or case.got.ndim != 1 or case.got.shape != (case.batch,):
        return None
    return ": one number per sample, so the sum ran over the wrong axis; the batch is axis 0"


def _flattened(case: _Case) -> str | None:
    if case.got.size != case.right.size:
        return None
    if case.same(case.got.reshape(case.right.shape), case.right):
        return f": the values are right; reshape to {case.right.shape}"
    return f": as many numbers, in another shape; expected it like {case.right.shape}"


def _summed_too_far(case: _Case) -> str | None:
    got, right = case.got, case.right
    for axes in _some_axes(right.ndim):
        for keepdims in (False, True):
            if case.same(got, right.sum(axis=axes, keepdims=keepdims)):
                return f": it is the sum over {_axes(axes)}, which should have been kept apart"
    return None


def _shape_candidate(case: _Case) -> str | None:
    return _equals_candidate(case, ": ")


# -------------------------------------------------------------------- wrong values


def _equals_candidate(case: _Case, before: str = "") -> str | None:
    for label, values in case.candidates.items():
        if case.same(case.got, values):
            return f"{before}{label}"
    return None


def _nothing_written(case: _Case) -> str | None:
    if case.previous is not None and case.same(case.got, case.previous):
        return (
            f"Nothing was added. Either the line is missing, or `{case.name} = {case.name} + …` makes a new "
            f"array under the same name; `{case.name} += …` adds to the one that was given"
        )
    if not case.got.any():
        return "All zeros: the result was never written into it"
    return None


def _not_accumulated(case: _Case) -> str | None:
    if case.previous is None or not case.previous.any():
        return None
    share = case.right - case.previous
    if case.same(case.got, share):
        return "The gradient that was there before is lost: add to it with +=, do not overwrite it with ="
    if case.same(case.got, case.previous - share):
        return "The share was subtracted from the gradient that was there before, with the sign reversed"
    ratio = _constant_ratio(case, case.got - case.previous, share)
    if ratio is not None:
        return f"What was added / expected = {_number(ratio)} everywhere{_why_factor(case, ratio)}"
    if (text := _term(case, case.got - case.previous, share)) is not None:
        return text
    return None


def _factor(case: _Case) -> str | None:
    ratio = _constant_ratio(case, case.got, case.right)
    if ratio is None:
        return None
    if math.isclose(ratio, -1.0, rel_tol=1e-6):
        return "Yours / expected = −1.00 everywhere; the sign is reversed"
    if _number(abs(ratio)) == "1.00":
        return None  # "1.00 everywhere" would contradict itself; `_nearly` has the words
    return f"Yours / expected = {_number(ratio)} everywhere{_why_factor(case, ratio)}"


def _constant_ratio(case: _Case, got: Array, right: Array) -> float | None:
    """The one number that `right` was multiplied by to give `got`, where there is one."""
    size = float(np.abs(right).max(initial=0.0))
    if size == 0 or right.size < 2:
        return _scalar_ratio(case, got, right)
    ratio = float((got * right).sum() / (right * right).sum())  # the least-squares fit of got = ratio·right
    if ratio == 0 or not math.isfinite(ratio):
        return None
    fits = np.isclose(got, ratio * right, rtol=case.rtol, atol=case.atol + case.rtol * abs(ratio) * size)
    return ratio if fits.all() and not math.isclose(ratio, 1.0, rel_tol=case.rtol) else None


def _scalar_ratio(case: _Case, got: Array, right: Array) -> float | None:
    """One number is always some multiple of another: only a telling one counts."""
    if right.size != 1 or not right.any():
        return None
    ratio = float(got.sum() / right.sum())
    telling = [-1.0, 2.0, 0.5, -2.0, -0.5]
    if case.batch:
        telling += [sign * b for b in (case.batch, 1 / case.batch) for sign in (1, -1)]
    return ratio if any(math.isclose(ratio, value, rel_tol=1e-6) for value in telling) else None


def _why_factor(case: _Case, ratio: float) -> str:
    sign = "; the sign is reversed, too" if ratio < 0 else ""
    size = abs(ratio)

    def near(value: float) -> bool:
        return math.isclose(size, value, rel_tol=1e-5)

    if case.batch and near(case.batch):
        return f"; the batch is {case.batch}, so you probably summed where the loss averages{sign}"
    if case.batch and near(1 / case.batch):
        return f"; the batch is {case.batch}, so you probably averaged where a sum belongs{sign}"
    if near(2.0):
        return f"; counted twice, or a half (the mean of two, the ½ of a square) is missing{sign}"
    if near(0.5):
        return f"; half is missing: a factor 2 (the 2 of a square's derivative) left out{sign}"
    for axis, n in enumerate(case.right.shape):
        if n > 1 and near(n):
            return f"; axis {axis} has {n} entries, so a division by it is missing{sign}"
        if n > 1 and near(1 / n):
            return f"; axis {axis} has {n} entries, so it was averaged where a sum belongs{sign}"
    return f"; one constant factor is wrong{sign}"


def _transposed_square(case: _Case) -> str | None:
    if case.right.ndim < 2:
        return None
    for order in permutations(range(case.right.ndim)):
        if order != tuple(range(case.right.ndim)) and case.same(case.got.transpose(order), case.right):
            return "It is the transpose of the right answer"
    return None


def _missing_term(case: _Case) -> str | None:
    return _term(case, case.got, case.right)


def _term(case: _Case, got: Array, right: Array) -> str | None:
    for label, term in case.terms.items():
        if not np.any(np.abs(term) > case.atol):
            continue
        for times, text in (
            (-1.0, f"The term {label} is missing"),
            (1.0, f"The term {label} is counted twice"),
            (-2.0, f"The term {label} has the wrong sign"),
        ):
            if case.same(got, right + times * term):
                return text
    return None


def _offset(case: _Case) -> str | None:
    if case.right.size < 2:
        return None
    difference = case.got - case.right
    mean = float(difference.mean())
    if np.allclose(difference, mean, rtol=case.rtol, atol=case.atol) and mean:
        return f"Yours − expected = {_number(mean)} everywhere; a constant was added or forgotten"
    return None


def _permuted(case: _Case) -> str | None:
    got, right = case.got, case.right
    for axis in range(right.ndim):
        if case.same(np.flip(got, axis), right):
            return f"The right numbers in the wrong order: reversed along axis {axis}"
    if right.size > 1 and case.same(np.sort(got, axis=None), np.sort(right, axis=None)):
        return "The right numbers in the wrong places: rows or elements were mixed up (a reshape or an index)"
    return None


def _constant_axis(case: _Case) -> str | None:
    got, right = case.got, case.right
    for axes in reversed(list(_some_axes(right.ndim))):  # all axes together first
        if math.prod(right.shape[axis] for axis in axes) < 2:
            continue
        first = got[tuple(slice(0, 1) if axis in axes else slice(None) for axis in range(got.ndim))]
        if not case.same(got, np.broadcast_to(first, got.shape)):
            continue
        total = right.sum(axis=axes, keepdims=True)
        summed = "the sum over it" if case.same(first, total) else ""
        summed = summed or ("the mean over it" if case.same(first * right.size / first.size, total) else "")
        if summed:
            return f"The same along {_axes(axes)}: {summed} was broadcast back over every entry"
        if case.same(right, np.broadcast_to(right.mean(axis=axes, keepdims=True), right.shape)):
            continue
        return f"The same along {_axes(axes)}, where the right one varies: too small an array was broadcast"
    return None


def _axis_factor(case: _Case) -> str | None:
    """A factor that changes along one axis only: something of that axis was left out or put in."""
    got, right = case.got, case.right
    if right.ndim < 2 or (np.abs(right) <= case.atol).any():
        return None
    ratio = got / right
    for axis in range(right.ndim):
        others = tuple(a for a in range(right.ndim) if a != axis)
        first = ratio[tuple(slice(0, 1) if a in others else slice(None) for a in range(right.ndim))]
        if np.allclose(ratio, first, rtol=1e-6, atol=0):
            return f"Yours / expected depends on axis {axis} only; a factor along it is missing or too many"
    return None


def _nearly(case: _Case) -> str | None:
    error = np.abs(case.got - case.right) / np.maximum(np.abs(case.right), case.atol)
    worst = float(error.max(initial=0.0))
    if worst < 1e-2:
        size = f"Nearly right: the largest relative error is {worst:.0e}"
        if case.got.dtype.kind == "f" and case.got.dtype.itemsize < case.right.dtype.itemsize:
            return f"{size}; the dtype is {case.got.dtype}, and {case.right.dtype} holds more digits"
        return (
            f"{size}, so a formula of too low an order, float32 on the way, or too large or too small a step"
        )
    return None


def _partly(case: _Case) -> str:
    wrong = case.wrong()
    count, size = int(wrong.sum()), wrong.size
    place = _place(wrong)
    at = f" at {place}" if place else ""
    index = np.unravel_index(int(wrong.argmax()), wrong.shape) if wrong.ndim else ()
    values = f"yours is {_number(float(case.got[index]))}, expected {_number(float(case.right[index]))}"
    for label, mask in case.regions.items():
        if np.array_equal(wrong, mask):
            return f"Right except where {label}: e.g.{at} {values}"
    if size == 1:
        return f"Yours is {_number(float(case.got[index]))}, expected {_number(float(case.right[index]))}"
    everywhere = "Wrong everywhere" if count == size else f"Right in {size - count} of {size} places"
    return f"{everywhere}: e.g.{at} {values}"


_SHAPE_GUESSES: list[_Guess] = [
    _shape_candidate,
    _transposed,
    _extra_ones,
    _not_summed,
    _broadcast_square,
    _wrong_axis,
    _summed_too_far,
    _flattened,
]

_VALUE_GUESSES: list[_Guess] = [
    _equals_candidate,
    _nothing_written,
    _not_accumulated,
    _factor,
    _transposed_square,
    _missing_term,
    _offset,
    _permuted,
    _constant_axis,
    _nearly,
    _axis_factor,
    _partly,
]


# -------------------------------------------------------------------- wording


def _number(value: float) -> str:
    """A number as a person would write it: `5.00`, `−0.0125`, `2.0e−05`."""
    size = abs(value)
    if size and not 1e-3 <= size < 1e5:
        text = f"{value:.1e}"
    else:
        text = f"{value:.2f}" if size >= 0.1 else f"{value:.3g}"
    return text.replace("-", "−")


def _axes(axes: tuple[int, ...]) -> str:
    if len(axes) == 1:
        return f"axis {axes[0]}"
    return "axes " + " and ".join(str(axis) for axis in axes)


def _some_axes(ndim: int) -> Iterator[tuple[int, ...]]:
    """Every set of axes, single ones first; arrays of many dimensions are given up on."""
    chosen = range(1, 1 << min(ndim, 4))
    sets = [tuple(axis for axis in range(ndim) if bits >> axis & 1) for bits in chosen]
    yield from sorted(sets, key=lambda axes: (len(axes), axes))


def _place(mask: Array) -> str:
    index = np.unravel_index(int(mask.argmax()), mask.shape) if mask.ndim else ()
    return f"[{', '.join(str(int(i)) for i in index)}]" if index else ""
