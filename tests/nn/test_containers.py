"""ModuleList, ModuleDict and what Sequential shares with them: PyTorch's methods, names and refusals."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

from minidl import nn
from minidl.errors import ShapeError
from minidl.nn import containers
from minidl.testing import Bug, planted


def parts(n=3):
    return [nn.Linear(2, 2 + i) for i in range(n)]


@pytest.mark.parametrize("kind", [lambda given: nn.ModuleList(given), lambda given: nn.Sequential(*given)])
class TestNumbered:
    def test_append_extend_insert_and_pop(self, kind):
        a, b, c = parts()
        held = kind([a])
        assert held.append(c) is held
        held.insert(1, b)
        assert list(held) == [a, b, c]
        assert held.extend([a, b]) is held
        assert list(held) == [a, b, c, a, b]
        assert held.pop(-1) is b
        assert held.pop(0) is a
        assert list(held) == [b, c, a]
        assert [name for name, _ in held.named_children()] == ["0", "1", "2"]

    def test_index_slice_set_and_delete(self, kind):
        a, b, c = parts()
        held = kind([a, b, c])
        assert (held[0], held[-1], len(held)) == (a, c, 3)
        assert type(held[1:]) is type(held)
        assert list(held[1:]) == [b, c]
        held[-1] = a
        assert list(held) == [a, b, a]
        del held[0]
        del held[1:]
        assert list(held) == [b]
        for wrong in (1, -2):
            with pytest.raises(IndexError):
                held[wrong]

    def test_what_is_no_module_changes_nothing(self, kind):
        held = kind(parts(2))
        before, name = list(held), type(held).__name__
        for change in (
            lambda: held.append(3),
            lambda: held.extend([nn.ReLU(), 3]),
            lambda: held.insert(0, 3),
            lambda: held.__setitem__(0, 3),
        ):
            with pytest.raises(TypeError, match=f"{name}: expected modules, got int"):
                change()
        assert list(held) == before

    def test_parameters_are_found_in_order(self, kind):
        assert list(kind(parts(2)).state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


class TestModuleList:
    def test_adding_lists(self):
        a, b, c = parts()
        both = nn.ModuleList([a]) + nn.ModuleList([b])
        assert isinstance(both, nn.ModuleList)
        both += [c]
        assert list(both) == [a, b, c]
        assert c in both

    def test_it_has_no_forward(self):
        with pytest.raises(NotImplementedError, match="ModuleList does not define forward"):
            nn.ModuleList()(np.ones(3))


class TestModuleDict:
    def test_it_is_a_dict(self):
        a, b, c = parts()
        held = nn.ModuleDict({"a": a})
        held["b"] = b
        held.update([("c", c), ("a", b)])
        assert list(held) == list(held.keys()) == ["a", "b", "c"]
        assert list(held.values()) == [b, b, c]
        assert list(held.items()) == [("a", b), ("b", b), ("c", c)]
        assert "a" in held
        assert "d" not in held
        assert len(held) == 3
        assert held.pop("c") is c
        del held["b"]
        assert list(held) == ["a"]
        held.update(nn.ModuleDict({"e": c}))
        assert list(held) == ["a", "e"]
        held.clear()
        assert len(held) == 0
        with pytest.raises(KeyError):
            held["a"]
        with pytest.raises(KeyError):
            del held["training"]

    def test_bad_names_and_values_change_nothing(self):
        held = nn.ModuleDict({"a": nn.ReLU()})
        for name in ("", "a.b", "keys", "training", "forward"):
            with pytest.raises(KeyError, match="ModuleDict: expected a name"):
                held.update({"z": nn.ReLU(), name: nn.ReLU()})
        with pytest.raises(TypeError, match="expected names of modules as strings, got 3"):
            held[3] = nn.ReLU()
        with pytest.raises(TypeError, match="expected modules, got int at 'y'"):
            held.update({"z": nn.ReLU(), "y": 3})
        assert list(held) == ["a"]


def test_names_of_parameters_are_pytorchs():
    torch = pytest.importorskip("torch")

    def build(lib):
        return lib.ModuleDict(
            {
                "list": lib.ModuleList([lib.Linear(2, 3), lib.Sequential(lib.Linear(3, 4, bias=False))]),
                "named": lib.Sequential(OrderedDict(conv=lib.Conv2d(1, 2, 3), bn=lib.BatchNorm2d(2))),
            }
        )

    assert list(build(nn).state_dict()) == list(build(torch.nn).state_dict())


def test_a_sequential_with_names():
    model = nn.Sequential({"first": nn.Linear(2, 3), "second": nn.ReLU()})
    assert list(model.state_dict()) == ["first.weight", "first.bias"]
    model[0] = nn.Linear(2, 5)
    assert model(np.ones((1, 2), np.float32)).shape == (1, 5)
    with pytest.raises(KeyError, match=r"'a\.b'"):
        nn.Sequential({"a.b": nn.ReLU()})


def test_branches_of_different_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"Residual\(\): expected .* the input, \(4, 2\), got \(4, 3\)"):
        nn.Residual(nn.Linear(2, 3))(np.ones((4, 2)))
    with pytest.raises(ShapeError, match=r"the shortcut, \(4, 5\), got \(4, 3\)"):
        nn.Residual(nn.Linear(2, 3), nn.Linear(2, 5))(np.ones((4, 2)))
    with pytest.raises(ShapeError, match=r"dimension 0 only, got \(4, 3\) and \(4, 5\)"):
        nn.Concat(nn.Linear(2, 3), nn.Linear(2, 5), dim=0)(np.ones((4, 2)))
    with pytest.raises(ShapeError, match=r"has dimension 2, got \(4, 3\)"):
        nn.Concat(nn.Linear(2, 3), dim=2)(np.ones((4, 2)))
    with pytest.raises(ValueError, match="Concat: expected branches, got none"):
        nn.Concat()
    with pytest.raises(TypeError, match="Concat: expected modules, got int at 0"):
        nn.Concat(3)


def test_the_gradient_of_the_data_is_left_out_only_where_one_layer_meets_it():
    x = np.ones((3, 2))
    branched = nn.Sequential(nn.Residual(nn.Linear(2, 2)), nn.Linear(2, 1))
    with branched.no_input_grad():
        assert branched.backward(branched(x)) is not None
    chain = nn.Sequential(nn.Linear(2, 2), nn.Residual(nn.Linear(2, 2)))
    with chain.no_input_grad():
        assert chain.backward(chain(x)) is None


def list_and_dict():
    held = TestNumbered()
    for kind in (nn.ModuleList, lambda given: nn.Sequential(*given)):
        held.test_append_extend_insert_and_pop(kind)
        held.test_index_slice_set_and_delete(kind)
        held.test_what_is_no_module_changes_nothing(kind)
    TestModuleList().test_adding_lists()
    TestModuleDict().test_it_is_a_dict()
    TestModuleDict().test_bad_names_and_values_change_nothing()


NUMBERED = [  # (what is wrong, the method, the text in it, what stands there instead)
    ("appended in the place of the last", "append", "str(len(self))", "str(max(len(self) - 1, 0))"),
    ("inserted at the end", "insert", "modules.insert(index,", "modules.insert(len(modules),"),
    ("what was there before stays", "_put", "delattr(self, name)", "pass"),
    ("popped and kept", "pop", "del self[key]", "pass"),
    ("set by the number, not from the end", "__setitem__", "names[index]", "str(abs(index))"),
]
TAKEN_EARLY = "            setattr(self, name, module)\n            if not isinstance(module, Module):"
BUGS = [
    *(Bug(name, containers._Numbered, *where) for name, *where in NUMBERED),
    Bug(
        "names of attributes", containers, "check_free", "hasattr(holder, name) and not replaceable", "False"
    ),
    Bug("an update that stops half-way", nn.ModuleDict, "update", TAKEN_EARLY[40:], TAKEN_EARLY),
    Bug("deleting what is no module", nn.ModuleDict, "__delitem__", "if key not in self:", "if False:"),
]
ERRORS = (AssertionError, AttributeError, IndexError, KeyError, TypeError, pytest.fail.Exception)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_planted_bugs_are_caught(bug):
    list_and_dict()
    with planted(bug), pytest.raises(ERRORS):
        list_and_dict()
