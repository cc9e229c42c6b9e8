"""What each of NumPy's ufuncs computes, as the text of a kernel: `a` and `b` are its inputs.

`T` is the type that is computed in, so a constant is `T(1)`: a bare 1 beside a float32 would make a float64
of it. What stands before a `;` are lines of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["formula"]

ANY = {
    "copy": "a",
    "positive": "a",
    "add": "a + b",
    "subtract": "a - b",
    "multiply": "a * b",
    "negative": "-a",
    "square": "a * a",
    "equal": "a == b",
    "not_equal": "a != b",
    "less": "a < b",
    "less_equal": "a <= b",
    "greater": "a > b",
    "greater_equal": "a >= b",
    "maximum": "b if b > a or b != b else a",  # b != b: a NaN wins
    "minimum": "b if b < a or b != b else a",
    "fmax": "b if b > a or a != a else a",  # a NaN loses
    "fmin": "b if b < a or a != a else a",
    "logical_and": "a != T(0) and b != T(0)",
    "logical_or": "a != T(0) or b != T(0)",
    "logical_xor": "(a != T(0)) != (b != T(0))",
    "logical_not": "a == T(0)",
    "sign": "T(1) if a > T(0) else (T(-1) if a < T(0) else a)",
    "where": "b if a else c",
}
FLOAT = {
    "divide": "a / b",
    "reciprocal": "T(1) / a",
    "absolute": "math.fabs(a)",
    "fabs": "math.fabs(a)",
    "sqrt": "math.sqrt(a)",
    "exp": "math.exp(a)",
    "expm1": "math.expm1(a)",
    "log": "math.log(a)",
    "log2": "math.log2(a)",
    "log10": "math.log10(a)",
    "log1p": "math.log1p(a)",
    "sin": "math.sin(a)",
    "cos": "math.cos(a)",
    "tan": "math.tan(a)",
    "arctan": "math.atan(a)",
    "sinh": "math.sinh(a)",
    "cosh": "math.cosh(a)",
    "tanh": "math.tanh(a)",
    "floor": "math.floor(a)",
    "ceil": "math.ceil(a)",
    "power": "math.pow(a, b)",
    "copysign": "math.copysign(a, b)",
    "isnan": "a != a",
    "isinf": "math.fabs(a) == T(math.inf)",
    "isfinite": "math.fabs(a) < T(math.inf)",
    "signbit": "math.copysign(T(1), a) < T(0)",
    # as Python's: the remainder has the divisor's sign
    "remainder": "r = math.fmod(a, b); r + b if r != T(0) and (r < T(0)) != (b < T(0)) else r",
    "floor_divide": (  # q is whole but for its rounding
        "r = math.fmod(a, b); q = (a - r) / b; "
        "q = q - T(1) if r != T(0) and (r < T(0)) != (b < T(0)) else q; math.floor(q + T(0.5))"
    ),
}
INTEGER = {
    "absolute": "a if a >= T(0) else -a",
    "floor": "a",
    "ceil": "a",
    "isnan": "False",
    "isinf": "False",
    "isfinite": "True",
    "bitwise_and": "a & b",
    "bitwise_or": "a | b",
    "bitwise_xor": "a ^ b",
    "invert": "~a",
    "floor_divide": "a // b if b != T(0) else T(0)",  # NumPy's 0, and its warning left out
    "remainder": "a % b if b != T(0) else T(0)",
}
BOOL = {
    "add": "a or b",
    "multiply": "a and b",
    "maximum": "a or b",
    "minimum": "a and b",
    "fmax": "a or b",
    "fmin": "a and b",
    "logical_and": "a and b",
    "logical_or": "a or b",
    "logical_xor": "a != b",
    "logical_not": "not a",
    "bitwise_and": "a and b",
    "bitwise_or": "a or b",
    "bitwise_xor": "a != b",
    "invert": "not a",
    "absolute": "a",
    "isnan": "False",
    "isinf": "False",
    "isfinite": "True",
}
WRAPPED = {name: f"({ANY[name]}) & 255" for name in ("add", "subtract", "multiply", "square")}
"""Bytes begin again at 0 after 255."""
BY_KIND = {
    "f": ANY | FLOAT,
    "i": ANY | INTEGER,
    "u": ANY
    | INTEGER
    | WRAPPED
    | {"negative": "-a & 255", "invert": "255 - a", "absolute": "a", "sign": "a > T(0)"},
    "b": ANY | BOOL,
}


def formula(name: str, dtype: np.dtype[Any]) -> str | None:
    """The text of a ufunc that computes in `dtype`, or None if there is none."""
    return BY_KIND[dtype.kind].get(name)
