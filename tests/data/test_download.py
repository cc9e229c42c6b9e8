"""Downloads: whatever a mirror, the network or the disk does, the final path holds the right file or none."""

import hashlib
import multiprocessing
import os
import socket
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from data.server import mirror

from minidl.data import download as files
from minidl.data import mirrors as module
from minidl.data.download import RemoteFile, cache_folder, read_checked
from minidl.data.mirrors import download
from minidl.errors import DataError

CONTENT = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def server():
    with mirror() as running:
        running.files["f.bin"] = CONTENT
        yield running


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def closed():
    """An address at which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


def remote(server, *hows, content=CONTENT):
    mirrors = tuple(how if ":" in how else f"{server.url}/{how}/f.bin" for how in hows)
    return RemoteFile("f.bin", mirrors, len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("how", ["good", "unannounced", "redirects"])
def test_a_file_arrives_whole_and_is_fetched_once(server, tmp_path, how):
    server.asked.clear()
    file = remote(server, how)
    path = download(file, tmp_path / "a" / "b")
    assert path == tmp_path / "a" / "b" / "f.bin"
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(path.parent) == ["f.bin"]
    asked = len(server.asked)
    assert download(file, path.parent) == path
    assert len(server.asked) == asked


FAILURES = {
    "missing": "answered 404 Not Found",
    "broken": "answered 500 Internal Server Error",
    "wrong": "sent another file, with sha256 [0-9a-f]{64}",
    "page": "sent 26 of 10240 bytes",
    "short": "(sent 5120 of 10240 bytes|broke off)",
    "shorter": "sent 10239 of 10240 bytes",
    "longer": "sent more than 10240 bytes",
    "endless": "sent more than 10240 bytes",
    "silent": "timed out",
    "hangs": "broke off: timed out",
    "loops": "answered 302 ",
    "nonsense": "not HTTP at all",
}


@pytest.mark.parametrize("how", FAILURES)
def test_a_mirror_that_fails_is_named_and_leaves_nothing(server, tmp_path, how):
    start = time.monotonic()
    expected = rf"f\.bin: expected a file from one of 1 mirrors.*/{how}/f\.bin: .*{FAILURES[how]}"
    with pytest.raises(DataError, match=expected) as caught:
        download(remote(server, how), tmp_path, timeout=0.3)
    assert time.monotonic() - start < 5
    message = str(caught.value)
    assert f"can be put into {tmp_path}" in message
    assert "Is there a network?" in message
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("how", FAILURES)
def test_the_next_mirror_is_asked(server, tmp_path, how):
    path = download(remote(server, how, "good"), tmp_path, timeout=0.3)
    assert path.read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["f.bin"]


def test_a_mirror_that_drips_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SLOWEST", 1e9)
    start = time.monotonic()
    with pytest.raises(DataError, match=r"sent only \d+ of 10240 bytes, too slowly"):
        download(remote(server, "drips"), tmp_path, timeout=0.3)
    assert 0.2 < time.monotonic() - start < 3
    assert not os.listdir(tmp_path)


def test_no_network_is_one_clear_error(server, tmp_path):
    nowhere = "http://mirror.invalid/f.bin"  # a name that never exists
    with pytest.raises(DataError) as caught:
        download(remote(server, closed() + "/f.bin", nowhere, "nothing:at all"), tmp_path, timeout=2)
    message = str(caught.value)
    assert "one of 3 mirrors" in message
    assert "Connection refused" in message
    assert f"{nowhere}: " in message
    assert "nothing:at all: " in message
    assert len(message.splitlines()) == 1
    assert not os.listdir(tmp_path)


def test_an_endless_body_takes_no_memory(server, tmp_path):
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            download(remote(server, "endless"), tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


def test_a_damaged_file_is_replaced_and_kept_when_that_fails(server, tmp_path):
    (tmp_path / "f.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match="404"):
        download(remote(server, "missing"), tmp_path)
    assert (tmp_path / "f.bin").read_bytes() == CONTENT[:-1]  # whose else it may be
    assert download(remote(server, "good"), tmp_path).read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written_to(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    expected = "expected a folder that can be written to, got"
    with pytest.raises(DataError, match=rf"file/x: {expected} Not a dir.*MINIDL_DATA"):
        download(remote(server, "good"), tmp_path / "file" / "x")
    if os.geteuid() != 0:  # whom nothing is forbidden
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(DataError, match=f"locked: {expected} Permission"):
            download(remote(server, "good"), tmp_path / "locked")


def test_a_read_only_folder(server, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module.tempfile, "mkstemp", refuse)
    with pytest.raises(DataError, match="expected a folder that can be written to, got Permission denied"):
        download(remote(server, "good"), tmp_path)
    (tmp_path / "f.bin").write_bytes(CONTENT)
    assert download(remote(server, "missing"), tmp_path)  # what is there needs no writing


def test_a_full_disk_is_not_the_mirrors_fault(server, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(DataError, match=r"f\.bin: could not be written: No space left on device"):
        download(remote(server, "good"), tmp_path)
    assert not os.listdir(tmp_path)


def test_something_else_at_the_final_path(server, tmp_path):
    (tmp_path / "f.bin").mkdir()
    with pytest.raises(DataError, match=r"f\.bin: could not be written: Is a directory"):
        download(remote(server, "good"), tmp_path)
    assert os.listdir(tmp_path) == ["f.bin"]


def _fetch(file, folder):
    download(file, Path(folder))


def test_two_processes_at_once(server, tmp_path):
    context = multiprocessing.get_context("spawn")
    file = remote(server, "slow")
    both = [context.Process(target=_fetch, args=(file, str(tmp_path))) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(30)
    assert [process.exitcode for process in both] == [0, 0]
    assert os.listdir(tmp_path) == ["f.bin"]
    assert (tmp_path / "f.bin").read_bytes() == CONTENT


def test_a_process_killed_while_it_downloads_leaves_no_file_at_the_final_path(server, tmp_path):
    url, folder = server.url + "/hangs/f.bin", str(tmp_path)
    code = f"""
