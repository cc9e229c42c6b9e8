"""Samplers: which numbers come, how often, and that an order depends on its generator alone."""

import json

import numpy as np
import pytest

from minidl.array import manual_seed
from minidl.data import (
    ArrayDataset,
    BatchSampler,
    ConcatDataset,
    DataLoader,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from minidl.errors import ShapeError, StateDictError


def rng(seed=0):
    return np.random.default_rng(seed)


def numbers(count=23):
    return ArrayDataset(np.arange(count, dtype=np.float32).reshape(-1, 1), np.arange(count))


def labels(loader):
    return [batch[1].tolist() for batch in loader]


def test_one_after_the_other():
    assert list(SequentialSampler(range(5))) == [0, 1, 2, 3, 4]
    assert len(SequentialSampler(range(5))) == 5


@pytest.mark.parametrize("wanted", [1, 5, 7, 14, 20])
def test_without_replacement_all_come_once_before_any_comes_twice(wanted):
    sampler = RandomSampler(range(7), num_samples=wanted, rng=rng())
    order = list(sampler)
    assert len(order) == len(sampler) == wanted
    counts = np.bincount(order, minlength=7)
    assert counts.max() - counts.min() <= 1
    assert list(sampler) != order or wanted == 1  # its own generator goes on
    assert list(RandomSampler(range(7), num_samples=wanted, rng=rng())) == order


def test_with_replacement_every_sample_is_drawn_from_all():
    order = list(RandomSampler(range(4), replacement=True, num_samples=8000, rng=rng()))
    np.testing.assert_allclose(np.bincount(order), 2000, atol=160)  # four standard deviations
    assert len(set(order[:4])) < 4 or len(set(order[4:8])) < 4


def test_a_subset_comes_in_random_order():
    sampler = SubsetRandomSampler([9, 2, 2, 5], rng=rng(1))
    orders = [list(sampler) for _ in range(6)]
    assert {tuple(sorted(order)) for order in orders} == {(2, 2, 5, 9)}
    assert len({tuple(order) for order in orders}) > 1


def test_weights_are_shares_of_the_draws():
    sampler = WeightedRandomSampler([1, 0, 3, 6, 0], 10_000, rng=rng())
    counts = np.bincount(list(sampler), minlength=5)
    np.testing.assert_allclose(counts, [1000, 0, 3000, 6000, 0], atol=200)  # four standard deviations


def test_weights_without_replacement():
    sampler = WeightedRandomSampler([1, 0, 3, 6, 0], 3, replacement=False, rng=rng())
    orders = np.array([list(sampler) for _ in range(5000)])
    assert (np.sort(orders) == [0, 2, 3]).all()
    first = np.bincount(orders[:, 0], minlength=4) / 5000
    np.testing.assert_allclose(first, [0.1, 0, 0.3, 0.6], atol=0.03)
    second = orders[orders[:, 0] == 3, 1]  # of what is left, in proportion: 1 to 3
    assert np.mean(second == 2) == pytest.approx(0.75, abs=0.035)


def test_batches_of_a_sampler():
    assert list(BatchSampler(SequentialSampler(range(10)), 3, False)) == [
        [0, 1, 2],
        [3, 4, 5],
        [6, 7, 8],
        [9],
    ]
    assert list(BatchSampler(range(10), 3, True)) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert [len(BatchSampler(range(10), 3, drop)) for drop in (False, True)] == [4, 3]


def test_as_torch_does():
    data = pytest.importorskip("torch.utils.data")
    for size, batch, drop in ((10, 3, True), (10, 3, False), (9, 3, False), (0, 2, False)):
        theirs = data.BatchSampler(data.SequentialSampler(range(size)), batch, drop)
        ours = BatchSampler(SequentialSampler(range(size)), batch, drop)
        assert list(ours) == list(theirs)
        assert len(ours) == len(theirs)


def test_minidls_generator_where_none_is_given():
    for sampler in (RandomSampler(range(30)), WeightedRandomSampler(np.ones(30), 30)):
        manual_seed(3)
        first = list(sampler)
        assert list(sampler) != first
        manual_seed(3)
        assert list(sampler) == first


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RandomSampler(range(3), num_samples=0), ValueError, "num_samples of at least 1, got 0"),
        (lambda: RandomSampler(range(3), num_samples=2.0), TypeError, "to be an integer, got 2.0"),
        (lambda: RandomSampler([], num_samples=2), ValueError, "samples to draw from, got an empty"),
        (lambda: RandomSampler(range(3), rng=5), TypeError, "RandomSampler: expected rng to be a numpy"),
        (lambda: WeightedRandomSampler([1, -1], 2), ValueError, "weights of at least 0"),
        (lambda: WeightedRandomSampler([1, np.nan], 2), ValueError, "finite weights"),
        (lambda: WeightedRandomSampler([0, 0], 2), ValueError, "a weight above 0, got none"),
        (lambda: WeightedRandomSampler([[1]], 2), ShapeError, r"shape \(N,\), got \(1, 1\)"),
        (lambda: WeightedRandomSampler([1, 0], 2, replacement=False), ValueError, "of at most 1, .*got 2"),
        (lambda: SubsetRandomSampler([[1]]), ShapeError, r"shape \(M,\), got \(1, 1\)"),
        (lambda: SubsetRandomSampler([0.5]), TypeError, "integer indices, got float64"),
        (lambda: BatchSampler(range(3), 0, False), ValueError, "batch_size of at least 1, got 0"),
        (lambda: BatchSampler(iter([1]), 1, False), TypeError, "__len__ and __iter__, got list_iterator"),
    ],
)
def test_what_makes_no_sense_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


