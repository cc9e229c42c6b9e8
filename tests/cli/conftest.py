"""One trained run for all tests that only read it."""

import pytest
from cli.shell import train


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """(the folder in which the command ran, what it printed); the run is in `run` there."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, train("--epochs", 2, "--out", "run", cwd=folder)


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the trained run, to be damaged."""
    import shutil

    shutil.copytree(trained[0] / "run", tmp_path / "run")
    return tmp_path / "run"
