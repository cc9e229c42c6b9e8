"""The recorder: its numbers against direct computation, no bit of the training changed, memory bounded."""

import copy
import itertools
import math

import numpy as np
import pytest
from train.runs import figures, loaders, make_trainer, weights

from minidl import nn, optim
from minidl.array import manual_seed
from minidl.data import ArrayDataset, DataLoader
from minidl.errors import CheckpointError, NonFiniteError
from minidl.nn import module as module_file
from minidl.train import LambdaCallback, Recorder, Recording, Trainer, load_checkpoint, save_checkpoint
from minidl.train.recording import KINDS
from minidl.train.summary import FIGURES, Summary, signed_decades


def direct(x, edges):
    """The figures in NumPy's own words."""
    x = np.asarray(x, np.float64)
    x, bad = x[np.isfinite(x)], np.count_nonzero(~np.isfinite(x))
    rms = np.sqrt(np.mean(x**2))
    values = [x.mean(), x.std(), np.linalg.norm(x), rms, x.min(), x.max(), np.mean(x == 0), bad]
    bins = np.concatenate([[-np.inf], edges, [np.inf]])
    counts = [np.sum((x >= low) & (x < high)) for low, high in itertools.pairwise(bins)]
    return dict(zip(FIGURES, values, strict=True)), counts


def check(recorder, kind, name, step, x):
    wanted, counts = direct(x, recorder.edges)
    column = recorder.names(kind).index(name)
    for figure, value in wanted.items():
        np.testing.assert_allclose(recorder.series(figure, kind)[step, column], value, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(recorder.histograms(kind)[step, column], counts)


def network():
    manual_seed(1)
    inner = nn.Sequential(nn.Linear(8, 6), nn.Tanh())
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), inner, nn.Linear(6, 3))


def batch(seed=0, size=7):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(size, 5)).astype(np.float32), rng.integers(0, 3, size)


# -------------------------------------------------------------------- the numbers


@pytest.mark.parametrize("shape", [(1,), (40,), (6, 5, 2)])
def test_a_summary_is_what_numpy_says(shape):
    x = np.random.default_rng(0).normal(size=shape) * 10.0 ** np.random.default_rng(1).integers(-14, 6, shape)
    x.flat[:: max(2, x.size // 3)] = 0
    summary = Summary(signed_decades())
    summary.add(x)
    wanted, counts = direct(x, signed_decades())
    np.testing.assert_allclose(summary.figures(), list(wanted.values()), rtol=1e-12)
    np.testing.assert_array_equal(summary.histogram, counts)


def test_a_summary_of_parts_is_that_of_the_whole():
    x = np.random.default_rng(0).normal(size=90) + 1e6  # a variance that Σx² − (Σx)² would lose
    whole, parts = Summary(np.array([0.0])), Summary(np.array([0.0]))
    whole.add(x)
    for part in np.split(x, [1, 30, 30, 77]):
        parts.add(part)
    np.testing.assert_allclose(parts.figures(), whole.figures(), rtol=1e-9)
    np.testing.assert_allclose(whole.figures()[1], x.std(), rtol=1e-12)


def test_what_is_not_finite_is_counted_and_left_out():
    summary = Summary(np.array([0.0]))
    summary.add(np.array([1.0, np.nan, -np.inf, 3.0], np.float32))
    assert dict(zip(FIGURES, summary.figures(), strict=True)) == {
        "mean": 2, "std": 1, "norm": math.sqrt(10), "rms": math.sqrt(5), "min": 1, "max": 3, "zeros": 0,
        "nonfinite": 2,
    }  # fmt: skip
    nothing = Summary(np.array([0.0]))
    nothing.add(np.array([np.nan]))
    assert nothing.figures()[-1] == 1
    assert np.isnan(nothing.figures()[:-1]).all()


def test_the_numbers_of_a_step_are_those_of_a_step_by_hand():
    model = network()
    model.double()
    hand = copy.deepcopy(model)
    recorder = Recorder()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, callbacks=[recorder])
    x, y = batch()
    trainer.fit(DataLoader(ArrayDataset(x.astype(np.float64), y), 7), epochs=2)

    criterion, steps = nn.CrossEntropyLoss(), optim.SGD(hand.parameters(), lr=0.1, momentum=0.9)
    layers = {"0": hand[0], "1": hand[1], "2": hand[2], "3.0": hand[3][0], "3.1": hand[3][1], "4": hand[4]}
    assert recorder.names("activation") == recorder.names("gradient") == list(layers)
    parameters = dict(hand.named_parameters())
    assert recorder.names("parameter") == recorder.names("parameter_gradient") == list(parameters)
    for step in range(2):
        outputs, value = {}, x.astype(np.float64)
        for name, layer in layers.items():
            outputs[name] = value = layer(value)
        criterion(value, y)
        hand.zero_grad()
        dy = criterion.backward()
        for name in reversed(layers):
            check(recorder, "activation", name, step, outputs[name])
            check(recorder, "gradient", name, step, dy)
            dy = layers[name].backward(dy)
        before = {name: p.data.copy() for name, p in parameters.items()}
        steps.step()
        for i, (name, p) in enumerate(parameters.items()):
            check(recorder, "parameter", name, step, p.data)
            check(recorder, "parameter_gradient", name, step, p.grad)
            size = np.linalg.norm(before[name])
            ratio = np.linalg.norm(p.data - before[name]) / size if size else math.nan
            np.testing.assert_allclose(recorder.series("update", "parameter")[step, i], ratio, rtol=1e-10)
    assert recorder.steps == [0, 1]


def test_several_batches_of_a_step_count_as_one():
    x, y = batch(size=6)
    recorders = []
    for size, accumulate in ((6, 1), (2, 3)):
        manual_seed(1)
        model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)).double()
        recorder = Recorder(dead_after=1)
        trainer = Trainer(
            model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), callbacks=[recorder],
            accumulate=accumulate,
        )  # fmt: skip
        trainer.fit(DataLoader(ArrayDataset(x.astype(np.float64), y), size))
        recorders.append(recorder)
    one, many = recorders
    for kind in KINDS:
        for figure in one.figures(kind):
            np.testing.assert_allclose(
                one.series(figure, kind), many.series(figure, kind), rtol=1e-9, atol=1e-15
            )
        np.testing.assert_array_equal(one.histograms(kind), many.histograms(kind))


