"""Room 3: layers, losses and networks. Each has its forward and its backward side by side."""

from minidl.nn import init, utils
from minidl.nn.activation import ReLU, Sigmoid, Tanh
from minidl.nn.batchnorm import BatchNorm1d, BatchNorm2d
from minidl.nn.branches import Concat, Residual
from minidl.nn.containers import ModuleDict, ModuleList, Sequential
from minidl.nn.conv import Conv2d
from minidl.nn.dropout import AlphaDropout, Dropout, Dropout2d
from minidl.nn.exponential_units import CELU, ELU, SELU, Softplus
from minidl.nn.flatten import Flatten
from minidl.nn.gates import GELU, GLU, Hardswish, Mish, SiLU
from minidl.nn.identity import Identity
from minidl.nn.linear import Linear
from minidl.nn.loss_binary import BCELoss, BCEWithLogitsLoss, HingeEmbeddingLoss, SoftMarginLoss
from minidl.nn.loss_classes import CrossEntropyLoss, MultiMarginLoss, NLLLoss
from minidl.nn.loss_distribution import KLDivLoss, PoissonNLLLoss
from minidl.nn.loss_regression import HuberLoss, L1Loss, MSELoss, SmoothL1Loss
from minidl.nn.module import Module, watch_forward
from minidl.nn.parameter import Parameter
from minidl.nn.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from minidl.nn.rectifiers import LeakyReLU, PReLU, ReLU6, Threshold
from minidl.nn.shrinkers import Hardshrink, Softshrink, Tanhshrink
from minidl.nn.similarity import CosineEmbeddingLoss, CosineSimilarity
from minidl.nn.softmax import LogSoftmax, Softmax, Softmin
from minidl.nn.squashers import Hardsigmoid, Hardtanh, LogSigmoid, Softsign

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "AdaptiveAvgPool2d",
    "AlphaDropout",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Concat",
    "Conv2d",
    "CosineEmbeddingLoss",
    "CosineSimilarity",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "Flatten",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "Identity",
    "KLDivLoss",
    "L1Loss",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Mish",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiMarginLoss",
    "NLLLoss",
    "PReLU",
    "Parameter",
    "PoissonNLLLoss",
    "ReLU",
    "ReLU6",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "init",
    "utils",
    "watch_forward",
]
