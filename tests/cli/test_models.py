"""`minidl models`, and `minidl train --model` with the names that it lists."""

import json

import pytest
from cli.shell import minidl, one_line

from minidl import nn
from minidl.cli.settings import MODELS, Settings
from minidl.models.registry import NETWORKS


def test_every_network_has_its_line(tmp_path):
    done = minidl("models", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    title, *lines = done.stdout.splitlines()
    assert title.split() == ["name", "paper", "year", "input", "parameters", "multiply-adds"]
    assert [line.split()[0] for line in lines] == list(NETWORKS)
    for line, network in zip(lines, NETWORKS.values(), strict=True):
        assert f"{network.parameters:,}" in line
        assert line.rstrip().endswith(f"{network.multiply_adds:,}")
        assert f" {network.year} " in line
    assert not list(tmp_path.iterdir())


def test_train_and_the_list_know_the_same_networks():
    assert list(MODELS) == list(NETWORKS)


def test_a_network_for_larger_images_is_refused_before_anything_is_written(tmp_path):
    done = minidl("train", "mnist", "--model", "alexnet", cwd=tmp_path)
    one_line(done, "alexnet: expected images of at least 63×63 pixels, got 28×28", "lenet5", "resnet20")
    assert not list(tmp_path.iterdir())


def test_a_residual_network_trains_and_is_loaded_again(tmp_path):
    words = ("--epochs", 1, "--batch-size", 12, "--samples", 24, "--backend", "numpy", "--out", "run")
    done = minidl("train", "mnist", "--model", "resnet20", *words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "resnet20 on MNIST" in done.stdout
    assert "269,434 parameters" in done.stdout  # one channel goes in: 16 · 2 · 9 fewer than for colour
    assert json.loads((tmp_path / "run" / "config.json").read_text())["model"] == "resnet20"
    again = minidl("evaluate", "run", cwd=tmp_path)
    assert again.returncode == 0
    accuracy = next(line for line in done.stdout.splitlines() if line.startswith("test accuracy"))
    assert again.stdout.splitlines()[0] == accuracy


@pytest.mark.slow
def test_googlenet_trains_with_its_heads_if_they_are_asked_for(tmp_path):
    words = ("--epochs", 1, "--batch-size", 6, "--samples", 13, "--backend", "numpy", "--out", "run")
    done = minidl("train", "mnist", "--model", "googlenet", "--aux-logits", *words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    heads = sum(c * 128 + 2 * 128 + 2048 * 1024 + 1024 + 1024 * 10 + 10 for c in (512, 528))
    plain = Settings("mnist", "googlenet", 1, 6, 0.002, "adam", 0, "numpy").make_model()
    size = sum(parameter.size for parameter in plain.parameters())
    assert f"\n{size + heads:,} parameters" in done.stdout
    assert json.loads((tmp_path / "run" / "config.json").read_text())["aux_logits"] is True
    again = minidl("evaluate", "run", cwd=tmp_path)
    assert again.returncode == 0
    accuracy = next(line for line in done.stdout.splitlines() if line.startswith("test accuracy"))
    assert again.stdout.splitlines()[0] == accuracy


def test_the_loss_is_that_of_the_heads_that_there_are():
    few = ("mnist", "googlenet", 1, 6, 0.002, "adam", 0, "numpy")
    assert isinstance(Settings(*few, aux_logits=True).make_loss(), nn.AuxiliaryLoss)
    assert isinstance(Settings(*few).make_loss(), nn.CrossEntropyLoss)


@pytest.mark.parametrize(("model", "size"), [("mlp", 101_770), ("lenet5", 61_706)])
def test_folders_of_earlier_versions_give_the_same_models(model, size):
    old = {
        "dataset": "mnist",
        "model": model,
        "epochs": 1,
        "batch_size": 64,
        "lr": 0.002,
        "optimizer": "adam",
        "seed": 0,
        "backend": "numpy",
        "minidl": "0.1.0",
    }
    settings = Settings.from_json(old)
    assert settings.aux_logits is False
    with pytest.raises(ValueError, match=r"expected aux_logits \(bool\), got 1"):
        Settings.from_json({**old, "aux_logits": 1})
    with pytest.raises(ValueError, match=rf"expected googlenet for auxiliary heads .*, got {model}"):
        Settings.from_json({**old, "aux_logits": True})
    built = settings.make_model()
    assert sum(parameter.size for parameter in built.parameters()) == size