def test_gradients_are_seen_before_they_are_clipped():
    recorder, model = Recorder(kinds=["parameter_gradient"]), network()
    trainer = Trainer(
        model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), callbacks=[recorder],
        clip_grad_norm=1e-6,
    )  # fmt: skip
    trainer.fit(DataLoader(ArrayDataset(*batch()), 7))
    assert np.linalg.norm(recorder.series("norm", "parameter_gradient")) == pytest.approx(trainer.grad_norm)
    assert trainer.grad_norm > 0.01


# -------------------------------------------------------------------- it only looks on


def clean(model):
    assert not module_file._watchers
    assert not any({"backward", "_backward_watchers"} & vars(m).keys() for m in model.modules())


def test_no_bit_of_the_training_changes(tmp_path):
    plain = make_trainer()
    plain.fit(*loaders(), epochs=3)
    recorder = Recorder(every=2)
    watched = make_trainer(callbacks=[recorder])
    watched.fit(*loaders(), epochs=3)
    assert weights(plain) == weights(watched)
    assert figures(plain) == figures(watched)
    assert recorder.steps == list(range(0, 15, 2))
    clean(watched.model)
    save_checkpoint(watched.state_dict(), tmp_path / "state")
    other = make_trainer().load_state_dict(load_checkpoint(tmp_path / "state"))  # needs no recorder
    assert weights(other) == weights(watched)


def test_between_recorded_steps_nobody_looks():
    seen = []
    trainer = make_trainer(callbacks=[Recorder(every=3)])
    look = LambdaCallback(
        on_gradients=lambda trainer: seen.append("backward" in vars(trainer.model[0])),
        on_step_end=lambda trainer: clean(trainer.model),
    )
    trainer.callbacks.append(look)
    trainer.fit(loaders()[0])
    assert seen == [True, False, False, True, False]


def test_without_a_trainer():
    x, y = batch()
    with_trainer = Recorder()
    model = network()
    Trainer(
        model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), callbacks=[with_trainer]
    ).fit(DataLoader(ArrayDataset(x, y), 7), epochs=3)
    alone, model, criterion = Recorder(), network(), nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with alone.watch(model) as inside:
        assert inside is alone
        for _ in range(3):
            criterion(model(x), y)
            optimizer.zero_grad()
            with model.no_input_grad():
                model.backward(criterion.backward())
            optimizer.step()
            alone.step()
            with model.evaluating():
                model(x)  # is none of the training's
        model(x)  # a step that is not over is not recorded
    clean(model)
    assert alone.steps == with_trainer.steps == [0, 1, 2]
    for kind in KINDS:
        np.testing.assert_array_equal(alone.histograms(kind), with_trainer.histograms(kind))
        for figure in alone.figures(kind):
            np.testing.assert_array_equal(alone.series(figure, kind), with_trainer.series(figure, kind))
    with alone.watch(model):
        model(x)
        alone.step()
    assert alone.steps == [0, 1, 2, 3]


