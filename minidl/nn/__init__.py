"""Room 3: layers, losses and networks. Each has its forward and its backward side by side."""

from minidl.nn import init
from minidl.nn.containers import Sequential
from minidl.nn.linear import Linear
from minidl.nn.module import Module, watch_forward
from minidl.nn.parameter import Parameter

__all__ = ["Linear", "Module", "Parameter", "Sequential", "init", "watch_forward"]
