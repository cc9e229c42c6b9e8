"""`minidl train`: what it prints and leaves, in a pipe and in a terminal, stopped, resumed and killed."""

import json
import os
import re
import signal
import subprocess
import time

import numpy as np
import pytest
from cli.shell import COMMAND, RUN_FILES, Terminal, minidl, one_line, start, train
from PIL import Image
from safetensors.numpy import load_file

import minidl as package
from minidl.models import LeNet5
from minidl.train import History, load_checkpoint

# -------------------------------------------------------------------- what it prints and leaves


def test_a_run_leaves_every_file_that_it_names(trained):
    folder, output = trained
    run = folder / "run"
    assert {path.name for path in run.iterdir()} == RUN_FILES
    for name in RUN_FILES:
        assert f"run/{name} " in output
    assert json.loads((run / "config.json").read_text()) == {
        "dataset": "mnist",
        "model": "mlp",
        "epochs": 2,
        "batch_size": 512,
        "lr": 0.002,
        "optimizer": "adam",
        "seed": 0,
        "backend": package.get_backend(),
        "device": "cpu",
        "samples": 0,
        "root": "",
        "aux_logits": False,
        "minidl": package.__version__,
    }
    assert History.load(run / "history.json")["epoch"] == [1, 2]
    weights = load_file(run / "weights.safetensors")
    assert {name: values.shape for name, values in weights.items()} == {
        "layers.1.weight": (128, 784), "layers.1.bias": (128,),
        "layers.3.weight": (10, 128), "layers.3.bias": (10,),
    }  # fmt: skip
    checkpoint = load_checkpoint(run / "checkpoint.safetensors")
    assert checkpoint["epoch"] == 2
    for name, values in weights.items():
        np.testing.assert_array_equal(checkpoint["model"][name], values, strict=True)
    for picture in run.glob("*.png"):
        with Image.open(picture) as image:
            image.load()
            assert 400 < image.width < 2000
            assert image.convert("L").getextrema()[0] < 100  # something was drawn


def test_a_pipe_gets_plain_lines(trained):
    _, output = trained
    assert "\x1b" not in output
    assert "\r" not in output
    lines = output.splitlines()
    assert lines[0].startswith(f"minidl {package.__version__}: mlp on MNIST")
    assert "101,770 parameters" in lines[1]
    epochs = [line for line in lines if line.startswith("epoch")]
    assert len(epochs) == 2
    for number, line in enumerate(epochs, start=1):
        assert re.fullmatch(
            rf"epoch  {number}/2  train loss \d\.\d{{4}} accuracy \d\d\.\d\d%  "
            r"validation loss \d\.\d{4} accuracy \d\d\.\d\d%  [\d,]+ samples/s  .+",
            line,
        )


def test_the_printed_figures_are_those_of_the_history(trained):
    folder, output = trained
    last = History.load(folder / "run" / "history.json").records[-1]
    assert f"train loss {last['train_loss']:.4f} accuracy {last['train_accuracy']:.2%}" in output
    assert f"validation loss {last['val_loss']:.4f} accuracy {last['val_accuracy']:.2%}" in output
    assert last["val_accuracy"] > 0.9


def test_the_confusion_matrix_adds_up(trained):
    _, output = trained
    accuracy = re.search(r"^test accuracy (\d\d\.\d\d)% \(10,000 images\)$", output, re.M)
    rows = re.findall(r"^ {3,4}([0-9]) +((?:[\d,·]+ +){10})[\d.]+%$", output, re.M)
    assert [int(label) for label, _ in rows] == list(range(10))
    matrix = np.array([row.replace(",", "").replace("·", "0").split() for _, row in rows], int)
    assert matrix.sum() == 10_000
    assert f"{np.trace(matrix) / 100:.2f}" == accuracy.group(1)
    true, predicted, times = map(int, re.search(r"a (\d) taken for a (\d), (\d+) times", output).groups())
    assert matrix[true, predicted] == times == (matrix - np.diag(np.diag(matrix))).max()


def test_a_folder_is_chosen_and_numbered_without_out(tmp_path):
    (tmp_path / "runs" / "mnist-mlp-1").mkdir(parents=True)
    assert "minidl predict runs/mnist-mlp-2 IMAGE" in train(cwd=tmp_path)
    assert {path.name for path in (tmp_path / "runs" / "mnist-mlp-2").iterdir()} == RUN_FILES


