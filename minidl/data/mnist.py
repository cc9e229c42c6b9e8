"""MNIST, which ships inside the package: the same 70,000 digits on every machine, with no network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl.data.idx import read_idx
from minidl.data.images import ImageDataset, Transform
from minidl.errors import DataError

__all__ = ["MNIST", "check", "read_from"]

# The original files and the sha256 of what they unpack to.
TRAIN = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
}
TEST = {
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


class MNIST(ImageDataset):
    """Handwritten digits: 60,000 to train on, 10,000 to test on (LeCun, Cortes & Burges 1998).

    `dataset[i]` is `(image, label)`: a float32 image (1, 28, 28) from 0 (paper) to 1 (ink) and its int64
    label. A slice, an array of numbers, or `fetch` gives many at once: (B, 1, 28, 28) and (B,).

    Args:
        train: the training set, or with False the test set.
        root: a folder that holds the original files (`train-images-idx3-ubyte`, …, plain or with `.gz`);
            by default those that ship inside minidl.
        transform: called with float32 images (B, 1, 28, 28), returns what to give in their place, B rows.

    Attributes:
        images: the bytes as they are stored, uint8 (N, 1, 28, 28), 0 to 255.
        labels: int64 (N,), 0 to 9.
        classes: the names of the labels.
        image_shape: (1, 28, 28).

    Raises:
        DataError: a file is missing or damaged, or the files do not belong together.
        ShapeError: `transform` returns another number of images than it was given.
    """

    classes = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
    image_shape = (1, 28, 28)

    def __init__(
        self,
        train: bool = True,
        *,
        root: str | os.PathLike[str] | None = None,
        transform: Transform | None = None,
    ) -> None:
        self.train = train
        self.transform = transform
        digests = TRAIN if train else TEST
        if root is None:
            images, labels = (_read_embedded(name, digest) for name, digest in digests.items())
        else:
            images, labels = read_from(Path(root), list(digests), "MNIST")
        self.images = images.reshape(-1, 1, 28, 28)  # (N, 1, 28, 28)
        self.labels = labels.astype(np.int64)


def _read_embedded(name: str, sha256: str) -> NDArray[Any]:
    file = files("minidl.data") / "mnist" / f"{name}.gz"
    called = f"minidl's own {name}.gz (reinstalling minidl restores it)"
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{called}: expected a file, got {error.strerror or error}") from error
    return read_idx(content, name=called, sha256=sha256)


def read_from(root: Path, names: Sequence[str], dataset: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Images and labels from a folder's idx files, plain or packed.

    Raises:
        DataError: one is missing or damaged, or they are no images with their labels.
    """
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder with {dataset}'s files, got no folder of that name")
    images, labels = (_read_one(root, name) for name in names)
    check(str(root), images, labels)
    return images, labels


def _read_one(root: Path, name: str) -> NDArray[Any]:
    for path in (root / name, root / f"{name}.gz"):
        if path.exists():
            return read_idx(path)
    raise DataError(f"{root}: expected {name} or {name}.gz in this folder, got neither")


def check(root: str, images: NDArray[Any], labels: NDArray[Any]) -> None:
    """Whether two arrays from files that nobody vouches for are images and their labels."""
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
        given = f"{images.shape} of {images.dtype}"
        raise DataError(f"{root}: expected images of shape (N, 28, 28) of uint8, got {given}")
    if labels.dtype != np.uint8 or labels.ndim != 1:
        raise DataError(
            f"{root}: expected labels of shape (N,) of uint8, got {labels.shape} of {labels.dtype}"
        )
    if len(images) != len(labels):
        raise DataError(
            f"{root}: expected one label per image, got {len(images)} images, {len(labels)} labels"
        )
    if labels.max() > 9:
        raise DataError(f"{root}: expected labels from 0 to 9, got {labels.max()}")
