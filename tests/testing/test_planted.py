"""The tool that plants bugs breaks what it says, everywhere at once, and mends it again."""

import math
import sys

import numpy as np
import pytest

from minidl.kernels import averages
from minidl.testing.planted import Bug, planted


def area(radius: float) -> float:
    """The area of a circle."""
    return math.pi * radius**2  # pi r squared


same_function = area  # what `from module import area` holds elsewhere


class Shape:
    sides = 4

    def corners(self) -> int:
        return self.sides

    @staticmethod
    def dimensions() -> int:
        return 2

    @classmethod
    def doubled(cls) -> int:
        return cls.sides * 2

    @property
    def name(self) -> str:
        return "shape"


class Triangle(Shape):
    sides = 3

    def corners(self, extra: int = 0) -> int:
        return super().corners() + extra


class FakeKernel:
    def __init__(self, reference):
        self.reference = reference


@FakeKernel
def kernel(x: int) -> int:
    return x + 1


def here():
    return sys.modules[__name__]


@pytest.mark.parametrize(
    ("bug", "call", "honest", "broken"),
    [
        (
            Bug("function", here(), "area", "radius**2", "radius**3"),
            lambda: area(2.0),
            math.pi * 4,
            math.pi * 8,
        ),
        (Bug("held elsewhere", here(), "area", "math.pi", "3"), lambda: same_function(1.0), math.pi, 3),
        (Bug("method", Shape, "corners", "self.sides", "self.sides + 1"), lambda: Shape().corners(), 4, 5),
        (Bug("inherited", Triangle, "name", '"shape"', '"x"'), lambda: Triangle().name, "shape", "x"),
        (Bug("super", Triangle, "corners", "+ extra", "- extra"), lambda: Triangle().corners(1), 4, 2),
        (Bug("static", Shape, "dimensions", "return 2", "return 3"), Shape.dimensions, 2, 3),
        (Bug("class method", Shape, "doubled", "* 2", "* 3"), Shape.doubled, 8, 12),
        (Bug("kernel in a module", here(), "kernel", "x + 1", "x - 1"), lambda: kernel.reference(5), 6, 4),
        (Bug("kernel", kernel, "reference", "x + 1", "x - 1"), lambda: kernel.reference(5), 6, 4),
    ],
    ids=lambda value: value.name if isinstance(value, Bug) else "",
)
def test_the_bug_is_there_inside_the_block_only(bug, call, honest, broken):
    assert call() == honest
    with planted(bug):
        assert call() == broken
    assert call() == honest


def test_it_is_mended_after_an_error_in_the_block():
    with pytest.raises(KeyError), planted(Bug("wrong", here(), "area", "**2", "**3")):
        raise KeyError
    assert area(2.0) == math.pi * 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("radius**4", "radius", "found it 0 times"),
        ("radius", "r", "found it 2 times"),
        ("# pi r squared", "# something else", "changes nothing that runs"),
    ],
)
def test_a_bug_that_plants_nothing_is_refused(old, new, message):
    with pytest.raises(AssertionError, match=message), planted(Bug("idle", here(), "area", old, new)):
        pass


def test_a_bug_in_a_default_value_is_refused_because_it_would_not_take_effect():
    with (
        pytest.raises(AssertionError, match="changes nothing"),
        planted(Bug("default", Triangle, "corners", "extra: int = 0", "extra: int = 1")),
    ):
        pass


def test_a_lost_closure_is_named():
    bug = Bug(
        "no super",
        Triangle,
        "corners",
        "return super().corners()",
        "return 3",
    )
    with pytest.raises(AssertionError, match="outer variables"), planted(bug):
        pass


def test_what_is_no_python_function_is_refused():
    with (
        pytest.raises(AssertionError, match="no Python function"),
        planted(Bug("len", math, "sqrt", "a", "b")),
    ):
        pass


def test_a_kernel_of_minidl_is_broken_and_mended():
    x = np.arange(4.0).reshape(1, 1, 2, 2)
    with planted(Bug("sum for mean", averages, "adaptive_avg_pool2d", ".mean(", ".sum(")):
        assert averages.adaptive_avg_pool2d.reference(x, (1, 1)).item() == 6.0
    assert averages.adaptive_avg_pool2d.reference(x, (1, 1)).item() == 1.5
