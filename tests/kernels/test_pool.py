"""The pool of threads: all tasks run once, on any number of threads, beside other threads, after a fork."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import minidl
from minidl.kernels import matmul, threads, use_backend

pytest.importorskip("numba")

from minidl.kernels.numba_cpu.jit import jit
from minidl.kernels.numba_cpu.pool import POOL, Pool
from minidl.kernels.numba_cpu.tasks import tasks


@tasks
def _mark(task, thread, counts, seen, rounds):
    value = 0.0
    for i in range(rounds):  # work that takes its time, so that a worker gets its share
        value += i % 7
    counts[task] += 1
    seen[task] = thread
    counts[task] += 0 if value >= 0 else 1


@jit
def _mark_all(n, counts, seen, rounds, team):
    _mark(team, n, (counts, seen, rounds))


@pytest.fixture(autouse=True)
def on_numba():
    with use_backend("numba"):
        yield


@pytest.fixture
def thread_count():
    before = minidl.get_num_threads()
    yield minidl.set_num_threads
    minidl.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [0, 1, 2, 5, 1000])
def test_every_task_runs_once(thread_count, count, n):
    thread_count(count)
    for _ in range(50):
        counts, seen = np.zeros(n, np.int64), np.full(n, -1)
        with POOL as team:
            _mark_all(n, counts, seen, 10, team)
        assert (counts == 1).all()
        assert ((seen >= 0) & (seen < count)).all()


def test_workers_take_their_share(thread_count):
    thread_count(2)
    for _ in range(200):
        counts, seen = np.zeros(64, np.int64), np.full(64, -1)
        with POOL as team:
            _mark_all(64, counts, seen, 100_000, team)
        if set(seen) == {0, 1}:
            return
    pytest.fail(f"one thread did everything: {set(seen)}")


def test_workers_sleep_when_there_is_nothing_and_wake_again(thread_count):
    thread_count(3)
    a = np.ones((100, 100))
    matmul(a, a)
    for _ in range(1000):
        if len(POOL._asleep) == 2:
            break
        time.sleep(0.01)
    assert len(POOL._asleep) == 2
    with POOL:
        assert not POOL._asleep
    np.testing.assert_array_equal(matmul(a, a), np.full((100, 100), 100.0))


def test_a_worker_that_never_comes_delays_nothing(monkeypatch):
    pool = Pool()
    monkeypatch.setattr(Pool, "_live", lambda self, number: None)
    monkeypatch.setattr("minidl.kernels.numba_cpu.pool.get_num_threads", lambda: 4)
    counts, seen = np.zeros(10, np.int64), np.zeros(10, np.int64)
    with pool as team:
        assert team
        _mark_all(10, counts, seen, 10, team)
    assert (counts == 1).all()
    pool.close()


def test_where_no_thread_can_be_started_the_kernel_runs(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    pool = Pool()
    monkeypatch.setattr("minidl.kernels.numba_cpu.pool.get_num_threads", lambda: 4)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    counts, seen = np.zeros(10, np.int64), np.zeros(10, np.int64)
    with pool as team:
        _mark_all(10, counts, seen, 10, team)
    assert (counts == 1).all()


def test_eight_threads_at_once(thread_count):
    thread_count(4)
    rng = np.random.default_rng(0)
    jobs = [(rng.standard_normal((80, 90)), rng.standard_normal((90, 70))) for _ in range(8)]
    wrong = []

    def work(a, b):
        expected = matmul.reference(a, b)
        for _ in range(50):
            if not np.allclose(matmul(a, b), expected, rtol=1e-12, atol=1e-12):
                wrong.append(1)

    crowd = [threading.Thread(target=work, args=job) for job in jobs]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(60)
    assert not wrong
    assert not any(thread.is_alive() for thread in crowd)


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "MINIDL_BACKEND": "numba", **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )


START = """
import os, numpy as np, minidl
a = np.arange(90_000.0).reshape(300, 300) / 90_000
minidl.set_num_threads(3)
expected = minidl.kernels.matmul(a, a)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_computes_too():
    done = run(
        START
        + """
child = os.fork()
if child == 0:
    same = all((minidl.kernels.matmul(a, a) == expected).all() for _ in range(20))
    minidl.set_num_threads(2)
    same = same and (minidl.kernels.matmul(a, a) == expected).all()
    os._exit(0 if same else 1)
assert os.waitpid(child, 0)[1] == 0
assert (minidl.kernels.matmul(a, a) == expected).all()
print("both")
"""
    )
    assert (done.returncode, done.stdout.strip()) == (0, "both"), done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_forked_while_another_thread_computes():
    done = run(
        START
        + """
import threading
stop = False
def forever():
    while not stop:
        minidl.kernels.matmul(a, a)
worker = threading.Thread(target=forever)
worker.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        os._exit(0 if (minidl.kernels.matmul(a, a) == expected).all() else 1)
    assert os.waitpid(child, 0)[1] == 0
stop = True
worker.join()
print("all")
"""
    )
    assert (done.returncode, done.stdout.strip()) == (0, "all"), done.stderr


