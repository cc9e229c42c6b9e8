"""Data sets by number, subsets and splits: what comes out, in which order, and what is refused."""

import numpy as np
import pytest

from minidl.array import manual_seed
from minidl.data import ArrayDataset, BatchDataset, Subset, fetch, random_split
from minidl.errors import DTypeError, ShapeError


class Squares:
    """A plain data set: no arrays behind it, one sample at a time."""

    def __init__(self, length=10):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if not 0 <= index < self.length:
            raise IndexError(index)
        return np.full(3, index, np.float32), index * index


@pytest.fixture
def pairs():
    return ArrayDataset(np.arange(20.0).reshape(10, 2), np.arange(10) % 3)


def test_one_sample_is_a_tuple_with_a_row_of_each_array(pairs):
    row, label = pairs[4]
    np.testing.assert_array_equal(row, [8.0, 9.0])
    assert label == 1
    assert label.dtype == np.int64
    assert len(pairs) == 10
    assert isinstance(ArrayDataset(np.arange(3))[0], tuple)


@pytest.mark.parametrize("index", [slice(2, 7, 2), [5, 0, 5], np.array([9, -1]), np.arange(10) > 6])
def test_many_samples_come_as_numpy_would_index(pairs, index):
    for got, array in zip(pairs[index], pairs.arrays, strict=True):
        np.testing.assert_array_equal(got, array[index])


@pytest.mark.parametrize("index", [3, slice(None), [1, 2]])
def test_a_sample_is_a_copy(pairs, index):
    before = pairs.arrays[0].copy()
    pairs[index][0][...] = -1
    np.testing.assert_array_equal(pairs.arrays[0], before)


def test_a_loop_over_the_samples_ends(pairs):
    assert [int(label) for _, label in pairs] == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]


def test_arrays_that_do_not_belong_together_are_refused():
    with pytest.raises(ShapeError, match=r"same number of rows, got \(3, 2\), \(4,\)"):
        ArrayDataset(np.zeros((3, 2)), np.zeros(4))
    with pytest.raises(ShapeError, match=r"got \(\)"):
        ArrayDataset(np.float32(1))
    with pytest.raises(ValueError, match="at least one array, got none"):
        ArrayDataset()
    with pytest.raises(DTypeError, match="numbers, got object"):
        ArrayDataset(np.array([{}, {}]))


def test_what_can_fetch_is_told_from_what_cannot(pairs):
    assert isinstance(pairs, BatchDataset)
    assert isinstance(Subset(Squares(), [1]), BatchDataset)
    assert not isinstance(Squares(), BatchDataset)
    assert not isinstance(np.zeros((3, 2)), BatchDataset)  # an array's own methods mean other things


def test_plain_samples_are_stacked_and_labels_stay_integers():
    rows, labels = fetch(Squares(), np.array([3, 1]))
    np.testing.assert_array_equal(rows, [[3, 3, 3], [1, 1, 1]])
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(labels, [9, 1])
    assert labels.dtype.kind == "i"
    (alone,) = fetch([5.0, 6.0, 7.0], np.array([2, 0]))
    np.testing.assert_array_equal(alone, [7.0, 5.0])


def test_samples_that_cannot_be_stacked_name_the_sample():
    with pytest.raises(ShapeError, match=r"list: .*shape \(2,\) like sample 0, got \(3,\) in sample 1"):
        fetch([np.zeros(2), np.zeros(3)], np.array([0, 1]))
    with pytest.raises(ShapeError, match="2 parts like sample 0, got 1 in sample 1"):
        fetch([(1, 2), (1,)], np.array([0, 1]))
    with pytest.raises(DTypeError, match=r"got \{'x': 1\} in sample 0"):
        fetch([{"x": 1}], np.array([0]))


@pytest.mark.parametrize("plain", [False, True])
def test_a_subset_holds_the_chosen_samples_in_their_order(pairs, plain):
    dataset = Squares() if plain else pairs
    subset = Subset(dataset, [7, 2, -1, 2])
    assert len(subset) == 4
    for position, index in enumerate((7, 2, 9, 2)):
        np.testing.assert_array_equal(subset[position][0], dataset[index][0])
    np.testing.assert_array_equal(subset[1:][1], [dataset[index][1] for index in (2, 9, 2)])
    np.testing.assert_array_equal(subset.fetch(np.array([3, 0]))[0], subset[[3, 0]][0])
    np.testing.assert_array_equal(Subset(subset, [2])[0][0], dataset[9][0])
    assert len(Subset(dataset, [])) == 0


def test_a_subset_keeps_its_own_indices(pairs):
    indices = np.array([1, 2])
    subset = Subset(pairs, indices)
    indices[:] = 0
    assert subset.indices.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([0, 10], IndexError, "from -10 to 9, got 10"),
        ([-11], IndexError, "from -10 to 9, got -11"),
        (np.array([2**64 - 1], np.uint64), IndexError, "got 18446744073709551615"),
        ([0.5], DTypeError, "integer indices, got float64"),
        ([True, False], DTypeError, "got bool"),
        ([[1, 2]], ShapeError, r"\(M,\), got \(1, 2\)"),
    ],
)
def test_a_subset_of_what_is_not_there_is_refused(pairs, indices, error, message):
    with pytest.raises(error, match=message):
        Subset(pairs, indices)


@pytest.mark.parametrize(
    ("total", "lengths", "sizes"),
    [
        (10, [7, 3], [7, 3]),
        (10, [0, 10], [0, 10]),
        (10, [0.75, 0.25], [8, 2]),
        (10, [1 / 3, 1 / 3, 1 / 3], [4, 3, 3]),
        (7, [0.5, 0.5], [4, 3]),
        (60000, [0.1] * 10, [6000] * 10),
        (10, [1.0], [10]),
    ],
)
def test_a_split_deals_every_sample_exactly_once(total, lengths, sizes):
    parts = random_split(Squares(total), lengths, rng=np.random.default_rng(3))
    assert [len(part) for part in parts] == sizes
    assert sorted(np.concatenate([part.indices for part in parts])) == list(range(total))


def test_split_sizes_are_those_of_torch():
    data = pytest.importorskip("torch.utils.data")
    for total in (1, 5, 10, 97):
        for lengths in ([0.5, 0.5], [0.7, 0.2, 0.1], [1 / 3] * 3, [0.9, 0.05, 0.05]):
            ours = [len(part) for part in random_split(Squares(total), lengths)]
            theirs = [int(total * fraction) for fraction in lengths]
            if 0 not in theirs:  # torch warns of empty parts
                theirs = [len(part) for part in data.random_split(range(total), lengths)]
                assert ours == theirs


def test_a_split_is_random_and_repeatable(pairs):
    first, second, other = (
        random_split(pairs, [5, 5], rng=np.random.default_rng(seed))[0].indices for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert first.tolist() != other.tolist()
    assert first.tolist() != list(range(5))
    manual_seed(4)
    drawn = random_split(pairs, [5, 5])[0].indices
    manual_seed(4)
    np.testing.assert_array_equal(random_split(pairs, [5, 5])[0].indices, drawn)


@pytest.mark.parametrize(
    "lengths", [[5, 4], [11], [0.5, 0.4], [0.3, 0.3, 9.4], [-1, 11], [float("nan"), 1], []]
)
def test_lengths_that_do_not_add_up_are_refused(pairs, lengths):
    with pytest.raises(ValueError, match="random_split: expected lengths"):
        random_split(pairs, lengths)
