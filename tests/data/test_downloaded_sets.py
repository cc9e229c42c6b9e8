"""Fashion-MNIST, CIFAR-10 and CIFAR-100 from files in their formats: read right, or one clear error."""

import gzip
import io
import os
import tarfile
import tracemalloc

import numpy as np
import pytest
from data.server import mirror
from data.small_sets import archive, cifar10, cifar100, fashion, records

from minidl.data import CIFAR10, CIFAR100, DataLoader, FashionMNIST
from minidl.errors import DataError


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def server():
    with mirror() as running:
        yield running


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


# ---------------------------------------------------------------- what each set says of itself


def test_what_the_published_files_are():
    assert sum(file.size for file in FashionMNIST.files(True)) == 26_451_395
    assert [file.name for file in FashionMNIST.files(False)] == [
        "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz",
    ]  # fmt: skip
    for dataset, classes, shape in (
        (FashionMNIST, 10, (1, 28, 28)),
        (CIFAR10, 10, (3, 32, 32)),
        (CIFAR100, 100, (3, 32, 32)),
    ):
        assert len(set(dataset.classes)) == len(dataset.classes) == classes
        assert dataset.image_shape == shape
        for train in (True, False):
            for file in dataset.files(train):
                assert len(file.mirrors) > 1
                assert all(url.startswith("http") and url.endswith("/" + file.name) for url in file.mirrors)
                assert len(bytes.fromhex(file.sha256)) == 32
    assert list(CIFAR100.classes) == sorted(CIFAR100.classes)
    assert len(set(CIFAR100.coarse_classes)) == 20
    assert sum(CIFAR10.train_files.values()) == sum(CIFAR100.train_files.values()) == 50_000


@pytest.mark.parametrize("dataset", [FashionMNIST, CIFAR10, CIFAR100])
@pytest.mark.parametrize("train", [True, False])
def test_without_its_files_nothing_is_fetched_and_the_error_says_how(dataset, train, cache, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: pytest.fail("asked the network"))
    with pytest.raises(DataError) as caught:
        dataset(train)
    message = str(caught.value)
    assert f"{dataset.__name__}(download=True) fetches it" in message
    assert f"in {cache / dataset.folder}, got no file of that name" in message
    assert "root= names the folder" in message
    assert not cache.exists()


# ---------------------------------------------------------------- downloaded


@pytest.mark.parametrize("make", [fashion, cifar10, cifar100])
def test_downloaded_once_then_read_from_the_cache(make, server, cache):
    dataset, files, *_ = make(server.url + "/missing", server.url + "/good")
    server.files = files if isinstance(files, dict) else {dataset.archive.name: files}
    for train in (True, False):
        first = dataset(train, download=True)
        server.asked.clear()
        second = dataset(train, download=True)
        third = dataset(train)
        assert server.asked == []
        for other in (second, third):
            np.testing.assert_array_equal(first.images, other.images)
            np.testing.assert_array_equal(first.labels, other.labels)
        assert first.images.dtype == np.uint8
        assert first.images.shape[1:] == dataset.image_shape
        assert first.labels.dtype == np.int64
        image, label = first[1]
        assert image.dtype == np.float32
        np.testing.assert_array_equal(image, first.images[1].astype(np.float32) / np.float32(255))
        assert label == first.labels[1]
        x, y = next(iter(DataLoader(first, 2)))
        assert (x.shape, y.shape) == ((2, *dataset.image_shape), (2,))
        assert repr(first) == f"{dataset.__name__}({'train' if train else 'test'}, {len(first)} images)"
    for path in (cache / dataset.folder).iterdir():
        assert not path.name.endswith(".part")


@pytest.mark.parametrize("make", [fashion, cifar10])
def test_downloaded_into_a_root(make, server, tmp_path):
    dataset, files, *_ = make(server.url + "/good")
    server.files = files if isinstance(files, dict) else {dataset.archive.name: files}
    here = dataset(root=tmp_path / "mine", download=True)
    assert len(os.listdir(tmp_path / "mine")) == len(dataset.files(True))
    np.testing.assert_array_equal(dataset(root=tmp_path / "mine").images, here.images)


@pytest.mark.parametrize("make", [fashion, cifar10])
@pytest.mark.parametrize("damage", ["wrong", "short"])
def test_a_cached_file_that_was_damaged_is_refused_and_can_be_fetched_again(make, damage, server, cache):
    dataset, files, *_ = make(server.url + "/good")
    server.files = files if isinstance(files, dict) else {dataset.archive.name: files}
    dataset(download=True)
    path = sorted((cache / dataset.folder).iterdir())[0]
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if damage == "wrong" else content[:-1])
    with pytest.raises(DataError, match=r"expected (sha256|\d+ bytes).*\(download=True\) fetches it again"):
        dataset()
    dataset(download=True)
    assert path.read_bytes() == content