import sys
sys.path.insert(0, {str(Path(module.__file__).parents[2])!r})
from pathlib import Path
from minidl.data.download import RemoteFile
from minidl.data.mirrors import download
download(RemoteFile("f.bin", ({url!r},), {len(CONTENT)}, "0" * 64), Path({folder!r}))
"""
    program = subprocess.Popen([sys.executable, "-c", code])
    end = time.monotonic() + 20
    while not os.listdir(tmp_path) and time.monotonic() < end:
        time.sleep(0.02)
    program.kill()
    program.wait()
    (part,) = os.listdir(tmp_path)
    assert part.endswith(".part")
    assert download(remote(server, "good"), tmp_path).read_bytes() == CONTENT


# ---------------------------------------------------------------- reading what is there


def test_only_the_right_bytes_are_read(server, tmp_path):
    file, path = remote(server, "good"), tmp_path / "f.bin"
    with pytest.raises(DataError, match=r"f\.bin: expected a file, got none of that name"):
        read_checked(path, file)
    for content in (b"", CONTENT[:-1], CONTENT + b"!"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"expected 10240 bytes, got {len(content)}"):
            read_checked(path, file)
    path.write_bytes(bytes(len(CONTENT)))
    with pytest.raises(DataError, match=f"expected sha256 {file.sha256}, got [0-9a-f]{{64}}"):
        read_checked(path, file)
    path.write_bytes(CONTENT)
    assert read_checked(path, file) == CONTENT
    with open(path, "r+b") as huge:
        huge.truncate(2**40)  # a sparse file: nothing of that size may be read
    with pytest.raises(DataError, match=f"expected 10240 bytes, got {2**40}"):
        read_checked(path, file)
    with pytest.raises(DataError, match="expected a file, got Is a directory"):
        read_checked(tmp_path, file)


def test_where_files_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.delenv("MINIDL_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(files.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "minidl"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache" / "minidl"
    monkeypatch.setattr(files.sys, "platform", "darwin")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "minidl"
    monkeypatch.setattr(files.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "minidl" / "Cache"

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(files.sys, "platform", "linux")
    monkeypatch.setattr(Path, "home", staticmethod(homeless))
    with pytest.raises(DataError, match="a home folder or the variable MINIDL_DATA"):
        cache_folder()
