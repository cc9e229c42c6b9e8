"""Transforms: numbers by hand and torchvision's, and that nothing but the generator decides."""

import colorsys
import functools
import pickle

import numpy as np
import pytest
from torchvision_beside import torchvision

from minidl.array import manual_seed
from minidl.data.transforms import (
    CenterCrop,
    ColorJitter,
    Compose,
    Cutout,
    Normalize,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomRotation,
    RandomShift,
    RandomVerticalFlip,
    Resize,
    ToFloat,
    colour,
)
from minidl.errors import DTypeError, ShapeError

ALL = [
    RandomHorizontalFlip(),
    RandomVerticalFlip(),
    RandomShift(0.3, fill=1),
    RandomRotation(40, fill=1),
    RandomRotation((10, 80), "bilinear"),
    RandomCrop(5, 2),
    RandomCrop((4, 9), (1, 2), padding_mode="reflect"),
    CenterCrop((3, 12)),
    Resize(11),
    Resize((4, 5), "nearest"),
    ColorJitter(0.5, 0.5, 0.5, 0.3),
    Cutout(3, holes=2, fill=1),
    RandomErasing(0.7, value=1),
    RandomErasing(0.7, value="random"),
    ToFloat(),
    Compose([RandomHorizontalFlip(), RandomShift(0.2), ColorJitter(0.2)]),
]
each = pytest.mark.parametrize("transform", ALL, ids=repr)


def rng(seed=0):
    return np.random.default_rng(seed)


def images(count=6, channels=3, height=7, width=8, dtype=np.float32):
    if dtype == np.uint8:
        return rng(9).integers(0, 256, (count, channels, height, width), np.uint8)
    return rng(9).random((count, channels, height, width)).astype(dtype)


def functional_and_modes():
    """torchvision's functions, and its interpolation modes."""
    modes = torchvision("transforms").InterpolationMode
    return torchvision("transforms.v2").functional, modes


def torch_of(x):
    return pytest.importorskip("torch").from_numpy(x.copy())


# ---------------------------------------------------------------- all of them


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("channels", [1, 3])
def test_dtype_stays_the_input_stays_and_the_seed_decides(transform, dtype, channels):
    x = images(channels=channels, dtype=dtype)
    before = x.copy()
    x.flags.writeable = False
    y = transform(x, rng=rng(1))
    np.testing.assert_array_equal(x, before)
    assert not np.shares_memory(x, y)
    assert y.flags.writeable
    expected = np.float32 if isinstance(transform, ToFloat) and dtype == np.uint8 else dtype
    assert y.dtype == expected
    assert y.shape[:2] == x.shape[:2]
    np.testing.assert_array_equal(transform(x, rng=rng(1)), y)
    manual_seed(4)
    drawn = transform(x)
    manual_seed(4)
    np.testing.assert_array_equal(transform(x), drawn)


@each
def test_one_image_is_a_batch_of_one(transform):
    x = images(1)
    one = transform(x[0], rng=rng(2))
    np.testing.assert_array_equal(one, transform(x, rng=rng(2))[0])
    assert one.ndim == 3
    assert transform(x[:0], rng=rng()).shape[0] == 0


@each
def test_memory_layout_does_not_matter(transform):
    x = images()
    expected = transform(x, rng=rng(3))
    backwards = x[:, :, :, ::-1].copy()[:, :, :, ::-1]
    for other in (np.asfortranarray(x), backwards):
        np.testing.assert_array_equal(transform(other, rng=rng(3)), expected)


@each
def test_it_can_be_pickled_for_workers(transform):
    twin = pickle.loads(pickle.dumps(transform))
    np.testing.assert_array_equal(twin(images(), rng=rng(1)), transform(images(), rng=rng(1)))
    assert repr(twin) == repr(transform)
    assert " at 0x" not in repr(transform)


