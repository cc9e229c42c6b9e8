"""`minidl train --device sim`: a tiny run on the simulated GPU, and what is left of it without one."""

import json

import numpy as np
import pytest
from cli.shell import RUN_FILES, minidl, one_line
from safetensors.numpy import load_file

import minidl as package

TINY = ("train", "mnist", "--epochs", 1, "--samples", 6, "--batch-size", 4)


def test_a_run_on_the_simulated_gpu_is_a_run_like_any_other(tmp_path):
    for device in ("sim", "cpu"):
        done = minidl(*TINY, "--device", device, "--out", device, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in (tmp_path / "sim").iterdir()} == RUN_FILES
    config = json.loads((tmp_path / "sim" / "config.json").read_text())
    assert (config["device"], config["samples"]) == ("sim", 6)
    found, expected = (load_file(tmp_path / device / "weights.safetensors") for device in ("sim", "cpu"))
    for name, values in expected.items():
        # Adam divides by the root of the gradient's square: where a gradient is nearly 0, so is what it divides by
        np.testing.assert_allclose(found[name], values, atol=1e-4, err_msg=name)
    evaluated = [minidl("evaluate", device, cwd=tmp_path).stdout for device in ("sim", "cpu")]
    assert evaluated[0] == evaluated[1]
    assert "(6 images)" in evaluated[0]


def test_the_first_line_says_where_it_runs(tmp_path):
    done = minidl(*TINY, "--device", "sim", "--model", "mlp", cwd=tmp_path)
    first, second, *_ = done.stdout.splitlines()
    assert "mlp on MNIST, sim kernels, in" in first
    assert "5 images to learn from, 1 to validate on" in second


def test_a_gpu_that_is_not_there_is_one_line(tmp_path):
    if package.cuda.is_available():
        pytest.skip("there is a GPU here")
    one_line(minidl(*TINY, "--device", "cuda", cwd=tmp_path), "cuda")
    assert not list(tmp_path.iterdir())


def test_settings_of_before_there_were_devices_are_of_the_host(tmp_path):
    done = minidl(*TINY, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0
    config = tmp_path / "run" / "config.json"
    settings = json.loads(config.read_text())
    del settings["device"]
    config.write_text(json.dumps(settings))
    assert minidl("train", "mnist", "--resume", "run", cwd=tmp_path).returncode == 0
    one_line(minidl("train", "mnist", "--resume", "run", "--device", "sim", cwd=tmp_path), "--device", "cpu")
