"""Fashion-MNIST: clothes in the form of MNIST's digits, and harder to tell apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl.data.download import RemoteFile
from minidl.data.idx import read_idx
from minidl.data.images import RemoteImageDataset
from minidl.data.mnist import check, read_from

__all__ = ["FashionMNIST"]

MIRRORS = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)

# The sha256 of the packed files. The authors publish MD5 sums only; these are what several other libraries
# check the same files against.
SUMS = {
    "train-images-idx3-ubyte.gz": (
        26_421_880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    "train-labels-idx1-ubyte.gz": (
        29_515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    "t10k-images-idx3-ubyte.gz": (
        4_422_102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    "t10k-labels-idx1-ubyte.gz": (
        5_148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
}


class FashionMNIST(RemoteImageDataset):
    """Photographs of clothes: 60,000 to train on, 10,000 to test on (Xiao, Rasul & Vollgraf 2017).

    `dataset[i]` is `(image, label)`: a float32 image (1, 28, 28) from 0 to 1 and its int64 label. A slice,
    an array of numbers, or `fetch` gives many at once: (B, 1, 28, 28) and (B,).

    Args:
        train: the training set, or with False the test set.
        root: a folder that holds the original files (`train-images-idx3-ubyte`, …, plain or with `.gz`),
            which are believed when they fit; by default the folder for downloads (`MINIDL_DATA`, or the
            system's cache), where checksums are checked.
        download: fetch the files first, if they are not there: 26 MB, for the test set 4 MB.
        transform: called with float32 images (B, 1, 28, 28), returns what to give in their place, B rows.

    Attributes:
        images: the bytes as they are stored, uint8 (N, 1, 28, 28), 0 to 255.
        labels: int64 (N,), 0 to 9.
        classes: the names of the labels.
        image_shape: (1, 28, 28).

    Raises:
        DataError: a file is missing or damaged, no mirror gives it, or the files do not belong together.
        ShapeError: `transform` returns another number of images than it was given.
    """

    classes = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    image_shape = (1, 28, 28)
    folder = "fashion-mnist"
    remote = {  # noqa: RUF012
        name: RemoteFile(name, tuple(mirror + name for mirror in MIRRORS), size, sha256)
        for name, (size, sha256) in SUMS.items()
    }

    @classmethod
    def files(cls, train: bool) -> list[RemoteFile]:
        """The images and the labels of one of the two sets."""
        start = "train" if train else "t10k"
        return [file for name, file in cls.remote.items() if name.startswith(start)]

    def _read(self, root: Path) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        files = self.files(self.train)
        if not self._own:
            return read_from(root, [file.name.removesuffix(".gz") for file in files], "Fashion-MNIST")
        images, labels = (read_idx(self._content(file), name=str(root / file.name)) for file in files)
        check(str(root), images, labels)
        return images, labels
