"""Networks, one file per paper. Each is a Module with a hand-written forward and backward."""

from minidl.models.alex_net import AlexNet, alexnet
from minidl.models.inception import GoogLeNet, GoogLeNetOutputs, googlenet
from minidl.models.lenet5 import LeNet5
from minidl.models.mlp import MLP
from minidl.models.mobilenetv2 import MobileNetV2, mobilenet_v2
from minidl.models.perceptron import Perceptron
from minidl.models.registry import get_model, list_models, model_for_images
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
from minidl.models.transfer import freeze, parameter_groups, replace_head, unfreeze
from minidl.models.vgg import (
    VGG,
    vgg11,
    vgg11_bn,
    vgg11_cifar,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg16_cifar,
    vgg19,
    vgg19_bn,
)

__all__ = [
    "MLP",
    "VGG",
    "AlexNet",
    "CifarResNet",
    "GoogLeNet",
    "GoogLeNetOutputs",
    "LeNet5",
    "MobileNetV2",
    "Perceptron",
    "ResNet",
    "alexnet",
    "freeze",
    "get_model",
    "googlenet",
    "list_models",
    "mobilenet_v2",
    "model_for_images",
    "parameter_groups",
    "plain20",
    "plain32",
    "plain56",
    "replace_head",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet50",
    "resnet56",
    "resnet101",
    "resnet152",
    "unfreeze",
    "vgg11",
    "vgg11_bn",
    "vgg11_cifar",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg16_cifar",
    "vgg19",
    "vgg19_bn",
]
