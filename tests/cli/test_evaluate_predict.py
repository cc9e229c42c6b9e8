"""`minidl evaluate` and `predict`: what training said, digits read, damaged folders refused in one line."""

import json
import re
import shutil

import numpy as np
import pytest
from cli.shell import config, minidl, one_line
from PIL import Image

from minidl import nn
from minidl.data import MNIST
from minidl.models import MLP, LeNet5
from minidl.train import load_checkpoint, load_weights, save_checkpoint, save_weights


def accuracy(text):
    return re.search(r"^test accuracy \S+ \(10,000 images\)$", text, re.M).group()


def test_evaluate_says_what_training_said(trained):
    folder, output = trained
    done = minidl("evaluate", "run", cwd=folder)
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout in output
    assert accuracy(done.stdout)


def test_evaluate_runs_on_either_backend(trained):
    pytest.importorskip("numba")
    folder, output = trained
    for backend in ("numpy", "numba"):
        done = minidl("evaluate", "run", cwd=folder, MINIDL_BACKEND=backend)
        assert accuracy(done.stdout) == accuracy(output)


def test_evaluate_is_the_accuracy_of_the_saved_weights(trained):
    folder, output = trained
    model = MLP()
    load_weights(model, folder / "run" / "weights.safetensors")
    images, labels = MNIST(train=False)[:]
    right = int((model.eval()(images).argmax(axis=1) == labels).sum())
    assert accuracy(output) == f"test accuracy {right / 100:.2f}% (10,000 images)"


def test_an_unfinished_run_is_measured_at_its_checkpoint(run, trained):
    (run / "weights.safetensors").unlink()
    done = minidl("evaluate", "run", cwd=run.parent)
    assert done.returncode == 0
    assert accuracy(done.stdout) == accuracy(trained[1])


def test_a_run_without_any_step_says_how_to_finish_it(run):
    (run / "weights.safetensors").unlink()
    (run / "checkpoint.safetensors").unlink()
    one_line(minidl("evaluate", "run", cwd=run.parent), "minidl train mnist --resume run")


# -------------------------------------------------------------------- pictures


@pytest.fixture(scope="module")
def digits(trained, tmp_path_factory):
    """Test images that the trained model is sure of, one per digit: {digit: (28, 28) uint8}."""
    folder, _ = trained
    model = MLP()
    load_weights(model, folder / "run" / "weights.safetensors")
    images, labels = MNIST(train=False)[:2000]
    probabilities = nn.Softmax(1)(model.eval()(images))
    chosen = {}
    for digit in range(10):
        sureness = np.where(labels == digit, probabilities[:, digit], -1)
        chosen[digit] = np.round(images[sureness.argmax(), 0] * 255).astype(np.uint8)
    return chosen


def picture(pixels, how):
    """Light on dark as in MNIST, turned into what a person might have."""
    image = Image.fromarray(pixels)
    if how == "inverted":
        image = Image.fromarray(255 - pixels)
    elif how == "large":
        image = image.resize((300, 300), Image.Resampling.BICUBIC)
    elif how == "wide":
        wide = Image.new("L", (500, 200), 255)
        wide.paste(Image.fromarray(255 - pixels).resize((140, 140), Image.Resampling.BICUBIC), (30, 40))
        image = wide
    elif how == "coloured":
        ink = pixels[..., None] / 255
        image = Image.fromarray((ink * [20, 40, 160] + (1 - ink) * [250, 240, 200]).astype(np.uint8))
    elif how == "transparent":
        image = Image.merge("LA", (Image.new("L", image.size, 0), image))
    return image


