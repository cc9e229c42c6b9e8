"""Which implementation runs: by backend, by array type, by environment; and what happens without Numba."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import minidl
from minidl.errors import BackendError
from minidl.kernels.registry import KERNELS, get_backend, kernel, use_backend


@pytest.fixture
def doubled():
    @kernel
    def doubled(x, times=2):
        return x * times

    yield doubled
    del KERNELS["doubled"]


class OtherArray:
    """An array type that answers NumPy's protocols, as a device's will."""

    def __array_function__(self, *args):
        raise AssertionError("not called")


def test_the_backend_chooses_on_the_host(doubled):
    pytest.importorskip("numba")
    doubled.register(np.ndarray)(lambda x, times=2: "twin")
    x = np.ones(3)
    with use_backend("numpy"):
        np.testing.assert_array_equal(doubled(x), [2, 2, 2])
    with use_backend("numba"):
        assert doubled(x) == "twin"
        assert doubled.implementation(x) is doubled.twins[np.ndarray]
    assert doubled.reference(x).sum() == 6


def test_without_a_twin_the_reference_runs(doubled):
    pytest.importorskip("numba")
    with use_backend("numba"):
        np.testing.assert_array_equal(doubled(np.ones(2), times=3), [3, 3])


def test_another_array_type_needs_its_own_twin(doubled):
    with pytest.raises(BackendError, match=r"doubled: there is no implementation for OtherArray"):
        doubled(OtherArray())
    doubled.register(OtherArray)(lambda x, times=2: "on the device")
    assert doubled(OtherArray()) == "on the device"


def test_arrays_of_two_types_do_not_mix(doubled):
    with pytest.raises(BackendError, match="arrays of one type, got OtherArray and ndarray"):
        doubled(OtherArray(), times=np.ones(1))


def test_use_backend_is_put_back_after_a_block_and_after_an_error():
    before = get_backend()
    with use_backend("numpy"):
        assert minidl.get_backend() == "numpy"
        with pytest.raises(RuntimeError), use_backend("numpy"):
            raise RuntimeError
        assert get_backend() == "numpy"
    assert get_backend() == before


def test_an_unknown_backend_is_named_and_changes_nothing():
    before = get_backend()
    with pytest.raises(BackendError, match="expected 'numpy' or 'numba', got 'cuda'"):
        use_backend("cuda")
    assert get_backend() == before


def run(code: str, **environment: str) -> str:
    """Run code in a fresh process; its last line of output."""
    env = {k: v for k, v in os.environ.items() if k != "MINIDL_BACKEND"} | environment
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return (done.stdout + done.stderr).strip().splitlines()[-1]


WITHOUT_NUMBA = "import sys; sys.modules['numba'] = None\n"
POOL = (
    "import minidl as m, numpy as np; print(m.get_backend(), m.nn.MaxPool2d(2)(np.ones((1, 1, 4, 4))).sum())"
)


def test_without_numba_everything_runs_on_numpy():
    assert run(WITHOUT_NUMBA + POOL) == "numpy 4.0"


def test_without_numba_asking_for_it_is_an_error():
    assert "'numba' was asked for, but Numba is not installed" in run(
        WITHOUT_NUMBA + POOL, MINIDL_BACKEND="numba"
    )


def test_the_environment_chooses():
    pytest.importorskip("numba")
    assert run(POOL, MINIDL_BACKEND="numpy") == "numpy 4.0"
    assert run(POOL, MINIDL_BACKEND="numba") == "numba 4.0"
    assert "MINIDL_BACKEND: expected 'numpy' or 'numba', got 'Numba'" in run(POOL, MINIDL_BACKEND="Numba")


def test_a_broken_numba_costs_speed_and_not_the_run(tmp_path):
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "__init__.py").write_text("raise ImportError('built for another NumPy')")
    code = f"import sys, warnings; sys.path.insert(0, {str(tmp_path)!r}); warnings.simplefilter('default')\n"
    env = {k: v for k, v in os.environ.items() if k != "MINIDL_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", code + POOL], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert "4.0" in done.stdout
    assert "Numba cannot be imported, NumPy runs instead: built for another NumPy" in done.stderr


def test_numba_is_imported_at_the_first_kernel_call_and_not_before():
    pytest.importorskip("numba")
    code = """
        import sys, numpy as np, minidl
        layer = minidl.nn.MaxPool2d(2)
        early = "numba" in sys.modules
        layer(np.ones((1, 1, 4, 4)))
        print(early, "numba" in sys.modules)
    """
    assert run(code, MINIDL_BACKEND="numba") == "False True"


def test_an_unwritable_cache_folder_only_costs_time(tmp_path):
    pytest.importorskip("numba")
    # Numba looks for a cache beside the source and under the home: here neither can be written.
    code = f"""
        import numba.core.caching as caching
        class Nowhere:
            @classmethod
            def from_function(cls, function, file): return None
        caching.CacheImpl._locator_classes = [Nowhere]
        {POOL}
    """
    assert run(code, MINIDL_BACKEND="numba", HOME=str(tmp_path)) == "numba 4.0"


def test_two_processes_never_write_one_file_of_machine_code(tmp_path):
    """Else one that compiles for float32 while the other does for float64 would load the other's code."""
    pytest.importorskip("numba")
    code = f"""
        import os
        {POOL}
        print(os.getpid())
    """
    said = run(code, MINIDL_BACKEND="numba", NUMBA_CACHE_DIR=str(tmp_path)).split()
    names = [file.name for file in tmp_path.rglob("*.nbc")]
    assert names
    assert all(f".{said[-1]}-" in name for name in names)


def test_eight_threads_at_once():
    pytest.importorskip("numba")
    from concurrent.futures import ThreadPoolExecutor

    from minidl import nn

    x = np.random.default_rng(0).standard_normal((4, 3, 16, 16))

    def work(_):
        pool = nn.MaxPool2d(2)
        y = pool(x)
        return pool.backward(y).sum()

    with use_backend("numba"), ThreadPoolExecutor(8) as threads:
        results = set(threads.map(work, range(64)))
    assert len(results) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_computes_the_same():
    pytest.importorskip("numba")
    code = """
        import os, numpy as np, minidl
        pool = minidl.nn.MaxPool2d(2)
        x = np.arange(64.0).reshape(1, 4, 4, 4)
        here = pool(x).sum()
        child = os.fork()
        if child == 0:
            os._exit(0 if pool(x).sum() == here else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert run(code, MINIDL_BACKEND="numba") == "0"
