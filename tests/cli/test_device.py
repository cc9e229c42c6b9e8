"""`minidl train --device sim`: a tiny run on the simulated GPU, and what is left of it without one."""

import dataclasses
import json

import numpy as np
import pytest
from cli.shell import RUN_FILES, minidl, one_line
from safetensors.numpy import load_file

import minidl as package
from minidl.cli.settings import Settings

TINY = ("train", "mnist", "--epochs", 1, "--samples", 3)


def test_a_run_on_the_simulated_gpu_is_a_run_like_any_other(tmp_path):
    for device in ("sim", "cpu"):
        done = minidl(*TINY, "--device", device, "--out", device, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        first, second, *_ = done.stdout.splitlines()
        kernels = "sim" if device == "sim" else package.get_backend()
        assert f"mlp on MNIST, {kernels} kernels, in {device}" in first
        assert "2 images to learn from, 1 to validate on" in second
    assert {path.name for path in (tmp_path / "sim").iterdir()} == RUN_FILES
    config = json.loads((tmp_path / "sim" / "config.json").read_text())
    assert (config["device"], config["samples"]) == ("sim", 3)
    found, expected = (load_file(tmp_path / device / "weights.safetensors") for device in ("sim", "cpu"))
    for name, values in expected.items():
        # Adam's first step is lr · g / |g|: a gradient that is nearly 0 may have either sign
        np.testing.assert_allclose(found[name], values, atol=1e-4, err_msg=name)
    assert (
        "(3 images)" in minidl("evaluate", "sim", cwd=tmp_path).stdout
    )  # on the host, which has the weights
    one_line(minidl("train", "mnist", "--resume", "sim", "--device", "cpu", cwd=tmp_path), "--device", "sim")
    (tmp_path / "sim" / "config.json").write_text(json.dumps({**config, "device": "cuda"}))
    assert "(3 images)" in minidl("evaluate", "sim", cwd=tmp_path).stdout  # also where there is no such GPU


def test_a_gpu_that_is_not_there_is_one_line(tmp_path):
    if package.cuda.is_available():
        pytest.skip("there is a GPU here")
    one_line(minidl(*TINY, "--device", "cuda", cwd=tmp_path), "cuda")
    assert not list(tmp_path.iterdir())


def test_settings_of_before_there_were_devices_are_of_the_host():
    settings = dataclasses.asdict(Settings("mnist", "mlp", 1, 4, 0.1, "sgd", 0, "numpy", "sim", 3))
    assert Settings.from_json(settings).device == "sim"
    del settings["device"], settings["samples"]
    assert (Settings.from_json(settings).device, Settings.from_json(settings).samples) == ("cpu", 0)
    with pytest.raises(ValueError, match="device to be one of cpu, cuda, sim, got 'tpu'"):
        Settings.from_json({**settings, "device": "tpu"})
