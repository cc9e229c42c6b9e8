"""Every kernel's twin for a GPU gives what its reference gives, on the simulated GPU.

The arguments are drawn by `tests/kernel_arguments.py`, the smaller ones of them, as a simulated thread is
slow. A few tests of their own try what is large enough for the large tiles of a product.
"""

from __future__ import annotations

import numpy as np
import pytest
from twins_on_device import TWINS, check_twin, compare, draws, on_device

import minidl.kernels.cuda
from minidl.array.transfer import to_host
from minidl.errors import DTypeError, ShapeError
from minidl.kernels.cuda.conv import FORWARD, INPUT_GRAD, WEIGHT_GRAD
from minidl.kernels.cuda.multiply import choose_tile, split_sum
from minidl.kernels.cuda.products import product
from minidl.kernels.cuda.tiles import LARGE, SMALL, WIDE
from minidl.kernels.registry import KERNELS

DTYPES = [np.float32, np.float64]


@pytest.mark.parametrize("gaps", [False, True], ids=["dense", "gaps"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TWINS)
def test_a_twin_equals_its_reference_and_itself(name, dtype, gaps):
    for arguments in draws(name, dtype):
        check_twin(name, dtype, arguments, gaps=gaps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_of_probabilities_divides_by_a_number_on_both_sides(dtype):
    """The draws above seldom have them so small, and 20 draws on a GPU do."""
    rng = np.random.default_rng(0)
    x, target = (rng.random((3, 4)).astype(dtype) for _ in range(2))
    check_twin("cross_entropy", dtype, (x, target, None, -100, 0.0))


# ------------------------------------------------------------------ products by tiles


def matrices(m, k, n, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)


@pytest.mark.parametrize("turned", ["neither", "a", "b", "both"])
@pytest.mark.parametrize(
    ("tile", "dtype", "shape"),
    [
        (LARGE, np.float32, (130, 11, 129)),  # four tiles, three of them nearly empty; k ends within a step
        (SMALL, np.float32, (33, 18, 35)),
        (SMALL, np.float64, (5, 37, 66)),
    ],
)
def test_a_product_of_tiles(tile, dtype, shape, turned):
    a, b = matrices(*shape, dtype)
    bias = a[0, 0] + np.arange(shape[2], dtype=dtype)
    left = on_device(a.T.copy()).T if turned in ("a", "both") else on_device(a)
    right = on_device(b.T.copy()).T if turned in ("b", "both") else on_device(b)
    compare(product(left, right, on_device(bias), tile=tile), a @ b + bias, dtype, shape[1])


def test_a_long_sum_is_shared_by_blocks_and_gets_its_bias_once():
    a, b = matrices(3, 1100, 4, np.float32)
    bias = np.array([100, 200, 300, 400], np.float32)
    given = [on_device(v) for v in (a, b, bias)]
    before = given[0].device.launches
    compare(product(*given), a @ b + bias, np.float32, 1100)
    assert given[0].device.launches - before == 2


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((2, 3, 4, 5), (2, 3, 5, 6)),
        ((3, 4, 5), (5, 6)),
        ((2, 1, 4, 5), (3, 5, 6)),
        ((2, 4, 0), (2, 0, 3)),
        ((0, 4, 5), (5, 2)),
    ],
)
def test_matrices_in_batches_are_multiplied_as_numpy_does(left, right):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(left), rng.standard_normal(right)
    compare(on_device(a) @ on_device(b), a @ b, np.float64)


def test_products_of_more_matrices_than_a_grid_takes(monkeypatch):
    monkeypatch.setattr(minidl.kernels.cuda.products, "MOST_BATCHES", 2)
    a, b = np.random.default_rng(0).standard_normal((2, 5, 3, 2))
    compare(on_device(a) @ on_device(b.transpose(0, 2, 1).copy()), a @ b.transpose(0, 2, 1), np.float64)