@each
def test_images_of_another_rank_or_dtype_are_refused(transform):
    if isinstance(transform, Compose):
        return
    name = type(transform).__name__
    with pytest.raises(ShapeError, match=rf"{name}: expected images \(N, C, H, W\) or one.*got \(7, 8\)"):
        transform(np.zeros((7, 8), np.float32))
    with pytest.raises(DTypeError, match=rf"{name}: expected images of float32, .*got int64"):
        transform(np.zeros((1, 7, 8), np.int64))


@pytest.mark.parametrize("make", [RandomHorizontalFlip, RandomVerticalFlip, RandomErasing])
def test_p_is_how_often(make):
    x = images(2000, 1, 3, 3)
    make = (
        functools.partial(make, scale=(0.2, 0.3), ratio=(0.9, 1), value=2) if make is RandomErasing else make
    )
    transform = make(0.3)
    changed = (transform(x, rng=rng()) != x).any(axis=(1, 2, 3))
    assert changed.mean() == pytest.approx(0.3, abs=0.045)  # four standard deviations
    none, always = make(0), make(1)
    np.testing.assert_array_equal(none(x, rng=rng()), x)
    assert (always(x, rng=rng()) != x).any(axis=(1, 2, 3)).all()
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r": expected p from 0 to 1, got"):
            make(p)


# ---------------------------------------------------------------- flips and shifts

PICTURE = np.float32([[[[1, 2, 3], [4, 5, 6]]]])


def test_flips_by_hand():
    np.testing.assert_array_equal(RandomHorizontalFlip(1)(PICTURE)[0, 0], [[3, 2, 1], [6, 5, 4]])
    np.testing.assert_array_equal(RandomVerticalFlip(1)(PICTURE)[0, 0], [[4, 5, 6], [1, 2, 3]])


def test_every_shift_comes_and_each_is_a_shift():
    x = np.arange(1, 26, dtype=np.float32).reshape(1, 1, 5, 5).repeat(4000, axis=0)
    y = RandomShift((0.4, 0.2), fill=-1)(x, rng=rng())  # 2 pixels across, 1 down
    seen = {}
    for image in y[:, 0]:
        inside = np.argwhere(image != -1)
        top, left = inside[0]
        row, column = divmod(int(image[top, left]) - 1, 5)  # where the first visible pixel was
        right, down = left - column, top - row
        expected = np.full((5, 5), -1.0)
        for r in range(5):
            for c in range(5):
                if 0 <= r - down < 5 and 0 <= c - right < 5:
                    expected[r, c] = x[0, 0, r - down, c - right]
        np.testing.assert_array_equal(image, expected)
        seen[int(right), int(down)] = seen.get((int(right), int(down)), 0) + 1
    assert set(seen) == {(right, down) for right in range(-2, 3) for down in range(-1, 2)}
    assert seen[0, 0] == pytest.approx(4000 / 8, abs=90)  # the outermost shifts are half as likely
    assert seen[2, 1] == pytest.approx(4000 / 32, abs=45)


def test_fill_may_be_one_number_per_channel():
    x = images(1, 3, 2, 2) + 5
    y = RandomShift((0.999999, 0), fill=(0.1, 0.2, 0.3))(np.repeat(x, 50, axis=0), rng=rng())
    gone = y[(y < 1).all(axis=(1, 2, 3))]  # shifted out altogether
    assert len(gone)
    np.testing.assert_array_equal(gone[0, :, 0, 0], np.float32([0.1, 0.2, 0.3]))
    with pytest.raises(ShapeError, match=r"RandomShift: expected one fill or 3, one per channel"):
        RandomShift(0.1, fill=(1, 2))(x)
    with pytest.raises(ValueError, match=r"a fill of integers from 0 to 255 for uint8 images, got 0.5"):
        RandomShift(0.1, fill=0.5)(images(dtype=np.uint8))
    with pytest.raises(ValueError, match=r"RandomShift: expected one or two fractions from 0 to 1, got 2"):
        RandomShift(2)


# ---------------------------------------------------------------- rotation


