"""Embeddings: a table with a vector for each word, looked up by number; and bags of them, added up."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from minidl import kernels
from minidl.array import Array, anywhere, to_host
from minidl.errors import DTypeError, ShapeError
from minidl.kernels.geometry import whole
from minidl.nn import init
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter
from minidl.nn.row_sparse import RowSparse

__all__ = ["Embedding", "Table"]


class Table(Module):
    """What Embedding and EmbeddingBag share: the table, which rows are looked up, and how rows learn."""

    num_embeddings: int
    embedding_dim: int
    padding_idx: int | None
    max_norm: float | None
    norm_type: float
    scale_grad_by_freq: bool
    sparse: bool
    weight: Parameter  # (num_embeddings, embedding_dim)
    _sizes: ClassVar = ("num_embeddings", "embedding_dim")

    def _make_table(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        sparse: bool,
        dtype: DTypeLike,
        rng: np.random.Generator | None,
    ) -> None:
        name = type(self).__name__
        rows = self.num_embeddings = whole(num_embeddings, f"{name}: num_embeddings")
        self.embedding_dim = whole(embedding_dim, f"{name}: embedding_dim")
        if padding_idx is not None and not -rows <= padding_idx < rows:
            raise ValueError(f"{name}: expected padding_idx from {-rows} to {rows - 1}, got {padding_idx}")
        if not norm_type > 0:
            raise ValueError(f"{name}: expected norm_type above 0, got {norm_type}")
        if sparse and scale_grad_by_freq:
            raise ValueError(f"{name}: expected sparse=False with scale_grad_by_freq=True, got sparse=True")
        self.padding_idx = None if padding_idx is None else padding_idx % rows
        self.max_norm = None if max_norm is None else float(max_norm)
        self.norm_type = float(norm_type)
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        self.weight = Parameter.empty((rows, self.embedding_dim), dtype)
        init.normal_(self.weight, rng=rng)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    @classmethod
    def _of_rows(cls, embeddings: ArrayLike, freeze: bool, **options: Any) -> Self:
        """A layer whose table holds these rows."""
        weight = Parameter(embeddings, requires_grad=not freeze)
        if weight.data.ndim != 2:
            raise ShapeError(f"{cls.__name__}: expected embeddings (rows, size), got {weight.shape}")
        made = cls(*weight.shape, **options)
        made.weight = weight
        return made

    # ---------------------------------------------------------------- which rows

    def check_integers(self, x: Any, what: str = "input") -> None:
        """Refuse what is no array of int32 or int64.

        Raises:
            DTypeError: it names this layer, the dtypes that it takes, and the one it was given.
        """
        if isinstance(x, np.ma.MaskedArray) or not isinstance(getattr(x, "dtype", None), np.dtype):
            raise DTypeError(f"{self.label()}: expected an array as {what}, got {type(x).__name__}")
        if x.dtype not in (np.int32, np.int64):
            raise DTypeError(f"{self.label()}: expected {what} of dtype int32 or int64, got {x.dtype}")

    def check_indices(self, x: Array) -> None:
        """Refuse an index that is no row.

        Raises:
            IndexError: it names this layer, the range, the index, and where it stands.
        """
        outside = (x < 0) | (x >= self.num_embeddings)
        if anywhere(outside):
            places = np.argwhere(to_host(outside))[0]
            where = tuple(map(int, places)) if len(places) != 1 else int(places[0])
            raise IndexError(
                f"{self.label()}: expected indices from 0 to {self.num_embeddings - 1}, "
                f"got {to_host(x)[tuple(places)]} at position {where}"
            )

    # ---------------------------------------------------------------- how rows are looked up, and learn

    def _look_up(self, indices: Array) -> Array:
        """Rows of the table (n, D); those longer than `max_norm` are shortened in the table first."""
        self._shorten(indices)
        return kernels.gather_rows(self.weight.data, indices)

    def _shorten(self, indices: Array) -> None:
        """Cut the rows that are looked up and are longer than `max_norm` to that length."""
        if self.max_norm is not None:
            table, p = self.weight.data, self.norm_type
            size = np.abs(table)
            largest = math.isinf(p)
            norms = size.max(axis=1, initial=0) if largest else (size**p).sum(axis=1) ** (1 / p)  # (R,)
            used = self._counts(indices)[:, 0] > 0
            factor = np.where(used & (norms > self.max_norm), self.max_norm / (norms + 1e-7), 1)
            table *= factor[:, None].astype(table.dtype)

    def _collect(self, dx: Array, indices: Array) -> None:
        """Give every row of the table the gradients of its uses, (n, D); padding gets none."""
        if not self.weight.requires_grad:
            return
        if self.scale_grad_by_freq:
            dx = dx / kernels.gather_rows(self._counts(indices), indices)
        if self.padding_idx is not None:
            indices = np.where(indices == self.padding_idx, -1, indices)
        if self.sparse:
            self.weight.add_grad(RowSparse(indices, dx, self.weight.shape))
        else:
            self.weight.add_grad(kernels.scatter_rows(dx, indices, self.num_embeddings), fresh=True)

    def _counts(self, indices: Array) -> Array:
        """How often each row of the table is used, (R, 1)."""
        ones = np.ones_like(self.weight.data, shape=(len(indices), 1))
        return kernels.scatter_rows(ones, indices, self.num_embeddings)

    def extra_repr(self) -> str:
        return (
            f"num_embeddings={self.num_embeddings}, embedding_dim={self.embedding_dim}, "
            f"padding_idx={self.padding_idx}, max_norm={self.max_norm}, norm_type={self.norm_type}, "
            f"scale_grad_by_freq={self.scale_grad_by_freq}, sparse={self.sparse}"
        )


class Embedding(Table):
    """A vector for every word, looked up by number: `y = W[x]`.

    It is a linear layer of one-hot vectors that leaves out all products with 0. Row r of W collects the
    gradients of every place where r stands. `backward` returns None: there is no gradient of numbers.

    Shape:
        - input: (*), integers (int32 or int64) from 0 to num_embeddings − 1
        - output: (*, embedding_dim), in the dtype of the weight
        - weight: (num_embeddings, embedding_dim)

    The weight starts normal, of mean 0 and variance 1; its row of padding with 0.

    Args:
        num_embeddings: how many words there are.
        embedding_dim: size of each vector.
        padding_idx: a word that means nothing: its row collects no gradient.
        max_norm: rows that are looked up and are longer are shortened to this length, in the table itself.
        norm_type: p of that length, the p-norm.
        scale_grad_by_freq: divide each row's gradient by how often it was looked up.
        sparse: make the weight's gradient a `RowSparse`, which holds only the rows that were looked up:
            for `SparseAdam`, `SGD` without momentum and `Adagrad`.
        dtype: of the parameters; float32 unless told.
        rng: where the initial values are drawn from; the one generator unless told.

    Raises:
        ValueError: a size below 0, a padding index that is no row, or `sparse` with `scale_grad_by_freq`.
        DTypeError: an input of other than int32 or int64.
        IndexError: an index that is no row.

    Bengio et al. 2003, "A neural probabilistic language model".
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        *,
        dtype: DTypeLike = np.float32,
        rng: np.random.Generator | None = None,
    ) -> None:
        self._make_table(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
            dtype, rng,
        )  # fmt: skip

    @classmethod
    def from_pretrained(
        cls,
        embeddings: ArrayLike,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """A layer whose table holds a copy of these rows.

        Args:
            embeddings: (num_embeddings, embedding_dim).
            freeze: whether the table is to stay as it is.
            padding_idx: see `Embedding`; so are the others. The row is taken as it is given.
            max_norm: the longest that a row may be.
            norm_type: p of that length.
            scale_grad_by_freq: whether to divide gradients by how often a row was looked up.
            sparse: whether the gradient is a `RowSparse`.

        Raises:
            ShapeError: embeddings of other than two dimensions.
        """
        return cls._of_rows(
            embeddings,
            freeze,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
        )

    def forward(self, x: Array) -> Array:
        self.check_integers(x)
        self.check_indices(x)
        indices = x.reshape(x.size)  # (n,)
        y = self._look_up(indices).reshape(*x.shape, self.embedding_dim)  # (*, D)
        self.remember(indices, output=y)
        return y

    def backward(self, dy: Array) -> None:
        # dW[r] = Σ dy[j] over all j with x[j] = r
        dy, indices = self.recall(dy)
        self._collect(dy.reshape(indices.size, self.embedding_dim), indices)  # (n, D)
