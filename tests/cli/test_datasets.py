"""`minidl train` on data sets that do not ship with it: nothing is fetched unasked, all can be trained on."""

import json
import os

import numpy as np
import pytest
from cli.shell import minidl, one_line
from data.server import mirror
from data.small_sets import cifar100, fashion, records

from minidl.cli import datasets
from minidl.cli.settings import Settings
from minidl.errors import MinidlError

NAMES = ("fashion-mnist", "cifar10", "cifar100")


def run(*words, cwd, **environment):
    return minidl(*words, cwd=cwd, MINIDL_DATA=str(cwd / "data"), **environment)


@pytest.mark.parametrize("name", NAMES)
def test_missing_files_are_one_line_that_says_what_to_do(name, tmp_path):
    done = run("train", name, cwd=tmp_path)
    one_line(
        done, f"{tmp_path}/data/{name}, got no file", f"minidl train {name} --download", "MB", "--root DIR"
    )
    assert not list(tmp_path.iterdir())


def test_no_network_is_one_line(tmp_path):
    proxy = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    done = run("train", "fashion-mnist", "--download", cwd=tmp_path, **proxy)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "train-images-idx3-ubyte.gz: expected a file from one of 2 mirrors, got none" in done.stderr
    assert "Is there a network?" in done.stderr
    assert not (tmp_path / "runs").exists()
    assert os.listdir(tmp_path / "data" / "fashion-mnist") == []


def test_mnist_needs_no_download(tmp_path):
    one_line(run("train", "mnist", "--download", cwd=tmp_path), "MNIST ships with minidl, there is nothing")
    one_line(
        run("train", "mnist", "--root", "none", cwd=tmp_path), "none: expected a folder with MNIST's files"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_a_network_that_cannot_read_the_images_is_one_line(name, tmp_path):
    done = run("train", name, "--model", "alexnet", cwd=tmp_path)
    one_line(done, "alexnet: expected images of at least 63×63 pixels, got 32×32")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_run_on_fashion_mnist(tmp_path):
    _, files = fashion(count=60)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    done = run("train", "fashion-mnist", "--root", ".", "--epochs", 1, "--out", "run", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "mlp on Fashion-MNIST" in done.stdout.splitlines()[0]
    assert "55 images to learn from, 5 to validate on" in done.stdout
    assert "  Ankle boot" in done.stdout
    assert "the images it got wrong" in done.stdout
    assert "minidl predict" not in done.stdout
    assert json.loads((tmp_path / "run" / "config.json").read_text())["root"] == str(tmp_path)
    again = run("evaluate", "run", cwd=tmp_path)
    assert again.returncode == 0
    accuracy = next(line for line in done.stdout.splitlines() if line.startswith("test accuracy"))
    assert accuracy in again.stdout
    one_line(run("predict", "run", "x.png", cwd=tmp_path), "predict reads digits, got one on fashion-mnist")

    (tmp_path / "moved").mkdir()
    for name in files:
        (tmp_path / name).rename(tmp_path / "moved" / name)
    one_line(run("evaluate", "run", cwd=tmp_path), "got neither")
    assert accuracy in run("evaluate", "run", "--root", "moved", cwd=tmp_path).stdout
    more = run("train", "fashion-mnist", "--resume", "run", "--root", "moved", cwd=tmp_path)
    assert more.returncode == 0, more.stderr
    assert "going on at the end" in more.stdout
    one_line(run("train", "cifar10", "--resume", "run", cwd=tmp_path), "--dataset: a resumed run keeps")


def write_cifar100(folder):
    for name, count in (("train.bin", 50_000), ("test.bin", 10_000)):
        rows = np.tile(records(100, 100, coarse=True), (count // 100, 1))
        (folder / name).write_bytes(rows.tobytes())


@pytest.mark.slow
def test_a_run_on_cifar100_in_colour(tmp_path):
    write_cifar100(tmp_path)
    words = ("--root", tmp_path, "--epochs", 1, "--samples", 400, "--out", "run")
    done = run("train", "cifar100", *words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "406,244 parameters; 366 images" in done.stdout  # 3072 × 128 + 128 + 128 × 100 + 100
    assert "true ╲ predicted" not in done.stdout
    assert "most often: a " in done.stdout
    for name in ("confusion.png", "mistakes.png"):
        assert (tmp_path / "run" / name).stat().st_size > 5000


def test_files_are_fetched_for_both_sets(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with mirror() as server:
        for name, make in (("fashion-mnist", fashion), ("cifar100", cifar100)):
            dataset, files, *_ = make(server.url + "/missing", server.url + "/good")
            server.files = files if isinstance(files, dict) else {dataset.archive.name: files}
            monkeypatch.setitem(datasets.DATASETS, name, dataset)
            with pytest.raises(MinidlError, match=f"minidl train {name} --download fetches"):
                datasets.check_files(name)
            datasets.fetch_files(name)
            datasets.check_files(name)
            assert len(datasets.load_dataset(name, False)) == 3
            assert "fetching what is missing of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "name", "shape"),
    [
        ("mlp", "mnist", (1, 28, 28)),
        ("lenet5", "fashion-mnist", (1, 28, 28)),
        ("resnet20", "cifar10", (3, 32, 32)),
        ("mlp", "cifar100", (3, 32, 32)),
    ],
)
def test_a_model_is_made_for_the_images_and_classes(model, name, shape):
    options = {"epochs": 1, "batch_size": 8, "lr": 0.1, "optimizer": "sgd", "seed": 0, "backend": "numpy"}
    made = Settings(dataset=name, model=model, **options).make_model().eval()
    classes = 100 if name == "cifar100" else 10
    assert made(np.zeros((2, *shape), np.float32)).shape == (2, classes)
