"""Public proofs: check a gradient, put a layer or an optimizer through everything that it must do."""

from minidl.testing.component import CHECKS, Sample, Wrong, check_component
from minidl.testing.doctor import diagnose
from minidl.testing.gradients import GradientCheck, TensorCheck, gradient_check, numerical_gradient
from minidl.testing.optim import check_optimizer, check_scheduler
from minidl.testing.planted import Bug, planted
from minidl.testing.simulator import SimulatedDevice

__all__ = [
    "CHECKS",
    "Bug",
    "GradientCheck",
    "Sample",
    "SimulatedDevice",
    "TensorCheck",
    "Wrong",
    "check_component",
    "check_optimizer",
    "check_scheduler",
    "diagnose",
    "gradient_check",
    "numerical_gradient",
    "planted",
]
