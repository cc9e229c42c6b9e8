"""Pooling layers: fewer pixels, each standing for a window."""

from __future__ import annotations

from minidl import kernels
from minidl.array import Array
from minidl.errors import ShapeError
from minidl.kernels.geometry import Pair, Size2d, check_fits, pair
from minidl.kernels.pooling import winner_positions
from minidl.nn.module import Module

__all__ = ["AvgPool2d", "MaxPool2d", "check_padding", "steps_over"]


class _Pool2d(Module):
    """What max- and average pooling share: a window, a stride, a padding."""

    kernel_size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair = (1, 1)
    ceil_mode: bool
    _fitting: tuple[int, ...] = ()  # the last shape that was checked

    def _set_window(self, kernel_size: Size2d, stride: Size2d | None, padding: Size2d) -> None:
        name = type(self).__name__
        self.kernel_size = pair(kernel_size, f"{name}: kernel_size", 1)
        self.stride = self.kernel_size if stride is None else pair(stride, f"{name}: stride", 1)
        self.padding = pair(padding, f"{name}: padding")
        for pad, kernel in zip(self.padding, self.kernel_size, strict=True):
            check_padding(name, pad, kernel, padding, kernel_size)

    def _checked(self, x: Array) -> Array:
        """A batch of images, of which one alone may be given, that windows fit into."""
        x = self.check_batch(x, "N", "C", "H", "W")
        if x.shape != self._fitting:  # the same few shapes come at every step
            window = (self.kernel_size, self.stride, self.padding, self.dilation)
            _check_window(self.label(), x.shape, *window, self.ceil_mode)
            self._fitting = x.shape
        return x


def check_padding(name: str, pad: int, kernel: int, padding: Size2d, kernel_size: Size2d) -> None:
    """Refuse padding beyond half the kernel: a window could lie in it, and would have no maximum.

    Raises:
        ValueError: it names both as they were given.
    """
    if 2 * pad > kernel:
        raise ValueError(
            f"{name}: expected padding of at most half the kernel, "
            f"got padding={padding} for kernel_size={kernel_size}"
        )


def _check_window(
    who: str,
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> None:
    """Refuse images that are smaller than one window, or that a dilated window steps over."""
    check_fits(who, input_shape, kernel_size, stride, padding, dilation, ceil_mode)
    for axis in zip(input_shape[2:], stride, padding, dilation, strict=True):
        if steps_over(*axis):
            raise ShapeError(
                f"{who}: expected an input with a cell in every window of kernel_size="
                f"{kernel_size}, padding={padding}, dilation={dilation}, got {input_shape}"
            )


def steps_over(size: int, stride: int, padding: int, dilation: int) -> bool:
    """Whether some window that begins in the padding has no tap inside, along one axis."""
    # the first tap of the window at `start` that is not in the padding sits at start mod dilation
    return any(start % dilation >= size for start in range(-padding, 0, stride))


class MaxPool2d(_Pool2d):
    """The largest number of every window (Ranzato et al. 2007).

    The padding counts as −∞. The gradient goes to the number that won; among equals the first in
    reading order.

    Shape:
        - input: (N, C, H, W) or (C, H, W)
        - output: (N, C, OH, OW) or (C, OH, OW), OH = ⌊(H + 2·padding − dilation·(kh − 1) − 1) / stride⌋ + 1
          (⌈…⌉ with `ceil_mode`)

    Args:
        kernel_size: cells of a window, one number or (kh, kw).
        stride: cells between two windows; the kernel's size unless told.
        padding: cells on each side, at most half the kernel.
        dilation: cells between two taps of a window.
        return_indices: True returns (output, positions of the winners h·W + w) instead of the output.
        ceil_mode: True keeps a last window that hangs over the end.

    Raises:
        ValueError: sizes below 1, or padding beyond half the kernel.
        ShapeError: an input of another rank, smaller than a window, or stepped over by a dilated one.
    """

    return_indices: bool

    def __init__(
        self,
        kernel_size: Size2d,
        stride: Size2d | None = None,
        padding: Size2d = 0,
        dilation: Size2d = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self._set_window(kernel_size, stride, padding)
        self.dilation = pair(dilation, "MaxPool2d: dilation", 1)
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, x: Array) -> Array | tuple[Array, Array]:
        x = self._checked(x)
        window = (self.kernel_size, self.stride, self.padding, self.dilation)
        y, winners = kernels.max_pool2d(x, *window, self.ceil_mode)
        self.remember(winners, x.shape, output=y)
        if not self.return_indices:
            return self.as_given(y)
        return self.as_given(y), self.as_given(winner_positions(winners, x.shape[3], *window))

    def backward(self, dy: Array) -> Array:
        # dx[where the window's largest number was] += dy
        dy, winners, input_shape = self.recall(dy)
        window = (self.kernel_size, self.stride, self.padding, self.dilation)
        dx = kernels.max_pool2d_input_grad(dy, winners, input_shape, *window, self.ceil_mode)
        return self.as_given(dx)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, return_indices={self.return_indices}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(_Pool2d):
    """The mean of every window (LeCun et al. 1998).

    Shape:
        - input: (N, C, H, W) or (C, H, W)
        - output: (N, C, OH, OW) or (C, OH, OW),
          OH = ⌊(H + 2·padding − kh) / stride⌋ + 1 (⌈…⌉ with `ceil_mode`)

    Args:
        kernel_size: cells of a window, one number or (kh, kw).
        stride: cells between two windows; the kernel's size unless told.
        padding: zeros on each side, at most half the kernel.
        ceil_mode: True keeps a last window that hangs over the end.
        count_include_pad: whether the padding's zeros count as cells of the mean.
        divisor_override: a fixed divisor in place of the number of cells.

    Raises:
        ValueError: sizes below 1, padding beyond half the kernel, or a divisor of 0.
        ShapeError: an input of another rank, or smaller than a window.
    """

    count_include_pad: bool
    divisor_override: int | None

    def __init__(
        self,
        kernel_size: Size2d,
        stride: Size2d | None = None,
        padding: Size2d = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self._set_window(kernel_size, stride, padding)
        if divisor_override == 0:
            raise ValueError("AvgPool2d: expected a divisor_override other than 0, got 0")
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, x: Array) -> Array:
        x = self._checked(x)
        y = kernels.avg_pool2d(x, *self._how())
        self.remember(x.shape, output=y)
        return self.as_given(y)

    def backward(self, dy: Array) -> Array:
        # dx = dy / cells, for every cell of the window
        dy, input_shape = self.recall(dy)
        return self.as_given(kernels.avg_pool2d_input_grad(dy, input_shape, *self._how()))

    def _how(self) -> tuple[Pair, Pair, Pair, bool, bool, int | None]:
        window = (self.kernel_size, self.stride, self.padding)
        return *window, self.ceil_mode, self.count_include_pad, self.divisor_override

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"ceil_mode={self.ceil_mode}, count_include_pad={self.count_include_pad}, "
            f"divisor_override={self.divisor_override}"
        )
