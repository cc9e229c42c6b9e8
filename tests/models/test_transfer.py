"""Freezing, new heads and rates by part: what is to stay stays bit for bit, and the rest moves as told."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from minidl import data, models, nn, optim, train
from minidl.models import resnet, transfer, vgg
from minidl.nn.utils import skip_init
from minidl.testing import Bug, planted


def rng(seed=0):
    return np.random.default_rng(seed)


def small_net():
    """Features with batch norm, and a classifier of two layers, for images (1, 8, 8)."""
    features = nn.Sequential(
        nn.Conv2d(1, 4, 3, rng=rng(1)), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 3, rng=rng(2))
    )
    classifier = nn.Sequential(
        nn.Flatten(), nn.Linear(48, 6, rng=rng(3)), nn.ReLU(), nn.Linear(6, 4, rng=rng(4))
    )
    return nn.Sequential({"features": features, "classifier": classifier})


def images(count=24):
    return data.ArrayDataset(
        rng(5).standard_normal((count, 1, 8, 8)).astype(np.float32), rng(6).integers(0, 4, count)
    )


def trainer_of(model, groups=None):
    optimizer = optim.SGD(groups or model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
    return train.Trainer(model, nn.CrossEntropyLoss(), optimizer)


def loader():
    return data.DataLoader(images(), batch_size=8, shuffle=True, seed=3)


def changed(before, after):
    """The names under which bits differ."""
    assert list(before) == list(after)
    return {name for name in before if before[name].tobytes() != after[name].tobytes()}


def learning(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


FEATURES = {"features.0.weight", "features.0.bias", "features.1.weight", "features.1.bias"} | {
    "features.3.weight",
    "features.3.bias",
}
CLASSIFIER = {"classifier.1.weight", "classifier.1.bias", "classifier.3.weight", "classifier.3.bias"}
STATISTICS = {"features.1.running_mean", "features.1.running_var", "features.1.num_batches_tracked"}


class TestFreeze:
    def test_names_mean_a_part_with_all_below(self):
        model = small_net()
        assert transfer.freeze(model, "features.3", "classifier.1.weight") == [
            "features.3.weight",
            "features.3.bias",
            "classifier.1.weight",
        ]
        frozen = {"features.3.weight", "features.3.bias", "classifier.1.weight"}
        assert learning(model) == (FEATURES | CLASSIFIER) - frozen
        assert transfer.unfreeze(model, "features") == [
            n for n, _ in model.named_parameters() if n in FEATURES
        ]
        assert learning(model) == (FEATURES | CLASSIFIER) - {"classifier.1.weight"}
        assert set(transfer.freeze(model)) == FEATURES | CLASSIFIER
        assert not learning(model)
        transfer.unfreeze(model)
        assert learning(model) == FEATURES | CLASSIFIER

    def test_a_name_is_whole(self):
        model = models.LeNet5(rng=rng())
        model.fc = nn.Linear(2, 2)
        transfer.freeze(model, "fc")
        assert {name for name, p in model.named_parameters() if not p.requires_grad} == {
            "fc.weight",
            "fc.bias",
        }

    @pytest.mark.parametrize("function", [models.freeze, models.unfreeze], ids=["freeze", "unfreeze"])
    def test_an_unknown_name_changes_nothing(self, function):
        model = small_net()
        transfer.freeze(model, "features.0")
        before = learning(model)
        for name in ("feature", "features.9", "features.", "", "features.0.weight.data"):
            with pytest.raises(
                ValueError, match=rf"{function.__name__}: expected .*features, classifier; got"
            ):
                function(model, "classifier", "features.0", name)
            assert learning(model) == before

    def test_a_gradient_from_before_does_not_count_in_the_norm(self):
        check_stale_gradients()

    def test_frozen_parts_stay_bit_for_bit_in_training(self):
        check_training()

    def test_a_shared_parameter_is_found_by_either_name(self):
        model = nn.Sequential({"one": nn.Linear(3, 3), "two": nn.Linear(3, 3)})
        vars(model)["two"].weight = vars(model)["one"].weight
        transfer.freeze(model, "two")
        assert learning(model) == {"one.bias"}

    def test_a_copy_is_frozen_too(self):
        model = small_net()
        transfer.freeze(model, "features", hold_statistics=True)
        twin = copy.deepcopy(model)
        assert learning(twin) == CLASSIFIER
        assert [m.holds_statistics for m in twin.modules() if isinstance(m, nn.BatchNorm2d)] == [True]


def check_stale_gradients():
    model = small_net()
    x, y = images()[:]
    loss = nn.CrossEntropyLoss()
    loss(model(x), y)
    model.backward(loss.backward())
    transfer.freeze(model, "features")
    rest = nn.utils.get_total_norm([p.grad for p in model.parameters() if p.requires_grad])
    assert nn.utils.clip_grad_norm_(model.parameters(), 1e9) == rest


def check_training():
    """Parameters stay in any case; running statistics only where they are held."""
    for hold, stays in ((False, FEATURES), (True, FEATURES | STATISTICS)):
        model = small_net()
        trainer_of(model).fit(loader(), epochs=1)  # so that the running statistics are not those of the start
        transfer.freeze(model, "features", hold_statistics=hold)
        before, x = model.state_dict(), images()[:][0]
        with model.evaluating():
            as_evaluated = vars(model)["features"](x)
        model.train()
        if hold:
            np.testing.assert_array_equal(vars(model)["features"](x), as_evaluated)
        trainer_of(model).fit(loader(), loader(), epochs=2)
        assert changed(before, model.state_dict()) == set(before) - stays, hold
        transfer.unfreeze(model)
        before = model.state_dict()
        trainer_of(model).fit(loader(), epochs=1)
        assert changed(before, model.state_dict()) == set(before)


# -------------------------------------------------------------------- heads

# of 11 classes: the network, and its head's name
NETWORKS = {
    "perceptron": (lambda: models.Perceptron(12, 11), "fc"),
    "mlp": (lambda: models.MLP(12, (5, 4), 11, 0.1), "layers.7"),
    "lenet5": (lambda: models.LeNet5(11), "fc3"),
    "alexnet": (lambda: models.AlexNet(11, width_mult=1 / 64), "classifier.6"),
    "vgg": (lambda: models.VGG(vgg.make_layers([2, "M", 3]), 11, hidden=(4, 4), grid=2), "classifier.6"),
    "vgg_cifar": (lambda: models.VGG(vgg.make_layers([2, "M", 3]), 11, hidden=(), grid=1), "classifier.0"),
    "resnet": (lambda: models.ResNet(resnet.BasicBlock, [1, 1, 1, 1], 11, width_mult=1 / 32), "fc"),
    "resnet_cifar": (lambda: models.CifarResNet(8, 11, width_mult=1 / 8), "fc"),
    "mobilenet_v2": (lambda: models.MobileNetV2(11, 0.1), "classifier.1"),
    "googlenet": (lambda: models.GoogLeNet(11, aux_logits=False, width_mult=1 / 16), "fc"),
    "sequential": (
        lambda: nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 11), nn.LogSoftmax(-1)),
        "2",
    ),
}


def check_head(make, name):
    model = make()
    transfer.freeze(model)
    model.eval()
    before = model.state_dict()
    new = transfer.replace_head(model, 3, rng=rng(8))
    assert new == [f"{name}.weight", f"{name}.bias"]
    after = model.state_dict()
    assert (
        changed(
            {n: v for n, v in before.items() if n not in new}, {n: after[n] for n in before if n not in new}
        )
        == set()
    )
    assert list(after) == list(before)  # in the same place
    inputs = before[new[0]].shape[1]
    drawn = nn.Linear(inputs, 3, rng=rng(8))
    np.testing.assert_array_equal(after[new[0]], drawn.weight.data)
    np.testing.assert_array_equal(after[new[1]], drawn.bias.data)
    assert learning(model) == set(new)
    assert not any(module.training for module in model.modules())
    assert "=11" not in repr(model)
    again = copy.deepcopy(model)
    transfer.replace_head(again, 3, rng=rng(8))
    assert changed(after, again.state_dict()) == set()


class TestReplaceHead:
    @pytest.mark.parametrize("network", NETWORKS)
    def test_every_network_gets_one(self, network):
        check_head(*NETWORKS[network])

    @pytest.mark.parametrize("name", models.list_models())
    def test_every_published_network_has_one(self, name):
        model = skip_init(models.get_model, name)
        new = transfer.replace_head(model, 3)
        sizes = {parameter.shape[0] for n, parameter in model.named_parameters() if n in new}
        assert sizes == {3}
        assert new[-1] == list(model.named_parameters())[-1][0]

    def test_googlenets_other_heads_go_with_it(self):
        model = models.GoogLeNet(11, width_mult=1 / 16, rng=rng())
        before = model.state_dict()
        new = transfer.replace_head(model, 3, rng=rng(1))
        heads = ("aux1.fc2", "aux2.fc2", "fc")
        assert new == [f"{head}.{kind}" for head in heads for kind in ("weight", "bias")]
        assert {n for n in before if before[n].tobytes() != model.state_dict()[n].tobytes()} == set(new)
        assert [y.shape for y in model(np.zeros((2, 3, 32, 32), np.float32))] == [(2, 3)] * 3
        assert "=11" not in repr(model)

    def test_it_is_like_the_old_one(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2, bias=False)).double()
        assert transfer.replace_head(model, 5, rng=rng()) == ["1.weight"]
        assert model[1].weight.dtype == np.float64
        assert model[1].training
        model.eval(remember=True)
        transfer.replace_head(model, 5, rng=rng())
        assert model.backward(model(np.ones((2, 3)))).shape == (2, 3)

    def test_on_a_device(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).to("sim")
        transfer.replace_head(model, 5, rng=rng())
        assert type(model[1].weight.data) is type(model[0].weight.data)

    def test_another_head_is_named(self):
        model = nn.Sequential({"head": nn.Linear(3, 4), "norm": nn.BatchNorm1d(4)})
        with pytest.raises(ValueError, match=r"a Linear as its last layer .*'norm', BatchNorm1d\(4\).*head="):
            transfer.replace_head(model, 2)
        assert transfer.replace_head(model, 2, head="head") == ["head.weight", "head.bias"]

    def test_a_shared_head_stays_shared(self):
        head = nn.Linear(3, 3)
        model = nn.Sequential({"a": head, "b": nn.Sequential(head)})
        transfer.replace_head(model, 2)
        assert vars(model)["a"] is vars(model)["b"][0] is not head

    def test_what_is_refused_changes_nothing(self):
        model = small_net()
        before, layers = model.state_dict(), list(model.modules())
        for classes, head, message in (
            (0, None, "at least 1 class, got 0"),
            (2.5, None, "an integer of at least 0, got 2.5"),
            (3, "clasifier", "replace_head: expected the name of .*got 'clasifier'"),
            (3, "features", r"a Linear named 'features', got Sequential\(\)"),
            (3, "classifier.3.weight", "a Linear named 'classifier.3.weight', got a parameter"),
        ):
            with pytest.raises(ValueError, match=message):
                transfer.replace_head(model, classes, head=head)
        assert list(model.modules()) == layers
        assert changed(before, model.state_dict()) == set()
        with pytest.raises(ValueError, match=r"got Linear\(2, 2\) alone"):
            transfer.replace_head(nn.Linear(2, 2), 3)
        with pytest.raises(ValueError, match=r"got Sequential\(\) alone"):
            transfer.replace_head(nn.Sequential(nn.ReLU()), 3)


# -------------------------------------------------------------------- groups


def named(model, groups):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [{names[id(parameter)] for parameter in group["params"]} for group in groups]


def check_groups():
    model = small_net()
    groups = transfer.parameter_groups(model, {"features": 0.1, "features.3": {"lr": 0.2, "momentum": 0}})
    third = {"features.3.weight", "features.3.bias"}
    assert named(model, groups) == [FEATURES - third, third, CLASSIFIER]
    assert [{k: v for k, v in group.items() if k != "params"} for group in groups] == [
        {"lr": 0.1},
        {"lr": 0.2, "momentum": 0},
        {},
    ]
    order = [list(group["params"]) for group in transfer.parameter_groups(model, {"classifier": 1.0})]
    assert [p for group in order[::-1] for p in group] == list(model.parameters())
    transfer.freeze(model, "features")
    groups = transfer.parameter_groups(model, {"features": 0.1, "classifier.3": 0.2})
    assert named(model, groups) == [
        {"classifier.3.weight", "classifier.3.bias"},
        {"classifier.1.weight", "classifier.1.bias"},
    ]
    lenet = models.LeNet5(rng=rng())
    lenet.fc = nn.Linear(2, 2)
    assert named(lenet, transfer.parameter_groups(lenet, {"fc": 0.1}))[0] == {"fc.weight", "fc.bias"}


class TestParameterGroups:
    def test_each_parameter_comes_once_in_the_group_of_its_longest_name(self):
        check_groups()

    def test_a_shared_parameter_comes_once(self):
        model = nn.Sequential({"one": nn.Linear(3, 3), "two": nn.Linear(3, 3)})
        vars(model)["two"].weight = vars(model)["one"].weight
        groups = transfer.parameter_groups(model, {"two": 0.1})
        assert named(model, groups) == [{"one.weight", "two.bias"}, {"one.bias"}]
        groups = transfer.parameter_groups(model, {"two.weight": 0.1, "one": 0.2})
        assert named(model, groups) == [{"one.weight"}, {"one.bias"}, {"two.bias"}]

    def test_each_group_moves_at_its_own_rate(self):
        """Of plain descent, a step is −lr g."""
        model = small_net().double()
        rates = {"features": 0.001, "classifier.3": 0.5}
        optimizer = optim.SGD(transfer.parameter_groups(model, rates), lr=0.02)
        before, loss = model.state_dict(), nn.CrossEntropyLoss()
        x, y = images()[:]
        loss(model(x.astype(np.float64)), y)
        model.backward(loss.backward())
        optimizer.step()
        for name, parameter in model.named_parameters():
            lr = 0.001 if name in FEATURES else 0.5 if name.startswith("classifier.3") else 0.02
            np.testing.assert_allclose(parameter.data, before[name] - lr * parameter.grad, rtol=1e-12)

    def test_a_schedule_multiplies_all_rates(self):
        optimizer = optim.SGD(transfer.parameter_groups(small_net(), {"features": 0.1}), lr=1.0)
        optim.lr_scheduler.StepLR(optimizer, 1, 0.5).step()
        assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.5]

    def test_what_is_refused(self):
        model = small_net()
        for name in ("feature", "", "features.", "classifier.30"):
            with pytest.raises(ValueError, match=r"parameter_groups: .* features, classifier; got"):
                transfer.parameter_groups(model, {"features": 0.1, name: 0.2})
        with pytest.raises(ValueError, match=r"group 0: expected options among .*got 'speed'"):
            optim.SGD(transfer.parameter_groups(model, {"features": {"speed": 0.1}}), lr=0.1)
        transfer.freeze(model)
        with pytest.raises(ValueError, match=r"expected a parameter of Sequential\(\) that is not frozen"):
            transfer.parameter_groups(model, {"features": 0.1})


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_run_of_groups_and_frozen_parts_resumes_bit_for_bit(stop, tmp_path):
    def run():
        model = small_net()
        transfer.freeze(model, "features.0", "features.1", hold_statistics=True)
        transfer.replace_head(model, 4, rng=rng(9))
        rates = {"features": 0.01, "classifier.3": {"lr": 0.1, "weight_decay": 0.01}}
        return trainer_of(model, transfer.parameter_groups(model, rates))

    class Stop(train.Callback):
        def on_step_end(self, trainer):
            if trainer.global_step == stop:
                trainer.stop()

    whole = run()
    whole.fit(loader(), epochs=2)
    part = run()
    part.callbacks.append(Stop())
    batches = loader()
    part.fit(batches, epochs=2)
    path = tmp_path / "run.safetensors"
    train.save_checkpoint({"trainer": part.state_dict(), "loader": batches.state_dict()}, path)
    saved = train.load_checkpoint(path)
    rest, batches = run(), loader()
    rest.load_state_dict(saved["trainer"])
    batches.load_state_dict(saved["loader"])
    rest.fit(batches, epochs=2)
    assert changed(whole.model.state_dict(), rest.model.state_dict()) == set()


def bug(name, function, old, new):
    return Bug(name, transfer, function, old, new)


HOLD = "hold_statistics if frozen else False"
CHECKS = [
    (check_training, bug("freezing does not freeze", "_set_frozen", "= not frozen", "= True")),
    (check_training, bug("unfreezing does not", "_set_frozen", "= not frozen", "= False")),
    (check_training, bug("statistics are always held", "_set_frozen", HOLD, "frozen")),
    (check_training, bug("statistics are never held", "_set_frozen", HOLD, "False")),
    (check_training, bug("held for ever", "_set_frozen", HOLD, "hold_statistics or below.holds_statistics")),
    (check_stale_gradients, bug("old gradients stay", "_set_frozen", "parameter.zero_grad()", "pass")),
    (check_groups, bug("half a name fits", "_is_below", 'f"{name}."', "name")),
    (check_groups, bug("the first name wins", "parameter_groups", "key=len)", "key=bool)")),
    (check_groups, bug("frozen ones in groups", "parameter_groups", "p.requires_grad and ", "")),
    (check_groups, bug("the rest is left out", "parameter_groups", '("", {})', '("/", {})')),
]


@pytest.mark.parametrize(("check", "bug"), CHECKS, ids=[bug.name for _, bug in CHECKS])
def test_a_planted_bug_is_caught(check, bug):
    with planted(bug), pytest.raises(AssertionError):
        check()


OLD = "old.training, old._remembering"
HEAD_BUGS = [
    bug("the first Linear is the head", "_last_linear", "layers[-1]", "layers[0]"),
    bug("a head without bias", "replace_head", "old.bias is not None", "old.bias is None"),
    bug("a head that draws from the one generator", "replace_head", "rng=rng)", "rng=None)"),
    bug("a head in training mode", "replace_head", OLD, "True, False"),
    bug("sizes as they were", "replace_head", "setattr(owner, size, num_classes)", "pass"),
]


@pytest.mark.parametrize("bug", HEAD_BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_in_the_head_is_caught(bug):
    with planted(bug), pytest.raises(AssertionError):
        check_head(*NETWORKS["mlp"])