@pytest.mark.parametrize(
    ("how", "suffix"),
    [
        ("plain", "png"), ("inverted", "png"), ("inverted", "jpg"), ("large", "jpg"),
        ("wide", "png"), ("coloured", "png"), ("transparent", "png"),
    ],
)  # fmt: skip
def test_digits_are_read(how, suffix, digits, trained, tmp_path):
    names = [f"{digit}.{suffix}" for digit in digits]
    for name, pixels in zip(names, digits.values(), strict=True):
        picture(pixels, how).save(tmp_path / name)
    done = minidl("predict", trained[0] / "run", *names, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    read = re.findall(r"^(\S+): (\d)  \((\d+\.\d)%; then \d \S+%, \d \S+%\)$", done.stdout, re.M)
    assert [name for name, _, _ in read] == names
    right = [int(name[0]) == int(digit) for name, digit, _ in read]
    assert sum(right) >= 9, done.stdout
    if how in ("plain", "inverted"):
        assert all(right), done.stdout


def test_a_bad_picture_among_good_ones_stops_none_of_them(digits, trained, tmp_path):
    for digit in (3, 7):
        picture(digits[digit], "plain").save(tmp_path / f"{digit}.png")
    (tmp_path / "text.png").write_text("this is no picture")
    (tmp_path / "cut.png").write_bytes((tmp_path / "3.png").read_bytes()[:60])
    Image.new("L", (50, 50), 255).save(tmp_path / "blank.png")
    bad = ("text.png", "none.png", "cut.png", "blank.png", ".")
    words = [word for pair in zip(bad, ("3.png", "7.png") * 3, strict=False) for word in pair]
    done = minidl("predict", trained[0] / "run", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert [line.split(" ")[0] for line in done.stdout.splitlines()] == ["3.png:", "7.png:"] * 2 + ["3.png:"]
    complaints = done.stderr.splitlines()
    assert len(complaints) == len(bad)
    for line, name in zip(complaints, bad, strict=True):
        assert line.startswith(f"minidl predict: {name}: expected a ")


def test_one_bad_picture_is_one_line(trained, tmp_path):
    one_line(
        minidl("predict", trained[0] / "run", "none.png", cwd=tmp_path), "none.png", "no file of that name"
    )


# -------------------------------------------------------------------- damaged run folders

NOT_SETTINGS = {
    "empty": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "null": b"null",
    "not UTF-8": b"\xff\xfe{}",
    "nested without end": b"[" * 100_000,
    "a number without end": b"9" * 10_000,
    "nothing in it": b"{}",
}


@pytest.mark.parametrize("name", NOT_SETTINGS)
def test_settings_that_are_none_are_one_line(name, run):
    (run / "config.json").write_bytes(NOT_SETTINGS[name])
    one_line(minidl("evaluate", "run", cwd=run.parent), "run/config.json: expected the settings of a run")


BAD_SETTINGS = {
    "epochs as text": {"epochs": "2"},
    "no epochs": {"epochs": 0},
    "epochs beyond counting": {"epochs": 10**400},
    "epochs as a truth": {"epochs": True},
    "half a batch": {"batch_size": 0.5},
    "a seed below 0": {"seed": -1},
    "a rate of 0": {"lr": 0.0},
    "a rate below 0": {"lr": -1.0},
    "a rate that is no number": {"lr": float("nan")},
    "an infinite rate": {"lr": float("inf")},
    "no such model": {"model": "vgg"},
    "a list of models": {"model": ["mlp"]},
    "no such optimizer": {"optimizer": "lbfgs"},
    "no such data": {"dataset": "cifar"},
    "no such backend": {"backend": "abacus"},
    "null": {"seed": None},
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_a_setting_that_makes_no_sense_is_one_line(name, run):
    config(run, **BAD_SETTINGS[name])
    (key,) = BAD_SETTINGS[name]
    one_line(minidl("train", "mnist", "--resume", "run", cwd=run.parent), "expected", key)


def test_settings_of_another_model_do_not_fit_the_weights(run):
    config(run, model="lenet5")
    one_line(minidl("evaluate", "run", cwd=run.parent), "weights.safetensors: expected the weights of lenet5")
    assert len(LeNet5().state_dict()) == 10
    done = minidl("train", "mnist", "--resume", "run", cwd=run.parent)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def noise(path):
    path.write_bytes(np.random.default_rng(0).bytes(5000))


def other_weights(path):
    save_weights(nn.Linear(2, 3), path)


def a_list(path):
    save_checkpoint([1, 2], path)


def no_model(path):
    save_checkpoint({"model": 5}, path)


def ragged(path):
    state = load_checkpoint(path)
    save_checkpoint({**state, "model": {**state["model"], "layers.1.bias": [[1], [2, 3]]}}, path)


def no_numbers(path):
    state = load_checkpoint(path)
    save_checkpoint({**state, "epoch": "two"}, path)


def other_rng(path):
    state = load_checkpoint(path)
    save_checkpoint({**state, "rng": {"bit_generator": "dice"}}, path)


def other_loader(path):
    state = load_checkpoint(path)
    save_checkpoint({**state, "loader": {**state["loader"], "batch_size": 3}}, path)


def a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [cut, noise, other_weights, a_list, no_model, ragged, a_folder])
def test_a_damaged_checkpoint_is_one_line_everywhere(damage, run):
    (run / "weights.safetensors").unlink()
    damage(run / "checkpoint.safetensors")
    one_line(minidl("evaluate", "run", cwd=run.parent), "checkpoint.safetensors")
    done = minidl("train", "mnist", "--resume", "run", cwd=run.parent)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "checkpoint.safetensors" in done.stderr


@pytest.mark.parametrize("damage", [no_numbers, other_rng, other_loader])
def test_a_checkpoint_that_cannot_be_gone_on_with_is_one_line(damage, run):
    damage(run / "checkpoint.safetensors")
    done = minidl("train", "mnist", "--resume", "run", cwd=run.parent)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "expected" in done.stderr


@pytest.mark.parametrize("damage", [cut, noise, other_weights, a_folder])
def test_damaged_weights_are_one_line(damage, run):
    damage(run / "weights.safetensors")
    one_line(minidl("evaluate", "run", cwd=run.parent), "weights.safetensors")
    one_line(minidl("predict", "run", "x.png", cwd=run.parent), "weights.safetensors")


def test_a_run_folder_may_be_moved(run):
    shutil.move(run, run.parent / "elsewhere")
    assert minidl("evaluate", "elsewhere", cwd=run.parent).returncode == 0
    assert json.loads((run.parent / "elsewhere" / "config.json").read_text())["model"] == "mlp"