def test_the_first_run_says_that_it_compiles(tmp_path):
    """Once for the products of an MLP, and once for the convolutions of LeNet-5."""
    pytest.importorskip("numba")
    line = "compiling the kernels for this machine"
    words = ("--backend", "numba", "--out")
    own = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    first = train(*words, "first", cwd=tmp_path, **own)
    assert re.search(rf"^{line}.*; only the first run does that\nepoch ", first, re.M)
    assert line not in train(*words, "second", cwd=tmp_path, **own)
    process = start("train", "mnist", "--model", "lenet5", *words, "third", cwd=tmp_path, **own)
    try:
        assert line in "".join(process.stdout.readline() for _ in range(4))
    finally:
        process.kill()
        process.communicate()


def test_a_run_whose_kernels_cannot_be_kept_says_so(tmp_path):
    pytest.importorskip("numba")
    own = {"NUMBA_CACHE_LOCATOR_CLASSES": "ZipCacheLocator"}  # no folder is right for it
    process = start("train", "mnist", "--backend", "numba", "--out", "run", cwd=tmp_path, **own)
    try:
        said = "".join(process.stdout.readline() for _ in range(4))
        assert re.search("^compiling the kernels .*; there is no folder to keep them in$", said, re.M)
    finally:
        process.kill()
        process.communicate()


def test_a_run_on_numpy_compiles_nothing(tmp_path):
    own = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert "compiling" not in train("--backend", "numpy", "--out", "run", cwd=tmp_path, **own)
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_lenet5_trains(tmp_path):
    output = train("--model", "lenet5", "--out", "run", cwd=tmp_path)
    assert float(re.search(r"test accuracy ([\d.]+)%", output).group(1)) > 90
    weights = load_file(tmp_path / "run" / "weights.safetensors")
    assert weights.keys() == LeNet5().state_dict().keys()


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_every_optimizer_learns(optimizer, tmp_path):
    output = train("--optimizer", optimizer, "--out", "run", cwd=tmp_path)
    assert float(re.search(r"test accuracy ([\d.]+)%", output).group(1)) > 85


# -------------------------------------------------------------------- same seed, same bits


def test_the_seed_decides_every_bit(trained, tmp_path):
    first = (trained[0] / "run" / "weights.safetensors").read_bytes()
    train("--epochs", 2, "--out", "same", cwd=tmp_path)
    train("--epochs", 2, "--out", "other", "--seed", 1, cwd=tmp_path)
    assert (tmp_path / "same" / "weights.safetensors").read_bytes() == first
    assert (tmp_path / "other" / "weights.safetensors").read_bytes() != first


def test_the_other_backend_trains_too(trained, tmp_path):
    pytest.importorskip("numba")
    own = json.loads((trained[0] / "run" / "config.json").read_text())["backend"]
    other = {"numba": "numpy", "numpy": "numba"}[own]
    assert f"{other} kernels" in train("--backend", other, "--out", "run", cwd=tmp_path)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["backend"] == other


# -------------------------------------------------------------------- in a terminal


def rows(text):
    """What stands in each row of a terminal after carriage returns, movements up and erased rows."""
    return [row.rpartition("\r")[2] for row in text.replace("\r\n", "\n").split("\n")]


@pytest.mark.parametrize("columns", [80, 130])
def test_a_terminal_shows_a_bar(columns, tmp_path):
    words = ("train", "mnist", "--epochs", 2, "--batch-size", 100, "--out", "run")
    with Terminal(*words, cwd=tmp_path, columns=columns) as terminal:
        terminal.read_until(r"left")
        assert terminal.wait() == 0
        bar = r"epoch \d/2 .*\d+% +loss \d\.\d{4} accuracy \d+\.\d\d% [\d,]+ samples/s +\S+ (s|min) left"
        assert re.search(bar, terminal.plain)
        for epoch in (1, 2):
            training = rf"epoch  {epoch}/2  train loss \S+ accuracy \S+%"
            validation = r"validation loss \S+ accuracy \S+%  [\d,]+ samples/s"
            assert re.search(rf"{training}\s+{validation}", terminal.plain)
        for row in rows(terminal.plain.partition("written:")[0]):
            assert len(row) <= columns, row
        assert "\x1b[?25h" in terminal.text.rpartition("\x1b[?25l")[2]  # the cursor is visible again


