"""Which data sets `minidl train` knows, and where their files are."""

from __future__ import annotations

from pathlib import Path

from minidl.data import CIFAR10, CIFAR100, MNIST, FashionMNIST
from minidl.data.download import RemoteFile, cache_folder
from minidl.data.images import ImageDataset, RemoteImageDataset
from minidl.errors import MinidlError

__all__ = ["DATASETS", "TITLES", "check_files", "fetch_files", "load_dataset"]

DATASETS: dict[str, type[ImageDataset]] = {
    "mnist": MNIST,
    "fashion-mnist": FashionMNIST,
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
}
TITLES = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}


def check_files(name: str, root: str = "") -> None:
    """Find out before a run begins that the files of one of its sets are missing.

    Raises:
        MinidlError: they are, with what to type to get them.
    """
    kind = DATASETS[name]
    if root or not issubclass(kind, RemoteImageDataset):
        load_dataset(name, False, root)
        return
    folder = cache_folder() / kind.folder
    missing = [file.name for file in _files(kind) if not (folder / file.name).exists()]
    if missing:
        raise MinidlError(
            f"{name}: expected {missing[0]} in {folder}, got no file of that name; "
            f"minidl train {name} --download fetches all files first ({_megabytes(kind)} MB), "
            "--root DIR names a folder where they are"
        )


def load_dataset(name: str, train: bool, root: str = "") -> ImageDataset:
    """The training or the test set.

    Raises:
        MinidlError: its files are not there, or are damaged.
    """
    return DATASETS[name](train, root=root or None)  # type: ignore[call-arg]


def fetch_files(name: str, root: str = "") -> None:
    """Download the files of both sets, and say so.

    Raises:
        MinidlError: no mirror gives one, they cannot be written, or there is nothing to download.
    """
    kind = DATASETS[name]
    if not issubclass(kind, RemoteImageDataset):
        raise MinidlError(f"--download: {TITLES[name]} ships with minidl, there is nothing to download")
    folder = Path(root) if root else cache_folder() / kind.folder
    missing = f"what is missing of {TITLES[name]}'s files ({_megabytes(kind)} MB)"
    print(f"fetching {missing} into {folder}", flush=True)
    for train in (True, False):
        kind.download(folder, train)


def _files(kind: type[RemoteImageDataset]) -> list[RemoteFile]:
    return list(dict.fromkeys([*kind.files(True), *kind.files(False)]))


def _megabytes(kind: type[RemoteImageDataset]) -> str:
    return f"{sum(file.size for file in _files(kind)) / 1e6:.0f}"
