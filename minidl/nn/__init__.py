"""Room 3: layers, losses and networks. Each has its forward and its backward side by side."""

from minidl.nn import init, utils
from minidl.nn.activation import ReLU, Sigmoid, Softmax, Tanh
from minidl.nn.batchnorm import BatchNorm1d, BatchNorm2d
from minidl.nn.containers import Sequential
from minidl.nn.conv import Conv2d
from minidl.nn.dropout import Dropout
from minidl.nn.flatten import Flatten
from minidl.nn.linear import Linear
from minidl.nn.loss import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from minidl.nn.module import Module, watch_forward
from minidl.nn.parameter import Parameter
from minidl.nn.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d

__all__ = [
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "Linear",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "init",
    "utils",
    "watch_forward",
]
