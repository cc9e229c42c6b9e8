"""Bags of words: the vectors of all words of a bag added up, averaged, or the largest of them."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from minidl import kernels
from minidl.array import Array, anywhere
from minidl.errors import DTypeError, ShapeError
from minidl.nn.embedding import Table

__all__ = ["EmbeddingBag"]

MODES = ("sum", "mean", "max")


class EmbeddingBag(Table):
    """One vector for a bag of words: `y_b = Σ_j s_j W[x_j]` over the words x_j of bag b; or mean or max.

    An empty bag gives 0. The maximum's gradient goes, in each column, to the first word that has it.

    Shape:
        - input x: (B, L), B bags of L words; or (n,) with offsets: integers (int32 or int64)
        - offsets: (B,), where in x each bag begins; with `include_last_offset` (B + 1,), and the last is n
        - per_sample_weights s: like x, in the dtype of the weight; only in mode "sum"
        - output: (B, embedding_dim), in the dtype of the weight
        - weight W: (num_embeddings, embedding_dim)

    `backward` returns the gradient of s if it was given, else None.

    Args:
        num_embeddings: how many words there are.
        embedding_dim: size of each vector.
        max_norm: rows that are looked up and are longer are shortened to this length, in the table itself.
        norm_type: p of that length, the p-norm.
        scale_grad_by_freq: divide each row's gradient by how often it was looked up; not in mode "max".
        mode: `"sum"`, `"mean"` or `"max"`.
        sparse: make the weight's gradient a `RowSparse`; not in mode "max".
        include_last_offset: whether the offsets end with the number of words.
        padding_idx: a word that is left out of its bag; its row collects no gradient.
        dtype: of the parameters; float32 unless told.
        rng: where the initial values are drawn from; the one generator unless told.

    Raises:
        ValueError: an unknown mode, options that do not go together, offsets that fall or do not fit.
        ShapeError: input, offsets and weights that do not belong together.
        DTypeError: an input of other than int32 or int64.
        IndexError: an index that is no row.

    Joulin et al. 2017, "Bag of tricks for efficient text classification" (fastText).
    """

    mode: str
    include_last_offset: bool

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        *,
        dtype: DTypeLike = np.float32,
        rng: np.random.Generator | None = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"EmbeddingBag: expected mode 'sum', 'mean' or 'max', got {mode!r}")
        if mode == "max" and (sparse or scale_grad_by_freq):
            option = "sparse" if sparse else "scale_grad_by_freq"
            raise ValueError(f"EmbeddingBag: expected {option}=False with mode='max', got {option}=True")
        self._make_table(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
            dtype, rng,
        )  # fmt: skip
        self.mode = mode
        self.include_last_offset = include_last_offset

    @classmethod
    def from_pretrained(
        cls,
        embeddings: ArrayLike,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> Self:
        """A layer whose table holds a copy of these rows.

        Args:
            embeddings: (num_embeddings, embedding_dim).
            freeze: whether the table is to stay as it is.
            max_norm: see `EmbeddingBag`; so are the others.
            norm_type: p of that length.
            scale_grad_by_freq: whether to divide gradients by how often a row was looked up.
            mode: what becomes of a bag.
            sparse: whether the gradient is a `RowSparse`.
            include_last_offset: whether the offsets end with the number of words.
            padding_idx: a word that is left out.

        Raises:
            ShapeError: embeddings of other than two dimensions.
        """
        return cls._of_rows(
            embeddings,
            freeze,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            mode=mode,
            sparse=sparse,
            include_last_offset=include_last_offset,
            padding_idx=padding_idx,
        )

    def forward(
        self, x: Array, offsets: Array | None = None, per_sample_weights: Array | None = None
    ) -> Array:
        self.check_integers(x)
        bags, count = self._bags(x, offsets)  # (n,), the bag of each word
        self.check_indices(x)
        self._check_weights(x, per_sample_weights)
        indices, s = x.reshape(x.size), per_sample_weights
        if self.padding_idx is not None:
            bags = np.where(indices == self.padding_idx, -1, bags)
        rows = share = winners = None
        if self.mode == "max":
            y, winners = kernels.scatter_max(self._look_up(indices), bags, count)  # (B, D)
        elif s is not None:
            rows = self._look_up(indices)  # (n, D)
            y = kernels.scatter_rows(rows * s.reshape(-1, 1), bags, count)  # (B, D)
        else:
            self._shorten(indices)
            y = kernels.move_rows(self.weight.data, indices, bags, count)  # (B, D)
        if self.mode == "mean":
            share = self._share(x, bags, count, offsets is None)
            y = y * share
        self.remember(indices, bags, s, rows, share, winners, output=y)
        return y

    def backward(self, dy: Array) -> Array | None:
        # dW[r] = Σ s_j dy_b over all j with x_j = r, b the bag of j    ds_j = dy_b · W[x_j]
        # mean: s_j = 1 / the number of words in b    max: s_j is 1 where j has the maximum, else 0
        dy, indices, bags, s, rows, share, winners = self.recall(dy)
        if winners is not None:
            if self.weight.requires_grad:
                dw = kernels.scatter_winners(dy, winners, indices, self.num_embeddings)
                self.weight.add_grad(dw, fresh=True)
            return None
        if share is not None:
            dy = dy * share
        if s is None and not self.sparse and not self.scale_grad_by_freq:
            if self.weight.requires_grad:  # padding is in no bag
                dw = kernels.move_rows(dy, bags, indices, self.num_embeddings)
                self.weight.add_grad(dw, fresh=True)
            return None
        in_bag = (bags >= 0)[:, None]  # (n, 1)
        safe = np.maximum(bags, 0)
        if len(dy):
            dx = np.where(in_bag, kernels.gather_rows(dy, safe), 0)  # (n, D)
        else:
            dx = np.zeros_like(dy, shape=(len(indices), self.embedding_dim))
        ds = None
        if s is not None:
            ds = (dx * rows).sum(axis=1).reshape(s.shape)
            dx = dx * s.reshape(-1, 1)
        self._collect(dx, indices)
        return ds

    def _share(self, x: Array, bags: Array, count: int, alike: bool) -> Array | float:
        """What each word counts in the mean of its bag: (B, 1), or one number for bags that are alike."""
        if alike and self.padding_idx is None:
            return 1 / max(x.shape[1], 1)
        ones = np.ones_like(self.weight.data, shape=(x.size, 1))
        words = kernels.scatter_rows(ones, bags, count)  # (B, 1)
        return 1 / np.maximum(words, 1)

    # ---------------------------------------------------------------- which bag each word is in

    def _bags(self, x: Array, offsets: Array | None) -> tuple[Array, int]:
        """The bag of every word, (n,), and how many bags there are."""
        if offsets is None:
            if x.ndim != 2:
                raise ShapeError(
                    f"{self.label()}: expected input (B, L), or (n,) with offsets, got {x.shape}"
                )
            bags = np.arange(len(x), like=x)[:, None]  # (B, 1)
            return np.broadcast_to(bags, x.shape).reshape(x.size), len(x)
        self.check_integers(offsets, "offsets")
        if x.ndim != 1 or offsets.ndim != 1 or (self.include_last_offset and len(offsets) == 0):
            least = "(B + 1,)" if self.include_last_offset else "(B,)"
            raise ShapeError(
                f"{self.label()}: expected input (n,) with offsets {least}, got {x.shape} and {offsets.shape}"
            )
        self._check_offsets(len(x), offsets)
        starts = offsets[:-1] if self.include_last_offset else offsets
        return kernels.bags_of(starts, len(x)), len(starts)

    def _check_offsets(self, n: int, offsets: Array) -> None:
        last = offsets[-1:] != n if self.include_last_offset else offsets[-1:] > n
        for wrong, expected in (
            (offsets[:1] != 0, "the first offset to be 0"),
            (offsets[1:] < offsets[:-1], "offsets that never fall"),
            (last, f"the last offset to be {'' if self.include_last_offset else 'at most '}{n}"),
        ):
            if wrong.size and anywhere(wrong):
                raise ValueError(f"{self.label()}: expected {expected}, got offsets {offsets}")

    def _check_weights(self, x: Array, s: Any) -> None:
        if s is None:
            return
        if self.mode != "sum":
            raise ValueError(
                f"{self.label()}: expected per_sample_weights only with mode='sum', got mode={self.mode!r}"
            )
        self.check_array(s, "per_sample_weights")
        if s.shape != x.shape:
            raise ShapeError(f"{self.label()}: expected per_sample_weights {x.shape}, got {s.shape}")
        if s.dtype != self.weight.dtype:
            raise DTypeError(
                f"{self.label()}: expected per_sample_weights of {self.weight.dtype}, got {s.dtype}"
            )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, mode={self.mode!r}, include_last_offset={self.include_last_offset}"
