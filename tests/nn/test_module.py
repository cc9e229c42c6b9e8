"""Module's contract: finding parameters, state in and out, modes, memory, and what is printed."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import nn
from minidl.errors import BackwardError, DTypeError, ShapeError, StateDictError


class Twice(nn.Module):
    """Uses one layer under two names, and has a parameter of its own defined after a child."""

    def __init__(self):
        self.first = nn.Linear(2, 3)
        self.scale = nn.Parameter(np.ones(3))
        self.again = self.first
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        return self.first(x)


def test_own_parameters_come_first_then_children_in_order_as_in_pytorch():
    names = [name for name, _ in Twice().named_parameters()]
    assert names == ["scale", "first.weight", "first.bias", "norm.weight", "norm.bias"]


def test_a_shared_module_counts_once_but_is_saved_under_both_names():
    model = Twice()
    assert [name for name, _ in model.named_modules()] == ["", "first", "norm"]
    assert {"first.weight", "again.weight"} <= set(model.state_dict())
    assert len(list(model.parameters())) == 5


def test_state_dict_keys_are_pytorchs():
    torch = pytest.importorskip("torch")

    def build(lib):
        return lib.Sequential(
            lib.Conv2d(1, 2, 3), lib.BatchNorm2d(2), lib.Sequential(lib.Linear(3, 4, bias=False))
        )

    ours, theirs = build(nn).state_dict(), build(torch.nn).state_dict()
    assert list(ours) == list(theirs)
    assert [v.shape for v in ours.values()] == [tuple(v.shape) for v in theirs.values()]


def test_state_dict_is_a_copy():
    layer = nn.Linear(2, 3)
    state = layer.state_dict()
    state["weight"][...] = 7
    assert not (layer.weight.data == 7).any()
    layer.load_state_dict({**layer.state_dict(), "weight": state["weight"]})
    state["weight"][...] = 8
    assert (layer.weight.data == 7).all()


def test_load_state_dict_keeps_the_dtype_that_is_here():
    layer = nn.Linear(2, 3)
    layer.load_state_dict(nn.Linear(2, 3).double().state_dict())
    assert layer.weight.dtype == np.float32


def test_load_state_dict_not_strict_says_what_it_passed_over():
    layer = nn.Linear(2, 3)
    result = layer.load_state_dict({"weight": np.zeros((3, 2)), "other": np.zeros(1)}, strict=False)
    assert result.missing_keys == ["bias"]
    assert result.unexpected_keys == ["other"]
    assert (layer.weight.data == 0).all()


def test_load_state_dict_not_strict_still_refuses_other_shapes_and_dtypes():
    layer = nn.Linear(2, 3)
    with pytest.raises(StateDictError, match=r"misshapen: weight: expected \(3, 2\), got \(2, 3\)"):
        layer.load_state_dict({"weight": np.zeros((2, 3))}, strict=False)
    with pytest.raises(StateDictError, match="wrong dtype: bias: expected float32, got complex128"):
        layer.load_state_dict({"bias": np.zeros(3, complex)}, strict=False)


@pytest.mark.parametrize("wrong", [None, 3, [np.ones(2)], "weight"])
def test_load_state_dict_of_no_mapping_is_refused(wrong):
    with pytest.raises(StateDictError, match="expected a state dict, name → array, got"):
        nn.Linear(2, 3).load_state_dict(wrong)


@pytest.mark.parametrize("wrong", [[[1.0, 2.0], [3.0]], None, "text", [None, 1.0], {}])
def test_load_state_dict_of_what_is_no_array_is_refused(wrong):
    layer = nn.Linear(2, 3)
    before = layer.state_dict()
    with pytest.raises(StateDictError, match="weight: expected"):
        layer.load_state_dict({"weight": wrong, "bias": np.zeros(3)})
    for name, values in layer.state_dict().items():
        np.testing.assert_array_equal(values, before[name])


LAYERS = {
    "Linear": lambda: nn.Linear(3, 2),
    "Conv2d": lambda: nn.Conv2d(1, 1, 1),
    "MaxPool2d": lambda: nn.MaxPool2d(1),
    "AvgPool2d": lambda: nn.AvgPool2d(1),
    "AdaptiveAvgPool2d": lambda: nn.AdaptiveAvgPool2d(1),
    "BatchNorm2d": lambda: nn.BatchNorm2d(1),
    "Flatten": nn.Flatten,
    "Dropout": nn.Dropout,
    "ReLU": nn.ReLU,
    "Sigmoid": nn.Sigmoid,
    "Tanh": nn.Tanh,
    "Softmax": lambda: nn.Softmax(1),
}
X = np.random.default_rng(0).standard_normal((1, 1, 3, 3))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_list_or_a_torch_tensor_is_no_array(layer):
    with pytest.raises(DTypeError, match=rf"{layer}.*: expected an array as input, got list"):
        LAYERS[layer]()(X.tolist())
    torch = pytest.importorskip("torch")
    with pytest.raises(DTypeError, match=rf"{layer}.*: expected an array as input, got Tensor"):
        LAYERS[layer]()(torch.tensor(X))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_masked_array_is_no_plain_one(layer):
    with pytest.raises(DTypeError, match=rf"{layer}.*: expected an array as input, got MaskedArray"):
        LAYERS[layer]()(np.ma.masked_array(X, X > 0))


def test_gradients_add_up_until_they_are_forgotten():
    layer, x = nn.Linear(2, 3).double(), np.ones((4, 2))
    for _ in range(2):
        layer(x)
        layer.backward(np.ones((4, 3)))
    np.testing.assert_array_equal(layer.bias.grad, [8, 8, 8])
    layer.zero_grad()
    assert layer.bias.grad is None


def test_a_frozen_parameter_collects_nothing_and_the_gradient_goes_on():
    layer = nn.Linear(2, 3)
    layer.weight.requires_grad = False
    layer(np.ones((1, 2), np.float32))
    assert layer.backward(np.ones((1, 3), np.float32)).any()
    assert layer.weight.grad is None
    assert layer.bias.grad is not None


def test_a_parameter_refuses_a_gradient_of_another_shape():
    with pytest.raises(ShapeError, match=r"expected a gradient of shape \(2, 3\), got \(3,\)"):
        nn.Parameter(np.zeros((2, 3))).add_grad(np.zeros(3))


def test_a_parameter_does_not_keep_the_callers_gradient():
    parameter, gradient = nn.Parameter(np.ones(3)), np.ones(3)
    parameter.add_grad(gradient)
    gradient[...] = 7
    np.testing.assert_array_equal(parameter.grad, np.ones(3))
    parameter.grad[...] = 5
    np.testing.assert_array_equal(gradient, np.full(3, 7))


def test_a_parameter_is_a_copy_of_floats():
    values = np.zeros(3)
    parameter = nn.Parameter(values)
    values[0] = 1
    assert parameter.data[0] == 0
    assert nn.Parameter([1, 2]).dtype == np.float32
    assert nn.Parameter(np.zeros(2)).dtype == np.float64


def test_eval_remembers_only_when_asked():
    layer, x = nn.Linear(2, 3), np.ones((1, 2), np.float32)
    layer.eval()(x)
    with pytest.raises(BackwardError, match=r"Linear\(2, 3\): .*eval\(remember=True\)"):
        layer.backward(np.ones((1, 3)))
    layer.eval(remember=True)(x)
    layer.backward(np.ones((1, 3)))
    layer.train()(x)
    layer.backward(np.ones((1, 3)))


def test_train_and_eval_reach_every_module():
    model = nn.Sequential(nn.Sequential(nn.Dropout()), nn.BatchNorm1d(2))
    assert not any(module.training for module in model.eval().modules())
    assert all(module.training for module in model.train().modules())
    assert not any(module.training for module in model.train(False).modules())


def test_to_converts_parameters_gradients_and_floating_buffers_only():
    layer = nn.BatchNorm1d(2)
    layer(np.ones((3, 2), np.float32))
    layer.backward(np.ones((3, 2), np.float32))
    layer.double()
    assert layer.weight.grad.dtype == layer.running_mean.dtype == np.float64
    assert layer.num_batches_tracked.dtype == np.int64
    assert layer.to("float32").weight.dtype == np.float32
    assert layer.to("cpu") is layer
    for wrong in (np.int64, "nowhere", "float16"):
        with pytest.raises(DTypeError, match="expected"):
            layer.to(wrong)


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_a_module_without_its_methods_says_so(method):
    with pytest.raises(NotImplementedError, match=f"Empty does not define {method}"):
        getattr(type("Empty", (nn.Module,), {})(), method)(1)


def test_upstream_gradients_may_be_integers_and_are_taken_in_the_outputs_dtype():
    layer = nn.Linear(2, 3)
    layer(np.ones((1, 2), np.float32))
    assert layer.backward(np.ones((1, 3), np.int64)).dtype == np.float32


def test_watch_forward_sees_every_module_and_stops_afterwards():
    model, seen = nn.Sequential(nn.Linear(2, 3), nn.ReLU()), []
    with nn.watch_forward(lambda module, inputs, output: seen.append((module.label(), output.shape))):
        model(np.ones((5, 2), np.float32))
    assert seen == [("Linear(2, 3)", (5, 3)), ("ReLU()", (5, 3)), ("Sequential()", (5, 3))]
    model(np.ones((5, 2), np.float32))
    assert len(seen) == 3


def test_repr_nests():
    assert repr(nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU()))) == (
        "Sequential(\n"
        "  (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (1): Sequential(\n"
        "    (0): ReLU(inplace=False)\n"
        "  )\n"
        ")"
    )


def test_summary_prints_layers_shapes_and_parameters_and_changes_nothing(capsys):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2 * 4 * 4, 10))
    model[3].bias.requires_grad = False
    before = model.state_dict()
    model.summary((3, 1, 6, 6))
    shown = capsys.readouterr().out
    for line in ("Conv2d", "(3, 2, 4, 4)", "(3, 32)", "(3, 10)", "354 parameters, 344 of them trainable"):
        assert line in shown
    for name, values in model.state_dict().items():
        np.testing.assert_array_equal(values, before[name])
    assert all(module.training for module in model.modules())
    model.summary()
    assert "output" not in capsys.readouterr().out


class TestSequential:
    def test_index_slice_length_and_append(self):
        a, b, c = nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4)
        model = nn.Sequential(a, b)
        assert model.append(c) is model
        assert len(model) == 3
        assert list(model) == [a, b, c]
        assert model[0] is a
        assert model[-1] is c
        assert list(model[1:]) == [b, c]
        with pytest.raises(IndexError):
            model[3]

    def test_what_is_no_module_is_refused(self):
        with pytest.raises(TypeError, match="expected modules, got list at 0"):
            nn.Sequential([nn.ReLU()])

    def test_without_layers_it_is_the_identity_and_shares_nothing(self):
        x = np.ones((2, 3))
        model = nn.Sequential()
        y, dx = model(x), model.backward(x)
        np.testing.assert_array_equal(y, x)
        assert not np.shares_memory(y, x)
        assert not np.shares_memory(dx, x)


def tree():
    return nn.Sequential({"body": nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), "head": nn.Linear(3, 1)})


def test_apply_reaches_children_before_their_holder_and_returns_the_module():
    model, seen = tree(), []
    assert model.apply(lambda module: seen.append(type(module).__name__)) is model
    assert seen == ["Linear", "BatchNorm1d", "Sequential", "Linear", "Sequential"]


def test_modules_parameters_and_buffers_are_found_by_dotted_names():
    model = tree()
    assert model.get_submodule("") is model
    assert model.get_submodule("body.0") is model.body[0]
    assert model.get_parameter("body.0.weight") is model.body[0].weight
    assert model.head.get_parameter("bias") is model.head.bias
    assert model.get_buffer("body.1.running_mean") is model.body[1].running_mean


@pytest.mark.parametrize(
    ("find", "name", "kind"),
    [
        ("get_submodule", "body.7", "module"),
        ("get_submodule", "head.weight", "module"),
        ("get_submodule", "body..0", "module"),
        ("get_parameter", "head", "parameter"),
        ("get_parameter", "body.1.running_mean", "parameter"),
        ("get_parameter", "tail.weight", "module"),
        ("get_buffer", "head.weight", "buffer"),
        ("get_buffer", "body.1.forward", "buffer"),
    ],
)
def test_a_name_that_is_not_there_is_named(find, name, kind):
    with pytest.raises(AttributeError, match=f"expected the name of a {kind}, got "):
        getattr(tree(), find)(name)


def test_modules_and_parameters_may_get_names_that_are_computed():
    model = nn.Module()
    for i in range(2):
        model.add_module(f"layer{i}", nn.Linear(2, 2, bias=False))
    model.register_parameter("scale", nn.Parameter(np.ones(2)))
    model.register_parameter("shift", None)
    assert [name for name, _ in model.named_parameters()] == ["scale", "layer0.weight", "layer1.weight"]
    assert model.shift is None
    model.add_module("layer1", nn.ReLU())
    model.register_parameter("shift", model.scale)
    assert isinstance(model.layer1, nn.ReLU)
    assert "shift" in model.state_dict()


def test_names_and_things_that_cannot_be_held_are_refused():
    model = tree()
    for name in ("", "a.b", "forward", "training"):
        with pytest.raises(KeyError, match="expected a name that is free"):
            model.add_module(name, nn.ReLU())
        with pytest.raises(KeyError, match="expected a name that is free"):
            model.register_parameter(name, nn.Parameter(np.ones(2)))
    with pytest.raises(KeyError, match="which is taken"):
        model.head.add_module("weight", nn.ReLU())
    with pytest.raises(TypeError, match="expected names of modules as strings, got 3"):
        model.add_module(3, nn.ReLU())
    with pytest.raises(TypeError, match="expected a Module, got Parameter"):
        model.add_module("more", model.head.weight)
    with pytest.raises(TypeError, match="expected a Parameter, got ndarray"):
        model.register_parameter("more", np.ones(2))
    assert not hasattr(model, "more")


def test_requires_grad_freezes_all_below_and_thaws():
    model = tree()
    assert model.body.requires_grad_(False) is model.body
    assert [p.requires_grad for p in model.parameters()] == [False] * 4 + [True] * 2
    model.requires_grad_()
    assert all(p.requires_grad for p in model.parameters())


def test_zero_grad_can_leave_zeros():
    model = tree()
    model.head.weight.grad = np.full((1, 3), np.nan, np.float32)
    model.zero_grad(set_to_none=False)
    np.testing.assert_array_equal(model.head.weight.grad, np.zeros((1, 3), np.float32))
    assert model.head.bias.grad is None
    model.zero_grad()
    assert model.head.weight.grad is None


def test_parameters_and_buffers_of_one_module_alone_and_with_a_prefix():
    model = tree()
    assert list(model.parameters(recurse=False)) == list(model.buffers(recurse=False)) == []
    assert [name for name, _ in model.head.named_parameters("m", recurse=False)] == ["m.weight", "m.bias"]
    names = [name for name, _ in model.named_buffers("m")]
    assert names == ["m.body.1.running_mean", "m.body.1.running_var", "m.body.1.num_batches_tracked"]
    assert len(list(model.body[1].buffers(recurse=False))) == 3


def test_a_buffer_that_can_be_worked_out_again_is_not_saved_but_converted():
    model = nn.Sequential(nn.Linear(2, 3))
    model.register_buffer("table", np.ones(3, np.float32), persistent=False)
    assert list(model.state_dict()) == ["0.weight", "0.bias"]
    model.load_state_dict(model.state_dict())
    with pytest.raises(StateDictError, match="unexpected: table"):
        model.load_state_dict({**model.state_dict(), "table": np.zeros(3)})
    assert model.double().table.dtype == np.float64
    assert [name for name, _ in model.named_buffers()] == ["table"]


def test_cpu_is_where_a_module_comes_back_to():
    model = tree().to("sim")
    assert model.cpu() is model
    assert isinstance(model.head.weight.data, np.ndarray)
