"""Fashion-MNIST and CIFAR in their formats, a few images each, with checksums of their own."""

import gzip
import hashlib
import io
import tarfile

import numpy as np

from minidl.data import CIFAR10, CIFAR100, FashionMNIST
from minidl.data.download import RemoteFile

__all__ = ["archive", "cifar10", "cifar100", "fashion", "records"]


def vouched(name, content, *mirrors):
    urls = tuple(f"{mirror}/{name}" for mirror in mirrors)
    return RemoteFile(name, urls, len(content), hashlib.sha256(content).hexdigest())


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def fashion(*mirrors, count=6):
    """A class like FashionMNIST, and its files by name."""
    rng = np.random.default_rng(0)
    files = {}
    for start, n in (("train", count), ("t10k", count // 2)):
        images = rng.integers(0, 256, (n, 28, 28), np.uint8)
        files[f"{start}-images-idx3-ubyte.gz"] = gzip.compress(idx(images), mtime=0)
        files[f"{start}-labels-idx1-ubyte.gz"] = gzip.compress(
            idx(np.arange(n, dtype=np.uint8) % 10), mtime=0
        )
    remote = {name: vouched(name, content, *mirrors) for name, content in files.items()}
    return type("FashionMNIST", (FashionMNIST,), {"remote": remote}), files


def records(count, classes, coarse=False, seed=0, plain=False):
    """Records of the binary format."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((count, (2 if coarse else 1) + 3072), np.uint8)
    if not plain:
        rows[:] = rng.integers(0, 256, rows.shape, np.uint8)
    if coarse:
        rows[:, 0] = rng.integers(0, 20, count)
    rows[:, 1 if coarse else 0] = np.arange(count) * 7 % classes
    return rows


def archive(files, mode="w:gz"):
    """A .tar.gz of the files by name; a value that is no bytes is a TarInfo and its content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, content in files.items():
            info, content = content if isinstance(content, tuple) else (tarfile.TarInfo(name), content)
            if info.size == 0:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def cifar10(*mirrors, count=2, plain=False):
    """A class like CIFAR10 with small files, its archive's bytes, and the files inside by name."""
    names = [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]
    inside = {
        f"cifar-10-batches-bin/{name}": records(count, 10, seed=number, plain=plain).tobytes()
        for number, name in enumerate(names)
    }
    packed = archive({"cifar-10-batches-bin/readme.html": b"<a>about</a>", **inside})
    fields = {
        "archive": vouched("cifar-10-binary.tar.gz", packed, *mirrors),
        "train_files": dict.fromkeys(names[:5], count),
        "test_files": {names[5]: count},
    }
    return type("CIFAR10", (CIFAR10,), fields), packed, inside


def cifar100(*mirrors):
    """The same for CIFAR-100: 8 and 3 images."""
    inside = {
        "cifar-100-binary/train.bin": records(8, 100, coarse=True).tobytes(),
        "cifar-100-binary/test.bin": records(3, 100, coarse=True, seed=1).tobytes(),
    }
    packed = archive(inside)
    fields = {
        "archive": vouched("cifar-100-binary.tar.gz", packed, *mirrors),
        "train_files": {"train.bin": 8},
        "test_files": {"test.bin": 3},
    }
    return type("CIFAR100", (CIFAR100,), fields), packed, inside
