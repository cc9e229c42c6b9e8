"""Fetching the files of data sets: only what the checksum vouches for ever lies at the final path.

The mirrors are tried in turn. What comes is written to a file of another name beside the final one, never
more than the known size, checked, forced to disk and renamed, so a reader sees the whole file or none, also
when two processes fetch it at once or one is killed. Nothing is fetched unless `download=True` asks for it,
and only then is this file imported, with the standard library's modules for the network.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

from minidl.data.download import RemoteFile, read_checked
from minidl.errors import DataError

__all__ = ["download"]

CHUNK = 2**16
TIMEOUT = 20.0  # seconds without a byte
SLOWEST = 10_000  # bytes per second: a mirror that drips is given up


def download(remote: RemoteFile, folder: Path, *, timeout: float = TIMEOUT) -> Path:
    """Get a file into a folder, unless it lies there already, whole.

    Args:
        remote: which.
        folder: where to; made if need be.
        timeout: seconds that a mirror may be silent.

    Returns:
        Its path.

    Raises:
        DataError: no mirror gave it (the message says what each did), or the folder cannot be written to.
    """
    path = folder / remote.name
    try:
        read_checked(path, remote)
        return path
    except DataError:  # missing or damaged
        pass
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f"{remote.name}.", suffix=".part", dir=folder)
    except OSError as error:
        raise DataError(
            f"{folder}: expected a folder that can be written to, got {error.strerror or error}; "
            "the variable MINIDL_DATA names another"
        ) from error
    part = Path(name)
    try:
        with open(handle, "wb") as file:
            _from_mirrors(remote, file, folder, timeout)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(0o644)
        part.replace(path)
    except OSError as error:  # of the disk: those of the network are among the mirrors' failures
        raise DataError(f"{path}: could not be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
    return path


class _MirrorError(Exception):
    """Why a mirror did not give the file."""


def _from_mirrors(remote: RemoteFile, file: IO[bytes], folder: Path, timeout: float) -> None:
    failures = []
    for url in remote.mirrors:
        try:
            _from_mirror(url, remote, file, timeout)
            return
        except _MirrorError as error:
            failures.append(f"{url}: {error}")
    raise DataError(
        f"{remote.name}: expected a file from one of {len(failures)} mirrors, got none: "
        f"{'; '.join(failures)}. Is there a network? A file from elsewhere can be put into {folder}"
    )


def _from_mirror(url: str, remote: RemoteFile, file: IO[bytes], timeout: float) -> None:
    """Write what the mirror sends to the file, if it is what it should be."""
    file.seek(0)
    file.truncate()
    digest, size = hashlib.sha256(), 0
    end = time.monotonic() + timeout + remote.size / SLOWEST
    response = _open(url, timeout)
    with response:
        while True:
            chunk = _next_chunk(response)
            if not chunk:
                break
            size += len(chunk)
            if size > remote.size:
                raise _MirrorError(f"sent more than {remote.size} bytes")
            if time.monotonic() > end:
                raise _MirrorError(f"sent only {size} of {remote.size} bytes, too slowly")
            digest.update(chunk)
            file.write(chunk)
    if size != remote.size:
        raise _MirrorError(f"sent {size} of {remote.size} bytes")
    if digest.hexdigest() != remote.sha256:
        raise _MirrorError(f"sent another file, with sha256 {digest.hexdigest()}")


def _open(url: str, timeout: float) -> http.client.HTTPResponse:
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "minidl"})
        return urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            raise _MirrorError(f"answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)  # URLError wraps what happened
        raise _MirrorError(str(getattr(reason, "strerror", None) or reason)) from error


def _next_chunk(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(CHUNK)  # returns with what is there, so that a drip is noticed
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _MirrorError(f"broke off: {getattr(error, 'strerror', None) or error}") from error
