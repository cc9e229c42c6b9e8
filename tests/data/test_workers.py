"""Workers: the same batches as without, and one clear error, no hang and no orphan however they end."""

import copy
import gc
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from data.worker_sets import (
    Leaves,
    Noisy,
    Raises,
    Refuses,
    Slow,
    UnpicklableError,
    pairs,
    pids_of,
    shift_all,
)

from minidl.array import get_rng_state, manual_seed
from minidl.data import ArrayDataset, DataLoader, Subset
from minidl.errors import WorkerError

TESTS = Path(__file__).parents[1]


def noisy(count=23):
    return Noisy(np.arange(count, dtype=np.float64).reshape(-1, 1), np.arange(count))


def same(first, second):
    assert len(first) == len(second) > 0
    for one, two in zip(first, second, strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b, strict=True)


def processes_of(loader):
    return [process for process, _ in loader._pool._workers]


def gone(pid, seconds=5):
    """Whether a process ends within so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":  # dead; whoever inherited it has not looked yet
            return True
        time.sleep(0.02)
    return False


# ---------------------------------------------------------------- the same batches


def test_the_same_seed_gives_the_same_batches_whatever_the_number_of_workers():
    settings = {"batch_size": 4, "shuffle": True, "seed": 5, "transform": shift_all}
    alone = DataLoader(noisy(), **settings)
    epochs = [list(alone) for _ in range(3)]
    assert not np.array_equal(epochs[0][0][0], epochs[1][0][0])
    for workers, prefetch in ((1, 3), (3, 1)):
        loader = DataLoader(noisy(), **settings, num_workers=workers, prefetch=prefetch)
        before = get_rng_state()
        first = list(loader)
        assert get_rng_state() == before  # training's own draws are not disturbed
        same(first, epochs[0])
        pids = [process.pid for process in processes_of(loader)]
        assert len(pids) == workers
        for _, _ in zip(range(2), loader, strict=False):  # left in the middle
            pass
        same(list(loader), epochs[2])  # what was made for the loop that was left is not mixed in
        assert [process.pid for process in processes_of(loader)] == pids  # started once
        x, _ = first[0]
        x[...] = 0  # a batch is the caller's own
        loader.close()
        assert all(gone(pid) for pid in pids)


def test_without_workers_the_draws_of_training_are_not_disturbed_either():
    manual_seed(1)
    before = get_rng_state()
    batches = list(DataLoader(noisy(), 4, seed=5))
    assert get_rng_state() == before
    manual_seed(99)
    same(list(DataLoader(noisy(), 4, seed=5)), batches)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_resumed_in_the_middle_of_an_epoch_gets_the_same_bits(workers):
    settings = {"batch_size": 4, "shuffle": True, "transform": shift_all}
    whole = DataLoader(noisy(), **settings, seed=3)
    epochs = [list(whole) for _ in range(2)]
    running = DataLoader(noisy(), **settings, seed=3, num_workers=workers)
    for _ in zip(range(3), running, strict=False):
        state = json.loads(json.dumps(running.state_dict()))
    resumed = DataLoader(noisy(), **settings, seed=8, num_workers=2 - workers)
    resumed.load_state_dict(state)
    same(list(resumed), epochs[0][3:])
    same(list(resumed), epochs[1])


def test_plain_sets_and_collate_functions_work_in_workers():
    loader = DataLoader(Raises(), 5, num_workers=1, sampler=[0, 1, 2, 3, 4, 5, 6], collate_fn=pairs)
    batches = list(loader)
    assert [batch["count"] for batch in batches] == [5, 2]
    np.testing.assert_array_equal(batches[1]["x"], [5, 6])
    (batch,) = DataLoader(Subset(Raises(), [1, 2]), 5, num_workers=1)
    np.testing.assert_array_equal(batch[0], np.float32([1, 2]), strict=True)


def test_two_loops_over_one_loader_do_not_mix():
    loader = DataLoader(noisy(12), 2, shuffle=True, seed=0, num_workers=1)
    alone = DataLoader(noisy(12), 2, shuffle=True, seed=0)
    expected = [list(alone), list(alone)]
    one, two = iter(loader), iter(loader)
    got = [[], []]
    for _ in range(6):
        got[0].append(next(one))
        got[1].append(next(two))
    for loop in (one, two):
        assert next(loop, None) is None
    same(got[0], expected[0])
    same(got[1], expected[1])


def test_batches_are_made_ahead():
    loader = DataLoader(Slow(0.05), 2, num_workers=2, prefetch=3)  # all 6 batches fit
    list(loader)  # both workers are up
    batches = iter(loader)
    next(batches)
    time.sleep(0.6)
    start = time.perf_counter()
    pids = {int(pid) for batch in batches for pid in batch[0]}
    assert time.perf_counter() - start < 0.2  # 5 batches of 0.1 s, made by two, would take 0.25 s
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_large_batches_and_empty_arrays_come_through():
    big = ArrayDataset(np.arange(3 * 700_000, dtype=np.float64).reshape(3, -1), np.zeros((3, 0), np.int8))
    for x, nothing in DataLoader(big, 3, num_workers=1, prefetch=2):
        np.testing.assert_array_equal(x, big.arrays[0], strict=True)
        assert nothing.shape == (3, 0)


def test_a_loader_with_running_workers_can_be_copied():
    loader = DataLoader(noisy(8), 4, seed=1, num_workers=1)
    expected = list(loader)
    for twin in (copy.deepcopy(loader), pickle.loads(pickle.dumps(loader))):
        assert twin._pool is None
        twin.num_workers = 0
        twin.load_state_dict({**twin.state_dict(), "epoch": 0, "batch": 0})
        same(list(twin), expected)


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("error", [KeyError, UnpicklableError])
def test_a_worker_that_raises_shows_the_original_traceback(error):
    loader = DataLoader(Raises(error), 2, num_workers=2)
    batches = iter(loader)
    for expected in ([0, 1], [2, 3], [4, 5]):
        assert next(batches)[1].tolist() == expected
    with pytest.raises(WorkerError) as caught:
        next(batches)
    text = str(caught.value)
    assert text.startswith("DataLoader: worker 1 raised\nTraceback (most recent call last)")
    assert "worker_sets.py" in text
    assert 'raise self.error("picture 7 is damaged")' in text
    if error is KeyError:
        assert isinstance(caught.value.__cause__, KeyError)
    assert loader._pool is None
    loader.sampler = loader._batch_sampler.sampler = range(6)
    assert len(list(loader)) == 3  # the next loop starts new workers
    loader.close()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("sys.exit", "exited with code 3"),
        ("os._exit", "exited with code 4"),
        ("SIGKILL", "was killed by SIGKILL"),
        ("SIGSEGV", "was killed by SIGSEGV"),
    ],
)
def test_a_worker_that_ends_is_named_with_how(how, message):
    loader = DataLoader(Leaves(how), 2, num_workers=2)
    batches = iter(loader)
    next(batches)
    pids = pids_of(batches)
    start = time.monotonic()
    with pytest.raises(WorkerError, match=rf"^DataLoader: worker 1 \(process {pids[1]}\) {message}$"):
        list(batches)
    assert time.monotonic() - start < 5
    assert all(gone(pid) for pid in pids)


def test_a_worker_killed_from_outside_in_the_middle_of_a_long_batch():
    loader = DataLoader(Slow(30), 2, sampler=[0, 1], num_workers=1)
    batches = iter(loader)
    mine = set(multiprocessing.active_children())

    def kill():
        while not (new := set(multiprocessing.active_children()) - mine):
            time.sleep(0.05)
        time.sleep(0.7)
        for process in new:
            process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    start = time.monotonic()
    with pytest.raises(WorkerError, match="was killed by SIGKILL"):
        next(batches)
    assert time.monotonic() - start < 10
    killer.join()


def test_a_worker_that_is_too_slow_ends_with_the_timeout():
    loader = DataLoader(Slow(60), 2, num_workers=1, timeout=1.5)
    start = time.monotonic()
    with pytest.raises(WorkerError, match=r"a batch within timeout=1\.5 s, got none from worker 0"):
        next(iter(loader))
    assert time.monotonic() - start < 8  # the timeout, and a second of patience with a sleeper


def test_what_cannot_be_pickled_is_named_before_a_process_starts():
    with pytest.raises(TypeError, match=r"expected a transform that can be pickled.*num_workers=0 needs"):
        list(DataLoader(noisy(), 4, num_workers=2, transform=lambda x, rng: x))

    class Local(ArrayDataset):
        pass

    with pytest.raises(TypeError, match="expected a dataset that can be pickled, to send it to 2 workers"):
        list(DataLoader(Local(np.zeros(3)), num_workers=2))
    assert len(list(DataLoader(Local(np.zeros(3))))) == 3


def test_what_cannot_be_unpickled_is_an_error_with_its_traceback():
    with pytest.raises(WorkerError, match=r"(?s)Traceback.*__setstate__.*no room for me here"):
        list(DataLoader(Refuses(), num_workers=1))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"num_workers": -1}, ValueError, "num_workers of at least 0, got -1"),
        ({"num_workers": 1.0}, TypeError, "num_workers to be an integer, got 1.0"),
        ({"prefetch": 0}, ValueError, "prefetch of at least 1, got 0"),
        ({"timeout": -1}, ValueError, "timeout of at least 0 seconds, got -1"),
        ({"timeout": float("nan")}, ValueError, "timeout of at least 0 seconds, got nan"),
    ],
)
def test_settings_that_make_no_sense_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        DataLoader(noisy(), **arguments)


# ---------------------------------------------------------------- no orphans

by_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks processes up in /proc")


@by_proc
def test_workers_end_with_the_loader_and_with_an_abandoned_loop():
    loader = DataLoader(noisy(), 2, num_workers=2)
    batches = iter(loader)
    next(batches)
    batches.close()
    pids = [process.pid for process in processes_of(loader)]
    assert not any(gone(pid, 0.05) for pid in pids)
    del loader, batches
    gc.collect()
    assert all(gone(pid) for pid in pids)

    batches = iter(DataLoader(noisy(), 2, num_workers=1))  # the loop alone holds the loader
    next(batches)
    pids = pids_of(batches)
    del batches
    gc.collect()
    assert all(gone(pid) for pid in pids)


def script(tmp_path, body):
    """Start a program of its own that trains with workers; it prints its workers' numbers first."""
    path = tmp_path / "program.py"
    path.write_text(
        textwrap.dedent(f"""
        import sys
        sys.path[:0] = [{str(TESTS)!r}, {str(TESTS.parent)!r}]
        from data.worker_sets import Slow, pids_of
        from minidl.data import DataLoader

        """)
        + textwrap.dedent(body)
    )
    return subprocess.Popen(
        [sys.executable, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )


BODY = """
        if __name__ == "__main__":
            loader = DataLoader(Slow({seconds}), 2, num_workers=2)
            loop = iter(loader)
            next(loop)
            print(*pids_of(loop), flush=True)
            {then}
"""


@pytest.mark.parametrize(
    ("then", "code"), [("pass", 0), ("raise SystemExit(7)", 7), ("loop.close()", 0), ("1 / 0", 1)]
)
def test_a_program_that_ends_takes_its_workers_with_it(tmp_path, then, code):
    program = script(tmp_path, BODY.format(seconds=0.05, then=then))
    out, err = program.communicate(timeout=30)
    assert program.returncode == code, err
    assert ("ZeroDivisionError" in err) == (code == 1)
    if code != 1:
        assert err == ""
    assert len(out.split()) == 2
    assert all(gone(pid) for pid in out.split())


@by_proc
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_program_that_is_killed_leaves_no_worker_even_in_a_long_batch(tmp_path, number):
    body = BODY.format(seconds=0.05, then="loader = DataLoader(Slow(60), 2, num_workers=2)")
    body += (
        '            loop = iter(loader)\n            print("waiting", flush=True)\n            next(loop)\n'
    )
    program = script(tmp_path, body)
    pids = program.stdout.readline().split()
    assert program.stdout.readline() == "waiting\n"
    time.sleep(0.8)
    late = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
    assert len(late) >= 2
    program.send_signal(number)
    program.communicate(timeout=30)
    assert program.returncode == -number
    assert len(pids) == 2
    assert all(gone(pid) for pid in late)


def test_ctrl_c_ends_a_program_and_its_workers_at_once(tmp_path):
    program = script(tmp_path, BODY.format(seconds=0.2, then="sum(1 for _ in loop)"))
    pids = program.stdout.readline().split()
    for pid in (program.pid, *pids):  # as a terminal sends it: to all
        os.kill(int(pid), signal.SIGINT)
    _, err = program.communicate(timeout=30)
    assert program.returncode == -signal.SIGINT
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert err.count("Traceback") == 1  # the workers are silent
    assert all(gone(pid) for pid in pids)


def test_a_script_without_its_guard_is_told_so(tmp_path):
    program = script(tmp_path, "next(iter(DataLoader(Slow(0), 2, num_workers=1)))")
    _, err = program.communicate(timeout=30)
    assert program.returncode == 1
    assert err.rstrip().endswith(
        "exited with code 1; a script that uses workers must do so below `if __name__ == '__main__':`, "
        "since each worker imports it"
    )