def test_what_does_not_fit_is_refused_before_a_thread_reads_past_the_end():
    a, b = (on_device(v) for v in matrices(3, 4, 5, np.float32))
    with pytest.raises(ShapeError, match=r"\(4, 5\) and \(3, 4\)"):
        product(b, a)
    with pytest.raises(ShapeError, match="bias"):
        product(a, b, on_device(np.zeros(4, np.float32)))
    with pytest.raises(DTypeError, match="float32 and float64"):
        product(a, b.astype(np.float64))
    image = on_device(np.zeros((1, 3, 4, 4), np.float32))
    with pytest.raises(ShapeError, match="channels"):
        KERNELS["conv2d"](
            image, on_device(np.zeros((2, 2, 3, 3), np.float32)), None, (1, 1), (0, 0), (1, 1), 1
        )


# ------------------------------------------------------------------ convolutions by tiles

GEOMETRIES = [
    ((2, 16, 5, 7), (18, 8, 3, 2), (1, 1), (1, 0), (1, 1), 2),
    ((2, 8, 7, 5), (9, 8, 3, 3), (2, 3), (2, 1), (2, 1), 1),
    ((1, 9, 4, 4), (33, 9, 1, 1), (1, 1), (0, 0), (1, 1), 1),
]


def convolutions(geometry, dtype):
    """The three kernels' arguments for one geometry."""
    input_shape, weight_shape, *how = geometry
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(dtype) for shape in (input_shape, weight_shape))
    bias = rng.standard_normal(weight_shape[0]).astype(dtype)
    dy = rng.standard_normal(KERNELS["conv2d"].reference(x, w, None, *how).shape).astype(dtype)
    return {
        "conv2d": (x, w, bias, *how),
        "conv2d_input_grad": (dy, w, input_shape, *how),
        "conv2d_weight_grad": (dy, x, weight_shape, *how),
    }


def check_convolutions(geometry, dtype):
    for name, arguments in convolutions(geometry, dtype).items():
        wanted = KERNELS[name].reference(*arguments)
        compare(KERNELS[name](*map(on_device, arguments)), wanted, dtype, 500)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_convolution_of_small_tiles(geometry, dtype):
    check_convolutions(geometry, dtype)


@pytest.mark.parametrize(
    "geometry", [GEOMETRIES[1], ((2, 9, 9, 8), (65, 9, 3, 1), (1, 1), (1, 0), (1, 1), 1)]
)
def test_a_convolution_of_wide_tiles(geometry, monkeypatch):
    monkeypatch.setattr(minidl.kernels.cuda.multiply, "choose_tile", lambda tiles, *_: tiles[0])
    check_convolutions(geometry, np.float32)


def test_sums_over_many_windows_are_shared_by_blocks(monkeypatch):
    """By tiles (9 filters), and one by one (2 filters); the bias comes once."""
    monkeypatch.setattr(minidl.kernels.cuda.multiply, "SHARE", 32)
    check_convolutions(((2, 8, 9, 9), (9, 8, 1, 2), (1, 1), (0, 0), (1, 1), 1), np.float32)
    check_convolutions(((3, 2, 27, 27), (2, 1, 1, 2), (1, 1), (0, 0), (1, 1), 2), np.float32)


def test_large_tiles_share_sums_too(monkeypatch):
    """With k ending within a step of a part, and the bias once."""
    monkeypatch.setattr(minidl.kernels.cuda.multiply, "SHARE", 16)
    monkeypatch.setattr(minidl.kernels.cuda.multiply, "WORTH", 1)
    a, b = matrices(130, 43, 129, np.float32)
    bias = np.arange(129, dtype=np.float32)
    compare(product(*map(on_device, (a, b, bias)), tile=LARGE), a @ b + bias, np.float32, 43)
    monkeypatch.setattr(minidl.kernels.cuda.multiply, "choose_tile", lambda tiles, *_: tiles[0])
    check_convolutions(GEOMETRIES[1], np.float32)


def test_a_weight_gradient_has_large_tiles_and_blocks_enough_for_the_gpu():
    """64 filters of 64·3·3 over 8 images of 32×32: five tiles, whose sums of 8192 are cut."""
    tile = choose_tile((WIDE, SMALL), 64, 576, 8192, 1, "float32")
    run, parts = split_sum(8192, 5, tile)
    assert (tile, run, parts) == (WIDE, 160, 52)
    assert choose_tile((WIDE, SMALL), 64, 576, 8192, 1, "float64") == SMALL
    assert choose_tile((WIDE, SMALL), 64, 576, 500, 1, "float32") == SMALL