def test_a_quarter_turn_by_hand():
    square = np.float32([[[[1, 2], [3, 4]]]])
    for interpolation in ("nearest", "bilinear"):
        for size in (2, 3, 8):
            x = np.arange(size * size, dtype=np.float64).reshape(1, 1, size, size)
            for quarters in (1, 2, 3):
                turned = RandomRotation((90 * quarters, 90 * quarters), interpolation)(x)
                np.testing.assert_allclose(turned[0, 0], np.rot90(x[0, 0], quarters), atol=1e-12)
        np.testing.assert_allclose(  # counter-clockwise
            RandomRotation((90, 90), interpolation)(square)[0, 0], [[2, 4], [1, 3]], atol=1e-6
        )
    np.testing.assert_array_equal(RandomRotation(0, "bilinear")(square), square)


def test_around_another_point():
    x = np.zeros((1, 1, 5, 5))
    x[0, 0, 1, 3] = 1  # its middle is (3.5, 1.5): half a pixel right and down of (3, 1)
    y = RandomRotation((90, 90), center=(3.5, 2.5))(x)
    assert np.argwhere(y[0, 0]).tolist() == [[2, 2]]  # above the centre becomes left of it


@pytest.mark.parametrize("angle", [-170, -33.3, 5, 45, 90, 123.4])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("shape", [(9, 9), (6, 11)])
def test_rotation_is_that_of_torchvision(angle, interpolation, shape):
    functional, modes = functional_and_modes()
    x = images(2, 3, *shape, dtype=np.float64)
    mode = modes[interpolation.upper()]
    # torchvision fades the edge of a bilinear image twice where there is a fill; ours mixes it in once
    fill = 0.25 if interpolation == "nearest" else 0
    theirs = functional.rotate(torch_of(x), angle, interpolation=mode, fill=[fill] if fill else None).numpy()
    ours = RandomRotation((angle, angle), interpolation, fill=fill)(x)
    if interpolation == "bilinear":
        np.testing.assert_allclose(ours, theirs, atol=1e-5)  # torchvision's grid is float32
    elif angle != 90 or shape == (9, 9):  # else every point lies half-way between two pixels
        assert np.mean(ours != theirs) < 0.02  # a point half-way between two pixels may go either way


def test_every_image_turns_by_an_angle_of_its_own_in_the_range():
    x = np.zeros((500, 1, 21, 21), np.float32)
    x[:, :, 10, 18] = 1  # a dot to the right
    y = RandomRotation((-30, 60), "bilinear")(x, rng=rng())
    row, column = np.mgrid[:21, :21] - 10
    mass = y.sum(axis=(1, 2, 3))
    angle = np.rad2deg(np.arctan2(-(y[:, 0] * row).sum(axis=(1, 2)), (y[:, 0] * column).sum(axis=(1, 2))))
    assert mass.min() > 0.5
    assert -31 < angle.min() < -27
    assert 57 < angle.max() < 61
    assert angle.mean() == pytest.approx(15, abs=5)


@pytest.mark.parametrize("degrees", [-1, (5, 3), (1, 2, 3), (0, float("inf"))])
def test_angles_that_make_no_sense_are_refused(degrees):
    with pytest.raises(ValueError, match="RandomRotation: expected degrees"):
        RandomRotation(degrees)


# ---------------------------------------------------------------- crops


def test_every_window_comes_and_each_is_one_of_the_padded_image():
    x = np.arange(1, 10, dtype=np.float32).reshape(1, 1, 3, 3).repeat(2000, axis=0)
    y = RandomCrop(3, padding=1)(x, rng=rng())
    framed = np.pad(x[0, 0], 1)
    windows = {framed[r : r + 3, c : c + 3].tobytes() for r in range(3) for c in range(3)}
    counts = {}
    for image in y[:, 0]:
        counts[image.tobytes()] = counts.get(image.tobytes(), 0) + 1
    assert set(counts) == windows
    assert min(counts.values()) > 2000 / 9 - 60


