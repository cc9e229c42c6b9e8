"""What a DeviceArray is: views, copies, indexing, and what it refuses; NumPy says what is right."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from array_on_device import agree, check, drawn

import minidl
from minidl.array import DeviceArray, get_device, to_device, to_host
from minidl.errors import BackendError, DTypeError

VIEWS = {
    "transpose": lambda x: x.T,
    "transpose of chosen axes": lambda x: x.transpose(2, 0, 1),
    "transpose by a tuple": lambda x: np.transpose(x, (1, 2, 0)),
    "transpose by negative axes": lambda x: x.transpose(-1, 0, -2),
    "swapaxes": lambda x: x.swapaxes(0, -1),
    "moveaxis": lambda x: np.moveaxis(x, 0, -1),
    "moveaxis of two": lambda x: np.moveaxis(x, (0, 2), (1, 0)),
    "an index": lambda x: x[1],
    "a negative index": lambda x: x[-1],
    "a NumPy index": lambda x: x[np.int64(2)],
    "indices": lambda x: x[2, -1, 3],
    "a slice": lambda x: x[1:],
    "a slice to before the end": lambda x: x[:-1, 1:3],
    "a slice beyond the end": lambda x: x[1:99],
    "an empty slice": lambda x: x[3:1],
    "steps": lambda x: x[::2, :, 1::3],
    "negative steps": lambda x: x[::-1, :, ::-2],
    "negative steps from a start": lambda x: x[:, 2:0:-1],
    "None": lambda x: x[:, None],
    "None and ...": lambda x: x[None, ..., None],
    "...": lambda x: x[..., 1],
    "... in the middle": lambda x: x[0, ..., 1:4],
    "... that stands for nothing": lambda x: x[0, ..., 1, 2],
    "views of views": lambda x: x[1:, ::-1].T[::2, 1:],
    "flip": lambda x: np.flip(x),
    "flip of one axis": lambda x: np.flip(x, 1),
    "squeeze": lambda x: x[:, :1].squeeze(),
    "squeeze of one axis": lambda x: np.squeeze(x[:1, :1], 1),
    "expand_dims": lambda x: np.expand_dims(x, 1),
    "expand_dims of two": lambda x: np.expand_dims(x, (0, -1)),
    "reshape": lambda x: x.reshape(4, 15),
    "reshape to one": lambda x: x.reshape(-1),
    "reshape with an unknown": lambda x: np.reshape(x, (2, -1, 3)),
    "reshape by a tuple": lambda x: x.reshape((5, 12)),
    "reshape of a slice": lambda x: x[1:].reshape(8, 5),
    "reshape of steps": lambda x: x[:, :, ::2].reshape(12, 3),
    "reshape that adds ones": lambda x: x[:, 1].reshape(1, 3, 1, 5, 1),
    "ravel": lambda x: x.ravel(),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 3, 4, 5)),
    "broadcast_to of a one": lambda x: np.broadcast_to(x[:, :1], (3, 7, 5)),
    "broadcast_arrays": lambda x: np.broadcast_arrays(x, x[0, 0], x[:, :1]),
    "split": lambda x: np.split(x, 2, axis=1),
    "split at indices": lambda x: np.split(x, [1, 3], axis=2),
    "array_split": lambda x: np.array_split(x, 3, axis=1),
    "iteration": lambda x: list(x),
}
COPIES = {
    "copy": lambda x: x.copy(),
    "copy of a view": lambda x: x.T[::-1].copy(),
    "flatten": lambda x: x.flatten(),
    "reshape of a transpose": lambda x: x.T.reshape(12, 5),
    "reshape of reversed steps": lambda x: x[:, ::-1].reshape(-1),
    "ravel of a transpose": lambda x: x.transpose(1, 0, 2).ravel(),
    "astype": lambda x: x.astype(np.float64),
    "astype of a view": lambda x: x[..., ::-1].astype("int32"),
    "astype to the same": lambda x: x.astype(np.float32),
    "np.copy": lambda x: np.copy(x),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_views(view):
    x = drawn("float32", 3, 4, 5)
    check(view, x)
    there = to_device(x, "sim")
    shown = view(there)
    for part in shown if isinstance(shown, list | tuple) else [shown]:
        assert part.buffer is there.buffer  # no copy
        assert part.flags.c_contiguous == to_host_view(x, part).flags.c_contiguous


def to_host_view(x, part):
    """A NumPy array of the same layout as a device's view of x."""
    strides = tuple(x.itemsize * stride for stride in part.strides)
    return np.lib.stride_tricks.as_strided(x.reshape(-1)[part.offset :], part.shape, strides)


@pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)
def test_copies(make):
    x = drawn("float32", 3, 4, 5)
    check(make, x)
    there = to_device(x, "sim")
    made = make(there)
    assert made.buffer is not there.buffer
    assert made.flags.c_contiguous


def test_astype_without_copy_gives_itself_only_where_nothing_changes():
    x = to_device(drawn("float32", 3), "sim")
    assert x.astype(np.float32, copy=False) is x
    assert x.astype(np.float64, copy=False) is not x


@pytest.mark.parametrize("source", ["bool", "uint8", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("target", ["bool", "uint8", "int32", "int64", "float32", "float64"])
def test_every_dtype_becomes_every_other(source, target):
    x = np.abs(drawn(source, 5, 3).astype("float64")).astype(source)  # a negative number is no uint8
    check(lambda x: x.T.astype(target), x)


def set_item(key, value):
    def expression(x):
        x[key] = value(x) if callable(value) else value
        return x

    return expression


SETTINGS = {
    "a number": (slice(1, None), 2.5),
    "a NumPy number": ((0, slice(None, None, 2)), np.float32(1.5)),
    "everything": (Ellipsis, 7),
    "one element": ((1, 2, 3), -1),
    "another array": ((slice(None), 0), lambda x: x[:, 1] * 2),
    "one that broadcasts": (slice(None), lambda x: x[0, 0] + 1),
    "reversed": (slice(None, None, -1), lambda x: x + 0),
    "itself reversed": (slice(None), lambda x: x[::-1]),
    "itself moved on": (slice(1, None), lambda x: x[:-1]),
    "itself transposed": ((slice(None, 3), slice(None, 3), 0), lambda x: x[:3, :3, 0].T),
}


@pytest.mark.parametrize(("key", "value"), SETTINGS.values(), ids=SETTINGS)
def test_setting_elements(key, value):
    check(set_item(key, value), drawn("float32", 3, 4, 5))


def test_integers_of_an_array_index_the_first_dimension():
    check(lambda x, i: x[i], drawn("float32", 4, 3), np.array([[2, 0, -1], [3, 3, 1]]))


def test_an_array_goes_to_the_device_and_comes_back():
    for x in (drawn("float32", 3, 4).T, drawn("int64", 5)[::-2], drawn("bool", 2, 0), np.float64(1.5)):
        there = minidl.to_device(x, "sim")
        assert isinstance(there, DeviceArray)
        np.testing.assert_array_equal(minidl.to_host(there), x, strict=isinstance(x, np.ndarray))
    assert to_device(there, "sim") is there
    assert to_host(HOST) is HOST


def test_a_list_goes_to_the_device_as_numpy_reads_it():
    agree(to_device([[1, 2], [3, 4]], "sim"), np.array([[1, 2], [3, 4]]))


def test_numbers_come_out_of_arrays_of_one_element():
    x = to_device(np.array([[2.75]], np.float32), "sim")
    assert (float(x), int(x), bool(x), x.item(), f"{x:.1f}") == (2.75, 2, True, 2.75, "2.8")
    assert [10, 20, 30][to_device(np.array(2), "sim")] == 30
    with pytest.raises(ValueError, match=r"one element.*\(2,\)"):
        bool(to_device(np.zeros(2), "sim"))
    with pytest.raises(TypeError, match="len"):
        len(to_device(np.array(2), "sim"))


def test_repr_shows_values_dtype_and_device():
    shown = repr(to_device(np.array([1.5, -2], np.float32), "sim"))
    assert shown == "DeviceArray([ 1.5, -2. ], dtype=float32, device='sim')"


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_independent(how):
    x = to_device(drawn("float32", 3, 4), "sim")
    other = how(x)
    agree(other, to_host(x))
    assert other.device is x.device
    assert not np.shares_memory(other, x)


def test_arrays_that_share_memory_say_so():
    x = to_device(np.zeros((4, 3)), "sim")
    assert np.shares_memory(x, x.T)
    assert np.shares_memory(x[1:], x[:2])
    assert not np.shares_memory(x[2:], x[:2])
    assert not np.shares_memory(x, x.copy())
    assert not np.shares_memory(x, np.zeros(3))


def test_memory_goes_back_when_its_last_view_dies():
    device = get_device("sim")
    before = device.memory_allocated()
    x = to_device(np.zeros(1000), "sim")
    view = x[1:]
    del x
    assert device.memory_allocated() >= before + 8000
    del view
    assert device.memory_allocated() == before


HOST = np.ones((3, 4), np.float32)
REFUSED = {
    "np.asarray": (lambda x: np.asarray(x), "to_host"),
    "a host array on the right": (lambda x: x + HOST, r"add.*host array \(3, 4\)"),
    "a host array on the left": (lambda x: HOST * x, r"multiply.*host array \(3, 4\)"),
    "a host array on the left of @": (lambda x: HOST @ x.T, r"matmul.*host array \(3, 4\)"),
    "a list": (lambda x: x + [1.0] * 4, "add.*list"),
    "a host array to add in place": (lambda x: x.__iadd__(HOST), r"host array \(3, 4\)"),
    "a host array to set": (lambda x: x.__setitem__(..., HOST), r"host array \(3, 4\).*to_device"),
    "into a host array": (lambda x: np.exp(x, out=HOST.copy()), "host array"),
    "where of a host array": (lambda x: np.where(x > 0, x, HOST), "where.*host array"),
    "concatenate with a host array": (lambda x: np.concatenate([x, HOST]), "concatenate.*ndarray"),
    "host indices": (lambda x: np.take(x, np.array([1]), axis=0), "take.*ndarray.*to_device"),
    "a function without a kernel": (lambda x: np.sort(x), "np.sort.*to_host"),
    "a ufunc without a kernel": (lambda x: np.arctan2(x, x), "arctan2.*kernel"),
    "a method of a ufunc": (lambda x: np.add.accumulate(x), "add.accumulate.*to_host"),
    "where= of a ufunc": (lambda x: np.add(x, x, where=x > 0), "add with where"),
    "a pad that reflects": (lambda x: np.pad(x, 1, mode="reflect"), "constant.*reflect"),
}


@pytest.mark.parametrize(("refused", "says"), REFUSED.values(), ids=REFUSED)
def test_nothing_is_copied_to_the_host_unasked(refused, says):
    with pytest.raises(BackendError, match=says):
        refused(to_device(HOST, "sim"))


WRONG = {
    "an index too large": (lambda x: x[3], IndexError, "-3 to 2, got 3"),
    "too many indices": (lambda x: x[0, 0, 0], IndexError, "2 dimensions"),
    "two ...": (lambda x: x[..., ...], IndexError, "2 dimensions"),
    "a mask": (lambda x: x[x > 0], DTypeError, "integer.*bool"),
    "floats as indices": (lambda x: x[x], DTypeError, "integer.*float32"),
    "a string as an index": (lambda x: x["a"], IndexError, "got str"),
    "a shape that does not fit": (lambda x: x.reshape(5, 2), ValueError, r"12 elements.*\(5, 2\)"),
    "two unknown sizes": (lambda x: x.reshape(-1, -1), ValueError, "12 elements"),
    "shapes that do not broadcast": (lambda x: x + x.T, ValueError, "shape"),
    "broadcasting to fewer": (lambda x: np.broadcast_to(x, (3, 1)), ValueError, r"\(3, 1\).*\(3, 4\)"),
    "an out that is too small": (lambda x: np.add(x, x, out=x[0]), ValueError, "out"),
    "axes twice": (lambda x: x.transpose(0, 0), ValueError, "axes"),
    "an axis that is not there": (lambda x: x.sum(axis=2), ValueError, "axis 2"),
    "squeezing what is larger": (lambda x: x.squeeze(0), ValueError, "size 1"),
    "an uneven split": (lambda x: np.split(x, 5, axis=1), ValueError, "5 divides, got 4"),
    "half precision": (lambda x: x.astype(np.float16), DTypeError, "float16"),
    "a result in half precision": (lambda x: np.sqrt(x.astype("bool")), DTypeError, "float16"),
    "the largest of nothing": (lambda x: x[:0].max(), ValueError, r"\(0, 4\)"),
    "where nothing is largest": (lambda x: x[:0].argmax(axis=0), ValueError, "argmax"),
    "floats into integers": (lambda x: x.astype("int32").__iadd__(0.5), TypeError, "Cannot cast"),
    "nothing to join": (lambda x: np.concatenate([x, x.T]), ValueError, r"\(3, 4\).*\(4, 3\)"),
}


@pytest.mark.parametrize(("wrong", "error", "says"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused(wrong, error, says):
    with pytest.raises(error, match=says):
        wrong(to_device(HOST, "sim"))


def test_dtypes_that_kernels_lack_are_refused():
    with pytest.raises(DTypeError, match="float32, float64, got complex128"):
        to_device(np.zeros(3, complex), "sim")


def test_there_is_no_device_of_another_name():
    with pytest.raises(BackendError, match="'tpu'"):
        to_device(np.zeros(3), "tpu")


def test_device_arrays_need_no_numba():
    code = """
import sys, numpy as np, minidl
x = minidl.to_device(np.arange(6.0).reshape(2, 3), "sim")
print(float((np.exp(x.T) * 2).sum()) > 0, "numba" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
