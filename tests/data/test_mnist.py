"""MNIST: the shipped files are the original ones; files from elsewhere are believed only when they fit."""

import gzip
import hashlib
import time
from importlib.resources import files

import numpy as np
import pytest

from minidl.data import MNIST, DataLoader, Subset, mnist
from minidl.errors import DataError, ShapeError


@pytest.fixture(scope="module")
def train():
    return MNIST()


@pytest.fixture(scope="module")
def test_set():
    return MNIST(train=False)


def test_the_known_counts(train, test_set):
    assert len(train) == 60000
    assert len(test_set) == 10000
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test_set.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert train.images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)  # the figures of every tutorial
    assert train.images.std() / 255 == pytest.approx(0.3081, abs=5e-5)
    assert MNIST.classes == tuple("0123456789")


def test_shapes_and_dtypes(test_set):
    assert test_set.images.shape == (10000, 1, 28, 28)
    assert test_set.images.dtype == np.uint8
    assert test_set.labels.shape == (10000,)
    assert test_set.labels.dtype == np.int64
    image, label = test_set[0]
    assert image.shape == (1, 28, 28)
    assert image.dtype == np.float32
    assert label.dtype == np.int64
    assert label.shape == ()


def test_pixels_are_bytes_divided_by_255(test_set):
    images, labels = test_set[:300]
    assert images.dtype == np.float32
    assert images.min() == 0
    assert images.max() == 1
    np.testing.assert_array_equal(images, test_set.images[:300].astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(labels, test_set.labels[:300])
    for index in (0, 7, -1):
        np.testing.assert_array_equal(test_set[index][0], test_set[[index]][0][0])
        assert test_set[index][1] == test_set.labels[index]


def test_a_loader_gives_batches_of_images(test_set):
    x, y = next(iter(DataLoader(Subset(test_set, np.arange(500, 1000)), batch_size=64)))
    np.testing.assert_array_equal(x, test_set[500:564][0])
    assert x.shape == (64, 1, 28, 28)
    assert y.shape == (64,)
    x[...] = 5
    assert test_set[500][0].max() <= 1


def test_out_of_range_is_an_index_error_so_that_loops_end(test_set):
    with pytest.raises(IndexError):
        test_set[10000]


def test_a_transform_sees_a_batch_and_one_image_alike(train):
    dataset = MNIST(train=False, transform=lambda images: (images - 0.1307) / 0.3081)
    images, _ = dataset[:5]
    assert images.shape == (5, 1, 28, 28)
    np.testing.assert_array_equal(dataset[3][0], images[3])
    assert images.min() == pytest.approx(-0.4242, abs=1e-4)


def test_a_transform_that_loses_images_is_refused():
    with pytest.raises(ShapeError, match=r"transform to return 3 images, got shape \(1, 28, 28\)"):
        MNIST(train=False, transform=lambda images: images[0])[:3]


def test_loading_and_converting_are_quick(train):
    start = time.perf_counter()
    MNIST()
    assert time.perf_counter() - start < 1.5  # 0.17 s on an idle core: room for a busy machine
    indices = np.random.default_rng(0).permutation(60000)[:64]
    start = time.perf_counter()
    for _ in range(200):
        train.fetch(indices)
    assert (time.perf_counter() - start) / 200 < 200e-6  # 14 µs on an idle core


# ---------------------------------------------------------------- the shipped files


def test_the_shipped_files_are_the_original_ones():
    for name, digest in (mnist.TRAIN | mnist.TEST).items():
        content = gzip.decompress((files("minidl.data") / "mnist" / f"{name}.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == digest
    known = ["ba891046…76db", "65a50cbb…01c5", "0fa7898d…4ce7", "ff7bcfd4…33f2"]
    given = [f"{digest[:8]}…{digest[-4:]}" for digest in (mnist.TRAIN | mnist.TEST).values()]
    assert given == known


def test_a_shipped_file_that_was_changed_is_refused(monkeypatch, tmp_path):
    (tmp_path / "mnist").mkdir()
    for name in mnist.TEST:
        content = bytearray((files("minidl.data") / "mnist" / f"{name}.gz").read_bytes())
        if "labels" in name:
            content = bytearray(gzip.decompress(bytes(content)))
            content[100] ^= 1
            content = gzip.compress(bytes(content))
        (tmp_path / "mnist" / f"{name}.gz").write_bytes(bytes(content))
    monkeypatch.setattr(mnist, "files", lambda _: tmp_path)
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz .*expected sha256 ff7b.*, got "):
        MNIST(train=False)
    (tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"minidl's own t10k-images-idx3-ubyte\.gz .*reinstalling"):
        MNIST(train=False)


# ---------------------------------------------------------------- files from elsewhere


def idx(array):
    code = {"u1": 0x08, "i2": 0x0B, "i4": 0x0C}[array.dtype.str[1:]]
    big = array.astype(array.dtype.newbyteorder(">"))
    return bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes() + big.tobytes()


def write(root, images, labels, pack=bytes, suffix=""):
    (root / f"t10k-images-idx3-ubyte{suffix}").write_bytes(pack(idx(images)))
    (root / f"t10k-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(labels)))


IMAGES = np.random.default_rng(0).integers(0, 256, (6, 28, 28), np.uint8)
LABELS = np.array([3, 1, 4, 1, 5, 9], np.uint8)


@pytest.mark.parametrize(("pack", "suffix"), [(bytes, ""), (gzip.compress, ".gz"), (gzip.compress, "")])
def test_a_folder_of_files_plain_or_packed(tmp_path, pack, suffix):
    write(tmp_path, IMAGES, LABELS, pack, suffix)
    dataset = MNIST(train=False, root=str(tmp_path))
    np.testing.assert_array_equal(dataset.images[:, 0], IMAGES)
    assert dataset.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:5], LABELS, "one label per image, got 5 images, 6 labels"),
        (IMAGES[:, :27], LABELS, r"images of shape \(N, 28, 28\) of uint8, got \(6, 27, 28\) of uint8"),
        (IMAGES[0], LABELS, r"images .*, got \(28, 28\) of uint8"),
        (IMAGES.astype(np.int16), LABELS, r"images .*, got \(6, 28, 28\) of int16"),
        (IMAGES, LABELS + 1, "labels from 0 to 9, got 10"),
        (IMAGES, LABELS.astype(np.int32), r"labels of shape \(N,\) of uint8, got \(6,\) of int32"),
        (LABELS, IMAGES, r"images of shape \(N, 28, 28\)"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, images, labels, message):
    write(tmp_path, images, labels)
    with pytest.raises(DataError, match=f"{tmp_path.name}: expected {message}"):
        MNIST(train=False, root=tmp_path)


def test_a_folder_without_the_files_and_no_folder_are_named(tmp_path):
    write(tmp_path, IMAGES, LABELS)
    with pytest.raises(
        DataError, match=r"train-images-idx3-ubyte or train-images-idx3-ubyte\.gz .* got neither"
    ):
        MNIST(root=tmp_path)
    with pytest.raises(DataError, match="absent: expected a folder with MNIST's files, got no folder"):
        MNIST(root=tmp_path / "absent")
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(LABELS)[:-1])
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte: expected 6 bytes of data"):
        MNIST(train=False, root=tmp_path)
