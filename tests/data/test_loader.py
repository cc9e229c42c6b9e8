"""The loader: which batches come, in which order, and that a saved position gives exactly the rest."""

import itertools
import json

import numpy as np
import pytest

from minidl.array import manual_seed
from minidl.data import ArrayDataset, DataLoader, Subset
from minidl.errors import StateDictError


def numbers(count=23):
    return ArrayDataset(np.arange(count, dtype=np.float32).reshape(-1, 1), np.arange(count))


def labels(batches):
    return [batch[1].tolist() for batch in batches]


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [10, 10, 3]), (True, [10, 10])])
def test_batches_go_through_the_set_once_in_order(drop_last, sizes):
    loader = DataLoader(numbers(), batch_size=10, drop_last=drop_last)
    batches = list(loader)
    assert [len(x) for x, _ in batches] == sizes
    assert len(loader) == len(sizes)
    assert np.concatenate([y for _, y in batches]).tolist() == list(range(sum(sizes)))
    for x, y in batches:
        assert isinstance(x, np.ndarray)
        assert x.dtype == np.float32
        assert y.dtype == np.int64
        np.testing.assert_array_equal(x[:, 0], y)


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11])
@pytest.mark.parametrize("drop_last", [False, True])
def test_len_is_what_comes(count, drop_last):
    loader = DataLoader(numbers(count), batch_size=10, drop_last=drop_last)
    assert len(list(loader)) == len(loader)


def test_a_batch_is_a_tuple_also_of_one_array():
    (batch,) = DataLoader(ArrayDataset(np.arange(3)), batch_size=3)
    assert isinstance(batch, tuple)
    assert len(batch) == 1


def test_shuffling_deals_every_sample_once_and_anew_each_epoch():
    loader = DataLoader(numbers(), batch_size=5, shuffle=True, seed=0)
    first, second = labels(loader), labels(loader)
    assert sorted(itertools.chain(*first)) == list(range(23))
    assert sorted(itertools.chain(*second)) == list(range(23))
    assert first != second
    assert list(itertools.chain(*first)) != list(range(23))


def test_every_order_is_about_as_likely():
    loader = DataLoader(numbers(3), batch_size=3, shuffle=True, seed=0)
    counts = {}
    for _ in range(1200):
        order = tuple(labels(loader)[0])
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert min(counts.values()) > 150  # of 200 expected; four standard deviations are 52


def test_the_same_seed_gives_the_same_batches_whatever_else_is_drawn():
    one, two, other = (DataLoader(numbers(), 5, shuffle=True, seed=seed) for seed in (7, 7, 8))
    for _ in range(3):
        expected = labels(one)
        manual_seed(99)
        assert labels(two) == expected
        assert labels(other) != expected


def test_without_a_seed_manual_seed_decides():
    manual_seed(5)
    first, second = (DataLoader(numbers(), 5, shuffle=True) for _ in range(2))
    manual_seed(5)
    again = DataLoader(numbers(), 5, shuffle=True)
    assert first.seed == again.seed != second.seed
    assert labels(first) == labels(again)


def test_numpys_global_state_is_left_alone():
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    list(DataLoader(numbers(), 5, shuffle=True))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("subset", [False, True])
def test_batches_share_no_memory_with_the_set(subset):
    dataset = numbers()
    before = dataset.arrays[0].copy()
    source = Subset(dataset, np.arange(23)) if subset else dataset
    for x, y in DataLoader(source, batch_size=23):
        x[...] = -1
        y[...] = -1
    np.testing.assert_array_equal(dataset.arrays[0], before)
    np.testing.assert_array_equal(dataset.arrays[1], np.arange(23))


def test_a_set_that_can_fetch_is_never_read_item_by_item():
    class OnlyInOneGo(ArrayDataset):
        def __getitem__(self, index):
            raise AssertionError("read item by item")

    dataset = OnlyInOneGo(np.arange(6), np.arange(6))
    assert labels(DataLoader(dataset, 4)) == [[0, 1, 2, 3], [4, 5]]
    assert labels(DataLoader(Subset(dataset, [5, 4, 3]), 2)) == [[5, 4], [3]]


def test_any_sequence_is_a_data_set():
    batches = list(DataLoader([(0.5, 1), (1.5, 0), (2.5, 1)], batch_size=2))
    np.testing.assert_array_equal(batches[0][0], [0.5, 1.5])
    np.testing.assert_array_equal(batches[1][1], [1])
    assert batches[0][1].dtype.kind == "i"


def test_an_error_in_the_data_set_comes_through_as_it_is():
    class Broken(list):
        def __getitem__(self, index):
            raise KeyError("no such picture")

    with pytest.raises(KeyError, match="no such picture"):
        list(DataLoader(Broken([1, 2]), 2))


