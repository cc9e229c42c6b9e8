"""What all tests share: one BLAS thread, set before NumPy is loaded, and inherited by every process started.

With two, parallel test processes on two cores spend their time waiting for each other's threads.
"""

import os

import pytest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `gpu` are skipped where there is no GPU, and say why."""
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if on_gpu:
        from minidl.array.device import get_device
        from minidl.errors import BackendError

        try:
            get_device("cuda")
        except BackendError as error:
            for item in on_gpu:
                item.add_marker(pytest.mark.skip(reason=str(error)))