def test_a_plain_terminal_gets_plain_text(tmp_path):
    """TERM=dumb: an editor's shell, which shows escape sequences as they are."""
    words = ("train", "mnist", "--epochs", 1, "--batch-size", 512, "--out", "run")
    with Terminal(*words, cwd=tmp_path, TERM="dumb", NO_COLOR="1") as terminal:
        assert terminal.wait() == 0
        assert "\x1b" not in terminal.text
        assert "epoch  1/1  train loss" in terminal.text


# -------------------------------------------------------------------- stopping


def resume_command(output):
    """The words of the command that the output ends with."""
    return re.search(r"^ +minidl (train mnist --resume \S+)\s*$", output, re.M).group(1).split()


def test_ctrl_c_in_a_terminal_stops_and_the_printed_command_goes_on(trained, tmp_path):
    words = ("train", "mnist", "--epochs", 2, "--batch-size", 512, "--out", "run")
    with Terminal(*words, cwd=tmp_path) as terminal:
        terminal.read_until(r"epoch +1/2 +train loss|samples/s")
        terminal.press(b"\x03")
        assert terminal.wait() == 130
        output = terminal.plain
    assert "Traceback" not in output
    assert re.search(r"stopped (in epoch \d after step [\d,]+|after epoch \d), nothing is lost", output)
    assert not (tmp_path / "run" / "weights.safetensors").exists()
    done = minidl(*resume_command(output.replace("\r", "")), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "going on " in done.stdout
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == (
        trained[0] / "run" / "weights.safetensors"
    ).read_bytes()
    ours, theirs = (History.load(f / "run" / "history.json") for f in (tmp_path, trained[0]))
    for column in ("epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy"):
        assert ours[column] == theirs[column]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_an_epoch_stops_cleanly(number, tmp_path):
    process = start("train", "mnist", "--epochs", 500, "--batch-size", 64, "--out", "a run", cwd=tmp_path)
    try:
        while not (tmp_path / "a run" / "checkpoint.safetensors").exists():
            time.sleep(0.05)
            assert process.poll() is None
        process.send_signal(number)
        output, complaints = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert complaints == ""
    assert output.endswith("go on with\n  minidl train mnist --resume 'a run'\n")
    state = load_checkpoint(tmp_path / "a run" / "checkpoint.safetensors")
    told = re.search(r"stopped in epoch (\d+) after step ([\d,]+)|stopped after epoch (\d+)", output)
    if told.group(3) is None:
        assert (state["epoch"] + 1, state["step"]) == (int(told[1]), int(told[2].replace(",", "")))


def test_ctrl_c_before_training_says_how_to_go_on_too(trained, tmp_path):
    process = start("train", "mnist", "--epochs", 2, "--batch-size", 512, "--out", "run", cwd=tmp_path)
    try:
        assert process.stdout.readline().startswith("minidl")
        process.send_signal(signal.SIGINT)
        output, complaints = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in complaints
    done = minidl(*resume_command(output), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == (
        trained[0] / "run" / "weights.safetensors"
    ).read_bytes()


def test_a_second_signal_ends_at_once(tmp_path):
    """A kill and a Ctrl-C, since two of one kind may reach Python as one; a step takes long here."""
    process = start("train", "mnist", "--epochs", 500, "--batch-size", 55_000, "--out", "run", cwd=tmp_path)
    try:
        while not (tmp_path / "run" / "checkpoint.safetensors").exists():
            time.sleep(0.05)
            assert process.poll() is None
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        output, complaints = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert complaints == ""
    assert "stopped at once; go on from the last checkpoint with" in output
    assert resume_command(output) == ["train", "mnist", "--resume", "run"]
    load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")


def test_head_gets_its_line_and_nobody_complains(trained):
    folder, _ = trained
    for words in ("evaluate run", "--help", "train --help"):
        command = " ".join(COMMAND)
        done = subprocess.run(
            ["bash", "-c", f"{command} {words} | head -1; exit ${{PIPESTATUS[0]}}"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        assert len(done.stdout.splitlines()) == 1
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(COMMAND)} evaluate run | true"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


def test_training_whose_reader_went_can_be_resumed(trained, tmp_path):
    line = f"{' '.join(COMMAND)} train mnist --epochs 2 --batch-size 512 --out run | head -1"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert minidl("train", "mnist", "--resume", "run", cwd=tmp_path).returncode == 0
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == (
        trained[0] / "run" / "weights.safetensors"
    ).read_bytes()


# -------------------------------------------------------------------- killed


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_the_same_bits(trained, tmp_path):
    """kill -9 of the real command at random moments, some of them right while a checkpoint is written."""
    rng = np.random.default_rng(int.from_bytes(os.urandom(4), "little"))
    settings = ("--epochs", 4, "--batch-size", 256)
    run = tmp_path / "run"
    checkpoint = run / "checkpoint.safetensors"

    def changed():
        return checkpoint.stat().st_mtime_ns if checkpoint.exists() else None

    kills = 0
    while not (run / "weights.safetensors").exists():
        words = ("--resume", "run") if (run / "config.json").exists() else (*settings, "--out", "run")
        process = start("train", "mnist", *words, cwd=tmp_path)
        try:
            before, until = changed(), time.monotonic() + 20
            if kills % 3 == 0:  # anywhere, start and first epoch included
                time.sleep(float(rng.uniform(0.1, 1.5)))
            else:  # right after a checkpoint was renamed into place, or a moment later
                while changed() == before and process.poll() is None and time.monotonic() < until:
                    time.sleep(0.001)
                time.sleep(float(rng.uniform(0, 0.3)) if kills % 3 == 1 else 0)
        finally:
            process.kill()
            _, complaints = process.communicate()
        assert "Traceback" not in complaints
        assert process.returncode in (0, -signal.SIGKILL), complaints
        if checkpoint.exists():
            load_checkpoint(checkpoint)
        kills += 1
        if kills == 6:
            break
    done = minidl("train", "mnist", "--resume", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    straight = minidl("train", "mnist", *settings, "--out", "straight", cwd=tmp_path)
    assert straight.returncode == 0, straight.stderr
    assert (run / "weights.safetensors").read_bytes() == (
        tmp_path / "straight" / "weights.safetensors"
    ).read_bytes()
    assert {path.name for path in run.iterdir()} == RUN_FILES


# -------------------------------------------------------------------- folders


def test_resuming_a_finished_run_changes_no_weight(run):
    before = (run / "weights.safetensors").read_bytes()
    same = (
        "--epochs",
        2,
        "--seed",
        0,
        "--optimizer",
        "adam",
    )  # settings that are what they were may be given
    done = minidl("train", "mnist", "--resume", "run", *same, cwd=run.parent)
    assert done.returncode == 0, done.stderr
    assert "going on at the end" in done.stdout
    assert (run / "weights.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("option", "value", "own"),
    [
        ("--epochs", 3, 2),
        ("--seed", 1, 0),
        ("--lr", 0.1, 0.002),
        ("--model", "lenet5", "mlp"),
        ("--out", "x", "run"),
    ],
)
def test_other_settings_are_refused_when_resuming(option, value, own, run):
    done = minidl("train", "mnist", "--resume", "run", option, value, cwd=run.parent)
    one_line(done, option, f"expected {own}, got {value}")


def test_a_folder_with_a_run_is_not_written_over(run):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    one_line(minidl("train", "mnist", "--out", "run", cwd=run.parent), "run", "--resume run")
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for out in ("file", "file/run", "/proc/run", "x" * 300):
        one_line(minidl("train", "mnist", "--out", out, cwd=tmp_path), out)
    (tmp_path / "runs").write_text("")
    one_line(minidl("train", "mnist", cwd=tmp_path), "runs")


def test_a_rate_that_is_far_too_high_says_where_it_broke(tmp_path):
    done = minidl("train", "mnist", "--lr", 1e30, "--optimizer", "sgd", "--out", "run", cwd=tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(r"minidl train: the loss became \S+ at epoch 1, step \d+: .*\n", done.stderr)


def test_a_validation_that_is_no_number_says_so_too(tmp_path):
    words = ("--lr", 1e30, "--optimizer", "sgd", "--batch-size", 55_000, "--out", "run")
    done = minidl("train", "mnist", *words, cwd=tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(r"minidl train: the loss became \S+ at .*\n", done.stderr)
