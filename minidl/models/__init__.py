"""Networks, one file per paper. Each is a Module with a hand-written forward and backward."""

from minidl.models.lenet5 import LeNet5
from minidl.models.mlp import MLP
from minidl.models.resnet import ResNet, resnet18, resnet34, resnet50, resnet101, resnet152
from minidl.models.resnet_cifar import (
    CifarResNet,
    plain20,
    plain32,
    plain56,
    resnet20,
    resnet32,
    resnet56,
)

__all__ = [
    "MLP",
    "CifarResNet",
    "LeNet5",
    "ResNet",
    "plain20",
    "plain32",
    "plain56",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet50",
    "resnet56",
    "resnet101",
    "resnet152",
]
