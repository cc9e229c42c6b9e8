"""The table of papers' figures is the one that its results make, and the script still runs."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest

import minidl

SCRIPT = Path(__file__).parents[2] / "docs" / "papers.py"


@pytest.fixture(scope="module")
def papers():
    spec = importlib.util.spec_from_file_location("papers", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "papers", module)  # where dataclasses look a class up
        spec.loader.exec_module(module)
        yield module


def test_the_page_holds_the_table_that_the_results_make(papers):
    page = papers.PAGE.read_text(encoding="utf-8")
    assert papers.with_table(page) == page, "run python docs/papers.py --table"


def test_every_experiment_was_measured_in_all_its_variants(papers):
    there = {papers.key(result)[:2] for result in papers.measured()}
    wanted = {(name, variant) for name, e in papers.EXPERIMENTS.items() for variant in e.variants}
    assert there == wanted


def test_what_the_papers_say_of_two_networks_holds_in_the_table(papers):
    mean = {}
    for result in papers.measured():
        mean.setdefault(papers.key(result)[:2], []).append(result["figure"])
    mean = {key: sum(figures) / len(figures) for key, figures in mean.items()}
    for name, better, worse in (
        ("dropout5000", "with", "without"),
        ("batchnorm", "with", "without"),
        ("initialisation", "He", "Xavier"),
        ("residual", "plain20", "plain56"),
        ("residual", "resnet56", "plain56"),
    ):
        assert mean[name, better] < mean[name, worse], (name, better, worse)
    assert mean["initialisation", "Xavier"] > 2.29, "log 10: it has learned nothing"


@pytest.mark.slow
def test_every_experiment_runs(papers, monkeypatch):
    rng = np.random.default_rng(0)

    def few(size=28):
        images = rng.random((160, 1, size, size), np.float32)
        return (images, rng.integers(0, 10, 160)), (images[:20], rng.integers(0, 10, 20))

    monkeypatch.setattr(papers, "mnist", few)
    for experiment in papers.EXPERIMENTS.values():
        for variant in experiment.variants:
            minidl.manual_seed(0)
            assert math.isfinite(experiment.run(variant, 0, "cpu"))