def test_a_failed_download_is_one_error(server, cache):
    dataset, files = fashion(server.url + "/wrong", server.url + "/shorter")
    server.files = files
    with pytest.raises(DataError, match="one of 2 mirrors"):
        dataset(download=True)
    assert os.listdir(cache / "fashion-mnist") == []


# ---------------------------------------------------------------- files from elsewhere


@pytest.mark.parametrize("packed", [True, False])
def test_fashion_mnist_in_a_folder(tmp_path, packed):
    dataset, files = fashion()
    if not packed:
        files = {name.removesuffix(".gz"): gzip.decompress(content) for name, content in files.items()}
    write(tmp_path, files)
    train = dataset(root=tmp_path)
    assert len(train) == 6
    assert FashionMNIST(root=str(tmp_path)).labels.tolist() == [0, 1, 2, 3, 4, 5]  # believed when it fits
    (tmp_path / next(name for name in files if "train-labels" in name)).unlink()
    with pytest.raises(DataError, match=r"expected train-labels-idx1-ubyte or .*, got neither"):
        dataset(root=tmp_path)
    with pytest.raises(DataError, match="absent: expected a folder with Fashion-MNIST's files"):
        dataset(root=tmp_path / "absent")


@pytest.mark.parametrize("how", ["archive", "folder", "flat"])
@pytest.mark.parametrize("train", [True, False])
def test_cifar10_records_are_label_red_green_blue(tmp_path, how, train):
    dataset, packed, inside = cifar10()
    if how == "archive":
        write(tmp_path, {"cifar-10-binary.tar.gz": packed})
    else:
        write(tmp_path, {name if how == "folder" else name.split("/")[1]: c for name, c in inside.items()})
    here = dataset(train, root=tmp_path)
    batches = [np.frombuffer(c, np.uint8).reshape(-1, 3073) for c in inside.values()]
    rows = np.concatenate(batches[:5] if train else batches[5:])
    assert here.labels.tolist() == rows[:, 0].tolist()
    assert here.images[1, 2, 31, 30] == rows[1, 1 + 2 * 1024 + 31 * 32 + 30]  # blue, last row
    assert here.images[0, 0, 0, 1] == rows[0, 2]
    np.testing.assert_array_equal(here.images.reshape(len(rows), -1), rows[:, 1:])
    here.images[...] = 0  # it is the caller's own


def test_cifar100_has_two_labels(tmp_path):
    dataset, packed, inside = cifar100()
    write(tmp_path, {"cifar-100-binary.tar.gz": packed})
    for train, content in zip((True, False), inside.values(), strict=True):
        here = dataset(train, root=tmp_path)
        rows = np.frombuffer(content, np.uint8).reshape(-1, 3074)
        assert here.coarse_labels.tolist() == rows[:, 0].tolist()
        assert here.labels.tolist() == rows[:, 1].tolist()
        np.testing.assert_array_equal(here.images.reshape(len(rows), -1), rows[:, 2:])


def refused(dataset, root, message):
    with pytest.raises(DataError, match=message):
        dataset(root=root)


def test_a_record_file_cut_anywhere_is_refused(tmp_path):
    dataset, _, inside = cifar10(count=1)
    write(tmp_path, inside)
    path = tmp_path / "cifar-10-batches-bin" / "data_batch_3.bin"
    content = path.read_bytes()
    for size in (*range(0, 3073, 7), 3072, 3074, 2 * 3073):
        path.write_bytes((content * 2)[:size])
        refused(dataset, tmp_path, f"data_batch_3.bin: expected 1 records, .* 3073 bytes, got {size} bytes")
    path.unlink()
    refused(dataset, tmp_path, r"data_batch_3\.bin: expected a file, got none of that name")
    path.mkdir()
    refused(dataset, tmp_path, r"data_batch_3\.bin: expected")


def test_an_archive_cut_at_every_byte_is_refused(tmp_path):
    dataset, packed, _ = cifar10(count=1, plain=True)
    assert len(packed) < 1500
    path = tmp_path / "cifar-10-binary.tar.gz"
    for size in range(len(packed)):
        path.write_bytes(packed[:size])
        refused(dataset, tmp_path, r"cifar-10-binary\.tar\.gz: expected")
    path.write_bytes(packed)
    assert len(dataset(root=tmp_path)) == 5


def test_an_archive_with_any_byte_changed_is_refused_or_reads_the_same(tmp_path):
    dataset, packed, _ = cifar10(count=1, plain=True)
    path = tmp_path / "cifar-10-binary.tar.gz"
    good, same = dataset(root=write(tmp_path, {path.name: packed})), 0
    for place in range(len(packed)):
        path.write_bytes(packed[:place] + bytes([packed[place] ^ 0x15]) + packed[place + 1 :])
        try:
            other = dataset(root=tmp_path)
        except DataError:
            continue
        same += 1  # the packer's name, or the time in the header
        np.testing.assert_array_equal(other.images, good.images)
        np.testing.assert_array_equal(other.labels, good.labels)
    assert same < 12