def broken():
    """A trainer whose second or third step is none, and its recorder."""
    manual_seed(0)
    model, recorder = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3)), Recorder()
    optimizer = optim.SGD(model.parameters(), lr=1e30)
    trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, callbacks=[recorder])
    with pytest.raises(NonFiniteError):
        trainer.fit(loaders()[0])
    return trainer, recorder


def test_the_step_that_failed_is_recorded_and_nobody_goes_on_looking():
    trainer, recorder = broken()
    assert recorder.steps == list(range(trainer.global_step + 1))
    last = recorder.series("nonfinite", "activation")[-1]
    assert last[-1] > 0
    assert (
        recorder.histograms("activation")[-1, 0].sum() + last[0] == 5 * 16
    )  # the search for it is not counted
    assert np.isnan(recorder.series("rms", "gradient")[-1]).all()  # it never came so far
    clean(trainer.model)


# -------------------------------------------------------------------- which layers, how many steps


@pytest.mark.parametrize(
    ("layers", "names", "parameters"),
    [
        ("3.*", ["3.0", "3.1"], ["3.0.weight", "3.0.bias"]),
        (["0", "3"], ["0", "3"], ["0.weight", "0.bias"]),
        (lambda name, module: isinstance(module, nn.Linear), ["0", "3.0", "4"], None),
        (lambda name, module: name == "Sequential", ["Sequential"], []),
        ("nothing", [], []),
    ],
)
def test_layers_are_chosen_by_name_or_by_a_function(layers, names, parameters):
    recorder, model, (x, y) = Recorder(layers=layers), network(), batch()
    with recorder.watch(model):
        y = model(x)
        model.backward(np.ones_like(y))
        recorder.step()
    assert recorder.names("activation") == recorder.names("gradient") == names
    if parameters is not None:
        assert recorder.names("parameter") == parameters
    assert recorder.series("mean", "activation").shape == (1, len(names))
    if names == ["Sequential"]:
        check(recorder, "activation", "Sequential", 0, y)
        check(recorder, "gradient", "Sequential", 0, np.ones_like(y))


def test_a_network_of_one_layer():
    recorder, layer = Recorder(), nn.Linear(3, 2)
    with recorder.watch(layer):
        layer.backward(np.ones_like(layer(np.ones((1, 3), np.float32))))
        recorder.step()
    assert recorder.names("activation") == ["Linear"]
    assert recorder.names("parameter") == ["weight", "bias"]


def test_shared_parameters_are_recorded_once():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    model[2].weight = model[0].weight
    recorder = Recorder()
    with recorder.watch(model):
        model.backward(np.ones_like(model(np.ones((2, 3), np.float32))))
        recorder.step()
    assert recorder.names("parameter_gradient") == ["0.weight", "0.bias", "2.bias"]
    check(recorder, "parameter_gradient", "0.weight", 0, model[0].weight.grad)
    assert recorder.names("activation") == ["0", "1", "2"]


def test_memory_is_bounded_and_the_whole_run_is_covered():
    recorder = Recorder(most=8, kinds=["parameter"])
    trainer = make_trainer(callbacks=[recorder])
    trainer.fit(loaders()[0], epochs=12)
    assert len(recorder.steps) < 8
    assert recorder.every == 16
    assert recorder.steps == list(range(0, 60, 16))
    assert recorder.histograms("parameter").shape[0] == len(recorder.steps)


def test_bins_of_ones_own():
    recorder, model = Recorder(bins=[-1, 0, 0.5], kinds=["activation"]), network()
    with recorder.watch(model):
        y = model(batch()[0])
        recorder.step()
    assert recorder.histograms("activation").shape == (1, 6, 4)
    check(recorder, "activation", "4", 0, y)


# -------------------------------------------------------------------- dead units