@pytest.mark.parametrize(
    ("mode", "row"),
    [
        ("constant", [7, 7, 1, 2, 3, 7, 7]),
        ("edge", [1, 1, 1, 2, 3, 3, 3]),
        ("reflect", [3, 2, 1, 2, 3, 2, 1]),
        ("symmetric", [2, 1, 1, 2, 3, 3, 2]),
    ],
)
def test_paddings_by_hand(mode, row):
    x = np.float32([[[[1, 2, 3]]]])
    crop = RandomCrop((1, 7), padding=(2, 0), fill=7, padding_mode=mode)
    np.testing.assert_array_equal(crop(x)[0, 0], [row])


def test_padding_by_side_and_as_needed():
    x = np.ones((1, 1, 2, 2), np.float32)
    whole = RandomCrop((2 + 2 + 4, 2 + 1 + 3), padding=(1, 2, 3, 4))(x)[0, 0]  # left, top, right, bottom
    assert whole[2:4, 1:3].all()
    assert whole.sum() == 4
    needed = RandomCrop(4, pad_if_needed=True)(x, rng=rng())
    assert needed.shape == (1, 1, 4, 4)
    assert needed.sum() in (1, 2, 4)
    with pytest.raises(ShapeError, match=r"RandomCrop: expected images of at least 4×4 .*, got 2×2"):
        RandomCrop(4)(x)
    with pytest.raises(ValueError, match="padding_mode to be one of constant, edge"):
        RandomCrop(4, padding_mode="wrap")
    with pytest.raises(ValueError, match=r"a padding of 1, 2 or 4 integers ≥ 0, got \(1, 2, 3\)"):
        RandomCrop(4, (1, 2, 3))
    with pytest.raises(ValueError, match="size to be one or two integers of at least 1, got 0"):
        RandomCrop(0)


@pytest.mark.parametrize("size", [3, (2, 5), (7, 8), (9, 4), (12, 13), (1, 1)])
def test_the_centre_is_that_of_torchvision(size):
    functional, _ = functional_and_modes()
    x = images()
    theirs = functional.center_crop(torch_of(x), [size, size] if isinstance(size, int) else list(size))
    np.testing.assert_array_equal(CenterCrop(size)(x), theirs.numpy())


# ---------------------------------------------------------------- size


def test_resizing_by_hand():
    x = np.float64([[[[0, 4]]]])
    np.testing.assert_allclose(Resize((1, 4))(x)[0, 0], [[0, 1, 3, 4]], atol=1e-12)
    np.testing.assert_allclose(Resize((1, 1))(x)[0, 0], [[2]], atol=1e-12)
    np.testing.assert_array_equal(Resize((1, 4), "nearest")(x)[0, 0], [[0, 0, 4, 4]])
    assert Resize(4)(images(1, 1, 8, 12)).shape == (1, 1, 4, 6)  # the shorter side
    np.testing.assert_allclose(Resize(32)(np.ones((1, 1, 28, 28), np.float32)), 1, atol=1e-6)
    np.testing.assert_array_equal(Resize(28)(images(1, 1, 28, 28)), images(1, 1, 28, 28))


def test_a_shrunk_image_skips_nothing():
    x = np.eye(8)[np.newaxis, np.newaxis]
    assert Resize((2, 2))(x).sum() == pytest.approx(8 * 4 / 64, abs=0.05)
    for column in range(1, 7):
        line = np.zeros((1, 1, 1, 8))
        line[..., column] = 1
        assert Resize((1, 2))(line).max() > 0.05
        assert (Resize((1, 2), antialias=False)(line).max() > 0) == (column in (1, 2, 5, 6))


@pytest.mark.parametrize("size", [(14, 16), (3, 3), (5, 20), (32, 32)])
@pytest.mark.parametrize("antialias", [True, False])
def test_resizing_is_that_of_torch(size, antialias):
    functional = pytest.importorskip("torch.nn.functional")
    x = images(2, 3, 9, 13, dtype=np.float64)
    theirs = functional.interpolate(torch_of(x), size=size, mode="bilinear", antialias=antialias).numpy()
    np.testing.assert_allclose(Resize(size, antialias=antialias)(x), theirs, rtol=1e-9, atol=1e-12)
    theirs = functional.interpolate(torch_of(x), size=size, mode="nearest").numpy()
    np.testing.assert_array_equal(Resize(size, "nearest")(x), theirs)


