"""The idx parser against every file that lies: one clear DataError each, and no memory spent on a promise."""

import gzip
import io
import os
import struct
import tracemalloc

import numpy as np
import pytest

from minidl.data import read_idx
from minidl.data.idx import CHUNK, MAX_BYTES
from minidl.errors import DataError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def header(code, *sizes, rank=None):
    return bytes([0, 0, code, len(sizes) if rank is None else rank]) + struct.pack(f">{len(sizes)}I", *sizes)


def idx(array):
    array = np.asarray(array)
    code = CODES[array.dtype.str[1:]]
    return header(code, *array.shape) + array.astype(array.dtype.newbyteorder(">")).tobytes()


def packed(content):
    return gzip.compress(content, mtime=0)


SMALL = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


# ---------------------------------------------------------------- what is sound


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 1, 3, 2)])
@pytest.mark.parametrize("pack", [bytes, packed])
def test_every_type_and_rank_comes_back(kind, shape, pack):
    rng = np.random.default_rng(0)
    array = (rng.normal(size=shape) * 100).astype(kind)
    read = read_idx(pack(idx(array)))
    assert read.dtype == np.dtype(kind)
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, array)
    read[...] = 0  # it is the caller's own


def test_the_format_is_big_endian():
    content = bytes.fromhex("00 00 0c 01 00 00 00 02 00 00 01 00 ff ff ff fe")
    assert read_idx(content).tolist() == [256, -2]


@pytest.mark.parametrize("name", ["data.idx", "data.idx.gz", "Ziffern 숫자"])
@pytest.mark.parametrize("pack", [bytes, packed])
def test_a_file_is_told_by_its_content_not_by_its_name(tmp_path, name, pack):
    path = tmp_path / name
    path.write_bytes(pack(idx(SMALL)))
    np.testing.assert_array_equal(read_idx(path), SMALL)
    np.testing.assert_array_equal(read_idx(str(path)), SMALL)


def test_gzip_in_several_members_and_with_padding_is_gzip():
    content = idx(SMALL)
    np.testing.assert_array_equal(read_idx(packed(content[:9]) + packed(content[9:])), SMALL)
    np.testing.assert_array_equal(read_idx(packed(content) + bytes(8)), SMALL)


# ---------------------------------------------------------------- what is not


@pytest.mark.parametrize("pack", [bytes, packed])
@pytest.mark.parametrize("array", [SMALL, np.arange(3.0), np.arange(4, dtype=np.int16)])
def test_a_file_cut_at_any_byte_is_refused(tmp_path, pack, array):
    whole = pack(idx(array))
    path = tmp_path / "cut"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut: expected .*, got "):
            read_idx(path)


@pytest.mark.parametrize("pack", [bytes, packed])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected an idx header of at least 4 bytes, got 0"),
        (b"\x01\x00\x08\x01\0\0\0\x01\xff", "starts with 00 00 .* got 01 00 08"),
        (b"\x00\x01\x08\x01\0\0\0\x01\xff", "got 00 01 08"),
        (b"\x89PNG\r\n\x1a\n", "got 89 50 4e"),
        (header(0x0A, 1) + b"\xff", "a type of 08, 09, 0b, 0c, 0d, 0e; got 00 00 0a"),
        (header(0x00, 1) + b"\xff", "got 00 00 00"),
        (header(0x08) + b"\xff", "expected 1 to 64 dimensions, got 0"),
        (header(0x08, *[1] * 255) + b"\xff", "expected 1 to 64 dimensions, got 255"),
        (header(0x08, 2, rank=3), "expected 3 dimensions of 4 bytes each, got 4 bytes"),
        (header(0x08, 0), r"dimensions of at least 1, got \(0,\)"),
        (
            header(0x08, 0, 2**32 - 1, 2**32 - 1),
            r"dimensions of at least 1, got \(0, 4294967295, 4294967295\)",
        ),
        (header(0x08, 2, 3) + bytes(5), r"expected 6 bytes of data for shape \(2, 3\), got .*\d"),
        (header(0x08, 2, 3) + bytes(7), r"expected 6 bytes of data for shape \(2, 3\), got more than 6"),
        (header(0x0E, 3) + bytes(25), "expected 24 bytes of data .* got more than 24"),
        (header(0x08, *[2**32 - 1] * 4), f"at most {MAX_BYTES} bytes, got a header that promises"),
        (header(0x0E, *[2**32 - 1] * 64), f"at most {MAX_BYTES} bytes, got a header that promises"),
        (header(0x08, MAX_BYTES - 7), f"at most {MAX_BYTES} bytes"),
        (header(0x08, MAX_BYTES - 8), f"expected {MAX_BYTES - 8} bytes of data"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, pack, content, message):
    path = tmp_path / "liar"
    path.write_bytes(pack(content))
    with pytest.raises(DataError, match=f"liar: .*{message}") as caught:
        read_idx(path)
    assert "\n" not in str(caught.value)


def test_every_single_damaged_byte_of_a_gzip_file_is_noticed_or_harmless():
    whole = packed(idx(SMALL))
    noticed = 0
    for position in range(len(whole)):
        broken = bytearray(whole)
        broken[position] ^= 0x55
        try:
            np.testing.assert_array_equal(read_idx(bytes(broken)), SMALL)  # a byte of the gzip header
        except DataError:
            noticed += 1
    assert noticed > len(whole) - 10


