"""Learning-rate schedules: large steps to get near, small ones to get there."""

from minidl.optim.lr_scheduler.base import LRScheduler
from minidl.optim.lr_scheduler.combined import ChainedScheduler, SequentialLR
from minidl.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from minidl.optim.lr_scheduler.cyclic import CyclicLR, OneCycleLR
from minidl.optim.lr_scheduler.lambdas import LambdaLR, MultiplicativeLR
from minidl.optim.lr_scheduler.plateau import ReduceLROnPlateau
from minidl.optim.lr_scheduler.steps import ExponentialLR, MultiStepLR, StepLR
from minidl.optim.lr_scheduler.warmup import ConstantLR, LinearLR, PolynomialLR

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
