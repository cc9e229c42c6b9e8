"""The public checks of a component say what is wrong, on layers that minidl did not write."""

import subprocess
import sys

import numpy as np
import pytest

from minidl import nn
from minidl.array import to_host
from minidl.errors import BackendError
from minidl.testing import CHECKS, Sample, check_component


class Scale(nn.Module):
    """A layer of a learner that does everything right: y = c · w · x, with w trained."""

    def __init__(self, size, factor=2.0, groups=1):
        self.size, self.factor, self.groups = size, factor, groups
        self.weight = nn.Parameter(np.ones(size, np.float32))

    def forward(self, x):
        self.check_input(x, "*", self.size)
        y = x * self.weight.astype(x.dtype) * self.factor
        self.remember(x, output=y)
        return y

    def backward(self, dy):
        # dw = c Σ dy x    dx = c dy w
        dy, x = self.recall(dy)
        self.weight.add_grad((dy * x).reshape(-1, self.size).sum(axis=0) * self.factor)
        return dy * self.weight.astype(dy.dtype) * self.factor

    def extra_repr(self):
        return f"{self.size}, factor={self.factor}, groups={self.groups}"


class ReusesItsOutput(Scale):
    """Writes every output into one array."""

    def forward(self, x):
        y = super().forward(x)
        if getattr(self, "_y", np.empty(0)).shape != y.shape or self._y.dtype != y.dtype:
            self._y = np.empty_like(y)
        self._y[...] = y
        return self._y


class TrainsWhatIsFrozen(Scale):
    def backward(self, dy):
        _, x = self._memory.saved[0], self._memory.saved[0]
        dx = super().backward(dy)
        if self.weight.grad is None:
            self.weight.grad = (np.asarray(dy, x.dtype) * x).reshape(-1, self.size).sum(axis=0) * self.factor
        return dx


class NeedsGradientsForDx(Scale):
    def backward(self, dy):
        dx = super().backward(dy)
        return dx if self.weight.requires_grad else np.zeros_like(dx)


class HidesGroups(Scale):
    """1 is shown, but as a part of 11."""

    def extra_repr(self):
        return f"{self.size}, factor={self.factor}, eleven=11"


class SwapsPlaces(Scale):
    def extra_repr(self):
        return f"{self.factor}, {self.size}, groups={self.groups}"


class ForgetsItsDevice(Scale):
    """NumPy makes the array, so it is always on the host."""

    def backward(self, dy):
        super().backward(dy)
        return np.full(dy.shape, self.factor, dy.dtype) * self.weight.astype(dy.dtype) * dy


class IsAnotherOnADevice(Scale):
    """Looks at where its input is."""

    def forward(self, x):
        y = super().forward(x)
        return y if isinstance(x, np.ndarray) else y + 1e-4


class StaysBehind(Scale):
    """Computes on the host, whatever it is given."""

    def forward(self, x):
        y = super().forward(x)
        return y if isinstance(x, np.ndarray) else to_host(y)


class ReturnsNothing(Scale):
    def backward(self, dy):
        super().backward(dy)


class Looks(nn.Embedding):
    """Looks rows up: integers go in, and no gradient comes back."""

    def __init__(self):
        super().__init__(5, 3)

    def extra_repr(self):
        return ""


class GivesIntegersAGradient(Looks):
    def backward(self, dy):
        super().backward(dy)
        return np.zeros(dy.shape[:-1])


class TakesFloats(Looks):
    def check_integers(self, x, what="input"):
        if x.dtype.kind != "f":
            super().check_integers(x, what)

    def forward(self, x):
        self.check_integers(x)
        return super().forward(x.astype(np.int64))


class SwallowsNaN(Looks):
    def forward(self, x):
        return np.nan_to_num(super().forward(x))


class GradientsOfAlmost(Looks):
    def backward(self, dy):
        super().backward(dy * 1.001)


class KeepsTheUpstreamGradient(Looks):
    def backward(self, dy):
        dy, indices = self.recall(dy)
        self.weight.grad = nn.RowSparse(indices, dy.reshape(-1, 3), self.weight.shape)


def looking(cls, **traits):
    return Sample(lambda: cls(), lambda rng, n: (rng.integers(0, 5, (n, 4)),), **traits)


def test_a_careful_layer_that_looks_up_passes():
    check_component(looking(Looks))


@pytest.mark.parametrize(
    ("cls", "check", "message"),
    [
        (GivesIntegersAGradient, "gradients", "expected 0 gradients, one per array input, got 1"),
        (TakesFloats, "errors", "float64: expected DTypeError with 'int32 or int64'"),
        (SwallowsNaN, "extremes", "parameters are NaN, no NaN came out"),
        (GradientsOfAlmost, "gradients", "✗ dweight"),
        (KeepsTheUpstreamGradient, "purity", "shares memory with something else"),
    ],
)
def test_a_careless_layer_that_looks_up_is_told(cls, check, message):
    with pytest.raises(AssertionError, match=message):
        CHECKS[check](looking(cls))


def test_gradients_declared_not_to_be_derivatives_must_not_be():
    CHECKS["gradients"](looking(GradientsOfAlmost, not_derivatives="of another number"))
    with pytest.raises(AssertionError, match="are the derivative, declared not to be"):
        CHECKS["gradients"](looking(Looks, not_derivatives="no reason"))


def sample(cls):
    return Sample(lambda: cls(3), lambda rng, n: (rng.standard_normal((n, 4, 3)),))


def test_a_careful_layer_passes():
    check_component(sample(Scale))


@pytest.mark.parametrize(
    ("cls", "check", "message"),
    [
        (ReusesItsOutput, "purity", "two calls share memory"),
        (TrainsWhatIsFrozen, "frozen parameters", "frozen, and yet with a gradient: weight"),
        (NeedsGradientsForDx, "frozen parameters", "with its parameters frozen: dx0"),
        (HidesGroups, "copies", "repr does not show groups"),
        (SwapsPlaces, "copies", "repr does not show size"),
        (IsAnotherOnADevice, "device", "device in float64: y"),
        (StaysBehind, "device", "device arrays in, ndarray out"),
        (ReturnsNothing, "gradients", r"ReturnsNothing\(\): expected dx to be an array, got None"),
        (ReturnsNothing, "small batches", r"ReturnsNothing\(\): expected dx to be an array, got None"),
    ],
)
def test_a_careless_layer_is_told(cls, check, message):
    with pytest.raises(AssertionError, match=message):
        CHECKS[check](sample(cls))


def test_an_array_that_numpy_makes_is_refused_on_a_device():
    with pytest.raises(BackendError, match=r"multiply: .* a DeviceArray and a host array \(2, 4, 3\)"):
        CHECKS["device"](sample(ForgetsItsDevice))


def test_a_class_inside_a_function_cannot_be_pickled_and_is_told_why():
    class Local(Scale):
        pass

    with pytest.raises(
        AssertionError, match="must stand at the top level of a module, not inside a function"
    ):
        check_component(sample(Local))


def test_the_checks_check_under_minus_o_too():
    """`python -O` drops every `assert`; a check that consists of them would let everything pass."""
    code = """
import numpy as np
from minidl import nn, optim
from minidl.testing import check_optimizer, gradient_check

class Twice(nn.Tanh):
    def backward(self, dy):
        return 2 * super().backward(dy)

class Still(optim.SGD):
    def update(self, theta, g, state, group):
        pass

for check in (lambda: gradient_check(Twice(), np.ones((2, 3))), lambda: check_optimizer(Still, steps=1)):
    try:
        check()
    except AssertionError as error:
        print("told")
"""
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["told", "told"]