def test_a_program_that_used_the_pool_ends():
    done = run(START + "print('end')")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "end", "")


def test_a_thread_that_is_still_computing_does_not_hold_up_the_end():
    done = run(
        START
        + """
import threading
def forever():
    while True:
        minidl.kernels.matmul(a, a)
threading.Thread(target=forever, daemon=True).start()
print("end")
"""
    )
    assert (done.returncode, done.stdout.strip()) == (0, "end"), done.stderr


def test_blas_is_held_to_one_thread_beside_the_pool():
    code = START + (
        "from threadpoolctl import threadpool_info\n"
        "found = [p for p in threadpool_info() if p['user_api'] == 'blas' and 'numpy' in p['filepath']]\n"
        "print([p['num_threads'] for p in found])"
    )
    assert set(eval(run(code, OPENBLAS_NUM_THREADS="2").stdout)) <= {1}


def test_on_the_numpy_backend_blas_is_the_pool():
    code = (
        "import minidl, numpy\nminidl.use_backend('numpy')\nminidl.set_num_threads(2)\n"
        "from threadpoolctl import threadpool_info\n"
        "found = [p for p in threadpool_info() if p['user_api'] == 'blas' and 'numpy' in p['filepath']]\n"
        "print([p['num_threads'] for p in found])"
    )
    assert set(eval(run(code, OPENBLAS_NUM_THREADS="1").stdout)) <= {2}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"MINIDL_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}, "3"),
        ({"OMP_NUM_THREADS": "5"}, "5"),
        ({"OMP_NUM_THREADS": "5,2"}, "5"),
    ],
)
def test_the_environment_chooses(environment, expected):
    clean = {"MINIDL_NUM_THREADS": "", "OMP_NUM_THREADS": ""}
    assert (
        run("import minidl; print(minidl.get_num_threads())", **clean | environment).stdout.strip()
        == expected
    )


def test_without_the_environment_it_is_the_cores():
    code = "import minidl; print(minidl.get_num_threads())"
    count = int(run(code, MINIDL_NUM_THREADS="", OMP_NUM_THREADS="").stdout)
    assert 1 <= count <= (os.cpu_count() or 1)


def test_nonsense_in_the_environment_is_named(monkeypatch):
    monkeypatch.setattr(threads, "_threads", None)
    monkeypatch.setenv("MINIDL_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="MINIDL_NUM_THREADS: expected an integer from 1 to 256, got 'many'"):
        minidl.get_num_threads()


@pytest.mark.parametrize("wrong", [0, -1, 257, 1.5, "2", True, None])
def test_a_wrong_number_of_threads_is_named(wrong):
    before = minidl.get_num_threads()
    with pytest.raises(ValueError, match="set_num_threads: expected an integer from 1 to 256, got"):
        minidl.set_num_threads(wrong)
    assert minidl.get_num_threads() == before


def test_the_bits_do_not_depend_on_the_number_of_threads(thread_count):
    rng = np.random.default_rng(1)
    shapes = [(70, 300, 90), (129, 785, 33), (300, 200, 700), (8, 5000, 16)]
    cases = [(rng.standard_normal((m, k)), rng.standard_normal((k, n))) for m, k, n in shapes]
    cases += [(a.astype(np.float32), np.asfortranarray(b.astype(np.float32))) for a, b in cases]
    results = []
    for count in (1, 2, 4):
        thread_count(count)
        with use_backend("numba"):
            results.append([matmul(a, b).tobytes() for a, b in cases])
    assert results[0] == results[1] == results[2]


def test_a_disk_that_cannot_be_written_only_costs_time(monkeypatch):
    def refuse(*args):
        raise OSError("no space left on device")

    def double(x):
        return x + x

    compiled = jit(double)
    monkeypatch.setattr(compiled._cache._cache_file, "save", refuse)
    assert compiled(21) == 42
    assert compiled(1.5) == 3.0


def test_cached_code_is_fresh_only_while_all_kernels_are_unchanged(tmp_path, monkeypatch):
    from minidl.kernels.numba_cpu import jit as module

    stamp = module._stamp()
    assert POOL is not None
    assert matmul.twins[np.ndarray].__globals__["_matmul"]._cache._cache_file._source_stamp == stamp
    (tmp_path / "jit.py").write_text("a")
    monkeypatch.setattr(module, "__file__", str(tmp_path / "jit.py"))
    first = module._stamp.__wrapped__()
    (tmp_path / "tile.py").write_text("b")
    assert len({stamp, first, module._stamp.__wrapped__()}) == 3
