"""Arrays that do not fit together: a twin must do what its reference does, and never read past an end."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_arguments import ARGUMENTS

from minidl.kernels.registry import KERNELS

pytest.importorskip("minidl.kernels.numba_cpu")

TWINS = [name for name, kernel in KERNELS.items() if np.ndarray in kernel.twins]


def misfits(arguments):
    """Each array in turn, along each axis: one element fewer, and twice as many."""
    for i, array in enumerate(arguments):
        if isinstance(array, np.ndarray) and array.ndim and array.size:
            for axis in range(array.ndim):
                less = np.take(array, range(array.shape[axis] - 1), axis)
                for other in (np.ascontiguousarray(less), np.concatenate([array, array], axis)):
                    if not other.size:  # nothing to read past the end of
                        continue
                    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
                    yield [*copies[:i], other, *copies[i + 1 :]]


def run(function, arguments):
    try:
        given = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
        result = function(*given)
    except Exception:
        return None
    results = result if isinstance(result, tuple) else (result,)
    return [np.asarray(r) for r in (*results, *given) if r is not None and not isinstance(r, str)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TWINS)
def test_a_twin_does_with_misfits_what_its_reference_does(name):
    kernel = KERNELS[name]
    for seed in range(6):
        for arguments in misfits(ARGUMENTS[name](np.random.default_rng(seed), np.float64)):
            wanted, found = run(kernel.reference, arguments), run(kernel.twins[np.ndarray], arguments)
            if wanted is None:
                assert found is None or found[0].size == 0, "the twin took what the reference refuses"
                continue
            assert found is not None
            for a, b in zip(wanted, found, strict=True):
                if a.size:
                    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=name)
