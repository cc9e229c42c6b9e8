"""Weights and checkpoints: what is written comes back bit for bit, and a hostile file is one clear error."""

import json
import math
import os
import struct
import subprocess
import sys

import numpy as np
import pytest

from minidl import nn
from minidl.errors import CheckpointError, StateDictError
from minidl.train import load_checkpoint, load_weights, save_checkpoint, save_weights


def same(a, b):
    """Equal in every bit, types and order of keys included."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        keys = all(same(x, y) for x, y in zip(a, b, strict=True)) if len(a) == len(b) else False
        return keys and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return struct.pack("d", a) == struct.pack("d", b) if isinstance(a, float) else a == b


def round_trip(tree, folder):
    save_checkpoint(tree, folder / "tree.safetensors")
    return load_checkpoint(folder / "tree.safetensors")


RNG = np.random.default_rng(0)
TREES = {
    "plain": {"a": None, "b": True, "c": -3, "d": 0.1, "e": "text \n ü 数", "f": [], "g": {}, "h": ()},
    "numbers": [0.1 + 0.2, -0.0, math.inf, -math.inf, 5e-324, 2**128 - 1, -(2**70)],
    "tuples": {"pair": (1, (2.0, "x"), []), "list": [(1,), [1]], "single": (np.arange(2),)},
    "keys": {0: "a", 1: {2: "b"}, -1: None, 1.5: 1, None: 2, (1, "x"): 4},
    "dollars": {"$array": "x", "$tuple": [1], "$items": {"$": 0}, "a": {"$array": np.ones(2)}},
    "looks like a mark": {"a": {"$array": "/a"}, "b": [{"$tuple": 5}, {"$items": []}]},
    "names that meet": {"a/b": np.zeros(1), "a": {"b": np.ones(1)}, 1: np.full(1, 2.0), "1": np.full(1, 3.0)},
    "at the root": np.arange(3),
    "dtypes": [
        RNG.integers(0, 2, 5).astype(dtype)
        for dtype in (
            "bool",
            "int8",
            "uint8",
            "int16",
            "int32",
            "int64",
            "uint64",
            "float16",
            "float32",
            "float64",
        )
    ],
    "not numbers": np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 5e-324], np.float64),
    "shapes": {
        "scalar": np.array(3.0, np.float32),
        "empty": np.zeros((0, 3), np.int64),
        "one": np.zeros((1, 1, 1)),
    },
    "odd names": {"": np.ones(1), "ü/数 \n\"'": np.ones(2), "__metadata__": np.ones(3)},
    "nothing": None,
    "a number": 7,
}


@pytest.mark.parametrize("name", TREES)
def test_a_tree_comes_back_equal_in_every_bit(name, tmp_path):
    assert same(round_trip(TREES[name], tmp_path), TREES[name])


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24.0).reshape(4, 6)[::2, ::3],
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        np.arange(5)[::-1],
        np.broadcast_to(np.float32(2), (2, 3)),
        np.arange(3, dtype=">f4"),
        np.arange(3, dtype=">i8"),
    ],
    ids=["strided", "fortran", "backwards", "broadcast", "big-endian floats", "big-endian integers"],
)
def test_a_layout_changes_no_value(array, tmp_path):
    back = round_trip({"a": array}, tmp_path)["a"]
    np.testing.assert_array_equal(back, array, strict=False)
    assert back.dtype == array.dtype.newbyteorder("=")
    assert back.shape == array.shape


def test_what_comes_back_can_be_written_to(tmp_path):
    back = round_trip({"a": np.arange(3)}, tmp_path)["a"]
    back += 1
    np.testing.assert_array_equal(round_trip({"a": np.arange(3)}, tmp_path)["a"], [0, 1, 2])


def test_numpy_scalars_come_back_as_python_numbers(tmp_path):
    back = round_trip({"f": np.float32(0.1), "i": np.int64(3), "b": np.bool_(True)}, tmp_path)
    assert same(back, {"f": float(np.float32(0.1)), "i": 3, "b": True})


@pytest.mark.parametrize(
    "bad",
    [
        {1, 2},
        b"bytes",
        object(),
        1j,
        np.complex64(1),
        np.array(["a"]),
        np.array([None]),
        np.zeros(1, complex),
    ],
    ids=lambda bad: type(bad).__name__ + getattr(getattr(bad, "dtype", None), "str", ""),
)
def test_what_no_file_can_hold_is_refused_by_its_place(bad, tmp_path):
    path = tmp_path / "tree.safetensors"
    save_checkpoint("old", path)
    with pytest.raises(TypeError, match=r"checkpoint: expected plain values and arrays, got \w+ at '/a/1'"):
        save_checkpoint({"a": [0, bad]}, path)
    assert load_checkpoint(path) == "old"


# -------------------------------------------------------------------- weights


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def test_weights_come_back_into_another_network(tmp_path):
    first, second = network(), network()
    first[1].running_mean += 1
    save_weights(first, tmp_path / "w.safetensors")
    load_weights(second, str(tmp_path / "w.safetensors"))
    assert same(first.state_dict(), second.state_dict())
    assert second[1].num_batches_tracked.shape == ()


def test_pytorch_reads_the_weights_and_minidl_reads_pytorchs(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    model = network()
    theirs = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU(), torch.nn.Linear(4, 2)
    )
    save_weights(model, tmp_path / "ours.safetensors")
    theirs.load_state_dict(load_file(tmp_path / "ours.safetensors"))
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), model.state_dict()[name], strict=True)

    torch.manual_seed(1)
    theirs[0].reset_parameters()
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    load_weights(model, tmp_path / "theirs.safetensors")
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), model.state_dict()[name], strict=True)


def test_weights_that_do_not_fit_change_nothing(tmp_path):
    save_weights(nn.Sequential(nn.Linear(3, 5)), tmp_path / "w.safetensors")
    model = network()
    before = model.state_dict()
    with pytest.raises(StateDictError, match=r"misshapen: 0\.weight: expected \(4, 3\), got \(5, 3\)"):
        load_weights(model, tmp_path / "w.safetensors")
    assert same(model.state_dict(), before)


def test_not_strict_takes_what_fits(tmp_path):
    source, model = nn.Sequential(nn.Linear(3, 4)), network()
    save_weights(source, tmp_path / "w.safetensors")
    load_weights(model, tmp_path / "w.safetensors", strict=False)
    np.testing.assert_array_equal(model[0].weight.data, source[0].weight.data)


# -------------------------------------------------------------------- hostile files


def raw(header, body=b""):
    """A safetensors file by hand: the header's length, the header, the bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def marked(tree):
    return raw({"__metadata__": {"format": "minidl-checkpoint-1", "tree": tree}})


