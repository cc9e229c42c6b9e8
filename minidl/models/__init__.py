"""Networks, one file per paper. Each is a Module with a hand-written forward and backward."""

from minidl.models.lenet5 import LeNet5
from minidl.models.mlp import MLP

__all__ = ["MLP", "LeNet5"]
