"""Every ufunc that has a kernel, over dtypes, layouts and broadcasting; NumPy says what is right."""

from __future__ import annotations

import numpy as np
import pytest
from array_on_device import agree, check, drawn

from minidl.array import get_device, to_device, to_host
from minidl.array.elementwise import _plans

ONE = (
    *("negative", "square", "sqrt", "exp", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan"),
    *(
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "reciprocal",
        "absolute",
        "fabs",
        "sign",
        "floor",
        "ceil",
        "positive",
    ),
    *("isnan", "isinf", "isfinite", "signbit", "logical_not"),
)
TWO = (
    *("add", "subtract", "multiply", "divide", "maximum", "minimum", "fmax", "fmin", "power", "copysign"),
    *("remainder", "floor_divide", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
    *("logical_and", "logical_or", "logical_xor"),
)
BITS = ("bitwise_and", "bitwise_or", "bitwise_xor")
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.5, 700.0], np.float32)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ONE)
def test_floats(name, dtype):
    ufunc = getattr(np, name)
    check(ufunc, drawn(dtype, 5, 7))
    check(ufunc, SPECIAL.astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TWO)
def test_pairs_of_floats(name, dtype):
    ufunc = getattr(np, name)
    x, y = drawn(dtype, 5, 7), drawn(dtype, 5, 7, seed=4)
    y[0] = x[0]  # some are equal
    check(ufunc, x, y)
    if name not in ("power", "remainder", "floor_divide"):  # which differ where NumPy's own versions do
        check(ufunc, np.repeat(SPECIAL.astype(dtype), 8), np.tile(SPECIAL.astype(dtype), 8))


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize(
    "name", ["negative", "square", "absolute", "sign", "invert", "isfinite", "sqrt", "exp"]
)
def test_integers(name, dtype):
    check(getattr(np, name), drawn(dtype, 5, 7))


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("name", [*(n for n in TWO if n not in ("power", "copysign")), *BITS])
def test_pairs_of_integers(name, dtype):
    check(getattr(np, name), drawn(dtype, 5, 7), drawn(dtype, 5, 7, seed=4))


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "maximum", "less", *BITS])
def test_pairs_of_bytes(name):
    check(getattr(np, name), drawn("uint8", 5, 7) * 20, drawn("uint8", 5, 7, seed=4) * 20)


@pytest.mark.parametrize(
    "name", [*(n for n in TWO if n.startswith(("log", "max", "fm", "eq", "les"))), *BITS]
)
def test_pairs_of_booleans(name):
    check(getattr(np, name), drawn("bool", 5, 7), drawn("bool", 5, 7, seed=4))


def test_booleans():
    check(lambda x: ~x, drawn("bool", 5, 7))
    check(np.logical_not, drawn("bool", 5, 7))
    check(lambda x, y: x + y, drawn("bool", 5), drawn("bool", 5, seed=4))
    check(lambda x, y: x * y, drawn("bool", 5), drawn("bool", 5, seed=4))


@pytest.mark.parametrize("first", ["bool", "uint8", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("second", ["bool", "uint8", "int32", "int64", "float32", "float64"])
def test_pairs_of_dtypes(first, second):
    x, y = drawn(first, 4, 3), drawn(second, 4, 3, seed=4)
    check(np.add, x, y)
    check(np.greater, x, y)
    check(lambda x, y: np.where(x > 0, x, y), x, y)


@pytest.mark.parametrize("number", [2, -3, 0.5, True, np.float32(0.25), np.float64(0.25), np.int64(3)])
@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "float32", "float64"])
def test_numbers_beside_arrays(dtype, number):
    x = drawn(dtype, 4, 3)
    check(lambda x: x + number, x)
    check(lambda x: number * x, x)
    check(lambda x: x >= number, x)
    check(lambda x: np.where(x > 0, x, number), x)
    check(lambda x: np.where(x > 0, number, 1.5), x)