# ---------------------------------------------------------------- in a loader


def test_shuffle_is_the_random_sampler():
    loaders = (
        DataLoader(numbers(), 5, shuffle=True, seed=2),
        DataLoader(numbers(), 5, sampler=RandomSampler(numbers()), seed=2),
        DataLoader(numbers(), batch_sampler=BatchSampler(RandomSampler(numbers()), 5, False), seed=2),
    )
    for _ in range(2):
        first, *others = (labels(loader) for loader in loaders)
        assert others == [first, first]


def test_a_sampled_epoch_resumes_in_the_middle():
    def loader():
        weights = np.arange(23)
        return DataLoader(numbers(), 4, sampler=WeightedRandomSampler(weights, 30), seed=1)

    whole = loader()
    epochs = [labels(whole) for _ in range(2)]
    assert [len(batch) for batch in epochs[0]] == [4] * 7 + [2]
    assert epochs[0] != epochs[1]
    running = loader()
    for _ in zip(range(3), running, strict=False):
        state = json.loads(json.dumps(running.state_dict()))
    assert state["sampler"] == "WeightedRandomSampler(30)"
    resumed = loader()
    resumed.load_state_dict(state)
    assert labels(resumed) == epochs[0][3:]
    assert labels(resumed) == epochs[1]
    with pytest.raises(StateDictError, match=r"got one for sampler=WeightedRandomSampler\(30\)"):
        DataLoader(numbers(), 4, sampler=WeightedRandomSampler(np.ones(23), 31)).load_state_dict(state)


def test_any_iterable_with_a_length_is_a_sampler_or_gives_batches():
    loader = DataLoader(numbers(), 2, sampler=[5, 3, 1])
    assert (len(loader), labels(loader)) == (2, [[5, 3], [1]])
    loader = DataLoader(numbers(), batch_sampler=[[1], [], [2, 0]])
    assert (len(loader), labels(loader)) == (3, [[1], [], [2, 0]])
    assert labels(DataLoader(numbers(), sampler=[])) == []


class Backwards(Sampler):
    def __len__(self):
        return 5

    def order(self, rng):
        return np.arange(5)[::-1]


def test_a_sampler_of_ones_own():
    assert labels(DataLoader(numbers(), 2, sampler=Backwards())) == [[4, 3], [2, 1], [0]]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sampler": [1], "shuffle": True}, ValueError, "sampler or shuffle, got both"),
        ({"batch_sampler": [[1]], "batch_size": 2}, ValueError, "batch_sampler alone"),
        ({"batch_sampler": [[1]], "drop_last": True}, ValueError, "batch_sampler alone"),
        ({"batch_sampler": [[1]], "sampler": [1]}, ValueError, "batch_sampler alone"),
        ({"sampler": iter([1])}, TypeError, "a sampler with __len__ and __iter__, got list_iterator"),
        ({"sampler": RandomSampler(range(3), rng=rng())}, ValueError, "sampler without an rng of its own"),
        (
            {"batch_sampler": BatchSampler(RandomSampler(range(3), rng=rng()), 2, False)},
            ValueError,
            "batch_sampler without an rng",
        ),
    ],
)
def test_options_that_exclude_each_other_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        DataLoader(numbers(), **arguments)


def test_a_transform_that_loses_rows_is_refused():
    with pytest.raises(ShapeError, match=r"transform to return 4 rows, got shape \(3, 1\)"):
        list(DataLoader(numbers(), 4, transform=lambda x, rng: x[1:]))


# ---------------------------------------------------------------- sets joined


class Plain:
    """Not read in one go."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return np.float32([100 + index]), 100 + index


def test_joined_sets_are_one():
    joined = ConcatDataset([numbers(4), Plain(), Subset(numbers(), [20, 21])])
    every = [0, 1, 2, 3, 100, 101, 102, 20, 21]
    assert len(joined) == 9
    assert joined.cumulative_sizes == [4, 7, 9]
    assert [int(joined[i][1]) for i in range(9)] == every
    assert int(joined[-1][1]) == 21
    assert [int(label) for _, label in joined] == every  # the loop ends
    order = np.array([8, 0, 5, 2, 5, 7])
    x, y = joined.fetch(order)
    assert y.tolist() == [every[i] for i in order]
    np.testing.assert_array_equal(x[:, 0], y)
    assert x.dtype == np.float32
    assert joined[2:6][1].tolist() == every[2:6]
    assert labels(DataLoader(joined, 5)) == [every[:5], every[5:]]
    assert joined.fetch(np.array([1, 0]))[1].tolist() == [1, 0]
    assert joined.fetch(np.arange(0))[0].shape == (0, 1)


def test_sets_that_cannot_be_joined_are_refused():
    with pytest.raises(ValueError, match="at least one data set, got none"):
        ConcatDataset([])
    with pytest.raises(TypeError, match="data sets with __len__ and __getitem__, got int"):
        ConcatDataset([numbers(), 5])
    wide = ArrayDataset(np.zeros((2, 3)), np.zeros(2, int))
    with pytest.raises(
        ShapeError, match=r"one shape in all data sets, got \[\(1,\), \(\)\] in one and \[\(3,\)"
    ):
        ConcatDataset([numbers(), wide]).fetch(np.array([0, 24]))
