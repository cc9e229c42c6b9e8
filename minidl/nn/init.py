"""Where parameters start: PyTorch's initialisers, by its formulas.

The scale is chosen so that a layer neither shrinks nor blows up what passes through it. Each fills
`parameter.data` in place and returns the parameter; it takes such an array itself too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar

import numpy as np

from minidl.array import Array, as_like, default_generator
from minidl.errors import ShapeError
from minidl.nn.parameter import Parameter

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "no_draws",
    "normal_",
    "ones_",
    "orthogonal_",
    "reset_parameters",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

Rng = np.random.Generator
Filled = TypeVar("Filled", bound=Parameter | Array)
Mode = Literal["fan_in", "fan_out"]
ONE = ("linear", "conv1d", "conv2d", "conv_transpose2d", "sigmoid")
"""What keeps the variance as it is."""

_drawing = True


@contextmanager
def no_draws() -> Iterator[None]:
    """For one block, initialisers that draw random numbers leave zeros."""
    global _drawing
    before, _drawing = _drawing, False
    try:
        yield
    finally:
        _drawing = before


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much the layer before a nonlinearity must amplify to keep the variance.

    | nonlinearity | gain |
    |---|---|
    | linear, conv1d, conv2d, conv_transpose2d, sigmoid | 1 |
    | tanh | 5/3 |
    | relu | √2 |
    | leaky_relu | √(2 / (1 + slope²)), slope = `param` or 0.01 |
    | selu | 3/4 |

    Raises:
        ValueError: any other nonlinearity.
    """
    gains = {"tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}
    if nonlinearity in ONE:
        return 1.0
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in gains:
        known = ", ".join([*ONE, "leaky_relu", *gains])
        raise ValueError(f"calculate_gain: expected one of {known}, got {nonlinearity!r}")
    return gains[nonlinearity]


def _left(parameter: Filled) -> Filled:
    """What `no_draws` leaves: zeros, which take no memory before somebody writes to them."""
    if not isinstance(parameter, Parameter):
        return constant_(parameter, 0)
    if isinstance(parameter.data, np.ndarray):
        parameter.data = np.zeros(parameter.shape, parameter.dtype)
    return parameter


def _values(parameter: Parameter | Array) -> Array:
    """Where a parameter's numbers are; `layer.weight.data` itself may be given too."""
    return parameter.data if isinstance(parameter, Parameter) else parameter


def fans(parameter: Parameter | Array) -> tuple[int, int]:
    """How many inputs feed one output (fan_in) and how many outputs one input feeds (fan_out).

    Raises:
        ShapeError: the parameter has fewer than two dimensions.
    """
    if len(parameter.shape) < 2:
        raise ShapeError(f"init: expected a parameter of at least 2 dimensions, got {parameter.shape}")
    outputs, inputs, *kernel = parameter.shape
    return inputs * math.prod(kernel), outputs * math.prod(kernel)


def uniform_(parameter: Filled, a: float = 0.0, b: float = 1.0, rng: Rng | None = None) -> Filled:
    """Uniform in [a, b)."""
    if not _drawing:
        return _left(parameter)
    draws = (rng or default_generator()).random(parameter.shape, dtype=parameter.dtype.type)
    _values(parameter)[...] = a + (b - a) * draws
    return parameter


def normal_(parameter: Filled, mean: float = 0.0, std: float = 1.0, rng: Rng | None = None) -> Filled:
    """Normal with the given mean and standard deviation."""
    if not _drawing:
        return _left(parameter)
    draws = (rng or default_generator()).standard_normal(parameter.shape, dtype=parameter.dtype.type)
    _values(parameter)[...] = mean + std * draws
    return parameter


def constant_(parameter: Filled, val: float) -> Filled:
    """`val` everywhere."""
    _values(parameter)[...] = val
    return parameter


def zeros_(parameter: Filled) -> Filled:
    """0 everywhere."""
    return constant_(parameter, 0.0)


def ones_(parameter: Filled) -> Filled:
    """1 everywhere."""
    return constant_(parameter, 1.0)


def trunc_normal_(
    parameter: Filled,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    rng: Rng | None = None,
) -> Filled:
    """Normal, but only what falls between a and b: all else is drawn again.

    Raises:
        ValueError: less than one draw in a thousand would fall there.
    """
    low, high = ((bound - mean) / std for bound in (a, b))
    share = (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
    if not share > 1e-3:
        raise ValueError(f"trunc_normal_: expected a to b to hold some of the draws, got {a} to {b}")
    if not _drawing:
        return _left(parameter)
    generator = rng or default_generator()
    draws = generator.standard_normal(parameter.shape)
    while (outside := (draws < low) | (draws > high)).any():
        draws[outside] = generator.standard_normal(int(outside.sum()))
    return _fill(parameter, np.clip(mean + std * draws, a, b))


def eye_(parameter: Filled) -> Filled:
    """The identity matrix: a linear layer that changes nothing.

    Raises:
        ShapeError: the parameter has not two dimensions.
    """
    if len(parameter.shape) != 2:
        raise ShapeError(f"eye_: expected a parameter of 2 dimensions, got {parameter.shape}")
    return _fill(parameter, np.eye(*parameter.shape))


def dirac_(parameter: Filled, groups: int = 1) -> Filled:
    """Filters that copy a channel each, by a 1 in their middle: a convolution that changes nothing.

    Raises:
        ShapeError: the parameter has not three to five dimensions.
        ValueError: the groups do not divide the filters.
    """
    if len(parameter.shape) not in (3, 4, 5):
        raise ShapeError(f"dirac_: expected a parameter of 3 to 5 dimensions, got {parameter.shape}")
    filters, channels, *kernel = parameter.shape
    if filters % groups:
        raise ValueError(f"dirac_: expected groups that divide {filters} filters, got {groups}")
    values, middle = np.zeros(parameter.shape), tuple(size // 2 for size in kernel)
    for group in range(groups):
        for i in range(min(filters // groups, channels)):
            values[(group * (filters // groups) + i, i, *middle)] = 1
    return _fill(parameter, values)


def orthogonal_(parameter: Filled, gain: float = 1.0, rng: Rng | None = None) -> Filled:
    """Rows (or columns, if these are fewer) of length `gain` at right angles (Saxe et al. 2014).

    Dimensions after the first are taken as one.

    Raises:
        ShapeError: the parameter has fewer than two dimensions.
    """
    if len(parameter.shape) < 2:
        raise ShapeError(f"orthogonal_: expected a parameter of at least 2 dimensions, got {parameter.shape}")
    if not _drawing:
        return _left(parameter)
    rows = parameter.shape[0]
    columns = math.prod(parameter.shape[1:])
    draws = (rng or default_generator()).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(draws)
    q *= np.where(np.diag(r) < 0, -1, 1)  # else some rotations would come more often than others
    return _fill(parameter, gain * (q if rows >= columns else q.T).reshape(parameter.shape))


def sparse_(parameter: Filled, sparsity: float, std: float = 0.01, rng: Rng | None = None) -> Filled:
    """Normal, with this share of every column 0 (Martens 2010).

    Raises:
        ShapeError: the parameter has not two dimensions.
    """
    if len(parameter.shape) != 2:
        raise ShapeError(f"sparse_: expected a parameter of 2 dimensions, got {parameter.shape}")
    if not _drawing:
        return _left(parameter)
    generator = rng or default_generator()
    values = std * generator.standard_normal(parameter.shape)
    zeros = math.ceil(sparsity * len(values))
    for column in values.T:
        column[generator.permutation(len(values))[:zeros]] = 0
    return _fill(parameter, values)


def _fill(parameter: Filled, values: Array) -> Filled:
    """Put values that were made on the host to where the parameter is, in its dtype."""
    _values(parameter)[...] = as_like(values, _values(parameter))
    return parameter


def xavier_uniform_(parameter: Filled, gain: float = 1.0, rng: Rng | None = None) -> Filled:
    """Uniform in ±gain·√(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16)."""
    bound = gain * math.sqrt(6.0 / sum(fans(parameter)))
    return uniform_(parameter, -bound, bound, rng)


def xavier_normal_(parameter: Filled, gain: float = 1.0, rng: Rng | None = None) -> Filled:
    """Normal with standard deviation gain·√(2 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 12)."""
    return normal_(parameter, 0.0, gain * math.sqrt(2.0 / sum(fans(parameter))), rng)


def kaiming_uniform_(
    parameter: Filled,
    a: float = 0.0,
    mode: Mode = "fan_in",
    nonlinearity: str = "leaky_relu",
    rng: Rng | None = None,
) -> Filled:
    """Uniform in ±gain·√(3 / fan), with the gain of a leaky ReLU of slope `a` (He et al. 2015, eq. 10)."""
    bound = math.sqrt(3.0) * _kaiming_std(parameter, a, mode, nonlinearity)
    return uniform_(parameter, -bound, bound, rng)


def kaiming_normal_(
    parameter: Filled,
    a: float = 0.0,
    mode: Mode = "fan_in",
    nonlinearity: str = "leaky_relu",
    rng: Rng | None = None,
) -> Filled:
    """Normal with standard deviation gain / √fan (He et al. 2015, eq. 10)."""
    return normal_(parameter, 0.0, _kaiming_std(parameter, a, mode, nonlinearity), rng)


def _kaiming_std(parameter: Filled, a: float, mode: Mode, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"kaiming: expected mode 'fan_in' or 'fan_out', got {mode!r}")
    fan_in, fan_out = fans(parameter)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan_in if mode == "fan_in" else fan_out)


def reset_parameters(weight: Parameter, bias: Parameter | None, rng: Rng | None = None) -> None:
    """The default start of linear layers and convolutions: weight and bias uniform in ±1/√fan_in.

    PyTorch writes the weight's part as `kaiming_uniform_(weight, a=math.sqrt(5))`: with that slope the
    gain is √(1/3) and the bound √3·√(1/3)/√fan_in is the same 1/√fan_in. The bias of a layer without
    inputs is 0.
    """
    fan_in, _ = fans(weight)
    if fan_in == 0:
        if bias is not None:
            zeros_(bias)
        return
    kaiming_uniform_(weight, a=math.sqrt(5.0), rng=rng)
    if bias is not None:
        bound = 1.0 / math.sqrt(fan_in)
        uniform_(bias, -bound, bound, rng)
