"""The pictures: files that open, of a sensible size, drawn without pyplot."""

import subprocess
import sys

import numpy as np
import pytest

from minidl.train import History
from minidl.train.plots import plot_confusion_matrix, plot_mistakes

DIGITS = [str(digit) for digit in range(10)]


def history(epochs=3):
    return History(
        [
            {
                "epoch": e,
                "lr": 0.1,
                "train_loss": 1 / e,
                "train_accuracy": 1 - 0.5 / e,
                "val_loss": 1.1 / e,
                "val_accuracy": 1 - 0.6 / e,
                "seconds": 1.0,
            }
            for e in range(1, epochs + 1)
        ]
    )


def opened(path):
    """The picture as an array (H, W, 3) from 0 to 1."""
    from PIL import Image

    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")) / 255


def ink(pixels):
    return float((pixels.min(axis=-1) < 0.9).mean())


def test_the_curves(tmp_path):
    figure = history().plot(tmp_path / "curves.png")
    assert type(figure).__name__ == "Figure"
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy"]
    for axes, panel in zip(figure.axes, ("loss", "accuracy"), strict=True):
        training, validation = axes.get_lines()
        assert training.get_label() == "training"
        assert validation.get_label() == "validation"
        np.testing.assert_array_equal(training.get_xdata(), [1, 2, 3])
        np.testing.assert_array_equal(training.get_ydata(), history()[f"train_{panel}"])
        np.testing.assert_array_equal(validation.get_ydata(), history()[f"val_{panel}"])
    pixels = opened(tmp_path / "curves.png")
    height, width, _ = pixels.shape
    assert 800 <= width <= 1400
    assert 300 <= height <= 600
    assert 0.01 < ink(pixels) < 0.3


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_the_curves_in_other_formats(suffix, tmp_path):
    history().plot(tmp_path / f"curves.{suffix}")
    start = (tmp_path / f"curves.{suffix}").read_bytes()[:5]
    assert start in (b"<?xml", b"%PDF-")


def test_one_epoch_without_validation(tmp_path):
    figure = History([{"epoch": 1, "train_loss": 0.5}]).plot(tmp_path / "curves.png")
    assert [axes.get_title() for axes in figure.axes] == ["loss"]
    assert len(figure.axes[0].get_lines()) == 1
    opened(tmp_path / "curves.png")


def test_no_epochs_are_said_so():
    with pytest.raises(ValueError, match="expected at least one epoch, got an empty history"):
        History().plot()


@pytest.mark.parametrize("case", ["counts", "no mistakes", "nothing at all", "large"])
def test_the_confusion_matrix(case, tmp_path):
    matrix = np.random.default_rng(0).integers(0, 30, (10, 10)) + 900 * np.eye(10, dtype=int)
    if case == "no mistakes":
        matrix = np.diag(np.diag(matrix))
    if case == "nothing at all":
        matrix = np.zeros((10, 10), int)
    if case == "large":
        matrix = matrix * 1000
    figure = plot_confusion_matrix(matrix, DIGITS)
    figure.savefig(tmp_path / "confusion.png")
    (axes,) = figure.axes
    assert axes.get_xlabel() == "predicted"
    assert axes.get_ylabel() == "true"
    texts = [text.get_text().replace(",", "").replace("·", "0") for text in axes.texts]
    np.testing.assert_array_equal(np.array(texts, int).reshape(10, 10), matrix)
    assert f"{np.trace(matrix):,} of {matrix.sum():,}" in axes.get_title()
    height, width, _ = opened(tmp_path / "confusion.png").shape
    assert 500 <= height <= 1000
    assert 500 <= width <= 1000


@pytest.mark.parametrize("count", [0, 1, 7, 40, 95])
def test_the_mistakes(count, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.random((count, 1, 28, 28)).astype(np.float32)
    true, predicted = rng.integers(0, 10, count), rng.integers(0, 10, count)
    confidence = rng.permutation(count) / max(1, count)
    figure = plot_mistakes(images, true, predicted, confidence, DIGITS)
    figure.savefig(tmp_path / "mistakes.png")
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == min(count, 40)
    for axes, i in zip(shown, np.argsort(-confidence), strict=False):
        np.testing.assert_array_equal(axes.images[0].get_array(), images[i, 0])
        assert axes.get_title() == f"{true[i]} → {predicted[i]} ({confidence[i]:.0%})"
    start = "the 40 surest of 95 mistakes" if count == 95 else f"{count} mistakes"
    assert figure.get_suptitle().startswith(start)
    height, width, _ = opened(tmp_path / "mistakes.png").shape
    assert 800 <= width <= 1600
    assert 100 <= height <= 1200


def test_drawing_needs_no_pyplot(tmp_path):
    """pyplot keeps every figure alive and may want a screen."""
    script = """
import sys
from minidl.train import History
History([{"epoch": 1, "train_loss": 0.5, "val_loss": 0.4}]).plot(sys.argv[1])
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script, tmp_path / "curves.png"], check=True, capture_output=True)
