"""What frozen layers cost and keep: no way back through a frozen front, no gradients of frozen weights."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import models, nn, optim, train
from minidl.data import ArrayDataset, DataLoader
from minidl.errors import BackwardError
from minidl.nn.batchnorm import _BatchNorm
from minidl.optim.swa_utils import update_bn
from minidl.testing import Bug, planted

X = np.random.default_rng(0).standard_normal((5, 4))
DY = np.random.default_rng(1).standard_normal((5, 2))


def chain(seed=2):
    rng = np.random.default_rng(seed)
    inner = nn.Sequential(nn.Tanh(), nn.Linear(4, 4, rng=rng), nn.LayerNorm(4), nn.Linear(4, 4, rng=rng))
    return nn.Sequential(
        nn.Linear(4, 4, rng=rng),
        nn.BatchNorm1d(4),
        inner,
        nn.Residual(nn.Linear(4, 4, rng=rng)),
        nn.Linear(4, 2, rng=rng),
    ).double()


def gradients(model, x=X, dy=DY, data_too=True):
    """All gradients that are collected, and the layers that ran back."""
    ran = []
    model.zero_grad()
    with nn.watch_backward(model, lambda module, dy, dx: ran.append(id(module))):
        model(x)
        if data_too:
            model.backward(dy)
        else:
            with model.no_input_grad():
                model.backward(dy)
    return {name: p.grad for name, p in model.named_parameters()}, ran


def check_every_way_of_freezing():
    """Parameters learn the same, whichever of them learn and whether or not the data has a gradient."""
    rng = np.random.default_rng(3)
    for _ in range(40):
        model = chain()
        parts = list(model.named_parameters())
        for name, parameter in parts:
            parameter.requires_grad = bool(rng.integers(2)) and int(name[0]) >= rng.integers(6)
        whole, _ = gradients(model)
        less, _ = gradients(model, data_too=False)
        for name, parameter in parts:
            if parameter.requires_grad:
                assert whole[name] is not None, name
                assert less[name] is not None, name
                np.testing.assert_array_equal(whole[name], less[name])
            else:
                assert whole[name] is less[name] is None
        with pytest.raises(BackwardError):
            model.backward(DY)
        assert all(module._memory is None and module._input_grad for module in model.modules())


def test_every_way_of_freezing_gives_the_same_gradients():
    check_every_way_of_freezing()


BACK = (nn.Sequential, "_backward_to_the_first_trained")
WEIGHT = "if self.weight.requires_grad:"
BUGS = [
    Bug("the first that learns is passed over", *BACK, "if first < len(layers)", "if False"),
    Bug("what is frozen is taken for it", *BACK, "if learns)", "if not learns)"),
    Bug("the front forgets nothing", *BACK, "layer.forget()", "pass"),
    Bug(
        "frozen weights, the wrong way round",
        nn.Linear,
        "backward",
        WEIGHT,
        "if not self.weight.requires_grad:",
    ),
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug):
    with planted(bug), pytest.raises((AssertionError, BackwardError)):
        check_every_way_of_freezing()


def ran_back(model, data_too=False):
    _, ran = gradients(model, data_too=data_too)
    return {name for name, module in model.named_modules() if id(module) in ran}


def test_what_stands_before_the_first_that_learns_does_not_run_back():
    model = chain()
    models.freeze(model, "0", "1", "2.1")
    assert {"", "2", "2.2", "2.3", "3", "4"} <= ran_back(model)
    assert ran_back(model) & {"0", "1", "2.0", "2.1"} == set()
    assert {"0", "1", "2.0", "2.1"} <= ran_back(model, data_too=True)  # the data's gradient is wanted
    models.freeze(model)
    assert ran_back(model) == {""}
    models.unfreeze(model, "0.bias")
    assert {"0", "1", "2.0"} <= ran_back(model)


def test_frozen_features_of_a_network_do_not_run_back():
    x = np.random.default_rng(0).standard_normal((2, 3, 63, 63)).astype(np.float32)
    dy = np.ones((2, 3), np.float32)
    for model in (models.AlexNet(3, dropout=0.0, width_mult=1 / 64), models.MobileNetV2(3, 0.1, dropout=0.0)):
        models.freeze(model, "features")
        whole, ran = gradients(model, x, dy)
        assert id(model.features[0]) in ran
        less, ran = gradients(model, x, dy, data_too=False)
        assert not {id(layer) for layer in model.features} & set(ran)
        assert {name for name, grad in less.items() if grad is not None} == {
            name for name in less if name.startswith("classifier")
        }
        for name, grad in less.items():
            if grad is not None:
                np.testing.assert_array_equal(grad, whole[name])


def test_a_frozen_weight_costs_no_product(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("a gradient, which nobody collects if the weight is frozen")

    for layer, x in (
        (nn.Conv2d(2, 3, 3), X[None, None].repeat(2, 1)),
        (nn.Conv1d(4, 3, 2), X[None].swapaxes(1, 2)),
    ):
        layer.double()
        y = layer(x)
        layer.weight.requires_grad = False
        with monkeypatch.context() as patch:
            patch.setattr("minidl.kernels.conv2d_weight_grad", refuse)
            assert layer.backward(np.ones_like(y)).shape == x.shape
            layer(x)
            layer.weight.requires_grad = True
            with pytest.raises(AssertionError, match="nobody collects"):
                layer.backward(np.ones_like(y))
        assert layer.weight.grad is None
        assert layer.bias.grad is not None


def test_a_recorder_sees_what_runs_back():
    """Layers that do not run back have no gradient to show; the others are recorded as ever."""
    model = chain().float()
    models.freeze(model, "0", "1")
    recorder = train.Recorder()
    batches = DataLoader(ArrayDataset(X.astype(np.float32), np.array([0, 1, 1, 0, 1])), 5)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    train.Trainer(model, nn.CrossEntropyLoss(), optimizer, callbacks=[recorder]).fit(batches, epochs=2)
    gradient = recorder.series("rms", "gradient")  # (2, layers)
    names = recorder.names("gradient")
    assert names
    assert "0" not in names or np.isnan(gradient[:, names.index("0")]).all()
    assert np.isfinite(gradient[:, names.index("4")]).all()


# -------------------------------------------------------------------- running statistics that are held

IMAGES = X[:, :, None, None] * np.arange(1.0, 4)[:, None]  # (5, 4, 3, 1)
NORMS = {
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), X),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4), IMAGES),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True), IMAGES),
}


def check_held(make, x):
    norm, dy = make().double(), np.random.default_rng(4).standard_normal(x.shape)
    norm(3 * x + 1)
    state = norm.state_dict()
    results = []
    for how in ("eval", "held"):
        if how == "eval":
            norm.eval(remember=True)
        else:
            norm.train()
            norm.holds_statistics = True
        norm.zero_grad()
        y = norm(x)
        results.append((y, norm.backward(dy), norm.weight.grad, norm.bias.grad))
    for evaluated, held in zip(*results, strict=True):
        np.testing.assert_array_equal(evaluated, held)
    assert {n: v.tobytes() for n, v in norm.state_dict().items()} == {
        n: v.tobytes() for n, v in state.items()
    }
    norm.holds_statistics = False
    assert np.abs(norm(x) - results[0][0]).max() > 0.1
    assert norm.running_mean.tobytes() != state["running_mean"].tobytes()


@pytest.mark.parametrize("norm", NORMS)
def test_a_norm_that_holds_its_statistics_works_as_in_evaluation(norm):
    check_held(*NORMS[norm])


HELD = "self.holds_statistics or not self.training"
HELD_BUGS = [
    Bug("they are held in name only", _BatchNorm, "_fixed", HELD, "not self.training"),
    Bug("they are held always", _BatchNorm, "_fixed", HELD, "True"),
]


@pytest.mark.parametrize("bug", HELD_BUGS, ids=lambda bug: bug.name)
@pytest.mark.parametrize("norm", NORMS)
def test_a_planted_bug_in_what_is_held_is_caught(bug, norm):
    with planted(bug), pytest.raises(AssertionError):
        check_held(*NORMS[norm])


def test_without_running_statistics_there_is_nothing_to_hold():
    for make in (lambda: nn.BatchNorm2d(4, track_running_stats=False), lambda: nn.InstanceNorm2d(4)):
        norm = make().double()
        y = norm(IMAGES)
        norm.holds_statistics = True
        np.testing.assert_array_equal(norm(IMAGES), y)


def test_update_bn_leaves_what_is_held():
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 4), nn.BatchNorm1d(4)).double()
    model(X)
    models.freeze(model, "0", hold_statistics=True)
    before = model.state_dict()
    update_bn([X + 3], model)
    after = model.state_dict()
    assert {name for name in before if (before[name] != after[name]).any()} == {
        "2.running_mean",
        "2.running_var",
    }