def test_dead_units_are_those_that_stay_zero():
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    model[0].weight.data[...] = np.abs(model[0].weight.data)
    x = np.abs(batch()[0])
    recorder = Recorder(dead_after=3)
    dead = []
    with recorder.watch(model):
        for step in range(7):
            model[0].bias.data[...] = 0
            if step >= 1:
                model[0].bias.data[:2] = -1e3
            if step == 6:
                model[0].bias.data[0] = 1e3  # it was only asleep
            model(x)
            recorder.step()
            dead.append(recorder.dead_units("1").tolist())
    share = recorder.series("dead", "activation")[:, 1]
    assert share.tolist() == [0, 0, 0, 0.5, 0.5, 0.5, 0.25]
    assert dead[5:] == [[True, True, False, False], [False, True, False, False]]
    assert recorder.series("zeros", "activation")[:, 1].tolist() == [0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25]
    with pytest.raises(KeyError, match="expected one of 0, 1, 2, got '9'"):
        recorder.dead_units("9")


def test_a_channel_is_a_unit_of_a_convolution():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU())
    model[0].bias.data[...] = [-1e3, 1e3, 0]
    recorder = Recorder(dead_after=1)
    with recorder.watch(model):
        model(np.random.default_rng(0).normal(size=(2, 1, 6, 6)).astype(np.float32))
        recorder.step()
    assert recorder.dead_units("1").tolist() == [True, False, False]


# -------------------------------------------------------------------- on a device


def test_a_network_on_a_device_is_recorded_like_one_on_the_host():
    recorders = []
    for place in ("cpu", "sim"):
        manual_seed(2)
        model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)).to(place)
        recorder = Recorder(dead_after=1)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, callbacks=[recorder])
        trainer.fit(DataLoader(ArrayDataset(*batch()), 4), epochs=1)
        recorders.append(recorder)
    for kind in KINDS:
        for figure in recorders[0].figures(kind):
            one, other = (recorder.series(figure, kind) for recorder in recorders)
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


# -------------------------------------------------------------------- files and refusals


def recorded():
    recorder = Recorder(dead_after=2)
    trainer = make_trainer(callbacks=[recorder])
    trainer.fit(loaders()[0])
    return recorder


def test_a_recording_comes_back_from_a_file(tmp_path):
    recorder = recorded()
    recorder.save(tmp_path / "recording")
    loaded = Recording.load(tmp_path / "recording")
    assert loaded.steps == recorder.steps
    assert loaded.kinds == recorder.kinds
    for kind in KINDS:
        assert loaded.names(kind) == recorder.names(kind)
        np.testing.assert_array_equal(loaded.histograms(kind), recorder.histograms(kind))
        for figure in recorder.figures(kind):
            np.testing.assert_array_equal(loaded.series(figure, kind), recorder.series(figure, kind))
    np.testing.assert_array_equal(loaded.dead_units("2"), recorder.dead_units("2"))
    assert repr(loaded) == "Recording(5 steps, 8 names)"
    assert repr(recorder) == "Recorder(5 steps, 8 names)"
    Recorder().save(tmp_path / "nothing")
    assert Recording.load(tmp_path / "nothing").steps == []


@pytest.mark.parametrize("tree", [3, {}, {"recording": 2}, {"recording": 1, "kinds": ["x"]}], ids=str)
def test_another_file_is_refused(tree, tmp_path):
    save_checkpoint(tree, tmp_path / "file")
    with pytest.raises(CheckpointError, match="expected a recording"):
        Recording.load(tmp_path / "file")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Recorder(0), ValueError, "expected every of at least 1, got 0"),
        (lambda: Recorder(1.5), TypeError, "expected every to be an integer, got 1.5"),
        (lambda: Recorder(most=1), ValueError, "expected most of at least 2, got 1"),
        (lambda: Recorder(kinds=["weights"]), ValueError, "kinds among activation, .* got 'weights'"),
        (lambda: Recorder(bins=[1, 1]), ValueError, "bins to be ascending"),
        (lambda: Recorder(bins=[]), ValueError, "bins to be ascending"),
        (
            lambda: Recorder(kinds=["gradient"]).series("rms", "activation"),
            ValueError,
            "kinds gradient, got 'act",
        ),
        (lambda: Recorder().series("dead"), ValueError, "of gradient one of mean, .*, got 'dead'"),
        (lambda: Recorder().plot(), ValueError, "at least one recorded step to draw, got none"),
        (
            lambda: Recorder().plot("pie"),
            ValueError,
            "picture among flow, norms, histograms, dead, got 'pie'",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make, error, message):
    with pytest.raises(error, match=f"Recorder: expected .*{message.removeprefix('expected ')}"):
        make()


# -------------------------------------------------------------------- pictures


