"""What is measured: the same on both sides, the networks that are promised, and found by their names."""

import re

import numpy as np
import pytest

from minidl import kernels, models, nn, optim
from minidl.bench import CASES, networks, select
from minidl.bench.agree import check_agreement
from minidl.bench.case import PARTS, batch, factors, weights
from minidl.bench.minidl_side import MinidlSide, ReferenceSide
from minidl.errors import MinidlError

HUGE = {"matmul-1024", "matmul-2048", "conv-vgg-512"}


def shapes(model):
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def stepped(side, case, size):
    made = side(case, size)
    made.clear()
    for part in made.parts.values():
        part()
    return made


def small(case):
    """A batch that is quick; a loss keeps its own, for its upstream gradient is its mean."""
    return None if case.kind in ("product", "loss") else 3


@pytest.mark.parametrize("name", [case.name for case in select() if case.name not in HUGE])
def test_both_sides_compute_the_same(name):
    pytest.importorskip("torch")
    from minidl.bench.torch_side import TorchSide

    case = CASES[name]
    if case.loop:
        pytest.importorskip("numba")
    ours, theirs = (stepped(side, case, small(case)) for side in (MinidlSide, TorchSide))
    assert tuple(ours.parts) == tuple(theirs.parts) == PARTS[case.kind]
    results = ours.results()
    check_agreement(results, theirs.results(), case.random, case.extent)
    if case.kind == "train":
        kinds = ("gradient of", "change of")
        assert results.keys() == {
            "loss",
            *(f"{kind} {name}" for kind in kinds for name in shapes(ours.model)),
        }
    assert any(np.any(np.asarray(values) != 0) for values in results.values())


@pytest.mark.parametrize("network", networks.__all__)
def test_networks_have_the_same_parameters_on_both_sides(network):
    torch = pytest.importorskip("torch")
    make = getattr(networks, network)
    assert shapes(make(nn)) == shapes(make(torch.nn))


def test_lenet5_is_the_one_in_models():
    here, there = networks.lenet5(nn), models.LeNet5()
    for mine, other in zip(here.parameters(), there.parameters(), strict=True):
        mine.data[...] = other.data
    x, _ = batch(CASES["lenet5-64"], 3)
    np.testing.assert_allclose(here(x), there(x), rtol=1e-4, atol=1e-5)


def test_the_workloads_are_those_promised():
    sizes = {case.name: case.shape for case in CASES.values() if case.group == "workload"}
    assert sizes == {
        "mlp-64": (64, 784),
        "mlp-512": (512, 784),
        "lenet5-64": (64, 1, 28, 28),
        "cnn-64": (64, 1, 28, 28),
        "vgg-small-32": (32, 3, 32, 32),
    }
    assert all(case.optimizer[0] == "SGD" for case in CASES.values() if case.group == "workload")


def test_a_training_step_changes_every_parameter():
    case = CASES["lenet5-64"]
    side = MinidlSide(case, 3)
    before = weights(shapes(side.model))
    side.parts["step"]()
    for name, parameter in side.model.named_parameters():
        change = before[name] - parameter.data  # = lr · gradient
        np.testing.assert_allclose(change, 1e-3 * parameter.grad, atol=1e-6, err_msg=name)
        assert change.any(), name


def test_training_leaves_out_the_gradient_of_the_images():
    side = MinidlSide(CASES["lenet5-64"], 3)
    logits = side.model(side.x)
    assert side.model.backward(np.ones_like(logits)) is None
    layer = MinidlSide(CASES["conv-lenet-1"], 3)
    layer.parts["forward"]()
    layer.parts["backward"]()
    assert layer.results()["gradient of input 1"].shape == (3, 1, 28, 28)


def test_inputs_and_weights_are_the_same_every_time():
    case = CASES["mlp-64"]
    for first, second in zip(batch(case), batch(case), strict=True):
        np.testing.assert_array_equal(first, second)
    x, target = batch(case, 5)
    assert (x.shape, x.dtype, target.shape) == ((5, 784), np.float32, (5,))
    drawn = weights({"0.weight": (7, 3), "1.weight": (4,), "1.bias": (4,)})
    assert drawn["0.weight"].std() > 0.3
    assert abs(drawn["1.weight"] - 1).max() <= 0.1
    assert abs(drawn["1.bias"]).max() <= 0.1