@pytest.mark.parametrize("tile", [LARGE, WIDE, SMALL])
def test_the_parts_of_a_sum_are_whole_steps_and_all_of_it(tile):
    for depth in (0, 1, 63, 255, 256, 784, 5000, 70_000):
        for blocks in (1, 7, 100, 1000):
            run, parts = split_sum(depth, blocks, tile)
            assert run % tile.depth == 0
            assert (parts - 1) * run < max(depth, 1) <= parts * run
            assert parts == 1 or depth >= 256


def test_each_product_is_made_with_a_large_and_a_small_tile():
    assert all(len(kernels) == 2 and SMALL in kernels for kernels in (FORWARD, INPUT_GRAD, WEIGHT_GRAD))


# ------------------------------------------------------------------ pooling and sums


def test_windows_of_more_cells_than_a_byte_numbers():
    x = np.random.default_rng(0).standard_normal((1, 2, 20, 21))
    how = ((17, 18), (3, 3), (0, 0), (1, 1), False)
    y, winners = KERNELS["max_pool2d"].reference(x, *how)
    mine, places = KERNELS["max_pool2d"](on_device(x), *how)
    compare(mine, y, np.float64)
    assert to_host(places).dtype == np.int32
    np.testing.assert_array_equal(to_host(places), winners)
    dx = KERNELS["max_pool2d_input_grad"](on_device(y), places, x.shape, *how)
    compare(dx, KERNELS["max_pool2d_input_grad"].reference(y, winners, x.shape, *how), np.float64)


@pytest.mark.parametrize("name", ["sum_rows", "sum_channels"])
def test_a_float32_sum_is_as_accurate_as_one_in_float64(name):
    """One by one, the numbers after the first large one would lose three digits."""
    x = np.full((1, 3, 4_000) if name == "sum_channels" else (4_000, 3), 0.1, np.float32)
    x[(0, 0, 0) if name == "sum_channels" else (0, 0)] = 2**20
    wanted = KERNELS[name].reference(x)
    result = to_host(KERNELS[name](on_device(x)))
    np.testing.assert_allclose(result, wanted, rtol=1.2e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pieces", [2, 5, 63])
def test_batch_norm_of_channels_in_pieces(pieces, dtype, monkeypatch):
    """Numbers that are large and alike would lose digits of a variance from sums of squares in float32."""
    monkeypatch.setattr(minidl.kernels.cuda.normalization, "PIECE", 126 // pieces)
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal((6, 3, 3, 7)).astype(dtype) for _ in range(2))
    x[:, 1] += 30
    gamma, beta, mean, var = (rng.random(3).astype(dtype) for _ in range(4))
    check_twin("batch_norm", dtype, (x, gamma, beta, 1e-5))
    check_twin("batch_norm_input_grad", dtype, (dy, x, mean, var, gamma, 1e-5, True))


def test_batch_norm_cuts_large_channels_into_pieces_that_depend_on_shapes_alone():
    pieces = minidl.kernels.cuda.normalization._pieces
    assert pieces(64, 32 * 1024) == (6, 5462)
    assert pieces(512, 128) == (1, 128)
    assert pieces(3, 10**6) == (64, 15625)
    for channels, n in [(1, 2049), (2, 5000), (7, 99_999), (5, 0), (1000, 50_000)]:
        count, each = pieces(channels, n)
        assert (count - 1) * each < max(n, 1) <= count * each


@pytest.mark.parametrize("name", ["sum_rows", "sum_channels"])
def test_sums_of_many_pieces(name, monkeypatch):
    monkeypatch.setattr(minidl.kernels.cuda.sums, "PIECE", 16)
    x = (
        np.random.default_rng(0)
        .standard_normal((70, 3) if name == "sum_rows" else (70, 3, 40))
        .astype(np.float32)
    )
    compare(KERNELS[name](on_device(x)), KERNELS[name].reference(x), np.float32)
