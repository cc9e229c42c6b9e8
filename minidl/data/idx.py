"""Reading idx files, the format of MNIST, without believing a word that they say about themselves.

An idx file is four bytes `0 0 type rank`, then one big-endian uint32 per dimension, then the numbers,
big-endian, last dimension fastest (http://yann.lecun.com/exdb/mnist/, "The IDX file format"). A header of
twelve bytes can promise exabytes, and a gzip file of a megabyte can hold a gigabyte of zeros: so the
promise is checked against the bytes that are there before anything of that size is allocated, and never
is more unpacked than was promised plus one byte.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import stat
import zlib
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from minidl.errors import DataError

__all__ = ["MAX_BYTES", "read_idx"]

MAX_BYTES = 2**31
"""No idx file is unpacked beyond this size: 2 GiB, four times the largest of MNIST's relatives."""

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP_MAGIC = b"\x1f\x8b"
DEFLATE_LIMIT = 1032  # deflate's best: 258 bytes out of 2 bits
CHUNK = 2**20
MAX_RANK = 64  # NumPy's


def read_idx(
    source: str | os.PathLike[str] | bytes, *, name: str | None = None, sha256: str | None = None
) -> NDArray[Any]:
    """The array that an idx file holds, plain or gzipped (told by its content, not by its name).

    Args:
        source: a path, or the file's bytes.
        name: what messages call the file; its path by default.
        sha256: the digest that the unpacked file must have, in hexadecimal.

    Returns:
        An array of the header's shape, in native byte order, that may be written to.

    Raises:
        DataError: the file is missing, is no idx file, is cut short, goes on after its end, was changed,
            or promises more than `MAX_BYTES`; the message names the file, the expected and the given.
    """
    called = name or ("idx data" if isinstance(source, bytes) else str(Path(source)))
    try:
        with closing(_open(source, called)) as raw:
            size = raw.seek(0, io.SEEK_END)
            raw.seek(0)
            packed = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            if not packed:
                return _read(raw, size, called, sha256)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return _read(unpacked, DEFLATE_LIMIT * size, called, sha256)
    except EOFError as error:
        raise DataError(f"{called}: expected a whole gzip file, got one that is cut short") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{called}: expected a sound gzip file, got a damaged one ({error})") from error
    except FileNotFoundError as error:
        raise DataError(f"{called}: expected an idx file, got no file of that name") from error
    except OSError as error:
        raise DataError(f"{called}: expected an idx file, got {error.strerror or error}") from error


def _open(source: str | os.PathLike[str] | bytes, called: str) -> IO[bytes]:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        mode = os.stat(source).st_mode
    except ValueError as error:  # a NUL character in the path
        raise DataError(f"{called!r}: expected a path, got {error}") from error
    if not stat.S_ISREG(mode):  # reading a pipe or a device might never end
        kind = "a folder" if stat.S_ISDIR(mode) else "something that is no regular file"
        raise DataError(f"{called}: expected an idx file, got {kind}")
    return open(source, "rb")


def _read(file: IO[bytes] | gzip.GzipFile, most: int, called: str, sha256: str | None) -> NDArray[Any]:
    """Parse an unpacked stream that holds at most `most` bytes (exactly so many, if it was not packed)."""
    head = file.read(4)
    if len(head) < 4:
        raise DataError(f"{called}: expected an idx header of at least 4 bytes, got {len(head)}")
    code, rank = head[2], head[3]
    if head[:2] != b"\0\0" or code not in TYPES:
        raise DataError(
            f"{called}: expected an idx file, which starts with 00 00 and a type of "
            f"{', '.join(f'{known:02x}' for known in TYPES)}; got {head[:3].hex(' ')}"
        )
    if not 1 <= rank <= MAX_RANK:
        raise DataError(f"{called}: expected 1 to {MAX_RANK} dimensions, got {rank}")
    sizes = file.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise DataError(f"{called}: expected {rank} dimensions of 4 bytes each, got {len(sizes)} bytes")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    if 0 in shape:
        raise DataError(f"{called}: expected dimensions of at least 1, got {shape}")

    dtype = np.dtype(TYPES[code])
    promised = math.prod(shape) * dtype.itemsize
    offset = len(head) + len(sizes)
    if offset + promised > MAX_BYTES:
        raise DataError(
            f"{called}: expected at most {MAX_BYTES} bytes, got a header that promises {promised}"
        )
    if promised > most - offset:
        raise DataError(
            f"{called}: expected {promised} bytes of data for shape {shape}, "
            f"got a file that holds at most {most - offset}"
        )
    data = bytearray()
    while len(data) <= promised and (chunk := file.read(min(CHUNK, promised + 1 - len(data)))):
        data += chunk
    if len(data) != promised:
        given = len(data) if len(data) < promised else f"more than {promised}"
        raise DataError(f"{called}: expected {promised} bytes of data for shape {shape}, got {given}")
    if sha256 is not None:
        digest = hashlib.sha256(head + sizes)
        digest.update(data)
        if digest.hexdigest() != sha256:
            raise DataError(f"{called}: expected sha256 {sha256}, got {digest.hexdigest()}")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