# ---------------------------------------------------------------- colours


def test_normalize_and_bytes_by_hand():
    x = np.float64([[[[1.0]], [[2.0]]]])
    np.testing.assert_allclose(Normalize((0.5, 1), (0.25, 2))(x).ravel(), [2, 0.5], rtol=1e-15)
    np.testing.assert_allclose(Normalize(1, 2)(x).ravel(), [0, 0.5], rtol=1e-15)
    bytes_ = np.uint8([[[[0, 51, 255]]]])
    np.testing.assert_array_equal(ToFloat()(bytes_).ravel(), np.float32([0, 0.2, 1]))
    with pytest.raises(DTypeError, match=r"Normalize: expected floats, got uint8; ToFloat\(\)"):
        Normalize(0, 1)(bytes_)
    with pytest.raises(ShapeError, match="Normalize: expected one mean or 2, one per channel, got 3"):
        Normalize((1, 2, 3), 1)(x)
    with pytest.raises(ValueError, match="Normalize: expected std above 0"):
        Normalize(0, (1, 0))
    before = x.copy()
    Normalize(1, 2)(x)
    np.testing.assert_array_equal(x, before)


def test_hues_are_those_of_the_standard_library():
    x = images(2, 3, 5, 6, dtype=np.float64)
    x[0, :, 0] = [[0, 1, 0.5, 0, 1, 0.3]] * 3  # greys
    x[0, :, 1, :3] = np.eye(3)
    hsv = colour.rgb_to_hsv(x)
    for n, r, c in np.ndindex(2, 5, 6):
        np.testing.assert_allclose(hsv[n, :, r, c], colorsys.rgb_to_hsv(*x[n, :, r, c]), atol=1e-12)
    np.testing.assert_allclose(colour.hsv_to_rgb(hsv), x, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("brightness", 0.4),
        ("brightness", 1.7),
        ("contrast", 0.0),
        ("contrast", 1.6),
        ("saturation", 0.3),
        ("saturation", 1.9),
        ("hue", -0.4),
        ("hue", 0.15),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_change_is_that_of_torchvision(name, factor, channels):
    functional, _ = functional_and_modes()
    x = images(channels=channels, dtype=np.float64)
    theirs = getattr(functional, f"adjust_{name}")(torch_of(x), factor).numpy()
    ours = ColorJitter(**{name: (factor, factor)})(x)
    np.testing.assert_allclose(ours, theirs, atol=1e-5 if name == "hue" else 1e-9)  # its hue is float32


def test_factors_are_drawn_anew_for_each_image_and_the_order_changes():
    x = np.full((2000, 3, 1, 1), 0.5)
    factors = ColorJitter(brightness=0.4)(x, rng=rng())[:, 0, 0, 0] / 0.5
    assert 0.6 <= factors.min() < 0.61
    assert 1.39 < factors.max() <= 1.4
    assert factors.mean() == pytest.approx(1, abs=0.025)
    x = np.tile(images(1, 3, 4, 4, dtype=np.float64), (200, 1, 1, 1))
    fixed = ColorJitter((0.5, 0.5), (2, 2), (0, 0), (0.25, 0.25))(x, rng=rng())
    assert 2 < len(np.unique(fixed.round(9).reshape(200, -1), axis=0)) <= 24  # orders that differ in effect


def test_no_jitter_changes_nothing():
    x = images()
    np.testing.assert_array_equal(ColorJitter()(x), x)
    np.testing.assert_array_equal(ColorJitter()(images(dtype=np.uint8)), images(dtype=np.uint8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"brightness": -1}, "brightness of at least 0, got -1"),
        ({"contrast": (2, 1)}, r"contrast from 0 to inf, in order, got \(2, 1\)"),
        ({"saturation": float("inf")}, "saturation from 0 to inf"),
        ({"hue": 0.6}, "hue from -0.5 to 0.5, in order, got 0.6"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"ColorJitter: expected {message}"):
        ColorJitter(**arguments)
    with pytest.raises(ShapeError, match=r"1 or 3 channels, got \(1, 2, 3, 3\)"):
        ColorJitter(1)(np.zeros((1, 2, 3, 3)))


# ---------------------------------------------------------------- holes


def test_cutout_covers_squares_that_the_edge_may_cut():
    x = np.ones((3000, 2, 6, 6), np.float32)
    y = Cutout(3, fill=(0.25, 0.5))(x, rng=rng())
    holes = y[:, 0] == 0.25
    np.testing.assert_array_equal(y[:, 1] == 0.5, holes)
    sizes = holes.sum(axis=(1, 2))
    assert set(sizes) == {4, 6, 9}  # in a corner, at an edge, inside
    assert np.mean(sizes == 9) == pytest.approx(16 / 36, abs=0.04)
    assert np.mean(sizes == 4) == pytest.approx(4 / 36, abs=0.025)
    for hole in holes[:50]:
        rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
        assert hole[np.ix_(rows, columns)].all()
        assert np.ptp(rows) == len(rows) - 1
    assert (Cutout(1, holes=4, fill=0)(x, rng=rng()) == 0)[:, 0].sum(axis=(1, 2)).max() == 4
    with pytest.raises(ValueError, match="Cutout: expected size to be an integer of at least 1, got 0"):
        Cutout(0)


def test_erased_rectangles_have_the_areas_and_shapes_asked_for():
    x = np.ones((2000, 1, 40, 60), np.float32)
    y = RandomErasing(1, (0.05, 0.2), (0.5, 2))(x, rng=rng())
    holes = y[:, 0] == 0
    high, wide = holes.any(axis=2).sum(axis=1), holes.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(holes.sum(axis=(1, 2)), high * wide)  # rectangles
    area, ratio = high * wide / 2400, high / wide
    assert 0.045 < area.min() < 0.06
    assert 0.19 < area.max() < 0.21
    assert area.mean() == pytest.approx(0.125, abs=0.005)
    assert 0.47 < ratio.min() < 0.55
    assert 1.85 < ratio.max() < 2.15
    assert np.log(ratio).mean() == pytest.approx(0, abs=0.05)
    tops = holes.any(axis=2).argmax(axis=1)
    assert tops.min() == 0
    assert (tops + high).max() == 40


def test_what_does_not_fit_is_left_alone():
    x = np.ones((50, 1, 4, 4), np.float32)
    np.testing.assert_array_equal(RandomErasing(1, (1, 1), (1, 1))(x, rng=rng()), x)
    noise = RandomErasing(1, (0.2, 0.3), value="random")(np.zeros((500, 1, 8, 8)), rng=rng())
    assert noise[noise != 0].std() == pytest.approx(1, abs=0.05)
    for wrong in ({"scale": (0.5, 0.1)}, {"ratio": (0, 1)}, {"value": "noise"}):
        with pytest.raises(ValueError, match="RandomErasing: expected"):
            RandomErasing(**wrong)


# ---------------------------------------------------------------- one after the other


def test_a_chain_applies_each_in_turn_and_draws_from_one_generator():
    x = images()
    one, two = rng(5), rng(5)
    chained = Compose([RandomCrop(4, 1), RandomHorizontalFlip(), Normalize(0.5, 0.5)])(x, rng=one)
    step = RandomCrop(4, 1)(x, rng=two)
    step = RandomHorizontalFlip()(step, rng=two)
    np.testing.assert_array_equal(chained, (step - np.float32(0.5)) / np.float32(0.5))
    assert Compose([lambda x, rng: x + 1])(x, rng=one)[0, 0, 0, 0] == x[0, 0, 0, 0] + 1
    empty = Compose([])(x)
    np.testing.assert_array_equal(empty, x)
    assert not np.shares_memory(empty, x)
    with pytest.raises(TypeError, match="Compose: expected transforms that can be called, got 5"):
        Compose([5])
