"""Room 3: layers, losses and networks. Each has its forward and its backward side by side."""

from minidl.nn import init, utils
from minidl.nn.activation import ReLU, Sigmoid, Tanh
from minidl.nn.adaptive_pooling import AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool2d
from minidl.nn.batchnorm import BatchNorm1d, BatchNorm2d, InstanceNorm2d
from minidl.nn.bilinear import Bilinear
from minidl.nn.branches import Concat, Residual
from minidl.nn.containers import ModuleDict, ModuleList, Sequential
from minidl.nn.conv import Conv1d, Conv2d
from minidl.nn.conv_transpose import ConvTranspose2d
from minidl.nn.dropout import AlphaDropout, Dropout, Dropout2d
from minidl.nn.embedding import Embedding
from minidl.nn.embedding_bag import EmbeddingBag
from minidl.nn.exponential_units import CELU, ELU, SELU, Softplus
from minidl.nn.flatten import Flatten, Unflatten
from minidl.nn.gates import GELU, GLU, Hardswish, Mish, SiLU
from minidl.nn.identity import Identity
from minidl.nn.layernorm import GroupNorm, LayerNorm, RMSNorm
from minidl.nn.linear import Linear
from minidl.nn.loss_auxiliary import AuxiliaryLoss
from minidl.nn.loss_binary import BCELoss, BCEWithLogitsLoss, HingeEmbeddingLoss, SoftMarginLoss
from minidl.nn.loss_classes import CrossEntropyLoss, MultiMarginLoss, NLLLoss
from minidl.nn.loss_distribution import KLDivLoss, PoissonNLLLoss
from minidl.nn.loss_regression import HuberLoss, L1Loss, MSELoss, SmoothL1Loss
from minidl.nn.module import Module, watch_forward
from minidl.nn.padding import CircularPad2d, ReflectionPad2d, ReplicationPad2d, ZeroPad2d
from minidl.nn.parameter import Parameter
from minidl.nn.pixel_shuffle import PixelShuffle, PixelUnshuffle
from minidl.nn.pooling import AvgPool2d, MaxPool2d
from minidl.nn.pooling_1d import AvgPool1d, MaxPool1d
from minidl.nn.rectifiers import LeakyReLU, PReLU, ReLU6, Threshold
from minidl.nn.response import LocalResponseNorm
from minidl.nn.row_sparse import RowSparse
from minidl.nn.shrinkers import Hardshrink, Softshrink, Tanhshrink
from minidl.nn.similarity import CosineEmbeddingLoss, CosineSimilarity
from minidl.nn.softmax import LogSoftmax, Softmax, Softmin
from minidl.nn.squashers import Hardsigmoid, Hardtanh, LogSigmoid, Softsign
from minidl.nn.upsample import Upsample
from minidl.nn.watch import watch_backward

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AlphaDropout",
    "AuxiliaryLoss",
    "AvgPool1d",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Bilinear",
    "CircularPad2d",
    "Concat",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "CosineEmbeddingLoss",
    "CosineSimilarity",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "Embedding",
    "EmbeddingBag",
    "Flatten",
    "GroupNorm",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "Identity",
    "InstanceNorm2d",
    "KLDivLoss",
    "L1Loss",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "Mish",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiMarginLoss",
    "NLLLoss",
    "PReLU",
    "Parameter",
    "PixelShuffle",
    "PixelUnshuffle",
    "PoissonNLLLoss",
    "RMSNorm",
    "ReLU",
    "ReLU6",
    "ReflectionPad2d",
    "ReplicationPad2d",
    "Residual",
    "RowSparse",
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
    "Unflatten",
    "Upsample",
    "ZeroPad2d",
    "init",
    "utils",
    "watch_backward",
    "watch_forward",
]
