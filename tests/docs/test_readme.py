"""README and CONTRIBUTING: their code runs, and what they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from minidl_docs.fences import check_output, read_fences, run_fences

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "exercises" / "README.md"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_code_runs_and_prints_what_is_shown(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = run_fences(read_fences(path.read_text(encoding="utf-8")), path.name)
    for run in runs:
        check_output(run)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_links_and_paths_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
        assert (path.parent / target).exists(), f"{path.name}: no {target}"
    for name in re.findall(r"`((?:minidl|tests|docs|exercises)/[\w./]*)`", text):
        if "NN" not in name and "topic" not in name:  # a recipe's placeholders
            assert (ROOT / name).exists(), f"{path.name}: no {name}"


def test_every_command_that_the_readme_shows_exists(capsys):
    from minidl.cli.main import main

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names = "train|evaluate|predict|learn|check|hint|watch|solution|reset|bench"
    commands = set(re.findall(rf"\bminidl ({names})\b", text))
    assert commands | {"evaluate"} == set(names.split("|"))
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
    capsys.readouterr()