@pytest.mark.parametrize("field", [slice(-8, -4), slice(-4, None)])
def test_a_wrong_checksum_or_length_of_the_gzip_file_is_noticed(field):
    broken = bytearray(packed(idx(SMALL)))
    broken[field] = b"\x12\x34\x56\x78"
    with pytest.raises(DataError, match="idx data: expected a sound gzip file, got a damaged one"):
        read_idx(bytes(broken))


def test_rubbish_after_the_gzip_file_is_noticed():
    with pytest.raises(DataError, match="expected a sound gzip file"):
        read_idx(packed(idx(SMALL)) + b"rubbish")


def test_random_bytes_never_raise_anything_else():
    rng = np.random.default_rng(6)
    whole = {pack: pack(idx(SMALL)) for pack in (bytes, packed)}
    for _ in range(3000):
        broken = bytearray(whole[packed if rng.random() < 0.5 else bytes])
        for _ in range(rng.integers(1, 6)):
            broken[rng.integers(len(broken))] = rng.integers(256)
        if rng.random() < 0.3:
            broken = broken[: rng.integers(len(broken))] + rng.bytes(rng.integers(9))
        try:
            read = read_idx(bytes(broken))
        except DataError as error:
            assert "expected" in str(error)  # noqa: PT017
            assert "got" in str(error)  # noqa: PT017
        else:
            assert read.nbytes <= len(idx(SMALL))


def test_the_digest_covers_the_header_and_the_data():
    import hashlib

    content = idx(SMALL)
    digest = hashlib.sha256(content).hexdigest()
    np.testing.assert_array_equal(read_idx(packed(content), sha256=digest), SMALL)
    for other in (idx(SMALL.reshape(3, 2, 4)), idx(SMALL + 1)):
        with pytest.raises(DataError, match=f"mine: expected sha256 {digest}, got "):
            read_idx(packed(other), name="mine", sha256=digest)


# ---------------------------------------------------------------- memory


def peak_of(read):
    """The most memory that Python and NumPy held at once during a call that must fail."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as caught:
            read()
        return tracemalloc.get_traced_memory()[1], str(caught.value)
    finally:
        tracemalloc.stop()


def zeros_packed(count):
    """A gzip file of `count` zeros, made piece by piece."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file:
        for start in range(0, count, 2**20):
            file.write(bytes(min(2**20, count - start)))
    return buffer.getvalue()


def test_the_gauge_sees_an_allocation():
    def greedy():
        held = bytearray(64 * 2**20)
        raise DataError(str(len(held)))

    assert peak_of(greedy)[0] >= 64 * 2**20


def test_a_gzip_bomb_is_unpacked_no_further_than_its_header_promises(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(packed(header(0x08, 1000)) + zeros_packed(256 * 2**20))
    assert path.stat().st_size < 2**20
    peak, message = peak_of(lambda: read_idx(path))
    assert "bomb.gz: expected 1000 bytes of data for shape (1000,), got more than 1000" in message
    assert peak < 2 * 2**20


def test_a_promise_is_worth_no_memory_before_the_bytes_come(tmp_path):
    path = tmp_path / "promise"
    for content in (
        header(0x08, 2**30) + bytes(100),
        packed(header(0x08, 2**30) + bytes(100)),
        packed(header(0x08, 2**30)) + os.urandom(2 * 2**20),  # enough bytes, but not of gzip
    ):
        path.write_bytes(content)
        peak, _ = peak_of(lambda: read_idx(path))
        assert peak < 2 * 2**20


def test_a_plain_file_that_is_too_short_is_not_read_at_all(tmp_path):
    path = tmp_path / "half"
    with open(path, "wb") as file:
        file.write(header(0x08, 2**27))
        file.truncate(2**26)
    peak, message = peak_of(lambda: read_idx(path))
    assert f"got a file that holds at most {2**26 - 8}" in message
    assert peak < 2 * 2**20


@pytest.mark.parametrize("pack", [bytes, packed])
@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_the_end_is_looked_for_wherever_it_falls_between_two_reads(pack, size):
    content = header(0x08, size) + bytes(size)
    assert read_idx(pack(content)).shape == (size,)
    with pytest.raises(DataError, match=f"got more than {size}"):
        read_idx(pack(content + b"x"))
    broken = packed(content)
    with pytest.raises(DataError, match="expected a sound gzip file"):
        read_idx(broken[:-8] + b"\x12\x34\x56\x78" + broken[-4:])


def test_a_file_far_longer_than_its_header_says_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "long"
    with open(path, "wb") as file:
        file.write(header(0x08, 10))
        file.truncate(3 * 2**30)  # a hole: it takes no space on the disk
    peak, message = peak_of(lambda: read_idx(path))
    assert "got more than 10" in message
    assert peak < 2 * 2**20


# ---------------------------------------------------------------- what is no file


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.gz: expected an idx file, got no file of that name"):
        read_idx(tmp_path / "nothing.gz")
    with pytest.raises(DataError, match=f"{tmp_path.name}: expected an idx file, got a folder"):
        read_idx(tmp_path)
    with pytest.raises(DataError, match="expected a path, got embedded null"):
        read_idx("a\0b")


def test_a_device_is_not_read():
    with pytest.raises(DataError, match="got something that is no regular file"):
        read_idx(os.devnull)


def test_a_file_that_the_system_refuses_is_named(tmp_path, monkeypatch):
    def locked(*_):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "locked"
    path.write_bytes(idx(SMALL))
    monkeypatch.setattr("builtins.open", locked)  # chmod would not stop root
    with pytest.raises(DataError, match="locked: expected an idx file, got Permission denied"):
        read_idx(path)