LAYOUTS = {
    "the same": lambda x, y: (x, y),
    "both transposed": lambda x, y: (x.T, y.T),
    "one transposed": lambda x, y: (x[:3, :4, :3].T, y[:3, :4, :3]),
    "a row": lambda x, y: (x, y[0, 0]),
    "a column": lambda x, y: (x[:, :, :1], y),
    "a matrix": lambda x, y: (x[0], y),
    "outer": lambda x, y: (x[0, 0, :, None], y[0, 0]),
    "steps": lambda x, y: (x[::2, ::-1], y[1:, :, :]),
    "one element": lambda x, y: (x, y[1, 2, 3]),
    "one element of any rank": lambda x, y: (x[:1, :1, :1], y[1]),
    "nothing": lambda x, y: (x[:0], y[:1]),
    "no dimensions": lambda x, y: (x[0, 0, 0], y[0, 0, 0]),
}


@pytest.mark.parametrize("lay_out", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(lay_out):
    x, y = drawn("float32", 3, 4, 5), drawn("float32", 3, 4, 5, seed=4)
    check(lambda x, y: np.subtract(*lay_out(x, y)), x, y)
    check(lambda x, y: np.where(*lay_out(x > 0, y), 2.0), x, y)


def test_more_threads_than_a_block():
    check(lambda x: x * 2 + x[::-1], drawn("float32", 1031))
    check(lambda x: x.T - 1, drawn("float32", 31, 37))


def in_place(expression):
    def run(*arrays):
        expression(*arrays)
        return arrays

    return run


def test_operators_change_arrays_in_place():
    x, y = drawn("float32", 3, 4), drawn("float32", 3, 4, seed=4)
    check(in_place(lambda x, y: x.__iadd__(y)), x, y)
    check(in_place(lambda x, y: x.__imul__(2)), x, y)
    check(in_place(lambda x, y: x.T.__isub__(y.T)), x, y)
    check(in_place(lambda x, y: x[1:].__iadd__(x[:-1])), x, y)  # NumPy reads before it writes
    check(in_place(lambda x, y: x.__iadd__(x[:, ::-1])), x, y)
    check(in_place(lambda x, y: np.exp(x, out=y)), x, y)
    check(in_place(lambda x, y: np.maximum(x, y, out=x)), x, y)
    check(in_place(lambda x, y: np.add(x, y, out=x.reshape(3, 2, 2).reshape(3, 4))), x, y)
    check(in_place(lambda x, y: np.multiply(x, y, out=y)), x, drawn("float64", 3, 4))


def test_the_out_is_what_comes_back():
    x = to_device(drawn("float32", 3), "sim")
    y = x
    y += 1
    assert y is x
    assert np.exp(x, out=x) is x


def test_a_dtype_to_compute_in():
    check(lambda x: np.square(x, dtype=np.float64), drawn("float32", 5, 3))
    check(lambda x: np.add(x, 1, dtype="float64"), drawn("int32", 5, 3))


def test_the_formula_of_a_layer():
    def gelu(x):
        return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))

    check(gelu, drawn("float32", 5, 7))
    check(gelu, drawn("float64", 5, 7))


def test_divmod_and_clip():
    x, y = drawn("int64", 5, 7), drawn("int64", 7, seed=4)
    check(lambda x, y: np.divmod(x, y * y + 1), x, y)
    check(lambda x: np.clip(x, -0.5, 0.5), drawn("float32", 5, 7))
    check(lambda x: np.clip(x, 0, None), drawn("float32", 5, 7))
    check(lambda x: x.clip(max=1), drawn("float32", 5, 7))


def test_the_same_operation_is_planned_once():
    x = to_device(drawn("float32", 6, 5), "sim")
    _ = x * x
    plans, launches = len(_plans), get_device("sim").launches
    for _ in range(3):
        _ = x * x
    assert len(_plans) == plans
    assert get_device("sim").launches == launches + 3


def test_large_arguments_do_not_stop_the_simulator():
    with np.errstate(over="ignore"):
        agree(np.exp(to_device(SPECIAL, "sim")), np.exp(SPECIAL))


def test_results_are_new_arrays():
    x = to_device(drawn("float32", 3), "sim")
    y = np.positive(x)
    y += 1
    np.testing.assert_array_equal(to_host(x), drawn("float32", 3))
