"""The command's front door: help, version, and one clear line for everything that is wrong."""

import re

import pytest
from cli.shell import Terminal, minidl, one_line

import minidl as package

COMMANDS = (
    "train",
    "evaluate",
    "predict",
    "learn",
    "check",
    "hint",
    "watch",
    "solution",
    "reset",
    "bench",
    "models",
)


def test_version(tmp_path):
    done = minidl("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"minidl {package.__version__}\n", "")


def test_help_names_every_command_and_option(tmp_path):
    done = minidl("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    for command in COMMANDS:
        assert re.search(rf"^ +{command} +\w", done.stdout, re.M), command
    done = minidl("train", "-h", cwd=tmp_path)
    options = (
        *("model", "epochs", "batch-size", "lr", "optimizer", "seed", "out", "resume", "backend", "device"),
        *("samples", "root", "download", "aux-logits"),
    )
    for option in options:
        assert f"--{option} " in done.stdout


@pytest.mark.parametrize(
    "value", ["0", "-1", "--5", "1.5", "ten", "", "1_0", "٣", "9" * 30, "9" * 5000, "1e3"]
)
@pytest.mark.parametrize("option", ["--epochs", "--batch-size"])
def test_a_number_that_is_none_is_one_line(option, value, tmp_path):
    one_line(minidl("train", "mnist", f"{option}={value}", cwd=tmp_path), option, "an integer from 1 to")
    assert not list(tmp_path.iterdir())


WRONG = {
    "no command": ((), "COMMAND"),
    "no such command": (("fly",), "'fly'"),
    "no such option": (("train", "mnist", "--fast"), "--fast"),
    "a line break in an option": (("train", "mnist", "--a\nb"), "--a b"),
    "no data set": (("train",), "dataset"),
    "no such data set": (("train", "cifar"), "'cifar'"),
    "no such model": (("train", "mnist", "--model", "vgg"), "'vgg'"),
    "heads that a model has not": (
        ("train", "mnist", "--model", "lenet5", "--aux-logits"),
        "--aux-logits: expected googlenet for auxiliary heads (aux_logits), got lenet5",
    ),
    "no such optimizer": (("train", "mnist", "--optimizer", "lbfgs"), "'lbfgs'"),
    "no such backend": (("train", "mnist", "--backend", "cuda"), "'cuda'"),
    "no such device": (("train", "mnist", "--device", "tpu"), "'tpu'"),
    "one sample": (("train", "mnist", "--samples", "1"), "an integer from 2 to"),
    "a seed below 0": (("train", "mnist", "--seed=-1"), "an integer from 0 to"),
    "no rate": (("train", "mnist", "--lr", "fast"), "expected a number above 0, got 'fast'"),
    "a rate of 0": (("train", "mnist", "--lr", "0"), "expected a number above 0"),
    "a rate below 0": (("train", "mnist", "--lr=-0.1"), "expected a number above 0"),
    "an infinite rate": (("train", "mnist", "--lr", "inf"), "expected a number above 0"),
    "a rate that is no number": (("train", "mnist", "--lr", "nan"), "expected a number above 0"),
    "an option without its value": (("train", "mnist", "--epochs"), "expected one argument"),
    "nothing to resume": (("train", "mnist", "--resume", "none"), "none: expected the folder of a run"),
    "resume of nothing": (("train", "mnist", "--resume", ""), "expected the folder of a run"),
    "no run to evaluate": (("evaluate", "none"), "none: expected the folder of a run"),
    "no run given": (("evaluate",), "RUN"),
    "no run to predict with": (("predict", "none", "a.png"), "none: expected the folder of a run"),
    "no picture given": (("predict", "none"), "IMAGE"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_line(name, tmp_path):
    words, part = WRONG[name]
    one_line(minidl(*words, cwd=tmp_path), part)
    assert not list(tmp_path.iterdir())


def test_an_environment_that_names_no_backend_is_one_line(tmp_path):
    done = minidl("train", "mnist", cwd=tmp_path, MINIDL_BACKEND="abacus")
    one_line(done, "MINIDL_BACKEND: expected 'numpy' or 'numba', got 'abacus'")
    assert not list(tmp_path.iterdir())


def test_a_wrong_option_in_a_terminal_is_one_line_too(tmp_path):
    with Terminal("train", "mnist", "--epochs", "0", cwd=tmp_path) as terminal:
        assert terminal.wait() == 2
        assert len(terminal.plain.strip().splitlines()) == 1


def test_a_terminal_without_unicode_gets_no_traceback(trained):
    folder, _ = trained
    done = minidl("evaluate", "run", cwd=folder, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "test accuracy" in done.stdout