def test_a_products_factors_lie_in_memory_as_in_a_layer():
    x, w = factors(CASES["matmul-64x400x120"])  # y = x Wᵀ
    assert (x.shape, w.shape) == ((64, 400), (400, 120))
    assert x.flags.c_contiguous
    assert w.flags.f_contiguous
    dy, x = factors(CASES["matmul-64x400x120-dw"])  # dW = dyᵀ x
    assert (dy.shape, x.shape) == ((120, 64), (64, 400))
    assert dy.flags.f_contiguous
    assert x.flags.c_contiguous


def test_the_ladder_runs_its_loops_and_the_reference_runs_none(monkeypatch):
    pytest.importorskip("numba")
    from minidl.kernels.numba_cpu import ladder

    for case in (case for case in CASES.values() if case.loop):
        monkeypatch.setattr(ladder, case.loop, lambda a, b: "the loop's")
        side, reference = MinidlSide(case), ReferenceSide(case)
        for made in (side, reference):
            made.parts["step"]()
        assert side.results() == {"product": "the loop's"}
        np.testing.assert_array_equal(reference.results()["product"], kernels.matmul(*factors(case)))
    loops = [case.loop for case in CASES.values() if case.group == "ladder"]
    assert loops == ["naive", "reordered", "blocked"]
    assert loops == [case.loop for case in CASES.values() if case.loop]


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["mlp-64"], {"mlp-64"}),  # a whole name is that case alone
        (["sgd-*"], {"sgd-mlp", "sgd-lenet5", "sgd-vgg-small"}),
        (["avgpool-*"], {"avgpool-2x2", "avgpool-global"}),
        (["ladder"], {"ladder-naive-512", "ladder-reordered-512", "ladder-blocked-512"}),
        (["dropout", "softmax"], {"dropout", "softmax"}),
        (
            ["nll"],
            {f"{name}-{size}" for name in ("poissonnllloss", "nllloss") for size in ("64x10", "512x1000")},
        ),
    ],
)
def test_patterns(patterns, names):
    assert {case.name for case in select(patterns)} == names


def test_without_patterns_everything_or_what_is_quick():
    assert select() == [case for case in CASES.values() if case.devices != "gpu"]
    assert select(device="cuda") == [case for case in CASES.values() if case.devices != "host"]
    with pytest.raises(MinidlError, match="got 'launch'"):
        select(["launch"])
    with pytest.raises(MinidlError, match="got 'ladder-naive-512'"):
        select(["ladder-naive-512"], device="cuda")
    quick = select(quick=True)
    assert {case.group for case in quick} == {"workload", "operation"}
    assert len(quick) < 20


@pytest.mark.parametrize("patterns", [["nothing"], ["mlp", "conv-x*"]])
def test_a_pattern_that_fits_nothing_is_named(patterns):
    with pytest.raises(MinidlError, match=re.escape(f"got {patterns[-1]!r}")):
        select(patterns)


def test_no_class_is_slow_unseen():
    """Every layer, loss and optimizer is measured, but for those that compute nothing of their own."""
    nothing = {
        "AuxiliaryLoss",
        "Concat",
        "Identity",
        "Module",
        "ModuleDict",
        "ModuleList",
        "Optimizer",
        "Residual",
        "Unflatten",
    }
    alike = {"AlphaDropout"}  # Dropout's work; what it drops is no zero, so two sides cannot be compared
    built = [case.network(nn) for case in CASES.values() if case.network is not None]
    found = {type(module).__name__ for model in built for _, module in model.named_modules()}
    found |= {case.optimizer[0] for case in CASES.values() if case.kind == "optimizer"}
    classes = {name: getattr(room, name) for room in (nn, optim) for name in room.__all__}
    public = {
        n for n, c in classes.items() if isinstance(c, type) and issubclass(c, nn.Module | optim.Optimizer)
    }
    assert public - found == nothing | alike