def test_the_pictures_show_what_was_recorded(tmp_path):
    recorder = recorded()
    names = recorder.names("gradient")
    flow = recorder.plot("flow", path=tmp_path / "flow.png", step=2)
    (axes,) = flow.axes
    heights = [bar.get_height() for bar in axes.patches]
    np.testing.assert_allclose(heights, recorder.series("rms")[2])
    assert [text.get_text() for text in axes.get_xticklabels()] == names
    assert axes.get_yscale() == "log"
    assert axes.get_title() == "gradients of activations, step 2"

    (axes,) = recorder.plot("norms", "parameter", figure="update", path=tmp_path / "norms.svg").axes
    np.testing.assert_allclose(
        [line.get_ydata() for line in axes.lines], recorder.series("update", "parameter").T
    )
    assert axes.get_ylabel() == "update"

    (axes,) = recorder.plot("dead", names=["2"], path=tmp_path / "dead.png").axes
    np.testing.assert_allclose(axes.lines[0].get_ydata(), recorder.series("dead", "activation")[:, 2])

    (axes,) = recorder.plot("histograms", "activation", path=tmp_path / "histograms.png", step=0).axes
    counts = recorder.histograms("activation")[0]
    used = np.flatnonzero(counts.any(axis=0))
    share = counts[:, used[0] : used[-1] + 1] / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(axes.images[0].get_array().filled(0), share**0.5)
    left, right, *_ = axes.images[0].get_extent()
    for place, text in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True):
        assert left <= place <= right
        edge = recorder.edges[int(place)] if place % 1 else 0  # 0 has a bin of its own
        assert float(text.get_text()) == pytest.approx(edge, rel=1e-2)
    assert 3 <= len(axes.get_xticks()) <= 10

    from matplotlib.figure import Figure

    own = Figure()
    left, right = own.subplots(1, 2)
    assert recorder.plot("flow", axes=left) is own
    recorder.plot("histograms", axes=right)
    assert left.patches
    assert right.images
    with pytest.raises(ValueError, match=r"names among 0, 1, .* got 'x'"):
        recorder.plot(names=["x"])


def test_a_network_that_broke_can_be_drawn(tmp_path):
    _, recorder = broken()
    for picture in ("flow", "norms", "histograms", "dead"):
        for kind in KINDS:
            recorder.plot(picture, kind, path=tmp_path / "picture.png")
    (axes,) = recorder.plot("flow", "activation").axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["not finite"]


# -------------------------------------------------------------------- the phenomena


def deep(unit, start, norm=False, layers=20, width=48):
    manual_seed(0)
    parts, inputs = [], 30
    for _ in range(layers):
        linear = nn.Linear(inputs, width)
        start(linear.weight)
        parts += [linear, *([nn.BatchNorm1d(width)] if norm else []), unit()]
        inputs = width
    return nn.Sequential(*parts, nn.Linear(width, 10))


def flow(model):
    """The gradients' size at the output of each activation function, the first layer's first; one step."""
    recorder = Recorder(
        layers=lambda name, module: isinstance(module, nn.Sigmoid | nn.ReLU), kinds=["gradient"]
    )
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 30)).astype(np.float32), rng.integers(0, 10, 64)
    Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.01), callbacks=[recorder]).fit(
        DataLoader(ArrayDataset(x, y), 64)
    )
    sizes = recorder.series("rms")[0]
    assert len(sizes) == 20
    return sizes


def test_gradients_vanish_stay_or_grow_as_the_books_say():
    sigmoid = flow(deep(nn.Sigmoid, nn.init.xavier_uniform_))
    assert sigmoid[0] < 1e-9 * sigmoid[-1]
    slope = np.exp(np.diff(np.log(sigmoid)).mean())  # a sigmoid's derivative is at most a quarter
    assert 3.5 < slope < 6
    half = flow(deep(nn.ReLU, nn.init.xavier_uniform_))
    assert np.exp(np.diff(np.log(half)).mean()) == pytest.approx(
        math.sqrt(2), rel=0.1
    )  # half of them are off
    he = flow(deep(nn.ReLU, nn.init.kaiming_normal_))
    assert 0.2 < he[0] / he[-1] < 5
    normed = flow(deep(nn.ReLU, nn.init.xavier_uniform_, norm=True))
    assert np.exp(-np.diff(np.log(normed)).mean()) == pytest.approx(
        math.sqrt(math.pi / (math.pi - 1)), rel=0.05
    )
