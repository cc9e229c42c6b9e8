"""Pooling of sequences: a sequence is an image of one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from minidl import kernels
from minidl.array import Array
from minidl.errors import ShapeError
from minidl.kernels.geometry import Pair, output_size, whole
from minidl.kernels.pooling import winner_positions
from minidl.nn.module import Module
from minidl.nn.pooling import check_padding, steps_over

__all__ = ["AvgPool1d", "MaxPool1d", "Size1d", "one_size"]

Size1d: TypeAlias = int | Sequence[int]
"""One number, or a sequence of one, as PyTorch takes it."""


class _Pool1d(Module):
    """What max- and average pooling share: a window, a stride, a padding."""

    kernel_size: int
    stride: int
    padding: int
    dilation: int = 1
    ceil_mode: bool

    def _set_window(self, kernel_size: Size1d, stride: Size1d | None, padding: Size1d) -> None:
        name = type(self).__name__
        self.kernel_size = one_size(kernel_size, f"{name}: kernel_size", 1)
        self.stride = self.kernel_size if stride is None else one_size(stride, f"{name}: stride", 1)
        self.padding = one_size(padding, f"{name}: padding", 0)
        check_padding(name, self.padding, self.kernel_size, padding, kernel_size)

    def _as_image(self, x: Array) -> Array:
        """(N, C, L) or (C, L) → (N, C, 1, L), if that is what x is and a window fits."""
        x = self.check_batch(x, "N", "C", "L")
        size, span = x.shape[2], self.dilation * (self.kernel_size - 1) + 1
        how = (self.stride, self.padding, self.dilation)
        if output_size(size, self.kernel_size, *how, self.ceil_mode) < 1:
            raise ShapeError(
                f"{self.label()}: expected an input whose length, with padding, is at least the kernel's "
                f"{span}, got {size} + 2·{self.padding} in {x.shape}"
            )
        if steps_over(size, *how):
            raise ShapeError(
                f"{self.label()}: expected an input with a number in every window of kernel_size="
                f"{self.kernel_size}, padding={self.padding}, dilation={self.dilation}, got {x.shape}"
            )
        return x[:, :, None]  # (N, C, 1, L)

    def _window(self) -> tuple[Pair, Pair, Pair, Pair]:
        """Kernel, stride, padding and dilation of the image's windows."""
        return (1, self.kernel_size), (1, self.stride), (0, self.padding), (1, self.dilation)


def one_size(value: Size1d, name: str, least: int) -> int:
    """The number that a user may have put into a sequence.

    Raises:
        ValueError: no whole number, or one below `least`.
    """
    one = value[0] if isinstance(value, tuple | list) and len(value) == 1 else value
    return whole(one, name, least)  # type: ignore[arg-type]


class MaxPool1d(_Pool1d):
    """The largest number of every window of a sequence: `MaxPool2d` of one row.

    The padding counts as −∞. The gradient goes to the number that won; among equals the first.

    Shape:
        - input: (N, C, L) or (C, L)
        - output: (N, C, OL) or (C, OL), OL = ⌊(L + 2·padding − dilation·(k − 1) − 1) / stride⌋ + 1
          (⌈…⌉ with `ceil_mode`)

    Args:
        kernel_size: k, numbers of a window.
        stride: numbers between two windows; the kernel's size unless told.
        padding: numbers on each side, at most half the kernel.
        dilation: numbers between two taps of a window.
        return_indices: True returns (output, positions of the winners) instead of the output.
        ceil_mode: True keeps a last window that hangs over the end.

    Raises:
        ValueError: sizes below 1, or padding beyond half the kernel.
        ShapeError: an input of another rank, shorter than a window, or stepped over by a dilated one.
    """

    return_indices: bool

    def __init__(
        self,
        kernel_size: Size1d,
        stride: Size1d | None = None,
        padding: Size1d = 0,
        dilation: Size1d = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self._set_window(kernel_size, stride, padding)
        self.dilation = one_size(dilation, "MaxPool1d: dilation", 1)
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, x: Array) -> Array | tuple[Array, Array]:
        image = self._as_image(x)  # (N, C, 1, L)
        maxima, winners = kernels.max_pool2d(image, *self._window(), self.ceil_mode)
        y = maxima[:, :, 0]  # (N, C, OL)
        self.remember(winners, image.shape, output=y)
        if not self.return_indices:
            return self.as_given(y)
        positions = winner_positions(winners, image.shape[3], *self._window())[:, :, 0]  # (N, C, OL)
        return self.as_given(y), self.as_given(positions)

    def backward(self, dy: Array) -> Array:
        # dx[where the window's largest number was] += dy
        dy, winners, shape = self.recall(dy)
        how = (*self._window(), self.ceil_mode)
        dx = kernels.max_pool2d_input_grad(dy[:, :, None], winners, shape, *how)[:, :, 0]  # (N, C, L)
        return self.as_given(dx)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, return_indices={self.return_indices}, ceil_mode={self.ceil_mode}"
        )


class AvgPool1d(_Pool1d):
    """The mean of every window of a sequence: `AvgPool2d` of one row.

    Shape:
        - input: (N, C, L) or (C, L)
        - output: (N, C, OL) or (C, OL), OL = ⌊(L + 2·padding − k) / stride⌋ + 1 (⌈…⌉ with `ceil_mode`)

    Args:
        kernel_size: k, numbers of a window.
        stride: numbers between two windows; the kernel's size unless told.
        padding: zeros on each side, at most half the kernel.
        ceil_mode: True keeps a last window that hangs over the end.
        count_include_pad: whether the padding's zeros count as numbers of the mean.

    Raises:
        ValueError: sizes below 1, or padding beyond half the kernel.
        ShapeError: an input of another rank, or shorter than a window.
    """

    count_include_pad: bool

    def __init__(
        self,
        kernel_size: Size1d,
        stride: Size1d | None = None,
        padding: Size1d = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self._set_window(kernel_size, stride, padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, x: Array) -> Array:
        image = self._as_image(x)  # (N, C, 1, L)
        y = kernels.avg_pool2d(image, *self._how())[:, :, 0]  # (N, C, OL)
        self.remember(image.shape, output=y)
        return self.as_given(y)

    def backward(self, dy: Array) -> Array:
        # dx = dy / cells, for every cell of the window
        dy, shape = self.recall(dy)
        dx = kernels.avg_pool2d_input_grad(dy[:, :, None], shape, *self._how())[:, :, 0]  # (N, C, L)
        return self.as_given(dx)

    def _how(self) -> tuple[Pair, Pair, Pair, bool, bool, None]:
        kernel_size, stride, padding, _ = self._window()
        return kernel_size, stride, padding, self.ceil_mode, self.count_include_pad, None

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"ceil_mode={self.ceil_mode}, count_include_pad={self.count_include_pad}"
        )
