"""The history: columns, its file, and damaged files."""

import json
import math

import pytest

from minidl.errors import CheckpointError
from minidl.train import History


def test_columns_are_all_that_some_epoch_measured():
    history = History()
    history.append({"epoch": 1, "train_loss": 0.5})
    history.append({"epoch": 2, "train_loss": 0.25, "val_loss": 0.75})
    assert history.columns == ["epoch", "train_loss", "val_loss"]
    assert history["train_loss"] == [0.5, 0.25]
    assert math.isnan(history["val_loss"][0])
    assert history["val_loss"][1] == 0.75
    assert len(history) == 2
    assert [record["epoch"] for record in history] == [1, 2]
    assert repr(history) == "History(2 epochs: epoch, train_loss, val_loss)"


def test_an_unknown_column_is_answered_with_those_that_there_are():
    history = History([{"epoch": 1, "train_loss": 0.5}])
    with pytest.raises(KeyError, match="expected one of epoch, train_loss, got 'loss'"):
        history["loss"]
    with pytest.raises(KeyError, match="no columns"):
        History()["loss"]


def test_a_record_is_copied():
    record = {"epoch": 1}
    history = History()
    history.append(record)
    record["epoch"] = 9
    assert history["epoch"] == [1]


def test_the_file_is_json_and_comes_back_in_every_bit(tmp_path):
    history = History([{"epoch": 1, "train_loss": 0.1 + 0.2}, {"epoch": 2, "train_loss": 1e-300}])
    history.save(tmp_path / "history.json")
    assert json.loads((tmp_path / "history.json").read_text()) == history.records
    assert History.load(tmp_path / "history.json").records == history.records


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[1]", b"[[]]", b"\xff\xfe", b"null", b"[" * 100_000])
def test_a_damaged_file_is_one_error(content, tmp_path):
    path = tmp_path / "history.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"history\.json: expected"):
        History.load(path)


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_no_file_is_one_error(name, tmp_path):
    with pytest.raises(CheckpointError, match="expected a history in JSON"):
        History.load(tmp_path / name)