def linked(name):
    info = tarfile.TarInfo(name)
    info.type = tarfile.SYMTYPE
    info.linkname = "/etc/passwd"
    return info, b""


def grown(name, size):
    info = tarfile.TarInfo(name)
    info.size = size
    return info


BATCH = "cifar-10-batches-bin/data_batch_2.bin"


def test_archives_that_hold_something_else_are_refused(tmp_path):
    dataset, packed, inside = cifar10()
    twice = archive({**inside, "./" + BATCH: inside[BATCH]})
    elsewhere = archive({name.replace("cifar-10", "../cifar-10"): c for name, c in inside.items()})
    for content, message in (
        (
            archive({**inside, BATCH: inside[BATCH][:-1]}),
            "6146 bytes in .*data_batch_2.bin, got 6145",
        ),
        (
            archive({**inside, BATCH: inside[BATCH] * 2}),
            "6146 bytes in .*data_batch_2.bin, got 12292",
        ),
        (archive({**inside, BATCH: linked(BATCH)}), "data_batch_2.bin once, as a plain file"),
        (twice, "data_batch_2.bin once, as a plain file"),
        (archive({n: c for n, c in inside.items() if n != BATCH}), r"expected data_batch_2\.bin in cifar-10"),
        (elsewhere, "expected data_batch_1.bin, .*test_batch.bin in cifar-10-batches-bin/, got none there"),
        (archive(inside, "w"), r"a sound \.tar\.gz, got a damaged one"),
        (gzip.compress(b"no archive at all" * 100), r"a sound \.tar\.gz, got a damaged one"),
        (b"", "expected"),
        (packed + b"more", r"a sound \.tar\.gz, got a damaged one"),
        (packed + gzip.compress(b"more"), "nothing after the archive's end"),
    ):
        refused(dataset, write(tmp_path, {"cifar-10-binary.tar.gz": content}), message)
    assert (
        sorted(os.listdir(tmp_path)) == ["cache", "cifar-10-binary.tar.gz"] or len(os.listdir(tmp_path)) == 1
    )


def test_bombs_and_huge_sizes_take_no_memory(tmp_path):
    dataset, *_ = cifar10()
    zeros = io.BytesIO()
    with gzip.GzipFile(fileobj=zeros, mode="wb") as file:
        file.write(grown("big", 10**8).tobuf())
        for _ in range(100):
            file.write(bytes(10**6))
    header = gzip.compress(grown(BATCH, 2**40).tobuf() + bytes(1024))
    pax = tarfile.TarInfo("pax")
    pax.type, pax.size = tarfile.XHDTYPE, 2**40
    long_name = gzip.compress(pax.tobuf() + bytes(10**7))
    path = tmp_path / "cifar-10-binary.tar.gz"
    for content, message in (
        (zeros.getvalue(), "less to unpack, got an archive that goes on and on"),
        (header, f"expected 6146 bytes in .*, got {2**40}"),
        (long_name, "expected"),
    ):
        path.write_bytes(content)
        tracemalloc.start()
        try:
            refused(dataset, tmp_path, message)
            assert tracemalloc.get_traced_memory()[1] < 8_000_000
        finally:
            tracemalloc.stop()
    batch = tmp_path / "data_batch_1.bin"
    with open(batch, "wb") as file:
        file.truncate(2**40)  # sparse
    refused(dataset, tmp_path, f"got {2**40} bytes")


def test_labels_that_are_none_are_refused(tmp_path):
    dataset, _, inside = cifar10()
    rows = records(2, 10)
    rows[1, 0] = 10
    refused(dataset, write(tmp_path, {**inside, BATCH: rows.tobytes()}), "labels from 0 to 9, got 10")
    dataset, _, inside = cifar100()
    rows = records(8, 100, coarse=True)
    rows[3, 0] = 20
    name = "cifar-100-binary/train.bin"
    refused(dataset, write(tmp_path, {name: rows.tobytes()}), "groups from 0 to 19, got 20")
    rows[3, :2] = 0, 100
    refused(dataset, write(tmp_path, {name: rows.tobytes()}), "labels from 0 to 99, got 100")


def test_a_folder_without_the_files(tmp_path):
    dataset, *_ = cifar10()
    refused(dataset, tmp_path, r"expected cifar-10-binary\.tar\.gz, or data_batch_1\.bin, .* got neither")
    refused(dataset, tmp_path / "absent", "expected a folder with CIFAR10's files, got no folder")
    (tmp_path / "cifar-10-binary.tar.gz").mkdir()
    refused(dataset, tmp_path, "expected an archive, got Is a directory")
