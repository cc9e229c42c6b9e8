"""The files of data sets that others keep: which they are, where they lie, and whether they are whole."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from minidl.errors import DataError

__all__ = ["RemoteFile", "cache_folder", "read_checked"]


@dataclass(frozen=True)
class RemoteFile:
    """A file that others keep: what it is called, where it lies, and what tells it from any other."""

    name: str
    mirrors: tuple[str, ...]
    size: int
    sha256: str


def cache_folder() -> Path:
    """Where downloaded files are kept: `MINIDL_DATA`, or the system's folder for caches.

    Raises:
        DataError: there is no home folder to keep them in.
    """
    named = os.environ.get("MINIDL_DATA")
    if named:
        return Path(named)
    try:
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "minidl"
        if sys.platform == "win32":
            local = os.environ.get("LOCALAPPDATA")
            return (Path(local) if local else Path.home() / "AppData" / "Local") / "minidl" / "Cache"
        named = os.environ.get("XDG_CACHE_HOME")
        return (Path(named) if named else Path.home() / ".cache") / "minidl"
    except RuntimeError as error:
        raise DataError(
            f"expected a home folder or the variable MINIDL_DATA for downloaded files, got neither ({error})"
        ) from error


def read_checked(path: Path, remote: RemoteFile) -> bytes:
    """The bytes of a downloaded file.

    Raises:
        DataError: it is missing, or is another file than it should be.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != remote.size:  # before anything of that size is read
                raise DataError(f"{path}: expected {remote.size} bytes, got {size}")
            content = file.read(remote.size)
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected a file, got none of that name") from error
    except OSError as error:
        raise DataError(f"{path}: expected a file, got {error.strerror or error}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != remote.sha256:
        raise DataError(f"{path}: expected sha256 {remote.sha256}, got {digest}")
    return content
