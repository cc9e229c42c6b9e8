"""Upsampling: images and signals of another size, each new pixel read from the old ones near its place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from minidl import kernels
from minidl.array import Array, place_of
from minidl.errors import ShapeError
from minidl.kernels.geometry import whole
from minidl.nn.module import Module

__all__ = ["Upsample"]

Taps: TypeAlias = tuple[Array, Array]
"""How each new row is made of old ones: their places and weights, (taps, new rows) each."""

MODES = ("nearest", "nearest-exact", "linear", "bilinear")
MIXING = MODES[2:]


class Upsample(Module):
    """Images of another size: `y = A x Bᵀ`; A (OH, H) and B (OW, W) say which pixels a new one is made of.

    `nearest` repeats pixels: a row of A has a 1 at ⌊i·H/OH⌋ (`nearest-exact`: at ⌊(i + ½)·H/OH⌋, the pixel
    below the new one's middle). `bilinear` mixes the two around (i + ½)·H/OH − ½, or with `align_corners`
    around i·(H − 1)/(OH − 1), in proportion to how near they are. A and B are nearly all zeros, so no product
    with them is ever taken.

    Signals (N, C, L) are images of one row, and what is `bilinear` for images is `linear` for them.

    Shape:
        - input: (N, C, H, W) or (N, C, L)
        - output: (N, C, OH, OW) or (N, C, OL), `size`, or OH = ⌊H · scale_factor⌋

    Args:
        size: one number or (OH, OW), of signals (OL,).
        scale_factor: how many times larger, one number or one each for height and width; in place of `size`.
        mode: `nearest`, `nearest-exact`, `bilinear` of images or `linear` of signals.
        align_corners: of `bilinear` and `linear`: True lets the corner pixels' middles lie on each other, not
            the images' corners. False unless told.
        recompute_scale_factor: True takes OH/H in place of a `scale_factor` that gave no whole number.

    Raises:
        ValueError: both of size and scale_factor or neither, a size below 1, an unknown mode, or options that
            the mode or the size makes meaningless.
        ShapeError: an input of another rank, or without pixels before or after.
    """

    size: int | tuple[int, ...] | None
    scale_factor: float | tuple[float, ...] | None
    mode: str
    align_corners: bool | None
    recompute_scale_factor: bool | None
    _plan: tuple[Any, list[Array], list[Array]] | None = None  # of the last shape

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        if (size is None) == (scale_factor is None):
            raise ValueError(
                f"Upsample: expected one of size and scale_factor, got size={size}, "
                f"scale_factor={scale_factor}"
            )
        if mode not in MODES:
            raise ValueError(f"Upsample: expected mode {', '.join(MODES)}, got {mode!r}")
        if align_corners is not None and mode not in MIXING:
            raise ValueError(
                f"Upsample: expected align_corners with mode='bilinear' or 'linear' only, got mode={mode!r}"
            )
        if recompute_scale_factor and size is not None:
            raise ValueError("Upsample: expected recompute_scale_factor with a scale_factor only, got a size")
        self.size = None if size is None else _one_or_two(size, "size")
        self.scale_factor = None if scale_factor is None else _one_or_two(scale_factor, "scale_factor")
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, x: Array) -> Array:
        either = self.mode not in MIXING and getattr(x, "ndim", 4) == 3
        self.check_input(x, "N", "C", *(("L",) if either or self.mode == "linear" else ("H", "W")))
        taps, way_back = self._taps(x)
        image = x if x.ndim == 4 else x[:, :, None]  # (N, C, 1, L)
        y = kernels.resample(image, *taps)  # (N, C, OH, OW)
        if x.ndim == 3:
            y = y[:, :, 0]  # (N, C, OL)
        self.remember(way_back, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = Aᵀ dy B
        dy, way_back = self.recall(dy)
        signal = dy.ndim == 3
        dy = dy[:, :, None] if signal else dy  # (N, C, 1, OL)
        dx = kernels.resample(dy, *way_back)  # (N, C, H, W)
        return dx[:, :, 0] if signal else dx

    def _taps(self, x: Array) -> tuple[list[Array], list[Array]]:
        """A and B, and their transposes, where x is and in its dtype."""
        key = (x.shape[2:], x.dtype, place_of(x))
        if self._plan is None or self._plan[0] != key:
            sizes, steps = self._sizes_and_steps(x.shape)
            matrices = [
                _matrix(have, want, step, self.mode, bool(self.align_corners))
                for have, want, step in zip(x.shape[2:], sizes, steps, strict=True)
            ]
            back = [_transposed(*matrix, have) for matrix, have in zip(matrices, x.shape[2:], strict=True)]
            if x.ndim == 3:  # the one row stays as it is
                row = np.zeros((1, 1), np.intp), np.ones((1, 1))
                matrices, back = [row, *matrices], [row, *back]
            self._plan = key, _placed(matrices, x), _placed(back, x)
        return self._plan[1], self._plan[2]

    def _sizes_and_steps(self, shape: tuple[int, ...]) -> tuple[list[int], list[float]]:
        """The output's size along each axis, and how many old pixels a step from new one to new one is."""
        given: Any = self.size if self.scale_factor is None else self.scale_factor
        axes = len(shape) - 2
        if isinstance(given, tuple) and len(given) != axes:
            letters = ("N, C, L", "N, C, H, W")[len(given) - 1]
            raise ShapeError(f"{self.label()}: expected an input ({letters}) for {given}, got {shape}")
        factors = given if isinstance(given, tuple) else (given,) * axes
        if self.scale_factor is None:
            sizes: list[int] = list(factors)
        else:
            sizes = [math.floor(have * factor) for have, factor in zip(shape[2:], factors, strict=True)]
        if min(*shape[2:], *sizes) < 1:
            raise ShapeError(
                f"{self.label()}: expected an input with pixels, before and after, got {shape}, "
                f"of which {'×'.join(map(str, sizes))} would be left"
            )
        if self.scale_factor is None or self.recompute_scale_factor:
            return sizes, [have / want for have, want in zip(shape[2:], sizes, strict=True)]
        return sizes, [1 / factor for factor in factors]

    def extra_repr(self) -> str:
        return (
            f"size={self.size}, scale_factor={self.scale_factor}, mode={self.mode!r}, "
            f"align_corners={self.align_corners}, recompute_scale_factor={self.recompute_scale_factor}"
        )


def _matrix(have: int, want: int, step: float, mode: str, align_corners: bool) -> tuple[Array, Array]:
    """Which old pixels each of `want` new ones is made of, and their weights, (taps, want) each."""
    at = np.arange(want)
    if (want == have and mode != "nearest-exact") or (want == 2 * have and mode == "nearest"):
        step = have / want  # as in PyTorch, whatever the factor was
    if mode in MIXING:
        if align_corners:
            source = at * ((have - 1) / max(1, want - 1))
        else:
            source = np.maximum((at + 0.5) * step - 0.5, 0)
        first = np.minimum(np.floor(source).astype(np.intp), have - 1)
        share = np.clip(source - first, 0, 1)
        return np.stack([first, np.minimum(first + 1, have - 1)]), np.stack([1 - share, share])
    middle = np.float32(0.5 if mode == "nearest-exact" else 0)
    source = (at.astype(np.float32) + middle) * np.float32(step)  # PyTorch decides in float32
    return np.minimum(np.floor(source).astype(np.intp), have - 1)[None], np.ones((1, want))


def _transposed(places: Array, weights: Array, have: int) -> tuple[Array, Array]:
    """Which new pixels each of `have` old ones is in, and with which weights: columns of the matrix.

    Where an old one is in fewer than another, its first is read again, and its weight shared out in halves: a
    weight of 0 would turn ∞ to NaN.
    """
    taps, want = places.shape
    used = weights.reshape(-1) != 0
    old, new, weight = (a.reshape(-1)[used] for a in (places, np.tile(np.arange(want), taps), weights))
    order = np.argsort(old, kind="stable")
    old, new, weight = old[order], new[order], weight[order]
    counts = np.bincount(old, minlength=have)
    number = np.arange(old.size) - (np.cumsum(counts) - counts)[old]  # 0, 1, … among those of one old pixel
    most, first = int(counts.max()), number == 0
    back, shares = np.zeros((2, most, have))
    back[:, old[first]] = new[first]
    shares[:, old[first]] = weight[first] * 0.5 ** np.arange(most, 0, -1)[:, None]
    weight[first] *= 0.5 ** (most - counts[old[first]])
    back[number, old], shares[number, old] = new, weight
    return back.astype(np.intp), shares


def _placed(taps: Sequence[Taps], x: Array) -> list[Array]:
    """Places and weights of rows and columns where x is, the weights in its dtype."""
    placed: list[Array] = []
    for places, weights in taps:
        placed.append(np.asarray(places.astype(np.int64, copy=False), like=x))
        placed.append(np.asarray(weights.astype(x.dtype, copy=False), like=x))
    return placed


def _one_or_two(value: Any, name: str) -> Any:
    """A size, or a factor as a float; of a list a tuple.

    Raises:
        ValueError: it is neither one nor two such numbers.
    """
    values = tuple(value) if isinstance(value, tuple | list) else (value,)
    if name == "size":
        made: tuple[Any, ...] = tuple(whole(v, "Upsample: size", 1) for v in values)
    elif all(isinstance(v, int | float | np.number) and 0 < v < math.inf for v in values):
        made = tuple(map(float, values))
    else:
        raise ValueError(f"Upsample: expected a scale_factor above 0, got {value!r}")
    if len(values) not in (1, 2):
        raise ValueError(f"Upsample: expected one {name} or a pair of them, got {value!r}")
    return made if isinstance(value, tuple | list) else made[0]