# ---------------------------------------------------------------- position


def settings():
    return {"batch_size": 4, "shuffle": True, "seed": 11}


@pytest.mark.parametrize("epoch", [0, 1, 3])
@pytest.mark.parametrize("delivered", [1, 3, 6])
def test_a_state_saved_in_the_loop_resumes_with_the_next_batch(epoch, delivered):
    whole = DataLoader(numbers(), **settings())
    epochs = [labels(whole) for _ in range(6)]

    running = DataLoader(numbers(), **settings())
    for _ in range(epoch):
        list(running)
    for position, _ in enumerate(running):
        if position == delivered - 1:
            state = json.loads(json.dumps(running.state_dict()))
            break
    assert (state["epoch"], state["batch"]) == (epoch, delivered)

    resumed = DataLoader(numbers(), batch_size=4, shuffle=True, seed=999)
    resumed.load_state_dict(state)
    assert labels(resumed) == epochs[epoch][delivered:]
    assert labels(resumed) == epochs[epoch + 1]
    assert labels(resumed) == epochs[epoch + 2]


def test_resuming_reads_no_earlier_batch():
    class Counting(ArrayDataset):
        fetched = 0

        def fetch(self, indices):
            self.fetched += 1
            return super().fetch(indices)

    dataset = Counting(np.arange(23))
    loader = DataLoader(dataset, **settings())
    loader.load_state_dict({**loader.state_dict(), "epoch": 1000, "batch": 5})
    assert len(list(loader)) == 1
    assert dataset.fetched == 1


def test_positions_around_the_end_of_an_epoch():
    loader = DataLoader(numbers(), **settings())
    assert loader.state_dict()["epoch"] == 0
    assert loader.state_dict()["batch"] == 0
    for _ in loader:
        last = loader.state_dict()
    assert (last["epoch"], last["batch"]) == (0, 6)
    after = loader.state_dict()
    assert (after["epoch"], after["batch"]) == (1, 0)
    second = labels(loader)

    at_last = DataLoader(numbers(), **settings())
    at_last.load_state_dict(last)
    assert at_last.state_dict() == last
    assert list(at_last) == []  # the rest of a finished epoch
    assert at_last.state_dict() == after
    assert labels(at_last) == second


def test_a_loop_left_by_break_is_over():
    whole = DataLoader(numbers(), **settings())
    epochs = [labels(whole) for _ in range(2)]
    loader = DataLoader(numbers(), **settings())
    for _ in loader:
        break
    assert labels(loader) == epochs[1]


def test_loading_into_the_same_loader_goes_back():
    loader = DataLoader(numbers(), **settings())
    state = loader.state_dict()
    first = labels(loader)
    loader.load_state_dict(state)
    assert labels(loader) == first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": 22}, "samples=23, got one for samples=22"),
        ({"batch_size": 5}, "batch_size=4, got one for batch_size=5"),
        ({"shuffle": False}, "shuffle=True, got one for shuffle=False"),
        ({"drop_last": True}, "drop_last=False, got one for drop_last=True"),
        ({"batch": 7}, "batch of at most 6, got 7"),
        ({"batch": -1}, "batch of at least 0, got -1"),
        ({"epoch": 1.5}, "epoch to be an integer, got 1.5"),
        ({"seed": None}, "seed to be an integer, got None"),
    ],
)
def test_a_position_of_something_else_is_refused_and_changes_nothing(change, message):
    loader = DataLoader(numbers(), **settings())
    before = loader.state_dict()
    with pytest.raises(StateDictError, match=message):
        loader.load_state_dict({**before, "epoch": 2, "seed": 5, **change})
    assert loader.state_dict() == before
    with pytest.raises(StateDictError, match="expected a position with epoch"):
        loader.load_state_dict({})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size of at least 1, got 0"),
        ({"batch_size": -3}, ValueError, "batch_size of at least 1, got -3"),
        ({"batch_size": 2.0}, TypeError, "batch_size to be an integer, got 2.0"),
        ({"batch_size": True}, TypeError, "batch_size to be an integer, got True"),
        ({"seed": -1}, ValueError, "seed of at least 0, got -1"),
        ({"seed": "1"}, TypeError, "seed to be an integer, got '1'"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        DataLoader(numbers(), **arguments)


def test_what_is_no_data_set_is_refused():
    with pytest.raises(TypeError, match="data set with __len__ and __getitem__, got generator"):
        DataLoader(i for i in range(3))


def test_numpy_integers_are_integers():
    loader = DataLoader(numbers(), batch_size=np.int32(5), seed=np.uint8(3))
    assert json.dumps(loader.state_dict())