def tensor(dtype, shape, end):
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}}


HOSTILE = {
    "empty": b"",
    "a header longer than the file": struct.pack("<Q", 1000) + b"{}",
    "a header of nine exabytes": struct.pack("<Q", 2**63) + b"{}",
    "a header of 90 megabytes": struct.pack("<Q", 90_000_000) + b"{}",
    "nested lists as header": raw(b"[" * 200_000),
    "nested dicts as header": raw(b'{"a":' * 100_000),
    "text": b"hello, this is no tensor at all, however long it may be",
    "a zip": b"PK\x03\x04" + bytes(200),
    "more bytes claimed than there are": raw(tensor("F32", [1000], 4000), b"1234"),
    "an exabyte claimed": raw(tensor("F32", [2**58], 2**60), b"1234"),
    "a shape that overflows": raw(tensor("F32", [2**40, 2**40], 4), b"1234"),
    "a negative size": raw(tensor("F32", [-1], 4), b"1234"),
    "bytes left over": raw(tensor("F32", [1], 4), b"12345678"),
    "a dtype that NumPy lacks": raw(tensor("BF16", [2], 4), b"1234"),
    "another dtype that NumPy lacks": raw(tensor("F8_E4M3", [4], 4), b"1234"),
    "no such dtype": raw(tensor("F99", [1], 4), b"1234"),
    "no mark": raw({}),
    "another mark": raw({"__metadata__": {"format": "pt"}}),
    "no tree": raw({"__metadata__": {"format": "minidl-checkpoint-1"}}),
    "a tree that is no JSON": marked("{"),
    "a tree that nests without end": marked("[" * 1_000_000),
    "a number without end": marked("9" * 100_000),
    "an array that is not there": marked('{"$array": "/a"}'),
    "an array named by a list": marked('{"$array": ["/a"]}'),
    "a tuple of a number": marked('{"$tuple": 5}'),
    "items of a number": marked('{"$items": 5}'),
    "items that are no pairs": marked('{"$items": [[1, 2, 3]]}'),
    "a list as a key": marked('{"$items": [[[], 1]]}'),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_error_that_names_it(name, tmp_path):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(CheckpointError, match=r"bad\.safetensors: expected a (safetensors file|checkpoint)"):
        load_checkpoint(path)


@pytest.mark.parametrize("name", list(HOSTILE)[:16])
def test_hostile_weights_are_one_error_and_change_nothing(name, tmp_path):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(HOSTILE[name])
    model = network()
    before = model.state_dict()
    with pytest.raises(CheckpointError, match=r"bad\.safetensors: expected a safetensors file"):
        load_weights(model, path)
    assert same(model.state_dict(), before)


def test_hostile_files_take_no_memory(tmp_path):
    """All of them in one process that may have little more than NumPy needs."""
    for i, content in enumerate(HOSTILE.values()):
        (tmp_path / f"{i}.safetensors").write_bytes(content)
    script = """
import resource, sys
from pathlib import Path
from minidl.errors import CheckpointError
from minidl.train import load_checkpoint, save_checkpoint
folder = Path(sys.argv[1])
save_checkpoint(1, folder / "good"); load_checkpoint(folder / "good")  # everything is imported now
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in folder.glob("*.safetensors"):
    try:
        load_checkpoint(path)
    except CheckpointError:
        continue
    sys.exit(f"{path} was loaded")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 150_000  # kilobytes on Linux; parsing 1 MB of brackets takes some


def test_weights_are_no_checkpoint(tmp_path):
    save_weights(network(), tmp_path / "w.safetensors")
    with pytest.raises(
        CheckpointError, match="expected a checkpoint of format minidl-checkpoint-1, got None"
    ):
        load_checkpoint(tmp_path / "w.safetensors")


@pytest.mark.parametrize("what", ["missing", "folder"])
def test_no_file_is_said_so(what, tmp_path):
    path = tmp_path if what == "folder" else tmp_path / "missing"
    with pytest.raises(CheckpointError, match="expected a safetensors file, got none there"):
        load_checkpoint(path)


TREE = {"model": {"w": RNG.normal(size=(3, 2)), "n": np.array(2)}, "epoch": 3, "state": {0: (1, 2.5)}}


def test_a_file_cut_anywhere_is_an_error(tmp_path):
    path = tmp_path / "cut.safetensors"
    save_checkpoint(TREE, path)
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(CheckpointError):
            load_checkpoint(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


def test_flipped_and_random_bytes_raise_nothing_else(tmp_path):
    """Changed data cannot be seen, but whatever is seen is a CheckpointError."""
    path = tmp_path / "noise.safetensors"
    save_checkpoint(TREE, path)
    content = path.read_bytes()
    rng = np.random.default_rng(1)
    refused = 0
    for trial in range(400):
        if trial % 4 == 0:
            noise = rng.bytes(int(rng.integers(1, 300)))
        else:
            damaged = bytearray(content)
            for place in rng.integers(0, len(content), size=3):
                damaged[place] = int(rng.integers(256))
            noise = bytes(damaged)
        path.write_bytes(noise)
        try:
            load_checkpoint(path)
        except CheckpointError:
            refused += 1
    assert refused > 200


# -------------------------------------------------------------------- the old file or the new one


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_other(where, tmp_path, monkeypatch):
    path = tmp_path / "tree.safetensors"
    save_checkpoint("old", path)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, where, full)
        with pytest.raises(OSError, match="No space left on device"):
            save_checkpoint("new", path)
    assert load_checkpoint(path) == "old"
    assert os.listdir(tmp_path) == ["tree.safetensors"]
    save_checkpoint("new", path)
    assert load_checkpoint(path) == "new"


def test_ctrl_c_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "tree.safetensors"
    save_checkpoint("old", path)

    def interrupted(descriptor):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint("new", path)
    assert load_checkpoint(path) == "old"
    assert os.listdir(tmp_path) == ["tree.safetensors"]


def test_a_file_size_limit_leaves_the_old_file(tmp_path):
    """A real short write, from the operating system."""
    script = f"""
import resource, signal
import numpy as np
from minidl.train import save_checkpoint, load_checkpoint
save_checkpoint("old", {str(tmp_path / "tree")!r})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_checkpoint(np.zeros(100_000), {str(tmp_path / "tree")!r})
except OSError as error:
    print(error.strerror, load_checkpoint({str(tmp_path / "tree")!r}))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "File too large old\n"
    assert os.listdir(tmp_path) == ["tree"]


def test_the_folder_must_be_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        save_checkpoint(1, tmp_path / "none" / "tree")


def test_a_process_killed_while_saving_leaves_an_old_or_a_new_file(tmp_path):
    """kill -9 at random moments of a process that does nothing but save."""
    path = tmp_path / "tree.safetensors"
    script = """
import sys
import numpy as np
from minidl.train import save_checkpoint
print("ready", flush=True)
for number in range(10**9):
    save_checkpoint({"number": number, "values": np.full(300_000, number)}, sys.argv[1])
"""
    rng = np.random.default_rng(int.from_bytes(os.urandom(4), "little"))
    numbers = []
    for _ in range(20):
        process = subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE)
        try:
            assert process.stdout.readline() == b"ready\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(float(rng.uniform(0.03, 0.12)))
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        if not path.exists():  # killed before the very first save was done
            continue
        tree = load_checkpoint(path)
        np.testing.assert_array_equal(tree["values"], np.full(300_000, tree["number"]))
        numbers.append(tree["number"])
        assert {entry.name for entry in tmp_path.iterdir()} <= {path.name, f".{path.name}.writing"}
    assert len(numbers) > 10
    save_checkpoint(1, path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]  # what a kill left is gone
