"""Mistakes planted in samplers, loaders, transforms, tables and parsers: each is seen by a test."""

import numpy as np
import pytest
from data import test_downloaded_sets, test_made, test_samplers, test_tables, test_transforms, test_workers

from minidl.data import (
    MNIST,
    ArrayDataset,
    ConcatDataset,
    DataLoader,
    cifar,
    csv,
    images,
    loader,
    made,
    recipe,
    samplers,
    tables,
)
from minidl.data.transforms import colour, erasing, framing, moving, transform
from minidl.testing import Bug, planted

TRANSFORMS, SAMPLERS, TABLES = test_transforms, test_samplers, test_tables

# (what is wrong, where, function, the text, what stands there instead, the test that sees it, with its arguments)
BUGS = [
    ("a shuffled order that is drawn once", samplers.RandomSampler, "order", "rng.permutation(total)", "np.arange(total)", SAMPLERS.test_without_replacement_all_come_once_before_any_comes_twice, 7),
    ("weights that are ignored", samplers.WeightedRandomSampler, "order", "np.cumsum(self.weights)", "np.arange(1.0, len(self.weights) + 1)", SAMPLERS.test_weights_are_shares_of_the_draws),
    ("a race without its weights", samplers.WeightedRandomSampler, "order", "/ self.weights", "/ (self.weights > 0)", SAMPLERS.test_weights_without_replacement),
    ("a last batch that is always left out", samplers.BatchSampler, "__len__", "rest > 0 and not self.drop_last", "False", SAMPLERS.test_batches_of_a_sampler),
    ("samples of the wrong set", ConcatDataset, "fetch", 'side="right"', 'side="left"', SAMPLERS.test_joined_sets_are_one),
    ("joined batches in the sets' order", ConcatDataset, "fetch", "(columns)[back]", "(columns)[np.sort(back)]", SAMPLERS.test_joined_sets_are_one),
    ("draws that do not depend on the batch", recipe, "_seeded", "(task.epoch, task.batch)", "(task.epoch,)", "draws"),
    ("draws that do not depend on the epoch", recipe, "_seeded", "(task.epoch, task.batch)", "(0, task.batch)", "draws"),
    ("a generator that is not put back", recipe, "_seeded", "rng.bit_generator.state = before", "pass", test_workers.test_without_workers_the_draws_of_training_are_not_disturbed_either),
    ("a resumed batch that is numbered from 0", loader.DataLoader, "_batches", "range(first, len(plan))", "range(0, len(plan) - first)", test_workers.test_a_run_resumed_in_the_middle_of_an_epoch_gets_the_same_bits, 0),
    ("a flip of every image", moving.RandomHorizontalFlip, "apply", "< self.p", "< 1", TRANSFORMS.test_p_is_how_often, TRANSFORMS.RandomHorizontalFlip),
    ("a flip of the wrong axis", moving.RandomVerticalFlip, "apply", "x[chosen, :, ::-1]", "x[chosen, :, :, ::-1]", TRANSFORMS.test_flips_by_hand),
    ("a shift that goes right only", moving.RandomShift, "apply", "uniform(-furthest, furthest", "uniform(0 * furthest, furthest", TRANSFORMS.test_every_shift_comes_and_each_is_a_shift),
    ("a clockwise rotation", moving.RandomRotation, "apply", "np.deg2rad(rng", "-np.deg2rad(rng", TRANSFORMS.test_a_quarter_turn_by_hand),
    ("a rotation around a corner of a pixel", moving.RandomRotation, "apply", "middle[0] - 0.5, middle[1] - 0.5", "middle[0], middle[1]", TRANSFORMS.test_a_quarter_turn_by_hand),
    ("a mix of the wrong neighbours", moving, "_bilinear", "corner += stride", "corner += 1", TRANSFORMS.test_every_image_turns_by_an_angle_of_its_own_in_the_range),
    ("one window for all", transform, "windows", "tops, lefts]", "tops[:1], lefts[:1]]", TRANSFORMS.test_every_window_comes_and_each_is_one_of_the_padded_image),
    ("a window that never touches the far edge", framing.RandomCrop, "apply", "[rows + 1], [columns + 1]", "[rows], [columns]", TRANSFORMS.test_every_window_comes_and_each_is_one_of_the_padded_image),
    ("top for left", framing, "_sides", "left, top, right, bottom = given", "top, left, right, bottom = given", TRANSFORMS.test_padding_by_side_and_as_needed),
    ("a resize between corners", framing, "_weights", "+ 0.5) * step - 0.5", ") * step", TRANSFORMS.test_resizing_by_hand),
    ("a shrunk image that is not averaged", framing, "_weights", "max(1.0, step) if antialias else 1.0", "1.0", TRANSFORMS.test_a_shrunk_image_skips_nothing),
    ("a division before the shift", colour.Normalize, "apply", "normalized = x - mean", "normalized = x / std - mean", TRANSFORMS.test_normalize_and_bytes_by_hand),
    ("a hue of another sector", colour, "rgb_to_hsv", "2 + (blue - red)", "2 + (red - blue)", TRANSFORMS.test_hues_are_those_of_the_standard_library),
    ("colours without their value", colour, "hsv_to_rgb", "value - value * saturation", "1 - value * saturation", TRANSFORMS.test_hues_are_those_of_the_standard_library),
    ("holes that stay inside", erasing.Cutout, "apply", "- self.size // 2", "* 0", TRANSFORMS.test_cutout_covers_squares_that_the_edge_may_cut),
    ("a rectangle of another shape", erasing.RandomErasing, "apply", "np.sqrt(area / shape)", "np.sqrt(area * shape)", TRANSFORMS.test_erased_rectangles_have_the_areas_and_shapes_asked_for),
    ("a table standardised by its own figures", tables.Standardize, "__call__", "(values - mean)", "(values - values.mean(axis=0))", TABLES.test_standardising_by_hand),
    ("a constant column divided by 0", tables.Standardize, "fit", "np.where(constant, 1.0, std)", "std + 1e-300 * constant", TABLES.test_standardising_by_hand),
    ("a word that is near enough", tables.Categories, "__call__", "if unknown.any()", "if unknown.all()", TABLES.test_words_as_numbers),
    ("lines counted without the header", csv, "_rows", "reader.line_num + 1", "reader.line_num", TABLES.test_what_is_wrong_names_the_line, "a,b\n1,2\n3\n", "line 3: "),
    ("a moon that lies too high", made, "make_moons", "0.5 - np.sin(lower)", "1 - np.sin(lower)", test_made.test_moons_by_hand),
    ("images scaled by 256", images.ImageDataset, "fetch", "images /= 255", "images /= 256", "pixels"),
    ("records of label last", cifar._CIFAR, "_read", "records[:, self.label_bytes :]", "records[:, : -self.label_bytes]", test_downloaded_sets.test_cifar10_records_are_label_red_green_blue, "folder", True),
]  # fmt: skip


def draws():
    """Batches of zeros with noise: all differ."""
    noisy = DataLoader(ArrayDataset(np.zeros((8, 3))), 2, transform=test_workers.shift_all, seed=0)
    rows = [batch[0].tobytes() for _ in range(2) for batch in noisy]
    assert len(set(rows)) == 8


def pixels():
    """The brightest pixel of MNIST is 1."""
    assert MNIST(train=False)[:100][0].max() == 1


def seen_by(test, arguments, tmp_path):
    test = {"draws": draws, "pixels": pixels}.get(test, test)
    wants = test.__code__.co_varnames[: test.__code__.co_argcount]
    try:
        test(*([tmp_path] if "tmp_path" in wants else []), *arguments)
    except (AssertionError, pytest.fail.Exception, ValueError, IndexError, FloatingPointError):
        return True
    return False


@pytest.mark.parametrize("bug", BUGS, ids=[bug[0] for bug in BUGS])
def test_the_tests_catch(bug, tmp_path):
    name, owner, function, old, new, test, *arguments = bug
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    assert not seen_by(test, arguments, tmp_path / "good")
    with planted(Bug(name, owner, function, old, new)):
        assert seen_by(test, arguments, tmp_path / "bad"), f"nothing catches: {name}"
