"""Every public layer, loss and network through every check: a class without a sample fails."""

from __future__ import annotations

import pytest
from by_hand import BY_HAND
from component_table import SAMPLES

from minidl import models, nn
from minidl.testing import CHECKS

IDS = [f"{i:02}-{sample}".replace("\n", " ")[:80] for i, sample in enumerate(SAMPLES)]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")  # PyTorch's KLDivLoss means to change
@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch tells that it pads one side by a copy
@pytest.mark.parametrize("check", list(CHECKS))
@pytest.mark.parametrize("sample", SAMPLES, ids=IDS)
def test_component(sample, check):
    if check == "torch":
        pytest.importorskip("torch")
    CHECKS[check](sample)


@pytest.mark.parametrize(
    ("component", "check"),
    [(component, check) for component, checks in BY_HAND.items() for check in checks],
    ids=lambda value: value.__name__,
)
def test_numbers_worked_out_by_hand(component, check):
    check()


HOLDERS = {nn.ModuleList, nn.ModuleDict}
"""They have no forward to check, only what tests/nn/test_containers.py checks."""


def public_components():
    held = {nn.Module, *HOLDERS}
    for room in (nn, models):
        for name in room.__all__:
            value = getattr(room, name)
            if isinstance(value, type) and issubclass(value, nn.Module) and value not in held:
                yield value


def test_every_public_component_has_a_sample():
    sampled = {type(sample.make()) for sample in SAMPLES}
    missing = [component.__name__ for component in public_components() if component not in sampled]
    assert not missing, f"no sample in tests/component_table.py for {', '.join(missing)}"


def test_every_layer_and_loss_has_numbers_worked_out_by_hand():
    missing = (
        {c for c in public_components() if c.__module__.startswith("minidl.nn")}
        - set(BY_HAND)
        - {nn.Sequential}
    )
    assert not missing, f"no numbers in tests/by_hand.py for {missing}"


def test_every_component_that_takes_a_shape_has_wrong_inputs():
    settled = {type(sample.make()) for sample in SAMPLES if sample.wrong or sample.any_shape}
    missing = [component.__name__ for component in public_components() if component not in settled]
    assert not missing, f"neither wrong= nor any_shape= in tests/component_table.py for {', '.join(missing)}"
