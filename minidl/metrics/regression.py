"""How far predicted numbers are from the true ones: mean squared and absolute error, and R²."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minidl.errors import DTypeError, ShapeError, StateDictError
from minidl.metrics.metric import State, expect_keys

__all__ = [
    "MeanAbsoluteError",
    "MeanSquaredError",
    "R2Score",
    "mean_absolute_error",
    "mean_squared_error",
    "r2_score",
]

Floats = NDArray[np.float64]


def mean_squared_error(
    prediction: ArrayLike, target: ArrayLike, squared: bool = True, *, multioutput: str = "uniform_average"
) -> Any:
    """The mean of (prediction − target)², or with `squared=False` its root.

    Args:
        prediction: (N,), or (N, …) for several numbers per sample.
        target: of the same shape.
        squared: False takes the root, so that the error has the unit of the targets.
        multioutput: `"uniform_average"`, the mean over the numbers of a sample (of their roots, without
            `squared`), or `"raw_values"`, one figure for each of them, (…).

    Returns:
        A float, or float64 (…): the numbers of scikit-learn.

    Raises:
        ShapeError: different shapes.
        DTypeError: no real numbers.
        ValueError: no samples, numbers that are not finite, or an unknown `multioutput`.
    """
    return _whole(MeanSquaredError(squared, multioutput=multioutput), prediction, target)


def mean_absolute_error(
    prediction: ArrayLike, target: ArrayLike, *, multioutput: str = "uniform_average"
) -> Any:
    """The mean of |prediction − target|; arguments and errors as for `mean_squared_error`."""
    return _whole(MeanAbsoluteError(multioutput=multioutput), prediction, target)


def r2_score(prediction: ArrayLike, target: ArrayLike, *, multioutput: str = "uniform_average") -> Any:
    """The share of the targets' variance that is explained, R² = 1 − Σ(t − p)² / Σ(t − t̄)².

    1 is perfect, 0 is as good as always saying the mean, below 0 is worse. Where all targets are equal it
    is 1 for a perfect prediction and else 0; of fewer than two samples it is NaN.

    Args:
        prediction: (N,), or (N, …) for several numbers per sample.
        target: of the same shape.
        multioutput: `"uniform_average"`; `"variance_weighted"`, where each of a sample's numbers counts by
            the variance of its targets; or `"raw_values"`, one figure for each, (…).

    Returns:
        A float, or float64 (…): the numbers of scikit-learn.

    Raises:
        ShapeError: different shapes.
        DTypeError: no real numbers.
        ValueError: no samples, numbers that are not finite, or an unknown `multioutput`.
    """
    return _whole(R2Score(multioutput=multioutput), prediction, target)


class _Regression:
    """A figure from sums over samples, one sum for each number of a sample."""

    name: str
    multioutput: str
    _choices: ClassVar[tuple[str, ...]] = ("uniform_average", "raw_values")
    _sums: ClassVar[tuple[str, ...]] = ("errors",)

    def __init__(self, name: str, multioutput: str) -> None:
        if multioutput not in self._choices:
            raise ValueError(
                f"{type(self).__name__}: expected multioutput to be one of {', '.join(self._choices)}, "
                f"got {multioutput!r}"
            )
        self.name = name
        self.multioutput = multioutput
        self.reset()

    def reset(self) -> None:
        """Forget every batch."""
        self._seen = 0
        self._state: dict[str, Floats] = {}

    def update(self, prediction: ArrayLike, target: ArrayLike) -> None:
        """Take in a batch: predictions (N, …), and targets of the same shape."""
        who = type(self).__name__
        given, true = np.asarray(prediction), np.asarray(target)
        if given.shape != true.shape or given.ndim == 0:
            raise ShapeError(
                f"{who}: expected a prediction (N, …) and a target of the same shape, "
                f"got {given.shape} and {true.shape}"
            )
        if self._state and self._state["errors"].shape != given.shape[1:]:
            shape = (*("N",), *self._state["errors"].shape)
            raise ShapeError(f"{who}: expected shape {shape} as in the batches before, got {given.shape}")
        for what, values in (("prediction", given), ("target", true)):
            if values.dtype.kind not in "biuf":
                raise DTypeError(f"{who}: expected a {what} of real numbers, got {values.dtype}")
            if not np.isfinite(values).all():
                raise ValueError(
                    f"{who}: expected a {what} of finite numbers, got {(~np.isfinite(values)).sum()} others"
                )
        if len(given):
            self._add(given.astype(np.float64), true.astype(np.float64))
            self._seen += len(given)

    def _add(self, prediction: Floats, target: Floats) -> None:
        errors = self._errors(prediction - target).sum(axis=0)
        self._state = {"errors": self._state.get("errors", 0) + np.asarray(errors)}

    def _errors(self, difference: Floats) -> Floats:
        return np.square(difference)

    def _each(self) -> Floats:
        """The figure of each of a sample's numbers."""
        return self._state["errors"] / self._seen

    def compute(self) -> Any:
        """The figure of every batch since the last reset."""
        if not self._seen:
            raise ValueError(f"{type(self).__name__}: expected at least one sample before compute, got none")
        each = self._each()
        return each if self.multioutput == "raw_values" else float(np.mean(each))

    def state_dict(self) -> State:
        """The sums so far; without any, before the first batch."""
        return {"seen": self._seen, "sums": {name: values.copy() for name, values in self._state.items()}}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` gave.

        Raises:
            StateDictError: the state is of something else; nothing changed.
        """
        who = type(self).__name__
        expect_keys(self, state_dict, "seen", "sums")
        seen, sums = state_dict["seen"], state_dict["sums"]
        if type(seen) is not int or seen < 0 or not isinstance(sums, Mapping):
            raise StateDictError(f"{who}: expected a count and sums, got {state_dict}")
        if set(sums) != (set(self._sums) if seen else set()):
            raise StateDictError(f"{who}: expected sums of {', '.join(self._sums)}, got {', '.join(sums)}")
        try:
            arrays = {name: np.array(sums[name], np.float64) for name in sums}
        except (TypeError, ValueError) as error:
            raise StateDictError(f"{who}: expected numbers, got {sums}") from error
        if len({values.shape for values in arrays.values()}) > 1:
            raise StateDictError(f"{who}: expected sums of one shape, got {sums}")
        self._seen, self._state = seen, arrays

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class MeanSquaredError(_Regression):
    """`mean_squared_error`, over all batches since the last `reset`.

    Args:
        squared: False takes the root.
        multioutput: as for `mean_squared_error`; the trainer takes all but `"raw_values"`.
        name: what tables and histories call the figure, `"mse"` or `"rmse"` unless told.

    Raises:
        ValueError: as `mean_squared_error`; from `compute`, before any sample came.
    """

    squared: bool

    def __init__(
        self, squared: bool = True, *, multioutput: str = "uniform_average", name: str | None = None
    ) -> None:
        self.squared = bool(squared)
        super().__init__(("mse" if self.squared else "rmse") if name is None else name, multioutput)

    def _each(self) -> Floats:
        mean = super()._each()
        return mean if self.squared else np.sqrt(mean)


class MeanAbsoluteError(_Regression):
    """`mean_absolute_error`, over all batches since the last `reset`.

    Args:
        multioutput: as for `mean_squared_error`; the trainer takes all but `"raw_values"`.
        name: what tables and histories call the figure.

    Raises:
        ValueError: as `mean_absolute_error`; from `compute`, before any sample came.
    """

    def __init__(self, *, multioutput: str = "uniform_average", name: str = "mae") -> None:
        super().__init__(name, multioutput)

    def _errors(self, difference: Floats) -> Floats:
        return np.abs(difference)


class R2Score(_Regression):
    """`r2_score`, over all batches since the last `reset`.

    The targets' variance is put together from that of each batch, so it does not suffer where the mean is
    large beside it (Chan, Golub and LeVeque 1983).

    Args:
        multioutput: as for `r2_score`; the trainer takes all but `"raw_values"`.
        name: what tables and histories call the figure.

    Raises:
        ValueError: as `r2_score`; from `compute`, before any sample came.
    """

    _choices = ("uniform_average", "variance_weighted", "raw_values")
    _sums = ("errors", "mean", "squares")

    def __init__(self, *, multioutput: str = "uniform_average", name: str = "r2") -> None:
        super().__init__(name, multioutput)

    def _add(self, prediction: Floats, target: Floats) -> None:
        before = self._state
        super()._add(prediction, target)
        new = len(target)
        mean = target[0] + (target - target[0]).mean(axis=0)  # exact where all are equal
        squares = np.square(target - mean).sum(axis=0)
        if before:
            apart, total = mean - before["mean"], self._seen + new
            squares = before["squares"] + squares + np.square(apart) * (self._seen * new / total)
            mean = before["mean"] + apart * (new / total)
        self._state |= {"mean": np.asarray(mean), "squares": np.asarray(squares)}

    def _each(self) -> Floats:
        errors, squares = self._state["errors"], self._state["squares"]
        if self._seen < 2:
            return np.full(errors.shape, np.nan)
        unexplained = np.asarray(np.where(errors == 0, 0.0, 1.0))  # where the targets do not vary
        return np.asarray(1 - np.divide(errors, squares, out=unexplained, where=squares > 0))

    def compute(self) -> Any:
        """The figure of every batch since the last reset."""
        weights = self._state["squares"] if self._seen else None
        if self.multioutput == "variance_weighted" and weights is not None and weights.any():
            return float((self._each() * weights).sum() / weights.sum()) if self._seen > 1 else math.nan
        return super().compute()


def _whole(metric: _Regression, prediction: ArrayLike, target: ArrayLike) -> Any:
    metric.update(prediction, target)
    return metric.compute()
