"""What MNIST, Fashion-MNIST and CIFAR have in common: bytes in memory, floats when a batch is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from minidl.data.dataset import Arrays
from minidl.data.download import RemoteFile, cache_folder, read_checked
from minidl.errors import DataError, ShapeError

__all__ = ["ImageDataset", "RemoteImageDataset"]

Transform = Callable[[NDArray[np.float32]], NDArray[Any]]


class ImageDataset:
    """Images and their labels: `dataset[i]` is `(image, label)`, with a float32 image from 0 to 1.

    A slice, an array of numbers, or `fetch` gives many at once: (B, C, H, W) and (B,).

    Attributes:
        images: the bytes as they are stored, uint8 (N, C, H, W), 0 to 255.
        labels: int64 (N,).
        classes: the names of the labels.
        image_shape: (C, H, W).
    """

    classes: ClassVar[tuple[str, ...]]
    image_shape: ClassVar[tuple[int, int, int]]

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    train: bool
    transform: Transform | None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Any, /) -> tuple[Any, Any]:
        chosen = np.arange(len(self))[index]
        images, labels = self.fetch(np.atleast_1d(chosen))
        return (images[0], labels[0]) if chosen.ndim == 0 else (images, labels)

    def fetch(self, indices: NDArray[np.intp]) -> Arrays:
        """The images (B, C, H, W), scaled and transformed, and the labels (B,) of these numbers."""
        # Bytes take a quarter of the memory of floats, and turning 64 images into floats takes some 10 µs.
        images = self.images.take(indices, axis=0).astype(np.float32)  # (B, C, H, W)
        images /= 255
        if self.transform is None:
            return images, self.labels[indices]
        transformed = np.asarray(self.transform(images))
        if transformed.shape[:1] != images.shape[:1]:
            name = type(self).__name__
            raise ShapeError(
                f"{name}: expected transform to return {len(images)} images, got shape {transformed.shape}"
            )
        return transformed, self.labels[indices]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'train' if self.train else 'test'}, {len(self)} images)"


class RemoteImageDataset(ImageDataset):
    """One whose files are downloaded when that is asked for, or lie in a folder already.

    Without a `root` only files that the checksums vouch for are read; those under a `root` are believed
    when they fit.
    """

    folder: ClassVar[str]
    remote: ClassVar[Mapping[str, RemoteFile]]

    def __init__(
        self,
        train: bool = True,
        *,
        root: str | os.PathLike[str] | None = None,
        download: bool = False,
        transform: Transform | None = None,
    ) -> None:
        self.train = train
        self.transform = transform
        self._own = root is None or download  # whether the files are those that the checksums are of
        self._root = cache_folder() / self.folder if root is None else Path(root)
        if download:
            self.download(self._root, train)
        images, labels = self._read(self._root)
        self.images = images.reshape(-1, *self.image_shape)  # (N, C, H, W)
        self.labels = labels.astype(np.int64)

    @classmethod
    def files(cls, train: bool) -> list[RemoteFile]:
        """The files that one of the two sets needs."""
        return list(cls.remote.values())

    @classmethod
    def download(cls, root: str | os.PathLike[str] | None = None, train: bool = True) -> None:
        """Get the files of one of the two sets, those that are not there yet.

        Raises:
            DataError: no mirror gave one of them, or they cannot be written.
        """
        from minidl.data.mirrors import download

        to = cache_folder() / cls.folder if root is None else Path(root)
        for file in cls.files(train):
            download(file, to)

    def _read(self, root: Path) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        raise NotImplementedError

    def _content(self, file: RemoteFile) -> bytes:
        """The bytes of a downloaded file, or an error that says how to get it."""
        path = self._root / file.name
        name = type(self).__name__
        if not path.exists():
            raise DataError(
                f"{name}: expected {file.name} in {self._root}, got no file of that name; "
                f"{name}(download=True) fetches it ({sum(f.size for f in self.files(self.train)):,} bytes), "
                "or root= names the folder where it is"
            )
        try:
            return read_checked(path, file)
        except DataError as error:
            raise DataError(f"{error}; {name}(download=True) fetches it again") from error
